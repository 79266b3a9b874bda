"""Compute the accepted regions of a pair from everything that was submitted about it.

Pure functions: the same submissions give the same regions, in any order.  Where an expert reviewed the pair, the
expert's marks are the regions.  Otherwise a region is a cluster of boxes on which enough annotators agree (by default
two, at IoU 0.5; its box is the coordinate-wise median).  Regions that too many raters flagged are discarded with their
disks.

An expert's review changes only what the expert changed.  A region that the expert left as it was proposed keeps its
annotators and their disks.  Where the task showed the disks of all annotators, the expert's disks replace them, so that
a disk that the expert removed is gone; elsewhere (other tools, earlier versions) they are added to those of the
annotators.  A disk of the expert that lies on one of an annotator that was shown is that disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from statistics import median
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotation.box_clusters import IOU_ROUNDING, cluster_boxes, iou_matrix
from annotation.json_lines import RejectCallback
from annotation.rationales import TextAgreement, compute_text_agreement, most_common_listed, sort_statements
from annotation.records import (
    KINDS,
    SEVERITIES,
    Box,
    Disk,
    Flag,
    Kind,
    Mark,
    PairSubmissions,
    Rationale,
    Region,
    RegionalAnnotation,
    Rejection,
    Severity,
)
from annotation.rules import AnnotationRules, split_latest
from annotation.taxonomy import list_flaw_types

MarkStatus = Literal["accepted", "unsupported", "superseded", "overruled", "flagged"]

SAME_DISK_TOLERANCE = 0.01
"""Pixels within which a disk of the expert is the one that was shown: a browser gives it back with rounded digits."""


@dataclass(frozen=True, slots=True)
class ResolvedMark:
    """One mark with its status.

    Parameters
    ----------
    annotation : RegionalAnnotation
        The submission that holds the mark.
    mark : Mark
        The mark itself.
    status : {"accepted", "unsupported", "superseded", "overruled", "flagged"}
        accepted: it belongs to the region `region_id`; flagged: it did, and raters discarded the region; unsupported:
        too few annotators agreed; overruled: the expert has no such region; superseded: the same annotator submitted
        again.
    region_id : str or None
        Region of an accepted or flagged mark.
    """

    annotation: RegionalAnnotation
    mark: Mark
    status: MarkStatus
    region_id: str | None


@dataclass(frozen=True, slots=True)
class PairConsensus:
    """The consensus about one pair.

    Parameters
    ----------
    regions : tuple of Region
        The accepted regions, by kind and then from top to bottom.
    marks : tuple of ResolvedMark
        Every mark of every submission with its status.
    """

    regions: tuple[Region, ...]
    marks: tuple[ResolvedMark, ...]


class _Vote(NamedTuple):
    annotation: RegionalAnnotation
    mark: Mark


@dataclass(frozen=True, slots=True)
class _ProposedRegion:
    """A region before flags and texts: its members, and the expert's vote if there is one (also a member)."""

    region_id: str
    kind: Kind
    box: Box
    members: tuple[_Vote, ...]
    expert: _Vote | None


