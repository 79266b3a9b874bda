"""Remove sources, and everything that was derived from them, from a corpus; leave a receipt."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from annotation.corpus import ANNOTATIONS_FOLDER, PAIRS_FILE, Corpus
from annotation.images import resolve_image_path
from annotation.json_lines import read_json_lines, write_json_lines
from annotation.records import Rejection
from editfhf.collect.sources import ATTRIBUTION_FILE
from mos.errors import UserError
from mos.files import append_lines, read_regular_file, replace_file

RECEIPT_FILE = "retractions.jsonl"

_Keep = Callable[[Any], bool]


def retract_sources(root: Path, source_ids: Sequence[str], now: datetime | None = None) -> dict[str, Any]:
    """Remove pairs, images, annotations and ratings of some sources.

    Killed in between, it can be called again: the pairs are removed last.

    Parameters
    ----------
    root : Path
        Folder of a corpus without a campaign.
    source_ids : sequence of str
        Sources to remove.
    now : datetime, optional
        Time of the receipt.

    Returns
    -------
    dict
        The receipt, which is also appended to `retractions.jsonl`: ids, what was removed, digests of removed images.

    Raises
    ------
    UserError
        A source is unknown, a line of `pairs.jsonl` is damaged, or the corpus has a campaign.
    """
    corpus = Corpus.open(root)
    if (root / "campaign").exists():
        raise UserError(f"{root} has a campaign. Export it, and retract from a copy without the folder campaign/.")
    lines = [line for _, line in read_json_lines(root / PAIRS_FILE, PAIRS_FILE, _refuse_line)]
    unknown = sorted(set(source_ids) - {str(line.get("source_id")) for line in lines})
    if unknown:
        raise UserError(f"{root} has no source {unknown[0]!r}. The ids are in {PAIRS_FILE}.")
    leaving = [line for line in lines if line.get("source_id") in source_ids]
    staying = [line for line in lines if line.get("source_id") not in source_ids]
    pair_ids = {line["pair_id"] for line in leaving}
    removed = _filter_annotations(corpus, lambda pair_id: pair_id not in pair_ids)
    if (root / ATTRIBUTION_FILE).is_file():
        _filter_csv(root / ATTRIBUTION_FILE, "source_id", lambda value: value not in source_ids)
    used = {line[key] for line in staying for key in ("source", "edited")}
    files = {line[key] for line in leaving for key in ("source", "edited")} - used
    digests = _remove_images(root, sorted(files))
    receipt = {
        "at": (now or datetime.now(UTC)).isoformat(timespec="seconds"),
        "source_ids": sorted(source_ids),
        "pair_ids": sorted(pair_ids),
        "images": digests,
        "annotations": removed,
    }
    append_lines(root / RECEIPT_FILE, [orjson.dumps(receipt) + b"\n"])
    write_json_lines(root / PAIRS_FILE, staying)
    return receipt


def _refuse_line(rejection: Rejection) -> None:
    if not rejection.repaired:
        raise UserError(f"{PAIRS_FILE}, line {rejection.row}: {rejection.message} Nothing was removed.")


def _remove_images(root: Path, files: Sequence[str]) -> dict[str, str]:
    digests = {}
    for file in files:
        path = resolve_image_path(root, file)
        if path.is_file():
            digests[file] = hashlib.sha256(read_regular_file(path)).hexdigest()
            path.unlink()
    return digests


def _filter_annotations(corpus: Corpus, keep: _Keep) -> dict[str, int]:
    """Remove what is about pairs that do not stay; returns the count of removed tasks or rows by file."""
    removed = {}
    for files in corpus.files(lambda _: None).values():
        for file in files:
            path = corpus.root / file
            if path.suffix == ".json":
                removed[file] = _filter_json(path, keep)
            elif path.suffix == ".csv":
                removed[file] = _filter_csv(path, "pair_id", keep)
            elif path.suffix == ".parquet":
                removed[file] = _filter_parquet(path, keep)
    return {file.removeprefix(f"{ANNOTATIONS_FOLDER}/"): count for file, count in removed.items() if count}


def _filter_json(path: Path, keep: _Keep) -> int:
    tasks = orjson.loads(read_regular_file(path))
    if not isinstance(tasks, list):
        raise UserError(f"{path}: expected a list of tasks, as Label Studio exports it.")
    staying = [task for task in tasks if keep((task.get("data") or {}).get("pair_id"))]
    if len(staying) < len(tasks):
        replace_file(path, orjson.dumps(staying))
    return len(tasks) - len(staying)


def _filter_csv(path: Path, column: str, keep: _Keep) -> int:
    reader = csv.DictReader(io.StringIO(read_regular_file(path).decode("utf-8-sig"), newline=""))
    rows = list(reader)
    staying = [row for row in rows if keep(row.get(column))]
    if len(staying) < len(rows):
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, reader.fieldnames or (), lineterminator="\n")
        writer.writeheader()
        writer.writerows(staying)
        replace_file(path, text.getvalue().encode())
    return len(rows) - len(staying)


def _filter_parquet(path: Path, keep: _Keep) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    staying = table.filter(pa.array([keep(value) for value in table["pair_id"].to_pylist()], pa.bool_()))
    if staying.num_rows < table.num_rows:
        sink = pa.BufferOutputStream()
        pq.write_table(staying, sink)
        replace_file(path, sink.getvalue().to_pybytes())
    return int(table.num_rows - staying.num_rows)
