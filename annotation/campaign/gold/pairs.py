"""Pairs whose answers are known: `gold.jsonl` in the corpus, for training, qualification and hidden among the tasks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from annotation import images, jsonlines
from annotation.campaign.gold.qualification import Answer, GoldTask, check_gold
from annotation.campaign.options import Options
from annotation.flaws import flaw_types
from annotation.records import Box, Dimension, Disk, Kind, Mark, Pair, Place, Rejection, Severity
from annotation.studio.pictures import Pictures
from annotation.text import MAX_ID, MAX_TEXT, bad_id, normal
from mos.errors import UserError

FILE = "gold.jsonl"

_SAYS_GOLD = re.compile(r"(?<![a-z])gold(?![a-z])", re.IGNORECASE)

Text = Annotated[str, StringConstraints(max_length=MAX_TEXT)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID)]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class GoldPair:
    """A pair with its known answer; `size` is (width, height) of the edited image in pixels.

    explanation: what whoever trains on it reads
    """

    pair: Pair
    size: tuple[int, int]
    truth: Answer
    explanation: str = ""

    def task(self, regions: bool, scores: bool) -> GoldTask | None:
        """The part of its answer that is asked for; None where it has none."""
        truth = Answer(self.truth.marks if regions else None, self.truth.scores if scores else {})
        asked = truth.marks is not None or truth.scores
        return GoldTask(self.pair.pair_id, self.size[1], truth) if asked else None


@dataclass(frozen=True)
class Gold:
    """All gold of a corpus; none of its pairs is annotated by the campaign.

    training, hidden: in the order of the file; sets: those of attempt 0, 1, ...
    """

    training: tuple[GoldPair, ...] = ()
    sets: tuple[tuple[GoldPair, ...], ...] = ()
    hidden: tuple[GoldPair, ...] = ()

    @cached_property
    def pairs(self) -> Mapping[str, GoldPair]:
        """Every gold pair by its pair_id."""
        return self.lessons | self.veiled

    @cached_property
    def lessons(self) -> dict[str, GoldPair]:
        """Those of training and qualification, by pair_id."""
        return {one.pair.pair_id: one for part in (self.training, *self.sets) for one in part}

    @cached_property
    def veiled(self) -> dict[str, GoldPair]:
        """Those that are hidden among the tasks, by pair_id."""
        return {one.pair.pair_id: one for one in self.hidden}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _Drawn(_Strict):
    kind: Kind
    box: tuple[float, float, float, float]
    disks: tuple[Point, ...] = Field(min_length=1)
    flaw_type: str | None = None
    severity: Severity | None = None
    rationale: Text | None = None


class _Line(_Strict):
    pair_id: Id
    set: Literal["training", "attempt", "hidden"]
    attempt: int = Field(0, ge=0)
    marks: tuple[_Drawn, ...] | None = None
    scores: dict[Dimension, float] = {}
    explanation: Text = ""
    source: Id | None = None
    edited: Id | None = None
    instruction: Text | None = None


def read_gold(corpus: Path, pairs: Sequence[Pair], options: Options) -> Gold:
    """The gold of a corpus, none without the file; `UserError` for the first thing in it that is wrong.

    pairs: those of the corpus; a line about another one names its pictures and instruction itself
    """
    path = corpus / FILE
    if not path.is_file():
        _check_use(Gold(), options, path)
        return Gold()
    known = {pair.pair_id: pair for pair in pairs}
    names: set[str] = set()
    found: list[tuple[_Line, GoldPair]] = []
    for row, data in jsonlines.read(path, FILE, _refuse):
        try:
            line = _Line.model_validate(data)
        except ValidationError as error:
            raise UserError(f"{FILE}, line {row}: {_sentence(error)}") from None
        if line.pair_id in names:
            raise UserError(f"{FILE}, line {row}: the pair {line.pair_id!r} is there already. Each has one line.")
        names.add(line.pair_id)
        found.append((line, _gold_pair(corpus, line, known.get(line.pair_id), row, options)))
    count = 1 + max((line.attempt for line, _ in found if line.set == "attempt"), default=-1)
    gold = Gold(
        tuple(one for line, one in found if line.set == "training"),
        tuple(
            tuple(one for line, one in found if line.set == "attempt" and line.attempt == number)
            for number in range(count)
        ),
        tuple(one for line, one in found if line.set == "hidden"),
    )
    _check_use(gold, options, path)
    return gold


def _refuse(bad: Rejection) -> None:
    if not bad.repaired:
        raise UserError(f"{bad.file}, line {bad.row}: {bad.message}")


def _gold_pair(corpus: Path, line: _Line, known: Pair | None, row: int, options: Options) -> GoldPair:
    def fault(message: str) -> UserError:
        return UserError(f"{FILE}, line {row}: {message}")

    pair = _pair(line, known, row, fault)
    if line.marks is None and not line.scores:
        raise fault("expected marks, scores or both, got neither. Say what is known; no flaw at all is [].")
    low, high = options.scale
    wrong = next((score for score in line.scores.values() if not low <= score <= high), None)
    if wrong is not None:
        raise fault(f"expected scores from {low:g} to {high:g}, got {wrong:g}. Correct it.")
    try:
        pictures = Pictures(corpus, options.pictures)
        for picture in (pair.source, pair.edited):
            pictures.url(picture)
        info = images.inspect(images.read(corpus, pair.edited))
    except UserError as error:
        raise fault(str(error)) from None
    size = info.width, info.height
    marks = None if line.marks is None else tuple(_mark(line, n, size, fault) for n in range(len(line.marks)))
    if line.set == "hidden":
        _check_veil(pair, marks, line, options, fault)
    return GoldPair(pair, size, Answer(marks, line.scores), normal(line.explanation))


Fault = Callable[[str], UserError]


def _pair(line: _Line, known: Pair | None, row: int, fault: Fault) -> Pair:
    said = {"source": line.source, "edited": line.edited, "instruction": line.instruction}
    if known is not None:
        other = next((key for key, value in said.items() if value not in (None, getattr(known, key))), None)
        if other is not None:
            raise fault(f"{other!r} is not what pairs.jsonl says of this pair. Leave it out, or rename the pair.")
        return known
    missing = next((key for key, value in said.items() if not value), None)
    if missing is not None:
        raise fault(f"the pair {line.pair_id!r} is not in pairs.jsonl: expected {missing!r}. Add it.")
    odd = bad_id(line.pair_id)
    if odd is not None:
        raise fault(f"'pair_id' {odd}. Correct it.")
    place = Place(FILE, row)
    texts = {key: value or "" for key, value in said.items()}
    return Pair(line.pair_id, line.pair_id, **texts, task="", editor="", licence="", origin="", place=place)


def _mark(line: _Line, number: int, size: tuple[int, int], fault: Fault) -> Mark:
    drawn = (line.marks or ())[number]
    width, height = size
    box = Box(*drawn.box)
    if not (0 <= box.x0 < box.x1 <= width and 0 <= box.y0 < box.y1 <= height):
        raise fault(f"expected a box [x0, y0, x1, y1] within {width} x {height} pixels, got {[*box]}. Correct it.")
    outside = next((disk for disk in drawn.disks if not (0 <= disk[0] <= width and 0 <= disk[1] <= height)), None)
    if outside is not None:
        raise fault(f"expected disks [x, y] within {width} x {height} pixels, got {[*outside]}. Correct it.")
    if drawn.flaw_type is not None and drawn.flaw_type not in flaw_types(drawn.kind):
        kinds = ", ".join(flaw_types(drawn.kind))
        raise fault(f"{drawn.flaw_type[:40]!r} is no flaw type of kind {drawn.kind}. Available: {kinds}.")
    # Of the form of a consensus's regions: raters see it.
    name = hashlib.sha256(f"{line.pair_id}/{number}/{drawn.box}".encode()).hexdigest()[:8]
    text = normal(drawn.rationale or "") or None
    disks = tuple(Disk(*disk) for disk in drawn.disks)
    return Mark(f"{drawn.kind[0]}-{name}", drawn.kind, box, disks, drawn.flaw_type, drawn.severity, text)


def _check_veil(pair: Pair, marks: Sequence[Mark] | None, line: _Line, options: Options, fault: Fault) -> None:
    """A hidden task must look like every other."""
    for name in (pair.pair_id, pair.source, pair.edited):
        if _SAYS_GOLD.search(name):
            raise fault(f"{name[:80]!r} says what it is, and annotators can see it. Rename it.")
    shown = marks if line.scores and "textual" in options.steps else None
    for mark in shown or ():
        if not (mark.flaw_type and mark.severity and mark.rationale):
            raise fault(
                "raters see the regions of every pair with flaw type, severity and rationale: a mark without would "
                "give the task away. Add them."
            )


def _check_use(gold: Gold, options: Options, path: Path) -> None:
    """`UserError` when the gold is not enough for what the options ask of it."""
    if options.gold is not None and options.gold.rate > 0 and not gold.hidden:
        raise UserError(f'Expected lines with "set": "hidden" in {path}, got none. Add them, or drop \'gold\'.')
    if options.qualification is None:
        return
    if not gold.sets:
        raise UserError(f'Expected lines with "set": "attempt" in {path}, got none. Add them: qualification asks.')
    for regions, scores, who in asked_parts(options):
        sets = [[task for one in part if (task := one.task(regions, scores))] for part in gold.sets]
        try:
            check_gold(sets, options.qualification)
        except UserError as error:
            raise UserError(f"{path}, which {who} needs: {error}") from None


DRAWING = frozenset({"regional", "expert", "reviewer"})


def asked(roles: Sequence[str]) -> tuple[bool, bool]:
    """Whether a candidate who aims at these roles is judged by their regions, and by their scores.

    Raters by their scores alone, whoever works on regions by these; who aims at neither by both.
    """
    regions, scores = bool(DRAWING & {*roles}), "rater" in roles
    return (regions, scores) if regions or scores else (True, True)


def asked_parts(options: Options) -> list[tuple[bool, bool, str]]:
    """The kinds of candidates among the people (see `asked`), each with the first person of that kind."""
    found: dict[tuple[bool, bool], str] = {}
    for person in options.people:
        if person.active and "candidate" in person.roles:
            found.setdefault(asked(person.roles), person.person_id)
    return [(*parts, who) for parts, who in sorted(found.items())]


def _sentence(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    place = ".".join(map(str, fault["loc"])) or "the line"
    came = "" if isinstance(fault["input"], dict) else f", got {repr(fault['input'])[:80]}"
    return f"{place}: {fault['msg']}{came}. Correct it."
