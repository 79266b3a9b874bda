"""Train perception."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from annotation.records import KINDS
from mos.console import Progress
from mos.errors import UserError
from training.prompts.agent_messages import read_agent_prompts
from training.runs.absolute_scale import find_map_shift
from training.samples.pair_sample import PairSample
from training.vlm.agent_folder import choose_device, make_agent_record, open_recipe_backbone, write_agent_record
from training.vlm.conversation import move_batch
from training.vlm.perception.perception_batches import collate_maps
from training.vlm.perception.perception_network import PerceptionNetwork
from training.vlm.recipe import PerceptionRecipe
from training.vlm.train_network import SampleRows, claim_folder, require_rows, train_network, write_run_files
from training.vlm.trained_agent import TrainedAgent, summarise_training, write_used_recipe


def train_perception(
    training_rows: Any,
    validation_rows: Any,
    recipe: PerceptionRecipe,
    out: Path,
    progress: Progress,
    after_epoch: Callable[[int], None] | None = None,
) -> TrainedAgent:
    """Train perception and write its folder.

    Parameters
    ----------
    training_rows, validation_rows : datasets.Dataset
        Splits of the table "default" of a built dataset.
    recipe : PerceptionRecipe
    out : Path
        Folder of the agent; what an interrupted run of the same recipe and data left there is continued.
    progress : Progress
    after_epoch : callable, optional
        Called with the number of each finished epoch.

    Raises
    ------
    UserError
        For pairs without regions, a folder of another training, a backbone that cannot be loaded, or a loss that is
        not finite.
    """
    require_rows(training_rows, "train")
    require_rows(validation_rows, "validation")
    _require_regions(training_rows)
    opened = open_recipe_backbone(recipe, out)
    claim_folder(out, recipe, opened.digest, (training_rows, validation_rows))
    network = PerceptionNetwork(opened.model, recipe.width, recipe.l1_weight, recipe.bce_weight).to(choose_device())

    def collate(samples: Any) -> dict[str, Any]:
        return collate_maps(opened.processor, samples)

    validation = SampleRows(validation_rows)
    history = train_network(
        network,
        SampleRows(training_rows, recipe.flip, recipe.seed),
        validation,
        collate,
        recipe,
        out,
        stage="maps",
        epochs=recipe.epochs,
        head_learning_rate=recipe.head_learning_rate,
        progress=progress,
        after_epoch=after_epoch,
    )
    shift = _find_shift(network, validation, collate, recipe, progress)
    record = make_agent_record(
        recipe,
        "perception",
        opened.digest,
        read_agent_prompts().version,
        head={"width": recipe.width},
        scale={"map_shift": shift},
    )
    network.save_trained(out)
    write_agent_record(out, record)
    write_run_files(out, history)
    write_used_recipe(out, recipe)
    return summarise_training(out, history, len(training_rows), len(validation_rows))


def _find_shift(
    network: PerceptionNetwork, validation: SampleRows, collate: Any, recipe: PerceptionRecipe, progress: Progress
) -> list[float]:
    """The shift of the logits of each kind, from the peaks of the validation maps."""
    progress.begin("Setting the scale", len(validation))
    peaks, clean = [], []
    for place in range(len(validation)):
        sample: PairSample = validation[place]
        with torch.inference_mode():
            (logits,) = network.compute_logits(move_batch(collate([sample]), choose_device()))
        peaks.append(torch.sigmoid(logits).amax((1, 2)).float().cpu().numpy())
        clean.append([not sample.maps[kind].any() for kind in KINDS])
        progress.advance()
    return [float(each) for each in find_map_shift(np.stack(peaks), np.array(clean), recipe.clean_share)]


def _require_regions(rows: Any) -> None:
    for kind in KINDS:
        if not any(len(each or ()) for each in rows[f"{kind}_regions"]):
            raise UserError(f"No pair of the split 'train' has a region of the kind {kind}: more pairs are needed.")
