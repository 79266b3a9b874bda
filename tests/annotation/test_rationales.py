"""When reviewers agree: the round robin read from its statements."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.rationales import compute_text_agreement, most_common_latest, most_common_listed
from annotation.records import Place, Rationale


def says(who: str, text: str | None, at: int, flaw: str | None = None, severity: str | None = None) -> Rationale:
    verdict = "agree" if text is None else "revise"
    place = Place("rationales.json", at)
    return Rationale("p", "r", who, None, None, text, flaw, severity, verdict, f"2026-01-01T00:00:{at:02}Z", place)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("statements", "text", "agreeing", "final"),
    [
        ([], None, 0, False),
        ([("a", "T1"), ("b", "T1"), ("c", "T1")], "T1", 3, True),
        ([("a", "T1"), ("b", None), ("c", None)], "T1", 3, True),
        ([("a", "T1"), ("b", "T1")], "T1", 2, False),
        # the same person three times is one person
        ([("a", "T1"), ("a", "T1"), ("a", None)], "T1", 1, False),
        # a revision starts anew: the other two must agree with it
        ([("a", "T1"), ("b", "T1"), ("c", "T2")], "T2", 1, False),
        ([("a", "T1"), ("b", "T1"), ("c", "T2"), ("a", None), ("b", "T2")], "T2", 3, True),
        # back to a text that was there before: the earlier agreement still stands
        ([("a", "T1"), ("b", "T1"), ("c", "T2"), ("c", "T1")], "T1", 3, True),
        # a bare agree is with the text of that moment, not of a later one
        ([("a", "T1"), ("b", None), ("c", "T2")], "T2", 1, False),
        # a bare agree with nothing agrees with nothing
        ([("a", None), ("b", "T1"), ("c", "T1")], "T1", 2, False),
        ([("a", None), ("b", None), ("c", None)], None, 0, False),
        # blanks and composition do not matter
        ([("a", "Le e\u0301tat  est\nfaux"), ("b", "Le état est faux"), ("c", " Le état est faux ")], None, 3, True),
        ([("a", "T1"), ("b", "t1"), ("c", "T1")], "T1", 2, False),
    ],
)
def test_where_the_reviewers_stand(statements: list, text: str | None, agreeing: int, final: bool) -> None:
    stand = compute_text_agreement([says(who, said, at) for at, (who, said) in enumerate(statements)], 3)
    assert (stand.agreeing, stand.final) == (agreeing, final)
    if text is not None or not final:
        assert stand.text == text


def test_flaw_type_and_severity_are_those_of_the_people_who_agree() -> None:
    statements = [
        says("a", "T1", 1, "face", "severe"),
        says("b", "T2", 2, "body", "minor"),
        says("c", "T2", 3, "hand_foot", "minor"),
        says("d", "T2", 4, "body"),
    ]
    stand = compute_text_agreement(statements, 3)
    assert (stand.flaw_type, stand.severity) == ("body", "minor")


def test_of_equally_common_ones_the_latest() -> None:
    stand = compute_text_agreement([says("a", "T", 1, "face"), says("b", "T", 2, "body"), says("c", None, 3)], 3)
    assert stand.flaw_type == "body"


def test_latest_is_by_the_time_of_the_statement_that_counts() -> None:
    statements = [says("a", "T", 1, "face"), says("b", "T", 2, "body"), says("a", "T", 3, "face")]
    assert compute_text_agreement(statements, 2).flaw_type == "face"


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from([None, "T1", "T2"])), max_size=8).flatmap(
        lambda rows: st.tuples(st.just(rows), st.permutations(range(len(rows))))
    )
)
def test_the_order_in_which_statements_are_handed_in_does_not_matter(case: tuple) -> None:
    rows, order = case
    statements = [says(who, text, at) for at, (who, text) in enumerate(rows)]
    assert compute_text_agreement([statements[index] for index in order], 3) == compute_text_agreement(statements, 3)


def test_words() -> None:
    assert most_common_latest([None, None]) is None
    assert most_common_latest(["a", "b", "a", None, "b", "c"]) == "b"
    assert most_common_listed(["b", "a", "b", "a"], ["b", "a"]) == "b"
    assert most_common_listed(["unlisted", None, "a"], ["a"]) == "a"
    assert most_common_listed(["unlisted"], ["a"]) is None
