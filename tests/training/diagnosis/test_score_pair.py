"""The scores of a pair as a plain function are those of the diagnosis, and `editfhf collect` finds it by its name."""

from __future__ import annotations

import numpy as np
from skimage import data

import training
from annotation.records import DIMENSIONS
from editfhf.collect.score import load_scorer


def test_the_function_gives_the_scores_of_a_diagnosis() -> None:
    source = np.ascontiguousarray(data.astronaut()[:128, 100:260])
    edited = source.copy()
    edited[40:80, 60:110] = (30, 200, 40)
    scores = load_scorer("training:score_pair")(source, edited, "Add a green square.")
    found = training.diagnose(source, edited, "Add a green square.")
    assert dict(scores) == {one.dimension: one.value for one in found.scores}
    assert set(scores) == set(DIMENSIONS)
