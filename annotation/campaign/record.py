"""From a corpus and its archive to the record by which tasks are planned and exports are written."""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from annotation import images
from annotation.campaign.answers import SetAside, Work, read_work, sort_keys
from annotation.campaign.drafts import FILE as DRAFTS
from annotation.campaign.drafts import read_drafts
from annotation.campaign.exchange.archive import Archive
from annotation.campaign.gold.hidden import STAGES as HIDING
from annotation.campaign.gold.pairs import FILE as GOLD
from annotation.campaign.gold.pairs import Gold, read_gold
from annotation.campaign.gold.requalify import FILE as REQUALIFY
from annotation.campaign.gold.requalify import read_requalify
from annotation.campaign.options import FILE, FOLDER, Options
from annotation.campaign.planning.planner import Record
from annotation.campaign.quality.again import FILE as AGAIN
from annotation.campaign.quality.again import read_again
from annotation.campaign.tasks import Size, TaskKey
from annotation.corpus import PAIRS, Corpus
from annotation.records import Pair
from annotation.studio.pictures import Pictures
from mos.errors import UserError

INPUTS = (f"{FOLDER}/{FILE}", f"{FOLDER}/{AGAIN}", f"{FOLDER}/{REQUALIFY}", PAIRS, DRAFTS, GOLD)
"""Files of the corpus, besides the archive, that decide the record; whoever changes one changes the plan."""


class RecordReader:
    """Reads the record of a corpus again and again; what did not change is not worked out anew."""

    def __init__(self, root: Path, archive: Archive) -> None:
        self._root = root
        self._archive = archive
        self._sizes: dict[str, Size] = {}
        self._work: dict[str, tuple[object, Work]] = {}
        self._gold: tuple[object, Gold] | None = None
        self._options: Options | None = None

    def read(self, options: Options, existing: Iterable[str] = ()) -> tuple[Record, list[SetAside]]:
        """The record, given the keys of the tasks on the server, and everything that does not count.

        A pair whose pictures cannot be used is left out.
        """
        if options != self._options:
            self._options = options
            self._work.clear()
        aside: list[SetAside] = []
        again = read_again(self._root / FOLDER, aside.append)
        since = read_requalify(self._root / FOLDER, aside.append)
        listed = list(Corpus.open(self._root).pairs(lambda rejection: None))
        gold = self._read_gold(listed, options)
        pairs = {pair.pair_id: pair for pair in listed if pair.pair_id not in gold.pairs}
        keys = sort_keys(self._archive, options, _stages(options, pairs, gold), aside.append)
        shown = self._shown(pairs, keys, options, aside)
        with _uncollected():
            work = {
                pair_id: self._read_work(pair_id, found, options, aside, again)
                for pair_id, found in keys.items()
                if pair_id in shown or pair_id in gold.pairs
            }
        drafts = read_drafts(
            self._root, lambda bad: aside.append(SetAside(DRAFTS, 0, bad.row, bad.reason, bad.message))
        )
        record = Record(
            options,
            tuple(shown.values()),
            {pair_id: done for pair_id, done in work.items() if pair_id in shown},
            self._sizes,
            drafts,
            frozenset(key for name in existing if (key := TaskKey.parse(name)) is not None),
            gold,
            {pair_id: done for pair_id, done in work.items() if pair_id in gold.pairs},
            since,
        )
        return record, aside

    def _shown(
        self, pairs: Mapping[str, Pair], keys: Collection[str], options: Options, aside: list[SetAside]
    ) -> dict[str, Pair]:
        """The pairs whose pictures can be used; of those in `keys` the sizes are known from then on."""
        shown = {}
        for pair_id, pair in pairs.items():
            try:
                picture_urls(self._root, pair, options)
                if pair_id in keys and pair_id not in self._sizes:
                    info = images.inspect(images.read(self._root, pair.edited))
                    self._sizes[pair_id] = info.width, info.height
                shown[pair_id] = pair
            except UserError as error:
                aside.append(SetAside(pair_id, 0, pair.place.row, "bad_picture", str(error)))
        return shown

    def _read_gold(self, listed: list[Pair], options: Options) -> Gold:
        path = self._root / GOLD
        state = (path.read_bytes() if path.is_file() else None, listed, options)
        if self._gold is None or self._gold[0] != state:
            self._gold = state, read_gold(self._root, listed, options)
            self._sizes |= {pair_id: one.size for pair_id, one in self._gold[1].pairs.items()}
        return self._gold[1]

    def _read_work(
        self, pair_id: str, keys: list[TaskKey], options: Options, aside: list[SetAside], again: Collection[TaskKey]
    ) -> Work:
        state = [(key, self._archive.count(str(key)), key in again) for key in keys]
        known = self._work.get(pair_id)
        if known is None or known[0] != state:
            known = state, read_work(self._archive, keys, self._sizes[pair_id], options, aside.append, again)
            self._work[pair_id] = known
        return known[1]


def _stages(options: Options, pairs: Iterable[str], gold: Gold) -> dict[str, frozenset[str]]:
    """The stages in which there can be tasks of each pair."""
    every = frozenset(need.stage for need in options.needs())
    return (
        dict.fromkeys(pairs, every)
        | dict.fromkeys(gold.veiled, every & {*HIDING})
        | dict.fromkeys(gold.lessons, frozenset({"qualification"}))
    )


def picture_urls(root: Path, pair: Pair, options: Options) -> dict[str, str]:
    """The addresses of a pair's pictures as its tasks name them; `UserError` when one cannot be shown."""
    pictures = _pictures(root, options.pictures)
    return {"source_image": pictures.url(pair.source), "edited_image": pictures.url(pair.edited)}


@lru_cache(maxsize=1)
def _pictures(root: Path, base: str | None) -> Pictures:
    return Pictures(root, base)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without searches for cycles, of which there are none in what is read: they take a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
