"""Run a check: one batch through every path, each compared with the batch of training."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.vlm.agent_folder import OpenedBackbone, open_recipe_backbone
from training.vlm.agent_network import save_adapter
from training.vlm.check.check_samples import make_check_samples
from training.vlm.check.checked_paths import Batch, CheckedPaths
from training.vlm.check.sample_views import SampleView, view_batch
from training.vlm.conversation import IGNORED, Conversation, move_batch
from training.vlm.recipe import AnyRecipe

TOLERANCE = {"float32": 1e-3, "bfloat16": 0.15}
"""Largest difference of logits and losses; tokens, positions and pixels must be equal."""

_PIXEL_TOLERANCE = 1e-5
_ADAPTER_SCALE = 0.05

EXACT = ("tokens", "types", "positions")


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One comparison.

    Attributes
    ----------
    path, quantity : str
        What was compared with the batch of training.
    difference : float
        Largest difference of all samples; infinity where shapes differ or something is missing.
    tolerance : float
    detail : str
        What is wrong, in a few words; "" if nothing is.
    """

    path: str
    quantity: str
    difference: float
    tolerance: float
    detail: str = ""

    @property
    def passed(self) -> bool:
        """Whether the difference is within the tolerance."""
        return self.difference <= self.tolerance

    def as_record(self) -> dict[str, Any]:
        """The row as JSON has it; no number stands for what cannot be compared."""
        known = self.difference if math.isfinite(self.difference) else None
        return asdict(self) | {"difference": known, "passed": self.passed}


def check_recipe(recipe: AnyRecipe, folder: Path, paths: CheckedPaths | None = None) -> list[CheckRow]:
    """Compare what training, inference and rollouts of a recipe see.

    Parameters
    ----------
    recipe : PerceptionRecipe, EvaluationRecipe or ReasoningRecipe
    folder : Path
        For a tiny backbone, and an adapter that is saved and loaded.
    paths : CheckedPaths, optional
        The real ones by default.

    Returns
    -------
    list of CheckRow

    Raises
    ------
    UserError
        If the backbone cannot be loaded.
    """
    paths = paths or CheckedPaths()
    opened = open_recipe_backbone(recipe, folder)
    backbone, processor = opened.model.eval(), opened.processor
    _disturb_adapter(backbone, recipe.seed)
    samples = make_check_samples(recipe.most_pixels, recipe.seed)
    told = [paths.write_conversation(sample, recipe) for sample in samples]
    images = [len(each.images) for each in told]
    batch = move_batch(paths.encode(processor, told, "left"), backbone.device)
    wanted = view_batch(backbone, batch, images)
    check = _Comparison(wanted, TOLERANCE[recipe.precision])

    def view(some: Sequence[Conversation], side: Any = "left") -> list[SampleView]:
        found = move_batch(paths.encode(processor, some, side), backbone.device)
        return view_batch(backbone, found, [len(each.images) for each in some])

    rows = list(check.compare("padding on the right", view(told, "right")))
    rows += check.compare("batch of one", [found for each in told for found in view([each])])
    rows += check.compare("order reversed", view(told[::-1])[::-1])
    rows += check.compare("trl fine-tuning", view_batch(backbone, paths.collate_trl(processor, told), images))
    questions = [paths.ask_agent(sample, recipe) for sample in samples]
    rows += check.compare("generation", _view_generation(paths, opened, questions, batch), prefix=True)
    rows += _check_rollouts(paths, opened, batch, images, check.tolerance)
    save_adapter(backbone, folder / "check-adapter")
    fresh = open_recipe_backbone(recipe, folder).model.eval()
    paths.load_adapter(fresh, folder / "check-adapter")
    rows += check.compare("adapter saved and loaded", view_batch(fresh, batch, images))
    perfect = paths.measure_perfect_loss(recipe)
    rows.append(CheckRow("loss", "of a perfect answer", abs(perfect), check.tolerance, _explain_loss(perfect)))
    return rows


class _Comparison:
    """Compares views with those of training."""

    def __init__(self, wanted: Sequence[SampleView], tolerance: float) -> None:
        self._wanted = wanted
        self.tolerance = tolerance

    def compare(self, path: str, found: Sequence[SampleView], prefix: bool = False) -> Iterator[CheckRow]:
        """One row for each quantity; with `prefix`, a path has the question alone."""
        for quantity in ("tokens", "types", "pixels", "positions", "logits", "loss"):
            if prefix and quantity == "loss":
                continue
            differences = [
                _find_difference(quantity, getattr(first, quantity), getattr(second, quantity), prefix)
                for first, second in zip(self._wanted, found, strict=True)
            ]
            tolerance = 0.0 if quantity in EXACT else self.tolerance
            tolerance = _PIXEL_TOLERANCE if quantity == "pixels" else tolerance
            worst = int(np.argmax([difference for difference, _ in differences]))
            difference, detail = differences[worst]
            name = {"types": "mm_token_type_ids", "pixels": "pixel values"}.get(quantity, quantity)
            said = f"sample {worst}: {detail}" if difference > tolerance else ""
            yield CheckRow(path, name, difference, tolerance, said)


