"""From what each person said of a pair to its accepted regions. Pure: the same people give the same regions.

Where an expert reviewed, the expert's marks are the regions; else boxes on which enough annotators agree (at least two
of three at IoU 0.5, box = coordinate-wise median).  Regions that too many raters flagged go, with their disks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from statistics import median
from typing import Literal, NamedTuple

import numpy as np

from annotation.clusters import ROUNDING, clusters, iou_matrix
from annotation.flaws import flaw_types
from annotation.jsonlines import Reject
from annotation.rationales import Agreement, agreement, in_time, most_common_listed
from annotation.records import (
    KINDS,
    SEVERITIES,
    Box,
    Flag,
    Kind,
    Mark,
    Rationale,
    Region,
    RegionalAnnotation,
    Rejection,
    Severity,
)

Status = Literal["accepted", "unsupported", "superseded", "overruled", "flagged"]


@dataclass(frozen=True)
class ConsensusOptions:
    """Thresholds of the design, section 4: annotators per region, overlap in [0, 1], flags, reviewers per text."""

    min_support: int = 2
    iou: float = 0.5
    max_flags: int = 3
    reviewers: int = 3


@dataclass(frozen=True, slots=True)
class MarkFate:
    """What became of one mark.

    accepted: it belongs to `region_id`; flagged: it did, and raters discarded the region; unsupported: too few agreed;
    overruled: the expert has no such region; superseded: the same person submitted again.
    """

    annotation: RegionalAnnotation
    mark: Mark
    status: Status
    region_id: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The accepted regions, by kind and then from top to bottom, and the fate of every mark."""

    regions: tuple[Region, ...]
    fates: tuple[MarkFate, ...]


class _Vote(NamedTuple):
    annotation: RegionalAnnotation
    mark: Mark


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A region to be: its members, and the expert's mark where there is one (a member too)."""

    region_id: str
    kind: Kind
    box: Box
    members: tuple[_Vote, ...]
    expert: Mark | None


def resolve(
    pair_id: str,
    annotations: Sequence[RegionalAnnotation],
    expert: Sequence[RegionalAnnotation],
    rationales: Sequence[Rationale],
    flags: Sequence[Flag],
    options: ConsensusOptions,
    reject: Reject,
) -> Outcome:
    """The regions of one pair out of everything that was said of it; no order of the arguments matters.

    Of each annotator, and of all experts together, only the latest submission counts.
    """
    latest, earlier = _latest(annotations, by_person=True)
    review, earlier_reviews = _latest(expert, by_person=False)
    votes, own = _votes(latest), _votes(review)
    found = _reviewed(own, votes, options) if review else _supported(votes, options)
    flagged = _flagged(found, flags, options, reject, pair_id)
    by_region = _statements(found, rationales, options, reject)
    regions = tuple(
        _region(candidate, by_region.get(candidate.region_id, []), options, reject, pair_id)
        for candidate in found
        if candidate.region_id not in flagged
    )
    rest: Status = "overruled" if review else "unsupported"
    homes = {id(vote): candidate.region_id for candidate in found for vote in candidate.members}
    fates = [_fate(vote, homes.get(id(vote)), flagged, rest) for vote in [*votes, *own]]
    fates += [MarkFate(*vote, "superseded", None) for vote in [*_votes(earlier), *_votes(earlier_reviews)]]
    return Outcome(regions, tuple(fates))


def _latest(
    annotations: Sequence[RegionalAnnotation], by_person: bool
) -> tuple[list[RegionalAnnotation], list[RegionalAnnotation]]:
    """The submissions that count, in the order of people, and the earlier ones."""
    counting: dict[str, RegionalAnnotation] = {}
    earlier = []
    for annotation in sorted(annotations, key=_submission_order):
        person = annotation.annotator_id if by_person else ""
        if person in counting:
            earlier.append(counting[person])
        counting[person] = annotation
    return [counting[person] for person in sorted(counting)], earlier


def _submission_order(annotation: RegionalAnnotation) -> tuple[object, ...]:
    marks = tuple(sorted((mark.box, mark.mark_id, mark.kind, mark.disks) for mark in annotation.marks))
    return annotation.at, annotation.place, annotation.annotator_id, marks


