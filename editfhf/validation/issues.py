"""What a check found."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Issue(NamedTuple):
    """One thing that is wrong (error) or deserves a look (warning).

    where: a file of the dataset, with the row (from 1) or pair where there is one
    message: what was expected and what was found
    """

    severity: Literal["error", "warning"]
    where: str
    message: str


def error(where: str, message: str) -> Issue:
    return Issue("error", where, message)


def warning(where: str, message: str) -> Issue:
    return Issue("warning", where, message)
