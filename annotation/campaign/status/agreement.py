"""Agreement in a campaign so far: of each participant with the others, and a few figures for each stage."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from annotation.campaign.model import CampaignRecord, PairStatus, TextReview
from annotation.campaign.quality.matching import BoxMatches, DiskAreas
from annotation.campaign.quality.participants import AnnotatorComparison, compare_annotators
from annotation.campaign.status.report import StageFigure
from annotation.records import DIMENSIONS
from annotation.text import collapse_blanks


class AgreementShare(NamedTuple):
    """Agreement in [0, 1], and what it is a share of: the boxes of both sides, or the texts."""

    share: float
    compared: int


AgreementByPerson = dict[tuple[str, str], AgreementShare]
"""By stage and person."""


class TextAnswer(NamedTuple):
    """A reviewer's answer to a task of texts.

    agrees: whether the verdict is that every text is right; words: number of words to read
    seconds: time on the task; None when unknown
    """

    person_id: str
    agrees: bool
    words: int
    seconds: float | None


LEAST_READING_SECONDS = 3.0
WORDS_PER_SECOND = 10.0
"""Faster than anybody reads; and the shortest time in which one text can be compared with its image."""
LEAST_QUICK_AGREEMENTS = 3

AGREEMENT_IOU = 0.5
"""Overlap at which two annotators drew the same box."""


def campaign_agreement(
    record: CampaignRecord, statuses: Iterable[PairStatus]
) -> tuple[AgreementByPerson, list[StageFigure]]:
    """Agreement by stage and person, and the figures of the stages in their order."""
    reviews = [review for status in statuses for review in status.reviews.values()]
    marked = [annotation for work in record.work.values() for annotation in work.regional]
    heights = {pair_id: height for pair_id, (_, height) in record.sizes.items()}
    compared = compare_annotators(marked, heights, (AGREEMENT_IOU,))
    boxes: dict[str, BoxMatches] = {}
    for one in compared:
        for name in (one.first, one.second):
            boxes[name] = boxes.get(name, BoxMatches()) + one.matches[0]
    people: AgreementByPerson = {
        ("regional", name): AgreementShare(found.f1, found.first + found.second)
        for name, found in boxes.items()
        if found.f1 is not None
    }
    people |= {("textual", name): share for name, share in _reviewer_agreement(reviews).items()}
    return people, [*_regional_figures(compared), *_textual_figures(reviews), *_scoring_figures(record)]


def _regional_figures(compared: Sequence[AnnotatorComparison]) -> list[StageFigure]:
    """Agreement of every two annotators of a pair, all of them added up."""
    if not compared:
        return []
    pairs = len({one.pair_id for one in compared})
    boxes = sum((one.matches[0] for one in compared), BoxMatches())
    disks = sum((one.areas for one in compared), DiskAreas())
    same = sum((one.matches[0].first > 0) == (one.matches[0].second > 0) for one in compared)
    none = sum(one.f1[0] is None for one in compared)
    found: list[tuple[str, float | None]] = [
        ("F1 of the boxes of two annotators, IoU 0.5", boxes.f1),
        ("overlap of the disks of two annotators", disks.iou),
        ("two annotators agree whether there is a flaw", same / len(compared)),
        ("two annotators agree that there is none", none / len(compared)),
    ]
    return [StageFigure("regional", what, value, "share", pairs, "pairs") for what, value in found if value is not None]


def _reviewer_agreement(reviews: Iterable[TextReview]) -> dict[str, AgreementShare]:
    """Share of each reviewer's final texts for which their first turn had the text that became final."""
    first: dict[str, list[bool]] = {}
    for review in reviews:
        if review.status != "final" or review.result is None:
            continue
        final = collapse_blanks(review.result.said)
        answered = set()
        for turn in review.counted:
            if turn.reviewer not in answered:
                answered.add(turn.reviewer)
                first.setdefault(turn.reviewer, []).append(collapse_blanks(turn.said) == final)
    return {name: AgreementShare(sum(found) / len(found), len(found)) for name, found in first.items()}


def quick_agreement_notes(answers: Iterable[TextAnswer]) -> list[str]:
    """A sentence for each reviewer who often agreed faster than the texts can be read.

    A reviewer's agreement says nothing of it: whoever agrees without reading agrees with everybody.
    """
    by_person: dict[str, list[bool]] = {}
    for one in answers:
        if one.agrees and one.words and one.seconds is not None:
            least = max(LEAST_READING_SECONDS, one.words / WORDS_PER_SECOND)
            by_person.setdefault(one.person_id, []).append(one.seconds < least)
    return [
        f"{name} agreed in {sum(quick)} of {len(quick)} tasks with texts faster than they can be read "
        f"(in less than {LEAST_READING_SECONDS:g} seconds, or {WORDS_PER_SECOND:g} words a second)."
        for name, quick in sorted(by_person.items())
        if sum(quick) >= LEAST_QUICK_AGREEMENTS
    ]


def _textual_figures(reviews: Iterable[TextReview]) -> list[StageFigure]:
    ended = [review for review in reviews if review.status != "open"]
    if not ended:
        return []
    count = len(ended)
    rounds = [math.ceil(review.words / len(review.reviewers)) for review in ended]
    agreed = sum(review.status == "final" and needed <= 1 for review, needed in zip(ended, rounds, strict=True))
    return [
        StageFigure("textual", "texts agreed on in the first round", agreed / count, "share", count, "texts"),
        StageFigure("textual", "rounds of a text", sum(rounds) / count, "number", count, "texts"),
        StageFigure(
            "textual",
            "texts that went to the expert",
            sum(review.status != "final" for review in ended) / count,
            "share",
            count,
            "texts",
        ),
    ]


def _scoring_figures(record: CampaignRecord) -> list[StageFigure]:
    """Krippendorff's alpha of the scores of each dimension; of a rater's scores of a pair the latest count."""
    from mos.reliability.alpha import krippendorff_alpha

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
            # With a single pair, alpha is 0 whatever the scores are.
            continue
        item, score = (np.array(column) for column in zip(*given, strict=True))
        value = krippendorff_alpha(np.unique(item, return_inverse=True)[1], score)
        if not math.isnan(value):
            what = f"Krippendorff's alpha of {dimension.replace('_', ' ')}"
            found.append(StageFigure("scoring", what, value, "number", len(given), "scores"))
    return found
