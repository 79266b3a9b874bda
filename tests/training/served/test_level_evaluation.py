"""Scores from the probabilities of five levels: the sum, its bounds, the monotone map, and the whole way over HTTP."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.isotonic import IsotonicRegression

from annotation.records import DIMENSIONS
from editfhf.chat import FirstToken
from mos.console import NullProgress
from mos.errors import UserError
from tests.training.served.logprob_server import MODEL, LogprobServer, compute_logits, running_logprob_server
from training.agents.registry import load_agent
from training.agents.results import AgentFailure
from training.served.level_evaluation import LevelEvaluation, ask_level, calibrate_levels
from training.served.level_scores import LEVEL_WEIGHTS, LevelCalibration, LevelMap, fit_level_map, score_levels
from training.served.server import ModelServer, ServedOptions

IDENTITY = LevelMap(levels=(0, 100), points=(0, 100), sd=1.0, pairs=10)


def answer(masses: dict[str, float]) -> FirstToken:
    return FirstToken.model_validate(
        {"alternatives": [{"token": token, "logprob": math.log(mass)} for token, mass in masses.items()]}
    )


def test_the_score_is_the_expected_level() -> None:
    found = score_levels(answer({"1": 0.1, "2": 0.2, "3": 0.4, "4": 0.2, "5": 0.1}))
    assert found.expected == pytest.approx(50) and found.low == pytest.approx(found.high)


def test_writings_of_one_level_are_added_and_other_tokens_left_out() -> None:
    found = score_levels(answer({"5": 0.3, " 5": 0.3, "1": 0.2, "2": 0.01, "3": 0.01, "4": 0.01, "the": 0.17}))
    assert found.expected == pytest.approx((60 + 0.25 + 0.5 + 0.75) / 0.83)


@given(st.lists(st.floats(-8, 8), min_size=8, max_size=8), st.integers(4, 8))
def test_the_bounds_hold_whatever_is_cut_off(logits: list[float], top: int) -> None:
    whole = dict(zip(["1", "2", "3", "4", "5", "a", "b", "c"], softmax(logits).tolist(), strict=True))
    levels = {token: mass for token, mass in whole.items() if token in LEVEL_WEIGHTS}
    truth = sum(LEVEL_WEIGHTS[token] * mass for token, mass in levels.items()) / sum(levels.values())
    shown = dict(sorted(whole.items(), key=lambda each: -each[1])[:top])
    try:
        found = score_levels(answer(shown))
    except AgentFailure as failure:
        assert failure.status == "unparsed"
        return
    assert found.low - 1e-6 <= truth <= found.high + 1e-6


@pytest.mark.parametrize(
    "masses", [{}, {"the": 0.9, "3": 0.1}, {"3": 0.6, "4": 0.2}], ids=["none", "other words", "too much cut off"]
)
def test_what_is_no_score_has_a_status(masses: dict[str, float]) -> None:
    with pytest.raises(AgentFailure) as failure:
        score_levels(answer(masses))
    assert failure.value.status == "unparsed"


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), min_size=6, max_size=30))
def test_the_map_is_the_isotonic_regression(pairs: list[tuple[int, int]]) -> None:
    found = fit_level_map([(x, y, f"s{number % 4}") for number, (x, y) in enumerate(pairs)])
    x, y = np.array(pairs, float).T
    expected = IsotonicRegression(out_of_bounds="clip").fit(x, y).predict(np.arange(101.0))
    assert [found.apply(level) for level in range(101)] == pytest.approx(expected.tolist(), abs=1e-6)


def test_a_map_of_few_pairs_is_refused() -> None:
    with pytest.raises(UserError, match="5 scored pairs of 2 sources"):
        fit_level_map([(1.0, 2.0, "a")] * 9)


@pytest.fixture(scope="module")
def double() -> Iterator[LogprobServer]:
    with running_logprob_server() as running:
        yield running


@pytest.fixture
def server(double: LogprobServer, tmp_path: Path) -> Iterator[ModelServer]:
    double.top = 20
    double.asked.clear()
    options = ServedOptions(model=MODEL, folder=tmp_path / "answers", base_url=double.url, picture_format="png")
    opened = ModelServer(options)
    yield opened
    opened.close()


def paint(grey: int) -> Any:
    return np.full((32, 32, 3), grey, np.uint8)


def question_of(body: dict[str, Any]) -> str:
    return str(body["messages"][1]["content"][-1]["text"])


def test_the_score_over_http_is_that_of_the_logits(double: LogprobServer, server: ModelServer) -> None:
    for grey in range(0, 256, 15):
        found = ask_level(server, "perceptual_quality", paint(9), paint(grey), "Add a hat.")
        logits = compute_logits(paint(grey), question_of(double.asked[-1]))
        expected = float(softmax(logits[:5]) @ np.array(list(LEVEL_WEIGHTS.values())))
        assert found.low - 1e-6 <= expected <= found.high + 1e-6
        assert found.expected == pytest.approx(expected, abs=0.1)


def test_what_is_asked_is_one_token_with_logprobs(double: LogprobServer, server: ModelServer) -> None:
    ask_level(server, "visual_consistency", paint(1), paint(99), "Add a hat.")
    (body,) = double.asked
    assert body["logprobs"] is True and body["top_logprobs"] == 20 and body["max_completion_tokens"] == 1
    assert "response_format" not in body


def test_an_answer_is_paid_once(double: LogprobServer, server: ModelServer) -> None:
    first = ask_level(server, "perceptual_quality", paint(9), paint(70), "Add a hat.")
    assert ask_level(server, "perceptual_quality", paint(9), paint(70), "Add a hat.") == first
    assert len(double.asked) == 1 and server.usage.requests == 1


@pytest.mark.parametrize("top", [None, 0, 1])
def test_a_server_that_gives_too_little_gets_a_status(double: LogprobServer, server: ModelServer, top: int) -> None:
    double.top = top
    calibration = calibrate_with(server, dict.fromkeys(DIMENSIONS, IDENTITY))
    scores = LevelEvaluation(server, calibration).evaluate(paint(9), paint(110), "Add a hat.")
    assert [(score.status, score.value) for score in scores] == [("unparsed", None)] * 3
    assert len(double.asked) == 3


def calibrate_with(server: ModelServer, maps: dict[Any, LevelMap]) -> LevelCalibration:
    from training.served.prompt import identify_served_agent

    identity = identify_served_agent("digits", server.options)
    return LevelCalibration(model=identity.name, prompt_version=identity.prompt_version, maps=maps)


class Pair:
    """What is read of a sample."""

    def __init__(self, number: int) -> None:
        self.source_id, self.instruction = f"s{number % 6}", "Add a hat."
        self.source, self.edited = paint(5), paint(number * 10)
        self.scores = dict.fromkeys(DIMENSIONS, 20 + 2.0 * number)


def test_a_calibrated_agent_speaks_mos_points(double: LogprobServer, server: ModelServer, tmp_path: Path) -> None:
    pairs: list[Any] = [Pair(number) for number in range(24)]
    calibration = calibrate_levels(server, pairs, NullProgress())
    calibration.save(tmp_path / "levels.json")
    agent = LevelEvaluation(server, LevelCalibration.read(tmp_path / "levels.json"))
    for pair in pairs[3:20:4]:
        for score in agent.evaluate(pair.source, pair.edited, pair.instruction):
            assert score.status == "ok" and score.value == pytest.approx(pair.scores[score.dimension], abs=0.1)
            assert score.sd is not None and 0 < score.sd < 10
    assert len(double.asked) == 24 * 3  # scoring the same pairs again cost nothing


def test_a_calibration_of_another_model_is_refused(server: ModelServer, tmp_path: Path) -> None:
    other = calibrate_with(server, dict.fromkeys(DIMENSIONS, IDENTITY)).model_copy(update={"model": "other"})
    with pytest.raises(UserError, match="calibration is of the model 'other'"):
        LevelEvaluation(server, other)


@pytest.mark.parametrize("content", ["{", "[]", '{"model": "a"}', '{"model": "a", "prompt_version": "", "maps": {}}'])
def test_a_file_that_is_no_calibration_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "levels.json").write_text(content)
    with pytest.raises(UserError, match="editfhf train levels"):
        LevelCalibration.read(tmp_path / "levels.json")


def test_an_agent_without_calibration_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDITFHF_LEVEL_CALIBRATION", raising=False)
    with pytest.raises(UserError, match="editfhf train levels"):
        load_agent("evaluation", "served-levels")