def _votes(annotations: Iterable[RegionalAnnotation]) -> list[_Vote]:
    return [_Vote(annotation, mark) for annotation in annotations for mark in annotation.marks]


def _vote_order(vote: _Vote) -> tuple[object, ...]:
    return vote.mark.box, vote.annotation.annotator_id, vote.mark.mark_id, vote.mark.disks


def _array(votes: Sequence[_Vote]) -> np.ndarray:
    return np.array([vote.mark.box for vote in votes], dtype=np.float64).reshape(-1, 4)


def _supported(votes: Sequence[_Vote], options: ConsensusOptions) -> list[_Candidate]:
    """The clusters of boxes on which enough annotators agree."""
    found = []
    for kind in KINDS:
        same = sorted((vote for vote in votes if vote.mark.kind == kind), key=_vote_order)
        for indices in clusters(_array(same), [vote.annotation.annotator_id for vote in same], options.iou):
            members = tuple(same[index] for index in indices)
            if len(members) >= options.min_support:
                box = Box(*(median(edges) for edges in zip(*(vote.mark.box for vote in members), strict=True)))
                found.append(_Candidate(_digest(kind, members), kind, box, members, None))
    return _named_apart(found)


def _reviewed(review: Sequence[_Vote], votes: Sequence[_Vote], options: ConsensusOptions) -> list[_Candidate]:
    """The expert's marks, each with the annotators' marks that overlap it best."""
    found = []
    for kind in KINDS:
        own = sorted((vote for vote in review if vote.mark.kind == kind), key=_vote_order)
        same = sorted((vote for vote in votes if vote.mark.kind == kind), key=_vote_order)
        joined: list[list[_Vote]] = [[vote] for vote in own]
        if own and same:
            overlap = iou_matrix(_array(same), _array(own))
            for vote, row in zip(same, overlap, strict=True):
                best = int(np.argmax(row))
                if row[best] >= options.iou - ROUNDING:
                    joined[best].append(vote)
        for (_, mark), members in zip(own, joined, strict=True):
            found.append(_Candidate(mark.mark_id, kind, mark.box, tuple(members), mark))
    return _named_apart(found)


def _digest(kind: Kind, members: Sequence[_Vote]) -> str:
    """An id that depends on the members' boxes alone, to a thousandth of a pixel."""
    boxes = sorted(",".join(f"{edge:.3f}" for edge in vote.mark.box) for vote in members)
    return f"{kind[0]}-{hashlib.sha256(';'.join(boxes).encode()).hexdigest()[:8]}"


def _named_apart(candidates: list[_Candidate]) -> list[_Candidate]:
    """The candidates in the order of regions; a second one of the same id gets a number."""
    taken: set[str] = set()
    named = []
    for candidate in sorted(candidates, key=_region_order):
        region_id, number = candidate.region_id, 1
        while region_id in taken:
            number += 1
            region_id = f"{candidate.region_id}-{number}"
        taken.add(region_id)
        named.append(_Candidate(region_id, candidate.kind, candidate.box, candidate.members, candidate.expert))
    return named


def _region_order(candidate: _Candidate) -> tuple[object, ...]:
    x0, y0, x1, y1 = candidate.box
    return KINDS.index(candidate.kind), y0, x0, y1, x1, [_vote_order(vote) for vote in candidate.members]


def _by_name(candidates: Sequence[_Candidate]) -> dict[str, str | None]:
    """Region id by every name that it goes by: its own, or a member mark's (None where two regions share that)."""
    names: dict[str, str | None] = {}
    for candidate in candidates:
        for name in {vote.mark.mark_id for vote in candidate.members}:
            names[name] = None if name in names else candidate.region_id
    return names | {candidate.region_id: candidate.region_id for candidate in candidates}


