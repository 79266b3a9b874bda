"""From a corpus and its archive to the record by which tasks are planned and exports are written."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from annotation import images
from annotation.campaign.again import read_again
from annotation.campaign.answers import SetAside, Work, read_work, sort_keys
from annotation.campaign.archive import Archive
from annotation.campaign.drafts import FILE as DRAFTS
from annotation.campaign.drafts import read_drafts
from annotation.campaign.options import FOLDER, Options
from annotation.campaign.planner import Record
from annotation.campaign.tasks import Size, TaskKey
from annotation.corpus import Corpus
from annotation.records import Pair
from annotation.studio.pictures import Pictures
from mos.errors import UserError


class RecordReader:
    """Reads the record of a corpus again and again; what did not change is not worked out anew."""

    def __init__(self, root: Path, archive: Archive) -> None:
        self._root = root
        self._archive = archive
        self._sizes: dict[str, Size] = {}
        self._work: dict[str, tuple[object, Work]] = {}
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
        pairs = {pair.pair_id: pair for pair in Corpus.open(self._root).pairs(lambda rejection: None)}
        keys = sort_keys(self._archive, options, pairs, aside.append)
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
        work = {
            pair_id: self._read_work(pair_id, found, options, aside, again)
            for pair_id, found in keys.items()
            if pair_id in shown
        }
        known = frozenset(key for name in existing if (key := TaskKey.parse(name)) is not None)
        drafts = read_drafts(
            self._root, lambda bad: aside.append(SetAside(DRAFTS, 0, bad.row, bad.reason, bad.message))
        )
        return Record(options, tuple(shown.values()), work, self._sizes, drafts, known), aside

    def _read_work(
        self, pair_id: str, keys: list[TaskKey], options: Options, aside: list[SetAside], again: Collection[TaskKey]
    ) -> Work:
        state = [(key, self._archive.count(str(key)), key in again) for key in keys]
        known = self._work.get(pair_id)
        if known is None or known[0] != state:
            known = state, read_work(self._archive, keys, self._sizes[pair_id], options, aside.append, again)
            self._work[pair_id] = known
        return known[1]


def picture_urls(root: Path, pair: Pair, options: Options) -> dict[str, str]:
    """The addresses of a pair's pictures as its tasks name them; `UserError` when one cannot be shown."""
    pictures = Pictures(root, options.pictures)
    return {"source_image": pictures.url(pair.source), "edited_image": pictures.url(pair.edited)}
