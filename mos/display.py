"""Tables for a notebook: short HTML, and conversion to pandas. Every value is escaped."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

from mos.errors import UserError
from mos.words import replace_control_characters

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SHOWN_ROWS = 10
"""Rows of a table that a notebook shows."""

_MAX_CELL_LENGTH = 80


def format_cell(value: object) -> str:
    """The text of a value in a table: a dash for None, yes or no, four significant digits, long text shortened.

    >>> [format_cell(value) for value in (None, True, 1234, 0.123456, "a")]
    ['–', 'yes', '1,234', '0.1235', 'a']
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    text = str(replace_control_characters(str(value)))
    return text if len(text) <= _MAX_CELL_LENGTH else f"{text[: _MAX_CELL_LENGTH - 1]}…"


def is_numeric_type(kind: pa.DataType) -> bool:
    """Whether a column of this type holds numbers."""
    import pyarrow as pa

    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def render_html_table(
    table: pa.Table, title: str, notes: Sequence[str] = (), *, total: int | None = None, rows: int = SHOWN_ROWS
) -> str:
    """Render the head of a table as plain HTML for a notebook.

    Parameters
    ----------
    table
        The table; columns without any value are left out.
    title
        Heading above the table.
    notes
        Sentences below the heading, such as warnings.
    total
        Number of rows of the whole table if `table` is only its head.
    rows
        Number of rows to show.

    Returns
    -------
    str
        HTML in which every name and value is escaped.
    """
    from markupsafe import Markup

    total = len(table) if total is None else total
    table = table.slice(0, rows)
    table = table.select([name for name in table.column_names if table[name].null_count < max(len(table), 1)])
    sides = ["right" if is_numeric_type(kind) else "left" for kind in table.schema.types]
    head = Markup("").join(
        Markup('<th style="text-align:{}">{}</th>').format(side, format_cell(name))
        for side, name in zip(sides, table.column_names, strict=True)
    )
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(
                Markup('<td style="text-align:{}">{}</td>').format(side, format_cell(value))
                for side, value in zip(sides, row.values(), strict=True)
            )
        )
        for row in table.to_pylist()
    )
    sentences = Markup("").join(Markup("<p>{}</p>").format(replace_control_characters(note)) for note in notes)
    more = Markup("<p>{} of {} rows</p>").format(f"{len(table):,}", f"{total:,}") if total > len(table) else ""
    return str(
        Markup("<div><p><b>{}</b></p>{}<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>{}</div>").format(
            replace_control_characters(title), sentences, head, body, more
        )
    )


def convert_to_pandas(table: pa.Table) -> pd.DataFrame:
    """Convert a table to a DataFrame; UserError if pandas is missing."""
    require_package("pandas", "pandas")
    frame: pd.DataFrame = table.to_pandas()
    return frame


def require_package(name: str, wanted: str) -> ModuleType:
    """Import a package that is not installed with ours; UserError that says how to install it.

    name: of the module; wanted: what to install, such as "editfhf[plots]"
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise UserError(f"This needs the package {name}, which is not installed. Run: pip install '{wanted}'") from None


def describe_counts(**counts: int) -> str:
    """Counts with their nouns, in words.

    >>> describe_counts(items=1200, raters=1)
    '1,200 items x 1 rater'
    """
    return " x ".join(f"{count:,} {noun if count != 1 else noun.removesuffix('s')}" for noun, count in counts.items())


def describe_scale(scale: tuple[float, float]) -> str:
    """The scale in words: `scale 1 to 5`."""
    return f"scale {scale[0]:g} to {scale[1]:g}"
