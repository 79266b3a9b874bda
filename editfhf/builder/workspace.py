"""The folder `.editfhf` inside an unfinished dataset: a build works there, resumes there, and publishes from there.

Nothing outside of it changes until all files are complete. Then a journal of renames is written and carried out; if
the process dies meanwhile, the next run completes it. The manifest is published last: a dataset with a manifest is
complete.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson

from editfhf.manifest import DATASET_FOLDERS, MANIFEST_FILE, Manifest, is_dataset_path, read_manifest
from mos.errors import UserError
from mos.files import read_regular_file, sync_path, try_lock

WORK_AREA = ".editfhf"
WORK_LOCK = "lock"


class BuildWorkspace:
    """The working area of one dataset folder, held by one process at a time."""

    def __init__(self, dataset: Path) -> None:
        self.dataset = dataset
        self.area = dataset / WORK_AREA
        self.shards = self.area / "shards"
        self.orders = self.area / "orders"
        self.staged = self.area / "staged"
        self._journal = self.area / "publish.json"
        self._removed = False

    def prepare(self) -> None:
        """Make the folders of a build; shards that earlier runs finished stay."""
        for folder in (self.shards, self.orders, self.staged):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.orders, self.staged):
            shutil.rmtree(folder)
            folder.mkdir()
        for leftover in self.shards.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)

    def refuse_links(self) -> None:
        """Check that every entry of the working area is a folder or a regular file.

        Raises
        ------
        UserError
            One is a link, pipe, socket or device. A build writes only inside the dataset, and waits for nobody.
        """
        for entry in (self.area, *_iterate_entries(self.area)):
            with suppress(FileNotFoundError):
                refuse_link(entry)

    def recover(self) -> bool:
        """Complete a publication that was interrupted; True if there was one."""
        if not self._journal.exists():
            return False
        self._carry_out(_read_journal(self._journal))
        self._removed = False
        return True

    def publish(self, files: Mapping[str, Path], manifest: bytes) -> None:
        """Replace the dataset's files by `files` (relative name -> staged file) and then write the manifest."""
        self.refuse_links()
        _write_synced_file(self.staged / MANIFEST_FILE, manifest)
        for path in files.values():
            sync_path(path)
        previous = read_built_manifest(self.dataset)
        listed = {output.path for output in previous.outputs} if previous else set()
        moves = {name: str(path.relative_to(self.area)) for name, path in sorted(files.items())}
        journal = {"moves": moves, "remove": sorted(listed - set(moves))}
        temporary = self._journal.with_suffix(".tmp")
        _write_synced_file(temporary, orjson.dumps(journal))
        temporary.replace(self._journal)
        self._carry_out(journal)

    def discard(self) -> None:
        """Remove the working area."""
        shutil.rmtree(self.area)
        self._removed = True

    def require_same_folders(self, folder: int, lock: int) -> None:
        """Check that the dataset's folder and the working area are still the ones whose open files are given.

        Raises
        ------
        UserError
            One was removed, renamed or replaced by somebody else.
        """
        for path, held in ((self.dataset, folder), (self.area / WORK_LOCK, lock)):
            try:
                same = self._removed or os.path.samestat(path.stat(), os.fstat(held))
            except OSError:
                same = False
            if not same:
                raise UserError(
                    f"{path if held == folder else self.area} was removed, renamed or replaced while the build was "
                    "running. Run the same command again."
                ) from None

    def _carry_out(self, journal: Mapping[str, Any]) -> None:
        if (self.staged / MANIFEST_FILE).exists():
            (self.dataset / MANIFEST_FILE).unlink(missing_ok=True)
        for name in journal["remove"]:
            _resolve_inside(self.dataset, name).unlink(missing_ok=True)
        for name, staged in journal["moves"].items():
            target = _resolve_inside(self.dataset, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            # A file that is missing here was moved before the interruption.
            with suppress(FileNotFoundError):
                _resolve_inside(self.area, staged).replace(target)
        with suppress(FileNotFoundError):
            (self.staged / MANIFEST_FILE).replace(self.dataset / MANIFEST_FILE)
        for folder in {self.dataset, *(self.dataset / name for name in journal["moves"])}:
            sync_path(folder if folder.is_dir() else folder.parent)
        self.discard()


def refuse_link(entry: Path) -> None:
    """UserError unless an entry of the working area is a folder or a regular file: a build follows no link there."""
    mode = entry.lstat().st_mode
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        kind = "a link" if stat.S_ISLNK(mode) else "not a regular file"
        raise UserError(f"{entry}, in the working folder of a build, is {kind}. Remove it, or choose another folder.")


@contextmanager
def claim_workspace(dataset: Path, corpus: Path) -> Iterator[BuildWorkspace]:
    """The workspace of a dataset folder, locked for this process.

    Raises
    ------
    UserError
        The folder lies in the corpus (or the other way round), cannot be written, holds files that a build did not
        write or links in place of its folders, or another build is running in it. Or the folder was removed, renamed
        or replaced within the context: whatever error that caused is replaced by this one.
    """
    try:
        _check_folders_apart(dataset, corpus)
        _check_own_dataset(dataset)
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
        problem = getattr(error, "strerror", None) or "a loop of links"
        raise UserError(f"{dataset} cannot be used as a folder ({problem}). Choose another one.") from None
    new = not dataset.exists()
    space = BuildWorkspace(dataset)
    lock = _lock_workspace(space)
    folder = os.open(dataset, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        space.refuse_links()
        if space.recover():
            os.close(lock)
            lock = _lock_workspace(space)
        yield space
    except Exception:
        space.require_same_folders(folder, lock)
        raise
    finally:
        os.close(folder)
        os.close(lock)
        with suppress(OSError):
            if {path.name for path in space.area.iterdir()} <= {WORK_LOCK}:
                shutil.rmtree(space.area)
        if new:
            with suppress(OSError):
                dataset.rmdir()


def _lock_workspace(space: BuildWorkspace) -> int:
    while True:
        try:
            space.area.mkdir(parents=True, exist_ok=True)
            lock = os.open(space.area / WORK_LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            raise UserError(
                f"{space.dataset} cannot be written ({error.strerror}). Choose a folder that you may write."
            ) from None
        if not try_lock(lock):
            os.close(lock)
            raise UserError(f"Another build is at work in {space.dataset}. Wait for it or choose another folder.")
        # Another build may have published and removed the lock file meanwhile: then this lock protects nothing.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), (space.area / WORK_LOCK).stat()):
                return lock
        os.close(lock)


def _iterate_entries(folder: Path) -> Iterator[Path]:
    """Everything in a folder and, links not followed, in the folders below it."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            yield Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                yield from _iterate_entries(Path(entry.path))


def _check_folders_apart(dataset: Path, corpus: Path) -> None:
    inner, outer = dataset.resolve(), corpus.resolve()
    if inner == outer or inner.is_relative_to(outer):
        raise UserError(f"The dataset {dataset} lies inside the corpus {corpus}. Choose a folder outside it.")
    if outer.is_relative_to(inner):
        raise UserError(f"The corpus {corpus} lies inside the dataset folder {dataset}. Choose another folder.")


def _check_own_dataset(dataset: Path) -> None:
    if dataset.is_symlink() and not dataset.exists():
        raise UserError(f"{dataset} is a broken link. Choose a folder.")
    if dataset.exists() and not dataset.is_dir():
        raise UserError(f"{dataset} is a file. Expected a new or empty folder, or an earlier build.")
    if not dataset.exists():
        return
    try:
        names = {path.name for path in dataset.iterdir()}
    except OSError as error:
        raise UserError(f"{dataset} cannot be read ({error.strerror}). Choose another folder.") from None
    BuildWorkspace(dataset).refuse_links()
    for name in DATASET_FOLDERS:
        # Files take their place by renaming, which works within one folder tree only.
        if (dataset / name).is_symlink():
            raise UserError(
                f"{dataset / name} is a link. A build replaces the files of this folder: put the folder itself there, "
                "or let the whole dataset be a link."
            )
    unfinished = (dataset / WORK_AREA / "publish.json").exists()
    if names - {WORK_AREA} and not unfinished and read_built_manifest(dataset) is None:
        raise UserError(
            f"{dataset} is not empty and was not made by `editfhf build`. Nothing in it was changed. "
            "Choose a new or empty folder."
        )


def read_built_manifest(dataset: Path) -> Manifest | None:
    """The manifest of a complete dataset; None if the folder holds none, or one that a build did not write."""
    try:
        manifest = read_manifest(dataset)
    except UserError:
        return None
    named = all(isinstance(output.path, str) and "sha256" in output.model_fields_set for output in manifest.outputs)
    return manifest if named and {"outputs", "stages", "splits", "rejected"} <= manifest.model_fields_set else None


def _read_journal(path: Path) -> dict[str, Any]:
    """The journal of a publication; UserError if it is not one that a build wrote."""
    try:
        journal = orjson.loads(read_regular_file(path))
        names = [*journal["remove"], *journal["moves"], *journal["moves"].values()]
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        names = [None]
    if not all(is_dataset_path(name) for name in names):
        raise UserError(f"{path} is not what a build writes. Remove the folder {path.parent} and build again.")
    return dict(journal)


def _resolve_inside(root: Path, name: str) -> Path:
    """A file under `root`, by a name from a manifest or a journal, which may have been altered."""
    path = root / name
    if not is_dataset_path(name) or not path.parent.resolve().is_relative_to(root.resolve()):
        raise UserError(
            f"{name!r} in {root} is not a file of the dataset, so it is neither replaced nor removed: the manifest was "
            "altered, or a folder is a link that leaves the dataset. Choose a new folder."
        )
    return path


def _write_synced_file(path: Path, data: bytes) -> None:
    with path.open("wb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())
