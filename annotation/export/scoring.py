"""Stage 3: a number per dimension, and flags on regions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from annotation.export.names import Names
from annotation.export.submissions import Source, Submission, chosen, number, submissions
from annotation.jsonlines import Reject
from annotation.records import Flag, Place, Rating
from annotation.text import bad_id


def ratings(
    task: dict[str, Any], place: Place, reject: Reject, names: Names | None = None
) -> tuple[list[Rating], list[Flag]]:
    """The ratings of one task, on the scale on which they were given (its range is checked with the table), and flags.

    Regions and texts that the stage only shows are passed over.  All submissions are read, also earlier ones of the
    same person.
    """
    read = list(_read(task, place, reject, names or Names()))
    return [rating for one in read for rating in one.ratings], [flag for one in read for flag in one.flags]


def latest_ratings(
    task: dict[str, Any], place: Place, reject: Reject, names: Names | None = None
) -> tuple[list[Rating], list[Flag]]:
    """As `ratings`, but of each person the latest submission alone, with its flags; each earlier one is rejected.

    A submission without scores counts where the person has none with scores.
    """
    read = list(_read(task, place, reject, names or Names()))
    latest: dict[str, _Read] = {}
    for one in sorted(read, key=lambda one: (bool(one.ratings), one.source.at)):
        latest[one.source.annotator_id] = one
    for one in read:
        if one is not latest[one.source.annotator_id]:
            message = "The same person scored this pair again in this task: that submission counts, with its flags."
            one.source.reject("annotation", "superseded", message)
    kept = [one for one in read if one is latest[one.source.annotator_id]]
    return [rating for one in kept for rating in one.ratings], [flag for one in kept for flag in one.flags]


class _Read(NamedTuple):
    """What one submission says."""

    source: Source
    ratings: list[Rating]
    flags: list[Flag]


def _read(task: dict[str, Any], place: Place, reject: Reject, names: Names) -> Iterator[_Read]:
    controls = names.drawn | {names.flagged} | set(names.dimensions)
    for submission in submissions(task, place, reject, names, controls, None):
        scores = _scores(submission, names)
        if not scores:
            message = "The annotation has no number for any dimension."
            submission.source.reject("annotation", "no_scores", message)
        yield _Read(submission.source, scores, _flags(submission, names))


def _scores(submission: Submission, names: Names) -> list[Rating]:
    source = submission.source
    scores = []
    for control, dimension in names.dimensions.items():
        items = submission.of(control)
        for _ in items[1:]:
            source.reject("rating", "duplicate_result", f"The annotation already has a number for {dimension}.")
        if not items:
            continue
        score = number(items[0].value.get("number"))
        if score is None:
            source.reject("rating", "bad_number", f"Expected a finite number for {dimension}.")
            continue
        scores.append(Rating(source.pair_id, source.annotator_id, dimension, score, source.at, source.place))
    return scores


def _flags(submission: Submission, names: Names) -> list[Flag]:
    source = submission.source
    regions: dict[str, None] = {}
    for item in submission.of(names.flagged):
        words = chosen(item)
        if words is None or any(bad_id(word) for word in words):
            source.reject("flag", "bad_choice", "Expected ids of regions in the list of flags.")
            continue
        regions |= dict.fromkeys(words)
    return [Flag(source.pair_id, region_id, source.annotator_id, source.place) for region_id in regions]