def _find_difference(quantity: str, wanted: Any, found: Any, prefix: bool) -> tuple[float, str]:
    if wanted is None or found is None:
        return float("inf"), "missing" if found is None else "missing in training"
    first, second = np.asarray(wanted, np.float64), np.asarray(found, np.float64)
    if prefix and quantity in EXACT and first.ndim:
        first = first[..., : second.shape[-1]]
    if prefix and quantity == "logits":
        first = first[: len(second)]
    if first.shape != second.shape:
        return float("inf"), f"{first.shape} in training, {second.shape} here"
    difference = float(np.abs(first - second).max(initial=0.0))
    return difference, f"differs by up to {difference:.3g}"


def _view_generation(
    paths: CheckedPaths, opened: OpenedBackbone, questions: Sequence[Conversation], batch: Batch
) -> list[SampleView]:
    """What generation sees of the questions, and its logits of the first token of each reply."""
    backbone = opened.model
    encoded = move_batch(paths.encode_question(opened.processor, questions, "left"), backbone.device)
    encoded["labels"] = torch.full_like(encoded["input_ids"], IGNORED)
    views = view_batch(backbone, encoded, [len(each.images) for each in questions])
    inputs = {name: value for name, value in encoded.items() if name != "labels"}
    try:
        written = backbone.generate(
            **inputs, do_sample=False, max_new_tokens=1, output_logits=True, return_dict_in_generate=True
        )
    except (ValueError, RuntimeError, IndexError):
        return views
    logits = written.logits[0].float().numpy()
    return [
        SampleView(view.tokens, view.types, view.pixels, view.positions, logits[row : row + 1])
        for row, view in enumerate(views)
    ]


def _check_rollouts(
    paths: CheckedPaths, opened: OpenedBackbone, batch: Batch, images: Sequence[int], tolerance: float
) -> Iterator[CheckRow]:
    """Log-probabilities of the replies in one batch, against those of trl's slices."""
    backbone = opened.model
    count = int((batch["labels"] != IGNORED).sum(1).min())
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    name = "log-probabilities"
    try:
        with torch.no_grad():
            logits = backbone(**inputs, use_cache=False).logits[:, -count - 1 : -1].float()
        tokens = batch["input_ids"][:, -count:]
        wanted = torch.log_softmax(logits, -1).gather(2, tokens[..., None])[..., 0]
        found = paths.slice_rollouts(backbone, opened.processor, batch, images, count)
    except (ValueError, RuntimeError, IndexError) as error:
        yield CheckRow("trl rollouts", name, float("inf"), tolerance, str(error).splitlines()[0])
        return
    difference = float((wanted - found).abs().max())
    detail = f"differs by up to {difference:.3g}" if difference > tolerance else ""
    yield CheckRow("trl rollouts", name, difference, tolerance, detail)


def _disturb_adapter(backbone: Any, seed: int) -> None:
    """A new adapter changes nothing, so that it could be lost without a trace: give it small random weights."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in backbone.named_parameters():
            if "lora_B" in name:
                value.copy_(_ADAPTER_SCALE * torch.randn(value.shape, generator=generator))


def _explain_loss(perfect: float) -> str:
    return "a perfect answer must cost nothing: is a sigmoid applied twice?" if abs(perfect) > 1e-3 else ""


def describe_rows(rows: Sequence[CheckRow]) -> str:
    """The comparisons as lines of text, one a path, and each failure with what is wrong."""
    lines = []
    for path in dict.fromkeys(row.path for row in rows):
        own = [row for row in rows if row.path == path]
        failed = [row for row in own if not row.passed]
        worst = max(row.difference for row in own)
        lines.append(
            f"{'FAILED' if failed else 'ok    '}  {path}: {', '.join(row.quantity for row in own)} ({worst:.1e})"
        )
        lines += [f"          {row.quantity}: {row.detail}" for row in failed]
    count = sum(not row.passed for row in rows)
    lines.append(f"{count} of {len(rows)} comparisons failed." if count else f"All {len(rows)} comparisons agree.")
    return "\n".join(lines)
