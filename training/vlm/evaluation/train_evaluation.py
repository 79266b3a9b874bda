"""Train evaluation: levels first, then scores."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from annotation.records import DIMENSIONS
from mos.console import Progress
from mos.errors import UserError
from training.prompts.agent_messages import read_agent_prompts
from training.vlm.agent_folder import choose_device, make_agent_record, open_recipe_backbone, write_agent_record
from training.vlm.conversation import move_batch
from training.vlm.evaluation.evaluation_agent import measure_scores
from training.vlm.evaluation.mos_scale import fit_level_scale, fit_score_scale
from training.vlm.evaluation.score_batches import ask_for_levels, collate_scores
from training.vlm.evaluation.score_levels import average_levels, measure_level_probabilities
from training.vlm.evaluation.score_network import EvaluationNetwork
from training.vlm.image_features import extract_features
from training.vlm.recipe import EvaluationRecipe
from training.vlm.train_network import SampleRows, claim_folder, require_rows, train_network, write_run_files
from training.vlm.trained_agent import TrainedAgent, summarise_training, write_used_recipe

_STATISTIC_PAIRS = 256


def train_evaluation(
    training_rows: Any,
    validation_rows: Any,
    recipe: EvaluationRecipe,
    out: Path,
    progress: Progress,
    after_epoch: Callable[[int], None] | None = None,
) -> TrainedAgent:
    """Train evaluation and write its folder.

    Parameters
    ----------
    training_rows, validation_rows : datasets.Dataset
        Splits of the table "default" of a built dataset with ratings.
    recipe : EvaluationRecipe
    out : Path
        Folder of the agent; what an interrupted run of the same recipe and data left there is continued.
    progress : Progress
    after_epoch : callable, optional
        Called with the number of each finished epoch of a stage.

    Raises
    ------
    UserError
        For pairs without scores, a folder of another training, a backbone that cannot be loaded, or a loss that is not
        finite.
    """
    require_rows(training_rows, "train")
    require_rows(validation_rows, "validation")
    _read_truth(training_rows, "train")
    _read_truth(validation_rows, "validation")
    opened = open_recipe_backbone(recipe, out)
    claim_folder(out, recipe, opened.digest, (training_rows, validation_rows))
    network = EvaluationNetwork(opened.model, recipe.hidden, recipe.plcc_weight).to(choose_device())
    run = partial(
        train_network,
        network,
        recipe=recipe,
        out=out,
        head_learning_rate=recipe.head_learning_rate,
        progress=progress,
        after_epoch=after_epoch,
    )
    collate = partial(collate_scores, opened.processor)
    if recipe.level_epochs:
        history = run(
            SampleRows(_keep_scored(training_rows, "train"), recipe.flip, recipe.seed),
            SampleRows(_keep_scored(validation_rows, "validation")),
            partial(collate, level_weight=1.0, score_weight=0.0),
            stage="levels",
            epochs=recipe.level_epochs,
        )
        write_run_files(out, history, "levels")
    training, validation = SampleRows(training_rows, recipe.flip, recipe.seed), SampleRows(validation_rows)
    _set_statistics(network, partial(collate, level_weight=0.0, score_weight=1.0), SampleRows(training_rows))
    history = run(
        training,
        validation,
        partial(collate, level_weight=recipe.level_weight if recipe.level_epochs else 0.0, score_weight=1.0),
        stage="scores",
        epochs=recipe.score_epochs,
    )
    scale = _set_scale(network, opened.processor, validation, progress)
    network.save_trained(out)
    version = read_agent_prompts().version
    head = {"hidden": recipe.hidden}
    write_agent_record(out, make_agent_record(recipe, "evaluation", opened.digest, version, head=head, scale=scale))
    write_run_files(out, history)
    write_used_recipe(out, recipe)
    return summarise_training(out, history, len(training_rows), len(validation_rows))


def _set_statistics(network: EvaluationNetwork, collate: Any, training: SampleRows) -> None:
    """Let the head know how states and scores of training pairs vary."""
    network.eval()
    states, truth = [], []
    places = np.random.default_rng(0).permutation(len(training))[:_STATISTIC_PAIRS]
    for place in sorted(places.tolist()):
        batch = move_batch(collate([training[place]]), choose_device())
        with torch.no_grad():
            states.append(network.read_states(extract_features(network.backbone, batch), batch))
        truth.append(batch["truth"])
    network.head.set_statistics(torch.cat(states), torch.cat(truth))


def _set_scale(
    network: EvaluationNetwork, processor: Any, validation: SampleRows, progress: Progress
) -> dict[str, list[float]]:
    """The scales of both stages, from validation pairs."""
    progress.begin("Setting the scale", len(validation))
    scores, sds, levels, truth = [], [], [], []
    for place in range(len(validation)):
        sample = validation[place]
        pair = sample.source, sample.edited, sample.instruction
        values, spread = measure_scores(network, processor, [pair])
        scores.append(values[0])
        sds.append(spread[0])
        probabilities = measure_level_probabilities(network.backbone, processor, [ask_for_levels(*pair)])
        levels.append(average_levels(probabilities)[0][0])
        truth.append([math.nan if sample.scores[name] is None else sample.scores[name] for name in DIMENSIONS])
        progress.advance()
    wanted = np.array(truth, np.float64)
    return fit_score_scale(np.array(scores), np.array(sds), wanted) | fit_level_scale(np.array(levels), wanted)


def _read_truth(rows: Any, split: str) -> NDArray[np.float64]:
    """Scores of a split, float64 [n, 3]; UserError where a dimension has none."""
    columns = []
    for name in DIMENSIONS:
        values = rows[name] if name in rows.column_names else [None] * len(rows)
        column = np.array([math.nan if value is None else value for value in values], np.float64)
        if not np.isfinite(column).any():
            raise UserError(f"No pair of the split {split!r} has a score of {name}: build the dataset with ratings.")
        columns.append(np.where(np.isfinite(column), column, math.nan))
    return np.stack(columns, 1)


def _keep_scored(rows: Any, split: str) -> Any:
    """The rows that have all three scores."""
    complete = np.isfinite(_read_truth(rows, split)).all(1)
    if not complete.any():
        raise UserError(f"No pair of the split {split!r} has all three scores: leave out stage 1 by level_epochs=0.")
    return rows.select(np.flatnonzero(complete).tolist())
