"""Each rule of the authors' loop does what it is said to do."""

from __future__ import annotations

import numpy as np
import pytest

from editfhf.editors.protocol import EditRecord, EditRequest, EditResult
from refiner.restoration.authors_rules import LoopRules, run_plain_loop, unite_masks
from training.agents.results import AgentIdentity, PerceivedMaps, Score

WHO = AgentIdentity("test", "known", "1")
SOURCE = np.full((40, 40, 3), 90, np.uint8)
EDITED = np.full((40, 40, 3), 120, np.uint8)


class Bright:
    """Sees a flaw of strength 0.8 in the middle wherever it is brighter than the source."""

    identity = WHO

    def __init__(self, strength: float = 0.8) -> None:
        self.seen: list[int] = []
        self.strength = strength

    def perceive(self, source: np.ndarray, current: np.ndarray, instruction: str) -> PerceivedMaps:
        self.seen.append(int(current[20, 20, 0]))
        found = np.zeros(current.shape[:2], np.float32)
        found[10:30, 10:30] = self.strength * float(current[20, 20, 0] > 100)
        return PerceivedMaps(found, np.zeros_like(found), WHO)


class Scripted:
    """Scores each image with the next number, the same in all dimensions but the first."""

    identity = WHO

    def __init__(self, *numbers: tuple[float, float, float]) -> None:
        self.numbers = iter(numbers)

    def evaluate(self, source: np.ndarray, current: np.ndarray, instruction: str) -> list[Score]:
        names = ("perceptual_quality", "instruction_following", "visual_consistency")
        return [Score(name, value, None, "ok", WHO) for name, value in zip(names, next(self.numbers), strict=True)]


class Darken:
    """Takes 10 grey values from the whole image, in and out of the mask."""

    name = "darken"

    def edit(self, request: EditRequest) -> EditResult:
        return EditResult(request.current - np.uint8(10), EditRecord("darken", "1", request.seed, {}, 0.0))


def run(rules: LoopRules, *numbers: float, strength: float = 0.8) -> tuple[np.ndarray, Bright]:
    eyes = Bright(strength)
    scores = Scripted(*[(number,) * 3 for number in numbers])
    return run_plain_loop(SOURCE, EDITED, "", eyes, scores, Darken(), rules, turns=4), eyes


def test_without_rules_the_best_image_is_kept_and_nothing_outside_changes() -> None:
    image, eyes = run(LoopRules(), 50, 60, 55)
    assert (image[20, 20, 0], image[0, 0, 0]) == (110, 120)
    assert eyes.seen == [120, 110]


def test_stale_maps_look_at_the_first_image_only() -> None:
    _, eyes = run(LoopRules(stale_maps=True), 50, 60, 70, 80, 90)
    assert eyes.seen == [120, 120, 120, 120]


def test_the_last_image_is_given_though_its_score_fell() -> None:
    image, _ = run(LoopRules(keep_last=True), 50, 60, 55)
    assert image[20, 20, 0] == 100


def test_the_whole_answer_reaches_pixels_outside_of_the_mask() -> None:
    image, _ = run(LoopRules(whole_answer=True), 50, 60, 55)
    assert image[0, 0, 0] == 110


def test_a_stretched_map_finds_a_flaw_on_every_image() -> None:
    faint = Bright(0.1).perceive(SOURCE, EDITED, "")
    assert not unite_masks(faint, stretched=False).any()
    assert (unite_masks(faint, stretched=True) > 0).sum() == pytest.approx(400, abs=40)


@pytest.mark.parametrize(("rules", "kept"), [(LoopRules(mean_score=True), 110), (LoopRules(), 120)])
def test_the_arithmetic_mean_forgives_a_collapse_in_one_dimension(rules: LoopRules, kept: int) -> None:
    scores = Scripted((50, 50, 50), (100, 100, 1), (0, 0, 0))
    image = run_plain_loop(SOURCE, EDITED, "", Bright(), scores, Darken(), rules)
    assert image[20, 20, 0] == kept
