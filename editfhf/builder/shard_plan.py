"""Assign sources to splits, and plan the shards: the rows of each, and a key that changes when its bytes would."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field

from annotation.records import DIMENSIONS, Pair
from annotation.rules import compute_overall
from annotation.taxonomy import load_edit_tasks
from editfhf.builder.check_images import CheckedImage
from editfhf.builder.options import BuildOptions
from editfhf.features import DATASET_SPLITS

SplitLabels = Counter[tuple[str, str]]


PAIRS_LABEL = ("pairs", "")


# The sizes of the splits matter more than any one task or editor.
PAIR_COUNT_WEIGHT = 64


def find_source_families(images: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The family of every source: sources that share an image, directly or through others, are one family.

    An edited image that is the source of another pair, or one photo under two ids, would otherwise be on two sides of
    a split.

    Parameters
    ----------
    images
        (source_id, digest of an image of one of its pairs).

    Examples
    --------
    >>> find_source_families([("fox", "1"), ("fox", "2"), ("red fox", "2"), ("cat", "3")])
    {'cat': 'cat', 'fox': 'fox', 'red fox': 'fox'}
    """
    leader: dict[str, str] = {}

    def find(source: str) -> str:
        while leader.setdefault(source, source) != source:
            leader[source] = leader[leader[source]]
            source = leader[source]
        return source

    first: dict[str, str] = {}
    for source, digest in sorted(set(images)):
        earlier, later = sorted((find(source), find(first.setdefault(digest, source))))
        leader[later] = earlier
    return {source: find(source) for source in sorted(leader)}


def assign_splits(
    pairs: Iterable[Pair], family: Mapping[str, str], ratios: Mapping[str, float], seed: int
) -> dict[str, str]:
    """Split of every source_id: a family is in one split, and tasks and editors have similar shares in all splits.

    Greedy over families, largest first: each goes to the split that lacks most of its pairs, tasks and editors. The
    result depends on the set of pairs, the ratios and the seed, not on their order.

    Parameters
    ----------
    pairs
        The usable pairs.
    family
        Family by source_id.
    ratios
        Size of each split in relation to the others; 0 for no such split.
    seed
        Decides between equally large families.
    """
    labels_of: dict[str, SplitLabels] = {}
    totals: SplitLabels = Counter()
    for pair in pairs:
        labels = (PAIRS_LABEL, ("task", pair.task), ("editor", pair.editor))
        labels_of.setdefault(family[pair.source_id], Counter()).update(labels)
        totals.update(labels)

    shares = {name: ratio / sum(ratios.values()) for name, ratio in ratios.items() if ratio > 0}
    filled: dict[str, SplitLabels] = {name: Counter() for name in shares}
    split_of: dict[str, str] = {}
    for name in sorted(labels_of, key=lambda name: (-labels_of[name][PAIRS_LABEL], _shuffle_key(seed, name))):
        surplus = {
            split: _compute_surplus(labels_of[name], filled[split], share, totals) for split, share in shares.items()
        }
        split_of[name] = min(shares, key=lambda split: (surplus[split], -shares[split]))
        filled[split_of[name]].update(labels_of[name])
    return {source: split_of[name] for source, name in family.items() if name in split_of}


def _compute_surplus(labels: SplitLabels, filled: SplitLabels, share: float, totals: SplitLabels) -> float:
    """Surplus of a split in the labels of a family; negative while it lacks some of them."""
    surplus = 0.0
    for label, count in sorted(labels.items()):
        weight = PAIR_COUNT_WEIGHT if label == PAIRS_LABEL else 1
        surplus += weight * count / totals[label] * (filled[label] / (share * totals[label]) - 1)
    return surplus


def _shuffle_key(seed: int, source: str) -> str:
    return hashlib.sha256(f"{seed}\0{source}".encode()).hexdigest()


# Options that decide the bytes of a shard; the others act before it (scores, split) or after it (report).
SHARD_OPTION_NAMES = ("saliency", "regions", "images", "shards", "pseudonyms")


# The columns that change with the ratings.
SCORE_COLUMNS = frozenset(
    {"overall", *(f"{dimension}{part}" for dimension in DIMENSIONS for part in ("", "_ci95", "_n"))}
)


PairScore = tuple[float | None, float | None, int, str | None]


