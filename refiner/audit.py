"""Where the evaluator of the loop and an independent auditor part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from refiner.turn_records import TurnRecord


@dataclass(frozen=True, slots=True)
class AuditComparison:
    """What a turn gained by the evaluator, and by the auditor.

    Attributes
    ----------
    turn : int
    gain : float
        In overall score, by the evaluator.
    audit_gain : float
        By the auditor, in its own points.
    """

    turn: int
    gain: float
    audit_gain: float

    @property
    def parts(self) -> bool:
        """Whether the evaluator saw a gain where the auditor saw a loss."""
        return self.gain > 0 > self.audit_gain


def compare_audits(turns: Sequence[TurnRecord]) -> list[AuditComparison]:
    """The turns with a change that both scored.

    Parameters
    ----------
    turns : sequence of TurnRecord

    Returns
    -------
    list of AuditComparison
    """
    found = []
    for turn in turns:
        scores = [
            None if record is None else record.overall
            for record in (turn.before, turn.after, turn.audit_before, turn.audit_after)
        ]
        before, after, audit_before, audit_after = scores
        if turn.has_gain and None not in scores:
            assert before is not None and after is not None and audit_before is not None and audit_after is not None
            found.append(AuditComparison(turn.turn, after - before, audit_after - audit_before))
    return found


def describe_audit(comparisons: Sequence[AuditComparison]) -> str:
    """One sentence: whether auditor and evaluator agree; "" without an audit.

    Examples
    --------
    >>> describe_audit([AuditComparison(1, 3.0, 1.5), AuditComparison(2, 2.0, -4.0)])
    'The auditor disagrees in turn 2: the evaluator saw a gain of 2.0 points, the auditor a loss of 4.0.'
    """
    if not comparisons:
        return ""
    parted = [one for one in comparisons if one.parts]
    if not parted:
        gain, audit = sum(one.gain for one in comparisons), sum(one.audit_gain for one in comparisons)
        return f"The auditor agrees: {audit:+.1f} points where the evaluator saw {gain:+.1f}."
    first = parted[0]
    where = f"turn {first.turn}" if len(parted) == 1 else f"turns {', '.join(str(one.turn) for one in parted)}"
    return (
        f"The auditor disagrees in {where}: the evaluator saw a gain of {first.gain:.1f} points, the auditor a loss of "
        f"{-first.audit_gain:.1f}."
    )
