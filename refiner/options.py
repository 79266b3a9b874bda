"""What a run of the loop may be told: turns, patience, thresholds, seeds and budgets."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from mos.errors import UserError
from training.agents.map_regions import LEAST_REGION_AREA, REGION_THRESHOLD


@dataclass(frozen=True, slots=True)
class RefineBudget:
    """What a run may use; it ends with the stop reason `budget` before a call that would be too much.

    Attributes
    ----------
    seconds : float
        Time that agents and editors need, added up over their calls.
    calls : int or None
        Calls of agents and editors; None for no limit.
    dollars : float
        What editors cost by their own records, in US dollars.
    """

    seconds: float = math.inf
    calls: int | None = None
    dollars: float = math.inf

    def __post_init__(self) -> None:
        for name, value in (("seconds", self.seconds), ("calls", self.calls), ("dollars", self.dollars)):
            if value is not None and not value >= 0:
                raise UserError(f"The budget of {name} must be 0 or more, but got {value}.")


@dataclass(frozen=True, slots=True)
class RefineOptions:
    """How the loop runs.

    Attributes
    ----------
    turns : int
        Most turns, 1 or more; the paper's loop has 4.
    patience : int
        Turns in a row without gain after which the loop stops, 1 or more. Every further turn tries the next editors
        and other seeds.
    epsilon : float
        Gain in the overall score from which a change is kept, in MOS points, 0 or more. A gain of 0 is never kept.
    threshold : float
        Saliency from which a pixel belongs to a region.
    least_area : int
        Pixels of the smallest region.
    candidates : int
        Edits of one region that compete, by different editors or seeds; the evaluator picks. 1 or more.
    guard : bool
        Whether a change must also lower the perceived flaws; see `refiner.acceptance`.
    seed : int
        The same seed and inputs give the same result.
    call_seconds : float
        Time after which a call of an agent or editor is given up.
    budget : RefineBudget

    Raises
    ------
    UserError
        For a value out of range.
    """

    turns: int = 4
    patience: int = 1
    epsilon: float = 0.0
    threshold: float = REGION_THRESHOLD
    least_area: int = LEAST_REGION_AREA
    candidates: int = 2
    guard: bool = True
    seed: int = 0
    call_seconds: float = 600.0
    budget: RefineBudget = field(default_factory=RefineBudget)

    def __post_init__(self) -> None:
        for name in ("turns", "patience", "candidates", "least_area"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be 1 or more, but got {getattr(self, name)}.")
        if not 0 <= self.epsilon <= 100:
            raise UserError(f"epsilon must lie in 0 to 100 MOS points, but got {self.epsilon}.")
        if not 0 < self.threshold <= 1:
            raise UserError(f"threshold must be above 0 and at most 1, but got {self.threshold}.")
        if not self.call_seconds > 0:
            raise UserError(f"call_seconds must be above 0, but got {self.call_seconds}.")

    def as_record(self) -> dict[str, Any]:
        """The options as JSON values; a budget without limit is null."""
        values = asdict(self)
        values["budget"] = {
            name: value if value is None or math.isfinite(value) else None for name, value in values["budget"].items()
        }
        return values
