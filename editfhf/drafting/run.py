"""Draft the regions of a corpus: send requests and write accepted descriptions; also dry run, check and report."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from annotation.campaign.drafts import read_drafts, reject_unknown_draft
from annotation.corpus import Corpus
from editfhf.builder.options import BuildOptions
from editfhf.chat import BatchOptions, Chat, ChatConnection, Limits, Prices, Usage, format_cost, run_batch
from editfhf.drafting.checks import DraftIssue, check_pair
from editfhf.drafting.drafts_file import DRAFTING_FOLDER, DraftStatus, DraftWriter, read_draft_status
from editfhf.drafting.loop import DraftingLoop, DraftTally
from editfhf.drafting.plan import (
    DraftCostEstimate,
    LeftOutRegions,
    RunChoice,
    delete_redo_list,
    estimate_draft_cost,
    plan_new_chunks,
    plan_redo_chunks,
    prepare_redo_list,
)
from editfhf.drafting.report import DraftReport, compare_drafts
from editfhf.drafting.requests import DraftRequestOptions, RegionChunk
from editfhf.drafting.selection import RegionSelection, SkippedPairs, ignore_rejection, select_regions
from mos.console import Progress
from mos.errors import UserError
from mos.rejections import Rejection


@dataclass(frozen=True)
class DraftServer:
    """Server and limits of a run.

    Parameters
    ----------
    connection : ChatConnection
        Address and key.
    prices : Prices
        Price table.
    limits : Limits
        Budget of the corpus, earlier runs included.
    concurrency : int
        Requests at a time.
    batch : BatchOptions, optional
        Options of the Batch API; None to send requests one by one.
    """

    connection: ChatConnection
    prices: Prices
    limits: Limits
    concurrency: int = 8
    batch: BatchOptions | None = None


@dataclass
class DraftSummary:
    """Summary of a run; usage: of the corpus so far, earlier runs included."""

    tally: DraftTally = field(default_factory=DraftTally)
    left: LeftOutRegions = field(default_factory=LeftOutRegions)
    usage: Usage = field(default_factory=Usage)


@dataclass
class _RunPlan:
    selection: RegionSelection
    status: DraftStatus
    chunks: Callable[[], Iterator[RegionChunk]]
    left: LeftOutRegions
    regions: int


def draft_corpus(
    root: Path,
    options: BuildOptions,
    choice: RunChoice,
    request_options: DraftRequestOptions,
    server: DraftServer,
    progress: Progress,
) -> DraftSummary:
    """Draft regions and write `drafts.jsonl`; after an interruption, call it again.

    The first Ctrl-C stops sending and waits for requests in flight; a second one raises KeyboardInterrupt.

    Parameters
    ----------
    root : Path
        Folder of the corpus.
    options : BuildOptions
        Rules for accepted regions, for a corpus without a campaign.
    choice : RunChoice
        Regions to draft.
    request_options : DraftRequestOptions
        Model, prompt and sizes.
    server : DraftServer
        Connection and budget.
    progress : Progress
        Counts regions, and shows the cost.

    Returns
    -------
    DraftSummary

    Raises
    ------
    UserError
        No accepted regions; a wrong key, address or model; or another process drafts this corpus.
    """
    return asyncio.run(_draft_async(root, options, choice, request_options, server, progress))


def estimate_draft_run(
    root: Path,
    options: BuildOptions,
    choice: RunChoice,
    request_options: DraftRequestOptions,
    prices: Prices,
    progress: Progress,
) -> tuple[DraftCostEstimate, LeftOutRegions]:
    """Estimate regions, requests and usage of `draft_corpus`; nothing is sent or written."""
    with _plan_run(root, options, choice, request_options, keep=False) as planned:
        progress.begin("Regions", planned.regions)
        return estimate_draft_cost(root, planned.chunks(), request_options, prices, progress.advance), planned.left


def check_corpus_drafts(root: Path, options: BuildOptions) -> tuple[int, list[DraftIssue], list[Rejection]]:
    """Check all drafts of accepted regions; returns their count, the doubts, and the lines that nobody uses."""
    issues: list[DraftIssue] = []
    unused: list[Rejection] = []
    count = 0
    with select_regions(root, options, ignore_rejection) as selection:
        drafts = read_drafts(root, unused.append)
        known = {pair.pair_id for pair in Corpus.open(root).pairs(ignore_rejection)}
        for pair_id in sorted(drafts.keys() - known):
            unused += [reject_unknown_draft(pair_id, name, one, known, "pair") for name, one in drafts[pair_id].items()]
        for marked in selection.iter_pairs(SkippedPairs()):
            regions = {region.region_id: region for region in [*marked.undecided, *marked.decided.values()]}
            pair_drafts = drafts.get(marked.pair.pair_id, {})
            count += len(pair_drafts.keys() & regions.keys())
            issues += check_pair(marked.pair, regions, pair_drafts)
            strays = sorted(pair_drafts.keys() - regions.keys())
            unused += [
                reject_unknown_draft(marked.pair.pair_id, name, pair_drafts[name], regions, "region") for name in strays
            ]
    return count, issues, sorted(unused, key=lambda rejection: rejection.row)


def report_on_drafts(root: Path, options: BuildOptions) -> DraftReport:
    """Compare the drafts of a corpus with its final texts; `UserError` when it has no drafts."""
    drafts = read_draft_status(root, ignore_rejection).drafts
    if not drafts:
        raise UserError(f"There are no drafts in {root}. Create them with: editfhf draft {root}")
    with select_regions(root, options, ignore_rejection) as selection:
        return compare_drafts(selection.iter_pairs(SkippedPairs()), drafts)


async def _draft_async(
    root: Path,
    options: BuildOptions,
    choice: RunChoice,
    request_options: DraftRequestOptions,
    server: DraftServer,
    progress: Progress,
) -> DraftSummary:
    chat = Chat(server.connection, root / DRAFTING_FOLDER, server.limits, server.concurrency, server.prices)
    async with chat:
        writer = DraftWriter(root)
        with _plan_run(root, options, choice, request_options, keep=True) as planned:
            progress.begin("Regions", planned.regions)

            def report_regions(count: int) -> None:
                progress.advance(count)
                progress.show_note(f"{format_cost(chat.usage)} spent")

            loop = DraftingLoop(root, request_options, writer, report_regions)

            def stop() -> None:
                loop.interrupt()
                chat.drain()

            with _stop_on_signals(stop):
                ask = chat.ask_all if server.batch is None else partial(run_batch, chat, options=server.batch)
                tally = await loop.run(ask, planned.chunks())
            if choice.redo and tally.complete:
                delete_redo_list(root)
    return DraftSummary(tally, planned.left, chat.usage)


@contextmanager
def _plan_run(
    root: Path, options: BuildOptions, choice: RunChoice, request_options: DraftRequestOptions, keep: bool
) -> Iterator[_RunPlan]:
    """Plan a run; `keep`: write the redo list."""
    with select_regions(root, options, ignore_rejection) as selection:
        status = read_draft_status(root, ignore_rejection)
        left = LeftOutRegions()
        again = prepare_redo_list(root, selection, status, choice, keep) if choice.redo else None

        def chunks(left: LeftOutRegions) -> Iterator[RegionChunk]:
            if again is not None:
                return plan_redo_chunks(selection, again, status, request_options.regions_per_request)
            return plan_new_chunks(selection, status, choice, request_options.regions_per_request, left)

        regions = sum(len(chunk.wanted) for chunk in chunks(left))
        if not regions:
            _refuse_empty_selection(root, selection)
        yield _RunPlan(selection, status, lambda: chunks(LeftOutRegions()), left, regions)


def _refuse_empty_selection(root: Path, selection: RegionSelection) -> None:
    skipped = SkippedPairs()
    if next(selection.iter_pairs(skipped), None) is None:
        raise UserError(
            f"{root} has no accepted regions: {skipped.unfinished:,} pairs are not completely marked, "
            f"{skipped.without_regions:,} have no region, {skipped.bad_image:,} have an unusable image. "
            "Collect marks (editfhf annotate), and check the corpus (editfhf validate)."
        )


@contextmanager
def _stop_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` on the first SIGINT or SIGTERM; cancel the running task on the second."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    signals = 0

    def handle_signal() -> None:
        nonlocal signals
        signals += 1
        if signals == 1:
            stop()
        elif task is not None:
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, handle_signal)
    try:
        yield
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