def resolve_regions(
    pair_id: str, submissions: PairSubmissions, rules: AnnotationRules, reject: RejectCallback
) -> PairConsensus:
    """Resolve the submissions about one pair into its accepted regions.

    Of each annotator, and of all experts together, only the latest submission counts.

    Parameters
    ----------
    pair_id : str
        The pair, for rejections.
    submissions : PairSubmissions
        Everything that was submitted about the pair, in any order.
    rules : AnnotationRules
        When a region is accepted, and when its text is final.
    reject : callable
        Receives a `Rejection` for each flag and statement that names no region, each region that raters discarded,
        and each text that is not final.

    Returns
    -------
    PairConsensus
        The accepted regions and the status of every mark.

    Examples
    --------
    >>> from annotation.records import Place
    >>> mark = Mark("m1", "artifact", Box(0, 0, 10, 10), ())
    >>> regional = [RegionalAnnotation("p1", name, (mark,), "2026-01-05", Place("", 1)) for name in ("ann", "bob")]
    >>> consensus = resolve_regions("p1", PairSubmissions(regional), AnnotationRules(), print)
    >>> [(region.box, region.annotators) for region in consensus.regions]
    [(Box(x0=0.0, y0=0.0, x1=10.0, y1=10.0), ('ann', 'bob'))]
    """
    latest, earlier = _split_latest(submissions.regional, by_person=True)
    latest_reviews, earlier_reviews = _split_latest(submissions.expert, by_person=False)
    votes, expert_votes = _collect_votes(latest), _collect_votes(latest_reviews)
    if latest_reviews:
        proposed = _match_expert_marks(expert_votes, votes, rules)
    else:
        proposed = _find_supported_regions(votes, rules)
    flagged = _find_flagged_regions(proposed, submissions.flags, rules, reject, pair_id)
    statements = _group_statements(proposed, submissions.rationales, rules, reject)
    regions = tuple(
        _build_region(region, statements.get(region.region_id, []), rules, reject, pair_id)
        for region in proposed
        if region.region_id not in flagged
    )
    no_region: MarkStatus = "overruled" if latest_reviews else "unsupported"
    region_ids = {id(vote): region.region_id for region in proposed for vote in region.members}
    marks = [_resolve_mark(vote, region_ids.get(id(vote)), flagged, no_region) for vote in [*votes, *expert_votes]]
    marks += [
        ResolvedMark(*vote, "superseded", None) for vote in [*_collect_votes(earlier), *_collect_votes(earlier_reviews)]
    ]
    return PairConsensus(regions, tuple(marks))


def _split_latest(
    annotations: Sequence[RegionalAnnotation], by_person: bool
) -> tuple[list[RegionalAnnotation], list[RegionalAnnotation]]:
    """The latest submissions, by annotator (or the latest of all), and the earlier ones."""
    latest, earlier = split_latest(
        annotations, lambda annotation: annotation.annotator_id if by_person else "", _submission_sort_key
    )
    return [latest[annotator_id] for annotator_id in sorted(latest)], earlier


def _submission_sort_key(annotation: RegionalAnnotation) -> tuple[object, ...]:
    marks = tuple(sorted((mark.box, mark.mark_id, mark.kind, mark.disks) for mark in annotation.marks))
    return annotation.at, annotation.place, annotation.annotator_id, marks


def _collect_votes(annotations: Iterable[RegionalAnnotation]) -> list[_Vote]:
    return [_Vote(annotation, mark) for annotation in annotations for mark in annotation.marks]


def _vote_sort_key(vote: _Vote) -> tuple[object, ...]:
    return vote.mark.box, vote.annotation.annotator_id, vote.mark.mark_id, vote.mark.disks


def _stack_boxes(votes: Sequence[_Vote]) -> NDArray[Any]:
    return np.array([vote.mark.box for vote in votes], dtype=np.float64).reshape(-1, 4)


def _find_supported_regions(votes: Sequence[_Vote], rules: AnnotationRules) -> list[_ProposedRegion]:
    """The clusters of boxes on which enough annotators agree."""
    proposed = []
    for kind in KINDS:
        same = sorted((vote for vote in votes if vote.mark.kind == kind), key=_vote_sort_key)
        for indices in cluster_boxes(_stack_boxes(same), [vote.annotation.annotator_id for vote in same], rules.iou):
            members = tuple(same[index] for index in indices)
            if len(members) >= rules.min_support:
                box = Box(*(median(edges) for edges in zip(*(vote.mark.box for vote in members), strict=True)))
                proposed.append(_ProposedRegion(_digest_boxes(kind, members), kind, box, members, None))
    return _assign_unique_ids(proposed)


