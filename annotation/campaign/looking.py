"""From a corpus and its archive to the status of its campaign, without a server and beside a running sync."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from annotation.campaign.answers import lead_time
from annotation.campaign.archive import FILE as ARCHIVE
from annotation.campaign.archive import Archive
from annotation.campaign.options import FOLDER, Options, read_options
from annotation.campaign.planner import PairState, Record, states
from annotation.campaign.progress import Assigned, ProgressOptions, Submitted, progress, status_rows
from annotation.campaign.quality import by_person, compare
from annotation.campaign.record import RecordReader
from annotation.campaign.status import Status
from annotation.campaign.tasks import TaskKey

IOU = 0.5
"""Overlap at which two annotators drew the same box, for the agreement that is shown."""


def look(corpus: Path, now: datetime) -> Status:
    """The status of the campaign in a corpus at `now` (with a zone), as the last sync left it."""
    options = read_options(corpus)
    with archive_copy(corpus) as archive:
        record, aside = RecordReader(corpus, archive).read(options)
        where = list(states(record))
        done = frozenset(key for work in record.work.values() for key in work.done)
        submitted = list(_submitted(archive, record, done))
        damaged = len(archive.damaged)
    found = progress(
        _assigned(where, submitted), submitted, now, ProgressOptions(), _agreement(record), _to_come(where, options)
    )
    notes = [f"{stage.stage}: {stage.to_come:,} more tasks are to come." for stage in found.stages if stage.to_come]
    if damaged:
        notes.append(f"{damaged} lines of {FOLDER}/{ARCHIVE} cannot be read. Restore them from a back-up.")
    return Status(
        options.name,
        now.astimezone(UTC).isoformat(timespec="seconds"),
        max((answer.at for answer in submitted), default=None) or None,
        status_rows(found),
        sum(state.step is None for state in where),
        len(where),
        dict(Counter(one.reason for one in aside)),
        notes,
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


def _submitted(archive: Archive, record: Record, done: frozenset[TaskKey]) -> Iterator[Submitted]:
    """Every state of every answer to a task of the campaign."""
    pairs = {pair.pair_id for pair in record.pairs}
    people = {person.person_id for person in record.options.people}
    stages = {need.stage for need in record.options.needs()}
    for text in archive.known_keys():
        key = TaskKey.parse(text)
        if key is None or key.pair_id not in pairs or key.person_id not in people or key.stage not in stages:
            continue
        for history in archive.versions(text).values():
            for _, version in history:
                if version.annotation is not None:
                    at, seconds = _when(version.annotation), lead_time(version.annotation)
                    yield Submitted(key.stage, key.person_id, key.pair_id, at, seconds, key.round, key in done)


def _assigned(where: Iterable[PairState], submitted: Iterable[Submitted]) -> set[Assigned]:
    """Tasks that should be on the server now, and those to which something was submitted."""
    keys = {spec.key for state in where for spec in state.wanted}
    waiting = {Assigned(key.stage, key.person_id, key.pair_id, "", key.round) for key in keys}
    return waiting | {Assigned(one.stage, one.person_id, one.pair_id, "", one.round) for one in submitted}


def _to_come(where: Iterable[PairState], options: Options) -> Mapping[str, int]:
    """Tasks of steps that pairs have not reached, by stage; of texts the fewest that a pair can take."""
    count = {need.stage: need.count for need in options.needs()}
    found: Counter[str] = Counter()
    for state in where:
        if state.step is not None and state.step != "dropped":
            later = options.steps[options.steps.index(state.step) + 1 :]
            found.update({step: count[step] for step in later})
    return found


def _agreement(record: Record) -> dict[tuple[str, str], float]:
    """F1 of each annotator's boxes with those of the others on the same pairs."""
    marked = [annotation for work in record.work.values() for annotation in work.regional]
    heights = {pair_id: height for pair_id, (_, height) in record.sizes.items()}
    people = by_person(marked, compare(marked, heights, (IOU,)), {})
    return {("regional", one.person_id): f1 for one in people for f1 in one.f1 if f1 is not None}


def _when(annotation: Mapping[str, Any]) -> str:
    at = annotation.get("updated_at") or annotation.get("created_at")
    return at if isinstance(at, str) else ""
