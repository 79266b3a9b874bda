"""Print the results of `editfhf evaluate` as tables or JSON on stdout."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table
from rich.text import Text

from mos.console import print_json, print_line, table_console
from mos.words import escape_to_one_line
from training.tables.result_table import ResultTable
from training.tables.table_files import (
    format_cell_lines,
    format_extent,
    format_title,
    list_shown_rows,
    write_table_files,
)

SHOWN_ORIGINS = ("measured", "ceiling")
"""Rows on the terminal; the files also have those of the paper and of agents that cannot run."""


def conclude_table(table: ResultTable, out: Path | None, as_json: bool) -> None:
    """Print a table, and write its files if there is a folder for them."""
    if out is not None:
        paths = write_table_files(table, out)
        print_line(escape_to_one_line(f"Wrote {', '.join(map(str, paths))}."), to_stderr=True)
    print_result_table(table, as_json)


def print_result_table(table: ResultTable, as_json: bool) -> None:
    """Print a table of results, one part for each group of columns."""
    if as_json:
        print_json(table.as_record())
        return
    console = table_console()
    for group, columns in table.groups.items():
        shown = Table(title=group, title_justify="left", title_style="bold", header_style="dim")
        shown.add_column("")
        for column in columns:
            shown.add_column(format_title(column), justify="right")
        shown.add_column("n", justify="right")
        shown.add_column("coverage", justify="right")
        for row in list_shown_rows(table, columns):
            if row.origin in SHOWN_ORIGINS:
                shown.add_row(
                    Text(escape_to_one_line(row.name)),
                    *(Text("\n".join(format_cell_lines(row, column))) for column in columns),
                    *format_extent(row, columns),
                )
        console.print(shown)
    for row in table.rows:
        if row.note and row.origin != "paper":
            print_line(escape_to_one_line(f"{row.name}: {row.note}"), to_stderr=True)
    facts = ", ".join(f"{name} {value}" for name, value in table.provenance.items())
    print_line(escape_to_one_line(facts), to_stderr=True)
