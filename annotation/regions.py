"""Read the submissions about the regions of a corpus, and give the accepted regions of every pair.

The rule itself is `annotation.consensus.resolve_regions`.  A build reads the same files with the functions of this
module, but keeps the studio tasks on disk until the shard of their pair is built.
"""

from __future__ import annotations

import codecs
import csv
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Literal

import orjson

from annotation.campaign.corpus_rules import read_corpus_rules
from annotation.consensus import PairConsensus, resolve_regions
from annotation.corpus import PAIRS_FILE, Corpus
from annotation.images import ImageError, inspect_image, read_image_bytes
from annotation.json_lines import RejectCallback, byte_order_mark_rejection
from annotation.labelstudio.read_export import MAX_STRANGE_VALUES, diagnose_other_export, read_export_tasks
from annotation.labelstudio.read_marks import read_regional_annotations
from annotation.labelstudio.read_ratings import read_latest_ratings
from annotation.labelstudio.read_rationales import read_rationales
from annotation.labelstudio.submissions import describe_missing_pair_id, read_pair_id
from annotation.records import Flag, Pair, PairSubmissions, Place, Rationale, RegionalAnnotation, Rejection
from annotation.rules import AnnotationRules
from annotation.text import describe_bad_id, read_id_text
from mos.files import open_regular_file
from mos.spellings import KnownSpellings

TaskKind = Literal["regions", "expert", "rationales"]
"""What a studio task holds, as the names of the files say."""

TASK_KINDS: tuple[TaskKind, ...] = ("regions", "expert", "rationales")
FLAG_COLUMNS = ("pair_id", "region_id", "annotator_id")


def accepted_regions(
    corpus: Corpus, rules: AnnotationRules | None = None, reject: RejectCallback | None = None
) -> Iterator[tuple[Pair, PairConsensus]]:
    """Resolve the submissions in a corpus' exports into the accepted regions of every pair.

    Parameters
    ----------
    corpus : Corpus
        The corpus, see `Corpus.open`.
    rules : AnnotationRules, optional
        When a region is accepted, and when its text is final; by default the rules of the corpus.
    reject : callable, optional
        Receives a `Rejection` for everything that is not used; by default it is dropped.

    Yields
    ------
    pair : Pair
        A pair of `pairs.jsonl`, in the order of the file.
    consensus : PairConsensus
        Its accepted regions, and every mark with its status.  A pair whose edited image cannot be read is rejected.

    Notes
    -----
    Regions and region ids are those of a build.  The studio tasks of the whole corpus are kept in memory as JSON.

    Examples
    --------
    Count the regions of each pair::

        corpus = annotation.Corpus.open(Path("corpus"))
        counts = {pair.pair_id: len(consensus.regions) for pair, consensus in annotation.accepted_regions(corpus)}
    """
    reject = reject or _ignore_rejection
    rules = rules or read_corpus_rules(corpus).rules
    pairs = list(corpus.pairs(reject))
    tasks, flags = _group_by_pair(corpus, {pair.pair_id for pair in pairs}, reject)
    for pair in pairs:
        try:
            image = inspect_image(read_image_bytes(corpus.root, pair.edited))
        except ImageError as error:
            reject(Rejection("image", PAIRS_FILE, pair.place.row, error.reason, str(error), pair_id=pair.pair_id))
            continue
        size = (image.width, image.height)
        submissions, _ = parse_submissions(tasks[pair.pair_id], flags[pair.pair_id], size, reject)
        yield pair, resolve_regions(pair.pair_id, submissions, rules, reject)


def parse_submissions(
    tasks: Iterable[tuple[TaskKind, Place, bytes]],
    flags: Iterable[Flag],
    size: tuple[int, int],
    reject: RejectCallback,
) -> tuple[PairSubmissions, Counter[TaskKind]]:
    """Parse the studio tasks of one pair into records.

    Parameters
    ----------
    tasks : iterable of (kind, place, JSON)
        The studio tasks of the pair, in reading order.
    flags : iterable of Flag
        The flags on regions of the pair.
    size : (int, int)
        Width and height of the edited image as displayed, in pixels.
    reject : callable
        Receives a `Rejection` for every part of a submission that cannot be used.

    Returns
    -------
    submissions : PairSubmissions
        The records that `resolve_regions` takes.
    counts : Counter
        Number of submissions in the tasks by kind, those that were rejected included.
    """
    regional: list[RegionalAnnotation] = []
    expert: list[RegionalAnnotation] = []
    rationales: list[Rationale] = []
    counts: Counter[TaskKind] = Counter()
    for kind, place, payload in tasks:
        task = orjson.loads(payload)
        annotations = task.get("annotations")
        counts[kind] += len(annotations) if isinstance(annotations, list) else 0
        if kind == "rationales":
            rationales += read_rationales(task, place, size, reject)
        else:
            target = regional if kind == "regions" else expert
            target += read_regional_annotations(task, place, size, reject)
    return PairSubmissions(regional, expert, rationales, list(flags)), counts


