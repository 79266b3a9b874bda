"""How numbers and names are said to a reader, in figures and on the page."""

from __future__ import annotations

from editfhf.statistics.records import Estimate

SCORE_NAMES = {
    "perceptual_quality": "Perceptual quality",
    "instruction_following": "Instruction following",
    "visual_consistency": "Visual consistency",
    "overall": "Overall",
}
KIND_NAMES = {"artifact": "Artifacts", "failure": "Instruction failures"}
SHAPES = {
    "perceptual_quality": "circle",
    "instruction_following": "square",
    "visual_consistency": "diamond",
    "overall": "bar",
}


def words(name: str) -> str:
    """An identifier as words.

    >>> words("hand_foot")
    'hand foot'
    """
    return name.replace("_", " ") if name else "not given"


def decimal(value: float | None, digits: int = 1) -> str:
    """A number, or a dash where there is none."""
    return "–" if value is None else f"{value:,.{digits}f}".replace("-", "−")


def percent(share: float | None, digits: int = 1) -> str:
    """A share as a percentage, or a dash."""
    return "–" if share is None else f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def rule(share: float) -> str:
    """A limit as a percentage, with the digits that it has.

    >>> rule(0.05), rule(0.025)
    ('5\xa0%', '2.5\xa0%')
    """
    return f"{100 * share:g}\N{NO-BREAK SPACE}%"


def estimate(value: Estimate, digits: int = 1) -> str:
    """A mean with the half-width of its interval.

    >>> estimate(Estimate(61.24, 3.5, 12))
    '61.2 ± 3.5'
    """
    if value.mean is None:
        return "–"
    return (
        decimal(value.mean, digits)
        if value.ci95 is None
        else f"{decimal(value.mean, digits)} ± {value.ci95:.{digits}f}"
    )
