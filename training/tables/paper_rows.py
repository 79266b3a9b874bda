"""The rows of the paper's tables, as reference: they are of other data, and so never share a ceiling with ours."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from mos.plain_yaml import load_plain_yaml
from training.agents.registry import AgentRole
from training.tables.result_table import TableCell, TableRow

PAPER_NOTE = "As the paper prints it, measured by its authors on EditFHF-15K: other data, not to be compared directly."


def list_paper_rows(role: AgentRole, renamed: Mapping[str, str] | None = None) -> list[TableRow]:
    """The rows of table 2 (perception), 3 (reasoning) or 4 (evaluation).

    Parameters
    ----------
    role : {"perception", "reasoning", "evaluation"}
    renamed : mapping, optional
        Columns of the paper that are called otherwise here.
    """
    table = _read_paper_tables()[role]
    columns = [(renamed or {}).get(name, name) for name in table["columns"]]
    return [
        TableRow(
            f"paper: {name}",
            "paper",
            {column: TableCell(float(value)) for column, value in zip(columns, values, strict=True)},
            note=PAPER_NOTE,
        )
        for name, *values in table["rows"]
    ]


@cache
def _read_paper_tables() -> Any:
    return load_plain_yaml(resources.files(__package__).joinpath("paper_tables.yaml").read_text(encoding="utf-8"))
