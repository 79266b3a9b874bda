"""Evaluation from a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from annotation.images import RgbImage
from annotation.records import DIMENSIONS
from training.agents.results import HIGHEST_SCORE, Score
from training.vlm.agent_folder import choose_device, identify_agent, open_agent_backbone, read_agent_record
from training.vlm.agent_options import find_checkpoint
from training.vlm.conversation import PaddingSide, encode_conversations, move_batch
from training.vlm.evaluation.mos_scale import apply_level_scale
from training.vlm.evaluation.score_batches import ask_for_levels
from training.vlm.evaluation.score_levels import average_levels, measure_level_probabilities
from training.vlm.evaluation.score_network import EvaluationNetwork

EvaluationStage = Literal["scores", "levels"]

EvaluatedPair = tuple[RgbImage, RgbImage, str]
"""Source, current image, and instruction."""


class VlmEvaluation:
    """Three scores by a vision-language model.

    Parameters
    ----------
    checkpoint : str or Path, optional
        Folder that `editfhf train evaluation --out` wrote; by default that of EDITFHF_VLM_EVALUATION.
    stage : {"scores", "levels"}
        The head of stage 2, or the mean of the levels of stage 1, which any server with logprobs can give.
    padding_side : {"left", "right"}
        Of batches; scores do not depend on it.

    Raises
    ------
    UserError
        For a folder without such an agent, or another backbone than that of its training.
    """

    def __init__(
        self,
        checkpoint: str | Path | None = None,
        stage: EvaluationStage = "scores",
        padding_side: PaddingSide = "left",
    ) -> None:
        folder = find_checkpoint("evaluation", checkpoint)
        record = read_agent_record(folder, "evaluation")
        opened = open_agent_backbone(folder, record)
        network = EvaluationNetwork(opened.model, record.head["hidden"])
        network.load_trained(folder)
        self._network = network.to(choose_device()).eval()
        self._processor = opened.processor
        self._padding_side = padding_side
        self._stage = stage
        self._scale = record.scale
        self.identity = identify_agent(folder, record)

    def evaluate(self, source: RgbImage, current: RgbImage, instruction: str) -> list[Score]:
        """Score the current image."""
        return self.evaluate_pairs([(source, current, instruction)])[0]

    def evaluate_pairs(self, pairs: Sequence[EvaluatedPair]) -> list[list[Score]]:
        """Score several pairs in one batch; images may differ in size."""
        if self._stage == "levels":
            means, sds = average_levels(self.find_level_probabilities(pairs))
            values = apply_level_scale(self._scale, means)
        else:
            raw, raw_sds = measure_scores(self._network, self._processor, pairs, self._padding_side)
            slope = np.array(self._scale["slope"])
            values = raw * slope + np.array(self._scale["offset"])
            sds = raw_sds * slope * np.array(self._scale["sd_factor"])
        return [
            [
                Score(name, float(np.clip(value, 0, HIGHEST_SCORE)), float(sd), "ok", self.identity)
                for name, value, sd in zip(DIMENSIONS, row, row_sds, strict=True)
            ]
            for row, row_sds in zip(values, sds, strict=True)
        ]

    def find_level_probabilities(self, pairs: Sequence[EvaluatedPair]) -> NDArray[np.float64]:
        """Probabilities of the five levels, float64 [N, 3, 5]; see `measure_level_probabilities`."""
        asked = [ask_for_levels(*pair) for pair in pairs]
        return measure_level_probabilities(self._network.backbone, self._processor, asked, self._padding_side)


def measure_scores(
    network: EvaluationNetwork, processor: Any, pairs: Sequence[EvaluatedPair], padding_side: PaddingSide = "left"
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores and deviations of the head in MOS points, float64 [N, 3] each, before their scale is set."""
    batch = encode_conversations(processor, [ask_for_levels(*pair) for pair in pairs], padding_side)
    with torch.inference_mode():
        scores, log_sd = network.compute_scores(move_batch(batch, choose_device()))
        values = network.head.mean + network.head.spread * scores
        sds = network.head.spread * log_sd.exp()
    return values.double().cpu().numpy(), sds.double().cpu().numpy()
