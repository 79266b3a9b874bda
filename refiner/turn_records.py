"""What a turn did, as plain values: a line of `trace.jsonl`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from annotation.records import Dimension, Kind
from refiner.agent_calls import EvaluationAnswer
from training.agents.results import Finding

StopReason = Literal["clean", "no_gain", "max_turns", "budget", "agent_error"]

EditDecision = Literal["accepted", "rolled_back", "not_tried"]


@dataclass(frozen=True, slots=True)
class ScoreRecord:
    """Scores of one image.

    Attributes
    ----------
    overall : float or None
        In MOS points; None where a score is missing.
    scores : mapping
        Value by dimension; None where it is missing.
    agent : str
    detail : str
        Why a score is missing; "" if none is.
    """

    overall: float | None
    scores: Mapping[Dimension, float | None]
    agent: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RegionRecord:
    """A region of a map with what the reasoning agent said of it."""

    region_id: str
    kind: Kind
    box: tuple[float, float, float, float]
    peak: float
    area: int
    status: str
    flaw_type: str | None
    severity: str | None
    rationale: str
    confidence: float | None
    agent: str
    detail: str


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One candidate for one area.

    Attributes
    ----------
    editor, seed, version, parameters, cost, card_digest, status, detail
        As in `editfhf.editors.protocol.EditRecord`, but without the time.
    placement : mapping
        How the answer was registered and pasted; empty where there was none.
    overall : float or None
        Overall score of the image with this change.
    flaw_mass : float or None
        Perceived flaws of the image with this change.
    reason : str
        Why it was kept or not.
    picture : str
        File name of the editor's answer in `candidates/`, without suffix.
    """

    editor: str
    seed: int | None
    version: str
    parameters: Mapping[str, Any]
    cost: float
    card_digest: str
    status: str
    detail: str
    placement: Mapping[str, Any]
    overall: float | None
    flaw_mass: float | None
    accepted: bool
    reason: str
    picture: str


@dataclass(frozen=True, slots=True)
class EditedAreaRecord:
    """What was done with one area."""

    edit_id: str
    regions: tuple[str, ...]
    kind: Kind
    flaw_type: str | None
    box: tuple[float, float, float, float]
    pixels: int
    editors: tuple[str, ...]
    instruction: str
    reason: str
    decision: EditDecision
    trials: tuple[TrialRecord, ...]


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """One turn.

    Attributes
    ----------
    turn : int
        From 1.
    perception : str
        The agent.
    flaw_mass : float or None
        Mean of the higher of the two maps, before the turn.
    regions : tuple of RegionRecord
    edits : tuple of EditedAreaRecord
        In the order in which they were made.
    before, after : ScoreRecord or None
        The evaluator on the image before and after the turn; None without one.
    audit_before, audit_after : ScoreRecord or None
        The auditor on the same images.
    image_before, image_after : str
        SHA-256 of the pixels.
    stop : str or None
        Why the loop ended after this turn; None where it went on.
    detail : str
        One sentence about the stop.
    """

    turn: int
    perception: str
    flaw_mass: float | None
    regions: tuple[RegionRecord, ...]
    edits: tuple[EditedAreaRecord, ...]
    before: ScoreRecord | None
    after: ScoreRecord | None
    audit_before: ScoreRecord | None
    audit_after: ScoreRecord | None
    image_before: str
    image_after: str
    stop: StopReason | None = None
    detail: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_gain(self) -> bool:
        """Whether the turn changed the image."""
        return self.image_before != self.image_after

    def as_record(self) -> dict[str, Any]:
        """The turn as JSON values."""
        return asdict(self)


def record_scores(answer: EvaluationAnswer | None, agent: str) -> ScoreRecord | None:
    """The scores of an answer; None without an agent."""
    if answer is None:
        return None
    return ScoreRecord(answer.overall, {one.dimension: one.value for one in answer.scores}, agent, answer.detail)


def record_region(region_id: str, peak: float, area: int, finding: Finding) -> RegionRecord:
    """A region with its finding."""
    return RegionRecord(
        region_id,
        finding.kind,
        (finding.box.x0, finding.box.y0, finding.box.x1, finding.box.y1),
        peak,
        area,
        finding.status,
        finding.flaw_type,
        finding.severity,
        finding.rationale,
        finding.confidence,
        str(finding.agent),
        finding.detail,
    )
