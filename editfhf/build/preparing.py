"""From a corpus to a plan: everything that must be known before the first shard is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from annotation.records import DIMENSIONS, Pair, Rejection
from editfhf.build import outputs, plan, split, validating
from editfhf.build.context import Context
from editfhf.build.pictures import Picture
from editfhf.build.ratings import Scored, score_ratings
from editfhf.build.reading import Reading, read_annotations, read_pairs
from editfhf.build.spool import Spool
from editfhf.build.spool import reading as reading_spool
from editfhf.executors import Pool
from mos.errors import UserError

EXPLAINED = {
    "no_ratings": "nobody rated it",
    "too_few": "too few ratings are left after screening",
    "all_excluded": "every rating was set aside by the screening",
}


@dataclass(frozen=True)
class Looked:
    """The corpus after a look at every pair, every picture and everything people said."""

    reading: Reading
    found: dict[str, Picture]
    images: dict[str, Any]
    spool: Spool


@dataclass(frozen=True)
class Prepared:
    """What is known before the shards: the plan, the scores, and who is who."""

    reading: Reading
    scored: Scored
    people: dict[str, str]
    split: dict[str, str]
    planned: list[plan.Planned]


def look(context: Context, pool: Pool) -> Looked:
    """Read the pairs, check their pictures in the workers, and meanwhile read what people said, here."""
    reading = read_pairs(context.corpus, context.reject)
    with ThreadPoolExecutor(1) as aside:
        checking = aside.submit(validating.check_pictures, context, pool, reading.pairs)
        try:
            spool = _read(context, reading)
            found = checking.result()
        except BaseException:
            pool.stop()
            raise
    return Looked(reading, found, validating.identity(found), spool)


def prepare(context: Context, looked: Looked) -> Prepared:
    """Score what was read, deal the sources and plan the shards.

    Raises:
        UserError: no pair is left.
    """
    reading, found = looked.reading, looked.found
    usable = validating.usable_pairs(context, reading.pairs, found)
    counts = reading.tally.counts
    counts["pictures"], counts["pictures_good"] = len(found), sum(not picture.reason for picture in found.values())
    counts["pairs_read"], counts["pairs_usable"] = len(reading.pairs), len(usable)
    if not usable:
        raise UserError(_nothing_left(context, len(reading.pairs)))
    _explain_rejected_pairs(context, reading, usable)
    context.watcher.begin("Scoring ratings", None)
    scored = score_ratings(reading.ratings, set(usable), context.options.mos, context.reject)
    people = _people(context, reading, scored)
    dealt = _deal(context, [reading.pairs[ordinal] for ordinal in usable.values()], found)
    planned = _plan(context, reading, usable, found, scored, dealt, people, looked.spool)
    splits = {pair_id: dealt[reading.pairs[ordinal].source_id] for pair_id, ordinal in usable.items()}
    return Prepared(reading, scored, people, splits, planned)


def _nothing_left(context: Context, pairs: int) -> str:
    path = context.space.area / outputs.REJECTED
    outputs.write_rejected(path, context.log, {})
    counts = context.log.counts()
    reasons = ", ".join(f"{reason} ({count})" for (_, reason), count in counts.items())
    return f"No usable pair is left of {pairs}: {reasons or 'pairs.jsonl is empty'}. Every reason is in {path}."


def _read(context: Context, reading: Reading) -> Spool:
    spool = Spool(context.space.area / "spool.sqlite")
    read_annotations(context.corpus, reading, spool, context.reject)
    spool.close()
    return spool


def _explain_rejected_pairs(context: Context, reading: Reading, usable: Mapping[str, int]) -> None:
    """One line for each task about a pair that was set aside: its annotations are not used."""
    known = {ordinal: pair_id for pair_id, ordinal in reading.ordinals.items()}
    kept = set(usable.values())
    with reading_spool(context.space.area / "spool.sqlite") as said:
        for ordinal, file, row in said.execute("SELECT pair, file, row FROM said GROUP BY pair, file, row"):
            if ordinal not in kept:
                message = "its pair was set aside, so what is said of it here is not used"
                context.reject(Rejection("annotation", file, row, "pair_rejected", message, pair_id=known[ordinal]))


def _people(context: Context, reading: Reading, scored: Scored) -> dict[str, str]:
    everyone = reading.people | set(scored.ratings.raters.to_pylist())
    return plan.pseudonyms(context.corpus.meta.name, everyone, context.options.pseudonyms)


def _deal(context: Context, pairs: Sequence[Pair], found: Mapping[str, Picture]) -> dict[str, str]:
    options = context.options.split
    ratios = {"train": options.train, "validation": options.validation, "test": options.test}
    shown = ((pair.source_id, found[path].sha256) for pair in pairs for path in (pair.source, pair.edited))
    return split.assign(pairs, split.families(shown), ratios, options.seed)


def _plan(
    context: Context,
    reading: Reading,
    usable: Mapping[str, int],
    found: Mapping[str, Picture],
    scored: Scored,
    dealt: Mapping[str, str],
    people: Mapping[str, str],
    spool: Spool,
) -> list[plan.Planned]:
    scores = scored.by_pair()
    rated = len(scored.table) > 0
    rows = []
    for pair_id, ordinal in usable.items():
        pair = reading.pairs[ordinal]
        own = scores.get(pair_id, {})
        if rated:
            _explain_missing(context, pair, own)
        rows.append(plan.row_of(pair, ordinal, dealt[pair.source_id], found, own, spool.digest(ordinal)))
    return plan.cut(rows, context.options, {"versions": outputs.versions(), "people": dict(people)})


def _explain_missing(context: Context, pair: Pair, scores: Mapping[str, plan.Score]) -> None:
    for dimension in DIMENSIONS:
        score, _, _, reason = scores.get(dimension, (None, None, 0, None))
        if score is None:
            reason = reason or "no_ratings"
            message = f"no score in {dimension}: {EXPLAINED.get(reason, reason)}"
            context.reject(Rejection("score", *pair.place, reason, message, pair_id=pair.pair_id, item_id=dimension))
