"""Which regions of a corpus are accepted and wait for a text: by the campaign's archive, else by the build's files.

Regions and their ids are those of `annotate sync` and of `editfhf build`: the same functions make them.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from annotation import images
from annotation.consensus import resolve
from annotation.corpus import Corpus
from annotation.images import ImageError
from annotation.jsonlines import Reject
from annotation.records import Pair, Region
from editfhf.build.options import BuildOptions
from mos.errors import UserError

Size = tuple[int, int]

MARKED = ("textual", "scoring", None)
"""Steps of a campaign in which a pair's regions are known; None: it went through all of them."""


@dataclass(frozen=True, slots=True)
class Marked:
    """One pair of which people have said where its flaws are.

    size: (width, height) of the edited picture as displayed, in pixels
    undecided: accepted regions without a text that stands, in the order of the consensus; they are numbered from 1
    decided: the regions whose text stands, by region_id: the expert's, or what reviewers agree on
    spoken: ids of undecided regions on whose text a reviewer has had a word already
    """

    pair: Pair
    size: Size
    undecided: tuple[Region, ...]
    decided: dict[str, Region]
    spoken: frozenset[str] = frozenset()


@dataclass
class Skipped:
    """Pairs that were passed over, by the reason."""

    unfinished: int = 0
    bad_picture: int = 0
    without_regions: int = 0


class Selection(Protocol):
    """The marked pairs of a corpus, by pair_id; may be asked again and again."""

    def pairs(self, skipped: Skipped) -> Iterator[Marked]: ...


@contextmanager
def select(root: Path, options: BuildOptions, reject: Reject) -> Iterator[Selection]:
    """Look through a corpus; what cannot be read goes to `reject`.

    options: those of the build, for a corpus without a campaign (a campaign has its own)
    """
    corpus = Corpus.open(root)
    if _has_campaign(root):
        yield _Campaign(root)
    else:
        with TemporaryDirectory(prefix="editfhf-") as folder:
            yield _Exports(corpus, options, reject, Path(folder))


def named_pairs(root: Path, names: Collection[str]) -> frozenset[str]:
    """The ids of pairs that a person named, `@FILE` for a file with one id a line.

    `UserError` when one is no pair of the corpus, or the file cannot be read.
    """
    wanted: set[str] = set()
    for name in names:
        if name.startswith("@"):
            wanted.update(_lines(Path(name[1:])))
        else:
            wanted.add(name)
    known = [pair.pair_id for pair in Corpus.open(root).pairs(lambda rejection: None)]
    for name in sorted(wanted.difference(known)):
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UserError(f"--pairs: {name[:80]!r} is no pair of {root / 'pairs.jsonl'}.{hint}")
    return frozenset(wanted)


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--pairs: {path} cannot be read ({type(error).__name__}): expected an id a line.") from None


def _has_campaign(root: Path) -> bool:
    """Whether a campaign marks the regions of this corpus."""
    from annotation.campaign.options import FILE, FOLDER, read_options

    return (root / FOLDER / FILE).is_file() and "regional" in read_options(root).steps


class _Campaign:
    """The regions of a running campaign, as the last sync left it."""

    def __init__(self, root: Path) -> None:
        from annotation.campaign.options import read_options
        from annotation.campaign.planning.planner import states
        from annotation.campaign.record import RecordReader
        from annotation.campaign.status.looking import archive_copy

        options = read_options(root)
        with archive_copy(root) as archive:
            self._record, self._aside = RecordReader(root, archive).read(options)
        self._states = list(states(self._record))

    def pairs(self, skipped: Skipped) -> Iterator[Marked]:
        from annotation.campaign.answers import NOTHING
        from annotation.campaign.planning.planner import accepted
        from annotation.consensus import ConsensusOptions

        options = self._record.options
        rules = ConsensusOptions(options.min_support, options.iou, reviewers=options.reviewers)
        pairs = {pair.pair_id: pair for pair in self._record.pairs}
        skipped.bad_picture += len({one.key for one in self._aside if one.reason == "bad_picture"})
        for state in self._states:
            if state.step not in MARKED:
                skipped.unfinished += 1
                continue
            work = self._record.work.get(state.pair_id, NOTHING)
            regions = accepted(state.pair_id, work, rules).regions
            if not regions:
                skipped.without_regions += 1
                continue
            undecided = tuple(region for region in regions if region.rationale is None)
            decided = {region.region_id: region for region in regions if region.rationale is not None}
            for region in undecided:
                review = state.reviews.get(region.region_id)
                if review is not None and review.result is not None:
                    decided[region.region_id] = replace(
                        region, rationale=review.result.said, flaw_type=review.flaw_type, severity=review.severity
                    )
            spoken = frozenset([*work.turns, *work.settling])
            yield Marked(pairs[state.pair_id], self._record.sizes[state.pair_id], undecided, decided, spoken)


class _Exports:
    """The regions that a build of the corpus would accept."""

    def __init__(self, corpus: Corpus, options: BuildOptions, reject: Reject, folder: Path) -> None:
        from editfhf.build.reading import read_annotations, read_pairs
        from editfhf.build.spool import Spool

        self._corpus = corpus
        self._options = options
        self._reading = read_pairs(corpus, reject)
        self._path = folder / "spool.sqlite"
        spool = Spool(self._path)
        read_annotations(corpus, self._reading, spool, reject)
        spool.close()

    def pairs(self, skipped: Skipped) -> Iterator[Marked]:
        from editfhf.build import spool
        from editfhf.build.rows import listen, rules_of
        from editfhf.build.tally import Tally

        rules = rules_of(self._options)
        limits = self._options.images
        for pair in sorted(self._reading.pairs, key=lambda pair: pair.pair_id):
            # Opened for each pair: whoever draws pairs may do so in one thread after another.
            with spool.reading(self._path) as said:
                words = spool.said_of(said, self._reading.ordinals[pair.pair_id])
            if not words:
                skipped.unfinished += 1
                continue
            try:
                data = images.read(self._corpus.root, pair.edited, max_bytes=limits.max_bytes)
                info = images.inspect(data, max_pixels=limits.max_pixels)
            except ImageError:
                skipped.bad_picture += 1
                continue
            size = (info.width, info.height)
            heard = listen(words, pair.pair_id, size, Tally())
            people = {annotation.annotator_id for annotation in heard.annotations}
            if not heard.expert and len(people) < rules.min_support:
                skipped.unfinished += 1
                continue
            regions = resolve(
                pair.pair_id, heard.annotations, heard.expert, heard.rationales, heard.flags, rules, _passed_over
            ).regions
            if not regions:
                skipped.without_regions += 1
                continue
            decided = {region.region_id: region for region in regions if region.rationale is not None}
            spoken = frozenset(statement.region_id for statement in heard.rationales)
            # A statement may name one of the marks that a region was made of.
            undecided = tuple(region for region in regions if region.rationale is None)
            touched = {one.region_id for one in undecided if spoken & {one.region_id, *one.mark_ids}}
            yield Marked(pair, size, undecided, decided, frozenset(touched))


def _passed_over(_: object) -> None:
    """What is wrong with an annotation is said by `editfhf build` and `validate`."""
