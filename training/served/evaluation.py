"""Evaluation by a served model: three scores, from the images and the instruction alone."""

from __future__ import annotations

import os
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from annotation.images import RgbImage
from annotation.records import DIMENSIONS
from editfhf.chat import ModelAnswer
from training.agents.results import HIGHEST_SCORE, Score
from training.served.prompt import build_served_request, encode_shown_image, identify_served_agent
from training.served.server import ModelServer, find_outcome_status, find_served_options, open_model_server

ScorePoints = Annotated[int, Field(ge=0, le=int(HIGHEST_SCORE))]


class GivenScores(BaseModel):
    """The reply of an evaluating model; it observes before it scores, and its observations are not used."""

    model_config = ConfigDict(extra="forbid")

    observations: str
    perceptual_quality: ScorePoints
    instruction_following: ScorePoints
    visual_consistency: ScorePoints


class ServedEvaluation:
    """A vision-language model that scores. It never sees what a reasoning agent said about the image."""

    def __init__(self, server: ModelServer) -> None:
        self._server = server
        self.identity = identify_served_agent("evaluation", server.options)

    def evaluate(self, source: RgbImage, current: RgbImage, instruction: str) -> list[Score]:
        """Ask for the three scores; where none came, each has a status and the reason."""
        options = self._server.options
        images = {"source": encode_shown_image(source, options), "edited": encode_shown_image(current, options)}
        outcome = self._server.ask(build_served_request("evaluation", options, images, GivenScores, instruction))
        if isinstance(outcome, ModelAnswer):
            return [
                Score(dimension, float(getattr(outcome.value, dimension)), None, "ok", self.identity)
                for dimension in DIMENSIONS
            ]
        status, detail = find_outcome_status(outcome)
        return [Score(dimension, None, None, status, self.identity, detail) for dimension in DIMENSIONS]


def make_served_evaluation(**options: Any) -> ServedEvaluation:
    """An evaluation agent with the options of `ServedOptions`; see `find_served_options`."""
    return ServedEvaluation(open_model_server(find_served_options(os.environ, **options)))
