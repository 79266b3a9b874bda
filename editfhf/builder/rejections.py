"""Collect the rejections of a build, and write them to `rejected.jsonl`.

A rejection goes one way. Every reader and check takes a function `reject(rejection)`. In the main process it is the
`RejectionSink`, which keeps all rejections on disk. In a worker it appends to `BuildCounts.rejections`; the worker
returns these with its shard, and the main process gives them to the sink.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import orjson

from annotation.records import Rejection
from editfhf.builder.spool import create_scratch_table, translate_disk_errors
from editfhf.manifest import ManifestRejections
from mos.errors import UserError
from mos.files import open_regular_file
from mos.rejections import encode_rejection

REJECTED_FILE = "rejected.jsonl"
SINK_BATCH = 2000

ROUTINE_REASONS = frozenset({"cancelled", "flagged", "pair_rejected", "superseded"})
"""Rejections that belong to the course of a campaign: they neither stop a strict build nor count for --max-rejected.

A text on which the reviewers do not agree yet is not among them: it is lost to the dataset.
"""
UNFINISHED = frozenset({"not_final"})
"""Rejections that count and stop a strict build, but are not a mistake in the corpus."""


class NoUsablePairError(UserError):
    """A corpus of which no pair can be used; `rejections` are the reasons."""

    def __init__(self, message: str, rejections: Sequence[Rejection]) -> None:
        super().__init__(message)
        self.rejections = list(rejections)


class RejectionSink:
    """Takes every rejection of a build, keeps it on disk, and gives all of them back in one order.

    Parameters
    ----------
    path
        Scratch file, made anew.
    strict
        Raise UserError at the first rejection that is neither routine nor repaired.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     reject = RejectionSink(Path(folder) / "rejections.sqlite")
    ...     reject(Rejection("pair", "pairs.jsonl", 7, "bad_id", "expected an id"))
    ...     reject.counts()
    {('pair', 'bad_id'): 1}
    """

    def __init__(self, path: Path, strict: bool = False) -> None:
        self._path = path
        self._strict = strict
        self._connection = create_scratch_table(
            path, "CREATE TABLE rejected (file TEXT, row INTEGER, what TEXT, reason TEXT, line BLOB, named BOOLEAN)"
        )
        self._waiting: list[tuple[str, int, str, str, bytes, bool]] = []

    def __call__(self, rejection: Rejection, named: bool = False) -> None:
        """Take a rejection; `named` if its annotator is a pseudonym already."""
        if self._strict and is_unexpected_rejection(rejection.reason, rejection.repaired):
            raise UserError(f"{rejection.file}, row {rejection.row}: {rejection.message} (--strict)")
        item = _escape_invalid_utf8(rejection)
        self._waiting.append((item.file, item.row, item.what, item.reason, orjson.dumps(item), named))
        if len(self._waiting) >= SINK_BATCH:
            self._flush()

    def counts(self) -> dict[tuple[str, str], int]:
        """Number of rejections by (what, reason)."""
        self._flush()
        rows = self._connection.execute("SELECT what, reason, COUNT(*) FROM rejected GROUP BY 1, 2 ORDER BY 1, 2")
        return {(what, reason): count for what, reason, count in rows}

    def list_pseudonymised(self, pseudonyms: Mapping[str, str]) -> Iterator[Rejection]:
        """All rejections in the order of file, row, kind and reason, annotators under their pseudonyms.

        The annotator of a rejection who has no pseudonym becomes None.
        """
        self._flush()
        ordered = "SELECT line, named FROM rejected ORDER BY file, row, what, reason, line"
        for line, named in self._connection.execute(ordered):
            rejection = Rejection(**orjson.loads(line))
            known = pseudonyms.get(rejection.annotator_id or "")
            yield rejection if named else replace(rejection, annotator_id=known)

    def write(self, path: Path, pseudonyms: Mapping[str, str]) -> None:
        """Write all rejections to a file in the form of `rejected.jsonl`."""
        with path.open("wb") as handle:
            for rejection in self.list_pseudonymised(pseudonyms):
                handle.write(encode_rejection(rejection))

    def close(self) -> None:
        """Close the scratch file."""
        self._connection.close()

    def _flush(self) -> None:
        with translate_disk_errors(self._path):
            self._connection.executemany("INSERT INTO rejected VALUES (?, ?, ?, ?, ?, ?)", self._waiting)
        self._waiting.clear()


def is_unexpected_rejection(reason: str, repaired: bool) -> bool:
    """Whether a rejection stops a strict build and counts for --max-rejected."""
    return not repaired and reason not in ROUTINE_REASONS


def read_unexpected_rejections(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a `rejected.jsonl` that are unexpected (`is_unexpected_rejection`)."""
    with open_regular_file(path) as lines:
        for line in lines:
            entry: dict[str, Any] = orjson.loads(line)
            if is_unexpected_rejection(entry["reason"], entry["repaired"]):
                yield entry


def summarise_rejections(rejected: Mapping[tuple[str, str], int]) -> ManifestRejections:
    """Totals for the manifest from counts by (what, reason)."""
    by_reason: Counter[str] = Counter()
    for (_, reason), count in rejected.items():
        by_reason[reason] += count
    return ManifestRejections(total=sum(by_reason.values()), by_reason=dict(sorted(by_reason.items())))


def _escape_invalid_utf8(rejection: Rejection) -> Rejection:
    """The rejection with bytes that are not UTF-8 (such as those of a file name) written as escapes."""
    try:
        orjson.dumps(rejection)
    except TypeError:
        escaped: dict[str, Any] = {
            name: value.encode("utf-8", "backslashreplace").decode()
            for name, value in asdict(rejection).items()
            if isinstance(value, str)
        }
        return replace(rejection, **escaped)
    return rejection
