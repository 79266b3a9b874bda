"""Select the accepted regions of a corpus and those without a final text: from its campaign, else from its exports.

Regions and their ids are those of `annotate sync` and of `editfhf build`, since the same functions compute them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from annotation import images
from annotation.campaign.archive import open_archive_copy
from annotation.campaign.corpus_rules import read_corpus_rules
from annotation.campaign.model import NO_WORK
from annotation.campaign.options import CAMPAIGN_FILE, CAMPAIGN_FOLDER, read_campaign_options
from annotation.campaign.planning.final_regions import find_final_regions
from annotation.campaign.planning.planner import iter_pair_statuses
from annotation.campaign.read_record import RecordReader
from annotation.consensus import resolve_regions
from annotation.corpus import Corpus
from annotation.images import ImageError
from annotation.json_lines import RejectCallback
from annotation.records import Pair, Region
from editfhf.builder.options import BuildOptions
from editfhf.builder.read_corpus import read_corpus_pairs, spool_annotations
from editfhf.builder.rows import make_consensus_options, parse_spooled_records
from editfhf.builder.rules import resolve_options
from editfhf.builder.spool import AnnotationSpool, open_spool, read_spooled_records
from editfhf.builder.steps import BuildCounts
from mos.errors import UserError
from mos.files import open_scratch_folder, read_regular_file
from mos.words import did_you_mean

MarkedPairSize = tuple[int, int]


@dataclass(frozen=True, slots=True)
class MarkedPair:
    """A pair whose regions are known.

    Attributes
    ----------
    pair : Pair
        Row of pairs.jsonl.
    size : tuple of int
        (width, height) of the edited image as displayed, in pixels.
    undecided : tuple of Region
        Accepted regions without a final text, in the order of the consensus; numbered from 1 in requests.
    decided : dict of str to Region
        Regions with a final text, by region_id: the expert's, or the one on which reviewers agree.
    under_review : frozenset of str
        Ids of undecided regions with at least one review.
    """

    pair: Pair
    size: MarkedPairSize
    undecided: tuple[Region, ...]
    decided: dict[str, Region]
    under_review: frozenset[str] = frozenset()


@dataclass
class SkippedPairs:
    """Counts of skipped pairs, by reason."""

    unfinished: int = 0
    bad_image: int = 0
    without_regions: int = 0


class RegionSelection(Protocol):
    """Marked pairs of a corpus, ordered by pair_id; can be iterated several times."""

    def iter_pairs(self, skipped: SkippedPairs) -> Iterator[MarkedPair]: ...


@contextmanager
def select_regions(root: Path, options: BuildOptions, reject: RejectCallback) -> Iterator[RegionSelection]:
    """Select the marked pairs of a corpus.

    Parameters
    ----------
    root : Path
        Folder of the corpus.
    options : BuildOptions
        Rules for accepted regions, for a corpus without a campaign. Rules that the corpus states are used as well.
    reject : callable
        Receives every record that cannot be used.

    Raises
    ------
    UserError
        The options and the rules of the corpus contradict each other.
    """
    corpus = Corpus.open(root)
    if _has_campaign(root):
        yield _CampaignSelection(root)
    else:
        with open_scratch_folder() as folder:
            resolved = resolve_options(options, read_corpus_rules(corpus))
            yield _ExportSelection(corpus, resolved, reject, folder)


def resolve_pair_names(root: Path, names: Collection[str]) -> frozenset[str]:
    """Ids of the named pairs; `@FILE` stands for a file with one id per line.

    `UserError` for an unknown pair or an unreadable file.
    """
    wanted: set[str] = set()
    for name in names:
        if name.startswith("@"):
            wanted.update(_read_pair_names(Path(name[1:])))
        else:
            wanted.add(name)
    known = [pair.pair_id for pair in Corpus.open(root).pairs(lambda rejection: None)]
    for name in sorted(wanted.difference(known)):
        hint = did_you_mean(name, known)
        raise UserError(f"--pairs: {name[:80]!r} is no pair of {root / 'pairs.jsonl'}.{hint}")
    return frozenset(wanted)


def _read_pair_names(path: Path) -> list[str]:
    try:
        return [line.strip() for line in read_regular_file(path).decode("utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--pairs: {path} cannot be read ({type(error).__name__}): expected one id per line.") from None


def _has_campaign(root: Path) -> bool:
    """Whether the corpus has a campaign with a stage for regions."""
    return (root / CAMPAIGN_FOLDER / CAMPAIGN_FILE).is_file() and "regional" in read_campaign_options(root).steps


class _CampaignSelection:
    """Regions of a campaign after its last sync."""

    def __init__(self, root: Path) -> None:
        options = read_campaign_options(root)
        with open_archive_copy(root) as archive:
            self._record, self._rejections = RecordReader(root, archive).read(options)
        self._pairs = {pair.pair_id: pair for pair in self._record.pairs}
        self._statuses = list(iter_pair_statuses(self._record))

    def iter_pairs(self, skipped: SkippedPairs) -> Iterator[MarkedPair]:
        skipped.bad_image += len(
            {rejection.file for rejection in self._rejections if rejection.reason == "bad_picture"}
        )
        for status in self._statuses:
            regions = find_final_regions(self._record, status)
            if regions is None:
                skipped.unfinished += 1
                continue
            work = self._record.work.get(status.pair_id, NO_WORK)
            if not regions:
                skipped.without_regions += 1
                continue
            undecided, decided = _split_by_text(regions)
            for region in undecided:
                review = status.reviews.get(region.region_id)
                if review is not None and review.result is not None:
                    decided[region.region_id] = replace(
                        region, rationale=review.result.said, flaw_type=review.flaw_type, severity=review.severity
                    )
            size = self._record.sizes[status.pair_id]
            under_review = frozenset([*work.turns, *work.settling])
            yield MarkedPair(self._pairs[status.pair_id], size, undecided, decided, under_review)


class _ExportSelection:
    """Regions that a build of the corpus would accept; submissions are spooled to a file in `folder`."""

    def __init__(self, corpus: Corpus, options: BuildOptions, reject: RejectCallback, folder: Path) -> None:
        self._corpus = corpus
        self._rules = make_consensus_options(options)
        self._limits = options.images
        self._contents = read_corpus_pairs(corpus, reject)
        self._path = folder / "spool.sqlite"
        writer = AnnotationSpool(self._path)
        spool_annotations(corpus, self._contents, writer, reject)
        writer.close()

    def iter_pairs(self, skipped: SkippedPairs) -> Iterator[MarkedPair]:
        for pair in sorted(self._contents.pairs, key=lambda pair: pair.pair_id):
            # Opened per pair: pairs may be read from different threads, one after the other.
            with open_spool(self._path) as spool:
                records = read_spooled_records(spool, self._contents.ordinals[pair.pair_id])
            if not records:
                skipped.unfinished += 1
                continue
            try:
                size = self._read_size(pair)
            except ImageError:
                skipped.bad_image += 1
                continue
            submissions = parse_spooled_records(records, pair.pair_id, size, BuildCounts())
            annotators = {annotation.annotator_id for annotation in submissions.regional}
            if not submissions.expert and len(annotators) < self._rules.min_support:
                skipped.unfinished += 1
                continue
            regions = resolve_regions(pair.pair_id, submissions, self._rules, ignore_rejection).regions
            if not regions:
                skipped.without_regions += 1
                continue
            undecided, decided = _split_by_text(regions)
            # A rationale may be about one of the marks from which a region was made.
            reviewed = {rationale.region_id for rationale in submissions.rationales}
            under_review = frozenset(
                region.region_id for region in undecided if reviewed & {region.region_id, *region.mark_ids}
            )
            yield MarkedPair(pair, size, undecided, decided, under_review)

    def _read_size(self, pair: Pair) -> MarkedPairSize:
        data = images.read_image_bytes(self._corpus.root, pair.edited, max_bytes=self._limits.max_bytes)
        info = images.inspect_image(data, max_pixels=self._limits.max_pixels)
        return info.width, info.height


def _split_by_text(regions: Iterable[Region]) -> tuple[tuple[Region, ...], dict[str, Region]]:
    """Regions without a final text in their order, and those with one by region_id."""
    regions = tuple(regions)
    undecided = tuple(region for region in regions if region.rationale is None)
    return undecided, {region.region_id: region for region in regions if region.rationale is not None}


def ignore_rejection(_: object) -> None:
    """Ignore a rejection: `editfhf build` and `editfhf validate` report it."""
