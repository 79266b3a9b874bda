"""Mean opinion scores from the ratings of any subjective study; usable without images.

    import mos

    ratings = mos.read("ratings.csv", scale=(1, 5))
    result = mos.score(ratings, "paper")
    result.scores, result.raters, result.exclusions, result.plot("intervals")
    mos.compare(ratings, ["paper", "mos"]), mos.agreement(ratings), mos.plan(ratings, half_width=0.3)

These names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mos.lazy_names import make_lazy_names

if TYPE_CHECKING:
    from mos.api import agreement, compare, plan, read, score
    from mos.errors import UserError
    from mos.methods import METHODS
    from mos.ratings import Ratings
    from mos.scoring.result import ScoringResult

__all__ = [
    "METHODS",
    "Ratings",
    "ScoringResult",
    "UserError",
    "agreement",
    "compare",
    "plan",
    "read",
    "score",
]

_MODULES = {
    "mos.api": ("agreement", "compare", "plan", "read", "score"),
    "mos.errors": ("UserError",),
    "mos.methods": ("METHODS",),
    "mos.ratings": ("Ratings",),
    "mos.scoring.result": ("ScoringResult",),
}

if not TYPE_CHECKING:  # a type checker would take this for "every name exists"
    __getattr__, __dir__ = make_lazy_names(__name__, _MODULES)
