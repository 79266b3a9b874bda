"""What counts of a campaign as Label Studio exports that `editfhf build` reads: `annotations/*.json` of the corpus.

What became of the instructions is for the manager, in `campaign/prompt_check.jsonl`.  Gold and qualification are in the
archive alone.

Everybody is named by `person_id`; every round is kept.  Of texts there is what reviewers stood by, each with the words
that it meant, and what an expert settled is the expert's own text in the expert review.  What was set aside, or came
too late, is in the archive alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from annotation import jsonlines
from annotation.campaign.answers import NOTHING, Work, owned_task
from annotation.campaign.exchange.archive import FILE as ARCHIVE
from annotation.campaign.exchange.archive import Archive, Version
from annotation.campaign.exchange.lock import locked
from annotation.campaign.options import FOLDER, Stage, read_options
from annotation.campaign.planning import prompt_check
from annotation.campaign.planning.planner import PairState, states
from annotation.campaign.planning.round_robin import Turn
from annotation.campaign.record import RecordReader
from annotation.campaign.tasks import Size, TaskKey
from annotation.corpus import ANNOTATIONS
from annotation.predictions import Result, rationale_results
from annotation.records import Region
from annotation.text import collapsed
from mos.errors import UserError

EXPORTED = "exported.json"
NAMES = ("regions", "expert", "rationales", "ratings")

Task = dict[str, Any]
Digests = dict[str, list[str]]
SAID = ("rationale", "flaw_type", "severity")
"""Controls of what is said of a region."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote: tasks by file (relative to the corpus), and pairs that went through every step."""

    files: dict[str, int]
    finished: int
    pairs: int


def export_campaign(corpus: Path, force: bool = False) -> Exported:
    """Write the exports of the campaign in a corpus; the same archive gives the same bytes.

    `UserError` when one of the files is there and not as an earlier export wrote it, unless `force`.
    """
    with locked(corpus / FOLDER):
        options = read_options(corpus)
        if not (corpus / FOLDER / ARCHIVE).is_file():
            raise UserError(f"Nothing was collected yet in {corpus / FOLDER}. Run: editfhf annotate sync {corpus}")
        with Archive(corpus / FOLDER / ARCHIVE) as archive:
            record, _ = RecordReader(corpus, archive).read(options)
            known = _exported(corpus)
            for name in NAMES:
                _check_ours(corpus, _file(name, options.campaign_id), known, force)
            found = [
                (state, record.work.get(state.pair_id, NOTHING), record.sizes.get(state.pair_id))
                for state in states(record)
            ]
            written = {
                file: _write(corpus, file, _tasks(name, archive, found), known)
                for name in NAMES
                for file in [_file(name, options.campaign_id)]
            }
            _write_checks(corpus, found)
        finished = sum(state.step is None for state, _, _ in found)
        return Exported({file: count for file, count in written.items() if count}, finished, len(found))


def _write_checks(corpus: Path, found: list[tuple[PairState, Work, Size | None]]) -> None:
    """What was said of every instruction, by pair; without any there is no file."""
    path = corpus / FOLDER / prompt_check.FILE
    lines = [prompt_check.line(state.pair_id, work.checks) for state, work, _ in found if work.checks]
    if not lines:
        path.unlink(missing_ok=True)
        return
    draft = path.with_name(f".{path.name}.draft")
    jsonlines.write(draft, lines)
    draft.replace(path)


def _tasks(name: str, archive: Archive, found: list[tuple[PairState, Work, Size | None]]) -> Iterator[Task]:
    """The tasks of one file, by pair and key, numbered from 1."""
    stage: dict[str, Stage] = {"regions": "regional", "expert": "expert", "ratings": "scoring"}
    number = 0
    for state, work, size in found:
        tasks = _reviewed(state, size) if name == "rationales" else _done(archive, work, stage[name])
        if name == "expert":
            tasks = [*tasks, *_settled(archive, state, work, size)]
        for task in tasks:
            number += 1
            yield {"id": number} | task


def _done(archive: Archive, work: Work, stage: Stage) -> list[Task]:
    keys = sorted(key for key in work.counted if key.stage == stage)
    return [owned_task(key, list(_counted(archive, key, work).values())) for key in keys]


def _counted(archive: Archive, key: TaskKey, work: Work) -> dict[int, Version]:
    """The versions of a task that count, by their line in the archive."""
    return {
        line: version
        for history in archive.versions(str(key)).values()
        for line, version in history
        if line in work.counted[key]
    }


