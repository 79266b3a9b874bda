"""Train the compact network on cached features: the same weights from the same data, also after a kill."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import torch
from torch import Tensor

from annotation.records import DIMENSIONS, KINDS
from mos.console import Progress
from mos.errors import UserError
from mos.files import replace_file
from training.compact.backbone import Backbone, fold_backbone_weights, read_pretrained_weights
from training.compact.batches import PairBatch, read_batches
from training.compact.cache import CachedSplit, cache_split
from training.compact.calibration import calibrate_model
from training.compact.checkpoint import BEST_FILE, LAST_FILE, load_checkpoint, save_checkpoint
from training.compact.export import export_backbone, write_weights
from training.compact.losses import compute_flaw_loss, compute_map_loss, compute_score_loss, compute_shape_loss
from training.compact.model import CompactModel, NetworkSize, PairOutput, combine_maps
from training.compact.network import BackboneSession
from training.compact.recipe import CompactRecipe
from training.runs.curve import draw_curve
from training.runs.read_recipe import format_recipe

LOSS_PARTS = ("map", "shape", "presence", "score", "flaw")
_CLIP = 1.0
_STATISTIC_BATCHES = 8

EpochRow = dict[str, float]


@dataclass(frozen=True, slots=True)
class TrainingSummary:
    """What a training came to.

    Attributes
    ----------
    out : Path
        Folder with weights, checkpoints, curve and log.
    epochs, best_epoch : int
        Epochs done, and the one whose weights were kept, from 1.
    best_loss : float
        Its validation loss.
    pairs, validation_pairs : int
    """

    out: Path
    epochs: int
    best_epoch: int
    best_loss: float
    pairs: int
    validation_pairs: int


def train_compact(
    training_rows: Sequence[Any],
    validation_rows: Sequence[Any],
    recipe: CompactRecipe,
    out: Path,
    cache: Path,
    progress: Progress,
    after_epoch: Callable[[int], None] | None = None,
) -> TrainingSummary:
    """Train the network and write its weights.

    Parameters
    ----------
    training_rows, validation_rows : sequence of datasets.Dataset
        Splits of built datasets; the splits of each sequence are used together.
    recipe : CompactRecipe
    out : Path
        Folder of the result; what an interrupted run of the same recipe and data left there is continued.
    cache : Path
        Folder for the features, which later runs use again.
    progress : Progress
    after_epoch : callable, optional
        Called with the number of each finished epoch.

    Raises
    ------
    UserError
        For an empty split, missing columns, pairs without scores or flaws, too little disk space, or a folder with the
        training of another recipe.
    """
    torch.set_num_threads(recipe.threads)
    torch.use_deterministic_algorithms(True)
    backbone = Backbone(fold_backbone_weights(read_pretrained_weights()))
    session = BackboneSession(export_backbone(backbone))
    training = [cache_split(rows, cache, session, "train", progress, recipe.threads) for rows in training_rows]
    validation = [cache_split(rows, cache, session, "validation", progress, recipe.threads) for rows in validation_rows]
    for name, splits in (("train", training), ("validation", validation)):
        _require_truth(splits, name, recipe)
    key = {"recipe": recipe.model_dump(), "data": [split.digest for split in (*training, *validation)]}
    state = _begin_or_resume(out, key, training, recipe)
    _run_epochs(state, out, training, validation, recipe, progress, after_epoch)
    model = _make_model(recipe)
    model.load_state_dict(load_checkpoint(out / BEST_FILE)["model"])
    calibrate_model(model, lambda: read_batches(validation, recipe), recipe.clean_share)
    best = min(state.history, key=lambda row: row["validation"])
    metadata = {"seed": str(recipe.seed), "best_epoch": str(int(best["epoch"])), "pairs": str(sum(map(len, training)))}
    write_weights(out, backbone, model, metadata)
    replace_file(out / "recipe.yaml", format_recipe(recipe).encode())
    replace_file(out / "curve.svg", draw_curve(state.history).encode())
    return TrainingSummary(
        out,
        len(state.history),
        int(best["epoch"]),
        best["validation"],
        sum(map(len, training)),
        sum(map(len, validation)),
    )


@dataclass
class _TrainingState:
    """What a checkpoint holds."""

    model: CompactModel
    optimizer: torch.optim.Optimizer
    history: list[EpochRow]
    key: dict[str, Any]

    @property
    def epochs_without_gain(self) -> int:
        losses = [row["validation"] for row in self.history]
        return len(losses) - 1 - losses.index(min(losses)) if losses else 0


def _make_model(recipe: CompactRecipe) -> CompactModel:
    torch.manual_seed(recipe.seed)
    return CompactModel(NetworkSize(recipe.fine, recipe.middle, recipe.coarse, recipe.text, recipe.hidden))


def _begin_or_resume(
    out: Path, key: dict[str, Any], training: Sequence[CachedSplit], recipe: CompactRecipe
) -> _TrainingState:
    model = _make_model(recipe)
    decayed = [value for value in model.parameters() if value.ndim > 1]
    others = [value for value in model.parameters() if value.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.99))
    state = _TrainingState(model, optimizer, [], key)
    last = out / LAST_FILE
    if not last.exists():
        out.mkdir(parents=True, exist_ok=True)
        _set_statistics(model, training, recipe)
        return state
    saved = load_checkpoint(last)
    if saved.get("key") != orjson.dumps(key).decode():
        raise UserError(
            f"{out} holds the training of another recipe or dataset: choose another folder with --out, or remove it."
        )
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    state.history = saved["history"]
    return state


def _set_statistics(model: CompactModel, training: Sequence[CachedSplit], recipe: CompactRecipe) -> None:
    """Means and standard deviations of the channels of features and cues, from some training pairs."""
    seen: dict[str, list[Tensor]] = {}
    for number, batch in enumerate(read_batches(training, recipe, epoch=0)):
        if number == _STATISTIC_BATCHES:
            break
        levels = dict(zip(("fine", "middle", "coarse"), batch.after, strict=True)) | {"cue": batch.cues}
        for name, values in levels.items():
            seen.setdefault(name, []).append(values.transpose(0, 1).flatten(1))
    for name, some in seen.items():
        values = torch.cat(some, 1)
        getattr(model, f"{name}_mean").copy_(values.mean(1)[:, None, None])
        getattr(model, f"{name}_scale").copy_(1 / (values.std(1)[:, None, None] + 1e-2))


def _run_epochs(
    state: _TrainingState,
    out: Path,
    training: Sequence[CachedSplit],
    validation: Sequence[CachedSplit],
    recipe: CompactRecipe,
    progress: Progress,
    after_epoch: Callable[[int], None] | None,
) -> None:
    from torch.utils.tensorboard import SummaryWriter

    steps = math.ceil(sum(map(len, training)) / recipe.batch)
    first = len(state.history) + 1
    with SummaryWriter(str(out / "tensorboard"), purge_step=first) as writer:
        for epoch in range(first, recipe.epochs + 1):
            if state.epochs_without_gain >= recipe.patience:
                return
            progress.begin(f"Epoch {epoch} of {recipe.epochs}", steps)
            torch.manual_seed(recipe.seed * 100_003 + epoch)
            state.model.train()
            parts = []
            for step, batch in enumerate(read_batches(training, recipe, epoch)):
                rate = _find_learning_rate((epoch - 1) * steps + step, recipe.epochs * steps, recipe)
                parts.append(_take_step(state, batch, recipe, rate))
                progress.advance()
            losses = measure_losses(state.model, read_batches(validation, recipe), recipe)
            row = {"epoch": float(epoch), "training": _mean_of(parts)["total"], "validation": losses["total"]}
            row |= {f"validation_{name}": losses[name] for name in LOSS_PARTS}
            if not math.isfinite(row["training"] + row["validation"]):
                raise UserError(
                    f"The loss of epoch {epoch} is not finite: choose a lower learning_rate, or look for values in the "
                    "dataset that are not finite."
                )
            state.history.append(row)
            for name, value in row.items():
                writer.add_scalar(f"loss/{name}", value, epoch)
            writer.flush()
            if state.epochs_without_gain == 0:
                save_checkpoint(out / BEST_FILE, {"model": state.model.state_dict(), "epoch": epoch})
            _save_state(state, out)
            progress.show_note(f"validation loss {row['validation']:.4f}")
            if after_epoch is not None:
                after_epoch(epoch)


def _save_state(state: _TrainingState, out: Path) -> None:
    saved = {
        "key": orjson.dumps(state.key).decode(),
        "model": state.model.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "history": state.history,
    }
    lines = b"".join(orjson.dumps(row) + b"\n" for row in state.history)
    replace_file(out / "epochs.jsonl", lines)
    save_checkpoint(out / LAST_FILE, saved)


def _find_learning_rate(step: int, steps: int, recipe: CompactRecipe) -> float:
    """Rise in a line, then fall as a half cosine."""
    warm = max(1, round(recipe.warmup * steps))
    if step < warm:
        return recipe.learning_rate * (step + 1) / warm
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def _take_step(state: _TrainingState, batch: PairBatch, recipe: CompactRecipe, rate: float) -> dict[str, float]:
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    losses = compute_losses(state.model, batch, recipe)
    state.optimizer.zero_grad(set_to_none=True)
    losses["total"].backward()
    torch.nn.utils.clip_grad_norm_(state.model.parameters(), _CLIP)
    state.optimizer.step()
    return {name: float(value.detach()) for name, value in losses.items()}


def compute_losses(model: CompactModel, batch: PairBatch, recipe: CompactRecipe) -> dict[str, Tensor]:
    """The parts of the loss of one batch, and their weighted sum as `total`."""
    found: PairOutput = model(batch.before, batch.after, batch.cues, batch.whole, batch.text)
    maps = combine_maps(found.shape_logits, found.presence_logits)
    flaws, severities = model.classify_boxes(found.context, found.text, batch.masks, batch.geometry, batch.kinds)
    parts = {
        "map": compute_map_loss(maps, batch.maps).mean(),
        "shape": compute_shape_loss(found.shape_logits, batch.maps).mean(),
        "presence": torch.nn.functional.binary_cross_entropy_with_logits(found.presence_logits, batch.has_flaw),
        "score": compute_score_loss(found.scores, found.log_sd, batch.scores).mean(),
        "flaw": compute_flaw_loss(flaws, severities, batch.flaws, batch.severities),
    }
    weights = {name: float(getattr(recipe, f"{name}_weight")) for name in LOSS_PARTS}
    parts["total"] = torch.stack([weights[name] * parts[name] for name in LOSS_PARTS]).sum()
    return parts


def measure_losses(model: CompactModel, batches: Iterable[PairBatch], recipe: CompactRecipe) -> dict[str, float]:
    """Mean losses over batches, without training."""
    model.eval()
    with torch.no_grad():
        return _mean_of(
            [{name: float(value) for name, value in compute_losses(model, each, recipe).items()} for each in batches]
        )


def _mean_of(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: math.fsum(row[name] for row in rows) / len(rows) for name in rows[0]}


def _require_truth(splits: Sequence[CachedSplit], name: str, recipe: CompactRecipe) -> None:
    """UserError where a split cannot teach what the recipe asks for."""
    scores = np.concatenate([part["scores"] for split in splits for part in split.parts])
    for index, dimension in enumerate(DIMENSIONS):
        if recipe.score_weight and np.isnan(scores[:, index]).all():
            raise UserError(
                f"No pair of the split {name!r} has a score of {dimension}: build the dataset with ratings, or train "
                "without scores with score_weight=0."
            )
    counts = dict.fromkeys(KINDS, 0)
    for part in (part for split in splits for part in split.parts):
        for index, kind in enumerate(KINDS):
            counts[kind] += int((part["maps"][:, index].reshape(len(part["maps"]), -1).max(1) > 0).sum())
    for kind, count in counts.items():
        if not count:
            raise UserError(f"No pair of the split {name!r} has a region of the kind {kind}: more pairs are needed.")


def describe_summary(summary: TrainingSummary) -> dict[str, Any]:
    """A summary as JSON has it."""
    return asdict(summary) | {"out": str(summary.out)}
