"""The folder `.editfhf` inside an unfinished dataset: where a build works, resumes, and from where it is published.

Nothing outside it changes until everything is whole; then a journal of renames is written, carried out, and, should
the process die in the middle, carried on by the next run.  The manifest is published last: a dataset with a manifest
is complete.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson

from editfhf.manifest import MANIFEST, is_inside, read_manifest
from mos.errors import UserError

AREA = ".editfhf"
LOCK = "lock"


class Workspace:
    """The working area of one dataset folder, held by one process at a time."""

    def __init__(self, dataset: Path) -> None:
        self.dataset = dataset
        self.area = dataset / AREA
        self.shards = self.area / "shards"
        self.orders = self.area / "orders"
        self.staged = self.area / "staged"
        self._journal = self.area / "publish.json"

    def prepare(self) -> None:
        """Make the folders of a build; what earlier runs finished stays in `shards`."""
        for folder in (self.shards, self.orders, self.staged):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.orders, self.staged):
            shutil.rmtree(folder)
            folder.mkdir()
        for leftover in self.shards.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)

    def recover(self) -> bool:
        """Carry on a publication that was interrupted; True when there was one."""
        if not self._journal.exists():
            return False
        self._carry_out(_read_journal(self._journal))
        return True

    def publish(self, files: Mapping[str, Path], manifest: bytes) -> None:
        """Replace the dataset's files by `files` (relative name -> staged file) and then write the manifest."""
        _write_synced(self.staged / MANIFEST, manifest)
        for path in files.values():
            _sync(path)
        previous = built_before(self.dataset)
        listed = {entry["path"] for entry in previous["outputs"]} if previous else set()
        moves = {name: str(path.relative_to(self.area)) for name, path in sorted(files.items())}
        journal = {"moves": moves, "remove": sorted(listed - set(moves))}
        temporary = self._journal.with_suffix(".tmp")
        _write_synced(temporary, orjson.dumps(journal))
        temporary.replace(self._journal)
        self._carry_out(journal)

    def discard(self) -> None:
        """Leave nothing behind: there was nothing to do."""
        shutil.rmtree(self.area)

    def _carry_out(self, journal: Mapping[str, Any]) -> None:
        if (self.staged / MANIFEST).exists():
            (self.dataset / MANIFEST).unlink(missing_ok=True)
        for name in journal["remove"]:
            _inside(self.dataset, name).unlink(missing_ok=True)
        for name, staged in journal["moves"].items():
            target = _inside(self.dataset, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            # Already gone from the staging area: moved before the interruption.
            with suppress(FileNotFoundError):
                _inside(self.area, staged).replace(target)
        with suppress(FileNotFoundError):
            (self.staged / MANIFEST).replace(self.dataset / MANIFEST)
        for folder in {self.dataset, *(self.dataset / name for name in journal["moves"])}:
            _sync(folder if folder.is_dir() else folder.parent)
        shutil.rmtree(self.area)


@contextmanager
def claim(dataset: Path, corpus: Path) -> Iterator[Workspace]:
    """The workspace of a dataset folder, locked for this process.

    Raises:
        UserError: the folder lies in the corpus (or the other way round), cannot be written, holds something that is
            not ours, or another build is at work in it.
    """
    try:
        _check_apart(dataset, corpus)
        _check_ours(dataset)
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
        fault = getattr(error, "strerror", None) or "a loop of links"
        raise UserError(f"{dataset} cannot be used as a folder ({fault}). Choose another one.") from None
    new = not dataset.exists()
    space = Workspace(dataset)
    lock = _lock(space)
    if space.recover():
        os.close(lock)
        lock = _lock(space)
    try:
        yield space
    finally:
        os.close(lock)
        with suppress(OSError):
            if {path.name for path in space.area.iterdir()} <= {LOCK}:
                shutil.rmtree(space.area)
        if new:
            with suppress(OSError):
                dataset.rmdir()


def _lock(space: Workspace) -> int:
    while True:
        try:
            space.area.mkdir(parents=True, exist_ok=True)
            lock = os.open(space.area / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise UserError(
                f"{space.dataset} cannot be written ({error.strerror}). Choose a folder that you may write."
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise UserError(
                f"Another build is at work in {space.dataset}. Wait for it or choose another folder."
            ) from None
        # Whoever held it before may have removed it, published, in between: then it keeps nobody out.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), (space.area / LOCK).stat()):
                return lock
        os.close(lock)


def _check_apart(dataset: Path, corpus: Path) -> None:
    inner, outer = dataset.resolve(), corpus.resolve()
    if inner == outer or inner.is_relative_to(outer):
        raise UserError(f"The dataset {dataset} lies inside the corpus {corpus}. Choose a folder outside it.")
    if outer.is_relative_to(inner):
        raise UserError(f"The corpus {corpus} lies inside the dataset folder {dataset}. Choose another folder.")


def _check_ours(dataset: Path) -> None:
    if dataset.is_symlink() and not dataset.exists():
        raise UserError(f"{dataset} is a link to nothing. Choose a folder.")
    if dataset.exists() and not dataset.is_dir():
        raise UserError(f"{dataset} is a file. Expected a new, empty or earlier built folder.")
    if not dataset.exists():
        return
    try:
        names = {path.name for path in dataset.iterdir()}
    except OSError as error:
        raise UserError(f"{dataset} cannot be read ({error.strerror}). Choose another folder.") from None
    if (dataset / AREA).is_symlink():
        raise UserError(f"{dataset / AREA}, where a build works, is a link. Remove it, or choose another folder.")
    unfinished = (dataset / AREA / "publish.json").exists()
    if names - {AREA} and not unfinished and built_before(dataset) is None:
        raise UserError(
            f"{dataset} is not empty and was not made by `editfhf build`, so nothing in it is touched. "
            "Choose a new or empty folder."
        )


def built_before(dataset: Path) -> dict[str, Any] | None:
    """The manifest of a complete dataset, or None when the folder holds none that a build wrote."""
    try:
        manifest = read_manifest(dataset)
    except UserError:
        return None
    listed = manifest.get("outputs")
    whole = isinstance(listed, list) and all(
        isinstance(entry, dict)
        and isinstance(entry.get("path"), str)
        and isinstance(entry.get("sha256"), str)
        and isinstance(entry.get("bytes"), int)
        for entry in listed
    )
    kinds = {"stages": list, "splits": dict, "rejected": dict}
    return manifest if whole and all(isinstance(manifest.get(name), kind) for name, kind in kinds.items()) else None


def _read_journal(path: Path) -> dict[str, Any]:
    """The journal of a publication; a folder from elsewhere may hold anything under its name."""
    try:
        journal = orjson.loads(path.read_bytes())
        names = [*journal["remove"], *journal["moves"], *journal["moves"].values()]
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        names = [None]
    if not all(is_inside(name) for name in names):
        raise UserError(f"{path} is not what a build writes. Remove the folder {path.parent} and build again.")
    return dict(journal)


def _inside(root: Path, name: str) -> Path:
    """A file under `root`, by a name from a manifest or a journal that somebody may have altered."""
    path = root / name
    if not is_inside(name) or not path.parent.resolve().is_relative_to(root.resolve()):
        raise UserError(
            f"{name!r} in {root} was to be replaced or removed, but it is not a file of the dataset: a manifest was "
            "altered by hand, or a folder is a link that leads out. Choose a new folder."
        )
    return path


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