def _reviewed(state: PairState, size: Size | None) -> list[Task]:
    """What reviewers of a pair stood by, one annotation for each time that one of them spoke."""
    regions = {region.region_id: region for region in state.regions}
    spoken: dict[tuple[str, str], list[tuple[Region, Turn]]] = {}
    for name, review in state.reviews.items():
        for turn in review.counted:
            spoken.setdefault((turn.at, turn.reviewer), []).append((_said(regions[name], turn), turn))
    if not spoken or size is None:
        return []
    annotations = []
    for number, ((at, reviewer), said) in enumerate(sorted(spoken.items()), start=1):
        agreed = all(collapsed(turn.said) == collapsed(turn.seen) for _, turn in said)
        results = rationale_results([region for region, _ in said], "agree" if agreed else "revise", *size)
        annotations.append(_annotation(number, reviewer, results, at))
    return [{"data": {"pair_id": state.pair_id}, "annotations": annotations}]


def _settled(archive: Archive, state: PairState, work: Work, size: Size | None) -> list[Task]:
    """The expert's review once more, with the texts on which the reviewers did not agree and an expert decided."""
    regions = {region.region_id: region for region in state.regions}
    settled = [
        (_said(regions[name], review.result), review.result)
        for name, review in state.reviews.items()
        if review.status == "settled" and review.result is not None
    ]
    if not settled or size is None:
        return []
    latest = max(work.expert, key=lambda annotation: (annotation.at, annotation.place))
    versions = {
        line: version
        for key in work.counted
        if key.stage == "expert"
        for line, version in _counted(archive, key, work).items()
    }
    review = versions[latest.place.row].annotation or {}
    results = rationale_results([region for region, _ in settled], None, *size)
    said = {(item["id"], item["from_name"]): item for item in results if item["from_name"] in SAID}
    kept = [item for item in review["result"] if (item.get("id"), item.get("from_name")) not in said]
    turn = max((turn for _, turn in settled), key=lambda turn: (turn.at, turn.reviewer))
    # Of all experts the latest word counts.
    at = max(turn.at, latest.at)
    annotation = _annotation(1, turn.reviewer, [*kept, *said.values()], at)
    return [{"data": {"pair_id": state.pair_id}, "annotations": [annotation]}]


def _said(region: Region, turn: Turn) -> Region:
    """The region with what was said of it in a turn."""
    return replace(region, rationale=turn.said, flaw_type=turn.flaw_type, severity=turn.severity)


def _annotation(number: int, person_id: str, results: list[Result], at: str) -> dict[str, Any]:
    times = {"created_at": at, "updated_at": at}
    return {"id": number, "completed_by": {"email": person_id}, "result": results, "was_cancelled": False} | times


def _file(name: str, campaign_id: str) -> str:
    return f"{ANNOTATIONS}/{name}-{campaign_id}.json"


def _exported(corpus: Path) -> Digests:
    """Digests of the files that earlier exports wrote: of each the last two, since the last may have been cut off."""
    path = corpus / FOLDER / EXPORTED
    try:
        known = orjson.loads(path.read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return {}
    return known if isinstance(known, dict) else {}


def _check_ours(corpus: Path, file: str, known: Digests, force: bool) -> None:
    path = corpus / file
    if path.exists() and not force and hashlib.sha256(path.read_bytes()).hexdigest() not in known.get(file, []):
        raise UserError(f"{path} is not as an export left it. Move it, or say --force to replace it.")


def _write(corpus: Path, file: str, tasks: Iterable[Task], known: Digests) -> int:
    """Write one file in one step and note its digest; how many tasks it has.  Without any there is no file."""
    path = corpus / file
    path.parent.mkdir(exist_ok=True)
    draft = path.parent / f".{path.name}.draft"
    count, digest = 0, hashlib.sha256()
    with draft.open("wb") as stream:
        for task in tasks:
            piece = (b",\n" if count else b"[\n") + orjson.dumps(task)
            digest.update(piece)
            stream.write(piece)
            count += 1
        digest.update(b"\n]\n")
        stream.write(b"\n]\n")
    if count:
        _note(corpus, known, file, digest.hexdigest())
        draft.replace(path)
    else:
        draft.unlink()
        path.unlink(missing_ok=True)
    return count


def _note(corpus: Path, known: Digests, file: str, digest: str) -> None:
    known[file] = [digest, *known.get(file, [])][:2]
    path = corpus / FOLDER / EXPORTED
    draft = path.with_name(f".{EXPORTED}.draft")
    draft.write_bytes(orjson.dumps(known, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2))
    draft.replace(path)
