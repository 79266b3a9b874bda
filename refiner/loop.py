"""The loop: perceive, reason, act, evaluate, until the image is clean or nothing gains (equations 2 to 5 of the paper).

Each turn looks at the CURRENT image. A region is a transaction: its change is kept or rolled back alone. The best image
so far is always the result. Nothing here knows of files, clocks or progress bars: they are handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage
from annotation.records import KINDS
from editfhf.editors.region_edit import WEIGHT_FREE_CROP_OPTIONS
from refiner.acceptance import Standing, judge_change, measure_flaw_mass, pick_best
from refiner.accepted_edit import AcceptedEdit, cut_accepted_edit
from refiner.agent_calls import AgentCalls, AgentTeam, BudgetSpentError, EvaluationAnswer, PerceptionAnswer
from refiner.call_store import CallStore, hash_pixels
from refiner.options import RefineOptions
from refiner.paste_edit import paste_answer
from refiner.planning.join_regions import FlawRegion, join_regions, number_regions
from refiner.planning.make_plan import PlannedCandidate, PlannedEdit, TriedEdits, make_plan, paint_mask
from refiner.turn_records import (
    EditDecision,
    EditedAreaRecord,
    RegionRecord,
    StopReason,
    TrialRecord,
    TurnRecord,
    record_region,
    record_scores,
)
from training.agents.map_regions import find_map_regions
from training.agents.results import PerceivedMaps
from training.samples.pair_sample import scale_array


@dataclass(frozen=True, slots=True, eq=False)
class TurnPictures:
    """What a turn saw and planned, for the folder of the turn.

    Attributes
    ----------
    maps : PerceivedMaps or None
    mask : ndarray
        uint8 [H, W]: 255 where the plan may change the image.
    """

    maps: PerceivedMaps | None
    mask: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class LoopResult:
    """What the loop gave.

    Attributes
    ----------
    image : ndarray
        uint8 [H, W, 3]: the best image; the input's pixels where nothing was gained.
    turns : tuple of TurnRecord
        At least one.
    edits : tuple of AcceptedEdit
        In the order in which they were made: laid over the input they give `image`.
    stop : str
    detail : str
        One sentence about the stop.
    pictures : tuple of TurnPictures
        What each turn saw and planned.
    calls : int
        Calls of agents and editors.
    seconds, dollars : float
        What they took.
    """

    image: RgbImage
    turns: tuple[TurnRecord, ...]
    edits: tuple[AcceptedEdit, ...]
    stop: StopReason
    detail: str
    pictures: tuple[TurnPictures, ...]
    calls: int
    seconds: float
    dollars: float


TurnCallback = Callable[[TurnRecord, TurnPictures], None]


def run_loop(
    source: RgbImage,
    edited: RgbImage,
    instruction: str,
    team: AgentTeam,
    options: RefineOptions,
    *,
    store: CallStore | None = None,
    on_turn: TurnCallback | None = None,
) -> LoopResult:
    """Refine one edited image.

    Parameters
    ----------
    source, edited : ndarray
        uint8 [H, W, 3], sRGB; the two may differ in size.
    instruction : str
        What the edit was asked to do; untrusted text.
    team : AgentTeam
    options : RefineOptions
    store : CallStore, optional
        Remembers answers; one that outlives the process lets a run go on after a kill.
    on_turn : callable, optional
        Called after each turn.

    Returns
    -------
    LoopResult

    Raises
    ------
    UserError
        What an agent or editor says that the user must correct, such as a missing key.
    """
    calls = AgentCalls(instruction, source, options.call_seconds, options.budget, store)
    run = _LoopRun(edited, instruction, team, options, calls, scale_array(source, *edited.shape[:2]))
    seen: list[TurnPictures] = []
    failures = 0
    while run.stop is None:
        record, pictures = run.make_turn()
        failures = 0 if record.has_gain else failures + 1
        if record.stop is None:
            if failures >= options.patience:
                record = replace(record, stop="no_gain", detail=f"No gain in {failures} turn{'s'[: failures > 1]}.")
            elif record.turn >= options.turns:
                record = replace(record, stop="max_turns", detail=f"The limit of {options.turns} turns is reached.")
        run.stop = record.stop
        run.turns.append(record)
        seen.append(pictures)
        if on_turn is not None:
            on_turn(record, pictures)
    last, counts = run.turns[-1], calls.counts
    return LoopResult(
        run.image,
        tuple(run.turns),
        tuple(run.edits),
        run.stop,
        last.detail,
        tuple(seen),
        counts.calls,
        counts.seconds,
        counts.dollars,
    )


class _LoopRun:
    """The state of one run: the best image, what was tried, and what is known of it."""

    def __init__(
        self,
        image: RgbImage,
        instruction: str,
        team: AgentTeam,
        options: RefineOptions,
        calls: AgentCalls,
        source: RgbImage,
    ) -> None:
        self.image = image
        self.turns: list[TurnRecord] = []
        self.edits: list[AcceptedEdit] = []
        self.stop: StopReason | None = None
        self._instruction = instruction
        self._team = team
        self._options = options
        self._calls = calls
        self._source = source
        self._tried = TriedEdits()
        self._unseeded: set[str] = set()

    def make_turn(self) -> tuple[TurnRecord, TurnPictures]:
        """One pass: perceive, reason, plan, edit area by area, evaluate."""
        turn = len(self.turns) + 1
        self._calls.turn = turn
        before = self.image
        mask = np.zeros(before.shape[:2], np.uint8)
        draft = _TurnDraft()
        stop: StopReason | None = None
        detail = ""
        try:
            stop, detail = self._run_turn(draft, mask)
        except BudgetSpentError as spent:
            stop, detail = "budget", str(spent)
        after = self.image
        draft.audit_after = draft.audit_before
        if after is not before:
            try:
                draft.audit_after = self._audit(after)
            except BudgetSpentError as spent:
                draft.audit_after = None
                stop, detail = "budget", str(spent)
        judge, auditor = (
            "" if agent is None else str(agent.identity) for agent in (self._team.evaluation, self._team.auditor)
        )
        record = TurnRecord(
            turn,
            str(self._team.perception.identity),
            draft.flaw_mass,
            tuple(draft.regions),
            tuple(draft.edits),
            record_scores(draft.before, judge),
            record_scores(draft.after, judge),
            record_scores(draft.audit_before, auditor),
            record_scores(draft.audit_after, auditor),
            hash_pixels(before),
            hash_pixels(after),
            stop,
            detail,
        )
        return record, TurnPictures(draft.maps, mask)

    def _run_turn(self, draft: _TurnDraft, mask: NDArray[np.uint8]) -> tuple[StopReason | None, str]:
        team, options, calls = self._team, self._options, self._calls
        if team.evaluation is not None:
            draft.before = draft.after = calls.evaluate(team.evaluation, self.image)
        if team.auditor is not None:
            draft.audit_before = self._audit(self.image)
        perceived = calls.perceive(team.perception, self.image)
        draft.maps, draft.flaw_mass = perceived.maps, measure_flaw_mass(perceived)
        if perceived.maps is None:
            return "agent_error", f"The perception agent gave no maps. {perceived.detail}"
        regions = self._find_regions(perceived.maps)
        if not regions:
            return "clean", "No flaw was perceived."
        if draft.before is not None and draft.before.overall is None:
            return "agent_error", f"The evaluation agent gave no score. {draft.before.detail}"
        findings = calls.diagnose(team.reasoning, self.image, [(one.kind, one.region.box) for one in regions])
        by_id = {one.region_id: finding for one, finding in zip(regions, findings, strict=True)}
        draft.regions = [
            record_region(one.region_id, one.region.peak, one.region.area, by_id[one.region_id]) for one in regions
        ]
        plan = make_plan(
            join_regions(regions, *self.image.shape[:2]),
            by_id,
            self._instruction,
            team.editors.keys(),
            preferred=team.preferred,
            candidates=options.candidates,
            seed=options.seed,
            tried=self._tried,
            unseeded=self._unseeded,
        )
        for edit in plan:
            if edit.candidates:
                np.maximum(mask, paint_mask(edit.area, *mask.shape), out=mask)
        standing = Standing(None if draft.before is None else draft.before.overall, draft.flaw_mass)
        for edit in plan:
            standing = self._make_edit(edit, standing, draft)
        if not any(edit.candidates for edit in plan):
            return "no_gain", "There is nothing left to try."
        if draft.unscored is not None and not draft.scored:
            return "agent_error", f"The evaluation agent gave no score of any change. {draft.unscored.detail}"
        return None, ""

    def _find_regions(self, maps: PerceivedMaps) -> list[FlawRegion]:
        options = self._options
        return number_regions(
            [
                (kind, region)
                for kind in KINDS
                for region in find_map_regions(maps.by_kind(kind), options.threshold, options.least_area)
            ]
        )

    def _audit(self, image: RgbImage) -> EvaluationAnswer | None:
        return None if self._team.auditor is None else self._calls.evaluate(self._team.auditor, image, "auditor")

    def _make_edit(self, edit: PlannedEdit, standing: Standing, draft: _TurnDraft) -> Standing:
        """Try the candidates of one area; keep the best of those that gain, or none."""
        trials: list[_Trial] = []
        decision: EditDecision = "not_tried" if not edit.candidates else "rolled_back"
        best: _Trial | None = None
        try:
            for candidate in edit.candidates:
                if candidate.editor in self._unseeded and candidate.editor in {trial.record.editor for trial in trials}:
                    continue  # without a seed it would answer the same again
                trials.append(self._try_candidate(edit, candidate, standing))
                draft.count_evaluation(trials[-1].evaluation)
            accepted = [trial for trial in trials if trial.record.accepted]
            if accepted:
                best = accepted[pick_best([trial.standing for trial in accepted])]
        finally:
            # A budget that ends in the middle of an area leaves the area as it was.
            if best is not None:
                decision = "accepted"
            records = [
                trial.record
                if trial is best or not trial.record.accepted
                else replace(
                    trial.record, accepted=False, reason=f"Another candidate was better. {trial.record.reason}"
                )
                for trial in trials
            ]
            draft.edits.append(_record_edit(edit, decision, records))
            self._tried.add_tries(edit.area.box, len(trials))
        if best is None or best.image is None:
            return standing
        self.edits.append(cut_accepted_edit(len(self.turns) + 1, edit, self.image, best.image))
        self.image = best.image
        if best.evaluation is not None:
            draft.after = best.evaluation
        return best.standing

    def _try_candidate(self, edit: PlannedEdit, candidate: PlannedCandidate, standing: Standing) -> _Trial:
        team, options = self._team, self._options
        picture = f"{edit.edit_id}-{_plain_name(candidate.editor)}-{candidate.seed}"
        pasted = paste_answer(
            self._calls,
            team.editors[candidate.editor],
            edit,
            candidate.seed,
            self._source,
            self.image,
            picture,
            team.crops.get(candidate.editor, WEIGHT_FREE_CROP_OPTIONS),
        )
        if pasted.record.seed is None:
            self._unseeded.add(candidate.editor)
        evaluation: EvaluationAnswer | None = None
        perception: PerceptionAnswer | None = None
        accepted, reason, after = False, pasted.detail, Standing(None, None)
        if pasted.image is not None:
            if team.evaluation is not None:
                evaluation = self._calls.evaluate(team.evaluation, pasted.image)
            if options.guard or team.evaluation is None:
                perception = self._calls.perceive(team.perception, pasted.image, picture)
            after = Standing(
                None if evaluation is None else evaluation.overall,
                None if perception is None else measure_flaw_mass(perception),
            )
            verdict = judge_change(
                standing, after, epsilon=options.epsilon, guard=options.guard, evaluated=team.evaluation is not None
            )
            accepted, reason = verdict.accepted, verdict.reason
        record = TrialRecord(
            pasted.record.editor,
            pasted.record.seed,
            pasted.record.version,
            pasted.record.parameters,
            pasted.record.cost,
            pasted.record.card_digest,
            pasted.record.status,
            pasted.record.detail,
            pasted.placement,
            after.overall,
            after.flaw_mass,
            accepted,
            reason,
            picture if pasted.record.status == "ok" else "",
        )
        return _Trial(record, pasted.image, after, evaluation)


@dataclass(slots=True, eq=False)
class _TurnDraft:
    """What is known of a turn so far."""

    maps: PerceivedMaps | None = None
    flaw_mass: float | None = None
    regions: list[RegionRecord] = field(default_factory=list)
    edits: list[EditedAreaRecord] = field(default_factory=list)
    before: EvaluationAnswer | None = None
    after: EvaluationAnswer | None = None
    audit_before: EvaluationAnswer | None = None
    audit_after: EvaluationAnswer | None = None
    scored: int = 0
    unscored: EvaluationAnswer | None = None

    def count_evaluation(self, answer: EvaluationAnswer | None) -> None:
        """Count whether the evaluation agent gave a score of a changed image."""
        if answer is not None and answer.overall is None:
            self.unscored = answer
        elif answer is not None:
            self.scored += 1


@dataclass(frozen=True, slots=True, eq=False)
class _Trial:
    record: TrialRecord
    image: RgbImage | None
    standing: Standing
    evaluation: EvaluationAnswer | None


def _record_edit(edit: PlannedEdit, decision: EditDecision, trials: Sequence[TrialRecord]) -> EditedAreaRecord:
    box = edit.area.box
    return EditedAreaRecord(
        edit.edit_id,
        tuple(one.region_id for one in edit.area.regions),
        edit.kind,
        edit.flaw_type,
        (box.x0, box.y0, box.x1, box.y1),
        int(edit.area.mask.sum()),
        edit.editors,
        edit.instruction,
        edit.reason,
        decision,
        tuple(trials),
    )


def _plain_name(name: str) -> str:
    """The name of an editor as part of a file name."""
    return "".join(char if char.isalnum() and char.isascii() else "-" for char in name)[:40]
