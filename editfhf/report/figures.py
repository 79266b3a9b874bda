"""Figures of a dataset as SVG: regions, scores, raters and build steps; light and dark, the same bytes every time."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.records import SEVERITIES
from annotation.taxonomy import load_task_groups
from editfhf.heat import KIND_COLOURS
from editfhf.report.drawing import SvgDrawing, compute_axis_ticks, shorten_text
from editfhf.report.statistics import (
    KIND_TITLES,
    SCORE_BIN_WIDTH,
    SCORE_KEYS,
    SCORE_SHAPES,
    SCORE_TITLES,
    DatasetStatistics,
    GroupStatistics,
    RaterStatistics,
    RegionStatistics,
    ScoreDistribution,
    format_estimate,
    format_limit,
)
from mos.words import format_decimal, format_identifier, format_percent

MAX_REGIONS_SHOWN = 8


_FLAW_ROW, _FLAW_LEFT, _FLAW_WIDTH = 19, 146, 250


def draw_flaw_types(statistics: DatasetStatistics) -> SvgDrawing:
    """Regions by flaw type, stacked by severity, one panel for each kind."""
    rows = [sorted(part.flaws.items(), key=_flaw_sort_key) for part in statistics.regions]
    drawing = SvgDrawing(
        "Types of flaw",
        "Accepted regions by flaw type and severity, artifacts and instruction failures.",
        44 + sum(44 + _FLAW_ROW * len(types) for types in rows),
    )
    drawing.heading()
    top = 34.0
    most = max((sum(found.values()) for types in rows for _, found in types), default=0) or 1
    for part, types in zip(statistics.regions, rows, strict=True):
        drawing.text(14, top + 10, f"{KIND_TITLES[part.kind]}: {part.regions:,} regions", "ink strong")
        legend = [("square", f"{part.kind} {severity}", severity) for severity in SEVERITIES]
        drawing.legend(drawing.width - 196, top + 10, [*legend])
        for k, (name, found) in enumerate(types):
            _draw_stacked_bar(drawing, top + 22 + _FLAW_ROW * k, part, name, found, _FLAW_WIDTH / most)
        top += 44 + _FLAW_ROW * len(types)
    return drawing


def _flaw_sort_key(found: tuple[str, Mapping[str, int]]) -> tuple[bool, int]:
    """The most frequent type first, what has no type last."""
    name, counts = found
    return not name, -sum(counts.values())


def _draw_stacked_bar(
    drawing: SvgDrawing, y: float, part: RegionStatistics, name: str, counts: Mapping[str, int], scale: float
) -> None:
    total = sum(counts.values())
    drawing.text(_FLAW_LEFT - 8, y + 12, shorten_text(format_identifier(name), _FLAW_LEFT - 16), "ink", "end")
    x = float(_FLAW_LEFT)
    for severity in (*SEVERITIES, ""):
        width = counts.get(severity, 0) * scale
        tip = f"{format_identifier(name)}, {severity or 'severity not given'}: {counts.get(severity, 0):,}"
        drawing.rect(x, y + 2, width, _FLAW_ROW - 6, f"{part.kind} {severity or 'unknown'}", tip)
        x += width
    share = f"{total:,} ({format_percent(total / part.regions)})" if part.regions and total else "0"
    drawing.text(x + 6, y + 12, share if x < 380 else f"{total:,}", "soft small")


def draw_regions_per_image(statistics: DatasetStatistics) -> SvgDrawing:
    """How many regions an image has: a pair of bars for each count."""
    drawing = SvgDrawing("Regions per image", "Images by the number of accepted regions of each kind.", 230)
    drawing.heading()
    drawing.legend(230, 20, [("square", part.kind, KIND_TITLES[part.kind]) for part in statistics.regions])
    pairs = max(statistics.total.pairs, 1)
    shown = {part.kind: _cap_counts(part.per_image) for part in statistics.regions}
    top = max((max(counts) / pairs for counts in shown.values()), default=0) or 1
    left, bottom, height = 44.0, 190.0, 140.0
    for tick in compute_axis_ticks(0, top, 4):
        y = bottom - height * tick / top
        drawing.line(left, y, 446, y)
        drawing.text(left - 6, y + 4, format_percent(tick), "soft small", "end")
    step = (446 - left) / (MAX_REGIONS_SHOWN + 1)
    for k in range(MAX_REGIONS_SHOWN + 1):
        x = left + step * k
        label = f"{k}+" if k == MAX_REGIONS_SHOWN else str(k)
        drawing.text(x + step / 2, bottom + 16, label, "soft small", "middle")
        for side, (kind, counts) in enumerate(shown.items()):
            tall = height * counts[k] / pairs / top
            tip = f"{counts[k]:,} images ({format_percent(counts[k] / pairs, 1)}) with {label} {kind} regions"
            drawing.rect(x + step * (0.14 + 0.36 * side), bottom - tall, step * 0.34, tall, kind, tip)
    drawing.line(left, bottom, 446, bottom, "axis")
    drawing.text(left + (446 - left) / 2, bottom + 33, "regions on the image", "soft small", "middle")
    return drawing


def _cap_counts(counts: Sequence[int]) -> list[int]:
    """Counts from 0 to the cap; the last holds everything from there on."""
    padded = [*counts, *[0] * (MAX_REGIONS_SHOWN + 1)]
    return [*padded[:MAX_REGIONS_SHOWN], sum(padded[MAX_REGIONS_SHOWN:])]


def draw_mean_saliency(statistics: DatasetStatistics) -> SvgDrawing:
    """The mean saliency map of each kind."""
    drawing = SvgDrawing(
        "Where flaws lie", "Mean saliency map of each kind over all images, stretched to a square.", 268
    )
    drawing.heading()
    for k, part in enumerate(statistics.regions):
        x = 14 + k * 222.0
        mean = np.array(part.saliency, dtype=np.float64)
        peak = float(mean.max(initial=0.0))
        drawing.rect(x, 34, 210, 196, "track")
        label = f"Mean {part.kind} map, highest value {format_decimal(peak, 3)}"
        drawing.image(
            x, 34, 210, 196, encode_heat_uri(mean / peak if peak > 0 else mean, KIND_COLOURS[part.kind]), label
        )
        drawing.text(x, 248, KIND_TITLES[part.kind], "ink strong")
        drawing.text(x + 210, 248, f"highest {format_decimal(peak, 3)}", "soft small", "end")
    drawing.text(
        14, 263, "Mean over all images, each scaled to a square; full colour is the highest value.", "soft small"
    )
    return drawing


def encode_heat_uri(heat: NDArray[Any], rgb: tuple[int, int, int], levels: int = 64) -> str:
    """A map in [0, 1] as a data URI: a PNG of one colour whose opacity is the map.

    heat: float [h, w].  A palette with one alpha value a level keeps it at one byte a pixel.
    """
    from PIL import Image

    index = np.clip(np.rint(heat * (levels - 1)), 0, levels - 1).astype(np.uint8)
    image = Image.fromarray(index).convert("L")
    image = Image.frombytes("P", image.size, image.tobytes())
    image.putpalette(list(rgb) * levels)
    # the square root shows the weak flanks of a map; 0.85 keeps the image below visible at its peak
    alpha = bytes(round(255 * 0.85 * (level / (levels - 1)) ** 0.5) for level in range(levels))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=alpha, optimize=False, compress_level=9)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


MAX_RATERS_SHOWN = 40


MAX_SCALE_FACTOR = 4
"""End of the scale in units of the limit, so that one careless rater does not flatten all others."""


_RATER_LEFT, _RATER_RIGHT = 120.0, 440.0


def draw_raters(statistics: DatasetStatistics) -> SvgDrawing:
    """Outlier share of every rater, with the limit and the band expected of honest raters."""
    rated = [rater for rater in statistics.raters if rater.ratings and rater.outlier_share is not None]
    rated.sort(key=lambda rater: (-(rater.outlier_share or 0), rater.annotator_id))
    shown = rated[:MAX_RATERS_SHOWN]
    row, top = 17.0, 66.0
    bottom = top + row * max(len(shown), 1)
    drawing = SvgDrawing("Outlier share of raters", "Outlier share of each rater with the null band.", bottom + 40)
    drawing.heading()
    drawing.legend(
        14,
        42,
        [("circle", "kept", "kept"), ("diamond", "excluded", "excluded"), ("square", "band", "95 % of honest raters")],
    )
    limit = statistics.outlier_limit
    ends = [value for rater in shown for value in (rater.outlier_share, rater.null_high) if value is not None]
    high = max(0.01, max([*ends, limit or 0.0]) * 1.08)
    if limit:
        high = max(0.01, min(high, limit * MAX_SCALE_FACTOR))
    for tick in compute_axis_ticks(0, high, 6):
        x = _share_to_x(tick, high)
        drawing.line(x, top, x, bottom)
        drawing.text(x, bottom + 15, format_percent(tick, 0 if high > 0.06 else 1), "soft small", "middle")
    for k, rater in enumerate(shown):
        _draw_rater(drawing, top + row * (k + 0.5), rater, high)
    if limit is not None:
        x = _share_to_x(limit, high)
        drawing.line(x, top - 4, x, bottom, "limit")
        drawing.text(x + 4, top - 1, f"limit {format_limit(limit)}", "excluded small")
    rest = f" ({len(rated) - len(shown):,} more below)" if len(rated) > len(shown) else ""
    label = f"share of the rater's ratings that are outliers{rest}"
    drawing.text((_RATER_LEFT + _RATER_RIGHT) / 2, bottom + 31, label, "soft small", "middle")
    return drawing


def _draw_rater(drawing: SvgDrawing, y: float, rater: RaterStatistics, high: float) -> None:
    drawing.text(_RATER_LEFT - 10, y + 4, shorten_text(rater.annotator_id, _RATER_LEFT - 18), "ink small", "end")
    if rater.null_low is not None and rater.null_high is not None and rater.expected_share is not None:
        left, middle, right = (_share_to_x(x, high) for x in (rater.null_low, rater.expected_share, rater.null_high))
        band = f"{format_percent(rater.null_low, 1)} to {format_percent(rater.null_high, 1)}"
        tip = f"expected {format_percent(rater.expected_share, 1)}, 95 % of honest raters {band}"
        drawing.rect(left, y - 5, right - left, 10, "band", tip, 2)
        drawing.line(middle, y - 5, middle, y + 5, "axis")
    share = rater.outlier_share or 0.0
    shape, look = ("diamond", "excluded") if rater.excluded else ("circle", "kept")
    outcome = ", excluded" if rater.excluded else ""
    if share > high:
        drawing.text(_RATER_RIGHT - 8, y + 4, f"{format_percent(share)} →", "ink small", "end")
    tip = f"{rater.annotator_id}: {rater.outliers:,} of {rater.ratings:,} ratings, {format_percent(share, 1)}{outcome}"
    drawing.mark(_share_to_x(share, high), y, shape, look, tip)


def _share_to_x(share: float, high: float) -> float:
    return _RATER_LEFT + (_RATER_RIGHT - _RATER_LEFT) * min(share / high, 1.0)


def draw_build_steps(statistics: DatasetStatistics) -> SvgDrawing:
    """Counts in and out of each step of the build."""
    row = 40.0
    drawing = SvgDrawing(
        "From corpus to dataset",
        "Counts in and out of each step of the build.",
        40 + row * max(len(statistics.stages), 1),
    )
    drawing.heading()
    for k, stage in enumerate(statistics.stages):
        y = 36 + row * k
        share = min(1.0, stage.left / stage.entered) if stage.entered else 1.0
        drawing.text(14, y + 11, format_identifier(stage.stage), "ink strong")
        lost = f", {stage.set_aside:,} rejected" if stage.set_aside else ""
        drawing.text(446, y + 11, f"{stage.entered:,} in, {stage.left:,} out{lost}", "soft small", "end")
        why = ", ".join(f"{format_identifier(reason)} {count:,}" for reason, count in stage.reasons.items())
        drawing.rect(14, y + 17, 432, 10, "track", why or "nothing rejected", 3)
        drawing.rect(14, y + 17, 432 * share, 10, "kept", f"{format_percent(share, 1)} left", 3)
    return drawing


_SCORE_LEFT, _SCORE_RIGHT = 150.0, 444.0


def draw_score_distributions(statistics: DatasetStatistics) -> SvgDrawing:
    """Histogram of every score over all images, in panels of one scale."""
    drawing = SvgDrawing(
        "Mean opinion scores", "Histogram of each mean opinion score over all images, with mean and sd.", 346
    )
    drawing.heading()
    top = max((max(score.histogram, default=0) for score in statistics.scores), default=0) or 1
    for k, score in enumerate(statistics.scores):
        _draw_histogram(drawing, 16 + 226.0 * (k % 2), 34 + 148.0 * (k // 2), score, top)
    drawing.text(14, 336, "Images by score, in bins of 5 points; mean ± standard deviation over images.", "soft small")
    return drawing


def _draw_histogram(drawing: SvgDrawing, x: float, y: float, score: ScoreDistribution, top: int) -> None:
    width, height = 200.0, 88.0
    bottom = y + 30 + height
    spread = (
        f"{format_decimal(score.mean)} ± {format_decimal(score.sd)}"
        if score.sd is not None
        else format_decimal(score.mean)
    )
    drawing.text(x, y + 10, SCORE_TITLES[score.score], "ink strong")
    drawing.text(x, y + 24, spread, "soft small")
    step = width / len(score.histogram)
    for k, count in enumerate(score.histogram):
        tall = height * count / top
        tip = f"{SCORE_TITLES[score.score]} {k * SCORE_BIN_WIDTH}–{(k + 1) * SCORE_BIN_WIDTH}: {count:,} images"
        drawing.rect(x + step * k + 0.6, bottom - tall, step - 1.2, tall, f"bar {score.score}", tip)
    drawing.line(x, bottom, x + width, bottom, "axis")
    for tick in (0, 25, 50, 75, 100):
        drawing.text(x + width * tick / 100, bottom + 13, tick, "soft small", "middle")
    if score.mean is not None:
        mean = x + width * min(max(score.mean, 0), 100) / 100
        drawing.line(mean, y + 30, mean, bottom, "axis")


def draw_scores_by_group(
    title: str, groups: Sequence[GroupStatistics], names: Mapping[str, str] | None = None
) -> SvgDrawing:
    """Mean of every score with its 95 % interval, one row for each group, the best overall first."""
    ordered = sorted(groups, key=lambda group: (-(group.scores["overall"].mean or -math.inf), group.name))
    row = 42.0
    drawing = SvgDrawing(
        title, f"{title}: mean opinion scores with 95 % intervals over images.", 74 + row * len(ordered) + 26
    )
    drawing.heading()
    drawing.legend(10, 42, [(SCORE_SHAPES[score], score, SCORE_TITLES[score]) for score in SCORE_KEYS])
    low, high = _find_score_range(ordered)
    top, bottom = 54.0, 54 + row * len(ordered)
    for tick in compute_axis_ticks(low, high):
        x = _score_to_x(tick, low, high)
        drawing.line(x, top, x, bottom)
        drawing.text(x, bottom + 15, format_decimal(tick, 0), "soft small", "middle")
    for k, group in enumerate(ordered):
        label = (names or {}).get(group.name, group.name)
        drawing.text(
            _SCORE_LEFT - 10, top + row * k + 19, shorten_text(label, _SCORE_LEFT - 18), "ink", "end", tip=label
        )
        drawing.text(_SCORE_LEFT - 10, top + row * k + 32, f"{group.pairs:,} images", "soft small", "end")
        _draw_group_row(drawing, top + row * k, label, group, low, high)
    drawing.text(
        (_SCORE_LEFT + _SCORE_RIGHT) / 2,
        bottom + 31,
        "mean opinion score, 95 % interval over images",
        "soft small",
        "middle",
    )
    return drawing


def _draw_group_row(
    drawing: SvgDrawing, top: float, label: str, group: GroupStatistics, low: float, high: float
) -> None:
    for k, score in enumerate(SCORE_KEYS):
        value = group.scores[score]
        if value.mean is None:
            continue
        y = top + 8 + 8.6 * k
        half = value.ci95 or 0.0
        left, right = (_score_to_x(value.mean + side * half, low, high) for side in (-1, 1))
        drawing.line(left, y, right, y, f"whisker {score}")
        tip = f"{label}, {SCORE_TITLES[score]}: {format_estimate(value)} ({value.n:,} images)"
        drawing.mark(_score_to_x(value.mean, low, high), y, SCORE_SHAPES[score], score, tip, 3.4)


def _find_score_range(groups: Sequence[GroupStatistics]) -> tuple[float, float]:
    """From the lowest to the highest end of an interval within [0, 100], to the next tens."""
    found = [value for group in groups for value in group.scores.values()]
    ends = [value.mean + side * (value.ci95 or 0) for value in found if value.mean is not None for side in (-1, 1)]
    if not ends:
        return 0.0, 100.0
    low = max(0, 10 * math.floor(min(ends) / 10))
    high = min(100, 10 * math.ceil(max(ends) / 10))
    return (float(low), float(high)) if high > low else (0.0, 100.0)


def _score_to_x(value: float, low: float, high: float) -> float:
    return _SCORE_LEFT + (_SCORE_RIGHT - _SCORE_LEFT) * (min(max(value, low), high) - low) / (high - low)


def draw_figures(statistics: DatasetStatistics) -> dict[str, SvgDrawing]:
    """Every figure by name, in the order of the report; the figure of raters only if outliers are counted."""
    counted = any(rater.outlier_share is not None for rater in statistics.raters)
    return {
        "stages": draw_build_steps(statistics),
        "score_distributions": draw_score_distributions(statistics),
        "scores_by_editor": draw_scores_by_group("Scores by editor", statistics.editors),
        "scores_by_task_group": draw_scores_by_group(
            "Scores by task group", statistics.task_groups, load_task_groups()
        ),
        "flaw_types": draw_flaw_types(statistics),
        "regions_per_image": draw_regions_per_image(statistics),
        "mean_saliency": draw_mean_saliency(statistics),
        **({"raters": draw_raters(statistics)} if counted else {}),
    }


def write_figures(statistics: DatasetStatistics, folder: Path) -> list[str]:
    """Write every figure into `folder`, which is created if needed; returns the file names in order."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for name, drawing in draw_figures(statistics).items():
        (folder / f"{name}.svg").write_text(drawing.svg(standalone=True), encoding="utf-8", newline="\n")
        names.append(f"{name}.svg")
    return names
