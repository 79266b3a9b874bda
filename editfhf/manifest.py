"""`manifest.json` of a dataset: which files there are, what is in them, and where they came from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError, field_validator

from editfhf.features import DATASET_CONFIGS, DATASET_SPLITS
from mos.errors import UserError
from mos.files import open_regular_file
from mos.json_limits import MAX_JSON_LENGTH, describe_json_excess

MANIFEST_FILE = "manifest.json"
MANIFEST_FORMAT = "editfhf-dataset/1"
CONFIG_FOLDERS = {config: "data" if config == "default" else config for config in DATASET_CONFIGS}
DATASET_FOLDERS = (*CONFIG_FOLDERS.values(), "figures")
"""The folders of a dataset; a build replaces their files."""

OPTION_SECTION_NAMES = ("saliency", "regions", "mos", "split", "images", "shards")

_SHARD = re.compile(r"(?P<folder>[a-z]+)/(?P<name>[a-z]+)-\d{5}-of-\d{5}\.parquet")


class _ManifestPart(BaseModel):
    """Keys that this version does not know are kept."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)


class ManifestInput(_ManifestPart):
    """One file of the corpus that is not an image."""

    path: str
    bytes: StrictInt
    sha256: str


class ManifestOutput(_ManifestPart):
    """One file of the dataset.

    Attributes
    ----------
    path : str
        Relative POSIX path. It comes from a file that anybody may have altered: check it with `is_dataset_path`.
    rows : int or None
        Rows of a Parquet file.
    key, body : str or None
        Of a shard: digests of everything that decides its bytes, with and without the scores.
    kind : {"rows", "marks"} or None
        Of a shard: its table.
    """

    path: Any
    bytes: StrictInt
    sha256: str = ""
    rows: StrictInt | None = None
    key: str | None = None
    body: str | None = None
    kind: Literal["rows", "marks"] | None = None


class ManifestStep(_ManifestPart):
    """Counts of one step of a build: what went in and out, and what was rejected and why.

    Attributes
    ----------
    stage : str
        Name of the step; the key of the file predates the word.
    entered, left : int
        Keys `in` and `out`.
    set_aside : int
        Number of rejections.
    reasons : dict
        Number of rejections by reason.
    """

    stage: str
    entered: int = Field(alias="in")
    left: int = Field(alias="out")
    set_aside: int = 0
    reasons: dict[str, int] = {}


class ManifestSplit(_ManifestPart):
    """Counts of one split; `bytes` are those of its files in data/."""

    pairs: StrictInt
    sources: StrictInt = 0
    shards: StrictInt = 0
    bytes: StrictInt = 0


class ManifestImages(_ManifestPart):
    """Number, bytes and one digest of all images that the corpus names."""

    files: int
    bytes: int
    digest: str


class ManifestRejections(_ManifestPart):
    """Number of lines of `rejected.jsonl`, in all and by reason."""

    total: StrictInt | None = None
    by_reason: dict[str, int] = {}


