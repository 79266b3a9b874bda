"""Stage read: pairs, everything people said, and every rating, from the corpus into forms that stay small."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from annotation import export
from annotation.corpus import Corpus
from annotation.jsonlines import byte_order_mark
from annotation.records import Flag, Pair, Place, Rejection
from annotation.text import bad_id
from editfhf.build.ratings import RatingRows
from editfhf.build.spool import Said, Spool, Stage
from editfhf.build.tally import Tally

Reject = Callable[[Rejection], None]
FLAG_COLUMNS = ("pair_id", "region_id", "annotator_id")


@dataclass
class Reading:
    """What was read: pairs by ordinal, ratings as columns, and who took part."""

    pairs: list[Pair] = field(default_factory=list)
    ordinals: dict[str, int] = field(default_factory=dict)
    ratings: RatingRows = field(default_factory=RatingRows)
    people: set[str] = field(default_factory=set)
    tally: Tally = field(default_factory=Tally)


def read_pairs(corpus: Corpus, reject: Reject) -> Reading:
    """Every valid pair of `pairs.jsonl`. Pairs set aside keep their id, so that what was said of them is explained."""
    reading = Reading()
    refused: list[str] = []

    def noted(rejection: Rejection) -> None:
        if rejection.what == "pair":
            reading.tally.counts["pairs_refused"] += 1
            refused.append(rejection.pair_id or "")
        reject(rejection)

    for pair in corpus.pairs(noted):
        reading.ordinals[pair.pair_id] = len(reading.pairs)
        reading.pairs.append(pair)
    for number, pair_id in enumerate(sorted(set(refused) - set(reading.ordinals) - {""})):
        reading.ordinals[pair_id] = len(reading.pairs) + number
    return reading


def read_annotations(corpus: Corpus, reading: Reading, spool: Spool, reject: Reject) -> None:
    """Everything in `annotations/`: what concerns regions into the spool, ratings into columns."""
    files = corpus.files(reject)
    stages: tuple[Stage, ...] = ("regions", "expert", "rationales")
    for stage in stages:
        for file in files[stage]:
            for place, ordinal, task in _tasks(corpus.root, file, reading, reject):
                try:
                    payload = orjson.dumps(task)
                except TypeError as error:
                    message = f"the task holds what JSON cannot say in UTF-8 ({error}): correct it and export again"
                    reject(Rejection("annotation", *place, "unusable_task", message, pair_id=export.pair_id_of(task)))
                    continue
                reading.people.update(export.annotators_of(task))
                spool.add(ordinal, Said(stage, place, payload))
    for file in files["ratings"]:
        if file.endswith(".json"):
            for place, _, task in _tasks(corpus.root, file, reading, reject):
                reading.people.update(export.annotators_of(task))
                ratings, flags = export.latest_ratings(task, place, reject)
                reading.ratings.add(ratings)
                _spool_flags(flags, reading, spool)
        else:
            reading.ratings.add_table(corpus.root / file, file, reading.ordinals, reject)
    for file in files["flags"]:
        _spool_flags(_flag_rows(corpus.root, file, reading, reject), reading, spool)


def _tasks(root: Path, file: str, reading: Reading, reject: Reject) -> Iterator[tuple[Place, int, dict[str, Any]]]:
    for row, task in export.read_tasks(root / file, file, reject):
        pair_id = export.pair_id_of(task)
        ordinal = reading.ordinals.get(pair_id or "")
        if pair_id is None:
            reject(
                _lost(file, row, "no_pair_id", "expected the task's data to name its pair_id, but it names none", None)
            )
        elif ordinal is None:
            message = f"expected a pair of pairs.jsonl, but got {pair_id[:80]!r}: add the pair or remove the task"
            reject(_lost(file, row, "unknown_pair", message, pair_id))
        else:
            yield Place(file, row), ordinal, task


def _lost(file: str, row: int, reason: str, message: str, pair_id: str | None) -> Rejection:
    return Rejection("annotation", file, row, reason, message, pair_id=pair_id)


def _spool_flags(flags: Iterable[Flag], reading: Reading, spool: Spool) -> None:
    for flag in flags:
        reading.people.add(flag.annotator_id)
        payload = orjson.dumps({"region_id": flag.region_id, "annotator_id": flag.annotator_id})
        spool.add(reading.ordinals[flag.pair_id], Said("flags", flag.place, payload))


def _flag_rows(root: Path, file: str, reading: Reading, reject: Reject) -> Iterator[Flag]:
    for row, record in _records(root / file, file, reject):
        values = [record.get(name) for name in FLAG_COLUMNS]
        if not all(isinstance(value, (str, int)) and str(value).strip() for value in values):
            message = "expected pair_id, region_id and annotator_id, but one of them is missing or blank"
            reject(Rejection("flag", file, row, "missing_value", message))
            continue
        pair_id, region_id, annotator_id = names = [str(value).strip() for value in values]
        fault = next((found for name in names if (found := bad_id(name))), None)
        if fault is not None:
            reject(Rejection("flag", file, row, "bad_id", f"expected three ids, but one of them {fault}"))
            continue
        if pair_id not in reading.ordinals:
            message = f"expected a pair of pairs.jsonl, but got {pair_id[:80]!r}"
            reject(Rejection("flag", file, row, "unknown_pair", message, pair_id, region_id, annotator_id))
            continue
        yield Flag(pair_id, region_id, annotator_id, Place(file, row))


def _records(path: Path, file: str, reject: Reject) -> Iterator[tuple[int, dict[str, Any]]]:
    if file.endswith(".json"):
        yield from export.read_tasks(path, file, reject)
        return
    with path.open("rb") as raw:
        if raw.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8:
            reject(byte_order_mark(file))
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
        yield from _csv_rows(csv.DictReader(lines), file, reject)


def _csv_rows(reader: csv.DictReader[str], file: str, reject: Reject) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        missing = [name for name in FLAG_COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            message = f"expected the columns {', '.join(FLAG_COLUMNS)}, but {missing[0]} is not there"
            reject(Rejection("file", file, 1, "missing_column", message))
            return
        for record in reader:
            if None in record or None in record.values():
                message = f"expected {len(reader.fieldnames or ())} fields, as in the first line, but got more or fewer"
                reject(Rejection("flag", file, reader.line_num, "wrong_number_of_fields", message))
            else:
                yield reader.line_num, record
    except csv.Error as error:
        message = f"expected lines of comma-separated values: {error}; nothing after it was read"
        reject(Rejection("file", file, reader.line_num, "broken_csv", message))
