"""Rationales: from closed parts only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.records import KINDS, SEVERITIES, Box
from annotation.taxonomy import list_flaw_types
from training.compact.rationale import FLAW_PARTS, describe_box_place, write_finding_rationale
from training.compact.words import list_instruction_words


@pytest.mark.parametrize("kind", KINDS)
def test_every_flaw_type_has_its_sentence(kind: str) -> None:
    for flaw_type in list_flaw_types(kind):
        for severity in SEVERITIES:
            text = write_finding_rationale(kind, flaw_type, severity, Box(0, 0, 9, 9), 90, 90, "Add a hat.")
            assert FLAW_PARTS[flaw_type] in text and severity in text and text.endswith(".")
            assert ("Add a hat." in text) is (kind == "failure")


@given(st.text(max_size=400))
def test_the_sentence_has_no_word_but_its_parts_and_those_of_the_instruction(instruction: str) -> None:
    box = Box(0, 0, 9, 9)
    closed = set(list_instruction_words(write_finding_rationale("failure", "partial", "minor", box, 90, 90, "")))
    text = write_finding_rationale("failure", "partial", "minor", box, 90, 90, instruction)
    assert "\n" not in text and len(text) < 320
    outside = text.split("“")[0]
    assert set(list_instruction_words(outside)) <= closed | {"against", "the", "instruction"}


@pytest.mark.parametrize(
    ("box", "place"),
    [
        (Box(0, 0, 10, 10), "In the upper left"),
        (Box(40, 40, 50, 50), "In the centre"),
        (Box(80, 85, 90, 90), "In the lower right"),
        (Box(40, 0, 50, 9), "In the upper part"),
        (Box(0, 0, 90, 90), "Over the whole image"),
    ],
)
def test_places(box: Box, place: str) -> None:
    assert describe_box_place(box, 90, 90) == place
