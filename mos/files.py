"""Files that survive a crash: one atomic replacement, one append of lines, one exclusive lock; and the one safe `open`.

Everything that the project writes and reads again goes through these functions, so that a killed process or a full
disk leaves the old file or the new one, and never a part of it. What a user names is opened by `open_regular_file`,
which never waits for a pipe and never reads a device.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import IO, BinaryIO, Literal, overload

from mos.errors import UserError
from mos.json_limits import MAX_JSON_LENGTH

_TAIL_BYTES = 1 << 20
"""Bytes read first in the search for the last line feed of a file; then twice as many."""

_OPEN_FLAGS = {
    "rb": os.O_RDONLY,
    "r+b": os.O_RDWR,
    "ab": os.O_WRONLY | os.O_APPEND | os.O_CREAT,
    "a+b": os.O_RDWR | os.O_APPEND | os.O_CREAT,
}

_SCRATCH_PREFIX = ".editfhf-scratch-"


class NotRegularFileError(OSError):
    """A regular file was expected at `filename`, but `strerror` says what is there. It was not opened."""


def require_regular_file(path: Path) -> None:
    """Check that there is a regular file, before a library opens it by name.

    Raises
    ------
    NotRegularFileError
        It is a folder, pipe, socket or device: a library would wait for it, or read it for ever.
    OSError
        It does not exist or cannot be reached.
    """
    _check_is_regular(path, path.stat())


@overload
def open_regular_file(path: Path) -> BufferedReader: ...


@overload
def open_regular_file(path: Path, mode: Literal["rb", "r+b", "ab", "a+b"]) -> BinaryIO: ...


def open_regular_file(path: Path, mode: Literal["rb", "r+b", "ab", "a+b"] = "rb") -> BinaryIO:
    """Open a file that is a regular one; links to it are followed.

    Parameters
    ----------
    path : Path
        File to open. Modes with "a" create it when it is absent.
    mode : str
        As for `open`.

    Raises
    ------
    NotRegularFileError
        It is a folder, pipe, socket or device. Opening a pipe would wait for its other end.
    OSError
        As for `open`.
    """
    with suppress(FileNotFoundError):
        require_regular_file(path)
    descriptor = os.open(path, _OPEN_FLAGS[mode] | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    try:
        _check_is_regular(path, os.fstat(descriptor))
        return os.fdopen(descriptor, mode)
    except BaseException:
        os.close(descriptor)
        raise


def read_regular_file(path: Path) -> bytes:
    """The content of a regular file; raises what `open_regular_file` raises."""
    with open_regular_file(path) as stream:
        return stream.read()


def _check_is_regular(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
        kind = kinds.get(stat.S_IFMT(status.st_mode), "a device")
        raise NotRegularFileError(errno.EINVAL, f"{kind}, not a regular file", str(path))


@contextmanager
def open_replacement(path: Path, mode: int = 0o666, *, sync: bool = True) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces `path` when the block ends without an exception.

    Parameters
    ----------
    path : Path
        File to write. Its folder must exist.
    mode : int
        Permissions of a new file, before the umask is applied.
    sync : bool
        Wait until the content is on the disk. Without it a killed process still leaves the old file or the new one,
        but a power failure may leave an empty one: for what can be made again, and is written often.

    Yields
    ------
    BinaryIO
        The hidden file `.NAME.part` in the same folder. It is on the disk before it takes the name `path`.

    Notes
    -----
    A reader of `path` sees the old content or the new content, never a part. When the block raises, the temporary
    file is removed and `path` stays as it was. A temporary file that a killed process left is overwritten. Two
    processes that replace one file wait for each other.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "numbers.txt")
    >>> with open_replacement(path) as stream:
    ...     _ = stream.write(b"1 2 3")
    >>> path.read_bytes()
    b'1 2 3'
    """
    with suppress(FileNotFoundError):
        require_regular_file(path)  # a device or pipe is not replaced by a file
    part = _name_part(path)
    with os.fdopen(_open_part(part, mode), "w+b") as stream:
        try:
            yield stream
            stream.flush()
            if sync:
                os.fsync(stream.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    if sync:
        # The new content has its name by now: a folder that cannot be opened or synchronised is no failure.
        with suppress(OSError):
            sync_path(path.absolute().parent)


def _name_part(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def _open_part(part: Path, mode: int) -> int:
    """Open the temporary file, empty and locked: a writer that has it open finishes first."""
    while True:
        try:
            descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            part.unlink(missing_ok=True)  # a link that somebody put there is not written through
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            status = os.fstat(descriptor)
            own = status.st_uid == os.geteuid() and status.st_nlink == 1 and not status.st_mode & 0o777 & ~mode
            own = own and stat.S_ISREG(status.st_mode)
            with suppress(FileNotFoundError):
                if os.path.samestat(status, part.lstat()):
                    if own:
                        os.ftruncate(descriptor, 0)
                        return descriptor
                    part.unlink()
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def require_path(path: str | os.PathLike[str]) -> Path:
    """The path; UserError for one with a null character, which the system does not take."""
    if "\0" in str(path):
        raise UserError(f"The path {str(path)!r} holds a null character, which no file name can; check it.")
    return Path(path)


def replace_file(path: Path, content: bytes, mode: int = 0o666, *, sync: bool = True) -> None:
    """Write `content` to `path` in one step; see `open_replacement`."""
    with open_replacement(path, mode, sync=sync) as stream:
        stream.write(content)


@contextmanager
def open_folder_replacement(target: Path) -> Iterator[Path]:
    """Open an empty temporary folder that takes the name `target` when the block ends without an exception.

    Parameters
    ----------
    target : Path
        Folder to create; it must not exist, or be empty. Missing folders above it are created.

    Yields
    ------
    Path
        The hidden folder `.NAME.part` beside it. What a killed process left there is removed first. When the block
        raises, the folder is removed.

    Raises
    ------
    UserError
        Another process creates the same folder, or `target` was filled in the meantime.
    """
    target = target.resolve()
    work = _name_part(target)
    work.mkdir(parents=True, exist_ok=True)
    lock = os.open(work, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        # The process that held the lock before may have published the folder in the meantime.
        if not (try_lock(lock) and work.exists() and os.path.samestat(os.fstat(lock), work.stat())):
            raise UserError(f"Another command is writing {target}. Wait for it or choose another folder.")
        _empty_folder(work)
        try:
            yield work
            _publish_folder(work, target)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
    finally:
        os.close(lock)


def _empty_folder(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _publish_folder(work: Path, target: Path) -> None:
    try:
        work.replace(target)
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise UserError(f"{work} was removed or renamed meanwhile. Run the same command again.") from None
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        raise UserError(
            f"{target} was filled by another process in the meantime and is not overwritten. Choose another folder."
        ) from None


@contextmanager
def open_scratch_folder() -> Iterator[Path]:
    """Open a folder for temporary files, in the system's temporary folder; it is removed when the block ends.

    Folders of this kind that killed processes of the same user left are removed first.

    Raises
    ------
    UserError
        There is no temporary folder that can be written.
    """
    try:
        parent = Path(tempfile.gettempdir())
        _remove_left_scratch_folders(parent)
        folder, lock = _create_locked_folder(parent)
    except OSError as error:
        raise UserError(
            f"No temporary folder can be made ({error.strerror}). Set TMPDIR to a folder that you may write."
        ) from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _create_locked_folder(parent: Path) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_SCRATCH_PREFIX, dir=parent))
        # Another process may take the new folder for one that was left, before it is locked.
        with suppress(FileNotFoundError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            if try_lock(lock) and folder.exists():
                return folder, lock
            os.close(lock)


def _remove_left_scratch_folders(parent: Path) -> None:
    for folder in parent.glob(f"{_SCRATCH_PREFIX}*"):
        with suppress(OSError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if os.fstat(lock).st_uid == os.geteuid() and try_lock(lock):
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def append_lines(path: Path, lines: Iterable[bytes], *, sync: bool = True) -> None:
    """Append lines to a file and wait until they are on the disk.

    Parameters
    ----------
    path : Path
        File that is made when it is absent. If its last line has no end, that line is ended first, so that a line
        that a crash cut never joins a new one.
    lines : iterable of bytes
        Lines, each with its line feed. Nothing is written when there are none.
    sync : bool
        False does not wait for the disk, as in `open_replacement`.

    Notes
    -----
    Two processes that append at one time wait for each other.
    """
    content = b"".join(lines)
    if not content:
        return
    with open_regular_file(path, "a+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        size = stream.seek(0, os.SEEK_END)
        if size:
            stream.seek(size - 1)
            if stream.read(1) != b"\n":
                content = b"\n" + content
        stream.write(content)
        stream.flush()
        if sync:
            os.fsync(stream.fileno())


def repair_last_line(stream: IO[bytes], keep: Path | None = None, path: Path | None = None) -> bytes:
    r"""Remove an incomplete last line from a JSON-lines file that is open for reading and writing.

    Parameters
    ----------
    stream : binary file
        Open with mode "r+b" or "a+b". Its position afterwards is the end of the file.
    keep : Path, optional
        File to which the removed part is appended first, as a line.
    path : Path, optional
        Name of the file in errors.

    Returns
    -------
    bytes
        The part of a line that was removed. Empty when the file ends with a line feed, or when only the line feed
        was missing: then it is added.

    Raises
    ------
    UserError
        When the last line is longer than any line of JSON that is read; it is not changed then.
    """
    end = stream.seek(0, os.SEEK_END)
    rest, start, step = b"", end, _TAIL_BYTES
    while start and b"\n" not in rest and len(rest) <= MAX_JSON_LENGTH:
        start, step = max(0, start - step), 2 * step
        stream.seek(start)
        rest = stream.read(end - start)
    rest = rest.rpartition(b"\n")[2]
    if len(rest) > MAX_JSON_LENGTH:
        raise UserError(
            f"{path or 'A file'}: expected lines of JSON, but its last line is longer than "
            f"{MAX_JSON_LENGTH >> 20} MiB. Restore a backup of the file."
        )
    if not rest:
        return b""
    if _is_json(rest):
        stream.seek(end)
        stream.write(b"\n")
        rest = b""
    else:
        if keep is not None:
            append_lines(keep, [rest + b"\n"])
        stream.truncate(end - len(rest))
        stream.seek(0, os.SEEK_END)
    stream.flush()
    os.fsync(stream.fileno())
    return rest


def try_lock(handle: IO[bytes] | int) -> bool:
    """Take the exclusive lock of an open file without waiting; False when another process holds it.

    The lock lasts until every copy of the open file is closed, also those that a child process inherited.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def sync_path(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_json(line: bytes) -> bool:
    """Whether a line is complete; so is one that is too large to be ours: nobody's megabytes are removed."""
    if len(line) > MAX_JSON_LENGTH:
        return True
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
