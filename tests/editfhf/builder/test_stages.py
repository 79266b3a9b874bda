"""Counts in and out of every step, and counts that add up over shards."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from editfhf.builder.steps import BUILD_STEPS, STEP_OF_REJECTION, BuildCounts, ShardCounts, tabulate_steps


def test_a_step_counts_its_rejections_by_reason() -> None:
    rejected = {("box", "rotated"): 2, ("disk", "rotated"): 1, ("disk", "outside_picture"): 4, ("pair", "bad_id"): 1}
    steps = tabulate_steps({"pairs": (5, 4), "boxes": (9, 2)}, rejected)
    assert [step.model_dump(by_alias=True) for step in steps] == [
        {"stage": "pairs", "in": 5, "out": 4, "set_aside": 1, "reasons": {"bad_id": 1}},
        {"stage": "boxes", "in": 9, "out": 2, "set_aside": 7, "reasons": {"outside_picture": 4, "rotated": 3}},
    ]


@given(st.dictionaries(st.tuples(st.sampled_from([*STEP_OF_REJECTION, "new"]), st.text(max_size=3)), st.integers(1, 9)))
def test_no_rejection_is_missing_from_the_steps(rejected: dict[tuple[str, str], int]) -> None:
    rows = tabulate_steps({step.name: (0, 0) for step in BUILD_STEPS}, rejected)
    assert sum(row.set_aside for row in rows) == sum(rejected.values())
    assert all(row.set_aside == sum(row.reasons.values()) for row in rows)


counters = st.dictionaries(st.sampled_from("abc"), st.integers(0, 9))
shard_counts = st.builds(ShardCounts, counts=counters, people=st.dictionaries(st.sampled_from("xyz"), counters))


@given(st.lists(shard_counts, max_size=8), st.randoms())
def test_tallies_add_up_in_any_order(shards: list[ShardCounts], chance) -> None:  # type: ignore[no-untyped-def]
    one, other = BuildCounts(), BuildCounts()
    for shard in shards:
        one.add(shard)
    chance.shuffle(shards)
    for shard in shards:
        other.add(shard)
    assert one.counts == other.counts
    assert one.people == other.people
    assert one.counts == sum((Counter(shard.counts) for shard in shards), Counter())
