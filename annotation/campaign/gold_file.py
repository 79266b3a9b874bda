"""Read and check `gold.jsonl` of a corpus: pairs with known answers for training, qualification and hidden gold."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from annotation import images
from annotation.campaign.model import GoldPair, GoldSet, GoldTask, PairAnswer
from annotation.campaign.options import CampaignOptions, QualificationOptions
from annotation.json_lines import read_json_lines
from annotation.labelstudio.image_urls import ImageUrls
from annotation.records import DIMENSIONS, Box, Dimension, Disk, Kind, Mark, Pair, Place, Rejection, Severity
from annotation.taxonomy import list_flaw_types
from annotation.text import MAX_ID_LENGTH, MAX_TEXT_LENGTH, describe_bad_id, normalize_text
from mos.errors import UserError


def check_gold_sets(sets: Sequence[Sequence[GoldTask]], options: QualificationOptions) -> None:
    """Check that every gold set can tell good candidates from bad ones.

    Raises
    ------
    UserError
        A set is too small, has no region, or has only equal scores; or a pair occurs twice, in one set or in two: a
        candidate who tries again would know its answer.
    """
    if not sets:
        raise UserError("Expected at least one set of gold tasks, got none. Add pairs with known answers.")
    twice = [pair for pair, times in Counter(task.pair_id for tasks in sets for task in tasks).items() if times > 1]
    if twice:
        raise UserError(f"The gold task {twice[0]!r} occurs more than once. Each attempt needs tasks of its own.")
    for number, tasks in enumerate(sets):
        _check_gold_set(f"Gold set {number}", [task.truth for task in tasks], options)


def _check_gold_set(name: str, truths: Sequence[PairAnswer], options: QualificationOptions) -> None:
    marked = [truth.marks for truth in truths if truth.marks is not None]
    scored = {dimension: [t.scores[dimension] for t in truths if dimension in t.scores] for dimension in DIMENSIONS}
    parts = {"regions": len(marked)} | {f"a score of {dimension}": len(known) for dimension, known in scored.items()}
    if not any(parts.values()):
        raise UserError(f"{name}: expected gold regions or gold scores, got neither. Add them.")
    for part, count in parts.items():
        if 0 < count < options.min_tasks:
            raise UserError(
                f"{name}: expected at least {options.min_tasks} tasks with {part}, got {count}. Add tasks, or lower "
                "min_tasks."
            )
    if marked and not any(marked):
        raise UserError(f"{name}: expected at least one task with a flaw, got none. Add one.")
    for dimension, known in scored.items():
        if known and len(set(known)) == 1:
            raise UserError(f"{name}: all gold scores of {dimension} are {known[0]:g}. Add better and worse pairs.")


GOLD_FILE = "gold.jsonl"


_GOLD_WORD = re.compile(r"(?<![a-z])gold(?![a-z])", re.IGNORECASE)


BoundedText = Annotated[str, StringConstraints(max_length=MAX_TEXT_LENGTH)]


BoundedId = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID_LENGTH)]


GoldPoint = tuple[float, float]


class _StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _GoldMark(_StrictModel):
    kind: Kind
    box: tuple[float, float, float, float]
    disks: tuple[GoldPoint, ...] = Field(min_length=1)
    flaw_type: str | None = None
    severity: Severity | None = None
    rationale: BoundedText | None = None


class _GoldLine(_StrictModel):
    pair_id: BoundedId
    set: Literal["training", "attempt", "hidden"]
    attempt: int = Field(0, ge=0)
    marks: tuple[_GoldMark, ...] | None = None
    scores: dict[Dimension, float] = {}
    explanation: BoundedText = ""
    source: BoundedId | None = None
    edited: BoundedId | None = None
    instruction: BoundedText | None = None


def read_gold_file(corpus: Path, pairs: Sequence[Pair], options: CampaignOptions) -> GoldSet:
    """Read `gold.jsonl` of a corpus.

    Parameters
    ----------
    corpus
        Folder of the corpus.
    pairs
        Pairs of the corpus.  A line about another pair must name its images and its instruction.
    options
        Options of the campaign, which decide what gold is needed.

    Returns
    -------
    GoldSet
        Empty without the file.

    Raises
    ------
    UserError
        A line is wrong (the first one is named), or the gold is not enough for the options.
    """
    path = corpus / GOLD_FILE
    if not path.is_file():
        _check_enough_gold(GoldSet(), options, path)
        return GoldSet()
    known = {pair.pair_id: pair for pair in pairs}
    names: set[str] = set()
    lines: list[tuple[_GoldLine, GoldPair]] = []
    for row, data in read_json_lines(path, GOLD_FILE, _raise_rejection, unique_keys=True):
        try:
            line = _GoldLine.model_validate(data)
        except ValidationError as error:
            raise UserError(f"{GOLD_FILE}, line {row}: {_describe_gold_error(error)}") from None
        if line.pair_id in names:
            raise UserError(
                f"{GOLD_FILE}, line {row}: the pair {line.pair_id!r} has a line already. Remove one of them."
            )
        names.add(line.pair_id)
        lines.append((line, _make_gold_pair(corpus, line, known.get(line.pair_id), row, options)))
    count = 1 + max((line.attempt for line, _ in lines if line.set == "attempt"), default=-1)
    gold = GoldSet(
        tuple(one for line, one in lines if line.set == "training"),
        tuple(
            tuple(one for line, one in lines if line.set == "attempt" and line.attempt == number)
            for number in range(count)
        ),
        tuple(one for line, one in lines if line.set == "hidden"),
    )
    _check_enough_gold(gold, options, path)
    return gold


def _raise_rejection(bad: Rejection) -> None:
    if not bad.repaired:
        raise UserError(f"{bad.file}, line {bad.row}: {bad.message}")


def _make_gold_pair(corpus: Path, line: _GoldLine, known: Pair | None, row: int, options: CampaignOptions) -> GoldPair:
    def gold_error(message: str) -> UserError:
        return UserError(f"{GOLD_FILE}, line {row}: {message}")

    pair = _find_or_make_pair(line, known, row, gold_error)
    if line.marks is None and not line.scores:
        raise gold_error(
            "expected marks, scores or both, got neither. Add them; write [] for marks when there is no flaw."
        )
    low, high = options.rules.scale
    wrong = next((score for score in line.scores.values() if not low <= score <= high), None)
    if wrong is not None:
        raise gold_error(f"expected scores from {low:g} to {high:g}, got {wrong:g}. Correct it.")
    try:
        image_urls = ImageUrls(corpus, options.pictures)
        for path in (pair.source, pair.edited):
            image_urls.url(path)
        info = images.inspect_image(images.read_image_bytes(corpus, pair.edited))
    except UserError as error:
        raise gold_error(str(error)) from None
    size = info.width, info.height
    marks = (
        None
        if line.marks is None
        else tuple(_make_gold_mark(line, n, size, gold_error) for n in range(len(line.marks)))
    )
    if line.set == "hidden":
        _check_looks_ordinary(pair, marks, line, options, gold_error)
    return GoldPair(pair, size, PairAnswer(marks, line.scores), normalize_text(line.explanation))


MakeGoldError = Callable[[str], UserError]


def _find_or_make_pair(line: _GoldLine, known: Pair | None, row: int, gold_error: MakeGoldError) -> Pair:
    given = {"source": line.source, "edited": line.edited, "instruction": line.instruction}
    if known is not None:
        other = next((key for key, value in given.items() if value not in (None, getattr(known, key))), None)
        if other is not None:
            raise gold_error(
                f"{other!r} differs from that of this pair in pairs.jsonl. Leave it out, or rename the pair."
            )
        return known
    missing = next((key for key, value in given.items() if not value), None)
    if missing is not None:
        raise gold_error(f"the pair {line.pair_id!r} is not in pairs.jsonl: expected {missing!r}. Add it.")
    odd = describe_bad_id(line.pair_id)
    if odd is not None:
        raise gold_error(f"'pair_id' {odd}. Correct it.")
    place = Place(GOLD_FILE, row)
    texts = {key: value or "" for key, value in given.items()}
    return Pair(line.pair_id, line.pair_id, **texts, task="", editor="", licence="", origin="", place=place)


def _make_gold_mark(line: _GoldLine, number: int, size: tuple[int, int], gold_error: MakeGoldError) -> Mark:
    drawn = (line.marks or ())[number]
    width, height = size
    box = Box(*drawn.box)
    if not (0 <= box.x0 < box.x1 <= width and 0 <= box.y0 < box.y1 <= height):
        raise gold_error(f"expected a box [x0, y0, x1, y1] within {width} x {height} pixels, got {[*box]}. Correct it.")
    outside = next((disk for disk in drawn.disks if not (0 <= disk[0] <= width and 0 <= disk[1] <= height)), None)
    if outside is not None:
        raise gold_error(f"expected disks [x, y] within {width} x {height} pixels, got {[*outside]}. Correct it.")
    if drawn.flaw_type is not None and drawn.flaw_type not in list_flaw_types(drawn.kind):
        kinds = ", ".join(list_flaw_types(drawn.kind))
        raise gold_error(f"{drawn.flaw_type[:40]!r} is not a flaw type of kind {drawn.kind}. Available: {kinds}.")
    # The id has the form of a consensus region's, because raters see it.
    name = hashlib.sha256(f"{line.pair_id}/{number}/{drawn.box}".encode()).hexdigest()[:8]
    text = normalize_text(drawn.rationale or "") or None
    disks = tuple(Disk(*disk) for disk in drawn.disks)
    return Mark(f"{drawn.kind[0]}-{name}", drawn.kind, box, disks, drawn.flaw_type, drawn.severity, text)


def _check_looks_ordinary(
    pair: Pair, marks: Sequence[Mark] | None, line: _GoldLine, options: CampaignOptions, gold_error: MakeGoldError
) -> None:
    """A hidden task must look like every other."""
    for name in (pair.pair_id, pair.source, pair.edited):
        if _GOLD_WORD.search(name):
            raise gold_error(f"{name[:80]!r} reveals a gold task, and annotators can see this name. Rename it.")
    shown = marks if line.scores and "textual" in options.steps else None
    for mark in shown or ():
        if not (mark.flaw_type and mark.severity and mark.rationale):
            raise gold_error(
                "raters see every region with flaw type, severity and rationale: a mark without them would reveal "
                "the gold task. Add them."
            )


def _check_enough_gold(gold: GoldSet, options: CampaignOptions, path: Path) -> None:
    """`UserError` when the options need more gold than there is."""
    if options.gold is not None and options.gold.rate > 0 and not gold.hidden:
        raise UserError(
            f'Expected lines with "set": "hidden" in {path}, got none. Add them, or remove \'gold\' from the options.'
        )
    if options.qualification is None:
        return
    if not gold.sets:
        raise UserError(
            f'Expected lines with "set": "attempt" in {path}, got none. Add them: the qualification needs them.'
        )
    for regions, scores, who in candidate_kinds(options):
        sets = [[task for one in part if (task := one.task(regions, scores))] for part in gold.sets]
        try:
            check_gold_sets(sets, options.qualification)
        except UserError as error:
            raise UserError(f"{path}, which {who} needs: {error}") from None


DRAWING_ROLES = frozenset({"regional", "expert", "reviewer"})


def judged_parts(roles: Sequence[str]) -> tuple[bool, bool]:
    """Whether a candidate for these roles is judged by their regions, and whether by their scores.

    Raters are judged by scores, annotators, experts and reviewers by regions, all others by both.
    """
    regions, scores = bool(DRAWING_ROLES & {*roles}), "rater" in roles
    return (regions, scores) if regions or scores else (True, True)


def candidate_kinds(options: CampaignOptions) -> list[tuple[bool, bool, str]]:
    """The kinds of candidates (see `judged_parts`), each with the first participant of that kind."""
    first: dict[tuple[bool, bool], str] = {}
    for person in options.people:
        if person.active and "candidate" in person.roles:
            first.setdefault(judged_parts(person.roles), person.person_id)
    return [(*parts, who) for parts, who in sorted(first.items())]


def _describe_gold_error(error: ValidationError) -> str:
    detail = error.errors(include_url=False)[0]
    place = ".".join(map(str, detail["loc"])) or "the line"
    came = "" if isinstance(detail["input"], dict) else f", got {repr(detail['input'])[:80]}"
    return f"{place}: {detail['msg']}{came}. Correct it."
