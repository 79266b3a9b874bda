"""The archive of a campaign: every version of every annotation that was ever seen, in a file that only grows.

A line of `campaign/answers.jsonl` holds one version as Label Studio gave it, with the data of its task, or says that an
annotation was deleted.  What is known already is not written again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

import orjson

from annotation.studio.unreadable import UNREADABLE

FILE = "answers.jsonl"
TORN = "answers.torn"
GONE = ""
"""Stands for the digest of a deleted annotation."""
ACCOUNTS = ("completed_by", "updated_by", "last_created_by")
"""Numbers of accounts, which the server takes out of an annotation when one is deleted: that changes no answer."""


@dataclass(frozen=True, slots=True)
class Version:
    """One state of one annotation.

    project: `stage/person_id`, whose project it was found in
    key: the task's key as its data says ("" when it says none)
    author, editor: e-mails of who made it and of who else than its author and the manager changed it last, if known
    seen_at: ISO time at which it was first seen
    annotation: Label Studio's JSON; None when it was deleted
    task_changed: time of the last change of its task when that was read, as the server said it; "" when unknown
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

    @property
    def digest(self) -> str:
        """The same for the same state; `GONE` for a deleted annotation."""
        if self.annotation is None:
            return GONE
        said = {name: value for name, value in self.annotation.items() if name not in ACCOUNTS}
        payload = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
        return hashlib.blake2b(payload, digest_size=16).hexdigest()


class Filed(NamedTuple):
    """Where a version stands in the file, and which line that is (counted from 1)."""

    offset: int
    line: int
    digest: str
    task_id: int
    project: str
    author: str | None
    task_changed: str


class Archive:
    """The archive in one file, open for appending; texts and pictures stay on disk until they are asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._index: dict[str, dict[int, list[Filed]]] = {}
        self._unreadable: set[tuple[str, int]] = set()
        self.authors: dict[int, str] = {}
        self.damaged: list[int] = []
        self._lines = 0
        path.parent.mkdir(exist_ok=True)
        self._stream: BinaryIO = path.open("a+b")
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

    def append(self, versions: Iterable[Version]) -> int:
        """File the versions that are not the latest known of their annotation, or say at last who made it; how many.

        They are on the disk when this returns.
        """
        offset = self._stream.seek(0, os.SEEK_END)
        lines: list[bytes] = []
        for version in map(_shallow, versions):
            digest = version.digest
            latest = self.latest(version.key, version.annotation_id)
            known = latest is None or latest.author is not None or version.author is None
            if digest == (latest.digest if latest else GONE) and known:
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

    def latest(self, key: str, annotation_id: int) -> Filed | None:
        """The last state of an annotation of a task; None when nothing is known of it."""
        found = self._index.get(key, {}).get(annotation_id)
        return found[-1] if found else None

    def author(self, key: str, annotation_id: int) -> str | None:
        """Who made an annotation of a task, as far as any version of it says."""
        known = self._index.get(key, {}).get(annotation_id, [])
        return next((filed.author for filed in known if filed.author is not None), None)

    def standing(self, key: str, task_id: int) -> set[int]:
        """Ids of the annotations of a task that were there when it was last looked at."""
        return {
            annotation_id
            for annotation_id, filed in self._index.get(key, {}).items()
            if filed[-1].digest != GONE and filed[-1].task_id == task_id
        }

    def up_to_date(self, key: str, task_id: int, task_changed: str, count: int) -> bool:
        """Whether a task that changed last at a time, and has so many annotations, is filed as it is."""
        known = self._index.get(key, {})
        latest = [known[number][-1] for number in self.standing(key, task_id)]
        return len(latest) == count and all(
            filed.author is not None and filed.task_changed == task_changed for filed in latest
        )

    def unreadable(self, key: str, task_id: int) -> bool:
        """Whether the server could not show an annotation of a task when it was last looked at."""
        return any((key, number) in self._unreadable for number in self.standing(key, task_id))

    def known_keys(self) -> list[str]:
        """Every key of which there is a version, in order."""
        return sorted(self._index)

    def count(self, key: str) -> int:
        """How many versions there are of a task's annotations."""
        return sum(map(len, self._index.get(key, {}).values()))

    def versions(self, key: str) -> dict[int, list[tuple[int, Version]]]:
        """All versions of every annotation of a task, the earliest first, each with its line, by annotation id."""
        return {
            annotation_id: [(filed.line, self._version(filed)) for filed in found]
            for annotation_id, found in sorted(self._index.get(key, {}).items())
        }

    def _version(self, filed: Filed) -> Version:
        self._stream.seek(filed.offset)
        return Version(**orjson.loads(self._stream.readline()))

    def _file(self, version: Version, offset: int, digest: str) -> None:
        """Note that the last line, at this offset, holds the version."""
        part = (version.task_id, version.project, version.author, version.task_changed)
        filed = Filed(offset, self._lines, digest, *part)
        self._index.setdefault(version.key, {}).setdefault(version.annotation_id, []).append(filed)
        known = version.annotation or {}
        note = self._unreadable.add if UNREADABLE in known else self._unreadable.discard
        note((version.key, version.annotation_id))
        made_by = known.get("completed_by")
        if isinstance(made_by, int) and version.author is not None:
            self.authors[made_by] = version.author

    def _read(self) -> None:
        self._stream.seek(0)
        offset = 0
        for line in self._stream:
            version = _parsed(line)
            if not line.endswith(b"\n"):
                self._mend(offset, line, whole=version is not None)
            if version is not None:
                self._lines += 1
                self._file(version, offset, version.digest)
            elif line.endswith(b"\n"):
                self._lines += 1
                self.damaged.append(self._lines)
            offset += len(line)

    def _mend(self, offset: int, line: bytes, whole: bool) -> None:
        """End the last line, or put the part of it that a power cut left into another file."""
        if whole:
            self._stream.write(b"\n")
        else:
            with self._path.with_name(TORN).open("ab") as torn:
                torn.write(line + b"\n")
                torn.flush()
                os.fsync(torn.fileno())
            self._stream.truncate(offset)
        self._stream.flush()
        os.fsync(self._stream.fileno())


