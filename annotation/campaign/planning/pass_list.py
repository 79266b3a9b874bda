"""What the manager should know: candidates, hidden gold, and why pairs or stages wait."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from annotation.campaign.drafts import reject_unknown_draft
from annotation.campaign.gold.candidates import candidate_statuses
from annotation.campaign.gold.hidden_gold import StageGoldScore, hidden_gold_scores
from annotation.campaign.gold.qualification import CandidateStatus
from annotation.campaign.model import NO_WORK, CampaignRecord, PairStatus, reject_submission
from annotation.campaign.planning.final_regions import find_final_regions
from annotation.campaign.planning.staffing import stage_needs
from annotation.campaign.prompt_check import awaits_rewrite
from mos.rejections import Rejection
from mos.words import format_quantity


@dataclass(frozen=True, slots=True)
class PassList:
    """Status of the candidates, agreement with hidden gold, and notes.

    Parameters
    ----------
    standings
        Status of each candidate, by person_id.
    gold
        Running scores on hidden gold, by stage and person.
    notes
        Sentences for the manager.
    """

    standings: Mapping[str, CandidateStatus]
    gold: tuple[StageGoldScore, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "candidates": [_candidate_values(one) for one in self.standings.values()],
            "gold": [
                {"stage": stage, "flagged": one.flagged, "sentence": one.sentence} | asdict(one)
                for stage, one in self.gold
            ],
            "notes": list(self.notes),
        }


def make_pass_list(record: CampaignRecord) -> PassList:
    """Return the pass list that follows from the record."""
    standings = candidate_statuses(record.options, record.gold, record.gold_work, record.since)
    gold = tuple(hidden_gold_scores(record.options, record.gold, record.gold_work, record.since))
    notes = [
        *_understaffed_notes(record, standings),
        *_failed_notes(record, standings),
        *_hidden_gold_notes(gold),
        *_rewrite_notes(record),
    ]
    return PassList(standings, gold, tuple(notes))


def missing_draft_notes(statuses: Iterable[PairStatus]) -> list[str]:
    """A sentence about pairs that wait for drafts of their texts."""
    # A review that has begun is among the reviews.
    waiting = [state.pair_id for state in statuses if state.step == "textual" and not state.reviews]
    if not waiting:
        return []
    return [
        f"{_format_waiting(waiting)} until each of their regions has a draft in drafts.jsonl: {_name_pairs(waiting)}."
    ]


def undecided_pair_notes(record: CampaignRecord, statuses: Iterable[PairStatus]) -> list[str]:
    """A sentence about each stage in which pairs wait because too few of its people can judge them."""
    waiting: dict[str, list[str]] = {}
    for state in statuses:
        declined = record.work.get(state.pair_id, NO_WORK).declined
        if not state.wanted and any(key.stage == state.step for key in declined):
            waiting.setdefault(str(state.step), []).append(state.pair_id)
    return [
        f"Stage {stage}: nobody is left who can judge {_name_pairs(pair_ids)}. Read the notes (editfhf annotate "
        "notes), then add people, or give the tasks back with redo.jsonl, or remove the pairs from pairs.jsonl."
        for stage, pair_ids in waiting.items()
    ]


def _name_pairs(pair_ids: list[str]) -> str:
    """The first five pairs by name, and the number of the others."""
    return ", ".join(pair_ids[:5]) + (f" and {len(pair_ids) - 5} more" if len(pair_ids) > 5 else "")


def find_stray_drafts(record: CampaignRecord, statuses: Iterable[PairStatus]) -> list[Rejection]:
    """Drafts about regions that their pair does not have, of every pair whose regions are final."""
    strays = []
    for status in statuses:
        drafts = record.drafts.get(status.pair_id)
        regions = find_final_regions(record, status) if drafts else None
        if not drafts or regions is None:
            continue
        known = [region.region_id for region in regions]
        for region_id in sorted(drafts.keys() - set(known)):
            bad = reject_unknown_draft(status.pair_id, region_id, drafts[region_id], known, "region")
            strays.append(reject_submission(bad.file, 0, bad.row, bad.reason, bad.message, item_id=region_id))
    return strays


def _understaffed_notes(record: CampaignRecord, standings: Mapping[str, CandidateStatus]) -> list[str]:
    """Sentences about stages for which too few people passed or can still pass."""
    failed = {name for name, one in standings.items() if one.phase == "failed"}
    notes = []
    for need in stage_needs(record.options):
        able = [
            person
            for person in record.options.people
            if person.active and need.role in person.roles and person.person_id not in failed
        ]
        if failed and len(able) < need.count:
            notes.append(
                f"Stage {need.stage} needs {need.count} people with the role {need.role!r}, only {len(able)} passed or "
                "can still pass. Add people, or ask some to qualify again."
            )
    return notes


def _hidden_gold_notes(gold: tuple[StageGoldScore, ...]) -> list[str]:
    return [f"{one.person_id} in stage {stage}: {one.sentence}" for stage, one in gold if one.flagged]


def _rewrite_notes(record: CampaignRecord) -> list[str]:
    """A sentence about pairs that wait for a rewritten instruction."""
    waiting = [
        pair.pair_id
        for pair in record.pairs
        if pair.pair_id in record.work and awaits_rewrite(record.work[pair.pair_id].checks, pair.instruction)
    ]
    if not waiting:
        return []
    return [f"{_format_waiting(waiting)} until their instruction in pairs.jsonl is rewritten: {_name_pairs(waiting)}."]


def _failed_notes(record: CampaignRecord, standings: Mapping[str, CandidateStatus]) -> list[str]:
    """A sentence about candidates who failed, whom Label Studio tells nothing."""
    emails = {person.person_id: person.email for person in record.options.people}
    failed = [f"{name} ({emails[name]})" for name, one in standings.items() if one.phase == "failed"]
    return (
        [f"Did not qualify, and sees nothing of it in Label Studio; tell them: {', '.join(failed)}."] if failed else []
    )


def _format_waiting(pairs: Sequence[str]) -> str:
    return f"{format_quantity(len(pairs), 'pair')} {'waits' if len(pairs) == 1 else 'wait'}"


def _candidate_values(one: CandidateStatus) -> dict[str, Any]:
    verdicts = [asdict(verdict) | {"sentences": list(verdict.sentences)} for verdict in one.verdicts]
    return {
        "person_id": one.person_id,
        "phase": one.phase,
        "attempt": one.attempt,
        "todo": len(one.todo),
        "verdicts": verdicts,
    }
