"""From a corpus and its archive to the status of its campaign, without a server and beside a running sync."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from annotation.campaign.answers import lead_time
from annotation.campaign.exchange.archive import FILE as ARCHIVE
from annotation.campaign.exchange.archive import Archive
from annotation.campaign.exchange.handed_out import read_handed_out
from annotation.campaign.exchange.unread import read_unread
from annotation.campaign.gold.hidden import scores_with_gold
from annotation.campaign.options import FOLDER, Options, read_options
from annotation.campaign.planning.planner import PairState, Record, states, without_drafts
from annotation.campaign.quality.agreeing import agreement
from annotation.campaign.record import RecordReader
from annotation.campaign.status.progress import Assigned, ProgressOptions, Submitted, progress, status_rows
from annotation.campaign.status.rows import Row, Status
from annotation.campaign.tasks import TaskKey


def look(corpus: Path, now: datetime) -> Status:
    """The status of the campaign in a corpus at `now` (with a zone), as the last sync left it."""
    options = read_options(corpus)
    handed = read_handed_out(corpus / FOLDER)
    with archive_copy(corpus) as archive:
        record, aside = RecordReader(corpus, archive).read(options, handed)
        where = list(states(record))
        submitted = list(_submitted(archive, record))
        damaged = len(archive.damaged)
    agreeing, figures = agreement(record, where)
    assigned = _assigned(where, submitted, record, handed)
    found = progress(assigned, submitted, now, ProgressOptions(), agreeing, _to_come(where, options))
    notes = [f"{damaged} lines of {FOLDER}/{ARCHIVE} cannot be read. Restore them from a back-up."] if damaged else []
    return Status(
        options.name,
        now.astimezone(UTC).isoformat(timespec="seconds"),
        max((answer.at for answer in submitted), default=None) or None,
        _with_gold(status_rows(found), record),
        sum(state.step is None for state in where),
        len(where),
        dict(Counter(one.reason for one in aside)),
        [*notes, *read_unread(corpus / FOLDER), *without_drafts(where)],
        figures,
        {stage.stage: stage.to_come for stage in found.stages if stage.to_come},
    )


@contextmanager
def archive_copy(corpus: Path) -> Iterator[Archive]:
    """A copy of the archive: to open it is to mend its end, which a sync may be writing at this moment."""
    source = corpus / FOLDER / ARCHIVE
    with TemporaryDirectory(prefix="editfhf-") as folder:
        copy = Path(folder, ARCHIVE)
        if source.is_file():
            shutil.copyfile(source, copy)
        with Archive(copy) as archive:
            yield archive


def _submitted(archive: Archive, record: Record) -> Iterator[Submitted]:
    """Every state of every answer to a task of the campaign."""
    done = {key for works in (record.work, record.gold_work) for work in works.values() for key in work.done}
    people = {person.person_id for person in record.options.people}
    stages = {need.stage for need in record.options.needs()} | {"qualification"}
    shown = record.shown
    for text in archive.known_keys():
        key = TaskKey.parse(text)
        if key is None or key.pair_id not in shown or key.person_id not in people or key.stage not in stages:
            continue
        for history in archive.versions(text).values():
            for _, version in history:
                if version.annotation is not None:
                    at, seconds = _when(version.annotation), lead_time(version.annotation)
                    yield Submitted(key.stage, key.person_id, key.pair_id, at, seconds, key.round, key in done)


def _assigned(
    where: Iterable[PairState], submitted: Iterable[Submitted], record: Record, handed: Mapping[str, str]
) -> set[Assigned]:
    """Tasks that are or should be on the server, and those to which something was submitted."""
    active = {person.person_id for person in record.options.people if person.active}
    stages = {need.stage for need in record.options.needs()} | {"qualification"}
    shown = record.shown
    keys = {spec.key for state in where for spec in state.wanted}
    # Who left does nothing of what they still have.
    keys |= {key for key in record.existing if key.person_id in active and key.pair_id in shown and key.stage in stages}
    tasks = {Assigned(key.stage, key.person_id, key.pair_id, handed.get(str(key), ""), key.round) for key in keys}
    told = {(one.stage, one.person_id, one.pair_id, one.round) for one in tasks}
    return tasks | {
        Assigned(one.stage, one.person_id, one.pair_id, "", one.round)
        for one in submitted
        if (one.stage, one.person_id, one.pair_id, one.round) not in told
    }


def _with_gold(rows: Iterable[Row], record: Record) -> list[Row]:
    found: dict[tuple[str, str], float | None] = {
        (stage, one.person_id): one.share
        for stage, one in scores_with_gold(record.options, record.gold, record.gold_work, record.since)
    }
    return [replace(row, gold=found.get((row.stage, row.person))) for row in rows]


def _to_come(where: Iterable[PairState], options: Options) -> Mapping[str, int]:
    """Tasks of steps that pairs have not reached, by stage; of texts the fewest that a pair can take."""
    count = {need.stage: need.count for need in options.needs()}
    found: Counter[str] = Counter()
    for state in where:
        if state.step is not None and state.step != "dropped":
            later = options.steps[options.steps.index(state.step) + 1 :]
            found.update({step: count[step] for step in later})
    return found


def _when(annotation: Mapping[str, Any]) -> str:
    at = annotation.get("updated_at") or annotation.get("created_at")
    return at if isinstance(at, str) else ""
