"""Instructions checked first: what the majority says becomes of the pair."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.campaign.model import INSTRUCTION_VERDICTS, InstructionCheck, InstructionVerdict
from annotation.campaign.planning.pass_list import make_pass_list
from annotation.campaign.prompt_check import awaits_rewrite, majority_verdict
from annotation.campaign.read_record import read_campaign_record
from annotation.campaign.status.collect_status import read_campaign_status
from annotation.campaign.status.report import sum_rows_by_stage
from annotation.campaign.write_exports import export_campaign
from tests.annotation.campaign.fake_studio import FakeStudio
from tests.annotation.campaign.people_at_work import respond, verdict
from tests.annotation.campaign.pilot import SIZE, corpus_of, sync

CHECKERS = ("una", "uli", "udo")
NUMBER = {name: number for number, name in enumerate((*CHECKERS, "r1", "r2"), start=2)}
PEOPLE = [
    {"person_id": name, "email": f"{name}@x.org", "name": name, "roles": ["checker" if name in CHECKERS else "rater"]}
    for name in NUMBER
]


@pytest.fixture
def studio() -> FakeStudio:
    return FakeStudio(f"{name}@x.org" for name in NUMBER)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return corpus_of(tmp_path / "corpus", 3, people=PEOPLE, raters=2, steps=["prompt_check", "scoring"])


def said(words: Sequence[InstructionVerdict], instruction: str = "Do it.") -> list[InstructionCheck]:
    return [InstructionCheck("p", f"u{number}", word, "", "", instruction) for number, word in enumerate(words)]


@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        (["agree", "agree", "drop"], "agree"),
        (["agree", "drop", "drop"], "drop"),
        (["agree", "revise", "drop"], "revise"),
        (["agree", "agree", "revise", "drop"], "agree"),
        (["revise", "revise", "drop", "drop"], "revise"),
        (["drop"], "drop"),
    ],
)
def test_more_than_half_decide(words: list[InstructionVerdict], outcome: InstructionVerdict) -> None:
    assert majority_verdict(said(words)) == outcome


@given(st.lists(st.sampled_from(INSTRUCTION_VERDICTS), min_size=1, max_size=7), st.randoms(use_true_random=False))
def test_no_order_matters_and_only_a_majority_drops(words: list[InstructionVerdict], random: Any) -> None:
    turned = list(words)
    random.shuffle(turned)
    assert majority_verdict(said(words)) == majority_verdict(said(turned))
    assert (majority_verdict(said(words)) == "drop") == (words.count("drop") > len(words) / 2)


def test_a_pair_waits_until_its_instruction_is_another() -> None:
    checks = said(["revise", "revise", "agree"])
    assert awaits_rewrite(checks, "Do it.")
    assert not awaits_rewrite(checks, "Do it well.")
    assert not awaits_rewrite(said(["agree", "agree", "revise"]), "Do it.")


def answer(studio: FakeStudio, words: dict[str, list[str]]) -> None:
    """Checkers answer by pair; raters as usual."""
    for task in studio.everything():
        stage, pair, person, _ = task["data"]["key"].split("/")
        if task["annotations"]:
            continue
        if stage == "prompt_check":
            word = words[pair][CHECKERS.index(person)]
            note = {
                "id": "n",
                "from_name": "note",
                "to_name": "source",
                "type": "textarea",
                "value": {"text": [" Why. "]},
            }
            studio.submit(task, NUMBER[person], [verdict(word) | {"to_name": "source"}, note])
        else:
            studio.submit(task, NUMBER[person], respond(task, SIZE))


WORDS = {"p0": ["agree"] * 3, "p1": ["drop", "agree", "drop"], "p2": ["revise", "revise", "agree"]}


def test_a_dropped_pair_goes_no_further_and_a_doubtful_one_waits(corpus: Path, studio: FakeStudio) -> None:
    assert sync(studio, corpus).created == {"prompt_check": 9}
    answer(studio, WORDS)
    found = sync(studio, corpus)
    assert found.created == {"scoring": 2}
    assert found.steps == {"scoring": 1, "dropped": 1, "prompt_check": 1}
    [note] = make_pass_list(read_campaign_record(corpus)[0]).notes
    assert note == "1 pair waits until their instruction in pairs.jsonl is rewritten: p2."
    path = corpus / "pairs.jsonl"
    path.write_text(path.read_text()[::-1].replace("{{x}}"[::-1], "{{y}}"[::-1], 1)[::-1])
    assert sync(studio, corpus).created == {"scoring": 2}
    answer(studio, WORDS)
    assert sync(studio, corpus).steps == {"done": 2, "dropped": 1}
    status = read_campaign_status(corpus, datetime(2026, 1, 2, tzinfo=UTC))
    assert (status.finished, status.pairs) == (2, 3)
    assert {row.stage: row.left for row in sum_rows_by_stage(status.rows)} == {"prompt_check": 0, "scoring": 0}


def test_the_outcomes_are_written_with_everybodys_words(corpus: Path, studio: FakeStudio) -> None:
    sync(studio, corpus)
    answer(studio, WORDS)
    sync(studio, corpus)
    done = export_campaign(corpus)
    assert (done.finished, done.files) == (0, {})
    lines = [json.loads(line) for line in (corpus / "campaign" / "prompt_check.jsonl").read_text().splitlines()]
    assert {line["pair_id"]: line["outcome"] for line in lines} == {"p0": "agree", "p1": "drop", "p2": "revise"}
    assert [one["verdict"] for one in lines[1]["checks"]] == ["drop", "agree", "drop"]
    assert [(one["person_id"], one["note"]) for one in lines[0]["checks"]] == [
        (name, "Why.") for name in sorted(CHECKERS)
    ]


def test_a_check_without_a_verdict_is_asked_for_again(corpus: Path, studio: FakeStudio) -> None:
    sync(studio, corpus)
    studio.submit(studio.task("prompt_check/p0/una/0"), NUMBER["una"], [verdict("maybe") | {"to_name": "source"}])
    found = sync(studio, corpus)
    assert [one.reason for one in found.set_aside] == ["unknown_verdict"]
    assert found.created == {"prompt_check": 1}
