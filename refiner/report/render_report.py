"""Render `report.html`: one self-contained page, in which everything that came from outside is escaped."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from annotation.images import RgbImage
from annotation.records import DIMENSIONS, KINDS, Kind
from editfhf.heat import KIND_COLOURS, blend_heat
from editfhf.report.statistics import SCORE_TITLES
from mos import pages
from refiner.accepted_edit import AcceptedEdit, list_turn_images
from refiner.audit import compare_audits, describe_audit
from refiner.loop import LoopResult, TurnPictures
from refiner.turn_records import EditedAreaRecord, ScoreRecord, StopReason, TurnRecord
from training.samples.pair_sample import scale_array

REPORT_FILE = "report.html"

SLIDER_SIDE = 1200
"""Longest side of the images of the slider, in pixels."""

MAP_SIDE = 420
CROP_SIDE = 260
CROP_MARGIN = 0.25
"""A crop shows this share of the area's longer side around it."""

STOP_TITLES: Mapping[StopReason, str] = {
    "clean": "no flaw is left that is perceived",
    "no_gain": "nothing more gained",
    "max_turns": "the limit of turns was reached",
    "budget": "the budget was spent",
    "agent_error": "an agent failed",
}

DECISION_TITLES = {"accepted": "kept", "rolled_back": "rolled back", "not_tried": "not tried"}


def write_report(path: Path, source: RgbImage, edited: RgbImage, instruction: str, result: LoopResult) -> None:
    """Write the page of one refinement, in one step."""
    pages.write_page(path, render_report(source, edited, instruction, result))


def render_report(source: RgbImage, edited: RgbImage, instruction: str, result: LoopResult) -> str:
    """Render the page of one refinement.

    Parameters
    ----------
    source, edited : ndarray
        uint8 [H, W, 3].
    instruction : str
        Untrusted text.
    result : LoopResult

    Returns
    -------
    str
        A page that loads nothing and runs no script but its own.
    """
    script = _read_part("report.js")
    first, last = result.turns[0], result.turns[-1]
    images = list_turn_images(edited, result.edits, len(result.turns))
    return pages.render_page(
        __package__ or "refiner.report",
        "report.html",
        style=pages.page_style(_read_part("report.css")),
        script=_as_markup(script),
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        title=_describe_result(result),
        instruction=instruction,
        stop=STOP_TITLES[result.stop],
        detail=result.detail,
        width=edited.shape[1],
        height=edited.shape[0],
        before_image=encode_data_uri(edited, SLIDER_SIDE),
        after_image=encode_data_uri(result.image, SLIDER_SIDE),
        source_image=encode_data_uri(source, MAP_SIDE),
        heats=_render_heats(first, result.pictures[0]),
        boxes=[_place_box(region.kind, region.box, region.region_id, edited) for region in first.regions],
        changed=bool(result.edits),
        scores=_list_scores(first.before, last.after),
        audits=_list_scores(first.audit_before, last.audit_after),
        audit_text=describe_audit(compare_audits(result.turns)),
        audit_alarm=any(one.parts for one in compare_audits(result.turns)),
        chart=_plot_scores(result.turns),
        facts=_list_facts(result),
        turns=[
            _describe_turn(turn, pictures, images[number], images[number + 1], result.edits)
            for number, (turn, pictures) in enumerate(zip(result.turns, result.pictures, strict=True))
        ],
        agents=_list_agents(result.turns),
    )


def encode_data_uri(image: RgbImage, longest: int) -> str:
    """The image as WebP in a data URI, its longest side at most `longest` pixels."""
    scale = min(1.0, longest / max(image.shape[:2]))
    size = max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale))
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(scale_array(image, *size))).save(stream, "WEBP", quality=88, method=2)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"


