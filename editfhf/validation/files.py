"""The files of a dataset against its manifest: all there, unchanged, none too many, and the card tells the truth."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from editfhf.card_metadata import metadata
from editfhf.features import schema
from editfhf.manifest import FOLDERS, MANIFEST, is_inside, shards
from editfhf.validation.issues import Issue, error, warning

CARD = "README.md"
REJECTED = "rejected.jsonl"
# Every file here would be read as a part of a table.
TABLE_FOLDERS = frozenset(FOLDERS.values())


def check_outputs(root: Path, manifest: Mapping[str, Any]) -> Iterator[Issue]:
    """Every listed file is there with the size and digest it was built with, and nothing else lies around."""
    listed = set()
    for output in manifest["outputs"]:
        path = output.get("path")
        if not is_inside(path):
            yield error(MANIFEST, f"names {path!r}, which is not a path inside the dataset")
            continue
        if path in listed:
            yield error(MANIFEST, f"names {path} twice")
        listed.add(path)
        yield from _check_output(root, output)
    yield from _check_unlisted(root, listed)


def _check_output(root: Path, output: Mapping[str, Any]) -> Iterator[Issue]:
    path, real = output["path"], root / output["path"]
    if not real.is_file() or not real.resolve().is_relative_to(root.resolve()):
        yield error(path, "is listed in the manifest, but is not there")
        return
    size = real.stat().st_size
    if size != output.get("bytes"):
        yield error(path, f"has {size:,} bytes, but was built with {output.get('bytes')}")
        return
    with real.open("rb") as handle:
        if hashlib.file_digest(handle, "sha256").hexdigest() != output.get("sha256"):
            yield error(path, "has other content than it was built with (its sha256 differs)")


def _check_unlisted(root: Path, listed: set[str]) -> Iterator[Issue]:
    for real in sorted(root.rglob("*")):
        path = real.relative_to(root).as_posix()
        if real.is_dir() or path in listed or path == MANIFEST or path.startswith("."):
            continue
        if path.split("/")[0] in TABLE_FOLDERS:
            yield error(path, "is not of this build, but would be read as a part of it: remove it")
        else:
            yield warning(path, "is not of this build: it will not be published")


def check_card(root: Path, manifest: Mapping[str, Any]) -> Iterator[Issue]:
    """The card's front matter names the same tables, columns and counts as the manifest.

    `datasets` believes the card: other class names in it would silently win over those of the shards.
    """
    try:
        text = (root / CARD).read_text(encoding="utf-8")
        front = yaml.safe_load(text.split("\n---", 1)[0].removeprefix("---"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as found:
        yield error(CARD, f"has no front matter that can be read ({found.__class__.__name__})")
        return
    expected = metadata(manifest)
    for key in ("configs", "dataset_info"):
        if not isinstance(front, dict) or front.get(key) != expected[key]:
            yield error(CARD, f"has a front matter whose {key!r} does not fit the manifest and the columns")


def check_rejected(root: Path, manifest: Mapping[str, Any]) -> tuple[list[Issue], set[tuple[str, str]]]:
    """Issues of `rejected.jsonl`, and the scores that it gives a reason for, as (pair_id, dimension)."""
    issues: list[Issue] = []
    without_score: set[tuple[str, str]] = set()
    try:
        lines = (root / REJECTED).read_bytes().splitlines()
    except OSError:
        return [error(REJECTED, "is not there")], without_score
    for number, line in enumerate(lines, start=1):
        try:
            entry = orjson.loads(line)
        except orjson.JSONDecodeError:
            entry = None
        if not isinstance(entry, dict) or not {"what", "file", "row", "reason", "message"} <= entry.keys():
            issues.append(error(f"{REJECTED} line {number}", "is not an object with what, file, row, reason, message"))
        elif entry["what"] == "score":
            without_score.add((str(entry.get("pair_id")), str(entry.get("item_id"))))
    total = manifest.get("rejected", {}).get("total")
    if total != len(lines):
        issues.append(error(REJECTED, f"has {len(lines)} lines, but the manifest counts {total}"))
    return issues, without_score


def check_tables(root: Path, manifest: Mapping[str, Any]) -> Iterator[Issue]:
    """Every shard has its table's schema, features included, and the rows that the manifest counts."""
    rows = {output["path"]: output.get("rows") for output in manifest["outputs"]}
    tables = shards(manifest)
    for config in FOLDERS:
        if config not in tables:
            yield error(MANIFEST, f"names no shard of the table {config!r}")
    for config, splits in tables.items():
        for files in splits.values():
            for path in files.files:
                yield from _check_shard(root, path, config, rows[path])
    counted = {split: files.rows for split, files in tables.get("default", {}).items()}
    said = {split: entry.get("pairs") for split, entry in manifest["splits"].items() if entry.get("pairs")}
    if counted != said:
        yield error(MANIFEST, f"counts pairs as {said} in its splits, but its shards have {counted}")


def _check_shard(root: Path, path: str, config: str, rows: int) -> Iterator[Issue]:
    try:
        shard = pq.read_metadata(root / path)
        found = shard.schema.to_arrow_schema()
    except (OSError, pa.ArrowException) as problem:
        yield error(path, f"cannot be read as Parquet ({problem.__class__.__name__})")
        return
    if shard.num_rows != rows:
        yield error(path, f"has {shard.num_rows} rows, but the manifest counts {rows}")
    expected = schema(config)
    if not found.equals(expected):
        names = sorted(set(found.names) ^ set(expected.names))
        which = f": {', '.join(names)}" if names else ""
        yield error(path, f"has other columns than the table {config!r}{which}")
    elif found.metadata is None or found.metadata.get(b"huggingface") != expected.metadata[b"huggingface"]:
        yield error(path, "has other features in its metadata than its table (such as other class names)")
