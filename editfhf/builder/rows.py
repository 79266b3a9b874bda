"""Resolve the submissions about a pair into its dataset row (regions and saliency maps) and its rows of "marks"."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from annotation.consensus import PairConsensus, ResolvedMark, resolve_regions
from annotation.records import KINDS, Flag, Kind, PairSubmissions, Place, Region
from annotation.regions import TaskKind, parse_submissions
from annotation.rules import AnnotationRules
from annotation.taxonomy import load_edit_tasks
from editfhf import saliency
from editfhf.builder.options import BuildOptions
from editfhf.builder.shard_plan import ShardRow
from editfhf.builder.spool import SpooledRecord, read_spooled_records
from editfhf.builder.steps import BuildCounts


@dataclass(frozen=True)
class BuiltPair:
    """One pair: what was planned, its dataset row without the two images, and its rows of "marks"."""

    planned: ShardRow
    row: dict[str, Any]
    marks: list[dict[str, Any]]


def build_pair_rows(
    planned: Iterable[ShardRow],
    spool: sqlite3.Connection,
    options: BuildOptions,
    pseudonyms: Mapping[str, str],
    tally: BuildCounts,
    render: bool = True,
) -> Iterator[BuiltPair]:
    """Build the rows of planned pairs, in their order.

    Parameters
    ----------
    planned
        Pairs of one shard.
    spool
        The finished annotation spool.
    options
        Resolved options of the build.
    pseudonyms
        By id of the annotator.
    tally
        Takes counts and rejections.
    render
        Whether to render the saliency maps.
    """
    rules = make_consensus_options(options)
    task_ids = list(load_edit_tasks())
    for pair in planned:
        records = read_spooled_records(spool, pair.ordinal)
        submissions = parse_spooled_records(records, pair.pair_id, (pair.edited.width, pair.edited.height), tally)
        outcome = resolve_regions(pair.pair_id, submissions, rules, tally.rejections.append)
        _count_pair(submissions, outcome, tally)
        row = pair.row | {"task": task_ids.index(pair.row["task"])}
        for kind in KINDS:
            regions = [region for region in outcome.regions if region.kind == kind]
            row[f"{kind}_regions"] = [_make_region_row(region, pseudonyms) for region in regions]
            if render:
                row |= _render_pair_map(kind, outcome, pair, options)
        yield BuiltPair(pair, row, [_make_mark_row(mark, pair, pseudonyms) for mark in outcome.marks])


def make_consensus_options(options: BuildOptions) -> AnnotationRules:
    """The annotation rules of a build whose options are resolved."""
    return AnnotationRules(scale=options.mos.scale, **options.regions.model_dump())


def parse_spooled_records(
    records: Iterable[SpooledRecord], pair_id: str, size: tuple[int, int], tally: BuildCounts
) -> PairSubmissions:
    """The submissions about one pair; `size` is (width, height) of the edited image as displayed."""
    tasks: list[tuple[TaskKind, Place, bytes]] = []
    flags = []
    for kind, place, payload in records:
        if kind == "flags":
            content = orjson.loads(payload)
            flags.append(Flag(pair_id, content["region_id"], content["annotator_id"], place))
        else:
            tasks.append((kind, place, payload))
    submissions, counts = parse_submissions(tasks, flags, size, tally.rejections.append)
    tally.counts.update({f"{kind}_in": count for kind, count in counts.items()})
    return submissions


def _count_pair(submissions: PairSubmissions, outcome: PairConsensus, tally: BuildCounts) -> None:
    counts = tally.counts
    counts["regions_read"] += len(submissions.regional)
    counts["expert_read"] += len(submissions.expert)
    counts["rationales_read"] += len(submissions.rationales)
    counts["flags"] += len(submissions.flags)
    counts["boxes"] += len(outcome.marks)
    counts["boxes_accepted"] += sum(mark.status == "accepted" for mark in outcome.marks)
    counts["regions"] += len(outcome.regions)
    counts["regions_flagged"] += len({mark.region_id for mark in outcome.marks if mark.status == "flagged"})
    counts["rationales_final"] += sum(region.rationale is not None for region in outcome.regions)

    for name in sorted({annotation.annotator_id for annotation in (*submissions.regional, *submissions.expert)}):
        tally.person(name)["regional_annotations"] += 1
    for mark in outcome.marks:
        person = tally.person(mark.annotation.annotator_id)
        person["boxes"] += 1
        person["boxes_accepted"] += mark.status == "accepted"
        person["disks"] += len(mark.mark.disks)
    for rationale in submissions.rationales:
        tally.person(rationale.annotator_id)["rationales"] += 1
    for flag in submissions.flags:
        tally.person(flag.annotator_id)["flags"] += 1


def _render_pair_map(kind: Kind, outcome: PairConsensus, pair: ShardRow, options: BuildOptions) -> dict[str, Any]:
    """The columns "<kind>_saliency" and "<kind>_peak"."""
    accepted = [mark for mark in outcome.marks if mark.status == "accepted" and mark.mark.kind == kind]
    disks = [disk for mark in accepted for disk in mark.mark.disks]
    annotators = [mark.annotation.annotator_id for mark in accepted for _ in mark.mark.disks]
    numbers = {name: index for index, name in enumerate(sorted(set(annotators)))}
    height, width = pair.edited.height, pair.edited.width
    png, peak = saliency.render_saliency_png(
        # float32, as the dataset stores them: rendering the stored disks gives the stored map.
        np.asarray(disks, dtype=np.float32).reshape(-1, 2),
        height,
        width,
        sigma=saliency.parse_sigma(options.saliency.sigma).pixels(height),
        profile=options.saliency.profile,
        # Gaussians add up over all annotators; only a union is taken per annotator.
        groups=[numbers[name] for name in annotators] if options.saliency.profile == "union+blur" else None,
    )
    return {f"{kind}_saliency": {"bytes": png, "path": f"{kind}.png"}, f"{kind}_peak": peak}


def _make_region_row(region: Region, pseudonyms: Mapping[str, str]) -> dict[str, Any]:
    return {
        "region_id": region.region_id,
        "box": list(region.box),
        "disks": [list(disk) for disk in region.disks],
        "flaw_type": region.flaw_type,
        "severity": region.severity,
        "rationale": region.rationale,
        "annotators": sorted(pseudonyms[annotator] for annotator in region.annotators),
    }


def _make_mark_row(resolved: ResolvedMark, pair: ShardRow, pseudonyms: Mapping[str, str]) -> dict[str, Any]:
    mark, annotation = resolved.mark, resolved.annotation
    return {
        "pair_id": annotation.pair_id,
        "annotator_id": pseudonyms[annotation.annotator_id],
        "mark_id": mark.mark_id,
        "kind": mark.kind,
        "box": list(mark.box),
        "disks": [list(disk) for disk in mark.disks],
        "flaw_type": mark.flaw_type,
        "severity": mark.severity,
        "status": resolved.status,
        "region_id": resolved.region_id,
        "width": pair.edited.width,
        "height": pair.edited.height,
        "split": pair.split,
        "file": annotation.place.file,
        "row": annotation.place.row,
    }
