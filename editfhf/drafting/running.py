"""A run from a corpus to its drafts, and what can be said before and after it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from annotation.records import Rejection
from editfhf.build.options import BuildOptions
from editfhf.chat import BatchOptions, Chat, Connection, Limits, Prices, Usage, run_batch
from editfhf.drafting.checks import Issue, check_pair
from editfhf.drafting.drafts_file import FOLDER, Standing, Writer, read_standing
from editfhf.drafting.estimate import Estimate, estimate
from editfhf.drafting.plan import Choice, Left, new_chunks, redo_chunks, redo_is_done, to_redo
from editfhf.drafting.report import Report, compare
from editfhf.drafting.requests import Asking, Chunk
from editfhf.drafting.selection import Selection, Skipped, select
from editfhf.drafting.work import Tally, Work
from mos.errors import UserError


class Watcher(Protocol):
    """Sees a run: how many regions there are, and after each reply how many more are done and what all of it cost."""

    def begin(self, what: str, regions: int) -> None: ...
    def advance(self, regions: int) -> None: ...
    def spent(self, usage: Usage) -> None: ...


@dataclass(frozen=True)
class Server:
    """Whom to ask, and how much; batch: through the Batch API, and how, if at all."""

    connection: Connection
    prices: Prices
    limits: Limits
    concurrency: int = 8
    batch: BatchOptions | None = None


@dataclass
class Summary:
    """What a run did; usage: what its corpus has cost so far, earlier runs included."""

    tally: Tally = field(default_factory=Tally)
    left: Left = field(default_factory=Left)
    usage: Usage = field(default_factory=Usage)


@dataclass
class _Planned:
    selection: Selection
    standing: Standing
    chunks: Callable[[], Iterator[Chunk]]
    left: Left
    regions: int


def draft(
    root: Path, options: BuildOptions, choice: Choice, asking: Asking, server: Server, watcher: Watcher
) -> Summary:
    """Draft what is missing (or what `choice` asks for once more); run it again after any interruption.

    The first Ctrl-C stops sending and waits for replies on their way, a second one leaves at once (KeyboardInterrupt).

    Raises:
        UserError: no accepted regions, a wrong key, address or model, or another process at work on the corpus.
    """
    return asyncio.run(_draft(root, options, choice, asking, server, watcher))


def dry_run(
    root: Path, options: BuildOptions, choice: Choice, asking: Asking, prices: Prices, watcher: Watcher
) -> tuple[Estimate, Left]:
    """What `draft` would ask about and what it could cost; nothing is sent or written."""
    with _planned(root, options, choice, asking, keep=False) as planned:
        watcher.begin("Regions", planned.regions)
        return estimate(root, planned.chunks(), asking, prices, watcher.advance), planned.left


def check(root: Path, options: BuildOptions) -> tuple[int, list[Issue]]:
    """How many drafts there are of accepted regions, and what is doubtful about them."""
    found: list[Issue] = []
    count = 0
    with select(root, options, _passed_over) as selection:
        drafts = read_standing(root, _passed_over).drafts
        for marked in selection.pairs(Skipped()):
            regions = {region.region_id: region for region in [*marked.undecided, *marked.decided.values()]}
            own = drafts.get(marked.pair.pair_id, {})
            count += len(own.keys() & regions.keys())
            found += check_pair(marked.pair, regions, own)
    return count, found


def report(root: Path, options: BuildOptions) -> Report:
    """Drafts against final texts; `UserError` when the corpus has no drafts."""
    drafts = read_standing(root, _passed_over).drafts
    if not drafts:
        raise UserError(f"There are no drafts in {root}. Make some with: editfhf draft {root}")
    with select(root, options, _passed_over) as selection:
        return compare(selection.pairs(Skipped()), drafts)


async def _draft(
    root: Path, options: BuildOptions, choice: Choice, asking: Asking, server: Server, watcher: Watcher
) -> Summary:
    chat = Chat(server.connection, root / FOLDER, server.limits, server.concurrency, server.prices)
    async with chat:
        writer = Writer(root)
        with _planned(root, options, choice, asking, keep=True) as planned:
            watcher.begin("Regions", planned.regions)
            work = Work(root, asking, writer, _Costs(watcher, lambda: chat.usage))

            def stop() -> None:
                work.interrupt()
                chat.drain()

            with _signals(stop):
                ask = chat.ask_all if server.batch is None else partial(run_batch, chat, options=server.batch)
                tally = await work.run(ask, planned.chunks())
            if choice.redo and tally.complete:
                redo_is_done(root)
    return Summary(tally, planned.left, chat.usage)


@contextmanager
def _planned(root: Path, options: BuildOptions, choice: Choice, asking: Asking, keep: bool) -> Iterator[_Planned]:
    """What there is to do; `keep`: write the list of a redo down."""
    with select(root, options, _passed_over) as selection:
        standing = read_standing(root, _passed_over)
        left = Left()
        again = to_redo(root, selection, standing, choice, keep) if choice.redo else None

        def chunks(left: Left) -> Iterator[Chunk]:
            if again is not None:
                return redo_chunks(selection, again, standing, asking.together)
            return new_chunks(selection, standing, choice, asking.together, left)

        regions = sum(len(chunk.wanted) for chunk in chunks(left))
        if not regions:
            _refuse_nothing(root, selection)
        yield _Planned(selection, standing, lambda: chunks(Left()), left, regions)


def _refuse_nothing(root: Path, selection: Selection) -> None:
    skipped = Skipped()
    if next(selection.pairs(skipped), None) is None:
        raise UserError(
            f"{root} has no accepted regions: {skipped.unfinished:,} pairs are not marked to the end, "
            f"{skipped.without_regions:,} are without a region, and of {skipped.bad_picture:,} a picture cannot be "
            "used. Have them marked (editfhf annotate), and see: editfhf validate"
        )


@dataclass
class _Costs:
    """Tells who watches what was spent whenever regions are done."""

    watcher: Watcher
    usage: Callable[[], Usage]

    def advance(self, regions: int) -> None:
        self.watcher.advance(regions)
        self.watcher.spent(self.usage())


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """The first SIGINT or SIGTERM calls `stop`, the second cancels what runs."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    heard = 0

    def hear() -> None:
        nonlocal heard
        heard += 1
        if heard == 1:
            stop()
        elif task is not None:
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, hear)
    try:
        yield
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _passed_over(_: Rejection) -> None:
    """What is wrong with a corpus is said by `editfhf validate`."""
