"""Tables to files: nothing is overwritten unasked, and every run leaves word of how it came about."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from mos.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

    from mos.table.problem import Problem

SUFFIXES = (".csv", ".parquet")
_KEY = b"mos"


def refuse_existing(paths: Sequence[Path | None], force: bool) -> None:
    """UserError for a path that cannot be written to, or where something is already, unless it may be replaced."""
    given = [path for path in paths if path is not None]
    for path in given:
        if path.is_dir():
            raise UserError(f"{path} is a folder; expected the name of a file.")
        if not path.absolute().parent.is_dir():
            raise UserError(f"{path}: there is no folder {path.parent}; make it, or choose another path.")
        if path.exists() and not force:
            raise UserError(f"{path} exists already and is not overwritten: choose another name, or add --force.")
    if len({path.absolute() for path in given}) < len(given):
        raise UserError(f"Two outputs have the same name, {given[-1]}: give each file its own.")


def check_suffixes(paths: Sequence[Path | None]) -> None:
    """UserError for a table that is neither CSV nor Parquet by its name."""
    for path in paths:
        if path is not None and path.suffix.lower() not in SUFFIXES:
            raise UserError(f"{path}: expected a name that ends in {' or '.join(SUFFIXES)}.")


def provenance_path(first: Path) -> Path:
    return first.with_name(f"{first.stem}.provenance.json")


def write_tables(tables: Mapping[Path, pa.Table], provenance: Mapping[str, Any]) -> Path:
    """Write every table, and one JSON file beside the first that says how they came about; its path.

    A Parquet file carries the same as metadata under the key "mos".
    """
    import pyarrow.csv as pacsv
    import pyarrow.parquet as pq

    word = orjson.dumps({**provenance, "version": version("editfhf")}, option=orjson.OPT_INDENT_2)
    for path, table in tables.items():
        part = path.with_name(f".{path.name}.part")
        try:
            if path.suffix.lower() == ".csv":
                pacsv.write_csv(table, part)
            else:
                pq.write_table(table.replace_schema_metadata({_KEY: word}), part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    beside = provenance_path(next(iter(tables)))
    replace_with(beside, word + b"\n")
    return beside


def replace_with(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_rejected(path: Path, asides: Sequence[tuple[Path, Problem]]) -> None:
    """A JSON line for every row set aside: file, row, reason, message.  Replaces a list of an earlier run only."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise UserError(f"{path}: expected the name of a file in a folder that exists.")
    if path.exists() and not _is_list(path):
        raise UserError(f"{path} is no list of rejected rows and is not overwritten; choose another name.")
    lines = [{"file": file.name, "row": p.row, "reason": p.reason, "message": p.message} for file, p in asides]
    replace_with(path, b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines))


def _is_list(path: Path) -> bool:
    with path.open("rb") as file:
        first = file.readline(65_536)
    try:
        return not first or {"file", "row", "reason"} <= set(orjson.loads(first))
    except (orjson.JSONDecodeError, TypeError):
        return False
