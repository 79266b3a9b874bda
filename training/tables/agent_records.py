"""What an agent gave on each pair, as measured: one JSON-lines file an agent, so that a second run adds what is new.

The first line says what was measured: agent, dataset, split, preset. A file of another agent, dataset or preset of the
same name is never mixed with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from annotation.json_lines import read_json_lines
from mos.errors import UserError
from mos.files import append_lines
from mos.rejections import Rejection

RECORDS_FORMAT = "editfhf-agent-records/1"

AgentRecord = dict[str, Any]
"""`pair_id`, `source_id`, `status` ("ok" or "error"), `detail`, `seconds`, and what was measured."""


@dataclass(slots=True)
class AgentRecords:
    """The records of one agent by pair.

    Attributes
    ----------
    header : dict
        What was measured: it must be equal for records to be used again.
    path : Path or None
        The file; None to keep records in memory only.
    by_pair : dict
        Of several records of one pair the latest.
    """

    header: Mapping[str, Any]
    path: Path | None
    by_pair: dict[str, AgentRecord] = field(default_factory=dict)

    def add(self, records: Iterable[AgentRecord]) -> None:
        """Keep records, and write them to the disk."""
        new = list(records)
        self.by_pair |= {record["pair_id"]: record for record in new}
        if self.path is not None:
            append_lines(self.path, (orjson.dumps(record) + b"\n" for record in new))

    def find_missing(self, pair_ids: Iterable[str]) -> frozenset[str]:
        """The pairs without a record, or whose record is a failure: those are attempted again."""
        return frozenset(
            pair_id for pair_id in pair_ids if self.by_pair.get(pair_id, {"status": "error"})["status"] == "error"
        )

    def select_pairs(self, pair_ids: Iterable[str]) -> list[AgentRecord]:
        """The records of some pairs, in their order."""
        return [self.by_pair[pair_id] for pair_id in pair_ids if pair_id in self.by_pair]


def open_agent_records(header: Mapping[str, Any], path: Path | None) -> AgentRecords:
    """Open the records of one agent; the file is made if there is none.

    Raises
    ------
    UserError
        If the file holds something else.
    """
    head = {"format": RECORDS_FORMAT, **header}
    records = AgentRecords(head, path)
    if path is None:
        return records
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        append_lines(path, [orjson.dumps(head) + b"\n"])
        return records
    found = _read_objects(path)
    if not found or found[0].get("format") != RECORDS_FORMAT:
        raise UserError(f"{path} is no file of measured agents. Remove it, or choose another --out.")
    differing = [name for name in head if found[0].get(name) != head[name]]
    if differing:
        raise UserError(
            f"{path} was measured with another {', '.join(differing)}: "
            f"{found[0].get(differing[0])!r} instead of {head[differing[0]]!r}. Remove the file, or choose another "
            "--out."
        )
    for record in found[1:]:
        if isinstance(record.get("pair_id"), str) and record.get("status") in ("ok", "error"):
            records.by_pair[record["pair_id"]] = record
    return records


def _read_objects(path: Path) -> list[AgentRecord]:
    """The objects of a file; a line that a crash cut is left out, and its pair measured again."""

    def ignore(rejection: Rejection) -> None:
        return

    return [value for _, value in read_json_lines(path, path.name, ignore)]


def describe_failures(records: Sequence[AgentRecord]) -> str:
    """How often an agent gave no result, and why the first time; "" if it never failed."""
    details = [str(record["detail"]) for record in records if record["status"] != "ok"]
    return f"No result on {len(details)} of {len(records)} pairs: {details[0]}" if details else ""
