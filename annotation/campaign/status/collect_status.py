"""Collect the status of a campaign from its corpus and archive, without the server, even while a sync runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from annotation.campaign.answers import read_lead_time
from annotation.campaign.archive import ARCHIVE_FILE, AnswerArchive, open_archive_copy
from annotation.campaign.gold.hidden_gold import hidden_gold_scores
from annotation.campaign.model import NO_WORK, CampaignRecord, PairStatus, TaskKey
from annotation.campaign.options import CAMPAIGN_FOLDER, CampaignOptions, read_campaign_options
from annotation.campaign.participant_notes import list_participant_notes
from annotation.campaign.planning.outdated_tasks import list_open_redos
from annotation.campaign.planning.pass_list import (
    find_stray_drafts,
    make_pass_list,
    missing_draft_notes,
    undecided_pair_notes,
)
from annotation.campaign.planning.planner import iter_pair_statuses
from annotation.campaign.planning.staffing import stage_needs
from annotation.campaign.prompt_check import awaits_rewrite
from annotation.campaign.read_record import RecordReader
from annotation.campaign.state_files import read_task_times, read_unreadable_notes
from annotation.campaign.status.agreement import (
    TextAnswer,
    campaign_agreement,
    quick_agreement_notes,
)
from annotation.campaign.status.progress import (
    AssignedTask,
    ProgressOptions,
    SubmittedAnswer,
    compute_progress,
    make_status_rows,
)
from annotation.campaign.status.report import WAIT_PHRASES, CampaignStatus, StatusRow, WaitingPairs, WaitReason
from mos.words import format_quantity


def read_campaign_status(corpus: Path, now: datetime) -> CampaignStatus:
    """Read the status of the campaign in a corpus, as the last sync left it.

    Parameters
    ----------
    corpus
        Folder of the corpus.
    now
        Present time, with a time zone.

    Raises
    ------
    UserError
        There is no campaign in the corpus, or one of its files is wrong.
    """
    options = read_campaign_options(corpus)
    task_times = read_task_times(corpus / CAMPAIGN_FOLDER)
    with open_archive_copy(corpus) as archive:
        record, rejections = RecordReader(corpus, archive).read(options, task_times)
        statuses = list(iter_pair_statuses(record))
        texts: list[TextAnswer] = []
        submitted = list(_iter_submitted(archive, record, texts))
        damaged = len(archive.damaged)
        written = list_participant_notes(archive, options)
    agreement, figures = campaign_agreement(record, statuses)
    assigned = _assigned_tasks(statuses, submitted, record, task_times)
    to_come = _count_future_tasks(statuses, options)
    progress = compute_progress(assigned, submitted, now, ProgressOptions(), agreement, to_come)
    lines = format_quantity(damaged, "line")
    notes = (
        [f"{lines} of {CAMPAIGN_FOLDER}/{ARCHIVE_FILE} cannot be read. Restore what is missing from a backup."]
        if damaged
        else []
    )
    return CampaignStatus(
        options.name,
        now.astimezone(UTC).isoformat(timespec="seconds"),
        max((answer.at for answer in submitted), default=None) or None,
        _add_gold_scores(make_status_rows(progress), record),
        sum(status.step is None for status in statuses),
        len(statuses),
        dict(Counter(rejection.reason for rejection in (*rejections, *find_stray_drafts(record, statuses)))),
        [
            *notes,
            *read_unreadable_notes(corpus / CAMPAIGN_FOLDER),
            *make_pass_list(record).notes,
            *missing_draft_notes(statuses),
            *undecided_pair_notes(record, statuses),
            *quick_agreement_notes(texts),
        ],
        figures,
        {stage.stage: stage.to_come for stage in progress.stages if stage.to_come},
        written,
        _list_waiting_pairs(record, statuses),
    )


def _list_waiting_pairs(record: CampaignRecord, statuses: Iterable[PairStatus]) -> list[WaitingPairs]:
    """What pairs wait for, other than open tasks of people who can do them."""
    pairs, tasks = Counter[WaitReason](), Counter[WaitReason]()
    instructions = {pair.pair_id: pair.instruction for pair in record.pairs}
    for status in statuses:
        redo = list_open_redos(record, status)
        pairs["qualification"] += bool(status.unqualified)
        tasks["qualification"] += len(status.unqualified)
        pairs["redo"] += bool(redo)
        tasks["redo"] += len(redo)
        pairs["drafts"] += status.step == "textual" and not status.reviews
        checks = record.work.get(status.pair_id, NO_WORK).checks
        pairs["rewrite"] += status.step == "prompt_check" and awaits_rewrite(checks, instructions[status.pair_id])
    return [WaitingPairs(why, pairs[why], tasks[why]) for why in WAIT_PHRASES if pairs[why]]


def _read_text_answer(key: TaskKey, data: Mapping[str, Any], annotation: Mapping[str, Any]) -> TextAnswer:
    seen, results = data.get("seen"), annotation.get("result")
    words = sum(len(text.split()) for text in seen.values() if isinstance(text, str)) if isinstance(seen, dict) else 0
    verdicts = [
        item.get("value", {}).get("choices")
        for item in (results if isinstance(results, list) else ())
        if isinstance(item, dict) and item.get("from_name") == "verdict" and isinstance(item.get("value"), dict)
    ]
    return TextAnswer(key.person_id, ["agree"] in verdicts, words, read_lead_time(annotation))


def _iter_submitted(
    archive: AnswerArchive, record: CampaignRecord, texts: list[TextAnswer]
) -> Iterator[SubmittedAnswer]:
    """Yield every version of every answer to a task of the campaign; add those on texts that count to `texts`."""
    done = {key for works in (record.work, record.gold_work) for work in works.values() for key in work.done}
    people = {person.person_id for person in record.options.people}
    stages = {*record.options.task_stages, "qualification"}
    shown = record.shown
    for text in archive.known_keys():
        key = TaskKey.parse(text)
        if key is None or key.pair_id not in shown or key.person_id not in people or key.stage not in stages:
            continue
        for history in archive.versions(text).values():
            for _, version in history:
                if version.annotation is not None:
                    if key.stage == "textual" and key in done:
                        texts.append(_read_text_answer(key, version.data, version.annotation))
                    at, seconds = _submission_time(version.annotation), read_lead_time(version.annotation)
                    yield SubmittedAnswer(key.stage, key.person_id, key.pair_id, at, seconds, key.round, key in done)


def _assigned_tasks(
    statuses: Iterable[PairStatus],
    submitted: Iterable[SubmittedAnswer],
    record: CampaignRecord,
    task_times: Mapping[str, str],
) -> set[AssignedTask]:
    """Tasks that are or should be on the server, and all tasks with a submission."""
    active = {person.person_id for person in record.options.people if person.active}
    stages = {*record.options.task_stages, "qualification"}
    shown = record.shown
    keys = {spec.key for status in statuses for spec in status.wanted}
    # Open tasks of people who left do not count.
    keys |= {key for key in record.existing if key.person_id in active and key.pair_id in shown and key.stage in stages}
    tasks = {
        AssignedTask(key.stage, key.person_id, key.pair_id, task_times.get(str(key), ""), key.round) for key in keys
    }
    listed = {(one.stage, one.person_id, one.pair_id, one.round) for one in tasks}
    return tasks | {
        AssignedTask(one.stage, one.person_id, one.pair_id, "", one.round)
        for one in submitted
        if (one.stage, one.person_id, one.pair_id, one.round) not in listed
    }


def _add_gold_scores(rows: Iterable[StatusRow], record: CampaignRecord) -> list[StatusRow]:
    shares: dict[tuple[str, str], float | None] = {
        (stage, one.person_id): one.share
        for stage, one in hidden_gold_scores(record.options, record.gold, record.gold_work, record.since)
    }
    return [replace(row, gold=shares.get((row.stage, row.person))) for row in rows]


def _count_future_tasks(statuses: Iterable[PairStatus], options: CampaignOptions) -> Mapping[str, int]:
    """Number of tasks of later steps, by stage; for texts the smallest number that a pair can need."""
    count = {need.stage: need.count for need in stage_needs(options)}
    to_come: Counter[str] = Counter()
    for status in statuses:
        if status.step is not None and status.step != "dropped":
            later = options.steps[options.steps.index(status.step) + 1 :]
            to_come.update({step: count[step] for step in later})
    return to_come


def _submission_time(annotation: Mapping[str, Any]) -> str:
    at = annotation.get("updated_at") or annotation.get("created_at")
    return at if isinstance(at, str) else ""
