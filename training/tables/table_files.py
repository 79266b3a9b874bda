"""A table of results as text: for the terminal, Markdown, LaTeX, CSV and HTML; and the files of a folder."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import orjson

from mos.files import replace_file
from mos.words import format_decimal, format_percent
from training.tables.result_table import ResultTable, TableCell, TableColumn, TableRow

DIGITS = 3

ARROWS = {"up": "↑", "down": "↓"}


def format_value(column: TableColumn, value: float) -> str:
    """A number of a column; a dash where there is none."""
    known = value if math.isfinite(value) else None
    return format_percent(known, 1) if column.percent else format_decimal(known, DIGITS)


def format_interval(column: TableColumn, cell: TableCell) -> str:
    """The interval of a cell; "" where there is none."""
    if not (math.isfinite(cell.ci_low) and math.isfinite(cell.ci_high)):
        return ""
    return f"[{format_value(column, cell.ci_low)}, {format_value(column, cell.ci_high)}]"


def format_cell_lines(row: TableRow, column: TableColumn) -> list[str]:
    """Value, interval and share of the ceiling of one cell, without those that are missing."""
    cell = row.cells.get(column.key)
    if cell is None:
        return ["–"]
    share = f"{format_percent(cell.share)} of people" if math.isfinite(cell.share) else ""
    return [part for part in (format_value(column, cell.value), format_interval(column, cell), share) if part]


def format_title(column: TableColumn) -> str:
    """The title of a column, with an arrow to where values are better."""
    return f"{column.title} {ARROWS[column.better]}"


def format_markdown(table: ResultTable) -> str:
    """All groups of a table as Markdown, with its provenance."""
    lines = [f"# {table.title}", ""]
    for group, columns in table.groups.items():
        lines += [f"## {group}", "", "| | " + " | ".join(map(format_title, columns)) + " | n | coverage |"]
        lines.append("| --- |" + " ---: |" * (len(columns) + 2))
        for row in list_shown_rows(table, columns):
            cells = [" ".join(format_cell_lines(row, column)) for column in columns]
            lines.append(" | ".join([f"| {_escape_markdown(row.name)}", *cells, *format_extent(row, columns)]) + " |")
        lines.append("")
    lines += [_escape_markdown(f"- {row.name}: {row.note}") for row in table.rows if row.note and row.origin != "paper"]
    lines += [_escape_markdown(f"- {row.name} is {row.agent}") for row in table.rows if row.agent]
    lines += [f"- {sentence}" for sentence in list_explanations(table)]
    lines += ["", *(_escape_markdown(f"- {name}: {value}") for name, value in table.provenance.items())]
    return "\n".join(lines) + "\n"


_EXPLANATIONS = {
    "measured": "In brackets: the 95 % interval.",
    "ceiling": '"of people": share of the human ceiling, value / ceiling, both less the value of a guess; where lower '
    "is better ceiling / value.",
    "paper": 'Rows that begin with "paper:" are what the paper prints: of its own data, not of this dataset.',
}
"""What a reader must know, by the origin of the rows that it explains."""


def list_explanations(table: ResultTable) -> list[str]:
    """Sentences about the kinds of rows that the table has."""
    origins = {row.origin for row in table.rows}
    return [sentence for origin, sentence in _EXPLANATIONS.items() if origin in origins]


def list_shown_rows(table: ResultTable, columns: Sequence[TableColumn]) -> list[TableRow]:
    """The rows of one group: what has no number in it is left out, but not an agent that could not run."""
    return [
        row
        for row in table.rows
        if row.origin in ("measured", "unavailable") or any(column.key in row.cells for column in columns)
    ]


def format_extent(row: TableRow, columns: Sequence[TableColumn]) -> list[str]:
    """How many pairs the first number is of, such as "18 of 20" where some have none; and the coverage."""
    cell = next((row.cells[column.key] for column in columns if column.key in row.cells), None)
    coverage = format_percent(row.coverage if math.isfinite(row.coverage) else None)
    if cell is None or not cell.count + cell.missing:
        return ["–", coverage]
    total = cell.count + cell.missing
    return [f"{cell.count:,} of {total:,}" if cell.missing else f"{cell.count:,}", coverage]


def _escape_markdown(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


_LATEX_SIGNS = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "–": "--",
    "\N{MINUS SIGN}": "$-$", "\N{NO-BREAK SPACE}": "~", "★": r"$\star$",
}  # fmt: skip


def escape_latex(text: str) -> str:
    """Text in which no character is a command of LaTeX.

    >>> escape_latex("50 % of a_b ↑")
    '50 \\\\% of a\\\\_b $\\\\uparrow$'
    """
    return "".join(_LATEX_SIGNS.get(sign, sign) for sign in text)


def format_latex(table: ResultTable) -> str:
    """All groups as `tabular` environments of booktabs; intervals are small, shares of the ceiling in parentheses."""
    parts = [f"% {name}: {escape_latex(str(value))}" for name, value in table.provenance.items()]
    for group, columns in table.groups.items():
        parts += [
            "",
            rf"% {escape_latex(group)}",
            rf"\begin{{tabular}}{{l{'r' * (len(columns) + 1)}}}",
            r"\toprule",
            " & ".join(["", *(escape_latex(format_title(column)) for column in columns), "n"]) + r" \\",
            r"\midrule",
        ]
        origin = "measured"
        for row in list_shown_rows(table, columns):
            if row.origin != origin:
                parts.append(r"\midrule")
                origin = row.origin
            cells = [_format_latex_cell(row, column) for column in columns]
            parts.append(" & ".join([escape_latex(row.name), *cells, format_extent(row, columns)[0]]) + r" \\")
        parts += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join(parts) + "\n"


def _format_latex_cell(row: TableRow, column: TableColumn) -> str:
    cell = row.cells.get(column.key)
    if cell is None:
        return "--"
    parts = [escape_latex(format_value(column, cell.value))]
    interval = format_interval(column, cell)
    if interval:
        parts.append(rf"{{\scriptsize {escape_latex(interval)}}}")
    if math.isfinite(cell.share):
        parts.append(f"({escape_latex(format_percent(cell.share))})")
    return " ".join(parts)


CSV_HEADER = ("table", "row", "origin", "agent", "group", "metric", "value", "ci_low", "ci_high", "n", "missing",
              "share_of_ceiling", "coverage", "note")  # fmt: skip


def format_csv(table: ResultTable) -> str:
    """One line for each number, with its interval, n and provenance; empty where there is none."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*CSV_HEADER, *table.provenance])
    for row in table.rows:
        for group, columns in table.groups.items():
            for column in columns:
                cell = row.cells.get(column.key)
                if cell is None:
                    continue
                facts = dict.fromkeys(table.provenance, "") if row.origin == "paper" else table.provenance
                numbers = (cell.value, cell.ci_low, cell.ci_high, cell.count or math.nan, cell.missing, cell.share)
                shown = [repr(number) if math.isfinite(number) else "" for number in numbers]
                coverage = repr(row.coverage) if math.isfinite(row.coverage) else ""
                where = [table.key, _escape_formula(row.name), row.origin, row.agent, group, column.key]
                writer.writerow([*where, *shown, coverage, _escape_formula(row.note), *facts.values()])
    return stream.getvalue()


