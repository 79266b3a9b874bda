"""A corpus folder: `corpus.yaml`, `pairs.jsonl` and the files in which people's work came back."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import orjson
import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from annotation import jsonlines
from annotation.jsonlines import Reject
from annotation.records import Pair, Place, Rejection
from annotation.tasks import tasks
from annotation.text import MAX_TEXT, bad_id, is_unicode
from mos.errors import UserError

PAIRS = "pairs.jsonl"
META = "corpus.yaml"
ANNOTATIONS = "annotations"
MAX_META = 1 << 20

PATTERNS: dict[str, tuple[str, ...]] = {
    "regions": ("regions*.json",),
    "expert": ("expert*.json",),
    "rationales": ("rationales*.json",),
    "ratings": ("ratings*.json", "ratings*.csv", "ratings*.parquet"),
    "flags": ("flags*.json", "flags*.csv"),
}
"""Globs of the files in `annotations/`, by what they hold."""

REQUIRED = ("pair_id", "source_id", "source", "edited", "instruction", "task", "editor")
IDS = ("pair_id", "source_id")

Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_TEXT)]


class CorpusMeta(BaseModel):
    """What `corpus.yaml` says of the whole corpus; `licence` is also that of every pair that names none."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    version: Text = "1.0.0"
    licence: Text = "unknown"
    description: Text = ""
    homepage: Text = ""
    citation: Text = ""


@dataclass(frozen=True)
class Corpus:
    """A corpus on disk. Nothing is read before it is asked for; images are not its business."""

    root: Path

    @classmethod
    def open(cls, root: Path) -> Corpus:
        """The corpus in a folder; `UserError` when the folder or one of its two required files is missing."""
        if not root.exists():
            raise UserError(f"No corpus at {root}: expected a folder with {META} and {PAIRS}. Check the path.")
        if not root.is_dir():
            raise UserError(f"{root} is a file: expected a corpus folder with {META} and {PAIRS}. Name the folder.")
        corpus = cls(root)
        for name, hint in ((META, "Create it with at least the line 'name: ...'."), (PAIRS, "Write one pair a line.")):
            if not (root / name).is_file():
                raise UserError(f"The corpus {root} has no file {name}. {hint}")
            if not corpus._holds(root / name):
                raise UserError(f"{root / name} is a link that leaves the corpus. Put the file itself there.")
        return corpus

    @cached_property
    def meta(self) -> CorpusMeta:
        """The content of `corpus.yaml`; `UserError` names the key that is wrong, and the nearest right one."""
        path = self.root / META
        if path.stat().st_size > MAX_META:
            raise UserError(f"{path} is larger than {MAX_META:,} bytes: expected a short description of the corpus.")
        try:
            data = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
        except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
            where = getattr(error, "problem_mark", None)
            line = f" at line {where.line + 1}" if where is not None else ""
            raise UserError(f"{path} is not valid YAML{line}. Correct it; quote texts with a colon.") from None
        if not isinstance(data, dict):
            raise UserError(f"{path} must hold keys and values such as 'name: my corpus'.")
        try:
            return CorpusMeta.model_validate(data)
        except ValidationError as error:
            raise UserError(f"{path}: {_first_fault(error)}") from None

    def pairs(self, reject: Reject) -> Iterator[Pair]:
        """Every valid pair of `pairs.jsonl` in its order; each other line gives one `Rejection`.

        Keys beyond those of the contract are allowed and left alone.  Of two lines with one `pair_id` the first counts.
        """
        licence = self.meta.licence
        first: dict[str, int] = {}
        for row, line in jsonlines.read(self.root / PAIRS, PAIRS, reject):
            fault = pair_fault(line)
            pair_id = line.get("pair_id")
            if fault is None and pair_id in first:
                fault = ("duplicate_pair", f"This pair_id is already in row {first[pair_id]}, which is kept.")
            if fault is not None:
                known = pair_id if isinstance(pair_id, str) and bad_id(pair_id) is None else None
                reject(Rejection("pair", PAIRS, row, *fault, pair_id=known))
                continue
            first[line["pair_id"]] = row
            yield pair_of(line, licence, Place(PAIRS, row))

    def files(self, reject: Reject) -> dict[str, list[str]]:
        """POSIX paths, relative to the corpus and sorted, of the files in `annotations/`, by what they hold.

        A file of another name, and a link that leaves the corpus or leads nowhere, gives one `Rejection` each.
        """
        found: dict[str, list[str]] = {content: [] for content in PATTERNS}
        folder = self.root / ANNOTATIONS
        if not folder.is_dir():
            if folder.exists():
                message = "Expected a folder with the exports and tables of what people said, got a file."
                reject(Rejection("file", ANNOTATIONS, 0, "not_a_folder", message))
            return found
        if not self._holds(folder):
            reject(Rejection("file", ANNOTATIONS, 0, "leaves_corpus", "The folder is a link that leaves the corpus."))
            return found
        for path in sorted(folder.iterdir(), key=lambda path: path.name):
            file = f"{ANNOTATIONS}/{path.name}"
            content = _content(path.name)
            fault = self._file_fault(path, content)
            if fault is not None:
                reject(Rejection("file", file, 0, *fault))
            elif content is not None:
                found[content].append(file)
        return found

    def _file_fault(self, path: Path, content: str | None) -> tuple[str, str] | None:
        if not is_unicode(path.name):
            return "bad_file_name", "The file's name is not UTF-8; it was not read. Rename it."
        if content is None:
            globs = ", ".join(glob for group in PATTERNS.values() for glob in group)
            return "unknown_file", f"The name says not what the file holds: expected one of {globs}. It was not read."
        if not self._holds(path):
            return "leaves_corpus", "The file is a link that leaves the corpus; it was not read. Put the file here."
        if not path.is_file():
            return "not_a_file", "Expected a regular file, got a folder or a link that leads nowhere."
        return None

    def _holds(self, path: Path) -> bool:
        """Whether the path, all links followed, is inside the corpus."""
        try:
            return path.resolve().is_relative_to(self.root.resolve())
        except (OSError, RuntimeError):
            return False


