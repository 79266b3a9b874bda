"""Output of the commands: tables on the terminal, and files with their provenance.

No file is overwritten unless --force is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from mos.console import make_progress, print_line, table_console
from mos.errors import UserError
from mos.files import open_replacement, replace_file
from mos.words import escape_to_one_line

if TYPE_CHECKING:
    import pyarrow as pa

    from mos.load import RatingStudy


MAX_PRINTED_ROWS = 20


def print_table(
    table: pa.Table, title: str, shown: int = MAX_PRINTED_ROWS, more: str = "--out FILE", longest: int = 60
) -> None:
    """The first rows of a table on stdout, without columns that are empty; names are text, never markup."""
    import pyarrow as pa
    from rich.table import Table
    from rich.text import Text

    table = table.select([name for name in table.column_names if table[name].null_count < max(len(table), 1)])
    drawn = Table(title=title, title_justify="left")
    for name, kind in zip(table.column_names, table.schema.types, strict=True):
        number = pa.types.is_floating(kind) or pa.types.is_integer(kind)
        drawn.add_column(Text(escape_to_one_line(name)), justify="right" if number else "left", overflow="fold")
    for row in table.slice(0, shown).to_pylist():
        drawn.add_row(*(Text(_format_cell(value, longest)) for value in row.values()))
    table_console().print(drawn)
    if len(table) > shown:
        print_line(f"... and {len(table) - shown} more rows: see them with {more} or --json.")


def _format_cell(value: object, longest: int) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    text = escape_to_one_line(str(value))
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def make_provenance(study: RatingStudy, options: Mapping[str, Any]) -> dict[str, Any]:
    """How a result came about: the digests of the input, the scale, the resolved options."""
    ratings = study.ratings
    return {
        "input": {"name": study.name, "sha256": study.digests(), "ratings": len(ratings)},
        "scale": list(ratings.scale),
        "rows_set_aside": len(study.rejections),
        "notes": study.notes,
        "options": dict(options),
    }


@contextmanager
def show_step_progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr; gives the function to call with the number of steps done."""
    with make_progress(transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda steps: progress.advance(task, steps)


TABLE_SUFFIXES = (".csv", ".parquet")


_METADATA_KEY = b"mos"


def refuse_existing_files(paths: Sequence[Path | None], force: bool) -> None:
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


def check_table_suffixes(paths: Sequence[Path | None]) -> None:
    """UserError for a table that is neither CSV nor Parquet by its name."""
    for path in paths:
        if path is not None and path.suffix.lower() not in TABLE_SUFFIXES:
            raise UserError(f"{path}: expected a name that ends in {' or '.join(TABLE_SUFFIXES)}.")


def make_provenance_path(first: Path) -> Path:
    return first.with_name(f"{first.stem}.provenance.json")


def write_result_tables(tables: Mapping[Path, pa.Table], provenance: Mapping[str, Any]) -> Path:
    """Write every table, and one JSON file beside the first that says how they came about; its path.

    A Parquet file carries the same as metadata under the key "mos".
    """
    import pyarrow.csv as pacsv
    import pyarrow.parquet as pq

    word = orjson.dumps({**provenance, "version": version("editfhf")}, option=orjson.OPT_INDENT_2)
    for path, table in tables.items():
        with open_replacement(path) as stream:
            if path.suffix.lower() == ".csv":
                pacsv.write_csv(table, stream)
            else:
                pq.write_table(table.replace_schema_metadata({_METADATA_KEY: word}), stream)
    beside = make_provenance_path(next(iter(tables)))
    replace_file(beside, word + b"\n")
    return beside
