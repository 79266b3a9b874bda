"""Read stage 3 from exported tasks: a score for each dimension, and flags on regions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from annotation.json_lines import RejectCallback
from annotation.labelstudio.submissions import (
    ControlNames,
    Submission,
    SubmissionContext,
    iterate_submissions,
    parse_finite_number,
    read_choices,
)
from annotation.records import Flag, Place, Rating
from annotation.rules import split_latest
from annotation.text import describe_bad_id


def read_export_ratings(
    task: dict[str, Any], place: Place, reject: RejectCallback, names: ControlNames | None = None
) -> tuple[list[Rating], list[Flag]]:
    """Read the ratings and flags of every submission of one task.

    Parameters
    ----------
    task
        One element of a JSON export.
    place
        File and row of the task, for rejections.
    reject
        Receives a `Rejection` for everything that cannot be used.
    names
        Names of controls and labels; by default those of our own interfaces.

    Returns
    -------
    tuple[list[Rating], list[Flag]]
        Ratings on the scale of the rater, whose range is not checked here, and flags; both include earlier submissions
        of the same person.

    Notes
    -----
    Regions and texts, which this stage only shows, are ignored.
    """
    submissions = list(_iterate_scored(task, place, reject, names or ControlNames()))
    return _join_ratings(submissions), _join_flags(submissions)


def read_latest_ratings(
    task: dict[str, Any], place: Place, reject: RejectCallback, names: ControlNames | None = None
) -> tuple[list[Rating], list[Flag]]:
    """Read the ratings and flags of the latest submission of each rater in one task.

    Parameters
    ----------
    task
        One element of a JSON export.
    place
        File and row of the task, for rejections.
    reject
        Receives a `Rejection` for everything that cannot be used, and for every earlier submission.
    names
        Names of controls and labels; by default those of our own interfaces.

    Returns
    -------
    tuple[list[Rating], list[Flag]]
        Ratings on the scale of the rater, whose range is not checked here, and flags.

    Notes
    -----
    A submission without scores counts only if its rater has no submission with scores.
    """
    submissions = list(_iterate_scored(task, place, reject, names or ControlNames()))
    latest, _ = split_latest(
        submissions,
        lambda submission: submission.source.annotator_id,
        lambda submission: (bool(submission.ratings), submission.source.at),
    )
    kept = []
    for submission in submissions:
        if submission is latest[submission.source.annotator_id]:
            kept.append(submission)
        else:
            message = "The same rater scored this pair again in this task; only that submission and its flags count."
            submission.source.reject("annotation", "superseded", message)
    return _join_ratings(kept), _join_flags(kept)


class _ScoredSubmission(NamedTuple):
    """Ratings and flags of one submission."""

    source: SubmissionContext
    ratings: list[Rating]
    flags: list[Flag]


def _join_ratings(submissions: Iterable[_ScoredSubmission]) -> list[Rating]:
    """The ratings of all submissions, in order."""
    return [rating for submission in submissions for rating in submission.ratings]


def _join_flags(submissions: Iterable[_ScoredSubmission]) -> list[Flag]:
    """The flags of all submissions, in order."""
    return [flag for submission in submissions for flag in submission.flags]


def _iterate_scored(
    task: dict[str, Any], place: Place, reject: RejectCallback, names: ControlNames
) -> Iterator[_ScoredSubmission]:
    """The usable submissions; one without a score is reported and returned all the same, for its flags."""
    controls = names.region_controls | {names.flagged} | set(names.dimensions)
    for submission in iterate_submissions(task, place, reject, names, controls, None):
        scores = _read_scores(submission, names)
        if not scores:
            message = "The annotation has no number for any dimension."
            submission.source.reject("annotation", "no_scores", message)
        yield _ScoredSubmission(submission.source, scores, _read_flags(submission, names))


def _read_scores(submission: Submission, names: ControlNames) -> list[Rating]:
    """One rating for each dimension with a finite number."""
    source = submission.source
    scores = []
    for control, dimension in names.dimensions.items():
        items = submission.of(control)
        for _ in items[1:]:
            source.reject("rating", "duplicate_result", f"The annotation already has a number for {dimension}.")
        if not items:
            continue
        score = parse_finite_number(items[0].value.get("number"))
        if score is None:
            source.reject("rating", "bad_number", f"Expected a finite number for {dimension}.")
            continue
        scores.append(Rating(source.pair_id, source.annotator_id, dimension, score, source.at, source.place))
    return scores


def _read_flags(submission: Submission, names: ControlNames) -> list[Flag]:
    """One flag for each region that the rater ticked."""
    source = submission.source
    regions: dict[str, None] = {}
    for item in submission.of(names.flagged):
        words = read_choices(item)
        if words is None or any(describe_bad_id(word) for word in words):
            source.reject("flag", "bad_choice", "Expected ids of regions in the list of flags.")
            continue
        regions |= dict.fromkeys(words)
    return [Flag(source.pair_id, region_id, source.annotator_id, source.place) for region_id in regions]