def _flagged(
    candidates: Sequence[_Candidate], flags: Sequence[Flag], options: ConsensusOptions, reject: Reject, pair_id: str
) -> set[str]:
    """Ids of the regions that more than `max_flags` different raters called unreasonable."""
    names = _by_name(candidates)
    raters: dict[str, set[str]] = {}
    for flag in sorted(flags, key=attrgetter("place", "annotator_id", "region_id")):
        region_id = names.get(flag.region_id)
        if region_id is None:
            message = f"No single region of this pair is called {flag.region_id[:60]!r}; the flag does not count."
            reject(
                Rejection("flag", *flag.place, "unknown_region", message, pair_id, flag.region_id, flag.annotator_id)
            )
        else:
            raters.setdefault(region_id, set()).add(flag.annotator_id)
    gone = {region_id for region_id, people in raters.items() if len(people) > options.max_flags}
    for candidate in candidates:
        if candidate.region_id in gone:
            count = len(raters[candidate.region_id])
            message = (
                f"{count} raters flagged the region, more than {options.max_flags}: it is discarded with its disks."
            )
            place = candidate.members[0].annotation.place
            reject(Rejection("region", *place, "flagged", message, pair_id, candidate.region_id))
    return gone


def _statements(
    candidates: Sequence[_Candidate], rationales: Sequence[Rationale], options: ConsensusOptions, reject: Reject
) -> dict[str, list[Rationale]]:
    """The statements about each region by its id."""
    names = _by_name(candidates)
    found: dict[str, list[Rationale]] = {}
    for statement in in_time(rationales):
        region_id = names.get(statement.region_id) or _overlapping(candidates, statement, options)
        if region_id is None:
            message = (
                f"No region of this pair is called {statement.region_id[:60]!r} or lies where the statement's does."
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
            found.setdefault(region_id, []).append(statement)
    return found


def _overlapping(candidates: Sequence[_Candidate], statement: Rationale, options: ConsensusOptions) -> str | None:
    if statement.box is None:
        return None
    same = [candidate for candidate in candidates if candidate.kind == statement.kind]
    best = max(same, key=lambda candidate: candidate.box.iou(statement.box), default=None)  # type: ignore[arg-type]
    if best is None or best.box.iou(statement.box) < options.iou - ROUNDING:
        return None
    return best.region_id


def _region(
    candidate: _Candidate, statements: Sequence[Rationale], options: ConsensusOptions, reject: Reject, pair_id: str
) -> Region:
    """The region and what is known of it: the expert's word, else the reviewers' once they agree, else its members'."""
    own = candidate.expert
    members = [vote.mark for vote in candidate.members]
    flaws = flaw_types(candidate.kind)
    words: tuple[str | None, str | None, Severity | None] = (None, None, None)
    if own is not None and own.rationale is not None:
        words = (own.rationale, own.flaw_type, own.severity)
    elif statements:
        stand = agreement(statements, options.reviewers)
        if stand.final:
            words = (stand.text, stand.flaw_type if stand.flaw_type in flaws else None, stand.severity)
        else:
            _not_final(candidate, statements, stand, options, reject, pair_id)
    rationale, flaw_type, severity = words
    for marks in ([own], members) if own is not None else (members,):
        flaw_type = flaw_type or most_common_listed([mark.flaw_type for mark in marks], flaws)
        severity = severity or most_common_listed([mark.severity for mark in marks], SEVERITIES)
    return Region(
        region_id=candidate.region_id,
        kind=candidate.kind,
        box=candidate.box,
        disks=tuple(sorted(disk for mark in members for disk in mark.disks)),
        flaw_type=flaw_type,
        severity=severity,
        rationale=rationale,
        annotators=tuple(sorted({vote.annotation.annotator_id for vote in candidate.members})),
        mark_ids=tuple(sorted({mark.mark_id for mark in members})),
    )


def _not_final(
    candidate: _Candidate,
    statements: Sequence[Rationale],
    stand: Agreement,
    options: ConsensusOptions,
    reject: Reject,
    pair_id: str,
) -> None:
    message = (
        f"{stand.agreeing} of {stand.reviewers} reviewers agree on the current text, {options.reviewers} must: "
        "the region is kept without a rationale."
    )
    place = statements[-1].place
    reject(Rejection("rationale", *place, "not_final", message, pair_id, candidate.region_id))


def _fate(vote: _Vote, region_id: str | None, flagged: set[str], rest: Status) -> MarkFate:
    if region_id is None:
        return MarkFate(*vote, rest, None)
    return MarkFate(*vote, "flagged" if region_id in flagged else "accepted", region_id)
