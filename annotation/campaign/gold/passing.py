"""The pass list of a campaign: where candidates stand, how people do on hidden gold, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from annotation.campaign.gold.candidates import START
from annotation.campaign.gold.hidden import GoldScore, scores_with_gold
from annotation.campaign.gold.pairs import asked
from annotation.campaign.gold.qualification import Standing
from annotation.campaign.gold.requalify import Since, ask_again
from annotation.campaign.options import FOLDER
from annotation.campaign.planning import prompt_check
from annotation.campaign.planning.planner import Record
from mos.errors import UserError


@dataclass(frozen=True, slots=True)
class PassList:
    """Where everybody stands.

    standings: of every candidate, by person_id; gold: the running scores, by stage and person
    notes: sentences for the manager
    """

    standings: Mapping[str, Standing]
    gold: tuple[GoldScore, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "candidates": [_values(one) for one in self.standings.values()],
            "gold": [
                {"stage": stage, "flagged": one.flagged, "sentence": one.sentence} | asdict(one)
                for stage, one in self.gold
            ],
            "notes": list(self.notes),
        }


def pass_list(record: Record) -> PassList:
    """The pass list as the record has it; a pure function."""
    standings = record.standings()
    gold = tuple(scores_with_gold(record.options, record.gold, record.gold_work, record.since))
    notes = [*_short(record, standings), *_flagged(gold), *_unwritten(record)]
    return PassList(standings, gold, tuple(notes))


def again(corpus: Path, record: Record, person_id: str, now: datetime) -> Since:
    """Ask a person to qualify again, on gold that they have not seen; from when on.

    `UserError` when they cannot: unknown, on their way already, or without gold that is new to them.
    """
    person = next((one for one in record.options.people if one.person_id == person_id), None)
    if person is None or not person.active:
        raise UserError(f"Expected somebody who is active among the people of the campaign, got {person_id!r}.")
    if record.options.qualification is None:
        raise UserError("The campaign has no qualification. Add 'qualification: {}' to its campaign.yaml.")
    found = record.standings().get(person_id)
    attempt = 0
    if found is not None:
        if found.phase in ("training", "gold"):
            raise UserError(f"{person_id} is qualifying already ({found.phase}): {len(found.todo)} tasks are open.")
        attempt = record.since.get(person_id, START).attempt if found.attempt is None else found.attempt + 1
    sets = record.gold.sets[attempt : attempt + 1]
    if not any(one.task(*asked(person.roles)) for part in sets for one in part):
        raise UserError(
            f"No gold is left that {person_id} has not seen. Add lines of attempt {attempt}, with what their roles are "
            "judged by, to gold.jsonl."
        )
    since = Since(attempt, now.isoformat(timespec="microseconds").replace("+00:00", "Z"))
    ask_again(corpus / FOLDER, person_id, since)
    return since


def _short(record: Record, standings: Mapping[str, Standing]) -> list[str]:
    """Stages for which too few people have passed or can still pass."""
    failed = {name for name, one in standings.items() if one.phase == "failed"}
    found = []
    for need in record.options.needs():
        able = [
            person
            for person in record.options.people
            if person.active and need.role in person.roles and person.person_id not in failed
        ]
        if failed and len(able) < need.count:
            found.append(
                f"Stage {need.stage} needs {need.count} people with the role {need.role!r}, and {len(able)} passed or "
                "still can. Add people, or let somebody qualify again."
            )
    return found


def _flagged(gold: tuple[GoldScore, ...]) -> list[str]:
    return [f"{one.person_id} in stage {stage}: {one.sentence}" for stage, one in gold if one.flagged]


def _unwritten(record: Record) -> list[str]:
    """Pairs that wait until their instruction is rewritten."""
    waiting = [
        pair.pair_id
        for pair in record.pairs
        if pair.pair_id in record.work and prompt_check.waits(record.work[pair.pair_id].checks, pair.instruction)
    ]
    if not waiting:
        return []
    names = ", ".join(waiting[:5]) + (f" and {len(waiting) - 5} more" if len(waiting) > 5 else "")
    return [f"{len(waiting)} pairs wait until their instruction in pairs.jsonl is rewritten: {names}."]


def _values(one: Standing) -> dict[str, Any]:
    verdicts = [asdict(verdict) | {"sentences": list(verdict.sentences)} for verdict in one.verdicts]
    return {
        "person_id": one.person_id,
        "phase": one.phase,
        "attempt": one.attempt,
        "todo": len(one.todo),
        "verdicts": verdicts,
    }
