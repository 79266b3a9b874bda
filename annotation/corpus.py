"""A corpus folder: `corpus.yaml`, `pairs.jsonl`, and the exports, tables and rules in `annotations/`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import orjson
import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from annotation.json_lines import RejectCallback, read_json_lines
from annotation.records import Pair, Place, Rejection
from annotation.rules import RULES_FILE
from annotation.taxonomy import load_edit_tasks
from annotation.text import MAX_TEXT_LENGTH, describe_bad_id, is_unicode
from mos.errors import UserError
from mos.files import read_regular_file
from mos.plain_yaml import describe_yaml_error, load_yaml_texts
from mos.words import did_you_mean

PAIRS_FILE = "pairs.jsonl"
META_FILE = "corpus.yaml"
ANNOTATIONS_FOLDER = "annotations"
CORPUS_RULES_PATH = f"{ANNOTATIONS_FOLDER}/{RULES_FILE}"
MAX_META_BYTES = 1 << 20

ANNOTATION_GLOBS: dict[str, tuple[str, ...]] = {
    "regions": ("regions*.json",),
    "expert": ("expert*.json",),
    "rationales": ("rationales*.json",),
    "ratings": ("ratings*.json", "ratings*.csv", "ratings*.parquet"),
    "flags": ("flags*.json", "flags*.csv"),
    "rules": (RULES_FILE,),
}
"""Globs of the files in `annotations/`, by content."""

REQUIRED_PAIR_KEYS = ("pair_id", "source_id", "source", "edited", "instruction", "task", "editor")
PAIR_ID_KEYS = ("pair_id", "source_id")

MetaText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_TEXT_LENGTH)]


class CorpusMeta(BaseModel):
    """The content of `corpus.yaml`; `licence` is also that of every pair that states none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    version: MetaText = "1.0.0"
    licence: MetaText = "unknown"
    description: MetaText = ""
    homepage: MetaText = ""
    citation: MetaText = ""


@dataclass(frozen=True)
class Corpus:
    """A corpus on disk.

    Parameters
    ----------
    root : Path
        Folder of the corpus.  `Corpus.open` checks it.

    Notes
    -----
    Files are read when a method asks for them.  Images are read by `annotation.images`.

    Examples
    --------
    ::

        corpus = annotation.Corpus.open(Path("corpus"))
        pairs = list(corpus.pairs(print))
    """

    root: Path

    @classmethod
    def open(cls, root: Path) -> Corpus:
        """Open the corpus in a folder.

        Raises
        ------
        UserError
            The folder or one of its two required files is missing, or one is a link that leaves the corpus.
        """
        if not root.exists():
            raise UserError(
                f"No corpus at {root}: expected a folder with {META_FILE} and {PAIRS_FILE}. Check the path."
            )
        if not root.is_dir():
            raise UserError(
                f"{root} is a file: expected a corpus folder with {META_FILE} and {PAIRS_FILE}. Name the folder."
            )
        corpus = cls(root)
        for name, hint in (
            (META_FILE, "Create it with at least the line 'name: ...'."),
            (PAIRS_FILE, "Write one pair a line."),
        ):
            if not (root / name).is_file():
                raise UserError(f"The corpus {root} has no file {name}. {hint}")
            if not corpus.holds_path(root / name):
                raise UserError(f"{root / name} is a link that leaves the corpus. Put the file itself there.")
        return corpus

    @cached_property
    def meta(self) -> CorpusMeta:
        """The content of `corpus.yaml`; `UserError` names the key that is wrong, and the nearest right one."""
        path = self.root / META_FILE
        if path.stat().st_size > MAX_META_BYTES:
            raise UserError(
                f"{path} is larger than {MAX_META_BYTES:,} bytes: expected a short description of the corpus."
            )
        try:
            data = load_yaml_texts(read_regular_file(path).decode("utf-8-sig"))
        except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
            where = describe_yaml_error(error)
            raise UserError(f"{path} is not valid YAML{where}. Correct it; quote texts with a colon.") from None
        if not isinstance(data, dict):
            raise UserError(f"{path} must hold keys and values such as 'name: my corpus'.")
        try:
            # A key without a value says nothing: its default holds.
            return CorpusMeta.model_validate({key: value for key, value in data.items() if value is not None})
        except ValidationError as error:
            raise UserError(f"{path}: {_format_meta_error(error)}") from None

    def pairs(self, reject: RejectCallback) -> Iterator[Pair]:
        """Read every valid pair of `pairs.jsonl`, in the order of the file.

        Keys that the format does not define are ignored.  Of two lines with one `pair_id` the first counts.

        Parameters
        ----------
        reject : callable
            Receives one `Rejection` for every other line.
        """
        licence = self.meta.licence
        first_rows: dict[str, int] = {}
        for row, line in read_json_lines(self.root / PAIRS_FILE, PAIRS_FILE, reject, unique_keys=True):
            problem = diagnose_pair(line)
            pair_id = line.get("pair_id")
            if problem is None and pair_id in first_rows:
                problem = ("duplicate_pair", f"This pair_id is already in row {first_rows[pair_id]}, which is kept.")
            if problem is not None:
                known = pair_id if isinstance(pair_id, str) and describe_bad_id(pair_id) is None else None
                reject(Rejection("pair", PAIRS_FILE, row, *problem, pair_id=known))
                continue
            first_rows[line["pair_id"]] = row
            yield build_pair(line, licence, Place(PAIRS_FILE, row))

    def files(self, reject: RejectCallback) -> dict[str, list[str]]:
        """List the files in `annotations/` by content.

        Parameters
        ----------
        reject : callable
            Receives one `Rejection` for every file of another name, and for every link that leaves the corpus or whose
            target is missing.

        Returns
        -------
        dict of str to list of str
            Sorted POSIX paths, relative to the corpus, by the keys of `ANNOTATION_GLOBS`.
        """
        files: dict[str, list[str]] = {content: [] for content in ANNOTATION_GLOBS}
        folder = self.root / ANNOTATIONS_FOLDER
        if not folder.is_dir():
            if folder.exists():
                message = "Expected a folder with exports and tables of annotations, got a file."
                reject(Rejection("file", ANNOTATIONS_FOLDER, 0, "not_a_folder", message))
            return files
        if not self.holds_path(folder):
            reject(
                Rejection(
                    "file", ANNOTATIONS_FOLDER, 0, "leaves_corpus", "The folder is a link that leaves the corpus."
                )
            )
            return files
        for path in sorted(folder.iterdir(), key=lambda path: path.name):
            file = f"{ANNOTATIONS_FOLDER}/{path.name}"
            content = _classify_file(path.name)
            problem = self._diagnose_file(path, content)
            if problem is not None:
                reject(Rejection("file", file, 0, *problem))
            elif content is not None:
                files[content].append(file)
        return files

    def _diagnose_file(self, path: Path, content: str | None) -> tuple[str, str] | None:
        if not is_unicode(path.name):
            return "bad_file_name", "The file's name is not UTF-8; it was not read. Rename it."
        if content is None:
            globs = ", ".join(glob for group in ANNOTATION_GLOBS.values() for glob in group)
            return "unknown_file", f"Unrecognised file name: expected one of {globs}. The file was not read."
        if not self.holds_path(path):
            return "leaves_corpus", "The file is a link that leaves the corpus; it was not read. Put the file here."
        if not path.is_file():
            return "not_a_file", "Expected a regular file, got a folder or a link whose target is missing."
        return None

    def holds_path(self, path: Path) -> bool:
        """Whether the path, all links followed, is inside the corpus."""
        try:
            return path.resolve().is_relative_to(self.root.resolve())
        except (OSError, RuntimeError):
            return False

    def has_file(self, file: str) -> bool:
        """Whether the corpus has the file, a POSIX path; `UserError` when it is a link that leaves the corpus."""
        path = self.root / file
        if not (path.exists() or path.is_symlink()):
            return False
        if not self.holds_path(path):
            raise UserError(f"{path} is a link that leaves the corpus. Put the file itself there.")
        return True


