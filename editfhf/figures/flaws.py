"""Figures of regions: types of flaw, regions per image, where in the picture they lie."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence

import numpy as np

from annotation.records import SEVERITIES
from editfhf.figures.drawing import Drawing, short, ticks
from editfhf.figures.wording import KIND_NAMES, decimal, percent, words
from editfhf.statistics.records import Regions, Statistics

RGB = {"artifact": (225, 84, 14), "failure": (38, 130, 226)}
MOST_PER_IMAGE = 8
_ROW, _LEFT, _WIDTH = 19, 146, 250


def flaw_types(statistics: Statistics) -> Drawing:
    """Regions by flaw type, stacked by severity, one panel for each kind."""
    rows = [sorted(part.flaws.items(), key=_frequent_first) for part in statistics.regions]
    drawing = Drawing(
        "Types of flaw",
        "Accepted regions by flaw type and severity, artifacts and instruction failures.",
        44 + sum(44 + _ROW * len(types) for types in rows),
    )
    drawing.heading()
    top = 34.0
    most = max((sum(found.values()) for types in rows for _, found in types), default=0) or 1
    for part, types in zip(statistics.regions, rows, strict=True):
        drawing.text(14, top + 10, f"{KIND_NAMES[part.kind]}: {part.regions:,} regions", "ink strong")
        legend = [("square", f"{part.kind} {severity}", severity) for severity in SEVERITIES]
        drawing.legend(drawing.width - 196, top + 10, [*legend])
        for k, (name, found) in enumerate(types):
            _stacked(drawing, top + 22 + _ROW * k, part, name, found, _WIDTH / most)
        top += 44 + _ROW * len(types)
    return drawing


def _frequent_first(found: tuple[str, Mapping[str, int]]) -> tuple[bool, int]:
    """The most frequent type first, what has no type last."""
    name, counts = found
    return not name, -sum(counts.values())


def _stacked(drawing: Drawing, y: float, part: Regions, name: str, counts: Mapping[str, int], scale: float) -> None:
    total = sum(counts.values())
    drawing.text(_LEFT - 8, y + 12, short(words(name), _LEFT - 16), "ink", "end")
    x = float(_LEFT)
    for severity in (*SEVERITIES, ""):
        width = counts.get(severity, 0) * scale
        tip = f"{words(name)}, {severity or 'severity not given'}: {counts.get(severity, 0):,}"
        drawing.rect(x, y + 2, width, _ROW - 6, f"{part.kind} {severity or 'unknown'}", tip)
        x += width
    share = f"{total:,} ({percent(total / part.regions, 0)})" if part.regions and total else "0"
    drawing.text(x + 6, y + 12, share if x < 380 else f"{total:,}", "soft small")


def regions_per_image(statistics: Statistics) -> Drawing:
    """How many regions an image has: a pair of bars for each count."""
    drawing = Drawing("Regions per image", "Images by the number of accepted regions of each kind.", 230)
    drawing.heading()
    drawing.legend(230, 20, [("square", part.kind, KIND_NAMES[part.kind]) for part in statistics.regions])
    pairs = max(statistics.total.pairs, 1)
    shown = {part.kind: _capped(part.per_image) for part in statistics.regions}
    top = max((max(counts) / pairs for counts in shown.values()), default=0) or 1
    left, bottom, height = 44.0, 190.0, 140.0
    for tick in ticks(0, top, 4):
        y = bottom - height * tick / top
        drawing.line(left, y, 446, y)
        drawing.text(left - 6, y + 4, percent(tick, 0), "soft small", "end")
    step = (446 - left) / (MOST_PER_IMAGE + 1)
    for k in range(MOST_PER_IMAGE + 1):
        x = left + step * k
        label = f"{k}+" if k == MOST_PER_IMAGE else str(k)
        drawing.text(x + step / 2, bottom + 16, label, "soft small", "middle")
        for side, (kind, counts) in enumerate(shown.items()):
            tall = height * counts[k] / pairs / top
            tip = f"{counts[k]:,} images ({percent(counts[k] / pairs)}) with {label} {kind} regions"
            drawing.rect(x + step * (0.14 + 0.36 * side), bottom - tall, step * 0.34, tall, kind, tip)
    drawing.line(left, bottom, 446, bottom, "axis")
    drawing.text(left + (446 - left) / 2, bottom + 33, "regions on the image", "soft small", "middle")
    return drawing


def _capped(counts: Sequence[int]) -> list[int]:
    """Counts from 0 to the cap; the last holds everything from there on."""
    padded = [*counts, *[0] * (MOST_PER_IMAGE + 1)]
    return [*padded[:MOST_PER_IMAGE], sum(padded[MOST_PER_IMAGE:])]


def saliency(statistics: Statistics) -> Drawing:
    """The mean saliency map of each kind."""
    drawing = Drawing("Where flaws lie", "Mean saliency map of each kind over all images, stretched to a square.", 268)
    drawing.heading()
    for k, part in enumerate(statistics.regions):
        x = 14 + k * 222.0
        mean = np.array(part.saliency, dtype=np.float64)
        peak = float(mean.max(initial=0.0))
        drawing.rect(x, 34, 210, 196, "track")
        label = f"Mean {part.kind} map, highest value {decimal(peak, 3)}"
        drawing.image(x, 34, 210, 196, heat_uri(mean / peak if peak > 0 else mean, RGB[part.kind]), label)
        drawing.text(x, 248, KIND_NAMES[part.kind], "ink strong")
        drawing.text(x + 210, 248, f"highest {decimal(peak, 3)}", "soft small", "end")
    drawing.text(
        14, 263, "Mean over all images, each scaled to a square; full colour is the highest value.", "soft small"
    )
    return drawing


def heat_uri(heat: np.ndarray, rgb: tuple[int, int, int], levels: int = 64) -> str:
    """A map in [0, 1] as a data URI: a PNG of one colour whose opacity is the map.

    heat: float [h, w].  A palette with one alpha value a level keeps it at one byte a pixel.
    """
    from PIL import Image

    index = np.clip(np.rint(heat * (levels - 1)), 0, levels - 1).astype(np.uint8)
    image = Image.fromarray(index).convert("L")
    image = Image.frombytes("P", image.size, image.tobytes())
    image.putpalette(list(rgb) * levels)
    # the square root shows the weak flanks of a map; 0.85 lets the picture below shine through its peak
    alpha = bytes(round(255 * 0.85 * (level / (levels - 1)) ** 0.5) for level in range(levels))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=alpha, optimize=False, compress_level=9)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
