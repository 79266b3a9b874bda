"""Measure the maps of one agent on one pair, against the dataset's maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from annotation.campaign.quality.matching import match_boxes
from annotation.records import KINDS, Kind
from editfhf.saliency import SaliencySigma
from training.agents.map_regions import find_map_regions
from training.agents.protocols import Perception
from training.metrics.maps import clean_image_metrics, mark_positives, mean_squared_error
from training.metrics.regions import DEFAULT_IOUS
from training.metrics.results import MetricResult
from training.metrics.saliency import saliency_metrics
from training.samples.pair_sample import PairSample

CLEAN_METRICS = ("alarm", "peak")


def measure_maps(agent: Perception, sample: PairSample, preset: str, sigma: SaliencySigma) -> Mapping[str, Any]:
    """Run a perception agent on a pair and measure both of its maps.

    Parameters
    ----------
    agent : Perception
    sample : PairSample
        At the size of the edited image.
    preset : str
        One of `training.metrics.SALIENCY_PRESETS`.
    sigma : SaliencySigma
        Width of the Gaussians of the true maps, which is recorded.

    Returns
    -------
    mapping
        `kinds`: for each kind `clean` (no region was accepted), `values` and `reasons`. Where there is a region the
        five metrics, where there is none `alarm` and `peak`; `mse` in both cases. `boxes`: for each overlap how many
        boxes of the map match, how many it has, and how many are true.
    """
    found = agent.perceive(sample.source, sample.edited, sample.instruction)
    return {"kinds": {kind: _measure_map(kind, found.by_kind(kind), sample, preset, sigma) for kind in KINDS}}


def _measure_map(kind: Kind, prediction: Any, sample: PairSample, preset: str, sigma: SaliencySigma) -> dict[str, Any]:
    height, width = sample.size
    density = sample.maps[kind]
    disks = [disk for region in sample.regions if region.kind == kind for disk in region.disks]
    clean = not density.any()
    results: list[MetricResult] = [mean_squared_error(prediction, density)]
    if clean:
        results.append(clean_image_metrics(prediction))
    else:
        positives = mark_positives(disks, height, width)
        results.append(saliency_metrics(prediction, density, positives, preset, sigma=sigma.pixels(height)))
    values: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    for result in results:
        record = result.as_record()
        values |= record["values"]
        reasons |= record["reasons"]
    if clean:
        values = {name: values[name] for name in ("mse", *CLEAN_METRICS)}
    found = [region.box for region in find_map_regions(prediction)]
    wanted = [region.box for region in sample.regions if region.kind == kind]
    boxes = {f"{iou:g}": [len(match_boxes(found, wanted, iou)), len(found), len(wanted)] for iou in DEFAULT_IOUS}
    return {"clean": clean, "values": values, "reasons": reasons, "boxes": boxes}
