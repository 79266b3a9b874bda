"""What people said of a pair, resolved: accepted regions, the two maps, and the rows that go into the dataset."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from annotation import consensus, export
from annotation.records import KINDS, Flag, Kind, Rationale, Region, RegionalAnnotation
from annotation.tasks import tasks
from editfhf import saliency
from editfhf.build import spool
from editfhf.build.options import BuildOptions
from editfhf.build.spool import Said
from editfhf.build.tally import Tally


@dataclass(frozen=True)
class Made:
    """One pair's row (without its pictures), its rows of `marks`, and the line of the order that it came from."""

    order: dict[str, Any]
    row: dict[str, Any]
    marks: list[dict[str, Any]]


@dataclass
class Heard:
    """All that was said of one pair, as records."""

    annotations: list[RegionalAnnotation]
    expert: list[RegionalAnnotation]
    rationales: list[Rationale]
    flags: list[Flag]


def make_rows(
    orders: list[dict[str, Any]],
    said: sqlite3.Connection,
    options: BuildOptions,
    people: dict[str, str],
    tally: Tally,
    render: bool = True,
) -> Iterator[Made]:
    """One `Made` for every line of an order, in its order; what is set aside on the way goes to the tally."""
    rules = rules_of(options)
    task_ids = list(tasks())
    for order in orders:
        size = (order["edited"]["width"], order["edited"]["height"])
        heard = listen(spool.said_of(said, order["ordinal"]), order["pair_id"], size, tally)
        outcome = consensus.resolve(
            order["pair_id"],
            heard.annotations,
            heard.expert,
            heard.rationales,
            heard.flags,
            rules,
            tally.rejections.append,
        )
        _count(heard, outcome, tally)
        marks = [_mark_row(fate, order, people) for fate in outcome.fates]
        row = dict(order["row"], task=task_ids.index(order["row"]["task"]))
        for kind in KINDS:
            regions = [region for region in outcome.regions if region.kind == kind]
            row[f"{kind}_regions"] = [_region_row(region, people) for region in regions]
            if render:
                row |= _map(kind, outcome, order, options)
        yield Made(order, row, marks)


def rules_of(options: BuildOptions) -> consensus.ConsensusOptions:
    """The rules by which regions are accepted, as the options of a build say them."""
    return consensus.ConsensusOptions(
        min_support=options.regions.min_support,
        iou=options.regions.iou,
        max_flags=options.regions.max_flags,
        reviewers=options.regions.reviewers,
    )


def listen(said: list[Said], pair_id: str, size: tuple[int, int], tally: Tally) -> Heard:
    """What was said of one pair as records; `size` is (width, height) of the edited image as displayed."""
    heard = Heard([], [], [], [])
    reject = tally.rejections.append
    for stage, place, payload in said:
        content = orjson.loads(payload)
        if stage == "flags":
            heard.flags.append(Flag(pair_id, content["region_id"], content["annotator_id"], place))
            continue
        annotations = content.get("annotations")
        tally.counts[f"{stage}_in"] += len(annotations) if isinstance(annotations, list) else 0
        if stage == "rationales":
            heard.rationales += export.rationales(content, place, size, reject)
        else:
            into = heard.annotations if stage == "regions" else heard.expert
            into += export.regional(content, place, size, reject)
    return heard


def _count(heard: Heard, outcome: consensus.Outcome, tally: Tally) -> None:
    counts = tally.counts
    counts["regions_read"] += len(heard.annotations)
    counts["expert_read"] += len(heard.expert)
    counts["rationales_read"] += len(heard.rationales)
    counts["flags"] += len(heard.flags)
    counts["boxes"] += len(outcome.fates)
    counts["boxes_accepted"] += sum(fate.status == "accepted" for fate in outcome.fates)
    counts["regions"] += len(outcome.regions)
    flagged = {fate.region_id for fate in outcome.fates if fate.status == "flagged"}
    counts["regions_flagged"] += len(flagged)
    counts["rationales_final"] += sum(region.rationale is not None for region in outcome.regions)

    for name in sorted({annotation.annotator_id for annotation in (*heard.annotations, *heard.expert)}):
        tally.person(name)["regional_annotations"] += 1
    for fate in outcome.fates:
        who = tally.person(fate.annotation.annotator_id)
        who["boxes"] += 1
        who["boxes_accepted"] += fate.status == "accepted"
        who["disks"] += len(fate.mark.disks)
    for statement in heard.rationales:
        tally.person(statement.annotator_id)["rationales"] += 1
    for flag in heard.flags:
        tally.person(flag.annotator_id)["flags"] += 1


def _map(kind: Kind, outcome: consensus.Outcome, order: dict[str, Any], options: BuildOptions) -> dict[str, Any]:
    used = [fate for fate in outcome.fates if fate.status == "accepted" and fate.mark.kind == kind]
    disks = [disk for fate in used for disk in fate.mark.disks]
    groups = [fate.annotation.annotator_id for fate in used for _ in fate.mark.disks]
    height, width = order["edited"]["height"], order["edited"]["width"]
    names = {name: index for index, name in enumerate(sorted(set(groups)))}
    png, peak = saliency.png(
        # float32, as the dataset stores them: whoever renders the stored points gets the stored map.
        np.asarray(disks, dtype=np.float32).reshape(-1, 2),
        height,
        width,
        sigma=saliency.parse_sigma(options.saliency.sigma).pixels(height),
        profile=options.saliency.profile,
        # The Gaussians add up over everybody (design, section 4); only a union is taken person by person.
        groups=[names[name] for name in groups] if options.saliency.profile == "union+blur" else None,
    )
    image = {"bytes": png, "path": f"{kind}.png"}
    return {f"{kind}_saliency": image, f"{kind}_peak": peak}


def _region_row(region: Region, people: dict[str, str]) -> dict[str, Any]:
    return {
        "region_id": region.region_id,
        "box": list(region.box),
        "disks": [list(disk) for disk in region.disks],
        "flaw_type": region.flaw_type,
        "severity": region.severity,
        "rationale": region.rationale,
        "annotators": sorted(people[annotator] for annotator in region.annotators),
    }


def _mark_row(fate: consensus.MarkFate, order: dict[str, Any], people: dict[str, str]) -> dict[str, Any]:
    mark, annotation = fate.mark, fate.annotation
    return {
        "pair_id": annotation.pair_id,
        "annotator_id": people[annotation.annotator_id],
        "mark_id": mark.mark_id,
        "kind": mark.kind,
        "box": list(mark.box),
        "disks": [list(disk) for disk in mark.disks],
        "flaw_type": mark.flaw_type,
        "severity": mark.severity,
        "status": fate.status,
        "region_id": fate.region_id,
        "width": order["edited"]["width"],
        "height": order["edited"]["height"],
        "split": order["split"],
        "file": annotation.place.file,
        "row": annotation.place.row,
    }
