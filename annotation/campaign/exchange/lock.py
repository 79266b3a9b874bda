"""One sync at a time: the lock of a campaign, which ends with the process that holds it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mos.errors import UserError

FILE = "lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of the campaign in a folder; `UserError` when another process does."""
    if not folder.is_dir():
        raise UserError(f"There is no campaign in {folder.parent}. Make it with: editfhf annotate create")
    with (folder / FILE).open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"Another command works on the campaign in {folder}. Wait until it ends.") from None
        yield
