"""The flywheel: a new corpus of refined images, in which the next campaign begins.

Pictures are copied byte for byte and named by their digest, so no name of a table is ever a path.  A pair gets an id of
its own; its `origin` says which pair it comes from and in which turn of the loop.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml

from annotation import images, jsonlines
from annotation.campaign.refined.rows import Refined, Row
from annotation.corpus import META, PAIRS, CorpusMeta, pair_fault, pair_of
from annotation.images import ImageError
from annotation.records import Pair, Place, Rejection
from annotation.studio.pictures import IMAGES
from annotation.text import MAX_ID, bad_id
from mos.errors import UserError

REJECTED = "rejected.jsonl"
SUFFIXES = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp"}
DIGITS = 10
"""Hexadecimal digits of a digest that tell a pair's id from its parent's."""

Save = Callable[[str, bytes], None]


@dataclass(frozen=True, slots=True)
class NewCorpus:
    """What a corpus is made of: its lines, the same as pairs, and what was set aside of the refined images."""

    meta: CorpusMeta
    lines: list[dict[str, Any]]
    pairs: list[Pair]
    rejected: list[Rejection]


def refuse_taken(corpus: Path) -> None:
    """`UserError` unless there is nothing at the path, or an empty folder."""
    if corpus.is_symlink() or (corpus.exists() and not corpus.is_dir()):
        raise UserError(f"{corpus} is a file or a link: expected a new or empty folder. Choose another one.")
    if corpus.exists() and any(corpus.iterdir()):
        raise UserError(f"{corpus} is not empty, and nothing in it is overwritten. Choose a new folder.")
    if not corpus.absolute().parent.is_dir():
        raise UserError(f"There is no folder {corpus.parent} for {corpus.name}. Make it first.")


@contextmanager
def whole(corpus: Path) -> Iterator[Path]:
    """A folder to work in, beside `corpus`; it takes that name when the block ends without an exception."""
    target = corpus.absolute()
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        work.chmod(0o755)
        yield work
        try:
            work.replace(target)
        except OSError:
            raise UserError(f"{corpus} was filled by somebody else meanwhile, and is not overwritten.") from None
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def gather(refined: Refined, name: str, rejected: list[Rejection], save: Save) -> NewCorpus:
    """The new corpus, called `name`; `save` gets each picture once, with its path in the corpus.

    Whatever cannot be used joins `rejected`.  `UserError` when nothing is left.
    """
    gathering = _Gathering(refined.meta.licence, save)
    for row in refined.rows:
        fault = gathering.take(row)
        if fault is not None:
            pair_id = row.line.get("pair_id")
            known = pair_id if isinstance(pair_id, str) and bad_id(pair_id) is None else None
            rejected.append(Rejection("pair", *row.place, *fault, pair_id=known))
    if not gathering.lines:
        why = f" The first reason: {rejected[0].message}" if rejected else ""
        raise UserError(f"No pair in {refined.root} can be used, so nothing was made.{why}")
    meta = refined.meta.model_copy(
        update={"name": name, "version": "1.0.0", "description": f"Refined images, from {refined.meta.name}."}
    )
    return NewCorpus(meta, gathering.lines, gathering.pairs, rejected)


def write(made: NewCorpus, root: Path) -> None:
    """Write everything but the pictures into the folder of the new corpus."""
    (root / META).write_text(yaml.safe_dump(made.meta.model_dump(), sort_keys=False, allow_unicode=True), "utf-8")
    jsonlines.write(root / PAIRS, made.lines)
    if made.rejected:
        jsonlines.write(root / REJECTED, map(asdict, made.rejected))


def saver(root: Path) -> Save:
    """Writes pictures under a corpus's root."""

    def save(path: str, data: bytes) -> None:
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(data)

    return save


class _Gathering:
    """Lines of the new corpus while they are found."""

    def __init__(self, licence: str, save: Save) -> None:
        self.lines: list[dict[str, Any]] = []
        self.pairs: list[Pair] = []
        self._licence = licence
        self._save = save
        self._paths: dict[str, str] = {}
        self._saved: set[str] = set()
        self._ids: dict[str, Place] = {}
        self._content: dict[tuple[str, str, str], Place] = {}

    def take(self, row: Row) -> tuple[str, str] | None:
        """Make a pair of a row; else the reason and a sentence."""
        line = row.line
        fault = pair_fault(line)
        if fault is not None:
            return fault
        if line["pair_id"] in self._ids:
            return "duplicate_pair", f"This pair_id is already in {_named(self._ids[line['pair_id']])}, which is kept."
        try:
            pictures = {self._path(data): data for data in (row.picture("source"), row.picture("edited"))}
        except ImageError as error:
            return error.reason, str(error)
        # One path where both pictures are the same.
        content = next(iter(pictures)), [*pictures][-1], line["instruction"]
        if content in self._content:
            message = f"Pictures and instruction are those of {_named(self._content[content])}, which is kept."
            return "duplicate_content", message
        fault = self._add(row, content)
        for path, data in pictures.items() if fault is None else ():
            if path not in self._saved:
                self._save(path, data)
                self._saved.add(path)
        return fault

    def _add(self, row: Row, content: tuple[str, str, str]) -> tuple[str, str] | None:
        line, (source, edited, _) = row.line, content
        new = line | {"pair_id": _new_id(line["pair_id"], content), "source": source, "edited": edited}
        new["origin"] = _origin(line)
        try:
            size = len(orjson.dumps(new))
        except TypeError:
            return "bad_field", "The line holds what cannot be written as JSON: its values are nested too deeply."
        if size > jsonlines.MAX_LINE:
            return "line_too_long", f"With its origin the line would be longer than {jsonlines.MAX_LINE:,} bytes."
        self._ids[line["pair_id"]] = self._content[content] = row.place
        self.lines.append(new)
        self.pairs.append(pair_of(new, self._licence, Place(PAIRS, len(self.lines))))
        return None

    def _path(self, data: bytes) -> str:
        """The path of a picture in the new corpus; ImageError when it is none."""
        digest = hashlib.sha256(data).hexdigest()
        if digest not in self._paths:
            self._paths[digest] = f"{IMAGES}/{digest}.{SUFFIXES[images.check(data).format]}"
        return self._paths[digest]


def _new_id(pair_id: str, content: tuple[str, str, str]) -> str:
    """An id that says its parent's and differs from it: the same for the same pictures and words, whenever made."""
    digest = hashlib.sha256(orjson.dumps([pair_id, *content])).hexdigest()[:DIGITS]
    return f"{pair_id[: MAX_ID - DIGITS - 1].strip()}-{digest}"


def _origin(line: dict[str, Any]) -> dict[str, Any]:
    """Where a new pair comes from.

    parent: the pair that was refined, which the line's own `origin` names, else the line itself; turn: of the loop,
    None when unknown; pair_id: the line's; origin: the line's own, if any
    """
    own = line.get("origin")
    said = own if isinstance(own, dict) else {}
    parent, turn = said.get("parent"), said.get("turn")
    found = {
        "parent": parent if isinstance(parent, str) and bad_id(parent) is None else line["pair_id"],
        "turn": turn if type(turn) is int else None,
        "pair_id": line["pair_id"],
    }
    return found | ({"origin": own} if own else {})


def _named(place: Place) -> str:
    return f"row {place.row} of {place.file}"
