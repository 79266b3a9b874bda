"""Metrics of boxes and flaw types: do predicted boxes lie where people drew theirs, and is the flaw named as they did.

Boxes are matched by the same code as the annotators' boxes of a campaign, so that a model and an annotator can be
compared.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from annotation.campaign.quality.matching import BoxMatches, match_boxes
from annotation.records import Box
from training.metrics.results import MetricResult

DEFAULT_IOUS = (0.25, 0.5, 0.75)

NO_BOXES = "Neither the prediction nor the truth has a box."
NO_PREDICTED_BOX = "The prediction has no box."
NO_TRUE_BOX = "The truth has no box."
NO_ROWS = "There is no row."
NO_ANSWER = "No row has a predicted flaw type."


def box_metrics(
    predicted: Sequence[ArrayLike], truth: Sequence[ArrayLike], ious: Sequence[float] = DEFAULT_IOUS
) -> MetricResult:
    """Compute precision, recall and F1 of boxes over some images, at several overlaps.

    Parameters
    ----------
    predicted, truth : sequence of array_like
        For each image the boxes [n, 4] `x0, y0, x1, y1`, half-open, in pixels, of one kind; [] where there is none.
    ious : sequence of float
        Least intersection over union of a match, each above 0 and at most 1.

    Returns
    -------
    MetricResult
        `precision@0.5`, `recall@0.5`, `f1@0.5` and so on for every overlap; the settings have the counts.

    Raises
    ------
    ValueError
        If the two differ in length, or a box or an overlap is not valid.

    Notes
    -----
    Formulas: precision = matches / predicted boxes, recall = matches / true boxes, F1 = 2 matches / (both), with the
    boxes of all images added up. Boxes are matched one to one, as many as possible
    (`annotation.campaign.quality.matching.match_boxes`), so the result does not depend on the order of boxes or on
    confidences. Source: the matching at one threshold of PASCAL VOC and COCO, without their greedy order.
    Limits: a clean image without predicted boxes adds nothing; `clean_image_metrics` counts false alarms.

    Examples
    --------
    >>> found = box_metrics([[[0, 0, 10, 10], [50, 50, 60, 60]]], [[[0, 0, 10, 8]]], ious=[0.5])
    >>> {name: round(value, 4) for name, value in found.items()}
    {'precision@0.5': 0.5, 'recall@0.5': 1.0, 'f1@0.5': 0.6667}
    """
    if len(predicted) != len(truth):
        raise ValueError(
            f"Expected boxes of the same images, but got {len(predicted)} predicted and {len(truth)} true."
        )
    for iou in ious:
        if not 0 < iou <= 1:
            raise ValueError(f"An overlap must be above 0 and at most 1, but got {iou}.")
    pairs = [
        (_read_boxes(ours, f"predicted boxes of image {number}"), _read_boxes(theirs, f"true boxes of image {number}"))
        for number, (ours, theirs) in enumerate(zip(predicted, truth, strict=True))
    ]
    values: dict[str, float] = {}
    reasons: dict[str, str] = {}
    settings: dict[str, Any] = {"images": len(pairs), "ious": list(ious)}
    for iou in ious:
        total = BoxMatches()
        for ours, theirs in pairs:
            total += BoxMatches(len(match_boxes(ours, theirs, iou)), len(ours), len(theirs))
        settings |= {"predicted_boxes": total.first, "true_boxes": total.second, f"matches@{iou:g}": total.hits}
        nothing = NO_BOXES if not total.first and not total.second else None
        for name, hits, count, reason in (
            ("precision", total.hits, total.first, nothing or NO_PREDICTED_BOX),
            ("recall", total.hits, total.second, nothing or NO_TRUE_BOX),
            ("f1", 2 * total.hits, total.first + total.second, NO_BOXES),
        ):
            values[f"{name}@{iou:g}"] = hits / count if count else math.nan
            if not count:
                reasons[f"{name}@{iou:g}"] = reason
    return MetricResult(values, settings, reasons)


def _read_boxes(boxes: ArrayLike, what: str) -> list[Box]:
    array = np.asarray(boxes, np.float64)
    if not array.size:
        return []
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"The {what} must be an array [n, 4], but got shape {array.shape}.")
    if not np.isfinite(array).all() or (array[:, 2:] <= array[:, :2]).any():
        raise ValueError(f"The {what} must be finite, with x0 < x1 and y0 < y1.")
    return [Box(*row) for row in array.tolist()]


def flaw_type_metrics(predicted: Sequence[str | None], truth: Sequence[str]) -> MetricResult:
    """Compute the accuracy of flaw types.

    Parameters
    ----------
    predicted : sequence of str or None
        [N] flaw types; None where the agent gave none (a status other than "ok").
    truth : sequence of str
        [N] flaw types of the dataset.

    Returns
    -------
    MetricResult
        `accuracy`: share of the rows with the right type; a row without an answer is wrong. `balanced_accuracy`: the
        mean over the types of the truth of the share that was found, so that a common type counts no more than a rare
        one. `accuracy_of_answers`: the accuracy over the rows with an answer. `coverage`: their share. `chance`: the
        accuracy of always giving the most common type.

    Raises
    ------
    ValueError
        If the two differ in length.

    Notes
    -----
    Formulas: as scikit-learn's `accuracy_score` and `balanced_accuracy_score`, with no answer as a type of its own.
    Source: paper, section 5 and table 3 ("Accuracy"); it does not say how unparsed replies count.
    Limits: with a closed list of many types, compare with `chance`.

    Examples
    --------
    >>> dict(flaw_type_metrics(["blur", "hand", None, "blur"], ["blur", "blur", "hand", "blur"]))  # doctest: +ELLIPSIS
    {'accuracy': 0.5, 'balanced_accuracy': 0.333..., 'accuracy_of_answers': 0.666..., 'coverage': 0.75, 'chance': 0.75}
    """
    if len(predicted) != len(truth):
        raise ValueError(f"Expected flaw types of the same regions, but got {len(predicted)} and {len(truth)}.")
    names = ("accuracy", "balanced_accuracy", "accuracy_of_answers", "coverage", "chance")
    counts = Counter(truth)
    if not counts:
        return MetricResult(dict.fromkeys(names, math.nan), {"rows": 0}, dict.fromkeys(names, NO_ROWS))
    right = Counter(true for given, true in zip(predicted, truth, strict=True) if given == true)
    answers = sum(given is not None for given in predicted)
    hits, rows = right.total(), len(truth)
    balanced = math.fsum(right[name] / count for name, count in counts.items()) / len(counts)
    of_answers = hits / answers if answers else math.nan
    values = (hits / rows, balanced, of_answers, answers / rows, max(counts.values()) / rows)
    settings = {"rows": rows, "answers": answers, "types": len(counts)}
    reasons = {} if answers else {"accuracy_of_answers": NO_ANSWER}
    return MetricResult(dict(zip(names, values, strict=True)), settings, reasons)
