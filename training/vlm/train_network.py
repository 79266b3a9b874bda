"""Train a backbone with head by transformers' trainer: resumed after a kill, the best epoch kept, adapters only."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
import torch
from torch.utils.data import Dataset
from transformers import EarlyStoppingCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from mos.console import Progress
from mos.errors import UserError
from mos.files import replace_file
from training.runs.curve import draw_curve
from training.samples.pair_sample import PairSample, decode_row, require_columns
from training.samples.read_samples import make_random
from training.samples.transforms import SampleVariation, vary_sample
from training.vlm.agent_folder import choose_device
from training.vlm.agent_network import AgentNetwork
from training.vlm.recipe import AgentRecipe

LOG_FILE, CURVE_FILE, KEY_FILE = "log.jsonl", "curve.svg", "training.json"
CHECKPOINTS = "checkpoints"

Collate = Callable[[Sequence[PairSample]], dict[str, Any]]


class SampleRows(Dataset[PairSample]):
    """Rows of a dataset as samples, decoded when they are asked for.

    Parameters
    ----------
    rows : datasets.Dataset
        A split of the table "default".
    flip, seed
        Probability to exchange left and right, drawn anew in each epoch.
    """

    def __init__(self, rows: Any, flip: float = 0.0, seed: int = 0) -> None:
        self._rows = rows
        self._variation = SampleVariation(flip=flip)
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the data loader."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: int) -> PairSample:
        row = self._rows[place]
        try:
            sample = decode_row(row)
        except UserError as error:
            raise UserError(f"Row {place}, pair {row.get('pair_id')!r}: {error}") from error
        return vary_sample(sample, self._variation, make_random(self._seed, self._epoch, sample.pair_id))


class _AgentTrainer(Trainer):
    """Saves and loads adapter and head only."""

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        if self.args.should_save:
            _find_network(self).save_trained(Path(output_dir or self.args.output_dir))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        _find_network(self).load_trained(Path(resume_from_checkpoint))

    def _load_best_model(self) -> None:
        _find_network(self).load_trained(Path(self.state.best_model_checkpoint))


def _find_network(trainer: Trainer) -> AgentNetwork:
    network: AgentNetwork = trainer.accelerator.unwrap_model(trainer.model)
    return network


class ProgressCallback(TrainerCallback):
    """Shows steps, and stops where a loss is not finite.

    Parameters
    ----------
    progress : Progress
    step : str
        What is being done.
    after_epoch : callable, optional
        Called with the number of each finished epoch.
    """

    def __init__(self, progress: Progress, step: str, after_epoch: Callable[[int], None] | None = None) -> None:
        self._progress = progress
        self._step = step
        self._after_epoch = after_epoch

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Begin the bar."""
        self._progress.begin(self._step, state.max_steps)
        self._progress.advance(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Advance the bar."""
        self._progress.advance()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Stop where a loss is not finite."""
        for name, value in (logs or {}).items():
            if name in ("loss", "eval_loss"):
                if not math.isfinite(value):
                    raise UserError(
                        f"The loss of step {state.global_step} is not finite: choose a lower learning_rate, or look "
                        "for values in the dataset that are not finite."
                    )
                self._progress.show_note(f"{name} {value:.4f}")

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Tell that an epoch is done and saved."""
        if self._after_epoch is not None:
            self._after_epoch(round(state.epoch))


def train_network(
    network: AgentNetwork,
    training: Dataset[PairSample],
    validation: Dataset[PairSample],
    collate: Collate,
    recipe: AgentRecipe,
    out: Path,
    *,
    stage: str,
    epochs: int,
    head_learning_rate: float,
    progress: Progress,
    after_epoch: Callable[[int], None] | None = None,
) -> list[dict[str, float]]:
    """Train one stage of an agent, and leave the best epoch in the network.

    Parameters
    ----------
    network : AgentNetwork
        Its `forward` takes what `collate` gives and returns a mapping with `loss`.
    training, validation : Dataset
    collate : callable
    recipe : AgentRecipe
    out : Path
        Checkpoints of the stage are in `out/checkpoints/<stage>`; an interrupted run continues at the last one.
    stage : str
    epochs : int
    head_learning_rate : float
    progress : Progress
    after_epoch : callable, optional

    Returns
    -------
    list of dict
        `epoch`, `training` and `validation` loss of each epoch.

    Raises
    ------
    UserError
        For a loss that is not finite, or too little memory.
    """
    folder = out / CHECKPOINTS / stage
    arguments = make_training_arguments(
        recipe,
        folder,
        num_train_epochs=epochs,
        warmup_steps=math.ceil(recipe.warmup * epochs * len(training) / (recipe.batch * recipe.accumulate)),
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="cosine",
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        prediction_loss_only=True,
        remove_unused_columns=False,
        label_names=[],
        per_device_eval_batch_size=recipe.batch,
        eval_strategy="epoch",
    )
    trainer = _AgentTrainer(
        model=network,
        args=arguments,
        data_collator=collate,
        train_dataset=training,
        eval_dataset=validation,
        callbacks=[ProgressCallback(progress, f"Stage {stage}", after_epoch), EarlyStoppingCallback(recipe.patience)],
        optimizers=(_make_optimizer(network, recipe, head_learning_rate), None),
    )
    trainer.can_return_loss = True  # the loss is computed in `forward`, from no column that it could know
    run_trainer(trainer, folder)
    network.eval()
    return collect_epochs(trainer.state.log_history)


def make_training_arguments(recipe: AgentRecipe, folder: Path, kind: Any = TrainingArguments, **more: Any) -> Any:
    """What all trainers are told: precision, device, seed, saving, and nothing that prints."""
    on_cpu = choose_device() == "cpu"
    shared = {
        "output_dir": str(folder),
        "seed": recipe.seed,
        "per_device_train_batch_size": recipe.batch,
        "gradient_accumulation_steps": recipe.accumulate,
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.clip,
        "activation_checkpointing": recipe.recompute,
        "save_strategy": "epoch",
        "save_total_limit": 2,
        "logging_strategy": "epoch",
        "logging_nan_inf_filter": False,
        "use_cpu": on_cpu,
        "bf16": recipe.precision == "bfloat16" and not on_cpu,
        "report_to": recipe.report_to,
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }
    return kind(**shared | more)


def run_trainer(trainer: Any, folder: Path) -> None:
    """Train, from the last checkpoint in a folder if there is one; no table of logs on stdout.

    Raises
    ------
    UserError
        If memory is too small.
    """
    from transformers.trainer_callback import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    last = get_last_checkpoint(str(folder)) if folder.is_dir() else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # libraries warn each other
            trainer.train(resume_from_checkpoint=last)
    except torch.OutOfMemoryError as error:
        raise UserError(
            "Memory is too small for a step: choose a smaller batch (and larger accumulate), fewer most_pixels, "
            "recompute=true, or precision=bfloat16."
        ) from error


def collect_epochs(history: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    """Training and validation loss of each epoch, from the log of a trainer."""
    rows: dict[int, dict[str, float]] = {}
    for entry in history:
        row = rows.setdefault(round(entry["epoch"]), {"epoch": float(round(entry["epoch"]))})
        for name, ours in (("loss", "training"), ("eval_loss", "validation")):
            if name in entry:
                row[ours] = entry[name]
    return [row for _, row in sorted(rows.items()) if len(row) == 3]


def write_run_files(out: Path, history: Sequence[dict[str, float]], stage: str = "") -> None:
    """Write the losses of a stage as a curve and as lines."""
    name = f"{stage}-" if stage else ""
    replace_file(out / f"{name}{LOG_FILE}", b"".join(orjson.dumps(row) + b"\n" for row in history))
    if history:
        replace_file(out / f"{name}{CURVE_FILE}", draw_curve(history).encode())


def require_rows(rows: Any, split: str) -> None:
    """UserError for a split without pairs, or without the columns of the table "default"."""
    require_columns(rows.column_names)
    if not len(rows):
        raise UserError(f"The split {split!r} is empty: build the dataset with more sources.")


def claim_folder(out: Path, recipe: AgentRecipe, backbone_digest: str, rows: Sequence[Any]) -> None:
    """Take a folder for a training, or go on with the same one.

    Raises
    ------
    UserError
        If it holds the training of another recipe, backbone or dataset.
    """
    out.mkdir(parents=True, exist_ok=True)
    pairs = [list(each["pair_id"]) for each in rows]
    key = orjson.dumps({"recipe": recipe.model_dump(), "backbone": backbone_digest, "pairs": pairs})
    path = out / KEY_FILE
    if path.exists() and path.read_bytes() != key:
        raise UserError(
            f"{out} holds the training of another recipe, backbone or dataset: choose another folder with --out, or "
            "remove it."
        )
    replace_file(path, key)


def _make_optimizer(network: AgentNetwork, recipe: AgentRecipe, head_learning_rate: float) -> torch.optim.Optimizer:
    adapter = [value for value in network.backbone.parameters() if value.requires_grad]
    groups = [
        {"params": adapter, "lr": recipe.learning_rate},
        {"params": list(network.head.parameters()), "lr": head_learning_rate},
    ]
    return torch.optim.AdamW(groups, weight_decay=recipe.weight_decay, betas=(0.9, 0.98))
