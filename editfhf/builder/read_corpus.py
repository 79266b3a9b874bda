"""Read a corpus: pairs into a list, submissions about regions into the spool, ratings into columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import orjson

from annotation.corpus import Corpus
from annotation.labelstudio.read_ratings import read_latest_ratings
from annotation.labelstudio.submissions import list_annotator_ids
from annotation.records import Flag, Pair, Rejection
from annotation.regions import TASK_KINDS, dump_task, read_flag_table, read_pair_tasks
from editfhf.builder.ratings import CollectedRatings
from editfhf.builder.spool import AnnotationSpool, SpooledRecord
from editfhf.builder.steps import BuildCounts
from mos.spellings import describe_difference, find_other_spellings

_RejectRecord = Callable[[Rejection], None]


@dataclass
class CorpusContents:
    """What was read of a corpus.

    Attributes
    ----------
    pairs : list of Pair
        The valid pairs; the position of a pair is its ordinal.
    ordinals : dict
        Ordinal by pair_id, of rejected pairs too (they follow the valid ones).
    ratings : CollectedRatings
    participants : set of str
        Ids of everybody who submitted something.
    tally : BuildCounts
    """

    pairs: list[Pair] = field(default_factory=list)
    ordinals: dict[str, int] = field(default_factory=dict)
    ratings: CollectedRatings = field(default_factory=CollectedRatings)
    participants: set[str] = field(default_factory=set)
    tally: BuildCounts = field(default_factory=BuildCounts)


def read_corpus_pairs(corpus: Corpus, reject: _RejectRecord) -> CorpusContents:
    """Read `pairs.jsonl`. Rejected pairs get ordinals too, so that submissions about them can be rejected by name."""
    contents = CorpusContents()
    refused: list[str] = []

    def reject_and_note(rejection: Rejection) -> None:
        if rejection.what == "pair":
            contents.tally.counts["pairs_refused"] += 1
            refused.append(rejection.pair_id or "")
        reject(rejection)

    for pair in corpus.pairs(reject_and_note):
        contents.ordinals[pair.pair_id] = len(contents.pairs)
        contents.pairs.append(pair)
    for one, other in find_other_spellings([pair.pair_id for pair in contents.pairs]):
        message = (
            f"the pair_id of another pair is the same in another spelling ({describe_difference(one, other)}); they "
            "count as two pairs: write it one way where one is meant"
        )
        place = contents.pairs[contents.ordinals[other]].place
        reject(Rejection("pair", *place, "similar_id", message, pair_id=other, repaired=True))
    for number, pair_id in enumerate(sorted(set(refused) - set(contents.ordinals) - {""})):
        contents.ordinals[pair_id] = len(contents.pairs) + number
    return contents


def spool_annotations(corpus: Corpus, contents: CorpusContents, spool: AnnotationSpool, reject: _RejectRecord) -> None:
    """Read the files in `annotations/`: submissions about regions into the spool, ratings into columns."""
    files = corpus.files(reject)
    for kind in TASK_KINDS:
        for file in files[kind]:
            for pair_id, place, task in read_pair_tasks(corpus.root, file, contents.ordinals, reject):
                payload = dump_task(task, place, reject)
                if payload is not None:
                    contents.participants.update(list_annotator_ids(task))
                    spool.add(contents.ordinals[pair_id], SpooledRecord(kind, place, payload))
    for file in files["ratings"]:
        if file.endswith(".json"):
            for _, place, task in read_pair_tasks(corpus.root, file, contents.ordinals, reject):
                contents.participants.update(list_annotator_ids(task))
                ratings, flags = read_latest_ratings(task, place, reject)
                contents.ratings.add(ratings)
                _spool_flags(flags, contents, spool)
        else:
            contents.ratings.add_table(corpus.root / file, file, contents.ordinals, reject)
    for file in files["flags"]:
        _spool_flags(read_flag_table(corpus.root, file, contents.ordinals, reject), contents, spool)


def _spool_flags(flags: Iterable[Flag], contents: CorpusContents, spool: AnnotationSpool) -> None:
    for flag in flags:
        contents.participants.add(flag.annotator_id)
        payload = orjson.dumps({"region_id": flag.region_id, "annotator_id": flag.annotator_id})
        spool.add(contents.ordinals[flag.pair_id], SpooledRecord("flags", flag.place, payload))
