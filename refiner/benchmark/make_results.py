"""Make the results of an editor, with or without the refiner, in the layout of the benchmark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import orjson
from PIL import Image

from annotation.images import RgbImage, decode_image, read_image_bytes
from editfhf.editors.protocol import Editor, EditRequest
from mos.console import NullProgress, Progress
from mos.files import append_lines, replace_file
from refiner.benchmark.samples import BenchmarkSample, find_result

RESULTS_LOG = "results.jsonl"

RepairCall = Callable[[RgbImage, RgbImage, str], RgbImage]
"""From source, edited image and instruction to the repaired image, all uint8 [H, W, 3]."""


def make_results(
    samples: Sequence[BenchmarkSample],
    folder: Path,
    editor: Editor,
    out: Path,
    *,
    repair: RepairCall | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Edit every sample that has no result yet.

    Parameters
    ----------
    samples : sequence of BenchmarkSample
    folder : Path
        Of the benchmark.
    editor : Editor
        It may change the whole image.
    out : Path
        Folder of the results; what each edit was is added to its `results.jsonl`.
    repair : callable, optional
        Applied to what the editor gave, such as the refiner.
    seed : int
    progress : Progress, optional

    Returns
    -------
    dict from str to int
        Number of new edits by their status.
    """
    progress = progress or NullProgress()
    missing = [sample for sample in samples if find_result(out, sample) is None]
    progress.begin("Editing", len(missing))
    counts: dict[str, int] = {}
    for sample in missing:
        source = decode_image(read_image_bytes(folder, sample.source))
        everywhere = np.full(source.shape[:2], 255, np.uint8)
        result = editor.edit(EditRequest(source, source, everywhere, sample.instruction, seed))
        if result.image is not None:
            image = result.image if repair is None else repair(source, result.image, sample.instruction)
            path = out / f"{sample.stem}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, _encode_png(image))
        record = result.record
        line = {
            "sample_id": sample.judged.sample_id, "editor": record.editor, "version": record.version, "seed": seed,
            "parameters": dict(record.parameters), "card_digest": record.card_digest, "status": record.status,
            "detail": record.detail, "refined": repair is not None,
        }  # fmt: skip
        out.mkdir(parents=True, exist_ok=True)
        append_lines(out / RESULTS_LOG, [orjson.dumps(line) + b"\n"])
        counts[record.status] = counts.get(record.status, 0) + 1
        progress.advance()
    return counts


def _encode_png(image: RgbImage) -> bytes:
    stream = BytesIO()
    Image.fromarray(image).save(stream, "PNG", compress_level=6)
    return stream.getvalue()
