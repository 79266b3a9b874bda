"""Prepare a build: check the images, find the usable pairs, score the ratings, assign the splits, plan the shards."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from annotation.records import DIMENSIONS, Pair, Rejection
from editfhf.builder import outputs
from editfhf.builder.check_images import (
    IMAGE_BATCH,
    CheckedImage,
    check_image_batch,
    read_known_images,
    remember_images,
)
from editfhf.builder.context import BuildContext
from editfhf.builder.ratings import ScoredRatings, score_corpus_ratings
from editfhf.builder.read_corpus import CorpusContents, read_corpus_pairs, spool_annotations
from editfhf.builder.rejections import NoUsablePairError
from editfhf.builder.shard_plan import (
    PairScore,
    PlannedShard,
    assign_pseudonyms,
    assign_splits,
    find_source_families,
    make_order_row,
    plan_shards,
)
from editfhf.builder.spool import SPOOL_FILE, AnnotationSpool, list_spooled_places, open_spool
from editfhf.builder.steps import CHECKING_PHASE, SCORING_PHASE
from editfhf.executors import BoundedPool
from editfhf.manifest import ManifestImages

MISSING_SCORE_REASONS = {
    "no_ratings": "it has no rating",
    "too_few": "too few ratings are left after screening",
    "all_excluded": "the screening excluded every rating",
}


@dataclass(frozen=True)
class ScannedCorpus:
    """A corpus after reading: its contents, every image checked (by path), all submissions in the spool."""

    contents: CorpusContents
    checked: dict[str, CheckedImage]
    images: ManifestImages
    spool: AnnotationSpool


@dataclass(frozen=True)
class PreparedBuild:
    """Everything that is known before the shards are made.

    Attributes
    ----------
    contents : CorpusContents
    scored : ScoredRatings
    pseudonyms : dict
        Name in the dataset by id of the participant.
    split : dict
        Split by pair_id of every usable pair.
    planned : list of PlannedShard
    """

    contents: CorpusContents
    scored: ScoredRatings
    pseudonyms: dict[str, str]
    split: dict[str, str]
    planned: list[PlannedShard]


def scan_corpus(context: BuildContext, pool: BoundedPool) -> ScannedCorpus:
    """Read the pairs, check their images in the workers, and meanwhile read all submissions in this process."""
    contents = read_corpus_pairs(context.corpus, context.reject)
    with ThreadPoolExecutor(1) as thread:
        checking = thread.submit(check_corpus_images, context, pool, contents.pairs)
        try:
            spool = AnnotationSpool(context.space.area / SPOOL_FILE)
            spool_annotations(context.corpus, contents, spool, context.reject)
            spool.close()
            checked = checking.result()
        except BaseException:
            pool.stop()
            raise
    return ScannedCorpus(contents, checked, digest_images(checked), spool)


def check_corpus_images(context: BuildContext, pool: BoundedPool, pairs: Sequence[Pair]) -> dict[str, CheckedImage]:
    """Check every image that a pair names; returns the results by path."""
    paths = sorted({path for pair in pairs for path in (pair.source, pair.edited)})
    context.progress.begin(CHECKING_PHASE, len(paths))
    cache, limits = context.running.cache, context.options.images
    known = read_known_images(cache) if cache else {}
    root = str(context.corpus.root.absolute())
    calls = (
        (root, paths[start : start + IMAGE_BATCH], str(cache or ""), limits.max_bytes, limits.max_pixels)
        for start in range(0, len(paths), IMAGE_BATCH)
    )
    checked: dict[str, CheckedImage] = {}
    for batch in pool.run(check_image_batch, calls):
        checked.update({image.path: image for image in batch})
        if cache:
            remember_images(cache, [image for image in batch if image.sha256 not in known])
        context.progress.advance(len(batch))
    return checked


def digest_images(checked: Mapping[str, CheckedImage]) -> ManifestImages:
    """Number and bytes of all images, and one digest over them."""
    digest = hashlib.sha256()
    for path, image in sorted(checked.items()):
        digest.update(f"{path}\0{image.sha256 or image.reason}\n".encode())
    size = sum(image.size for image in checked.values())
    return ManifestImages(files=len(checked), bytes=size, digest=digest.hexdigest())


def prepare_build(context: BuildContext, scanned: ScannedCorpus) -> PreparedBuild:
    """Score the ratings, assign the sources to splits and plan the shards.

    Raises
    ------
    NoUsablePairError
    """
    contents, checked = scanned.contents, scanned.checked
    usable = find_usable_pairs(context, contents.pairs, checked)
    counts = contents.tally.counts
    counts["images"], counts["images_usable"] = len(checked), sum(not image.reason for image in checked.values())
    counts["pairs_read"], counts["pairs_usable"] = len(contents.pairs), len(usable)
    if not usable:
        raise _make_empty_corpus_error(context, len(contents.pairs))
    _reject_unusable_tasks(context, contents, usable)
    context.progress.begin(SCORING_PHASE, None)
    scored = score_corpus_ratings(contents.ratings, set(usable), context.options.mos, context.reject)
    pseudonyms = _name_participants(context, contents, scored)
    split_of_source = _assign_sources(context, [contents.pairs[ordinal] for ordinal in usable.values()], checked)
    planned = _plan_dataset_shards(context, scanned, usable, scored, split_of_source, pseudonyms)
    splits = {pair_id: split_of_source[contents.pairs[ordinal].source_id] for pair_id, ordinal in usable.items()}
    return PreparedBuild(contents, scored, pseudonyms, splits, planned)


def find_usable_pairs(
    context: BuildContext, pairs: Sequence[Pair], checked: Mapping[str, CheckedImage]
) -> dict[str, int]:
    """Ordinals by pair_id of the pairs whose two images are good; the other pairs are rejected."""
    usable: dict[str, int] = {}
    for ordinal, pair in enumerate(pairs):
        bad = [checked[path] for path in dict.fromkeys((pair.source, pair.edited)) if checked[path].reason]
        for image in bad:
            item_id = image.path[:200]
            context.reject(Rejection("image", *pair.place, image.reason, image.message, pair.pair_id, item_id))
        if not bad:
            usable[pair.pair_id] = ordinal
    return usable


def _make_empty_corpus_error(context: BuildContext, pairs: int) -> NoUsablePairError:
    reasons = ", ".join(f"{reason} ({count})" for (_, reason), count in context.reject.counts().items())
    message = f"No usable pair is left of {pairs}: {reasons or 'pairs.jsonl is empty'}."
    return NoUsablePairError(message, list(context.reject.list_pseudonymised({})))


def _reject_unusable_tasks(context: BuildContext, contents: CorpusContents, usable: Mapping[str, int]) -> None:
    """Reject every studio task about a rejected pair."""
    known = {ordinal: pair_id for pair_id, ordinal in contents.ordinals.items()}
    usable_ordinals = set(usable.values())
    with open_spool(context.space.area / SPOOL_FILE) as spool:
        for ordinal, place in list_spooled_places(spool):
            if ordinal not in usable_ordinals:
                message = "its pair was rejected, so that its annotations are not used"
                context.reject(Rejection("annotation", *place, "pair_rejected", message, pair_id=known[ordinal]))


def _name_participants(context: BuildContext, contents: CorpusContents, scored: ScoredRatings) -> dict[str, str]:
    people = contents.participants | set(scored.ratings.raters.to_pylist())
    return assign_pseudonyms(context.corpus.meta.name, people, context.options.pseudonyms)


def _assign_sources(
    context: BuildContext, pairs: Sequence[Pair], checked: Mapping[str, CheckedImage]
) -> dict[str, str]:
    options = context.options.split
    ratios = {"train": options.train, "validation": options.validation, "test": options.test}
    images = ((pair.source_id, checked[path].sha256) for pair in pairs for path in (pair.source, pair.edited))
    return assign_splits(pairs, find_source_families(images), ratios, options.seed)


def _plan_dataset_shards(
    context: BuildContext,
    scanned: ScannedCorpus,
    usable: Mapping[str, int],
    scored: ScoredRatings,
    split_of_source: Mapping[str, str],
    pseudonyms: Mapping[str, str],
) -> list[PlannedShard]:
    scores = scored.by_pair()
    has_ratings = len(scored.table) > 0
    rows = []
    for pair_id, ordinal in usable.items():
        pair = scanned.contents.pairs[ordinal]
        pair_scores = scores.get(pair_id, {})
        if has_ratings:
            _reject_missing_scores(context, pair, pair_scores)
        split, digest = split_of_source[pair.source_id], scanned.spool.digest(ordinal)
        rows.append(make_order_row(pair, ordinal, split, scanned.checked, pair_scores, digest))
    return plan_shards(rows, context.options, {"versions": outputs.collect_versions(), "people": dict(pseudonyms)})


def _reject_missing_scores(context: BuildContext, pair: Pair, scores: Mapping[str, PairScore]) -> None:
    for dimension in DIMENSIONS:
        score, _, _, reason = scores.get(dimension, (None, None, 0, None))
        if score is None:
            reason = reason or "no_ratings"
            message = f"no score in {dimension}: {MISSING_SCORE_REASONS.get(reason, reason)}"
            context.reject(Rejection("score", *pair.place, reason, message, pair_id=pair.pair_id, item_id=dimension))
