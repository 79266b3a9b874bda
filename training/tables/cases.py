"""The best, median and worst pair of an agent as small pictures: source, edited image, truth, and the maps of all."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotation.images import RgbImage
from annotation.records import KINDS, Kind
from mos.rejections import Rejection
from mos.words import format_decimal
from training.baselines.fixed_scale import shrink_image
from training.samples.pair_sample import PairSample, scale_array
from training.samples.read_samples import read_samples
from training.tables.dataset_split import DatasetSplit
from training.tables.run_agents import NamedAgent

CASE_SIDE = 200
"""Longest side of a picture in pixels."""

CASE_METRIC = "cc"

_NAMES = ("Best", "Median", "Worst")
_HEAT = np.array([255.0, 60.0, 0.0])
_INSTRUCTION_LENGTH = 300


@dataclass(frozen=True, slots=True)
class ShownCase:
    """One pair as a row of pictures.

    Attributes
    ----------
    title, text : str
    pictures : tuple of (str, str)
        Caption and data URI of each.
    """

    title: str
    text: str
    pictures: tuple[tuple[str, str], ...]


def show_map_cases(split: DatasetSplit, agents: Sequence[NamedAgent]) -> tuple[ShownCase, ...]:
    """The best, median and worst pair of the agent with the highest mean CC, for each kind, with the maps of all."""
    wanted: dict[str, list[tuple[Kind, str, str]]] = {}
    for kind in KINDS:
        for name, pair_id, agent, value in _choose_cases(kind, agents):
            shown = f"{name} {kind} map of {agent}: CC {format_decimal(value, 3)}"
            wanted.setdefault(pair_id, []).append((kind, name, shown))
    rows = split.select_pairs(frozenset(wanted))
    found: dict[tuple[Kind, str], ShownCase] = {}

    def ignore(rejection: Rejection) -> None:
        return

    for sample in read_samples(rows, reject=ignore):
        for kind, name, title in wanted[sample.pair_id]:
            found[kind, name] = _show_sample(sample, kind, title, agents)
    return tuple(found[kind, name] for kind in KINDS for name in _NAMES if (kind, name) in found)


def _choose_cases(kind: Kind, agents: Sequence[NamedAgent]) -> list[tuple[str, str, str, float]]:
    """Name of the case, pair, agent and CC; nothing where no agent has a CC."""
    values: dict[str, dict[str, float]] = {}
    for agent in agents:
        values[agent.name] = {
            pair_id: value
            for pair_id, record in agent.records.by_pair.items()
            if record["status"] == "ok" and (value := record["kinds"][kind]["values"].get(CASE_METRIC)) is not None
        }
    measured = {name: found for name, found in values.items() if found}
    if not measured:
        return []
    best = max(measured, key=lambda name: math.fsum(measured[name].values()) / len(measured[name]))
    ranked = sorted(measured[best].items(), key=lambda item: (-item[1], item[0]))
    places = dict(zip(_NAMES, (0, len(ranked) // 2, len(ranked) - 1), strict=True))
    return [(name, ranked[place][0], best, ranked[place][1]) for name, place in places.items()]


def _show_sample(sample: PairSample, kind: Kind, title: str, agents: Sequence[NamedAgent]) -> ShownCase:
    pictures = [
        ("source", _encode_picture(shrink_image(sample.source, CASE_SIDE))),
        ("edited", _encode_picture(shrink_image(sample.edited, CASE_SIDE))),
        ("people", _encode_picture(_draw_heat(sample.edited, sample.maps[kind]))),
    ]
    for agent in agents:
        values = agent.records.by_pair.get(sample.pair_id, {})
        if values.get("status") != "ok":
            continue
        found = agent.agent.perceive(sample.source, sample.edited, sample.instruction).by_kind(kind)
        number = values["kinds"][kind]["values"].get(CASE_METRIC)
        caption = f"{agent.name}, CC {format_decimal(number, 2)}"
        pictures.append((caption, _encode_picture(_draw_heat(sample.edited, found))))
    instruction = sample.instruction[:_INSTRUCTION_LENGTH] or "(no instruction)"
    return ShownCase(f"{title}, pair {sample.pair_id}", instruction, tuple(pictures))


def _draw_heat(image: RgbImage, saliency: NDArray[Any]) -> RgbImage:
    """The image in grey with a map over it, on the map's own absolute scale."""
    small = shrink_image(image, CASE_SIDE)
    values = np.clip(scale_array(saliency, *small.shape[:2]), 0, 1)[..., None]
    grey = small.mean(axis=2, keepdims=True) * 0.7 + 60
    return np.asarray(np.clip(grey * (1 - values) + _HEAT * values, 0, 255), np.uint8)


def _encode_picture(image: RgbImage) -> str:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def show_score_cases(
    split: DatasetSplit, agent: NamedAgent, truth: Mapping[str, float | None], name: str
) -> tuple[ShownCase, ...]:
    """The pairs whose rank by the agent is closest to, in the middle of, and furthest from their rank by people."""
    pairs = [
        (pair_id, float(given), float(true))
        for pair_id, record in agent.records.by_pair.items()
        if record["status"] == "ok"
        and (given := record["scores"][name]["value"]) is not None
        and (true := truth.get(pair_id)) is not None
    ]
    if not pairs:
        return ()
    ranks = [np.argsort(np.argsort([pair[place] for pair in pairs], kind="stable")) for place in (1, 2)]
    ordered = np.argsort(np.abs(ranks[0] - ranks[1]), kind="stable")
    places = dict(zip(_NAMES, (int(ordered[0]), int(ordered[len(pairs) // 2]), int(ordered[-1])), strict=True))
    wanted = {pairs[place][0]: (case, place) for case, place in reversed(places.items())}
    found: dict[str, ShownCase] = {}

    def ignore(rejection: Rejection) -> None:
        return

    for sample in read_samples(split.select_pairs(frozenset(wanted)), reject=ignore):
        case, place = wanted[sample.pair_id]
        title = (
            f"{case} {name.replace('_', ' ')} score of {agent.name}: {format_decimal(pairs[place][1])}, rank "
            f"{ranks[0][place] + 1} of {len(pairs)}; people {format_decimal(pairs[place][2])}, rank "
            f"{ranks[1][place] + 1}; pair {sample.pair_id}"
        )
        pictures = tuple(
            (caption, _encode_picture(shrink_image(image, CASE_SIDE)))
            for caption, image in (("source", sample.source), ("edited", sample.edited))
        )
        found[case] = ShownCase(title, sample.instruction[:_INSTRUCTION_LENGTH] or "(no instruction)", pictures)
    return tuple(found[case] for case in _NAMES if case in found)
