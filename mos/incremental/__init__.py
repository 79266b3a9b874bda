"""Scores of a campaign that is still running: ratings arrive, are corrected and are withdrawn, and are kept in a file.

See `State`.
"""

from mos.incremental.state import State
from mos.incremental.storage import load, save

__all__ = ["State", "load", "save"]