def _classify_file(name: str) -> str | None:
    for content, globs in ANNOTATION_GLOBS.items():
        if any(fnmatchcase(name, glob) for glob in globs):
            return content
    return None


def _format_meta_error(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    key = str(problem["loc"][0]) if problem["loc"] else "the file"
    if problem["type"] == "string_type":
        return f"key {key!r}: expected a text, got a list or a mapping. Write the text in quotes."
    if problem["type"] != "extra_forbidden":
        return f"key {key!r}: {problem['msg']}."
    known = list(CorpusMeta.model_fields)
    return f"unknown key {key[:40]!r}.{did_you_mean(key, known)} Available: {', '.join(known)}."


def diagnose_pair(line: dict[str, Any]) -> tuple[str, str] | None:
    """Reason and message of the first problem of a line of `pairs.jsonl`; None when the line is a pair."""
    for key in REQUIRED_PAIR_KEYS:
        value = line.get(key)
        if not isinstance(value, str) or not value.strip():
            got = "nothing" if value is None else "an empty text" if isinstance(value, str) else type(value).__name__
            return "bad_field", f"Expected text in {key!r}, got {got}."
        if len(value) > MAX_TEXT_LENGTH:
            return "text_too_long", f"{key!r} has {len(value):,} characters: at most {MAX_TEXT_LENGTH:,} are read."
    for key in PAIR_ID_KEYS:
        problem = describe_bad_id(line[key])
        if problem is not None:
            return "bad_id", f"{key!r} {problem}."
    if line["task"] not in load_edit_tasks():
        hint = did_you_mean(line["task"], load_edit_tasks())
        return "unknown_task", f"Unknown task {line['task'][:60]!r}.{hint} The list is annotation/tasks.yaml."
    for key in ("licence", "license"):
        value = line.get(key)
        if value is not None and (not isinstance(value, str) or len(value) > MAX_TEXT_LENGTH):
            return "bad_field", f"Expected a short text in {key!r}, got {type(value).__name__}."
    return None


def build_pair(line: dict[str, Any], licence: str, place: Place) -> Pair:
    """The pair on a valid line; `licence` where the line states none."""
    stated = (line.get("licence") or line.get("license") or "").strip()
    return Pair(
        **{key: line[key] for key in REQUIRED_PAIR_KEYS},
        licence=stated or licence,
        origin=_format_origin(line),
        place=place,
    )


def _format_origin(line: dict[str, Any]) -> str:
    """The origin of a pair: a text as it is, anything else as compact JSON with sorted keys."""
    origin = line.get("origin")
    if origin is None:
        return ""
    return origin if isinstance(origin, str) else orjson.dumps(origin, option=orjson.OPT_SORT_KEYS).decode()