def read_pair_tasks(
    root: Path, file: str, known: Collection[str], reject: RejectCallback
) -> Iterator[tuple[str, Place, dict[str, Any]]]:
    """Read every studio task of an export that names a known pair.

    Parameters
    ----------
    root : Path
        Folder of the corpus.
    file : str
        The export, relative to the corpus.
    known : collection of str
        Ids of the pairs.
    reject : callable
        Receives a `Rejection` for every other task.

    Yields
    ------
    (str, Place, dict)
        Pair id, place and content of a task.
    """
    some_pair = False
    spellings = KnownSpellings(known)
    for row, task in read_export_tasks(root / file, file, reject):
        pair_id = read_pair_id(task)
        some_pair = some_pair or pair_id is not None
        if row > MAX_STRANGE_VALUES and not some_pair:
            message = (
                f"none of the first {MAX_STRANGE_VALUES:,} tasks names its pair, and the rest of the file was not "
                "read: export the project of this campaign as JSON"
            )
            reject(Rejection("file", file, row, "not_an_export", message))
            return
        other_form = diagnose_other_export(task)
        if other_form is not None:
            reject(Rejection("annotation", file, row, *other_form, pair_id=pair_id))
        elif pair_id is None:
            message = f"expected {describe_missing_pair_id(task)}"
            reject(Rejection("annotation", file, row, "no_pair_id", message))
        elif pair_id not in known:
            message = describe_unknown_pair(pair_id, spellings, "task")
            reject(Rejection("annotation", file, row, "unknown_pair", message, pair_id=pair_id))
        else:
            yield pair_id, Place(file, row), task


def describe_unknown_pair(pair_id: str, spellings: KnownSpellings, what: str) -> str:
    """Describe an id that `pairs.jsonl` does not have; where it has another spelling of it, how they differ.

    Parameters
    ----------
    pair_id : str
        The id.
    spellings : KnownSpellings
        The ids of the pairs.
    what : str
        What names the pair, such as "rating".
    """
    expected = f"expected a pair of pairs.jsonl, but got {pair_id[:80]!r}"
    other = spellings.explain(pair_id)
    return (
        f"{expected}; {other}: write the id in one way" if other else f"{expected}: add the pair or remove the {what}"
    )


def dump_task(task: dict[str, Any], place: Place, reject: RejectCallback) -> bytes | None:
    """The studio task as JSON; None when it was rejected because JSON in UTF-8 cannot hold it."""
    try:
        return orjson.dumps(task)
    except TypeError as error:
        message = f"the task holds what JSON cannot say in UTF-8 ({error}): correct it and export again"
        reject(Rejection("annotation", *place, "unusable_task", message, pair_id=read_pair_id(task)))
        return None


def read_flag_table(root: Path, file: str, known: Collection[str], reject: RejectCallback) -> Iterator[Flag]:
    """Read every flag of a CSV or JSON table.

    Parameters
    ----------
    root : Path
        Folder of the corpus.
    file : str
        The table, relative to the corpus, with the columns `FLAG_COLUMNS`.
    known : collection of str
        Ids of the pairs.
    reject : callable
        Receives a `Rejection` for every row that is not a flag on a known pair.

    Yields
    ------
    Flag
        One flag for each valid row.
    """
    spellings = KnownSpellings(known)
    for row, record in _read_flag_records(root / file, file, reject):
        values = [read_id_text(record.get(name)) for name in FLAG_COLUMNS]
        if not all(value is not None and value.strip() for value in values):
            message = "expected pair_id, region_id and annotator_id, but one of them is missing or blank"
            reject(Rejection("flag", file, row, "missing_value", message))
            continue
        pair_id, region_id, annotator_id = ids = [(value or "").strip() for value in values]
        problem = next((text for value in ids if (text := describe_bad_id(value))), None)
        if problem is not None:
            reject(Rejection("flag", file, row, "bad_id", f"expected three ids, but one of them {problem}"))
            continue
        if pair_id not in known:
            message = describe_unknown_pair(pair_id, spellings, "flag")
            reject(Rejection("flag", file, row, "unknown_pair", message, pair_id, region_id, annotator_id))
            continue
        yield Flag(pair_id, region_id, annotator_id, Place(file, row))


def _group_by_pair(
    corpus: Corpus, known: Collection[str], reject: RejectCallback
) -> tuple[dict[str, list[tuple[TaskKind, Place, bytes]]], dict[str, list[Flag]]]:
    """Studio tasks as JSON, and flags, of every pair."""
    tasks: dict[str, list[tuple[TaskKind, Place, bytes]]] = defaultdict(list)
    flags: dict[str, list[Flag]] = defaultdict(list)
    files = corpus.files(reject)
    for kind in TASK_KINDS:
        for file in files[kind]:
            for pair_id, place, task in read_pair_tasks(corpus.root, file, known, reject):
                payload = dump_task(task, place, reject)
                if payload is not None:
                    tasks[pair_id].append((kind, place, payload))
    for file in files["ratings"]:
        if file.endswith(".json"):
            for pair_id, place, task in read_pair_tasks(corpus.root, file, known, reject):
                flags[pair_id] += read_latest_ratings(task, place, reject)[1]
    for file in files["flags"]:
        for flag in read_flag_table(corpus.root, file, known, reject):
            flags[flag.pair_id].append(flag)
    return tasks, flags


def _read_flag_records(path: Path, file: str, reject: RejectCallback) -> Iterator[tuple[int, dict[str, Any]]]:
    if file.endswith(".json"):
        yield from read_export_tasks(path, file, reject)
        return
    with open_regular_file(path) as raw:
        if raw.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8:
            reject(byte_order_mark_rejection(file))
    with TextIOWrapper(open_regular_file(path), "utf-8-sig", "surrogateescape", newline="") as lines:
        yield from _read_csv_rows(csv.DictReader(lines), file, reject)


def _read_csv_rows(
    reader: csv.DictReader[str], file: str, reject: RejectCallback
) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        missing = [name for name in FLAG_COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            message = f"expected the columns {', '.join(FLAG_COLUMNS)}, but {missing[0]} is missing"
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


def _ignore_rejection(rejection: Rejection) -> None:
    """Drop a rejection."""
