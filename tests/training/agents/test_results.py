"""Typed results of agents: what they refuse, and that a status is never a number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from annotation.records import DIMENSIONS, Box
from training.agents.results import AgentIdentity, Finding, PerceivedMaps, Score, combine_scores, mean_with_count

AGENT = AgentIdentity("served", "judge", "2", digest="0123456789abcdef", prompt_version="7")
BOX = Box(0, 0, 4, 4)


def grey(value: float = 0.0, shape: tuple[int, ...] = (4, 6), dtype: Any = np.float32) -> np.ndarray:
    return np.full(shape, value, dtype)


def test_an_identity_is_readable() -> None:
    assert str(AGENT) == "served/judge 2 (0123456789ab), prompt 7"


def test_maps_are_found_by_kind() -> None:
    maps = PerceivedMaps(grey(0.25), grey(1.0), AGENT)
    assert (maps.by_kind("artifact")[0, 0], maps.by_kind("failure")[0, 0]) == (0.25, 1.0)


@pytest.mark.parametrize(
    ("artifact", "failure", "words"),
    [
        (grey(dtype=np.float64), grey(), "artifact map of served/judge 2 .* float32 array .* got float64"),
        (grey(), grey(1.001), r"failure map .* lie in \[0, 1\], but got 1.001 to 1.001"),
        (grey(-0.1), grey(), r"lie in \[0, 1\]"),
        (grey(math.nan), grey(), r"lie in \[0, 1\]"),
        (grey(), grey(shape=(6, 4)), "one size"),
        (grey(shape=(4, 6, 1)), grey(), r"float32 array \[H, W\]"),
        (grey(shape=(0, 6)), grey(shape=(0, 6)), r"float32 array \[H, W\]"),
    ],
)
def test_maps_that_break_the_contract_are_refused(artifact: np.ndarray, failure: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        PerceivedMaps(artifact, failure, AGENT)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"status": "ok"}, "flaw_type must be one of"),
        ({"status": "ok", "flaw_type": "six fingers"}, "flaw_type must be one of"),
        ({"status": "maybe"}, "status must be one of"),
        ({"status": "ok", "flaw_type": "other", "severity": "mild"}, "severity must be one of"),
        ({"status": "ok", "flaw_type": "other", "confidence": 1.5}, r"confidence must lie in \[0, 1\]"),
        ({"status": "ok", "flaw_type": "other", "confidence": math.nan}, r"confidence must lie in \[0, 1\]"),
        ({"status": "unparsed", "flaw_type": "other"}, "has no content"),
        ({"status": "refused", "rationale": "The hand has six fingers."}, "has no content"),
    ],
)
def test_findings_are_of_the_closed_lists_or_have_a_status(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Finding("artifact", BOX, agent=AGENT, **fields)


def test_a_finding_without_content_keeps_its_box() -> None:
    found = Finding("failure", BOX, "unparsed", AGENT, detail="The reply is no JSON.")
    assert (found.box, found.flaw_type, found.detail) == (BOX, None, "The reply is no JSON.")


@pytest.mark.parametrize(
    ("value", "sd", "status", "words"),
    [
        (100.5, None, "ok", r"lie in \[0, 100\]"),
        (-1.0, None, "ok", r"lie in \[0, 100\]"),
        (math.nan, None, "ok", r"lie in \[0, 100\]"),
        (None, None, "ok", r"lie in \[0, 100\]"),
        (0.0, None, "refused", "has no value"),
        (None, 1.0, "error", "has no value"),
        (50.0, -1.0, "ok", "sd must be 0 or more"),
        (50.0, math.nan, "ok", "sd must be 0 or more"),
    ],
)
def test_a_status_is_never_a_number(value: float | None, sd: float | None, status: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Score("perceptual_quality", value, sd, status, AGENT)


def test_a_score_names_the_weights() -> None:
    assert Score("perceptual_quality", 50.0, None, "ok", AGENT).digest == AGENT.digest


def test_overall_is_equation_5() -> None:
    scores = [Score(name, value, None, "ok", AGENT) for name, value in zip(DIMENSIONS, (20, 50, 80), strict=True)]
    expected = 20**0.3 * 50**0.4 * 80**0.3
    assert combine_scores(scores) == pytest.approx(expected)
    assert combine_scores(reversed(scores)) == pytest.approx(expected)
    assert combine_scores(scores[:2]) is None
    assert combine_scores([*scores[:2], Score(DIMENSIONS[2], None, None, "refused", AGENT)]) is None
    assert combine_scores([*scores[:2], Score(DIMENSIONS[2], 0, None, "ok", AGENT)]) == 0
    with pytest.raises(ValueError, match="two of perceptual_quality"):
        combine_scores([*scores, scores[0]])


def test_a_mean_says_over_how_many_it_was_taken() -> None:
    mean, count, by_status = mean_with_count([Score("visual_consistency", None, None, "error", AGENT)])
    assert math.isnan(mean)
    assert (count, by_status) == (0, {"error": 1})
