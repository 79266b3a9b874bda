"""From pairs to shards: order, size, and keys that change when, and only when, the bytes would."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.records import DIMENSIONS, Pair, Place
from annotation.rules import compute_overall
from editfhf.builder.check_images import CheckedImage
from editfhf.builder.options import BuildOptions
from editfhf.builder.shard_plan import (
    PlannedShard,
    ShardRow,
    assign_pseudonyms,
    make_order_row,
    plan_shards,
)
from editfhf.features import DATASET_SPLITS

OPTIONS = BuildOptions.model_validate({"shards": {"megabytes": 1}})


def row(number: int, source: str = "s0", split: str = "train", size: int = 100, **changed: Any) -> ShardRow:
    fields = {"task": "object_add", "editor": "e", "instruction": "do", "licence": "CC0-1.0"}
    known = {name: changed.pop(name) for name in list(changed) if name in fields}
    pair = Pair(f"p{number:03d}", source, f"{source}.png", f"{number}.png", origin="", place=Place("pairs.jsonl", 1),
                **(fields | known))  # fmt: skip
    pictures = {
        f"{source}.png": CheckedImage(f"{source}.png", f"digest-{source}", size, 8, 8),
        f"{number}.png": CheckedImage(f"{number}.png", changed.pop("sha256", f"digest-{number}"), size, 8, 8),
    }
    scores = changed.pop("scores", dict.fromkeys(DIMENSIONS, (50.0, 2.0, 9, None)))
    return make_order_row(pair, changed.pop("ordinal", number), split, pictures, scores, changed.pop("said", ""))


def planned(rows: list[ShardRow], options: BuildOptions = OPTIONS, **context: Any) -> list[PlannedShard]:
    return plan_shards(rows, options, context)


sources = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from(DATASET_SPLITS), st.integers(1, 900_000)), min_size=1, max_size=40
)


@given(sources, st.randoms())
def test_shards_hold_every_row_once_sorted_and_no_source_twice(
    drawn: list[tuple[int, str, int]], chance: random.Random
) -> None:
    split_of = {source: split for source, split, _ in drawn}
    rows = [row(number, f"s{source}", split_of[source], size) for number, (source, _, size) in enumerate(drawn)]
    shards = planned(rows)
    order = [(DATASET_SPLITS.index(s.split), r.row["source_id"], r.pair_id) for s in shards for r in s.rows]
    assert order == sorted(order)
    assert sorted(pair_id for _, _, pair_id in order) == [f"p{number:03d}" for number in range(len(drawn))]
    for shard in shards:
        assert {r.split for r in shard.rows} == {shard.split}
    homes = [(r.row["source_id"], shard.key) for shard in shards for r in shard.rows]
    assert len({source for source, _ in homes}) == len(set(homes))

    again = list(rows)
    chance.shuffle(again)
    assert [(shard.split, shard.key) for shard in planned(again)] == [(shard.split, shard.key) for shard in shards]


@given(sources)
def test_a_shard_is_closed_at_the_first_source_past_its_size(drawn: list[tuple[int, str, int]]) -> None:
    shards = planned([row(number, f"s{source}", "train", size) for number, (source, _, size) in enumerate(drawn)])
    for shard in shards[:-1]:
        assert _size(shard.rows) >= 1 << 20
    for shard in shards:
        last = shard.rows[-1].row["source_id"]
        assert _size([r for r in shard.rows if r.row["source_id"] != last]) < 1 << 20


def _size(rows: list[ShardRow]) -> int:
    shared = {r.source.sha256: r.source.bytes for r in reversed(rows)}
    return sum(shared.values()) + sum(r.edited.bytes for r in rows)


def key(options: BuildOptions = OPTIONS, context: dict[str, Any] | None = None, **changed: Any) -> str:
    (shard,) = plan_shards(
        [row(1), row(2, **changed)], options, context or {"versions": {"numpy": "1"}, "people": {"a": "A"}}
    )
    return shard.key


@pytest.mark.parametrize(
    "changed",
    [
        {"instruction": "undo"},
        {"task": "object_remove"},
        {"editor": "f"},
        {"licence": "MIT"},
        {"split": "train", "sha256": "another picture"},
        {"said": "ff"},
        {"scores": {}},
        {"scores": dict.fromkeys(DIMENSIONS, (50.0, 2.1, 9, None))},
        {"context": {"versions": {"numpy": "2"}, "people": {"a": "A"}}},
        {"context": {"versions": {"numpy": "1"}, "people": {"a": "B"}}},
        {"options": BuildOptions.model_validate({"saliency": {"sigma": "3px"}, "shards": {"megabytes": 1}})},
        {"options": BuildOptions.model_validate({"regions": {"iou": 0.4}, "shards": {"megabytes": 1}})},
        {"options": BuildOptions.model_validate({"shards": {"megabytes": 1, "row_group": 5}})},
        {"options": BuildOptions.model_validate({"pseudonyms": False, "shards": {"megabytes": 1}})},
    ],
    ids=str,
)
def test_a_key_changes_with_whatever_decides_the_bytes(changed: dict[str, Any]) -> None:
    assert key(**changed) != key()


@pytest.mark.parametrize(
    "changed",
    [
        {"ordinal": 77},
        {"options": BuildOptions.model_validate({"gallery": 3, "shards": {"megabytes": 1}})},
        {"options": BuildOptions.model_validate({"split": {"seed": 3}, "shards": {"megabytes": 1}})},
        {"options": BuildOptions.model_validate({"mos": {"min_ratings": 3}, "shards": {"megabytes": 1}})},
    ],
    ids=str,
)
def test_a_key_does_not_change_with_what_does_not(changed: dict[str, Any]) -> None:
    assert key(**changed) == key()


def test_a_row_says_why_it_has_no_score() -> None:
    found = row(1, scores={"perceptual_quality": (None, None, 1, "too_few")}).row
    assert (found["perceptual_quality"], found["perceptual_quality_n"]) == (None, 1)
    assert (found["visual_consistency"], found["visual_consistency_n"]) == (None, 0)
    assert found["overall"] is None


scores = st.floats(-20, 120)


@given(scores, scores, scores)
def test_overall_is_the_weighted_geometric_mean(perceptual: float, instruction: float, consistency: float) -> None:
    given_scores = dict(zip(DIMENSIONS, (perceptual, instruction, consistency), strict=True))
    found = compute_overall(given_scores)
    floor = [max(score, 0.0) for score in (perceptual, instruction, consistency)]
    assert found == pytest.approx(floor[0] ** 0.3 * floor[1] ** 0.4 * floor[2] ** 0.3, abs=1e-8)
    assert min(floor) - 1e-8 <= found <= max(floor) + 1e-8
    assert (found == 0) == (min(floor) == 0) or found < 1e-8
    assert compute_overall(given_scores | {"visual_consistency": None}) is None


names = st.lists(st.text(min_size=1, max_size=6), max_size=30)


@given(names, st.randoms(), st.text(max_size=5))
def test_pseudonyms_are_one_to_one_in_any_order(people: list[str], chance: random.Random, corpus: str) -> None:
    found = assign_pseudonyms(corpus, people, hide=True)
    assert set(found) == set(people)
    assert sorted(found.values()) == [f"A{number:03d}" for number in range(1, len(set(people)) + 1)]
    again = list(people)
    chance.shuffle(again)
    assert assign_pseudonyms(corpus, again, hide=True) == found
    assert assign_pseudonyms(corpus, people, hide=False) == {person: person for person in people}


def test_pseudonyms_tell_neither_the_order_of_ids_nor_who_it_was_elsewhere() -> None:
    people = [f"{number:03d}" for number in range(200)]
    here, there = (assign_pseudonyms(corpus, people, hide=True) for corpus in ("one", "two"))
    dealt = [here[person] for person in people]
    assert dealt != sorted(dealt)
    assert sum(here[person] == there[person] for person in people) < 10


def test_pseudonyms_of_many_have_as_many_digits_as_they_need() -> None:
    assert {len(name) for name in assign_pseudonyms("c", map(str, range(1_200)), hide=True).values()} == {5}