class Manifest(_ManifestPart):
    """The content of `manifest.json`.

    Attributes
    ----------
    format : str
        `MANIFEST_FORMAT`.
    corpus : dict
        Name, version, licence, description, homepage and citation of the corpus.
    versions : dict
        Versions of everything that decides a byte of the dataset.
    options : dict
        The resolved options of the build, by section; sections and keys as in build.yaml.
    inputs : list of ManifestInput
    images : ManifestImages or None
    stages : list of ManifestStep
        The steps of the build, in their order.
    splits : dict
        `ManifestSplit` by name of the split.
    scores : dict
        Options of the scoring method, and its summary (counts, shares, warnings).
    rejected : ManifestRejections
    outputs : list of ManifestOutput
    """

    format: str = MANIFEST_FORMAT
    corpus: dict[str, str | None] = {}
    versions: dict[str, str] = {}
    options: dict[str, Any] = {}
    inputs: list[ManifestInput] = []
    images: ManifestImages | None = None
    stages: list[ManifestStep] = []
    splits: dict[str, ManifestSplit] = {}
    scores: dict[str, Any] = {}
    rejected: ManifestRejections = ManifestRejections()
    outputs: list[ManifestOutput] = []

    @field_validator("options")
    @classmethod
    def _check_sections(cls, options: dict[str, Any]) -> dict[str, Any]:
        for name in OPTION_SECTION_NAMES:
            if not isinstance(options.get(name, {}), dict):
                raise ValueError(f"{name} must be a mapping")
        return options

    def section(self, name: str) -> Mapping[str, Any]:
        """The options of one section of build.yaml; empty where the manifest has none."""
        options: Mapping[str, Any] = self.options.get(name, {})
        return options

    def as_dict(self) -> dict[str, Any]:
        """The manifest as JSON values, under the keys of the file."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    def encode(self) -> bytes:
        """The bytes of `manifest.json`."""
        options = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        return orjson.dumps({"format": MANIFEST_FORMAT, **self.as_dict()}, option=options)


def read_manifest(root: Path) -> Manifest:
    """Read the manifest of a dataset.

    Parameters
    ----------
    root
        Folder of the dataset.

    Raises
    ------
    UserError
        There is no manifest, it is not JSON, it has a format that this version does not know, or it is damaged.
    """
    path = root / MANIFEST_FILE
    try:
        with open_regular_file(path) as stream:
            data = stream.read(MAX_JSON_LENGTH + 1)
        excess = describe_json_excess(data)
        if excess is not None:
            raise UserError(f"{path} {excess}: expected the manifest of a dataset. Build the dataset again.")
        content = orjson.loads(data)
    except FileNotFoundError:
        raise UserError(
            f"{root} is not a dataset: expected {MANIFEST_FILE} in it, found none. "
            "Give a folder that `editfhf build` wrote."
        ) from None
    except (OSError, orjson.JSONDecodeError) as error:
        raise UserError(
            f"{path} cannot be read as JSON ({error.__class__.__name__}). Build the dataset again."
        ) from None
    found = content.get("format") if isinstance(content, dict) else None
    if found != MANIFEST_FORMAT:
        raise UserError(
            f"{path} must have format {MANIFEST_FORMAT!r}, but has {found!r}. Build it with this version of editfhf."
        )
    return parse_manifest(content, str(path))


def parse_manifest(content: Mapping[str, Any], name: str = MANIFEST_FILE) -> Manifest:
    """Check the content of a manifest.

    Parameters
    ----------
    content
        JSON values under the keys of the file.
    name
        What the file is called in an error.

    Raises
    ------
    UserError
        A value has another type than a build writes; the sentence names the first one.
    """
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(
            f"{name}: {place}: {first['msg']}, but got {repr(first['input'])[:80]}. The manifest is damaged: "
            "build the dataset again."
        ) from None


def open_texts_of(manifest: Manifest) -> list[str]:
    """`describe_open_texts` of a manifest."""
    return describe_open_texts(manifest.stages, manifest.section("regions").get("reviewers"))


def describe_open_texts(steps: Iterable[ManifestStep], reviewers: int | None) -> list[str]:
    """One sentence if some texts of reviewers are not final; otherwise an empty list.

    Parameters
    ----------
    steps
        Steps of a build.
    reviewers
        Number of reviewers who must agree on a text.
    """
    step = next((step for step in steps if step.stage == "rationales"), None)
    count = step.reasons.get("not_final", 0) if step else 0
    if not step or not count:
        return []
    return [
        f"{count:,} of {count + step.left:,} rationales are not final: expected {reviewers} reviewers on one text. "
        "Their regions have no rationale."
    ]


def is_dataset_path(path: object) -> bool:
    """Whether a path of a manifest is relative, POSIX, normal and stays inside the dataset.

    >>> is_dataset_path("data/train-00000-of-00001.parquet"), is_dataset_path("../thesis.txt")
    (True, False)
    """
    if not isinstance(path, str) or not path or "\\" in path or "\0" in path:
        return False
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts and str(pure) == path and path != "."


@dataclass(frozen=True, slots=True)
class ShardFiles:
    """The Parquet files of one split of one config: how many rows, how many bytes on disk."""

    files: tuple[str, ...]
    rows: int
    bytes: int


def group_shards(manifest: Manifest) -> dict[str, dict[str, ShardFiles]]:
    """The Parquet files of a dataset by config and split.

    Parameters
    ----------
    manifest
        Of the dataset.

    Returns
    -------
    dict
        Config to split to its files, in the order of `DATASET_CONFIGS` and `DATASET_SPLITS`; configs and splits
        without a file are absent. Every config but "default" has the one split "train".
    """
    found: dict[tuple[str, str], list[ManifestOutput]] = {}
    for output in manifest.outputs:
        shard = _SHARD.fullmatch(str(output.path))
        if shard:
            found.setdefault((shard["folder"], shard["name"]), []).append(output)
    tables: dict[str, dict[str, ShardFiles]] = {}
    for config, folder in CONFIG_FOLDERS.items():
        names = {split: split for split in DATASET_SPLITS} if config == "default" else {config: "train"}
        splits = {split: _sum_shards(found[folder, name]) for name, split in names.items() if (folder, name) in found}
        if splits:
            tables[config] = splits
    return tables


def group_loadable_shards(manifest: Manifest) -> dict[str, dict[str, ShardFiles]]:
    """`group_shards` without the tables that have no rows, which `datasets` cannot load."""
    tables = {
        config: {split: files for split, files in splits.items() if files.rows}
        for config, splits in group_shards(manifest).items()
    }
    return {config: splits for config, splits in tables.items() if splits}


def _sum_shards(outputs: list[ManifestOutput]) -> ShardFiles:
    files = tuple(sorted(output.path for output in outputs))
    return ShardFiles(files, sum(output.rows or 0 for output in outputs), sum(output.bytes for output in outputs))
