"""Write the images of one source with all its pairs, and simulate what people submit about them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import orjson
from PIL import Image as Pillow

from annotation.simulate.annotations import EditedPair, SimulatedAnnotations, annotate_pair
from annotation.simulate.known_pairs import KnownPair, simulate_source_pairs
from annotation.simulate.options import SimulationOptions
from annotation.simulate.participants import ImageSize, SimulatedRater, make_rater_pool
from annotation.simulate.photos import Photo
from annotation.simulate.pixels import RgbImage

ENCODING_SUFFIXES = {"jpeg": "jpg", "png": "png", "webp": "webp"}


CLEAN_FOLDER = "truth"
"""Folder of the corpus with the edits without flaws, where they are wanted."""


@dataclass(frozen=True)
class SimulatedPair:
    """A pair: its line of `pairs.jsonl` and its annotations."""

    line: bytes
    annotations: SimulatedAnnotations


@cache
def _make_raters(settings: SimulationOptions) -> tuple[SimulatedRater, ...]:
    return make_rater_pool(settings)


def simulate_source(
    settings: SimulationOptions, photos: Sequence[Photo], root: Path, index: int
) -> list[SimulatedPair]:
    """Simulate all pairs of one source, and write their images to `root/images` (and `root/truth`)."""
    encoding = _choose_encoding(settings, index)
    suffix = ENCODING_SUFFIXES[encoding]
    pairs: list[SimulatedPair] = []
    for pair in simulate_source_pairs(settings, photos, index):
        name = "source" if settings.profile == "demo" else f"s{index + 1:05d}"
        original = f"images/{pair.source_id}/{name}.{suffix}"
        if not pairs:
            (root / original).parent.mkdir(parents=True, exist_ok=True)
            _write_image(root / original, pair.source, encoding)
        edited = f"images/{pair.source_id}/{pair.pair_id}.{suffix}"
        _write_image(root / edited, pair.edited, encoding)
        pairs.append(_describe_pair(settings, pair, original, edited))
        if settings.clean_images:
            clean = pairs[-1].annotations.truth["clean"] = f"{CLEAN_FOLDER}/{pair.pair_id}.png"
            (root / CLEAN_FOLDER).mkdir(exist_ok=True)
            _write_image(root / clean, pair.clean, "png")
    return pairs


def _choose_encoding(settings: SimulationOptions, index: int) -> str:
    return tuple(ENCODING_SUFFIXES)[index % len(ENCODING_SUFFIXES)] if settings.format == "mixed" else settings.format


def _describe_pair(settings: SimulationOptions, pair: KnownPair, original: str, edited: str) -> SimulatedPair:
    data = {
        "pair_id": pair.pair_id,
        "instruction": pair.instruction,
        "source_image": f"/data/local-files/?d={original}",
        "edited_image": f"/data/local-files/?d={edited}",
    }
    size = ImageSize(int(pair.edited.shape[1]), int(pair.edited.shape[0]))
    edited_pair = EditedPair(pair.index, pair.pair_id, data, size, pair.flaws, pair.quality)
    annotations = annotate_pair(settings, edited_pair, _make_raters(settings))
    common = {"pair_id": pair.pair_id, "source_id": pair.source_id, "editor": pair.editor, "task": pair.task}
    annotations.truth |= common | {"width": size.width, "height": size.height} | {**pair.quality}
    if settings.rendered:
        annotations.truth["rendering"] = pair.rendering
    line = common | {
        "source": original,
        "edited": edited,
        "instruction": pair.instruction,
        "licence": pair.photo.licence,
        "origin": f"{pair.photo.origin}; simulated edit",
    }
    return SimulatedPair(orjson.dumps(line), annotations)


def _write_image(path: Path, image: RgbImage, encoding: str) -> None:
    encoded, stream = Pillow.fromarray(np.ascontiguousarray(image)), io.BytesIO()
    match encoding:
        case "png":
            encoded.save(stream, "PNG", compress_level=3)
        case "webp":
            encoded.save(stream, "WEBP", quality=92, method=2)
        case _:
            encoded.save(stream, "JPEG", quality=93, subsampling=0)
    path.write_bytes(stream.getvalue())
