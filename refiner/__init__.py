"""The refinement loop: perceive, reason, act, evaluate, until the edited image is better.

>>> import refiner                                                              # doctest: +SKIP
>>> refiner.refine("source.png", "edited.png", "make it snow")                # doctest: +SKIP
Refinement(2 changes in 2 turns, stop: clean)

The names below are imported when they are first used; none needs torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mos.lazy_names import make_lazy_names

if TYPE_CHECKING:
    from refiner.agent_calls import AgentTeam
    from refiner.choose_team import choose_team
    from refiner.options import RefineBudget, RefineOptions
    from refiner.refinement import Refinement, refine

_MODULES = {
    "refiner.agent_calls": ("AgentTeam",),
    "refiner.choose_team": ("choose_team",),
    "refiner.options": (
        "RefineBudget",
        "RefineOptions",
    ),
    "refiner.refinement": (
        "Refinement",
        "refine",
    ),
}

__all__ = [
    "AgentTeam",
    "RefineBudget",
    "RefineOptions",
    "Refinement",
    "choose_team",
    "refine",
]


if not TYPE_CHECKING:  # a type checker would take this for "every name exists"
    __getattr__, __dir__ = make_lazy_names(__name__, _MODULES)