class _ShardPart(BaseModel):
    """Kept as JSON in the orders of a build; the digests of shards are over these keys."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)


class PlannedSource(_ShardPart):
    """The source image of a pair: path in the corpus, digest and bytes of the file."""

    path: str
    sha256: str
    bytes: int


class PlannedEdit(PlannedSource):
    """The edited image of a pair, with its width and height in pixels as displayed."""

    width: int
    height: int


class ShardRow(_ShardPart):
    """One pair of a shard: its dataset row as far as it is known before the shard is made.

    Attributes
    ----------
    ordinal : int
        Number of the pair in the annotation spool.
    submissions : str
        Digest of all submissions about the pair (key `said` of the file).
    row : dict
        Columns of the table "default" but for images, maps and regions.
    """

    pair_id: str
    ordinal: int
    split: str
    source: PlannedSource
    edited: PlannedEdit
    submissions: str = Field(alias="said")
    row: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """The row as JSON values, under the keys of the file."""
        return self.model_dump(by_alias=True)


class ShardSpec(_ShardPart):
    """Everything about a shard but images and annotations, as a worker reads it from a JSON file.

    Attributes
    ----------
    key : str
        Digest of everything that decides the bytes of the shard.
    rows : list of ShardRow
    options : BuildOptions
    """

    key: str
    rows: list[ShardRow]
    options: BuildOptions

    @classmethod
    def read(cls, path: Path) -> ShardSpec:
        """Read a file that `encode` made."""
        return cls.model_validate(orjson.loads(path.read_bytes()))

    def encode(self) -> bytes:
        """The specification as JSON."""
        rows = [row.as_dict() for row in self.rows]
        return orjson.dumps({"key": self.key, "rows": rows, "options": self.options.as_dict()})


@dataclass(frozen=True)
class PlannedShard:
    """One shard to make.

    Attributes
    ----------
    split : str
        Its split.
    key : str
        Digest of everything that decides the bytes of the shard.
    body : str
        The same without the scores: two shards of one body differ in the scores only.
    rows : list of ShardRow
    """

    split: str
    key: str
    body: str
    rows: list[ShardRow]


def make_order_row(
    pair: Pair,
    ordinal: int,
    split: str,
    images: Mapping[str, CheckedImage],
    scores: Mapping[str, PairScore],
    submissions: str,
) -> ShardRow:
    """Plan one row.

    Parameters
    ----------
    pair
        Its pair.
    ordinal
        Number of the pair in the annotation spool.
    split
        Split of its source.
    images
        The checked images by path.
    scores
        (score, half-width of its interval, number of ratings, reason if there is no score) by dimension.
    submissions
        Digest of all submissions about the pair.
    """
    source, edited = images[pair.source], images[pair.edited]
    row: dict[str, Any] = {
        "pair_id": pair.pair_id,
        "source_id": pair.source_id,
        "instruction": pair.instruction,
        "task": pair.task,
        "task_group": load_edit_tasks()[pair.task].group,
        "editor": pair.editor,
        "licence": pair.licence,
    }
    for dimension in DIMENSIONS:
        score, half, count, _ = scores.get(dimension, (None, None, 0, "no_ratings"))
        row |= {dimension: score, f"{dimension}_ci95": half, f"{dimension}_n": count}
    row["overall"] = compute_overall({dimension: row[dimension] for dimension in DIMENSIONS})
    return ShardRow(
        pair_id=pair.pair_id,
        ordinal=ordinal,
        split=split,
        source=PlannedSource(path=pair.source, sha256=source.sha256, bytes=source.size),
        edited=PlannedEdit(
            path=pair.edited, sha256=edited.sha256, bytes=edited.size, width=edited.width, height=edited.height
        ),
        submissions=submissions,
        row=row,
    )


def plan_shards(rows: Iterable[ShardRow], options: BuildOptions, context: Mapping[str, Any]) -> list[PlannedShard]:
    """Plan shards of about `options.shards.megabytes`, split by split; all rows of a source are in one shard.

    Parameters
    ----------
    rows
        All rows of the dataset, in any order.
    options
        Resolved options of the build.
    context
        Whatever else decides the bytes of a shard (versions, pseudonyms); it goes into the keys.
    """
    shard_options = {name: value for name, value in options.as_dict().items() if name in SHARD_OPTION_NAMES}
    frame = hashlib.sha256(orjson.dumps([shard_options, context], option=orjson.OPT_SORT_KEYS)).hexdigest()
    planned: list[PlannedShard] = []
    by_split: dict[str, list[ShardRow]] = {name: [] for name in DATASET_SPLITS}
    for row in rows:
        by_split[row.split].append(row)
    for split, members in by_split.items():
        members.sort(key=lambda row: (row.row["source_id"], row.pair_id))
        for group in _group_rows(members, options.shards.megabytes << 20):
            planned.append(
                PlannedShard(
                    split, _digest_rows(frame, group), _digest_rows(frame, group, leaving=SCORE_COLUMNS), group
                )
            )
    return planned


def _group_rows(rows: list[ShardRow], limit: int) -> Iterable[list[ShardRow]]:
    """Groups of whole sources; a group is closed at the first source after `limit` bytes."""
    group: list[ShardRow] = []
    size = 0
    sources: set[str] = set()
    for row in rows:
        is_new_source = not group or row.row["source_id"] != group[-1].row["source_id"]
        if is_new_source and size >= limit:
            yield group
            group, size, sources = [], 0, set()
        group.append(row)
        size += row.edited.bytes
        if row.source.sha256 not in sources:
            sources.add(row.source.sha256)
            size += row.source.bytes
    if group:
        yield group


def _digest_rows(frame: str, rows: list[ShardRow], leaving: frozenset[str] = frozenset()) -> str:
    """Digest over rows without the columns `leaving`."""
    digest = hashlib.sha256(frame.encode())
    for row in rows:
        # The ordinal is only where the spool keeps a pair's annotations; their digest is in the row.
        content = {name: value for name, value in row.as_dict().items() if name != "ordinal"}
        content["row"] = {name: value for name, value in row.row.items() if name not in leaving}
        digest.update(orjson.dumps(content, option=orjson.OPT_SORT_KEYS))
    return digest.hexdigest()[:32]


def assign_pseudonyms(corpus: str, people: Iterable[str], hide: bool) -> dict[str, str]:
    """The name of every participant in the dataset, by id.

    Parameters
    ----------
    corpus
        Name of the corpus; another name gives another order.
    people
        Ids of all participants.
    hide
        Whether to call them A001, A002 ... in an order that reveals nothing; otherwise they keep their ids.
    """
    known = sorted(set(people))
    if not hide:
        return {person: person for person in known}
    shuffled = sorted(known, key=lambda person: hashlib.sha256(f"{corpus}\0{person}".encode()).digest())
    digits = max(3, len(str(len(shuffled))))
    return {person: f"A{number:0{digits}d}" for number, person in enumerate(shuffled, start=1)}
