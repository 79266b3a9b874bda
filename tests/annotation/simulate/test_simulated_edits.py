"""Edits do what they say, and fail as they say."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from annotation.simulate.flaws.injection import ARTIFACT_PAINTERS, ARTIFACT_TYPES, draw_artifact
from annotation.simulate.operators import EDIT_OPERATORS, SIMULATED_TASKS, SceneEdit
from annotation.simulate.options import SimulationOptions
from annotation.simulate.photos import list_packaged_photos
from annotation.simulate.pixels import difference_mask
from annotation.simulate.sources import choose_edits, make_source
from annotation.taxonomy import list_flaw_types, load_edit_tasks

SETTINGS = SimulationOptions(pairs=600, height=128, seed=2)


@pytest.fixture(scope="module")
def made() -> dict[str, SceneEdit]:
    """One edit of each task."""

    def all_edits() -> Iterator[SceneEdit]:
        for index in range(45):
            yield from choose_edits(SETTINGS, make_source(SETTINGS, list_packaged_photos(), index), index)

    found: dict[str, SceneEdit] = {}
    for edit in all_edits():
        found.setdefault(edit.task, edit)
    return found


@pytest.mark.parametrize("task", SIMULATED_TASKS)
def test_every_operator_changes_its_source(made: dict[str, SceneEdit], task: str) -> None:
    edit = made[task]
    assert task in load_edit_tasks()
    assert edit.instruction.endswith((".", '"'))
    if edit.source.shape == edit.result.shape:
        assert difference_mask(edit.source, edit.result).mean() > 0.003
    else:
        assert task == "outpaint"


@pytest.mark.parametrize("task", SIMULATED_TASKS)
def test_a_failed_edit_differs_from_the_perfect_one_where_it_says(made: dict[str, SceneEdit], task: str) -> None:
    edit = made[task]
    ways = edit.failure_modes()
    assert set(ways) <= set(list_flaw_types("failure"))
    for name, fail in ways.items():
        outcome = fail(np.random.default_rng(1))
        if outcome is None:
            continue
        assert outcome.pixels.shape == outcome.image.shape[:2]
        x0, y0, x1, y1 = (int(edge) for edge in outcome.box)
        assert outcome.pixels[y0:y1, x0:x1].any(), name
        if name == "not_executed":
            assert np.array_equal(outcome.image, edit.source)
        elif outcome.image.shape == edit.result.shape:
            assert difference_mask(outcome.image, edit.result)[y0:y1, x0:x1].any(), name


def test_object_edits_leave_the_rest_of_the_picture_alone(made: dict[str, SceneEdit]) -> None:
    for task in (name for name in EDIT_OPERATORS if name.startswith(("object", "text"))):
        x0, y0, x1, y1 = (int(edge) for edge in made[task].changed_box())
        same = ~difference_mask(made[task].source, made[task].result, 1)
        same[max(0, y0 - 10) : y1 + 10, max(0, x0 - 10) : x1 + 10] = True
        assert same.all(), task


@pytest.mark.parametrize("flaw_type", [name for name in ARTIFACT_TYPES if name in ARTIFACT_PAINTERS])
def test_a_severe_artifact_changes_more_than_a_minor_one(made: dict[str, SceneEdit], flaw_type: str) -> None:
    image = made["object_add"].result

    def amount(severity: str) -> float:
        total = 0.0
        for seed in range(6):
            drawn = draw_artifact(flaw_type, severity, image, None, None, [], np.random.default_rng(seed))
            if drawn is not None:
                total += float(np.abs(drawn[0].astype(int) - image).sum())
        return total

    assert amount("severe") > amount("minor") > 0


def test_an_artifact_changes_nothing_outside_its_box(made: dict[str, SceneEdit]) -> None:
    image = made["object_add"].result
    for flaw_type in ARTIFACT_PAINTERS:
        drawn = draw_artifact(flaw_type, "moderate", image, None, None, [], np.random.default_rng(4))
        assert drawn is not None, flaw_type
        outside = difference_mask(image, drawn[0], 14)
        x0, y0, x1, y1 = (int(edge) for edge in drawn[1].box)
        outside[y0:y1, x0:x1] = False
        assert not outside.any(), flaw_type
