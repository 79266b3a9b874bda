"""Records as tasks of a Label Studio export again: the way back that the tests of losslessness go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from annotation.labelstudio.results import (
    build_annotation_json,
    build_task_json,
    rating_results,
    rationale_results,
    regional_results,
)
from annotation.records import DIMENSIONS, Flag, Rating, Rationale, Region, RegionalAnnotation

Task = dict[str, Any]
Size = tuple[int, int]
Submission = tuple[str, str, list[dict[str, Any]]]
"""Whose it is, when it came, and its results."""


def regional_task(pair_id: str, annotations: Iterable[RegionalAnnotation], size: Size) -> Task:
    return _task(pair_id, [(one.annotator_id, one.at, regional_results(one.marks, *size)) for one in annotations])


def rationale_task(pair_id: str, statements: Iterable[Rationale], size: Size) -> Task:
    """Statements that follow one another with one author, time and verdict are one submission."""
    groups: list[list[Rationale]] = []
    for one in statements:
        last = groups[-1] if groups else []
        same = last and (last[0].annotator_id, last[0].at, last[0].verdict) == (one.annotator_id, one.at, one.verdict)
        if same and one.region_id not in {each.region_id for each in last}:
            last.append(one)
        else:
            groups.append([one])
    return _task(pair_id, [(group[0].annotator_id, group[0].at, _said(group, size)) for group in groups])


def rating_task(pair_id: str, ratings: Iterable[Rating], flags: Iterable[Flag]) -> Task:
    """A submission has its scores in the order of `DIMENSIONS`.

    Each person's flags go with the first submission of theirs that can have them, else into one of their own.
    """
    found: list[tuple[str, str, dict[str, float], list[str]]] = []
    for rating in ratings:
        author = rating.annotator_id, rating.rated_at
        later = DIMENSIONS[DIMENSIONS.index(rating.dimension) :]
        if not found or found[-1][:2] != author or set(later) & found[-1][2].keys():
            found.append((*author, {}, []))
        found[-1][2][rating.dimension] = rating.score
    for flag in flags:
        own = next((one for one in found if one[0] == flag.annotator_id and flag.region_id not in one[3]), None)
        if own is None:
            own = (flag.annotator_id, "", {}, [])
            found.append(own)
        own[3].append(flag.region_id)
    return _task(pair_id, [(person, at, rating_results(scores, flagged)) for person, at, scores, flagged in found])


def _said(group: Sequence[Rationale], size: Size) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = []
    for one in group:
        if one.kind is not None and one.box is not None:
            region = Region(one.region_id, one.kind, one.box, (), one.flaw_type, one.severity, one.text, ())
            results += rationale_results([region], None, *size)
            continue
        values = {"rationale": ("textarea", {"text": [one.text or ""]})}
        for name, word in (("flaw_type", one.flaw_type), ("severity", one.severity)):
            if word is not None:
                values[name] = ("choices", {"choices": [word]})
        results += [
            {"id": one.region_id, "from_name": name, "to_name": "edited", "type": kind, "value": value}
            for name, (kind, value) in values.items()
        ]
    return results + rationale_results([], group[0].verdict, *size)


def _task(pair_id: str, submissions: Sequence[Submission]) -> Task:
    annotations = [
        build_annotation_json(number, 1, 1, 0, results, at, 1.0) | {"completed_by": {"email": person}}
        for number, (person, at, results) in enumerate(submissions, start=1)
    ]
    return build_task_json(1, 1, {"pair_id": pair_id}, annotations, "")