def _escape_formula(text: str) -> str:
    """Text that a spreadsheet takes for no formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def format_table_html(table: ResultTable) -> str:
    """The table as a fragment of HTML."""
    parts = [f"<h3>{escape(table.title)}</h3>"]
    for group, columns in table.groups.items():
        parts.append(f"<h4>{escape(group)}</h4>" + format_group_html(table, columns))
    facts = "; ".join(f"{name} {value}" for name, value in table.provenance.items())
    return "".join(parts) + f"<p>{escape(facts)}</p>"


def format_group_html(table: ResultTable, columns: Sequence[TableColumn]) -> str:
    """One group of columns as an HTML table; what a number is of stands in its tooltip."""
    head = "".join(f'<th title="{escape(column.meaning)}">{escape(format_title(column))}</th>' for column in columns)
    body = ""
    for row in list_shown_rows(table, columns):
        cells = "".join(f'<td class="n">{_format_html_cell(row, column)}</td>' for column in columns)
        extent = "".join(f'<td class="n">{escape(text)}</td>' for text in format_extent(row, columns))
        body += (
            f'<tr class="{row.origin}"><th scope="row" title="{escape(row.agent or row.note)}">'
            f"<bdi>{escape(row.name)}</bdi></th>{cells}{extent}</tr>"
        )
    return f"<table><thead><tr><th></th>{head}<th>n</th><th>coverage</th></tr></thead><tbody>{body}</tbody></table>"


def _format_html_cell(row: TableRow, column: TableColumn) -> str:
    value, *rest = format_cell_lines(row, column)
    small = "".join(f"<br><small>{escape(part)}</small>" for part in rest)
    return f"<b>{escape(value)}</b>{small}"


PAGE_STYLE = """
.pictures{display:flex;flex-wrap:wrap;gap:10px}.pictures figure{margin:0;width:170px}
.pictures img{width:100%;border-radius:8px}.pictures figcaption{font-size:12px;color:var(--soft)}
tr.ceiling>*{background:var(--band)}tr.paper>*,tr.unavailable>*{color:var(--soft)}
.scroll{max-height:none}td small{color:var(--soft);white-space:nowrap}dl{margin-top:0}
"""


def render_table_page(table: ResultTable) -> str:
    """The table as one HTML page without external links."""
    from markupsafe import Markup

    from mos.pages import page_style, render_page

    groups = [(group, Markup(format_group_html(table, columns))) for group, columns in table.groups.items()]
    return render_page(
        "training.tables",
        "table_page.html",
        style=page_style(PAGE_STYLE),
        table=table,
        groups=groups,
        explanations=list_explanations(table),
    )


def write_table_files(table: ResultTable, folder: Path) -> list[Path]:
    """Write the table as Markdown, LaTeX, CSV, JSON and a page, each in one step; the paths are returned."""
    folder.mkdir(parents=True, exist_ok=True)
    contents: Mapping[str, bytes] = {
        "md": format_markdown(table).encode(),
        "tex": format_latex(table).encode(),
        "csv": format_csv(table).encode(),
        "html": render_table_page(table).encode(),
        "json": orjson.dumps(table.as_record(), option=orjson.OPT_INDENT_2),
    }
    paths = [folder / f"{table.key}.{suffix}" for suffix in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        replace_file(path, content)
    return paths
