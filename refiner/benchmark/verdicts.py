"""Samples, verdicts and receipts, and the folder that keeps them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

import orjson

from annotation.json_lines import read_json_lines, write_json_lines
from mos.errors import UserError
from mos.files import append_lines, open_regular_file, read_regular_file, repair_last_line, replace_file
from mos.rejections import Rejection

VerdictStatus = Literal["ok", "refused", "unparsed", "error", "missing"]
"""`missing`: there is no result to judge. The others as in `training.agents.results`. None becomes a score."""

RECEIPT_FILE = "receipt.json"
SAMPLES_FILE = "judged_samples.jsonl"
VERDICTS_FILE = "verdicts.jsonl"
VERDICTS_FORMAT = "editfhf-verdicts/1"


@dataclass(frozen=True, slots=True)
class JudgedSample:
    """One sample that was to be judged.

    Attributes
    ----------
    sample_id : str
    source_id : str
        Samples of one source are drawn together in intervals.
    group : str
        Task or category.
    """

    sample_id: str
    source_id: str
    group: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge said to one question about one sample, with its receipts.

    Attributes
    ----------
    sample_id, question : str
    judge : str
        Name of the model.
    repeat : int
        From 0.
    status : str
        A `VerdictStatus`.
    scores : mapping from str to float
        By criterion; empty unless the status is "ok".
    detail : str
        Why there is no score.
    source_digest, result_digest : str
        SHA-256 of the files as read; "" where there is none.
    prompt : str
        Version and digest of the question.
    transform : str
        What was done to the images before they were sent.
    request : str
        Key of the request in the cache of answers.
    """

    sample_id: str
    question: str
    judge: str
    repeat: int
    status: VerdictStatus
    scores: Mapping[str, float] = field(default_factory=dict)
    detail: str = ""
    source_digest: str = ""
    result_digest: str = ""
    prompt: str = ""
    transform: str = ""
    request: str = ""

    @property
    def slot(self) -> tuple[str, str, str, int]:
        """What a later verdict of the same sample, question, judge and repeat replaces."""
        return self.sample_id, self.question, self.judge, self.repeat


@dataclass(frozen=True, slots=True)
class JudgedRun:
    """The verdicts about the results of one editor.

    Attributes
    ----------
    receipt : mapping
        `benchmark`, `editor`, and how the results were made.
    samples : tuple of JudgedSample
        All that were to be judged.
    verdicts : tuple of Verdict
        The latest of each slot.
    """

    receipt: Mapping[str, Any]
    samples: tuple[JudgedSample, ...]
    verdicts: tuple[Verdict, ...]


def start_run_folder(folder: Path, receipt: Mapping[str, Any], samples: Iterable[JudgedSample]) -> None:
    """Write receipt and samples; the verdicts of an earlier run of the same benchmark and editor stay.

    Raises
    ------
    UserError
        The folder has verdicts of another benchmark or editor.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / RECEIPT_FILE
    content = {"format": VERDICTS_FORMAT, **receipt}
    if path.exists():
        earlier = _read_receipt(folder)
        for name in ("benchmark", "editor"):
            if earlier.get(name) != content[name]:
                raise UserError(
                    f"{folder} has verdicts of {name} {earlier.get(name)!r}, but these are of {content[name]!r}: "
                    "choose another folder."
                )
    replace_file(path, orjson.dumps(content, option=orjson.OPT_INDENT_2))
    write_json_lines(folder / SAMPLES_FILE, (asdict(sample) for sample in samples))
    verdicts = folder / VERDICTS_FILE
    if verdicts.exists():
        # A run that was killed may have left half a verdict; its answer is in the cache of the client.
        with open_regular_file(verdicts, "r+b") as stream:
            repair_last_line(stream, path=verdicts)


def append_verdicts(folder: Path, verdicts: Iterable[Verdict]) -> None:
    """Add verdicts to those of the folder; none is ever removed."""
    append_lines(folder / VERDICTS_FILE, (orjson.dumps(asdict(one)) + b"\n" for one in verdicts))


def read_judged_run(folder: Path) -> JudgedRun:
    """Read what `editfhf benchmark judge` wrote.

    Raises
    ------
    UserError
        The folder has no receipt, or a line is no verdict.
    """
    receipt = _read_receipt(folder)
    samples = tuple(
        JudgedSample(**_pick(JudgedSample, row, where)) for where, row in read_strict_lines(folder / SAMPLES_FILE)
    )
    latest: dict[tuple[str, str, str, int], Verdict] = {}
    for where, row in read_strict_lines(folder / VERDICTS_FILE):
        verdict = Verdict(**_pick(Verdict, row, where))
        if verdict.status not in get_args(VerdictStatus):
            raise UserError(f"{where}: expected a status of {', '.join(get_args(VerdictStatus))}.")
        latest[verdict.slot] = verdict
    return JudgedRun(receipt, samples, tuple(latest.values()))


def _read_receipt(folder: Path) -> dict[str, Any]:
    try:
        receipt = orjson.loads(read_regular_file(folder / RECEIPT_FILE))
    except FileNotFoundError:
        raise UserError(f"{folder} has no {RECEIPT_FILE}: expected a folder of editfhf benchmark judge.") from None
    except orjson.JSONDecodeError:
        receipt = None
    if not isinstance(receipt, dict) or receipt.get("format") != VERDICTS_FORMAT:
        raise UserError(f"{folder / RECEIPT_FILE}: expected a receipt of the format {VERDICTS_FORMAT}.")
    return receipt


def read_strict_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a JSON-lines file, each with the words that say where it is; none of a file that is not there.

    Raises
    ------
    UserError
        For the first line that is no object.
    """
    if not path.exists() or not path.stat().st_size:
        return
    for row, value in read_json_lines(path, path.name, _refuse_line):
        yield f"{path}, line {row}", value


def _refuse_line(rejection: Rejection) -> None:
    raise UserError(f"{rejection.file}, line {rejection.row}: {rejection.message}")


def _pick(kind: type, row: Mapping[str, Any], where: str) -> dict[str, Any]:
    names = {each.name for each in fields(kind)}
    if set(row) != names:
        raise UserError(f"{where}: expected the fields {', '.join(sorted(names))}.")
    return dict(row)
