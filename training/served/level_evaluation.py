"""Evaluation by the probabilities of five levels, from one call a dimension of any server that gives logprobs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from annotation.images import RgbImage
from annotation.records import DIMENSIONS, Dimension
from editfhf.chat import FirstToken, FirstTokenRequest, ModelAnswer
from mos.console import Progress
from mos.errors import UserError
from training.agents.results import HIGHEST_SCORE, AgentFailure, Score
from training.prompts.agent_messages import read_agent_prompts
from training.samples.pair_sample import PairSample
from training.served.level_scores import LevelCalibration, LevelScore, fit_level_map, score_levels
from training.served.prompt import (
    build_served_request,
    encode_shown_image,
    identify_served_agent,
)
from training.served.server import ModelServer, find_outcome_status, find_served_options, open_model_server

CALIBRATION_VARIABLE = "EDITFHF_LEVEL_CALIBRATION"


class LevelEvaluation:
    """A vision-language model whose probabilities of five levels are the score.

    Parameters
    ----------
    server : ModelServer
    calibration : LevelCalibration

    Raises
    ------
    UserError
        The calibration is of another model or prompt.
    """

    def __init__(self, server: ModelServer, calibration: LevelCalibration) -> None:
        self._server = server
        self._maps = calibration.maps
        self.identity = identify_served_agent("digits", server.options)
        for name, found in (("model", self.identity.name), ("prompt_version", self.identity.prompt_version)):
            if getattr(calibration, name) != found:
                raise UserError(
                    f"The calibration is of the {name} {getattr(calibration, name)[:80]!r}, not {found!r}: make one "
                    "with editfhf train levels."
                )

    def evaluate(self, source: RgbImage, current: RgbImage, instruction: str) -> list[Score]:
        """Ask once for each dimension; where no level can be had, the score has a status and the reason."""
        return [self._score(dimension, source, current, instruction) for dimension in DIMENSIONS]

    def _score(self, dimension: Dimension, source: RgbImage, current: RgbImage, instruction: str) -> Score:
        try:
            found = ask_level(self._server, dimension, source, current, instruction)
        except AgentFailure as failure:
            return Score(dimension, None, None, failure.status, self.identity, str(failure))
        curve = self._maps[dimension]
        low, high = curve.apply(found.low), curve.apply(found.high)
        value = min(max((low + high) / 2, 0.0), HIGHEST_SCORE)
        return Score(dimension, value, curve.sd + (high - low) / 2, "ok", self.identity)


def ask_level(
    server: ModelServer, dimension: Dimension, source: RgbImage, current: RgbImage, instruction: str
) -> LevelScore:
    """The expected level of one dimension; `AgentFailure` where there is none."""
    options = server.options
    images = {"source": encode_shown_image(source, options), "edited": encode_shown_image(current, options)}
    quality = read_agent_prompts().digits.qualities[dimension]
    request = build_served_request("digits", options, images, FirstToken, instruction, quality=quality)
    outcome = server.ask(FirstTokenRequest.from_request(request))
    if isinstance(outcome, ModelAnswer) and isinstance(outcome.value, FirstToken):
        return score_levels(outcome.value)
    status, detail = find_outcome_status(outcome)
    raise AgentFailure(detail, status)


def calibrate_levels(server: ModelServer, samples: Iterable[PairSample], progress: Progress) -> LevelCalibration:
    """Ask about pairs with known scores, and fit a map for each dimension; answers are kept in the server's folder.

    Raises
    ------
    UserError
        Too few pairs have a score and an answer.
    """
    found: dict[Dimension, list[tuple[float, float, str]]] = {dimension: [] for dimension in DIMENSIONS}
    why = ""
    for sample in samples:
        for dimension, truth in sample.scores.items():
            if truth is None:
                continue
            try:
                level = ask_level(server, dimension, sample.source, sample.edited, sample.instruction)
            except AgentFailure as failure:
                why = f" The last pair without an answer: {failure}"
                continue
            found[dimension].append((level.expected, truth, sample.source_id))
        progress.advance()
    identity = identify_served_agent("digits", server.options)
    try:
        maps = {name: fit_level_map(rows) for name, rows in found.items() if rows}
    except UserError as error:
        raise UserError(f"{error}{why}") from None
    if len(maps) < len(DIMENSIONS):
        raise UserError(f"No pair has both a score and an answer in every dimension.{why}")
    return LevelCalibration(model=identity.name, prompt_version=identity.prompt_version, maps=maps)


def make_level_evaluation(calibration: str | Path | None = None, **options: Any) -> LevelEvaluation:
    """The agent with a calibration file (EDITFHF_LEVEL_CALIBRATION by default) and the options of `ServedOptions`."""
    path = calibration or os.environ.get(CALIBRATION_VARIABLE)
    if not path:
        raise UserError(
            f"The agent needs a calibration: make one with editfhf train levels, and set {CALIBRATION_VARIABLE} to it."
        )
    found = LevelCalibration.read(Path(path))
    return LevelEvaluation(open_model_server(find_served_options(os.environ, **options)), found)