def author_of(annotation: Mapping[str, Any], authors: Mapping[int, str]) -> str | None:
    """The e-mail of who made an annotation, given e-mails by user id; None when that is not known."""
    made_by = annotation.get("completed_by")
    if isinstance(made_by, dict):
        made_by = made_by.get("id")
    return authors.get(made_by) if isinstance(made_by, int) else None


def editor_of(annotation: Mapping[str, Any], authors: Mapping[int, str], manager_id: int) -> str | None:
    """The e-mail (or number) of who changed an annotation last, if neither its author nor the manager did."""
    changed_by = annotation.get("updated_by")
    if not isinstance(changed_by, int) or changed_by in (annotation.get("completed_by"), manager_id):
        return None
    return authors.get(changed_by, f"user {changed_by}")


def _shallow(version: Version) -> Version:
    """The version, with null for what is nested too deeply to be written, in this file or in an export.

    Nothing that an interface of ours writes is nested in more than five others; orjson reads 1,024 and writes 254.
    """
    try:
        orjson.dumps([[[[version.annotation, version.data]]]])
    except TypeError:
        return replace(
            version, annotation=_without_depths(version.annotation), data=_without_depths(version.data) or {}
        )
    return version


def _without_depths(values: dict[str, Any] | None) -> dict[str, Any] | None:
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


def _parsed(line: bytes) -> Version | None:
    """The version on a line; None when the line is damaged."""
    try:
        version = Version(**orjson.loads(line))
    except (orjson.JSONDecodeError, TypeError):
        return None
    ids = (version.task_id, version.annotation_id)
    sound = isinstance(version.key, str) and isinstance(version.data, dict) and all(isinstance(i, int) for i in ids)
    return version if sound else None
