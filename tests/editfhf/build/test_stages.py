"""Counts in and out of every stage, and counts that add up over shards."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from editfhf.build.stages import STAGE_OF, table
from editfhf.build.tally import Tally


def test_a_stage_tells_what_it_set_aside_and_why() -> None:
    rejected = {("box", "rotated"): 2, ("disk", "rotated"): 1, ("disk", "outside_picture"): 4, ("pair", "bad_id"): 1}
    assert table([("pairs", 5, 4), ("boxes", 9, 2)], rejected) == [
        {"stage": "pairs", "in": 5, "out": 4, "set_aside": 1, "reasons": {"bad_id": 1}},
        {"stage": "boxes", "in": 9, "out": 2, "set_aside": 7, "reasons": {"outside_picture": 4, "rotated": 3}},
    ]


@given(st.dictionaries(st.tuples(st.sampled_from([*STAGE_OF, "new"]), st.text(max_size=3)), st.integers(1, 9)))
def test_nothing_set_aside_is_missing_from_the_stages(rejected: dict[tuple[str, str], int]) -> None:
    rows = table([(stage, 0, 0) for stage in sorted(set(STAGE_OF.values()))], rejected)
    assert sum(row["set_aside"] for row in rows) == sum(rejected.values())
    assert all(row["set_aside"] == sum(row["reasons"].values()) for row in rows)


counters = st.dictionaries(st.sampled_from("abc"), st.integers(0, 9))
markers = st.fixed_dictionaries({"counts": counters, "people": st.dictionaries(st.sampled_from("xyz"), counters)})


@given(st.lists(markers, max_size=8), st.randoms())
def test_tallies_add_up_in_any_order(shards: list[dict[str, dict[str, int]]], chance) -> None:  # type: ignore[no-untyped-def]
    one, other = Tally(), Tally()
    for shard in shards:
        one.add(shard)
    chance.shuffle(shards)
    for shard in shards:
        other.add(shard)
    assert one.counts == other.counts
    assert one.people == other.people
    assert one.counts == sum((Counter(shard["counts"]) for shard in shards), Counter())
