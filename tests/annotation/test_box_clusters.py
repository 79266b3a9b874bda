"""Clusters of boxes, against the complete-linkage clustering of SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from annotation.box_clusters import cluster_boxes, iou_matrix
from annotation.records import Box

edge = st.integers(0, 40)
boxes_of = st.lists(
    st.tuples(edge, edge, st.integers(1, 20), st.integers(1, 20)).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])),
    min_size=2,
    max_size=12,
)


@given(boxes_of)
def test_the_matrix_is_the_iou_of_every_two(boxes: list) -> None:
    matrix = iou_matrix(np.array(boxes, float), np.array(boxes[:-1], float))
    expected = [[Box(*one).iou(Box(*other)) for other in boxes[:-1]] for one in boxes]
    assert matrix == pytest.approx(np.array(expected))


def test_empty_boxes_overlap_nothing() -> None:
    boxes = np.array([[1, 1, 1, 1], [0, 0, 2, 2.0]])
    assert iou_matrix(boxes, boxes).tolist() == [[0, 0], [0, 1]]


@given(boxes_of, st.sampled_from([0.2, 0.5, 0.7]))
def test_without_owners_in_common_it_is_scipys_complete_linkage(boxes: list, iou: float) -> None:
    array = np.array(boxes, float)
    distance = 1 - iou_matrix(array, array)
    np.fill_diagonal(distance, 0)
    condensed = squareform(distance, checks=False)
    # Where two distances are equal, complete linkage is not unique.
    assume(len(set(np.round(condensed[condensed < 1], 9))) == int((condensed < 1).sum()))
    labels = fcluster(linkage(condensed, "complete"), 1 - iou, "distance")
    theirs = {frozenset(np.flatnonzero(labels == label).tolist()) for label in labels}
    assert {frozenset(one) for one in cluster_boxes(array, [str(i) for i in range(len(boxes))], iou)} == theirs


@given(boxes_of, st.data())
def test_every_box_is_in_one_cluster_and_no_owner_twice_in_any(boxes: list, data: st.DataObject) -> None:
    array = np.array(boxes, float)
    owners = [data.draw(st.sampled_from("abc")) for _ in boxes]
    found = cluster_boxes(array, owners, 0.5)
    assert sorted(index for one in found for index in one) == list(range(len(boxes)))
    for one in found:
        assert len({owners[index] for index in one}) == len(one)
        assert iou_matrix(array[one], array[one]).min() >= 0.5 - 1e-9


def test_no_boxes() -> None:
    assert cluster_boxes(np.empty((0, 4)), [], 0.5) == []


def test_a_thousand_boxes_in_one_place_take_no_minutes() -> None:
    boxes = np.tile([0.0, 0.0, 10.0, 10.0], (1_000, 1))
    found = cluster_boxes(boxes, [str(index % 3) for index in range(1_000)], 0.5)
    assert sorted(map(len, found), reverse=True)[:333] == [3] * 333
