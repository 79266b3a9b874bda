"""The gallery: few places to read from, many kinds of pairs to see, the same ones every time."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from editfhf.report.gallery import choose_row_groups, choose_varied_rows


def pair(k: int, **changes: Any) -> dict[str, Any]:
    same = {"source_id": f"s{k}", "editor": "e", "task_group": "g", "task": "t", "overall": 50.0}
    return {"pair_id": f"p{k:03d}", **same, "artifact_regions": [], "failure_regions": [], **changes}


@given(st.integers(1, 2000), st.integers(1, 300))
def test_places_are_distinct_in_order_and_within(places: int, wanted: int) -> None:
    told = choose_row_groups(places, wanted)
    assert told == sorted(set(told))
    assert told[0] >= 0 and told[-1] < places


def test_one_of_every_editor_comes_before_a_second_of_any() -> None:
    rows = [pair(k, editor=f"e{0 if k < 20 else k}") for k in range(24)]
    assert {rows[k]["editor"] for k in choose_varied_rows(rows, 5)} == {"e0", "e20", "e21", "e22", "e23"}


def test_a_source_is_shown_once_while_there_are_others() -> None:
    rows = [pair(k, source_id=f"s{k // 6}", editor=f"e{k}") for k in range(24)]
    assert len({rows[k]["source_id"] for k in choose_varied_rows(rows, 4)}) == 4


def test_flawed_and_clean_images_are_both_shown() -> None:
    flaw = [{"flaw_type": "face"}]
    rows = [pair(k, artifact_regions=flaw if k else []) for k in range(20)]
    assert 0 in choose_varied_rows(rows, 3)


def test_the_order_of_the_rows_does_not_matter() -> None:
    rows = [pair(k, editor=f"e{k % 5}", task=f"t{k % 7}", overall=float(k)) for k in range(40)]
    mixed = random.Random(0).sample(rows, len(rows))
    assert {rows[k]["pair_id"] for k in choose_varied_rows(rows, 12)} == {
        mixed[k]["pair_id"] for k in choose_varied_rows(mixed, 12)
    }


def test_a_small_dataset_is_shown_whole() -> None:
    assert choose_varied_rows([pair(0), pair(1, overall=None)], 24) == [0, 1]
