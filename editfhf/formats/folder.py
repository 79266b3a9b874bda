"""A folder that appears under its name only when everything is in it."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mos.errors import UserError


def refuse_taken(out: Path, dataset: Path) -> None:
    """Raise UserError unless `out` is new or an empty folder, apart from the dataset."""
    inner, outer = out.resolve(), dataset.resolve()
    if inner.is_relative_to(outer) or outer.is_relative_to(inner):
        raise UserError(f"{out} and the dataset {dataset} lie in one another. Choose an --out outside the dataset.")
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UserError(f"{out} is a file or a link: expected a new or empty folder. Choose another --out.")
    if out.exists() and any(out.iterdir()):
        raise UserError(f"{out} is not empty, and nothing in it is overwritten. Remove it or choose another --out.")


@contextmanager
def whole(out: Path) -> Iterator[Path]:
    """A folder to work in, beside `out`; it becomes `out` when the block ends without an exception.

    What an interrupted process left there is removed first.

    Raises:
        UserError: another process is at work on the same `out`.
    """
    target = out.resolve()
    work = target.with_name(f".{target.name}.editfhf-export")
    work.mkdir(parents=True, exist_ok=True)
    lock = os.open(work, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _hold(lock, work, out)
        _empty(work)
        try:
            yield work
            _publish(work, target)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
    finally:
        os.close(lock)


def _hold(lock: int, work: Path, out: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever held it before may have published it in between.
        held = work.exists() and os.path.samestat(os.fstat(lock), work.stat())
    except BlockingIOError:
        held = False
    if not held:
        raise UserError(f"Another export to {out} is at work. Wait for it or choose another --out.")


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _publish(work: Path, target: Path) -> None:
    try:
        work.replace(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        raise UserError(
            f"{target} was filled by somebody else meanwhile, and is not overwritten. Choose another --out."
        ) from None