@cache
def _read_part(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _as_markup(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)


def _describe_result(result: LoopResult) -> str:
    if not result.edits:
        return "Nothing was changed"
    count = len(result.edits)
    return f"{count} change{'s' if count > 1 else ''} kept"


def _list_facts(result: LoopResult) -> list[tuple[str, str]]:
    tried = sum(len(edit.trials) for turn in result.turns for edit in turn.edits)
    kept = len(result.edits)
    facts = [
        (str(len(result.turns)), "turn" if len(result.turns) == 1 else "turns"),
        (str(len(result.turns[0].regions)), "regions perceived at first"),
        (str(kept), "change kept" if kept == 1 else "changes kept"),
        (str(tried - kept), "tries rolled back"),
        (str(result.calls), "calls of agents and editors"),
    ]
    if result.dollars:
        facts.append((f"${result.dollars:,.2f}", "spent on editors"))
    return facts


def _list_scores(before: ScoreRecord | None, after: ScoreRecord | None) -> list[dict[str, Any]]:
    """Rows of the table of scores: name, before, after, gain; empty without an agent."""
    if before is None or after is None:
        return []
    rows = [
        {"name": SCORE_TITLES[name], "before": before.scores.get(name), "after": after.scores.get(name)}
        for name in DIMENSIONS
    ]
    rows.append({"name": "Overall", "before": before.overall, "after": after.overall})
    for row in rows:
        low, high = row["before"], row["after"]
        row["gain"] = None if low is None or high is None else high - low  # type: ignore[operator]
    return rows


def _plot_scores(turns: Sequence[TurnRecord]) -> dict[str, Any] | None:
    """Points of the overall scores in a box of 100 x 100, by agent; None without two values."""
    series: dict[str, list[float | None]] = {}
    for name, parts in (("evaluator", ("before", "after")), ("auditor", ("audit_before", "audit_after"))):
        records = [getattr(turns[0], parts[0]), *(getattr(turn, parts[1]) for turn in turns)]
        values = [None if record is None else record.overall for record in records]
        if sum(value is not None for value in values) > 1:
            series[name] = values
    if not series:
        return None
    known = [value for values in series.values() for value in values if value is not None]
    low, high = min(known), max(known)
    margin = max(1.0, 0.15 * (high - low))
    low, high = low - margin, high + margin
    count = len(turns)
    lines = [
        {
            "name": name,
            "points": [
                {"x": 100 * number / count, "y": 100 * (high - value) / (high - low), "value": value}
                for number, value in enumerate(values)
                if value is not None
            ],
        }
        for name, values in series.items()
    ]
    return {"lines": lines, "count": count}


def _describe_turn(
    turn: TurnRecord, pictures: TurnPictures, before: RgbImage, after: RgbImage, edits: Sequence[AcceptedEdit]
) -> dict[str, Any]:
    rationales = {region.region_id: region for region in turn.regions}
    return {
        "turn": turn,
        "stop": None if turn.stop is None else STOP_TITLES[turn.stop],
        "gain": _score_gain(turn),
        "panels": _render_panels(turn, pictures, before),
        "edits": [
            {
                "edit": edit,
                "decision": DECISION_TITLES[edit.decision],
                "regions": [rationales[name] for name in edit.regions],
                "before": encode_data_uri(_crop_area(before, edit), CROP_SIDE),
                "after": encode_data_uri(_crop_area(after, edit), CROP_SIDE) if edit.decision == "accepted" else "",
            }
            for edit in turn.edits
        ],
    }


def _score_gain(turn: TurnRecord) -> float | None:
    if turn.before is None or turn.after is None or turn.before.overall is None or turn.after.overall is None:
        return None
    return turn.after.overall - turn.before.overall


def _render_panels(turn: TurnRecord, pictures: TurnPictures, image: RgbImage) -> list[dict[str, Any]]:
    """Both maps over the image of the turn, with the boxes of their kind."""
    if pictures.maps is None:
        return []
    small = Image.fromarray(_shrink(image, MAP_SIDE))
    return [
        {
            "kind": kind,
            "image": encode_data_uri(
                np.asarray(blend_heat(small, pictures.maps.by_kind(kind), KIND_COLOURS[kind])), MAP_SIDE
            ),
            "peak": float(pictures.maps.by_kind(kind).max()),
            "boxes": [
                _place_box(kind, region.box, region.region_id, image) for region in turn.regions if region.kind == kind
            ],
        }
        for kind in KINDS
    ]


def _render_heats(turn: TurnRecord, pictures: TurnPictures) -> list[dict[str, Any]]:
    """The maps alone, transparent where nothing was found, to be laid over the slider."""
    if pictures.maps is None:
        return []
    heats = []
    for kind in KINDS:
        heat = scale_array(pictures.maps.by_kind(kind), *_small_size(pictures.maps.by_kind(kind).shape, MAP_SIDE))
        pixels = np.empty((*heat.shape, 4), np.uint8)
        pixels[:, :, :3] = KIND_COLOURS[kind]
        pixels[:, :, 3] = np.rint(255 * 0.8 * np.sqrt(np.clip(heat, 0, 1)))
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "WEBP", quality=80, method=2)
        data = base64.b64encode(stream.getvalue()).decode()
        heats.append({"kind": kind, "image": f"data:image/webp;base64,{data}"})
    return heats


def _place_box(kind: Kind, box: Sequence[float], name: str, image: RgbImage) -> dict[str, Any]:
    """A box in percent of the image."""
    height, width = image.shape[:2]
    x0, y0, x1, y1 = box
    return {
        "kind": kind,
        "name": name,
        "left": 100 * x0 / width,
        "top": 100 * y0 / height,
        "width": 100 * (x1 - x0) / width,
        "height": 100 * (y1 - y0) / height,
    }


def _crop_area(image: RgbImage, edit: EditedAreaRecord) -> RgbImage:
    x0, y0, x1, y1 = map(int, edit.box)
    margin = max(8, round(CROP_MARGIN * max(x1 - x0, y1 - y0)))
    return image[max(0, y0 - margin) : y1 + margin, max(0, x0 - margin) : x1 + margin]


def _small_size(shape: Sequence[int], longest: int) -> tuple[int, int]:
    scale = min(1.0, longest / max(shape[:2]))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _shrink(image: RgbImage, longest: int) -> RgbImage:
    return np.ascontiguousarray(scale_array(image, *_small_size(image.shape, longest)))


def _list_agents(turns: Sequence[TurnRecord]) -> list[tuple[str, str]]:
    first = turns[0]
    reasoning = dict.fromkeys(region.agent for turn in turns for region in turn.regions)
    editors = dict.fromkeys(
        f"{trial.editor} {trial.version}".strip() for turn in turns for edit in turn.edits for trial in edit.trials
    )
    rows = [("Perception", first.perception), ("Reasoning", ", ".join(reasoning))]
    rows.append(("Evaluation", "" if first.before is None else first.before.agent))
    rows.append(("Auditor", "" if first.audit_before is None else first.audit_before.agent))
    rows.append(("Editors asked", ", ".join(editors)))
    return [(name, text or "none") for name, text in rows]
