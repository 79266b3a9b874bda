"""Reading a dataset's `manifest.json`: which files there are, what is in them, and where they came from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import orjson

from editfhf.features import CONFIGS, SPLITS
from mos.errors import UserError

MANIFEST = "manifest.json"
FORMAT = "editfhf-dataset/1"
FOLDERS = {config: "data" if config == "default" else config for config in CONFIGS}

_SHARD = re.compile(r"(?P<folder>[a-z]+)/(?P<name>[a-z]+)-\d{5}-of-\d{5}\.parquet")


@dataclass(frozen=True, slots=True)
class Shards:
    """The Parquet files of one split of one config: how many rows, how many bytes on disk."""

    files: tuple[str, ...]
    rows: int
    bytes: int


def read_manifest(root: Path) -> dict[str, Any]:
    """The manifest of the dataset in `root`.

    Raises:
        UserError: there is none, it is not JSON, or it is of a format that this version does not know.
    """
    path = root / MANIFEST
    try:
        manifest = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(
            f"{root} is not a dataset: expected {MANIFEST} in it, found none. Give a folder that `editfhf build` wrote."
        ) from None
    except (OSError, orjson.JSONDecodeError) as error:
        raise UserError(
            f"{path} cannot be read as JSON ({error.__class__.__name__}). Build the dataset again."
        ) from None
    found = manifest.get("format") if isinstance(manifest, dict) else None
    if found != FORMAT:
        raise UserError(
            f"{path} must have format {FORMAT!r}, but has {found!r}. Build it with this version of editfhf."
        )
    return manifest


def is_inside(path: object) -> bool:
    """Whether a path of a manifest is relative, POSIX, normal and stays inside the dataset."""
    if not isinstance(path, str) or not path or "\\" in path or "\0" in path:
        return False
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts and str(pure) == path and path != "."


def shards(manifest: Mapping[str, Any]) -> dict[str, dict[str, Shards]]:
    """Config to split to shards, in the order of `CONFIGS` and `SPLITS`; what has no file is left out.

    Every config but "default" has the one split "train".
    """
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for output in manifest["outputs"]:
        shard = _SHARD.fullmatch(str(output.get("path")))
        if shard:
            found.setdefault((shard["folder"], shard["name"]), []).append(output)
    tables: dict[str, dict[str, Shards]] = {}
    for config, folder in FOLDERS.items():
        names = {split: split for split in SPLITS} if config == "default" else {config: "train"}
        splits = {split: _together(found[folder, name]) for name, split in names.items() if (folder, name) in found}
        if splits:
            tables[config] = splits
    return tables


def _together(outputs: list[Mapping[str, Any]]) -> Shards:
    files = tuple(sorted(output["path"] for output in outputs))
    rows, size = (sum(output.get(key) or 0 for output in outputs) for key in ("rows", "bytes"))
    return Shards(files, rows, size)
