"""From scored, dealt pairs to orders: which rows make which shard, and a key that says whether it must be made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from annotation.records import DIMENSIONS, Pair
from annotation.tasks import tasks
from editfhf.build.options import BuildOptions
from editfhf.build.pictures import Picture
from editfhf.features import SPLITS

# Weights of Eq. 5 of the paper, which writes the scores in this order.
OVERALL = {"perceptual_quality": 0.3, "instruction_following": 0.4, "visual_consistency": 0.3}
# Options that decide the bytes of a shard; the others act before (scores, split) or after (report).
SHARD_OPTIONS = ("saliency", "regions", "images", "shards", "pseudonyms")

# What changes when ratings do: everything else of a row stays.
SCORE_COLUMNS = frozenset(
    {"overall", *(f"{dimension}{part}" for dimension in DIMENSIONS for part in ("", "_ci95", "_n"))}
)

Score = tuple[float | None, float | None, int, str | None]


@dataclass(frozen=True)
class Planned:
    """One shard to be: its rows, a key of all that decides its bytes, and a key of all of that but the scores."""

    split: str
    key: str
    body: str
    rows: list[dict[str, Any]]


def overall(scores: Mapping[str, float | None]) -> float | None:
    """Eq. 5: the weighted geometric mean of the three scores in [0, 100]; negative scores count as 0.

    >>> overall({"perceptual_quality": 50.0, "instruction_following": 50.0, "visual_consistency": 50.0})
    50.0
    """
    product = 1.0
    for dimension, weight in OVERALL.items():
        score = scores.get(dimension)
        if score is None:
            return None
        product *= max(score, 0.0) ** weight
    return round(product, 9)


def row_of(
    pair: Pair,
    ordinal: int,
    split: str,
    pictures: Mapping[str, Picture],
    scores: Mapping[str, Score],
    said: str,
) -> dict[str, Any]:
    """The line of an order: the dataset row as far as it is known, and what is needed to complete it."""
    source, edited = pictures[pair.source], pictures[pair.edited]
    row: dict[str, Any] = {
        "pair_id": pair.pair_id,
        "source_id": pair.source_id,
        "instruction": pair.instruction,
        "task": pair.task,
        "task_group": tasks()[pair.task].group,
        "editor": pair.editor,
        "licence": pair.licence,
    }
    for dimension in DIMENSIONS:
        score, half, count, _ = scores.get(dimension, (None, None, 0, "no_ratings"))
        row |= {dimension: score, f"{dimension}_ci95": half, f"{dimension}_n": count}
    row["overall"] = overall({dimension: row[dimension] for dimension in DIMENSIONS})
    return {
        "pair_id": pair.pair_id,
        "ordinal": ordinal,
        "split": split,
        "source": {"path": pair.source, "sha256": source.sha256, "bytes": source.size},
        "edited": {
            "path": pair.edited,
            "sha256": edited.sha256,
            "bytes": edited.size,
            "width": edited.width,
            "height": edited.height,
        },
        "said": said,
        "row": row,
    }


def cut(rows: Iterable[dict[str, Any]], options: BuildOptions, context: Mapping[str, Any]) -> list[Planned]:
    """Shards of about `options.shards.megabytes`, closed at the next source, split by split.

    context: whatever else decides the bytes of a shard (versions, pseudonyms); it goes into the keys.
    """
    chosen = {name: value for name, value in options.as_dict().items() if name in SHARD_OPTIONS}
    frame = hashlib.sha256(orjson.dumps([chosen, context], option=orjson.OPT_SORT_KEYS)).hexdigest()
    planned: list[Planned] = []
    by_split: dict[str, list[dict[str, Any]]] = {name: [] for name in SPLITS}
    for row in rows:
        by_split[row["split"]].append(row)
    for split, members in by_split.items():
        members.sort(key=lambda row: (row["row"]["source_id"], row["pair_id"]))
        for group in _groups(members, options.shards.megabytes << 20):
            planned.append(Planned(split, _key(frame, group), _key(frame, group, leaving=SCORE_COLUMNS), group))
    return planned


def _groups(rows: list[dict[str, Any]], limit: int) -> Iterable[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    size = 0
    sources: set[str] = set()
    for row in rows:
        begins = not group or row["row"]["source_id"] != group[-1]["row"]["source_id"]
        if begins and size >= limit:
            yield group
            group, size, sources = [], 0, set()
        group.append(row)
        size += row["edited"]["bytes"]
        if row["source"]["sha256"] not in sources:
            sources.add(row["source"]["sha256"])
            size += row["source"]["bytes"]
    if group:
        yield group


def _key(frame: str, rows: list[dict[str, Any]], leaving: frozenset[str] = frozenset()) -> str:
    digest = hashlib.sha256(frame.encode())
    for row in rows:
        # The ordinal is only where the spool keeps a pair's annotations; their digest is in the row.
        content = {name: value for name, value in row.items() if name != "ordinal"}
        content["row"] = {name: value for name, value in row["row"].items() if name not in leaving}
        digest.update(orjson.dumps(content, option=orjson.OPT_SORT_KEYS))
    return digest.hexdigest()[:32]


def pseudonyms(corpus: str, people: Iterable[str], hide: bool) -> dict[str, str]:
    """What each annotator is called in the dataset: A001, A002 ..., dealt in an order that tells nothing."""
    known = sorted(set(people))
    if not hide:
        return {person: person for person in known}
    dealt = sorted(known, key=lambda person: hashlib.sha256(f"{corpus}\0{person}".encode()).digest())
    digits = max(3, len(str(len(dealt))))
    return {person: f"A{number:0{digits}d}" for number, person in enumerate(dealt, start=1)}