def _match_expert_marks(
    expert_votes: Sequence[_Vote], votes: Sequence[_Vote], rules: AnnotationRules
) -> list[_ProposedRegion]:
    """The expert's marks, each with the annotators' marks of the region it was, or else that overlap it best."""
    proposed = []
    shown = {region.region_id: region for region in _find_supported_regions(votes, rules)}
    for kind in KINDS:
        targets = sorted((vote for vote in expert_votes if vote.mark.kind == kind), key=_vote_sort_key)
        joined: list[list[_Vote]] = [[target] for target in targets]
        taken: set[int] = set()
        for members in joined:
            mark = members[0].mark
            region = shown.get(mark.mark_id)
            if region is not None and region.kind == kind and region.box.iou(mark.box) >= rules.iou - IOU_ROUNDING:
                members += region.members
                taken.update(id(vote) for vote in region.members)
        candidates = sorted(
            (vote for vote in votes if vote.mark.kind == kind and id(vote) not in taken), key=_vote_sort_key
        )
        if targets and candidates:
            overlap = iou_matrix(_stack_boxes(candidates), _stack_boxes(targets))
            for vote, row in zip(candidates, overlap, strict=True):
                best = int(np.argmax(row))
                if row[best] >= rules.iou - IOU_ROUNDING:
                    joined[best].append(vote)
        for target, members in zip(targets, joined, strict=True):
            proposed.append(_ProposedRegion(target.mark.mark_id, kind, target.mark.box, tuple(members), target))
    return _assign_unique_ids(proposed)


def _digest_boxes(kind: Kind, members: Sequence[_Vote]) -> str:
    """An id that depends on the members' boxes alone, to a thousandth of a pixel."""
    boxes = sorted(",".join(f"{edge:.3f}" for edge in vote.mark.box) for vote in members)
    return f"{kind[0]}-{hashlib.sha256(';'.join(boxes).encode()).hexdigest()[:8]}"


def _assign_unique_ids(regions: list[_ProposedRegion]) -> list[_ProposedRegion]:
    """The regions in their order; a second one of the same id gets a number."""
    taken: set[str] = set()
    named = []
    for region in sorted(regions, key=_region_sort_key):
        region_id, number = region.region_id, 1
        while region_id in taken:
            number += 1
            region_id = f"{region.region_id}-{number}"
        taken.add(region_id)
        named.append(replace(region, region_id=region_id))
    return named


def _region_sort_key(region: _ProposedRegion) -> tuple[object, ...]:
    x0, y0, x1, y1 = region.box
    return KINDS.index(region.kind), y0, x0, y1, x1, [_vote_sort_key(vote) for vote in region.members]


def _index_region_names(regions: Sequence[_ProposedRegion]) -> dict[str, str | None]:
    """Region id by region id and by mark id of a member (None for a mark id that two regions share)."""
    names: dict[str, str | None] = {}
    for region in regions:
        for name in {vote.mark.mark_id for vote in region.members}:
            names[name] = None if name in names else region.region_id
    return names | {region.region_id: region.region_id for region in regions}


def _find_flagged_regions(
    regions: Sequence[_ProposedRegion],
    flags: Sequence[Flag],
    rules: AnnotationRules,
    reject: RejectCallback,
    pair_id: str,
) -> set[str]:
    """Ids of the regions that more than `max_flags` different raters flagged."""
    names = _index_region_names(regions)
    raters: dict[str, set[str]] = {}
    for flag in sorted(flags, key=attrgetter("place", "annotator_id", "region_id")):
        region_id = names.get(flag.region_id)
        if region_id is None:
            message = f"Expected one region of this pair, got {flag.region_id[:60]!r}; the flag does not count."
            reject(
                Rejection("flag", *flag.place, "unknown_region", message, pair_id, flag.region_id, flag.annotator_id)
            )
        else:
            raters.setdefault(region_id, set()).add(flag.annotator_id)
    discarded = {region_id for region_id, flaggers in raters.items() if len(flaggers) > rules.max_flags}
    for region in regions:
        if region.region_id in discarded:
            count = len(raters[region.region_id])
            message = f"{count} raters flagged the region, more than {rules.max_flags}: it is discarded with its disks."
            place = region.members[0].annotation.place
            reject(Rejection("region", *place, "flagged", message, pair_id, region.region_id))
    return discarded


def _group_statements(
    regions: Sequence[_ProposedRegion],
    rationales: Sequence[Rationale],
    rules: AnnotationRules,
    reject: RejectCallback,
) -> dict[str, list[Rationale]]:
    """The statements about each region by its id."""
    names = _index_region_names(regions)
    grouped: dict[str, list[Rationale]] = {}
    for statement in sort_statements(rationales):
        region_id = names.get(statement.region_id) or _find_overlapping_region(regions, statement, rules)
        if region_id is None:
            message = (
                f"Expected the id or the place of a region of this pair, got {statement.region_id[:60]!r} "
                "and no box that overlaps one; the statement does not count."
            )
            reject(
                Rejection(
                    "rationale",
                    *statement.place,
                    "unknown_region",
                    message,
                    statement.pair_id,
                    statement.region_id,
                    statement.annotator_id,
                )
            )
        else:
            grouped.setdefault(region_id, []).append(statement)
    return grouped


