"""The archive of a campaign: every version of every annotation that a sync read, in a file that only grows.

A line of `campaign/answers.jsonl` holds one version as Label Studio gave it, with the data of its task, or notes that
an annotation was deleted.  A version that is already known is not written again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

import orjson

from annotation.campaign.options import CAMPAIGN_FOLDER
from annotation.json_lines import MAX_BAD_LINES
from annotation.labelstudio.connection import UNREADABLE_KEY
from mos.errors import UserError
from mos.files import open_regular_file, open_scratch_folder, repair_last_line
from mos.json_limits import MAX_JSON_LENGTH, MAX_JSON_NESTING, describe_json_excess


@contextmanager
def open_archive_copy(corpus: Path) -> Iterator[AnswerArchive]:
    """Open a temporary copy of a corpus's archive.

    Opening an archive repairs its last line, so the file that a running sync may be writing is copied first.
    """
    source = corpus / CAMPAIGN_FOLDER / ARCHIVE_FILE
    with open_scratch_folder() as folder:
        copy = folder / ARCHIVE_FILE
        if source.is_file():
            shutil.copyfile(source, copy)
        with AnswerArchive(copy) as archive:
            yield archive


ARCHIVE_FILE = "answers.jsonl"


TORN_ARCHIVE_FILE = "answers.torn"


DELETED_DIGEST = ""
"""Takes the place of the digest of a deleted annotation."""


ACCOUNT_FIELDS = ("completed_by", "updated_by", "last_created_by")
"""Account numbers in an annotation; the server removes them with the account, which does not change the answer."""


@dataclass(frozen=True, slots=True)
class AnnotationVersion:
    """One state of one annotation.

    project: `stage/person_id` of the project in which it was found
    key: the task's key according to its data, "" without one
    author: e-mail of its author, if known
    editor: e-mail of who changed it last, if known and neither its author nor the manager
    seen_at: ISO time at which it was first read
    annotation: Label Studio's JSON; None when it was deleted
    task_changed: the server's time of the last change of its task when that was read; "" when unknown
    proposals: number of predictions that its task had when it was read; None when unknown
    """

    project: str
    key: str
    task_id: int
    annotation_id: int
    author: str | None
    editor: str | None
    seen_at: str
    data: dict[str, Any]
    annotation: dict[str, Any] | None
    task_changed: str = ""
    proposals: int | None = None

    @property
    def digest(self) -> str:
        """Hash of the annotation without its account numbers; `DELETED_DIGEST` for a deleted annotation."""
        if self.annotation is None:
            return DELETED_DIGEST
        fields = {name: value for name, value in self.annotation.items() if name not in ACCOUNT_FIELDS}
        payload = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
        return hashlib.blake2b(payload, digest_size=16).hexdigest()


class ArchiveEntry(NamedTuple):
    """Index entry of a version: its offset in bytes, its line (from 1), and what is looked up most."""

    offset: int
    line: int
    digest: str
    task_id: int
    project: str
    author: str | None
    task_changed: str


class AnswerArchive:
    """The archive in one file, open for appending; memory holds an index, annotations are read when asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._index: dict[str, dict[int, list[ArchiveEntry]]] = {}
        self._unreadable: set[tuple[str, int]] = set()
        self.authors: dict[int, str] = {}
        self.damaged: list[int] = []
        self._lines = 0
        path.parent.mkdir(exist_ok=True)
        self._stream: BinaryIO = open_regular_file(path, "a+b")
        try:
            self._read()
        except BaseException:
            self._stream.close()
            raise

    def close(self) -> None:
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, versions: Iterable[AnnotationVersion]) -> int:
        """Append the versions that differ from the latest known one, or that name a so far unknown author.

        Returns their number, once they are on the disk.
        """
        offset = self._stream.seek(0, os.SEEK_END)
        lines: list[bytes] = []
        for version in map(_limit_depth, versions):
            digest = version.digest
            latest = self.latest(version.key, version.annotation_id)
            known = latest is None or latest.author is not None or version.author is None
            if digest == (latest.digest if latest else DELETED_DIGEST) and known:
                continue
            line = orjson.dumps(version, option=orjson.OPT_APPEND_NEWLINE)
            self._lines += 1
            self._file(version, offset, digest)
            offset += len(line)
            lines.append(line)
        if lines:
            self._stream.write(b"".join(lines))
            self._stream.flush()
            os.fsync(self._stream.fileno())
        return len(lines)

    def latest(self, key: str, annotation_id: int) -> ArchiveEntry | None:
        """The last version of an annotation of a task; None when there is none."""
        found = self._index.get(key, {}).get(annotation_id)
        return found[-1] if found else None

    def author(self, key: str, annotation_id: int) -> str | None:
        """E-mail of the author of an annotation, from the first version that names one."""
        known = self._index.get(key, {}).get(annotation_id, [])
        return next((filed.author for filed in known if filed.author is not None), None)

    def standing(self, key: str, task_id: int) -> set[int]:
        """Ids of the annotations that the task had when it was last read."""
        return {
            annotation_id
            for annotation_id, filed in self._index.get(key, {}).items()
            if filed[-1].digest != DELETED_DIGEST and filed[-1].task_id == task_id
        }

    def up_to_date(self, key: str, task_id: int, task_changed: str, count: int) -> bool:
        """Whether the archive holds the present state of a task, given its last change and number of annotations."""
        known = self._index.get(key, {})
        latest = [known[number][-1] for number in self.standing(key, task_id)]
        return len(latest) == count and all(
            filed.author is not None and filed.task_changed == task_changed for filed in latest
        )

    def unreadable(self, key: str, task_id: int) -> bool:
        """Whether the server could not show an annotation of the task when it was last read."""
        return any((key, number) in self._unreadable for number in self.standing(key, task_id))

    def known_keys(self) -> list[str]:
        """Every key that has a version, in order."""
        return sorted(self._index)

    def count(self, key: str) -> int:
        """Number of versions of a task's annotations."""
        return sum(map(len, self._index.get(key, {}).values()))

    def versions(self, key: str) -> dict[int, list[tuple[int, AnnotationVersion]]]:
        """All versions of every annotation of a task, the earliest first, each with its line, by annotation id."""
        return {
            annotation_id: [(filed.line, self._load_version(filed)) for filed in found]
            for annotation_id, found in sorted(self._index.get(key, {}).items())
        }

    def _load_version(self, filed: ArchiveEntry) -> AnnotationVersion:
        self._stream.seek(filed.offset)
        version = _parse_version(self._stream.readline())
        if version is None:
            raise ValueError(f"{self._path} changed while it was read")
        return version

    def _file(self, version: AnnotationVersion, offset: int, digest: str) -> None:
        """Add the version on the last line, at this offset, to the index."""
        part = (version.task_id, version.project, version.author, version.task_changed)
        filed = ArchiveEntry(offset, self._lines, digest, *part)
        self._index.setdefault(version.key, {}).setdefault(version.annotation_id, []).append(filed)
        known = version.annotation or {}
        note = self._unreadable.add if UNREADABLE_KEY in known else self._unreadable.discard
        note((version.key, version.annotation_id))
        made_by = known.get("completed_by")
        if isinstance(made_by, int) and version.author is not None:
            self.authors[made_by] = version.author

    def _read(self) -> None:
        repair_last_line(self._stream, keep=self._path.with_name(TORN_ARCHIVE_FILE), path=self._path)
        self._stream.seek(0)
        offset = 0
        while (line := _read_line(self._stream))[1]:
            text, length = line
            version = _parse_version(text)
            self._lines += 1
            if version is not None:
                self._file(version, offset, version.digest)
            else:
                self.damaged.append(self._lines)
                if len(self.damaged) == MAX_BAD_LINES * (1 + self._lines - len(self.damaged)):
                    raise UserError(f"{self._path} is no archive of answers: hardly any line is one. Restore a backup.")
            offset += length


