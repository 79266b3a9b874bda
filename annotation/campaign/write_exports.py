"""Write the submissions that count as Label Studio exports for `editfhf build`: `annotations/*.json` of the corpus.

`annotations/rules.yaml` holds the rules of the campaign, for the build.  `campaign/prompt_check.jsonl` holds the
verdicts on the instructions, for the manager.

The exports name participants by `person_id` and keep every round.  For texts they hold the reviewers' turns that count;
a text that an expert settled is part of the expert review.  Gold, qualification, rejected and late submissions are only
in the archive.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import orjson

from annotation import rules
from annotation.campaign.answers import make_owned_task
from annotation.campaign.archive import ARCHIVE_FILE, AnnotationVersion, AnswerArchive
from annotation.campaign.model import NO_WORK, PairImageSize, PairStatus, PairWork, ReviewTurn, TaskKey
from annotation.campaign.options import CAMPAIGN_FOLDER, CampaignStage, read_campaign_options
from annotation.campaign.planning.planner import iter_pair_statuses
from annotation.campaign.prompt_check import PROMPT_CHECK_FILE, make_check_line
from annotation.campaign.read_record import RecordReader
from annotation.campaign.state_files import lock_campaign
from annotation.corpus import ANNOTATIONS_FOLDER, CORPUS_RULES_PATH
from annotation.json_lines import write_json_lines
from annotation.labelstudio.read_marks import SHOWS_DISKS_FIELD
from annotation.labelstudio.results import ResultJson, rationale_results
from annotation.records import Region
from annotation.text import collapse_blanks
from mos.errors import UserError
from mos.files import open_replacement, read_regular_file, replace_file

EXPORT_DIGESTS_FILE = "exported.json"
EXPORT_NAMES = ("regions", "expert", "rationales", "ratings")

ExportTask = dict[str, Any]
ExportDigests = dict[str, list[str]]
TEXT_CONTROLS = ("rationale", "flaw_type", "severity")
"""Controls of the text, flaw type and severity of a region."""


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What an export wrote.

    Parameters
    ----------
    files
        Number of tasks by file, relative to the corpus.
    rules
        File with the rules of the campaign, relative to the corpus.
    finished, pairs
        Number of pairs that finished every step, and of all pairs.
    """

    files: dict[str, int]
    rules: str
    finished: int
    pairs: int


def export_campaign(corpus: Path, force: bool = False) -> ExportSummary:
    """Write the exports of the campaign in a corpus; the same archive gives the same bytes.

    Parameters
    ----------
    corpus
        Folder of the corpus.
    force
        Whether to replace files that were changed since an earlier export wrote them.

    Returns
    -------
    ExportSummary

    Raises
    ------
    UserError
        There is no campaign or no archive, another command uses the campaign, or a file was changed, unless `force`.
    """
    with lock_campaign(corpus / CAMPAIGN_FOLDER):
        options = read_campaign_options(corpus)
        if not (corpus / CAMPAIGN_FOLDER / ARCHIVE_FILE).is_file():
            raise UserError(
                f"There are no submissions in {corpus / CAMPAIGN_FOLDER} yet. Run: editfhf annotate sync {corpus}"
            )
        with AnswerArchive(corpus / CAMPAIGN_FOLDER / ARCHIVE_FILE) as archive:
            record, _ = RecordReader(corpus, archive).read(options)
            known = _read_export_digests(corpus)
            for name in EXPORT_NAMES:
                _check_unchanged(corpus, _export_path(name, options.campaign_id), known, force)
            content = rules.format_rules(options.rules).encode()
            if not _has_content(corpus / CORPUS_RULES_PATH, content):
                _check_unchanged(corpus, CORPUS_RULES_PATH, known, force)
            pairs = [
                (state, record.work.get(state.pair_id, NO_WORK), record.sizes.get(state.pair_id))
                for state in iter_pair_statuses(record)
            ]
            written = {
                file: _write_export_file(corpus, file, _iter_export_tasks(name, archive, pairs), known)
                for name in EXPORT_NAMES
                for file in [_export_path(name, options.campaign_id)]
            }
            _write_rules(corpus, content, known)
            _write_prompt_checks(corpus, pairs)
        finished = sum(state.step is None for state, _, _ in pairs)
        return ExportSummary(
            {file: count for file, count in written.items() if count}, CORPUS_RULES_PATH, finished, len(pairs)
        )