def _content(name: str) -> str | None:
    for content, globs in PATTERNS.items():
        if any(fnmatchcase(name, glob) for glob in globs):
            return content
    return None


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False)[0]
    key = str(fault["loc"][0]) if fault["loc"] else "the file"
    if fault["type"] != "extra_forbidden":
        return f"key {key!r}: {fault['msg']}."
    known = list(CorpusMeta.model_fields)
    near = difflib.get_close_matches(key, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown key {key[:40]!r}.{hint} Available: {', '.join(known)}."


def pair_fault(line: dict[str, Any]) -> tuple[str, str] | None:
    """Reason and message of the first thing wrong with a line; None when it is a pair."""
    for key in REQUIRED:
        value = line.get(key)
        if not isinstance(value, str) or not value.strip():
            came = "nothing" if value is None else "an empty text" if isinstance(value, str) else type(value).__name__
            return "bad_field", f"Expected text in {key!r}, got {came}."
        if len(value) > MAX_TEXT:
            return "text_too_long", f"{key!r} has {len(value):,} characters: at most {MAX_TEXT:,} are read."
    for key in IDS:
        fault = bad_id(line[key])
        if fault is not None:
            return "bad_id", f"{key!r} {fault}."
    if line["task"] not in tasks():
        near = difflib.get_close_matches(line["task"], tasks(), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return "unknown_task", f"Unknown task {line['task'][:60]!r}.{hint} The list is annotation/tasks.yaml."
    for key in ("licence", "license"):
        value = line.get(key)
        if value is not None and (not isinstance(value, str) or len(value) > MAX_TEXT):
            return "bad_field", f"Expected a short text in {key!r}, got {type(value).__name__}."
    return None


def pair_of(line: dict[str, Any], licence: str, place: Place) -> Pair:
    """The pair on a line without a fault; `licence` where it names none."""
    own = (line.get("licence") or line.get("license") or "").strip()
    return Pair(**{key: line[key] for key in REQUIRED}, licence=own or licence, origin=_origin(line), place=place)


def _origin(line: dict[str, Any]) -> str:
    """Where the pair comes from: a text as it is, anything else as compact JSON with sorted keys."""
    origin = line.get("origin")
    if origin is None:
        return ""
    return origin if isinstance(origin, str) else orjson.dumps(origin, option=orjson.OPT_SORT_KEYS).decode()
