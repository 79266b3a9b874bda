"""The accepted regions of a corpus as a list: from its campaign after the last sync, else from its exports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from annotation.campaign.drafts import DraftsByPair, read_drafts
from annotation.campaign.options import CAMPAIGN_FILE, CAMPAIGN_FOLDER, read_campaign_options
from annotation.campaign.planning.final_regions import find_final_regions
from annotation.campaign.planning.planner import iter_pair_statuses
from annotation.campaign.read_record import read_campaign_record
from annotation.corpus import Corpus
from annotation.records import Box, Kind, Region, Severity
from annotation.regions import accepted_regions
from mos.rejections import Rejection


@dataclass(frozen=True, slots=True)
class ListedRegion:
    """One accepted region, by the ids that a draft names.

    Parameters
    ----------
    pair_id, region_id : str
        The pair, and the region within it.
    kind : {"artifact", "failure"}
        Kind of the flaw.
    flaw_type, severity : str or None
        What most annotators, or the expert, said of it.
    box : Box
        In pixels of the edited image as displayed.
    rationale : str or None
        The text of the expert, or the final one of an export; None where there is none.
    draft : bool
        Whether `drafts.jsonl` has a draft for it.
    """

    pair_id: str
    region_id: str
    kind: Kind
    flaw_type: str | None
    severity: Severity | None
    box: Box
    rationale: str | None
    draft: bool

    def as_dict(self) -> dict[str, Any]:
        """The region as JSON values."""
        return asdict(self) | {"box": list(self.box)}


def list_regions(corpus: Path) -> Iterator[ListedRegion]:
    """List the accepted regions of a corpus.

    Parameters
    ----------
    corpus : Path
        Folder of the corpus.  With a campaign that marks regions, they are those of the last sync, of every pair whose
        regions are final; else those of the exports in `annotations/`.

    Yields
    ------
    ListedRegion
        By pair and in the order of the consensus.  The ids are those of the campaign, of `editfhf draft` and of a
        built dataset.

    Raises
    ------
    UserError
        The folder is no corpus, or a file of its campaign is wrong.

    Examples
    --------
    Write a draft for every region that has no text::

        for region in annotation.list_regions(Path("corpus")):
            if region.rationale is None and not region.draft:
                print(region.pair_id, region.region_id)
    """
    drafts = read_drafts(corpus, _ignore_rejection)
    for pair_id, regions in _iter_regions_by_pair(corpus):
        yield from _list_pair(pair_id, regions, drafts)


def _iter_regions_by_pair(corpus: Path) -> Iterator[tuple[str, Iterable[Region]]]:
    opened = Corpus.open(corpus)
    if (corpus / CAMPAIGN_FOLDER / CAMPAIGN_FILE).is_file() and "regional" in read_campaign_options(corpus).steps:
        record, _ = read_campaign_record(corpus)
        for status in iter_pair_statuses(record):
            yield status.pair_id, find_final_regions(record, status) or ()
    else:
        for pair, consensus in accepted_regions(opened):
            yield pair.pair_id, consensus.regions


def _list_pair(pair_id: str, regions: Iterable[Region], drafts: DraftsByPair) -> Iterator[ListedRegion]:
    own = drafts.get(pair_id, {})
    for region in regions:
        yield ListedRegion(
            pair_id,
            region.region_id,
            region.kind,
            region.flaw_type,
            region.severity,
            region.box,
            region.rationale,
            region.region_id in own,
        )


def _ignore_rejection(_: Rejection) -> None:
    """Drop a rejection: `editfhf draft check` and `editfhf annotate sync` report it."""
