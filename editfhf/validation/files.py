"""Check the files of a dataset against its manifest: complete, unchanged, none unlisted, and the card agrees."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from editfhf.card.metadata import make_card_metadata
from editfhf.features import has_empty_row_group, make_arrow_schema
from editfhf.manifest import CONFIG_FOLDERS, MANIFEST_FILE, Manifest, ManifestOutput, group_shards, is_dataset_path
from mos.files import open_regular_file, read_regular_file
from mos.json_limits import describe_json_excess
from mos.plain_yaml import describe_yaml_error, load_plain_yaml


class ValidationFinding(NamedTuple):
    """One error, or one warning that a person should check.

    Attributes
    ----------
    severity : {"error", "warning"}
    where : str
        A file, with the row (from 1) or pair where there is one.
    message : str
        What was expected and what was found.
    """

    severity: Literal["error", "warning"]
    where: str
    message: str


def report_error(where: str, message: str) -> ValidationFinding:
    """A finding that is an error."""
    return ValidationFinding("error", where, message)


def report_warning(where: str, message: str) -> ValidationFinding:
    """A finding that is a warning."""
    return ValidationFinding("warning", where, message)


CARD_FILE = "README.md"


REJECTIONS_FILE = "rejected.jsonl"


# `datasets` reads every file in these folders as a part of a table.
TABLE_FOLDERS = frozenset(CONFIG_FOLDERS.values())


def check_outputs(root: Path, manifest: Manifest) -> Iterator[ValidationFinding]:
    """Every listed file exists with its size and digest, and there is no other file."""
    listed = set()
    for output in manifest.outputs:
        path = output.path
        if not is_dataset_path(path):
            yield report_error(MANIFEST_FILE, f"names {path!r}, which is not a path inside the dataset")
            continue
        if path in listed:
            yield report_error(MANIFEST_FILE, f"names {path} twice")
        listed.add(path)
        yield from _check_output(root, output)
    yield from _check_unlisted(root, listed)


def _check_output(root: Path, output: ManifestOutput) -> Iterator[ValidationFinding]:
    path, real = output.path, root / output.path
    if not real.is_file() or not real.resolve().is_relative_to(root.resolve()):
        yield report_error(path, "is listed in the manifest, but does not exist")
        return
    size = real.stat().st_size
    if size != output.bytes:
        yield report_error(path, f"has {size:,} bytes, but was built with {output.bytes:,}")
        return
    with open_regular_file(real) as handle:
        if hashlib.file_digest(handle, "sha256").hexdigest() != output.sha256:
            yield report_error(path, "has other content than it was built with (its SHA-256 differs)")


def _check_unlisted(root: Path, listed: set[str]) -> Iterator[ValidationFinding]:
    for real in sorted(root.rglob("*")):
        path = real.relative_to(root).as_posix()
        if real.is_dir() or path in listed or path == MANIFEST_FILE or path.startswith("."):
            continue
        if path.split("/")[0] in TABLE_FOLDERS:
            yield report_error(path, "does not belong to this build, but would be read as a part of it: remove it")
        else:
            yield report_warning(path, "does not belong to this build: it will not be published")


def check_card(root: Path, manifest: Manifest) -> Iterator[ValidationFinding]:
    """The card's front matter has the same tables, columns and counts as the manifest.

    `datasets` uses the card: other class names in it would replace those of the shards without a warning.
    """
    try:
        text = read_regular_file(root / CARD_FILE).decode()
        front = load_plain_yaml(text.split("\n---", 1)[0].removeprefix("---"))
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        yield report_error(
            CARD_FILE, f"has no readable front matter ({type(error).__name__}{describe_yaml_error(error)})"
        )
        return
    expected = make_card_metadata(manifest)
    for key in ("configs", "dataset_info"):
        if not isinstance(front, dict) or front.get(key) != expected[key]:
            yield report_error(CARD_FILE, f"has a front matter whose {key!r} differs from the manifest or the columns")


def check_rejections_file(root: Path, manifest: Manifest) -> tuple[list[ValidationFinding], set[tuple[str, str]]]:
    """Findings about `rejected.jsonl`, and the scores whose absence it explains, as (pair_id, dimension)."""
    findings: list[ValidationFinding] = []
    without_score: set[tuple[str, str]] = set()
    try:
        lines = read_regular_file(root / REJECTIONS_FILE).splitlines()
    except OSError:
        return [report_error(REJECTIONS_FILE, "does not exist")], without_score
    for number, line in enumerate(lines, start=1):
        try:
            entry = None if describe_json_excess(line) else orjson.loads(line)
        except orjson.JSONDecodeError:
            entry = None
        if not isinstance(entry, dict) or not {"what", "file", "row", "reason", "message"} <= entry.keys():
            findings.append(
                report_error(
                    f"{REJECTIONS_FILE} line {number}", "is not an object with what, file, row, reason, message"
                )
            )
        elif entry["what"] == "score":
            without_score.add((str(entry.get("pair_id")), str(entry.get("item_id"))))
    total = manifest.rejected.total
    if total != len(lines):
        findings.append(report_error(REJECTIONS_FILE, f"has {len(lines)} lines, but the manifest counts {total}"))
    return findings, without_score


def check_table_files(root: Path, manifest: Manifest) -> Iterator[ValidationFinding]:
    """Every shard has the schema of its table, features included, and the number of rows of the manifest."""
    rows = {output.path: output.rows for output in manifest.outputs if isinstance(output.path, str)}
    tables = group_shards(manifest)
    for config in CONFIG_FOLDERS:
        if config not in tables:
            yield report_error(MANIFEST_FILE, f"names no shard of the table {config!r}")
    for config, splits in tables.items():
        for files in splits.values():
            for path in files.files:
                yield from _check_shard(root, path, config, rows[path])
    counted = {split: files.rows for split, files in tables.get("default", {}).items()}
    stated = {split: counts.pairs for split, counts in manifest.splits.items() if counts.pairs}
    if counted != stated:
        yield report_error(MANIFEST_FILE, f"counts pairs as {stated} in its splits, but its shards have {counted}")


def _check_shard(root: Path, path: str, config: str, rows: int | None) -> Iterator[ValidationFinding]:
    try:
        shard = pq.read_metadata(root / path)
        found = shard.schema.to_arrow_schema()
    except (OSError, pa.ArrowException) as error:
        yield report_error(path, f"cannot be read as Parquet ({error.__class__.__name__})")
        return
    if has_empty_row_group(shard):
        yield report_error(path, "has a row group without rows, at which `datasets` fails: build it into a new folder")
    if shard.num_rows != rows:
        yield report_error(path, f"has {shard.num_rows} rows, but the manifest counts {rows}")
    expected = make_arrow_schema(config)
    if not found.equals(expected):
        names = sorted(set(found.names) ^ set(expected.names))
        which = f": {', '.join(names)}" if names else ""
        yield report_error(path, f"has other columns than the table {config!r}{which}")
    elif found.metadata is None or found.metadata.get(b"huggingface") != expected.metadata[b"huggingface"]:
        yield report_error(path, "has other features in its metadata than its table (such as other class names)")
