"""How far people agree in each stage of a campaign so far: of each person, and in a few figures of each stage."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from annotation.campaign.planning.planner import PairState, Record
from annotation.campaign.planning.round_robin import Review
from annotation.campaign.quality.regions import Comparison, by_person, compare
from annotation.campaign.status.rows import Figure
from annotation.records import DIMENSIONS
from annotation.text import collapsed

Agreements = dict[tuple[str, str], float]
"""By stage and person, each in [0, 1]."""

IOU = 0.5
"""Overlap at which two annotators drew the same box."""


def agreement(record: Record, states: Iterable[PairState]) -> tuple[Agreements, list[Figure]]:
    """What can be said of each person, and the figures of the stages in their order."""
    reviews = [review for state in states for review in state.reviews.values()]
    marked = [annotation for work in record.work.values() for annotation in work.regional]
    heights = {pair_id: height for pair_id, (_, height) in record.sizes.items()}
    compared = compare(marked, heights, (IOU,))
    people = {
        ("regional", one.person_id): f1 for one in by_person(marked, compared, {}) for f1 in one.f1 if f1 is not None
    }
    people |= {("textual", name): share for name, share in _reviewers(reviews).items()}
    return people, [*_regional(compared), *_textual(reviews), *_scoring(record)]


def _regional(compared: Sequence[Comparison]) -> list[Figure]:
    pairs = len({one.pair_id for one in compared})
    found = []
    for what, values in (
        ("F1 of the boxes of two annotators, IoU 0.5", [one.f1[0] for one in compared]),
        ("overlap of the disks of two annotators", [one.disk_overlap for one in compared]),
    ):
        known = [value for value in values if value is not None]
        if known:
            found.append(Figure("regional", what, math.fsum(known) / len(known), "share", pairs, "pairs"))
    return found


def _reviewers(reviews: Iterable[Review]) -> dict[str, float]:
    """Of the texts of each reviewer that are final: on how many their first word was the text that became final."""
    first: dict[str, list[bool]] = {}
    for review in reviews:
        if review.status != "final" or review.result is None:
            continue
        final = collapsed(review.result.said)
        heard = set()
        for turn in review.counted:
            if turn.reviewer not in heard:
                heard.add(turn.reviewer)
                first.setdefault(turn.reviewer, []).append(collapsed(turn.said) == final)
    return {name: sum(found) / len(found) for name, found in first.items()}


def _textual(reviews: Iterable[Review]) -> list[Figure]:
    ended = [review for review in reviews if review.status != "open"]
    if not ended:
        return []
    count = len(ended)
    rounds = [math.ceil(review.words / len(review.reviewers)) for review in ended]
    agreed = sum(review.status == "final" and needed <= 1 for review, needed in zip(ended, rounds, strict=True))
    return [
        Figure("textual", "texts agreed on in the first round", agreed / count, "share", count, "texts"),
        Figure("textual", "rounds of a text", sum(rounds) / count, "number", count, "texts"),
        Figure(
            "textual",
            "texts that went to the expert",
            sum(review.status != "final" for review in ended) / count,
            "share",
            count,
            "texts",
        ),
    ]


def _scoring(record: Record) -> list[Figure]:
    """Krippendorff's alpha of the scores of each dimension so far; of a person's scores of a pair the latest counts."""
    from mos.agreement.alpha import alpha

    found = []
    items = {pair_id: number for number, pair_id in enumerate(record.work)}
    latest = {
        (one.pair_id, one.person_id): one.scores
        for work in record.work.values()
        for one in sorted(work.answered, key=lambda one: (one.at, one.round))
        if one.stage == "scoring"
    }
    for dimension in DIMENSIONS:
        given = [(items[pair_id], scores[dimension]) for (pair_id, _), scores in latest.items() if dimension in scores]
        if len({item for item, _ in given}) < 2:
            # Of one pair alone it is 0 whatever the scores are.
            continue
        item, score = (np.array(column) for column in zip(*given, strict=True))
        value = alpha(np.unique(item, return_inverse=True)[1], score)
        if not math.isnan(value):
            what = f"Krippendorff's alpha of {dimension.replace('_', ' ')}"
            found.append(Figure("scoring", what, value, "number", len(given), "scores"))
    return found