def _read_line(stream: BinaryIO) -> tuple[bytes, int]:
    """The next line and its length; no text of a line that is longer than any answer."""
    line = stream.readline(MAX_JSON_LENGTH + 1)
    length = len(line)
    if length <= MAX_JSON_LENGTH or line.endswith(b"\n"):
        return line, length
    while not line.endswith(b"\n") and (line := stream.readline(MAX_JSON_LENGTH)):
        length += len(line)
    return b"", length


def find_author(annotation: Mapping[str, Any], authors: Mapping[int, str]) -> str | None:
    """E-mail of an annotation's author, given e-mails by user id; None when unknown."""
    made_by = annotation.get("completed_by")
    if isinstance(made_by, dict):
        made_by = made_by.get("id")
    return authors.get(made_by) if isinstance(made_by, int) else None


def find_other_editor(annotation: Mapping[str, Any], authors: Mapping[int, str], manager_id: int) -> str | None:
    """E-mail (or number) of who changed an annotation last, if neither its author nor the manager did."""
    changed_by = annotation.get("updated_by")
    if not isinstance(changed_by, int) or changed_by in (annotation.get("completed_by"), manager_id):
        return None
    return authors.get(changed_by, f"user {changed_by}")


def _limit_depth(version: AnnotationVersion) -> AnnotationVersion:
    """The version with null for values that are nested too deeply to be written as JSON, here or in an export.

    Our interfaces write at most five levels; orjson reads 1,024 and writes 254.
    """
    try:
        orjson.dumps([[[[version.annotation, version.data]]]])
    except TypeError:
        return replace(
            version, annotation=_drop_deep_values(version.annotation), data=_drop_deep_values(version.data) or {}
        )
    return version


def _drop_deep_values(values: dict[str, Any] | None) -> dict[str, Any] | None:
    if values is None:
        return None
    kept: dict[str, Any] = {}
    for name, value in values.items():
        try:
            orjson.dumps([[[[[[value]]]]]])
            kept[name] = value
        except TypeError:
            kept[name] = None
    return kept


def _parse_version(line: bytes) -> AnnotationVersion | None:
    """The version on a line; None when the line is damaged, or holds more than an answer can."""
    if describe_json_excess(line) is not None:
        return None
    try:
        version = AnnotationVersion(**orjson.loads(line))
    except (orjson.JSONDecodeError, TypeError):
        return None
    ids = (version.task_id, version.annotation_id)
    sound = isinstance(version.key, str) and isinstance(version.data, dict) and all(isinstance(i, int) for i in ids)
    if not sound:
        return None
    return _limit_depth(version) if line.count(b"[") + line.count(b"{") > MAX_JSON_NESTING else version