def _write_prompt_checks(corpus: Path, pairs: list[tuple[PairStatus, PairWork, PairImageSize | None]]) -> None:
    """Write the checks of every instruction, by pair; without checks, remove the file."""
    path = corpus / CAMPAIGN_FOLDER / PROMPT_CHECK_FILE
    lines = [make_check_line(state.pair_id, work.checks) for state, work, _ in pairs if work.checks]
    if not lines:
        path.unlink(missing_ok=True)
        return
    write_json_lines(path, lines)


def _iter_export_tasks(
    name: str, archive: AnswerArchive, pairs: list[tuple[PairStatus, PairWork, PairImageSize | None]]
) -> Iterator[ExportTask]:
    """Yield the tasks of one file, by pair and key, numbered from 1."""
    stage: dict[str, CampaignStage] = {"regions": "regional", "expert": "expert", "ratings": "scoring"}
    number = 0
    for state, work, size in pairs:
        tasks = _review_tasks(state, size) if name == "rationales" else _completed_tasks(archive, work, stage[name])
        if name == "expert":
            tasks = [*tasks, *_expert_text_tasks(archive, state, work, size)]
        for task in tasks:
            number += 1
            yield {"id": number} | task


def _completed_tasks(archive: AnswerArchive, work: PairWork, stage: CampaignStage) -> list[ExportTask]:
    keys = sorted(key for key in work.counted if key.stage == stage)
    return [make_owned_task(key, list(_counted_versions(archive, key, work).values())) for key in keys]


def _counted_versions(archive: AnswerArchive, key: TaskKey, work: PairWork) -> dict[int, AnnotationVersion]:
    """The versions of a task that count, by their line in the archive."""
    return {
        line: version
        for history in archive.versions(str(key)).values()
        for line, version in history
        if line in work.counted[key]
    }


def _review_tasks(state: PairStatus, size: PairImageSize | None) -> list[ExportTask]:
    """The reviewers' turns on a pair that count, one annotation for each submission."""
    regions = {region.region_id: region for region in state.regions}
    submissions: dict[tuple[str, str], list[tuple[Region, ReviewTurn]]] = {}
    for name, review in state.reviews.items():
        for turn in review.counted:
            submissions.setdefault((turn.at, turn.reviewer), []).append((_apply_turn(regions[name], turn), turn))
    if not submissions or size is None:
        return []
    annotations = []
    for number, ((at, reviewer), turns) in enumerate(sorted(submissions.items()), start=1):
        agreed = all(collapse_blanks(turn.said) == collapse_blanks(turn.seen) for _, turn in turns)
        results = rationale_results([region for region, _ in turns], "agree" if agreed else "revise", *size)
        annotations.append(_make_annotation(number, reviewer, results, at))
    return [{"data": {"pair_id": state.pair_id}, "annotations": annotations}]


