"""The shipped compact agents: their contract, on odd inputs too."""

from __future__ import annotations

import subprocess
import sys
from importlib import resources

import cv2
import numpy as np
import pytest
from skimage import data

from annotation.records import DIMENSIONS, SEVERITIES, Box
from annotation.taxonomy import list_flaw_types
from training.agents.protocols import Evaluation, Perception, Reasoning
from training.agents.registry import load_agent
from training.compact import agents
from training.compact.network import CompactNetwork

PHOTO = cv2.resize(data.astronaut(), (320, 240), interpolation=cv2.INTER_AREA)


def break_image(image: np.ndarray) -> np.ndarray:
    """Heavy coloured noise on a square."""
    broken = image.copy()
    noise = np.random.default_rng(0).normal(0, 70, (70, 70, 3))
    broken[140:210, 20:90] = np.clip(broken[140:210, 20:90] + noise, 0, 255)
    return broken


def test_the_agents_keep_their_protocols() -> None:
    assert isinstance(load_agent("perception", "compact"), Perception)
    assert isinstance(load_agent("reasoning", "compact"), Reasoning)
    assert isinstance(load_agent("evaluation", "compact"), Evaluation)


def test_a_broken_place_is_where_the_map_is_high() -> None:
    found = load_agent("perception", "compact").perceive(PHOTO, break_image(PHOTO), "Make the colours a bit warmer.")
    inside = found.artifact[150:200, 30:80].mean()
    assert inside > 5 * np.delete(found.artifact, slice(20, 90), axis=1).mean()
    assert found.artifact.max() >= 0.5


@pytest.mark.parametrize(
    ("source", "current"),
    [
        ((240, 320), (240, 320)),
        ((240, 320), (300, 90)),
        ((1, 1), (1, 1)),
        ((40, 50), (6000, 8000)),
        ((3, 400), (400, 3)),
    ],
)
def test_any_sizes_have_an_answer(source: tuple[int, int], current: tuple[int, int]) -> None:
    before, after = (cv2.resize(PHOTO, size[::-1]).reshape(*size, 3) for size in (source, current))
    found = load_agent("perception", "compact").perceive(before, after, "")
    assert found.artifact.shape == found.failure.shape == current  # PerceivedMaps checks type and range
    boxes = [("artifact", Box(0, 0, 1, 1)), ("failure", Box(0, 0, current[1], current[0]))]
    findings = load_agent("reasoning", "compact").diagnose_boxes(before, after, "", boxes)
    assert [(each.kind, each.box) for each in findings] == boxes
    for finding in findings:  # Finding checks the lists
        assert finding.flaw_type in list_flaw_types(finding.kind) and finding.severity in SEVERITIES
    scores = load_agent("evaluation", "compact").evaluate(before, after, "")
    assert [each.dimension for each in scores] == list(DIMENSIONS)
    assert all(each.status == "ok" and each.sd is not None and each.sd > 0 for each in scores)


@pytest.mark.parametrize("instruction", ["", "word " * 2000, "把天空变成红色", "\ud800\n\x00"])
def test_any_instruction_has_an_answer(instruction: str) -> None:
    load_agent("perception", "compact").perceive(PHOTO, break_image(PHOTO), instruction)
    boxes = [("failure", Box(10, 10, 90, 90))]
    (finding,) = load_agent("reasoning", "compact").diagnose_boxes(PHOTO, break_image(PHOTO), instruction, boxes)
    assert finding.rationale.isprintable()


def test_the_three_agents_compute_a_pair_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = CompactNetwork.describe_pair

    def count(self: CompactNetwork, inputs: object) -> object:
        calls.append(1)
        return original(self, inputs)  # type: ignore[arg-type]

    monkeypatch.setattr(CompactNetwork, "describe_pair", count)
    current = break_image(PHOTO)[:, ::-1]
    load_agent("perception", "compact").perceive(PHOTO, current, "Once.")
    load_agent("reasoning", "compact").diagnose_boxes(PHOTO, current, "Once.", [("artifact", Box(0, 0, 50, 50))])
    load_agent("evaluation", "compact").evaluate(PHOTO, current, "Once.")
    assert len(calls) == 1


def test_the_same_pair_gives_the_same_bytes() -> None:
    current = break_image(PHOTO)
    first = load_agent("perception", "compact").perceive(PHOTO, current, "Twice.")
    agents.load_pair_reader.cache_clear()
    again = load_agent("perception", "compact").perceive(PHOTO, current, "Twice.")
    assert first.artifact.tobytes() == again.artifact.tobytes()
    assert first.failure.tobytes() == again.failure.tobytes()


def test_inference_imports_no_torch() -> None:
    code = (
        "import sys, numpy as np\n"
        "from training.agents.registry import load_agent\n"
        "image = np.zeros((20, 20, 3), np.uint8)\n"
        "load_agent('evaluation', 'compact').evaluate(image, image, 'x')\n"
        "assert 'torch' not in sys.modules and 'tensorboard' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_card_names_the_shipped_weights_and_they_are_small() -> None:
    folder = resources.files("training.compact")
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert load_agent("perception", "compact").identity.digest in card
    files = [each for each in (folder / "weights").iterdir() if each.is_file()]
    assert sum(len(each.read_bytes()) for each in files) < 25 * 2**20