def _find_overlapping_region(
    regions: Sequence[_ProposedRegion], statement: Rationale, rules: AnnotationRules
) -> str | None:
    if statement.box is None:
        return None
    same = [region for region in regions if region.kind == statement.kind]
    best = max(same, key=lambda region: region.box.iou(statement.box), default=None)  # type: ignore[arg-type]
    if best is None or best.box.iou(statement.box) < rules.iou - IOU_ROUNDING:
        return None
    return best.region_id


def _build_region(
    region: _ProposedRegion,
    statements: Sequence[Rationale],
    rules: AnnotationRules,
    reject: RejectCallback,
    pair_id: str,
) -> Region:
    """The region with the expert's text, type and severity, else the reviewers' final ones, else its members'."""
    expert_mark = region.expert.mark if region.expert is not None else None
    members = [vote.mark for vote in region.members]
    flaws = list_flaw_types(region.kind)
    description: tuple[str | None, str | None, Severity | None] = (None, None, None)
    if expert_mark is not None and expert_mark.rationale is not None:
        description = (expert_mark.rationale, expert_mark.flaw_type, expert_mark.severity)
    elif statements:
        agreement = compute_text_agreement(statements, rules.reviewers)
        if agreement.final:
            flaw_type = agreement.flaw_type if agreement.flaw_type in flaws else None
            description = (agreement.text, flaw_type, agreement.severity)
        else:
            _reject_open_rationale(region, statements, agreement, rules, reject, pair_id)
    rationale, flaw_type, severity = description
    for marks in ([expert_mark], members) if expert_mark is not None else (members,):
        flaw_type = flaw_type or most_common_listed([mark.flaw_type for mark in marks], flaws)
        severity = severity or most_common_listed([mark.severity for mark in marks], SEVERITIES)
    return Region(
        region_id=region.region_id,
        kind=region.kind,
        box=region.box,
        disks=tuple(sorted(_collect_disks(region))),
        flaw_type=flaw_type,
        severity=severity,
        rationale=rationale,
        annotators=tuple(sorted({vote.annotation.annotator_id for vote in region.members})),
        mark_ids=tuple(sorted({mark.mark_id for mark in members})),
    )


def _collect_disks(region: _ProposedRegion) -> list[Disk]:
    """The disks of a region: of its annotators, and of the expert who reviewed it."""
    annotators = [disk for vote in region.members if vote is not region.expert for disk in vote.mark.disks]
    if region.expert is None:
        return annotators
    shown = region.expert.annotation.shown_disks
    rest, kept, own = list(annotators) if shown else [], [], []
    for disk in region.expert.mark.disks:
        same = next((other for other in rest if _is_same_disk(disk, other)), None)
        if same is None:
            own.append(disk)
        else:
            rest.remove(same)
            kept.append(same)
    return [*kept, *own] if shown == "all" else [*annotators, *own]


def _is_same_disk(disk: Disk, other: Disk) -> bool:
    return max(abs(disk.x - other.x), abs(disk.y - other.y)) <= SAME_DISK_TOLERANCE


def _reject_open_rationale(
    region: _ProposedRegion,
    statements: Sequence[Rationale],
    agreement: TextAgreement,
    rules: AnnotationRules,
    reject: RejectCallback,
    pair_id: str,
) -> None:
    message = (
        f"{agreement.agreeing} of {agreement.reviewers} reviewers agree on the current text, {rules.reviewers} must: "
        "the region is kept without a rationale."
    )
    place = statements[-1].place
    reject(Rejection("rationale", *place, "not_final", message, pair_id, region.region_id))


def _resolve_mark(vote: _Vote, region_id: str | None, flagged: set[str], no_region: MarkStatus) -> ResolvedMark:
    if region_id is None:
        return ResolvedMark(*vote, no_region, None)
    return ResolvedMark(*vote, "flagged" if region_id in flagged else "accepted", region_id)
