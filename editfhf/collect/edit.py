"""Step 3: every editor on every instance. A result on the disk is never made again."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from PIL import Image

from annotation.images import MAX_IMAGE_PIXELS, RgbImage, decode_image, read_image_bytes
from editfhf.collect.folder import EDITS_FOLDER, PROMPTS_FILE, finish_step, lock_collection, read_table
from editfhf.editors.protocol import Editor, EditRequest
from editfhf.executors import BoundedPool
from mos.console import Progress
from mos.files import read_regular_file, replace_file

EditorMaker = Callable[[str], Editor]


@dataclass(frozen=True, slots=True)
class PlannedEdit:
    """One editor on one instance: a line of `prompts.jsonl`, the name of an editor, and the seed that is asked for."""

    instance: Mapping[str, Any]
    editor: str
    seed: int = 0

    @property
    def path(self) -> str:
        """The result without its suffix, relative to the collection."""
        return f"{EDITS_FOLDER}/{self.instance['instance_id']}/{self.editor}"


def plan_edits(root: Path, editors: Sequence[str], seed: int = 0) -> list[PlannedEdit]:
    """Every editor on every instance, in the order of `prompts.jsonl`; `UserError` without prompts."""
    return [PlannedEdit(row, name, seed) for row in read_table(root, PROMPTS_FILE, "prompts") for name in editors]


def is_edited(root: Path, planned: PlannedEdit) -> bool:
    """Whether the edit has an outcome for its instruction and seed. The image is written before the outcome."""
    if not (root / f"{planned.path}.json").is_file():
        return False
    outcome = read_outcome(root, planned)
    return bool(outcome["instruction"] == planned.instance["instruction"] and outcome["asked_seed"] == planned.seed)


def read_outcome(root: Path, planned: PlannedEdit) -> dict[str, Any]:
    """Status, detail, seed, parameters, seconds and cost of an edit that has an outcome."""
    outcome: dict[str, Any] = orjson.loads(read_regular_file(root / f"{planned.path}.json"))
    return outcome


def collect_edits(
    root: Path,
    editors: Sequence[str],
    make_editor: EditorMaker,
    progress: Progress,
    seed: int = 0,
    concurrency: int = 1,
    retry_errors: bool = False,
) -> dict[str, int]:
    """Make the edits that have no outcome yet, one editor after the other.

    Parameters
    ----------
    root : Path
        Folder of the collection.
    editors : sequence of str
        Names of editors.
    make_editor : callable
        From a name to an editor; called once for each editor with edits to make.
    progress : Progress
        Counts edits.
    seed : int
        Of every edit.
    concurrency : int
        Edits of one editor at a time. Above 1 only for editors that may be used by several threads.
    retry_errors : bool
        Make edits again whose outcome is an error. Refusals are never asked again.

    Returns
    -------
    dict
        Counts in and out of all planned edits.
    """
    with lock_collection(root):
        planned = plan_edits(root, editors, seed)
        waiting = [one for one in planned if not _has_final_outcome(root, one, retry_errors)]
        progress.begin("Edits", len(planned))
        progress.advance(len(planned) - len(waiting))
        for name in editors:
            mine = [one for one in waiting if one.editor == name]
            if mine:
                for _ in _run_editor(root, make_editor(name), mine, concurrency):
                    progress.advance()
        return _finish(root, planned)


def _has_final_outcome(root: Path, planned: PlannedEdit, retry_errors: bool) -> bool:
    return is_edited(root, planned) and not (retry_errors and read_outcome(root, planned)["status"] == "error")


def _run_editor(root: Path, editor: Editor, planned: Sequence[PlannedEdit], concurrency: int) -> Iterator[None]:
    with ExitStack() as stack:
        if hasattr(editor, "close"):
            stack.callback(editor.close)
        threads = stack.enter_context(ThreadPoolExecutor(concurrency))
        pool = BoundedPool(threads, 2 * concurrency)
        yield from pool.run(_make_edit, ((root, editor, one) for one in planned))


def _make_edit(root: Path, editor: Editor, planned: PlannedEdit) -> None:
    source = decode_image(read_image_bytes(root, planned.instance["image"]))
    mask = np.full(source.shape[:2], 255, np.uint8)
    result = editor.edit(EditRequest(source, source, mask, planned.instance["instruction"], planned.seed))
    record = result.record
    status, detail, image = record.status, record.detail, result.image
    if image is not None:
        image, detail = _fit_size(image, (source.shape[0], source.shape[1]))
        status = "ok" if image is not None else "error"
    (root / planned.path).parent.mkdir(parents=True, exist_ok=True)
    if image is not None:
        replace_file(root / f"{planned.path}.png", _encode_png(image), sync=False)
    outcome = {
        "status": status,
        "detail": detail,
        "editor": planned.editor,
        "version": record.version,
        "instruction": planned.instance["instruction"],
        "asked_seed": planned.seed,
        "seed": record.seed,
        "parameters": dict(record.parameters),
        "seconds": round(record.seconds, 3),
        "cost": record.cost,
    }
    replace_file(root / f"{planned.path}.json", orjson.dumps(outcome, default=str), sync=False)


def _fit_size(image: RgbImage, size: tuple[int, int]) -> tuple[RgbImage | None, str]:
    """The image at the size (H, W) of its source; None and a sentence for one of another shape."""
    height, width = image.shape[:2]
    if not height or not width or height * width > MAX_IMAGE_PIXELS:
        return None, f"The editor returned {width}x{height} pixels."
    if (height, width) == size:
        return image, ""
    if abs(width / height / (size[1] / size[0]) - 1) > 0.1:
        return None, f"The editor returned {width}x{height} pixels for {size[1]}x{size[0]}: another shape."
    resized = Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.LANCZOS)
    return np.asarray(resized), f"resized from {width}x{height}"


def _encode_png(image: RgbImage) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return stream.getvalue()


def _finish(root: Path, planned: Sequence[PlannedEdit]) -> dict[str, int]:
    rejected = []
    for one in planned:
        outcome = read_outcome(root, one)
        if outcome["status"] != "ok":
            rejected.append({"item": one.path, "reason": outcome["status"], "message": outcome["detail"]})
    return finish_step(root, "edit", len(planned), len(planned) - len(rejected), rejected)
