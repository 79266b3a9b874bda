"""Boxes against all matchings and pycocotools, flaw types against scikit-learn, and by hand."""

from __future__ import annotations

import math
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from training.metrics.regions import box_metrics, flaw_type_metrics

Boxes = list[list[float]]
IMAGES: st.SearchStrategy[Boxes] = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(1, 6), st.integers(1, 6)).map(
        lambda box: [float(box[0]), float(box[1]), float(box[0] + box[2]), float(box[1] + box[3])]
    ),
    max_size=4,
)


def most_matches(first: Boxes, second: Boxes, iou: float) -> int:
    """The largest number of matches over all assignments, with the IoU of pycocotools."""
    if not first or not second:
        return 0
    as_sizes = [[[x0, y0, x1 - x0, y1 - y0] for x0, y0, x1, y1 in boxes] for boxes in (first, second)]
    fits = coco_mask.iou(np.array(as_sizes[0]), np.array(as_sizes[1]), [False] * len(second)) >= iou - 1e-9
    if len(first) > len(second):
        fits = fits.T
    rows = range(fits.shape[0])
    return max(sum(fits[row, column] for row, column in zip(rows, columns, strict=True))
               for columns in permutations(range(fits.shape[1]), fits.shape[0]))  # fmt: skip


@given(st.lists(st.tuples(IMAGES, IMAGES), max_size=3), st.sampled_from([0.1, 0.25, 0.5, 0.75, 1.0]))
def test_boxes_are_matched_as_well_as_can_be(images: list[tuple[Boxes, Boxes]], iou: float) -> None:
    predicted, truth = [first for first, _ in images], [second for _, second in images]
    found = box_metrics(predicted, truth, [iou])
    hits = sum(most_matches(first, second, iou) for first, second in images)
    ours, theirs = sum(map(len, predicted)), sum(map(len, truth))
    for name, top, bottom in (("precision", hits, ours), ("recall", hits, theirs), ("f1", 2 * hits, ours + theirs)):
        value = found[f"{name}@{iou:g}"]
        if bottom:
            assert value == pytest.approx(top / bottom, abs=1e-12)
        else:
            assert math.isnan(value)
            assert found.reasons[f"{name}@{iou:g}"]


def test_several_overlaps_at_once() -> None:
    found = box_metrics([[[0, 0, 10, 10]]], [[[0, 0, 10, 6]]])
    assert (found["f1@0.25"], found["f1@0.5"], found["f1@0.75"]) == (1.0, 1.0, 0.0)
    assert (found.settings["matches@0.5"], found.settings["matches@0.75"]) == (1, 0)


def test_images_without_boxes_say_which_side_has_none() -> None:
    missed = box_metrics([[]], [[[0, 0, 1, 1]]], [0.5])
    assert (missed["recall@0.5"], missed["f1@0.5"]) == (0.0, 0.0)
    assert missed.reasons == {"precision@0.5": "The prediction has no box."}
    assert set(box_metrics([[]], [[]], [0.5]).reasons.values()) == {"Neither the prediction nor the truth has a box."}
    assert box_metrics([[[0, 0, 1, 1]]], [[]], [0.5]).reasons == {"recall@0.5": "The truth has no box."}


@pytest.mark.parametrize(
    ("predicted", "truth", "ious", "words"),
    [
        ([[]], [], [0.5], "1 predicted and 0 true"),
        ([[[0, 0, 1]]], [[]], [0.5], r"predicted boxes of image 0 must be an array \[n, 4\], but got shape \(1, 3\)"),
        ([[]], [[[4, 0, 1, 2]]], [0.5], "true boxes of image 0 must be finite, with x0 < x1"),
        ([[[0, 0, math.nan, 2]]], [[]], [0.5], "must be finite"),
        ([[]], [[]], [0.0], "above 0 and at most 1, but got 0.0"),
        ([[]], [[]], [1.5], "at most 1"),
    ],
)
def test_boxes_that_are_none_are_refused(predicted: Any, truth: Any, ious: list[float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        box_metrics(predicted, truth, ious)


TYPES = st.sampled_from(["hand", "face", "text", "other"])


@given(st.lists(st.tuples(st.one_of(st.none(), TYPES), TYPES), min_size=1, max_size=30))
def test_accuracies_are_those_of_scikit_learn(rows: list[tuple[str | None, str]]) -> None:
    predicted, truth = [given for given, _ in rows], [true for _, true in rows]
    answered = [(given, true) for given, true in rows if given is not None]
    named = [given or "no answer" for given in predicted]
    found = flaw_type_metrics(predicted, truth)
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, named))
    recalls = [accuracy_score([t for t in truth if t == name], [p for p, t in zip(named, truth, strict=True)
               if t == name]) for name in set(truth)]  # fmt: skip
    assert found["balanced_accuracy"] == pytest.approx(np.mean(recalls))
    if set(named) <= set(truth) and len(set(truth)) > 1:  # scikit-learn warns of other cases
        assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, named))
    assert found["coverage"] == len(answered) / len(rows)
    if answered:
        assert found["accuracy_of_answers"] == pytest.approx(accuracy_score(*zip(*answered, strict=True)))
    else:
        assert found.reasons["accuracy_of_answers"] == "No row has a predicted flaw type."


def test_no_rows_are_no_accuracy() -> None:
    found = flaw_type_metrics([], [])
    assert all(map(math.isnan, found.values()))
    with pytest.raises(ValueError, match="2 and 1"):
        flaw_type_metrics(["hand", None], ["hand"])
