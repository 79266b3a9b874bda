"""The plan with qualification and hidden gold, as a pure function: whatever was answered, what can never be wanted."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.campaign.gold import candidates
from annotation.campaign.model import (
    CampaignRecord,
    CountedAnswer,
    GoldPair,
    GoldSet,
    PairAnswer,
    PairWork,
    RequalifyRequest,
    TaskKey,
)
from annotation.campaign.options import parse_campaign_options
from annotation.campaign.planning.planner import plan_assignment, plan_tasks
from annotation.records import DIMENSIONS, Pair, Place
from mos.errors import UserError

PEOPLE = [f"r{number}" for number in range(6)]


def pair(pair_id: str) -> Pair:
    return Pair(pair_id, pair_id, "images/a.png", "images/a.png", "Do it.", "t", "e", "", "", Place("", 0))


def gold_pair(pair_id: str, score: float) -> GoldPair:
    return GoldPair(pair(pair_id), (64, 40), PairAnswer(None, dict.fromkeys(DIMENSIONS, score)))


GOLD = GoldSet(
    (gold_pair("t0", 3.0), gold_pair("t1", 2.0)),
    tuple(tuple(gold_pair(f"g{n}{i}", 1.0 + i / 2) for i in range(5)) for n in range(2)),
    tuple(gold_pair(f"h{i}", 3.0) for i in range(4)),
)


def answered(key: TaskKey, good: bool) -> PairWork:
    score = 1.0 + int(key.pair_id[-1]) / 2 if good else 3.0
    said = CountedAnswer(
        *key, f"2026-01-01T00:00:{int(key.pair_id[-1]):02}", None, (), dict.fromkeys(DIMENSIONS, score)
    )
    return PairWork(frozenset({key}), answered=(said,))


def joined(works: list[PairWork]) -> PairWork:
    done = frozenset(key for one in works for key in one.done)
    return PairWork(done, answered=tuple(said for one in works for said in one.answered))


people = st.fixed_dictionaries(
    {name: st.tuples(st.booleans(), st.booleans(), st.sampled_from([None, True, False])) for name in PEOPLE}
)


@st.composite
def campaigns(draw: st.DrawFn) -> CampaignRecord:
    """Candidates and others who have done some of what they were asked for, well or badly."""
    who = draw(people)
    team: list[dict[str, Any]] = [
        {"person_id": name, "email": f"{name}@x.org", "name": name, "active": active or not candidate}
        | {"roles": ["rater", *(["candidate"] if candidate else [])]}
        for name, (candidate, active, _) in who.items()
    ]
    options = parse_campaign_options(
        {"campaign_id": "c", "name": "C", "raters": 2, "steps": ["scoring"], "people": team, "gold": {"rate": 0.5}}
        | {"qualification": {}, "seed": draw(st.integers(0, 9))},
        "",
    )
    since = {name: RequalifyRequest(1, "2026-01-02") for name in PEOPLE if draw(st.integers(0, 5)) == 0}
    works: dict[str, list[PairWork]] = {}
    record = CampaignRecord(options, [pair(f"p{n}") for n in range(draw(st.integers(0, 7)))], gold=GOLD, since=since)
    for _ in range(draw(st.integers(0, 5))):
        tasks = {spec.key for spec in plan(record)}
        busy = {name for name in PEOPLE if who[name][2] is not None and draw(st.booleans())}
        done = [key for key in sorted(tasks) if key.person_id in busy]
        for key in done:
            works.setdefault(key.pair_id, []).append(answered(key, bool(who[key.person_id][2])))
        every = {pair_id: joined(own) for pair_id, own in works.items()}
        record = replace(
            record,
            work={name: own for name, own in every.items() if name not in GOLD.pairs},
            gold_work={name: own for name, own in every.items() if name in GOLD.pairs},
            existing={*record.existing, *tasks},
        )
    return record


def plan(record: CampaignRecord) -> list[Any]:
    """What is wanted; nothing where there are too few people."""
    try:
        return plan_tasks(record)
    except UserError:
        return []


@settings(deadline=None)
@given(campaigns())
def test_nobody_works_who_has_not_passed(record: CampaignRecord) -> None:
    standings = candidates.candidate_statuses(record.options, record.gold, record.gold_work, record.since)
    for spec in plan(record):
        place = standings.get(spec.key.person_id)
        if spec.key.stage == "qualification":
            assert place is not None
            assert spec.key.pair_id in place.todo
        else:
            assert place is None or place.phase == "passed"
        assert next(one for one in record.options.people if one.person_id == spec.key.person_id).active


@settings(deadline=None)
@given(campaigns())
def test_gold_is_in_the_place_of_no_pair_and_no_gold_pair_in_two_places(record: CampaignRecord) -> None:
    for spec in plan(record):
        if spec.key.stage == "qualification":
            assert spec.key.pair_id in GOLD.lessons
        else:
            assert spec.key.pair_id not in GOLD.lessons
            assert set(spec.data) == {"region_choices"}
    try:
        assert {name for name, _ in plan_assignment(record)} == {one.pair_id for one in record.pairs}
    except UserError:
        assert sum(one.active for one in record.options.people) < record.options.raters


@settings(deadline=None)
@given(campaigns(), st.randoms(use_true_random=False))
def test_the_plan_depends_on_no_order_and_nothing_is_wanted_twice(record: CampaignRecord, random: Random) -> None:
    first = plan(record)
    turned = list(record.pairs)
    random.shuffle(turned)
    team = list(record.options.people)
    random.shuffle(team)
    other = replace(record, pairs=turned, options=record.options.model_copy(update={"people": tuple(team)}))
    assert plan(other) == first
    keys = [spec.key for spec in first]
    assert len(set(keys)) == len(keys)
    seen = {*record.existing}
    # Places that wait for candidates can be dealt anew, so it may take more than one round until nothing is wanted.
    for _ in range(len(PEOPLE)):
        new = {spec.key for spec in plan(replace(record, existing=seen))}
        assert not new & seen
        if not new:
            return
        seen |= new
    raise AssertionError("the plan does not come to rest")
