"""Read the samples of a benchmark from a folder, each in its own layout, and name the files of its results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson

from annotation.corpus import PAIRS_FILE
from annotation.text import describe_bad_id
from mos.errors import UserError
from mos.files import read_regular_file
from refiner.benchmark.suites import Suite
from refiner.benchmark.verdicts import JudgedSample, read_strict_lines

Language = Literal["en", "cn"]

GEDIT_FILE = "gedit.jsonl"
KRIS_FILE = "annotation.json"
RESULT_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True, slots=True)
class BenchmarkSample:
    """One sample of a benchmark.

    Attributes
    ----------
    judged : JudgedSample
        Its id, source and group.
    instruction : str
    source : str
        Path of the source image in the folder of the benchmark.
    stem : str
        Path of the result in a folder of results, without its suffix.
    """

    judged: JudgedSample
    instruction: str
    source: str
    stem: str


def read_samples(
    suite: Suite, folder: Path, *, language: Language = "en", intersection: bool = False
) -> list[BenchmarkSample]:
    """Read the samples of a benchmark.

    Parameters
    ----------
    suite : Suite
    folder : Path
        GEdit: `gedit.jsonl` with the columns of stepfun-ai/GEdit-Bench, `input_image` a path. KRIS: the folder
        KRIS_Bench with `<category>/annotation.json`. ImgEdit and EditFHF: `pairs.jsonl` of a corpus.
    language : {"en", "cn"}
        GEdit only.
    intersection : bool
        GEdit only: the samples of the intersection subset.

    Raises
    ------
    UserError
        The folder has no such file, or a sample cannot be used.
    """
    readers = {"gedit": lambda: _read_gedit(folder, language, intersection), "kris": lambda: _read_kris(folder)}
    samples = list(readers.get(suite.name, lambda: _read_pairs(folder))())
    if not samples:
        raise UserError(f"{folder} has no sample of {suite.title}: expected {_describe_layout(suite)}.")
    seen: set[str] = set()
    for sample in samples:
        if sample.judged.sample_id in seen:
            raise UserError(f"{folder}: two samples have the id {sample.judged.sample_id!r}.")
        seen.add(sample.judged.sample_id)
    return samples


def find_result(results: Path, sample: BenchmarkSample) -> str | None:
    """Path of the result of a sample in a folder of results; None where there is none."""
    return next(
        (sample.stem + suffix for suffix in RESULT_SUFFIXES if (results / (sample.stem + suffix)).is_file()), None
    )


def _describe_layout(suite: Suite) -> str:
    return {"gedit": GEDIT_FILE, "kris": f"<category>/{KRIS_FILE}"}.get(suite.name, PAIRS_FILE)


def _read_gedit(folder: Path, language: Language, intersection: bool) -> Iterator[BenchmarkSample]:
    for where, row in read_strict_lines(folder / GEDIT_FILE):
        key, group = _take_id(row, "key", where), _take_id(row, "task_type", where)
        if _take(row, "instruction_language", where) != language or (
            intersection and not row.get("Intersection_exist")
        ):
            continue
        source = _take(row, "input_image", where)
        judged = JudgedSample(key, source, group)
        yield BenchmarkSample(
            judged, _take(row, "instruction", where), source, f"fullset/{group}/{language}/{key}"
        )  # fmt: skip


def _read_kris(folder: Path) -> Iterator[BenchmarkSample]:
    for path in sorted(folder.glob(f"*/{KRIS_FILE}")):
        category = path.parent.name
        try:
            rows = orjson.loads(read_regular_file(path))
        except orjson.JSONDecodeError as error:
            raise UserError(f"{path}: expected JSON ({error}).") from None
        for name, row in rows.items():
            where = f"{path}, {name}"
            images = row.get("ori_img")
            if isinstance(images, list):
                # The results of several source images are judged against the first one.
                row = {**row, "ori_img": images[0] if images else None}
            _take_id({"id": name}, "id", where)
            source = f"{category}/{_take(row, 'ori_img', where)}"
            judged = JudgedSample(f"{category}-{name}", source, category)
            yield BenchmarkSample(judged, _take(row, "ins_en", where), source, f"{category}/{name}")


def _read_pairs(folder: Path) -> Iterator[BenchmarkSample]:
    for where, row in read_strict_lines(folder / PAIRS_FILE):
        name = _take_id(row, "pair_id", where)
        judged = JudgedSample(name, _take(row, "source_id", where), str(row.get("task") or "all"))
        yield BenchmarkSample(judged, _take(row, "instruction", where), _take(row, "source", where), name)


def _take(row: dict[str, Any], name: str, where: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{where}: expected text in {name!r}, but got {type(value).__name__}.")
    return value


def _take_id(row: dict[str, Any], name: str, where: str) -> str:
    value = _take(row, name, where)
    problem = describe_bad_id(value)
    if problem is not None or "/" in value or value.startswith("."):
        raise UserError(f"{where}: {name!r} {problem or 'is no plain file name'}.")
    return value
