"""The loop: every region ends as one draft or one reason, whatever a model replies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from annotation import images
from editfhf.chat import FilteredReply, ModelRefusal, ModelRequest, OverBudget, TruncatedReply, Usage
from editfhf.chat.outcomes import FailedRequest
from editfhf.drafting.drafts_file import DraftWriter, read_draft_status
from editfhf.drafting.loop import DraftingLoop, DraftTally
from editfhf.drafting.plan import LeftOutRegions, RunChoice, plan_new_chunks
from editfhf.drafting.selection import MarkedPair
from tests.editfhf.drafting.marked_pairs import (
    PAID,
    Model,
    Pairs,
    answer,
    asking,
    corpus,
    entries,
    entry,
    marked,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return corpus(tmp_path / "corpus")


def run(root: Path, model: Model, *pairs: MarkedPair, stop: Callable[[DraftingLoop], None] | None = None) -> DraftTally:
    work = DraftingLoop(root, asking(max_regions=4), DraftWriter(root), lambda count: None)
    if stop is not None:
        stop(work)
    standing = read_draft_status(root, print)
    chunks = plan_new_chunks(Pairs(*(pairs or (marked(),))), standing, RunChoice(), 4, LeftOutRegions())
    return asyncio.run(work.run(model.ask, chunks))


def rows(root: Path, name: str = "drafts.jsonl") -> list[dict[str, Any]]:
    path = root / name
    return [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def aside(root: Path) -> dict[str, str]:
    return {row["region_id"]: row["reason"] for row in rows(root, "drafting/rejected.jsonl")}


def cost(root: Path) -> Decimal:
    return sum(
        (Decimal(row["usage"]["cost"]) for row in [*rows(root), *rows(root, "drafting/rejected.jsonl")]), Decimal()
    )


def test_every_region_gets_a_draft_and_the_shares_add_up(root: Path) -> None:
    model = Model()
    tally = run(root, model, marked("p1", 3), marked("p2", 5))
    assert tally.drafted == 8 and len(model.asked) == 3 and tally.complete
    assert [row["region_id"] for row in rows(root)[:3]] == ["a-1", "f-2", "a-3"]
    assert cost(root) == 3 * Decimal("0.01") and sum(row["usage"]["input_tokens"] for row in rows(root)) == 3000


def test_the_pictures_of_a_pair_are_read_and_encoded_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    whole = images.read_image_bytes
    monkeypatch.setattr(images, "read_image_bytes", lambda root, path: [read.append(path), whole(root, path)][1])
    model = Model()
    run(root, model, marked("p1", 9), marked("p2", 5))
    assert len(model.asked) == 5
    assert len(read) == 4
    shown = [tuple(picture.digest for picture in request.images) for request in model.asked]
    assert len({id(picture) for request in model.asked for picture in request.images}) == 6
    assert shown[0] == shown[1] == shown[2] != shown[3] == shown[4]


def test_a_second_run_asks_nothing(root: Path) -> None:
    run(root, Model())
    model = Model()
    assert run(root, model).drafted == 0 and model.asked == []


def test_what_is_missing_is_asked_for_once_more_and_the_rest_is_kept(root: Path) -> None:
    def forgetful(request: ModelRequest) -> Any:
        said = entries(request)
        return answer(request, said if request.name.endswith("again") else said[:1])

    model = Model(forgetful)
    tally = run(root, model)
    assert tally.drafted == 3 and tally.second_requests == 1
    assert [len(entries(request)) for request in model.asked] == [3, 2]
    assert cost(root) == 2 * Decimal("0.01")


def test_what_stays_wrong_is_set_aside_and_costs_no_third_request(root: Path) -> None:
    model = Model(lambda request: answer(request, [entry(1, "artifact"), entry(1, "artifact"), entry(2, "failure")]))
    assert run(root, model).drafted == 1 and len(model.asked) == 2
    assert aside(root) == {"a-1": "doubled_number", "a-3": "missing_number"}
    assert cost(root) == 2 * Decimal("0.01")
    again = Model()
    assert run(root, again).drafted == 0 and again.asked == []


@pytest.mark.parametrize("kind", [ModelRefusal, FilteredReply, TruncatedReply])
def test_a_request_without_an_answer_is_set_aside_with_its_reason(root: Path, kind: Any) -> None:
    model = Model(lambda request: kind(key=request.key, usage=PAID, message="So it is."))
    tally = run(root, model)
    assert tally.rejected == {kind.reason: 3} and tally.complete
    assert aside(root) == dict.fromkeys(("a-1", "f-2", "a-3"), kind.reason)


def test_a_failure_in_passing_is_asked_again_by_the_next_run(root: Path) -> None:
    tally = run(root, Model(lambda request: FailedRequest(key=request.key, message="No answer came.")))
    assert not tally.complete and run(root, Model()).drafted == 3


def test_over_budget_nothing_more_is_asked(root: Path) -> None:
    model = Model(lambda request: OverBudget(key=request.key, message="The limit of money would be passed."))
    tally = run(root, model, marked("p1"), marked("p2"))
    assert len(model.asked) == 1 and tally.over_budget and not tally.complete and rows(root) == []


def test_interrupted_nothing_is_asked(root: Path) -> None:
    model = Model()
    assert run(root, model, stop=lambda work: work.interrupt()).interrupted and model.asked == []


def test_a_broken_picture_sets_its_pair_aside_and_no_other(root: Path) -> None:
    (root / "images" / "b.png").write_bytes(b"no picture")
    tally = run(root, Model())
    assert tally.rejected == {"bad_picture": 3} and not tally.complete


def test_every_picture_of_a_pair_is_read_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = images.read_image_bytes
    monkeypatch.setattr(
        images, "read_image_bytes", lambda root, name, **more: read.append(name) or real(root, name, **more)
    )
    model = Model(lambda request: answer(request, entries(request) if request.name.endswith("again") else []))
    assert run(root, model).second_requests == 1
    assert sorted(read) == ["images/a.png", "images/b.png"]


def test_without_pictures_at_hand_the_second_request_is_the_same(root: Path) -> None:
    class Batch(Model):
        async def ask(self, requests: Any) -> Any:
            async for request, outcome in super().ask(requests):
                yield request.without_image_data(), outcome

    keys = []
    for model in (Model(), Batch()):
        model._behave = lambda request: answer(request, entries(request)[:1])
        run(root, model)
        keys.append([request.key for request in model.asked])
        (root / "drafts.jsonl").unlink()
        (root / "drafting" / "rejected.jsonl").unlink()
    assert keys[0] == keys[1] and len(keys[0]) == 2


def test_orders_in_a_reply_touch_no_other_pair_region_or_file(root: Path) -> None:
    run(root, Model(), marked("p1"))
    before = rows(root)
    files = {path for path in root.parent.rglob("*") if path.is_file()}
    orders = {"pair_id": "p1", "region_id": "a-1", "file": "../../owned.txt", "sql": "DROP TABLE x"}

    def hostile(request: ModelRequest) -> Any:
        said = [one | orders for one in entries(request)]
        return answer(request, [*said, entry(99, "artifact"), entry(0, "failure", "<script>p1/a-1</script>")])

    tally = run(root, Model(hostile), marked("p1"), marked("p2"))
    assert rows(root) == before and tally.drafted == 0 and tally.strays == 4
    assert {path for path in root.parent.rglob("*") if path.is_file()} - files == {root / "drafting" / "rejected.jsonl"}
    assert {(row["pair_id"], row["reason"]) for row in rows(root, "drafting/rejected.jsonl")} == {("p2", "bad_fields")}


def test_an_unknown_price_is_written_as_unknown(root: Path) -> None:
    free = Usage(1, 0, 10, 0, 10, None)
    run(root, Model(lambda request: ModelRefusal(key=request.key, usage=free, message="No.")))
    assert {row["usage"]["cost"] for row in rows(root, "drafting/rejected.jsonl")} == {None}
