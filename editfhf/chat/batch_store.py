"""What is known of batches that are not collected yet: in the database, written before and after each step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from editfhf.chat.journal import Change, Journal

FOLDER = "batches"

State = Literal["written", "uploaded", "creating", "submitted"]


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A batch by the last step that began or ended.

    written: its file is here; uploaded: and on the server; creating: the server was asked to begin, perhaps in vain;
    submitted: it has an id there
    """

    name: str
    state: State
    file_id: str | None = None
    batch_id: str | None = None


@dataclass(frozen=True, slots=True)
class BatchLine:
    """Where a line is in the file of its batch (bytes)."""

    attempt: str
    key: str
    round: int
    offset: int
    size: int


class BatchStore:
    """The batches of a folder of which something is still to be done."""

    def __init__(self, journal: Journal, folder: Path) -> None:
        self._journal = journal
        self._folder = folder / FOLDER
        self._folder.mkdir(exist_ok=True)

    def path(self, name: str) -> Path:
        """The file of a batch as it is sent."""
        return self._folder / f"{name}.jsonl"

    def fetched(self, name: str, kind: str) -> Path:
        """Where the answers (or errors) of a batch are put while they are read."""
        return self._folder / f"{name}.{kind}"

    def rows(self) -> list[BatchRow]:
        """Oldest first."""
        found = self._journal.read("SELECT name, state, file_id, batch_id FROM batches ORDER BY rowid")
        return [BatchRow(*row) for row in found]

    def lines(self, name: str) -> dict[str, BatchLine]:
        """The lines of a batch by the id of their attempt."""
        query = "SELECT attempt, key, round, offset, size FROM batch_lines WHERE batch = ?"
        return {row[0]: BatchLine(*row) for row in self._journal.read(query, (name,))}

    def has(self, key: str) -> bool:
        """Whether a request is in a batch that is not collected."""
        return bool(self._journal.read("SELECT 1 FROM batch_lines WHERE key = ? LIMIT 1", (key,)))

    async def add(self, name: str, lines: Iterable[BatchLine], announcements: list[bytes]) -> BatchRow:
        """Keep a new batch, with the lines of the ledger that announce its attempts."""
        insert = "INSERT INTO batch_lines (batch, attempt, key, round, offset, size) VALUES (?, ?, ?, ?, ?, ?)"
        changes: list[Change] = [("INSERT INTO batches (name, state) VALUES (?, 'written')", (name,))]
        changes += [(insert, (name, line.attempt, line.key, line.round, line.offset, line.size)) for line in lines]
        await self._journal.write(announcements, changes)
        return BatchRow(name, "written")

    async def note(self, row: BatchRow) -> BatchRow:
        """Keep the step that a batch has come to."""
        update = "UPDATE batches SET state = ?, file_id = ?, batch_id = ? WHERE name = ?"
        await self._journal.write(changes=[(update, (row.state, row.file_id, row.batch_id, row.name))])
        return row

    async def remove(self, name: str) -> None:
        """Forget a batch of which nothing is left to be done, and delete its files."""
        changes = ("DELETE FROM batch_lines WHERE batch = ?", (name,)), ("DELETE FROM batches WHERE name = ?", (name,))
        await self._journal.write(changes=changes)
        for path in self._folder.glob(f"{name}.*"):
            path.unlink()

    def sweep(self) -> None:
        """Delete files of batches that are not known: one whose writing was cut short, for one."""
        known = {row.name for row in self.rows()}
        for path in self._folder.iterdir():
            if path.name.partition(".")[0] not in known:
                path.unlink()
