"""Read the record of a campaign from its corpus and its archive; tasks and exports follow from it."""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from annotation import images
from annotation.campaign.answers import group_task_keys, read_pair_work
from annotation.campaign.archive import AnswerArchive, open_archive_copy
from annotation.campaign.drafts import DRAFTS_FILE, read_drafts, reject_unknown_draft
from annotation.campaign.gold_file import GOLD_FILE, read_gold_file
from annotation.campaign.model import CampaignRecord, GoldSet, PairImageSize, PairWork, TaskKey, reject_submission
from annotation.campaign.options import (
    CAMPAIGN_FILE,
    CAMPAIGN_FOLDER,
    HIDDEN_GOLD_STAGES,
    CampaignOptions,
    read_campaign_options,
)
from annotation.campaign.state_files import (
    CAMPAIGN_REDO_FILE,
    REQUALIFY_FILE,
    read_redo_requests,
    read_requalify_requests,
)
from annotation.corpus import PAIRS_FILE, Corpus
from annotation.labelstudio.image_urls import ImageUrls
from annotation.records import Pair
from mos.errors import UserError
from mos.files import read_regular_file
from mos.rejections import Rejection

RECORD_INPUTS = (
    f"{CAMPAIGN_FOLDER}/{CAMPAIGN_FILE}",
    f"{CAMPAIGN_FOLDER}/{CAMPAIGN_REDO_FILE}",
    f"{CAMPAIGN_FOLDER}/{REQUALIFY_FILE}",
    PAIRS_FILE,
    DRAFTS_FILE,
    GOLD_FILE,
)
"""Files of the corpus, besides the archive, on which the record depends: a sync plans again when one changes."""


class RecordReader:
    """Reads the record of a corpus, and keeps the work of pairs that did not change since the last time.

    Parameters
    ----------
    root
        Folder of the corpus.
    archive
        Its open archive.
    """

    def __init__(self, root: Path, archive: AnswerArchive) -> None:
        self._root = root
        self._archive = archive
        self._sizes: dict[str, PairImageSize] = {}
        self._work: dict[str, tuple[object, PairWork]] = {}
        self._gold: tuple[object, GoldSet] | None = None
        self._options: CampaignOptions | None = None

    def read(self, options: CampaignOptions, existing: Iterable[str] = ()) -> tuple[CampaignRecord, list[Rejection]]:
        """Read the record; a pair whose images cannot be used is left out.

        Parameters
        ----------
        options
            Options of the campaign.
        existing
            Keys of the tasks on the server.

        Returns
        -------
        record : CampaignRecord
        rejections : list of Rejection
            Submissions and lines that do not count.
        """
        if options != self._options:
            self._options = options
            self._work.clear()
        rejections: list[Rejection] = []
        again = read_redo_requests(self._root / CAMPAIGN_FOLDER, rejections.append)
        since = read_requalify_requests(self._root / CAMPAIGN_FOLDER, rejections.append)
        listed = list(Corpus.open(self._root).pairs(lambda rejection: None))
        gold = self._read_gold(listed, options)
        pairs = {pair.pair_id: pair for pair in listed if pair.pair_id not in gold.pairs}
        keys = group_task_keys(self._archive, options, _stages_by_pair(options, pairs, gold), rejections.append)
        shown = self._shown(pairs, keys, options, rejections)
        with _gc_disabled():
            work = {
                pair_id: self._read_work(pair_id, found, options, rejections, again)
                for pair_id, found in keys.items()
                if pair_id in shown or pair_id in gold.pairs
            }
        drafts = read_drafts(self._root, lambda bad: rejections.append(_reject_line(bad)))
        known = {pair.pair_id for pair in listed}
        for pair_id in sorted(drafts.keys() - known):
            for region_id, draft in drafts.pop(pair_id).items():
                rejections.append(_reject_line(reject_unknown_draft(pair_id, region_id, draft, known, "pair")))
        record = CampaignRecord(
            options,
            tuple(shown.values()),
            {pair_id: done for pair_id, done in work.items() if pair_id in shown},
            self._sizes,
            drafts,
            frozenset(key for name in existing if (key := TaskKey.parse(name)) is not None),
            gold,
            {pair_id: done for pair_id, done in work.items() if pair_id in gold.pairs},
            since,
            again,
        )
        return record, rejections

    def _shown(
        self,
        pairs: Mapping[str, Pair],
        keys: Collection[str],
        options: CampaignOptions,
        rejections: list[Rejection],
    ) -> dict[str, Pair]:
        """The pairs whose images can be used; notes the image sizes of those in `keys`."""
        shown = {}
        for pair_id, pair in pairs.items():
            try:
                pair_image_urls(self._root, pair, options)
                if pair_id in keys and pair_id not in self._sizes:
                    info = images.inspect_image(images.read_image_bytes(self._root, pair.edited))
                    self._sizes[pair_id] = info.width, info.height
                shown[pair_id] = pair
            except UserError as error:
                rejections.append(reject_submission(pair_id, 0, pair.place.row, "bad_picture", str(error)))
        return shown

    def _read_gold(self, listed: list[Pair], options: CampaignOptions) -> GoldSet:
        path = self._root / GOLD_FILE
        state = (read_regular_file(path) if path.is_file() else None, listed, options)
        if self._gold is None or self._gold[0] != state:
            self._gold = state, read_gold_file(self._root, listed, options)
            self._sizes |= {pair_id: one.size for pair_id, one in self._gold[1].pairs.items()}
        return self._gold[1]

    def _read_work(
        self,
        pair_id: str,
        keys: list[TaskKey],
        options: CampaignOptions,
        rejections: list[Rejection],
        again: Collection[TaskKey],
    ) -> PairWork:
        state = [(key, self._archive.count(str(key)), key in again) for key in keys]
        known = self._work.get(pair_id)
        if known is None or known[0] != state:
            known = state, read_pair_work(self._archive, keys, self._sizes[pair_id], options, rejections.append, again)
            self._work[pair_id] = known
        return known[1]


