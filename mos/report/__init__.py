"""One page about a rating study: what was rated, who rated how, what was left out, how sure the scores are."""

from mos.report.page import render, write

__all__ = ["render", "write"]
