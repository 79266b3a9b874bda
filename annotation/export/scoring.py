"""Stage 3: a number per dimension, and flags on regions."""

from __future__ import annotations

from typing import Any

from annotation.export.names import Names
from annotation.export.submissions import Submission, chosen, number, submissions
from annotation.jsonlines import Reject
from annotation.records import Flag, Place, Rating
from annotation.text import bad_id


def ratings(
    task: dict[str, Any], place: Place, reject: Reject, names: Names | None = None
) -> tuple[list[Rating], list[Flag]]:
    """The ratings of one task, on the scale on which they were given (its range is checked with the table), and flags.

    Regions and texts that the stage only shows are passed over.
    """
    names = names or Names()
    controls = names.drawn | {names.flagged} | set(names.dimensions)
    rated: list[Rating] = []
    flagged: list[Flag] = []
    for submission in submissions(task, place, reject, names, controls, None):
        scores = _scores(submission, names)
        if not scores:
            message = "The annotation has no number for any dimension."
            submission.source.reject("annotation", "no_scores", message)
        rated += scores
        flagged += _flags(submission, names)
    return rated, flagged


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
