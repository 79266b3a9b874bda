"""`editfhf mos`: from a long table of ratings to scores, screening, agreement and plans, on the command line."""

from mos.cli.app import app

__all__ = ["app"]