def _expert_text_tasks(
    archive: AnswerArchive, state: PairStatus, work: PairWork, size: PairImageSize | None
) -> list[ExportTask]:
    """The latest expert review again, with the texts that an expert settled."""
    regions = {region.region_id: region for region in state.regions}
    settled = [
        (_apply_turn(regions[name], review.result), review.result)
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
        for line, version in _counted_versions(archive, key, work).items()
    }
    reviewed = versions[latest.place.row]
    review = reviewed.annotation or {}
    results = rationale_results([region for region, _ in settled], None, *size)
    texts = {(item["id"], item["from_name"]): item for item in results if item["from_name"] in TEXT_CONTROLS}
    kept = [item for item in review["result"] if (item.get("id"), item.get("from_name")) not in texts]
    turn = max((turn for _, turn in settled), key=lambda turn: (turn.at, turn.reviewer))
    # Of all expert reviews the latest counts.
    at = max(turn.at, latest.at)
    annotation = _make_annotation(1, turn.reviewer, [*kept, *texts.values()], at)
    # Without its key and what it showed, a build would take the review for one of another tool.
    shown = {name: value for name, value in reviewed.data.items() if name in ("key", SHOWS_DISKS_FIELD)}
    return [{"data": {"pair_id": state.pair_id} | shown, "annotations": [annotation]}]


def _apply_turn(region: Region, turn: ReviewTurn) -> Region:
    """The region with the text, flaw type and severity of a turn."""
    return replace(region, rationale=turn.said, flaw_type=turn.flaw_type, severity=turn.severity)


def _make_annotation(number: int, person_id: str, results: list[ResultJson], at: str) -> dict[str, Any]:
    times = {"created_at": at, "updated_at": at}
    return {"id": number, "completed_by": {"email": person_id}, "result": results, "was_cancelled": False} | times


def _export_path(name: str, campaign_id: str) -> str:
    return f"{ANNOTATIONS_FOLDER}/{name}-{campaign_id}.json"


def _read_export_digests(corpus: Path) -> ExportDigests:
    """The last two digests of each file that earlier exports wrote; the last write may have been cut off."""
    path = corpus / CAMPAIGN_FOLDER / EXPORT_DIGESTS_FILE
    try:
        known = orjson.loads(read_regular_file(path))
    except (FileNotFoundError, orjson.JSONDecodeError):
        return {}
    return known if isinstance(known, dict) else {}


def _check_unchanged(corpus: Path, file: str, known: ExportDigests, force: bool) -> None:
    path = corpus / file
    if path.exists() and not force and hashlib.sha256(read_regular_file(path)).hexdigest() not in known.get(file, []):
        raise UserError(f"{path} was changed since the last export. Move it, or replace it with --force.")


def _write_export_file(corpus: Path, file: str, tasks: Iterable[ExportTask], known: ExportDigests) -> int:
    """Write one file in one step and note its digest; return its number of tasks.  Without tasks, remove the file."""
    path = corpus / file
    path.parent.mkdir(exist_ok=True)
    remaining = iter(tasks)
    first = next(remaining, None)
    if first is None:
        path.unlink(missing_ok=True)
        return 0
    count, digest = 0, hashlib.sha256()
    with open_replacement(path) as stream:
        for task in chain([first], remaining):
            piece = (b",\n" if count else b"[\n") + orjson.dumps(task)
            digest.update(piece)
            stream.write(piece)
            count += 1
        digest.update(b"\n]\n")
        stream.write(b"\n]\n")
        # The digest first: an export never takes its own file for a changed one, whenever the process ends.
        _note_digest(corpus, known, file, digest.hexdigest())
    return count


def _has_content(path: Path, content: bytes) -> bool:
    return path.is_file() and read_regular_file(path) == content


def _write_rules(corpus: Path, content: bytes, known: ExportDigests) -> None:
    """Write the rules of the campaign in one step and note their digest."""
    path = corpus / CORPUS_RULES_PATH
    path.parent.mkdir(exist_ok=True)
    # The digest first: an export never takes its own file for a changed one, whenever the process ends.
    _note_digest(corpus, known, CORPUS_RULES_PATH, hashlib.sha256(content).hexdigest())
    replace_file(path, content)


def _note_digest(corpus: Path, known: ExportDigests, file: str, digest: str) -> None:
    known[file] = [digest, *known.get(file, [])][:2]
    path = corpus / CAMPAIGN_FOLDER / EXPORT_DIGESTS_FILE
    replace_file(path, orjson.dumps(known, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2))
