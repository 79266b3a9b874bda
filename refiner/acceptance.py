"""Whether a change is kept: by its gain in the overall score, and by a guard that does not trust the score alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refiner.agent_calls import EvaluationAnswer, PerceptionAnswer


@dataclass(frozen=True, slots=True)
class Standing:
    """How good an image is, as far as the agents say.

    Attributes
    ----------
    overall : float or None
        Overall score in MOS points; None without an evaluation agent, or where it gave none.
    flaw_mass : float or None
        Mean over all pixels of the higher of the two maps, 0 to 1; None where it was not perceived.
    """

    overall: float | None
    flaw_mass: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a change is kept, and one sentence why."""

    accepted: bool
    reason: str


def measure_flaw_mass(answer: PerceptionAnswer) -> float | None:
    """Mean over all pixels of the higher of the two maps; None without maps."""
    if answer.maps is None:
        return None
    higher: NDArray[np.float32] = np.maximum(answer.maps.artifact, answer.maps.failure)
    return float(higher.mean(dtype=np.float64))


def judge_change(before: Standing, after: Standing, *, epsilon: float, guard: bool, evaluated: bool) -> Verdict:
    """Decide whether a change is kept.

    Parameters
    ----------
    before, after : Standing
        Of the image without and with the change.
    epsilon : float
        Gain in MOS points that is needed; a gain of 0 never suffices.
    guard : bool
        Whether the perceived flaws must become less too.
    evaluated : bool
        Whether there is an evaluation agent. Without one, the guard decides alone, whatever `guard` says.

    Returns
    -------
    Verdict

    Examples
    --------
    >>> judge_change(Standing(50.0, 0.2), Standing(51.0, 0.1), epsilon=0.5, guard=True, evaluated=True)
    Verdict(accepted=True, reason='The overall score rose by 1.00, the perceived flaws fell by 50 %.')
    >>> judge_change(Standing(50.0, 0.2), Standing(60.0, 0.2), epsilon=0.5, guard=True, evaluated=True).accepted
    False
    """
    told: list[str] = []
    if evaluated:
        if before.overall is None or after.overall is None:
            return Verdict(False, "There is no score to compare.")
        gain = after.overall - before.overall
        if gain <= 0 or gain < epsilon:
            return Verdict(False, f"The overall score changed by {gain:+.2f}, which is no gain.")
        told.append(f"the overall score rose by {gain:.2f}")
    if guard or not evaluated:
        if before.flaw_mass is None or after.flaw_mass is None:
            return Verdict(False, "The changed image could not be perceived.")
        if after.flaw_mass >= before.flaw_mass:
            return Verdict(False, "The perceived flaws did not become less.")
        fall = 1 - after.flaw_mass / before.flaw_mass
        told.append(f"the perceived flaws fell by {100 * fall:.0f} %")
    text = ", ".join(told)
    return Verdict(True, f"{text[:1].upper()}{text[1:]}.")


def pick_best(candidates: list[Standing]) -> int:
    """Number of the best of several images: the highest score, else the least flaws; the first of equals."""

    def order(number: int) -> tuple[float, float, int]:
        one = candidates[number]
        score = -np.inf if one.overall is None else one.overall
        return (-score, np.inf if one.flaw_mass is None else one.flaw_mass, number)

    return min(range(len(candidates)), key=order)


def read_standing(evaluation: EvaluationAnswer | None, perception: PerceptionAnswer | None) -> Standing:
    """The standing of an image from what agents said of it."""
    return Standing(
        None if evaluation is None else evaluation.overall,
        None if perception is None else measure_flaw_mass(perception),
    )
