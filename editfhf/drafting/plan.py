"""Regions of a run (new ones, or those to attempt again), and an estimate of its cost.

Every further attempt costs money. So the list of regions to attempt again is written (`drafting/redo.json`) before the
first request, and an interrupted run continues with the same list: no region is attempted twice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import orjson

from annotation.images import ImageError
from editfhf.chat import EncodedImage, ModelRequest, Prices, Usage
from editfhf.chat.costs import max_image_tokens, max_usage
from editfhf.drafting.checks import check_pair
from editfhf.drafting.drafts_file import DRAFTING_FOLDER, DraftStatus
from editfhf.drafting.requests import (
    DraftRequestOptions,
    EarlierAttempts,
    RegionChunk,
    build_first_request,
    read_chunk_images,
    split_into_chunks,
    split_redo_chunks,
)
from editfhf.drafting.selection import MarkedPair, RegionSelection, SkippedPairs
from mos.files import read_regular_file, replace_file

RedoChoice = Literal["failed", "low-quality", "all"]


DRAFT_REDO_FILE = "redo.json"


@dataclass(frozen=True)
class RunChoice:
    """Choice of regions.

    Parameters
    ----------
    pairs : collection of str
        Ids of the pairs; empty for all.
    limit : int, optional
        Most pairs.
    redo : "failed", "low-quality", "all" or None
        Regions to attempt again; None for regions without a draft.
    """

    pairs: Collection[str] = ()
    limit: int | None = None
    redo: RedoChoice | None = None


@dataclass
class LeftOutRegions:
    """Counts of regions that are not part of a run, by reason."""

    skipped: SkippedPairs = field(default_factory=SkippedPairs)
    with_text: int = 0
    with_draft: int = 0
    rejected: int = 0
    under_review: int = 0


DraftRedoList = dict[str, dict[str, EarlierAttempts]]
"""Regions to attempt again, by pair_id and region_id."""


def plan_new_chunks(
    selection: RegionSelection, status: DraftStatus, choice: RunChoice, regions_per_request: int, left: LeftOutRegions
) -> Iterator[RegionChunk]:
    """Yield chunks of regions without a draft, ordered by pair_id; count the others in `left`."""
    pairs = 0
    for marked in selection.iter_pairs(left.skipped):
        if choice.pairs and marked.pair.pair_id not in choice.pairs:
            continue
        wanted = _select_new_regions(marked, status, left)
        if not wanted:
            continue
        if pairs == choice.limit:
            return
        pairs += 1
        yield from split_into_chunks(marked, wanted, regions_per_request)


def plan_redo_chunks(
    selection: RegionSelection, redo_list: DraftRedoList, status: DraftStatus, regions_per_request: int
) -> Iterator[RegionChunk]:
    """Yield chunks of the listed regions that were not attempted since the list was made, ordered by pair_id.

    A chunk is unchanged as long as one of its regions waits, so that its request is found in the cache.
    """
    for marked in selection.iter_pairs(SkippedPairs()):
        listed = redo_list.get(marked.pair.pair_id, {})
        for chunk in split_redo_chunks(marked, listed, regions_per_request):
            waiting = frozenset(
                number
                for number in chunk.wanted
                if status.count_attempts((marked.pair.pair_id, chunk.regions[number].region_id)) <= chunk.redo
                and chunk.regions[number].region_id not in marked.under_review
            )
            if waiting:
                yield RegionChunk(chunk.pair, chunk.size, chunk.boxes, chunk.regions, waiting, chunk.redo, chunk.notes)


def _select_new_regions(marked: MarkedPair, status: DraftStatus, left: LeftOutRegions) -> set[str]:
    wanted = set()
    pair_id = marked.pair.pair_id
    left.with_text += len(marked.decided)
    for region in marked.undecided:
        ids = (pair_id, region.region_id)
        if region.region_id in marked.decided:
            continue
        if status.has_draft(ids):
            left.with_draft += 1
        elif status.has_failed(ids):
            left.rejected += 1
        elif region.region_id in marked.under_review:
            left.under_review += 1
        else:
            wanted.add(region.region_id)
    return wanted


def prepare_redo_list(
    root: Path, selection: RegionSelection, status: DraftStatus, choice: RunChoice, keep: bool
) -> DraftRedoList:
    """The list of an interrupted run if it is for the same choice, else a new list; `keep`: write a new list."""
    path = root / DRAFTING_FOLDER / DRAFT_REDO_FILE
    choice_fields = {"redo": choice.redo, "pairs": sorted(choice.pairs), "limit": choice.limit}
    known = _read_redo_list(path)
    if known is not None and known[0] == choice_fields:
        return known[1]
    redo_list = _make_redo_list(selection, status, choice)
    if not keep:
        return redo_list
    rows = {
        pair_id: {name: asdict(attempts) for name, attempts in listed.items()} for pair_id, listed in redo_list.items()
    }
    path.parent.mkdir(exist_ok=True)
    replace_file(path, orjson.dumps(choice_fields | {"again": rows}))
    return redo_list


def delete_redo_list(root: Path) -> None:
    """Delete the list: the next redo makes a new one."""
    (root / DRAFTING_FOLDER / DRAFT_REDO_FILE).unlink(missing_ok=True)


def _read_redo_list(path: Path) -> tuple[dict[str, object], DraftRedoList] | None:
    try:
        data = orjson.loads(read_regular_file(path))
        rows = data.pop("again")
        again = {
            pair_id: {name: EarlierAttempts(**fields) for name, fields in listed.items()}
            for pair_id, listed in sorted(rows.items())
        }
    except (FileNotFoundError, orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None
    return data, again


def _make_redo_list(selection: RegionSelection, status: DraftStatus, choice: RunChoice) -> DraftRedoList:
    redo_list: DraftRedoList = {}
    for marked in selection.iter_pairs(SkippedPairs()):
        pair_id = marked.pair.pair_id
        if choice.pairs and pair_id not in choice.pairs:
            continue
        regions = {
            name: EarlierAttempts(status.count_attempts((pair_id, name)), note)
            for name, note in _find_doubtful_regions(marked, status, choice.redo)
            if name not in marked.decided and name not in marked.under_review
        }
        if regions and len(redo_list) == choice.limit:
            break
        if regions:
            redo_list[pair_id] = regions
    return redo_list


def _find_doubtful_regions(
    marked: MarkedPair, status: DraftStatus, redo: RedoChoice | None
) -> Iterator[tuple[str, str]]:
    """Yield the ids of regions to attempt again, each with a note on what was wrong."""
    pair_id = marked.pair.pair_id
    names = [region.region_id for region in marked.undecided]
    if redo == "failed":
        yield from ((name, "") for name in names if status.has_failed((pair_id, name)))
    elif redo == "all":
        yield from ((name, "") for name in names if status.count_attempts((pair_id, name)))
    else:
        regions = {region.region_id: region for region in marked.undecided}
        reasons: dict[str, list[str]] = {}
        for issue in check_pair(marked.pair, regions, status.drafts.get(pair_id, {})):
            reasons.setdefault(issue.region_id, []).append(issue.reason)
        yield from ((name, " ".join(texts)) for name, texts in reasons.items())


BYTES_PER_TOKEN = 4
"""Of English text."""


TYPICAL_REPLY_TOKENS = 30


TYPICAL_ENTRY_TOKENS = 90
"""Tokens of a reply, and of each region in it, without thinking."""


@dataclass
class DraftCostEstimate:
    """Estimate of a run.

    Attributes
    ----------
    regions, requests : int
        Regions that would be described, and requests that would be sent.
    bad_images : int
        Regions whose images cannot be used.
    maximum : Usage
        Upper bound, if no reply has to be repeated.
    typical : Usage
        Usage of a model without reasoning.
    """

    regions: int = 0
    requests: int = 0
    bad_images: int = 0
    maximum: Usage = field(default_factory=Usage)
    typical: Usage = field(default_factory=Usage)


def estimate_draft_cost(
    root: Path,
    chunks: Iterable[RegionChunk],
    request_options: DraftRequestOptions,
    prices: Prices,
    advance: Callable[[int], None],
) -> DraftCostEstimate:
    """Build every request and add up its usage; `advance` is called with the count of regions of each chunk."""
    estimate = DraftCostEstimate()
    for chunk in chunks:
        try:
            request = build_first_request(
                chunk, read_chunk_images(root, chunk, request_options.encoding), request_options
            )
        except ImageError:
            estimate.bad_images += len(chunk.wanted)
        else:
            estimate.requests += 1
            estimate.regions += len(chunk.wanted)
            estimate.maximum += max_usage(request, prices)
            estimate.typical += typical_usage(request, len(chunk.regions), prices)
        advance(len(chunk.wanted))
    return estimate


def typical_usage(request: ModelRequest, regions: int, prices: Prices) -> Usage:
    """Typical usage of one request; the cost is None without a price of the model."""
    price = prices.find_price(request.model)
    rule = price.picture if price else None
    texts = sum(len(part.encode()) for part in (request.system, *request.parts) if isinstance(part, str))
    images = sum(max_image_tokens(part, rule) for part in request.parts if isinstance(part, EncodedImage))
    read, written = texts // BYTES_PER_TOKEN + images, TYPICAL_REPLY_TOKENS + TYPICAL_ENTRY_TOKENS * regions
    return Usage(1, 0, read, 0, written, price.cost(read, 0, written) if price else None)