def _reject_line(bad: Rejection) -> Rejection:
    """The rejection of a line of drafts.jsonl as a campaign keeps it."""
    return reject_submission(bad.file, 0, bad.row, bad.reason, bad.message, item_id=bad.item_id)


def _stages_by_pair(options: CampaignOptions, pairs: Iterable[str], gold: GoldSet) -> dict[str, frozenset[str]]:
    """The stages in which each pair can have tasks."""
    every: frozenset[str] = options.task_stages
    return (
        dict.fromkeys(pairs, every)
        | dict.fromkeys(gold.hidden_pairs, every & {*HIDDEN_GOLD_STAGES})
        | dict.fromkeys(gold.lessons, frozenset({"qualification"}))
    )


def pair_image_urls(root: Path, pair: Pair, options: CampaignOptions) -> dict[str, str]:
    """The URLs of a pair's images in its tasks; `UserError` when one cannot be shown."""
    urls = _image_server(root, options.pictures)
    return {"source_image": urls.url(pair.source), "edited_image": urls.url(pair.edited)}


@lru_cache(maxsize=1)
def _image_server(root: Path, base: str | None) -> ImageUrls:
    return ImageUrls(root, base)


@contextmanager
def _gc_disabled() -> Iterator[None]:
    """Disable the cyclic garbage collector while parsing, which makes no cycles (saves a third of the time)."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def read_campaign_record(corpus: Path) -> tuple[CampaignRecord, list[Rejection]]:
    """Read the record of the campaign in a corpus as the last sync left it, without the server.

    Returns
    -------
    record : CampaignRecord
        Its `existing` tasks are unknown, because only the server knows them.
    rejections : list of Rejection
        Submissions and lines that do not count.

    Raises
    ------
    UserError
        There is no campaign in the corpus, or one of its files is wrong.
    """
    options = read_campaign_options(corpus)
    with open_archive_copy(corpus) as archive:
        return RecordReader(corpus, archive).read(options)
