"""The rules of the paper's published loop, one by one, so that each can be compared with ours on known truth.

Read in the authors' code of 2026-05-08: the maps are those of the first edited image in every turn; each map is
stretched to its own maximum; the score is the arithmetic mean of the dimensions; the whole answer of the editor is
kept, encoded as JPEG. "Last instead of best" is EditThinker's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage
from annotation.records import KINDS
from editfhf.editors.protocol import Editor, EditRequest
from training.agents.map_regions import REGION_THRESHOLD, find_mask
from training.agents.protocols import Evaluation, Perception
from training.agents.results import PerceivedMaps, combine_scores, mean_with_count
from training.samples.pair_sample import scale_array

JPEG_QUALITY = 95


@dataclass(frozen=True, slots=True)
class LoopRules:
    """Which of the authors' rules a plain loop follows.

    Attributes
    ----------
    stale_maps : bool
        Perceive the first edited image in every turn, not the current one.
    stretched_maps : bool
        Stretch each map to its own maximum: every image has a flaw.
    mean_score : bool
        Arithmetic mean of the dimensions, not the weighted geometric mean of equation 5.
    whole_answer : bool
        Keep the editor's whole answer, through JPEG, and not the pixels of the mask alone.
    keep_last : bool
        Give the last image, not the best.
    """

    stale_maps: bool = False
    stretched_maps: bool = False
    mean_score: bool = False
    whole_answer: bool = False
    keep_last: bool = False


AUTHORS_RULES = LoopRules(*[True] * 5)


def run_plain_loop(
    source: RgbImage,
    edited: RgbImage,
    instruction: str,
    perception: Perception,
    evaluation: Evaluation,
    editor: Editor,
    rules: LoopRules,
    turns: int = 4,
) -> RgbImage:
    """Repair an image by a loop with one editor and one mask a turn.

    Returns
    -------
    ndarray
        uint8 [H, W, 3].
    """
    placed = scale_array(source, *edited.shape[:2])
    best = current = edited
    score = _score(evaluation, source, edited, instruction, rules)
    for turn in range(turns):
        maps = perception.perceive(source, edited if rules.stale_maps else current, instruction)
        mask = unite_masks(maps, stretched=rules.stretched_maps)
        if not mask.any():
            break
        answer = editor.edit(EditRequest(placed, current, mask, instruction, seed=0 if rules.stale_maps else turn))
        if answer.image is None or answer.image.shape != current.shape:
            break
        current = _encode_jpeg(answer.image) if rules.whole_answer else _keep_outside(answer.image, current, mask)
        after = _score(evaluation, source, current, instruction, rules)
        if not after > score:
            break
        best, score = current, after
    return current if rules.keep_last else best


def unite_masks(maps: PerceivedMaps, *, stretched: bool) -> NDArray[np.uint8]:
    """uint8 [H, W]: 255 where either map is above the threshold, each stretched to its maximum first if asked."""
    united = np.zeros(maps.artifact.shape, bool)
    for kind in KINDS:
        values = maps.by_kind(kind)
        low, high = float(values.min()), float(values.max())
        if stretched and high > low:
            values = ((values - low) / (high - low)).astype(np.float32)
        united |= find_mask(values, REGION_THRESHOLD)
    return united.astype(np.uint8) * np.uint8(255)


def _score(evaluation: Evaluation, source: RgbImage, image: RgbImage, instruction: str, rules: LoopRules) -> float:
    scores = evaluation.evaluate(source, image, instruction)
    overall = mean_with_count(scores)[0] if rules.mean_score else combine_scores(scores)
    return math.nan if overall is None else overall


def _keep_outside(answer: RgbImage, current: RgbImage, mask: NDArray[np.uint8]) -> RgbImage:
    return np.where(mask[:, :, None] > 0, answer, current)


def _encode_jpeg(image: RgbImage) -> RgbImage:
    _, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[:, :, ::-1], np.uint8)
