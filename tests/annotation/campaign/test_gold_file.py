"""gold.jsonl: what it may say, and the one sentence that every mistake in it gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from annotation.campaign.gold_file import judged_parts, read_gold_file
from annotation.campaign.model import GoldSet
from annotation.campaign.options import CampaignOptions
from annotation.corpus import Corpus
from annotation.records import Box, Disk
from mos.errors import UserError
from tests.annotation.campaign.gold_corpus import ATTEMPTS, HIDDEN, TRAINING, gold_line, gold_lines, people, write_gold
from tests.annotation.campaign.pilot import corpus_of, pilot

ASKING = {"qualification": {}, "people": people("ann")}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return corpus_of(tmp_path / "corpus")


def read(corpus: Path, *lines: dict[str, Any], **fields: Any) -> GoldSet:
    write_gold(corpus, list(lines))
    return read_again(corpus, pilot(**fields))


def read_again(corpus: Path, options: CampaignOptions) -> GoldSet:
    return read_gold_file(corpus, list(Corpus.open(corpus).pairs(lambda bad: None)), options)


def test_gold_is_read_by_its_use(corpus: Path) -> None:
    gold = read(corpus, *gold_lines(), **ASKING)
    assert tuple(one.pair.pair_id for one in gold.training) == TRAINING
    assert tuple(tuple(one.pair.pair_id for one in part) for part in gold.sets) == ATTEMPTS
    assert tuple(one.pair.pair_id for one in gold.hidden) == HIDDEN
    first = gold.training[0]
    assert (first.size, first.explanation) == ((64, 40), "See the seam.")
    [mark] = first.truth.marks or ()
    assert isinstance(mark.box, Box)
    assert isinstance(mark.disks[0], Disk)
    assert gold.pairs.keys() == {*TRAINING, *ATTEMPTS[0], *ATTEMPTS[1], *HIDDEN}


def test_without_the_file_there_is_no_gold(corpus: Path) -> None:
    assert read_again(corpus, pilot()) == GoldSet()


def test_a_pair_of_the_corpus_needs_no_pictures_of_its_own(corpus: Path) -> None:
    [one] = read(corpus, {"pair_id": "p0", "set": "hidden", "marks": []}).hidden
    assert (one.pair.source_id, one.truth.marks) == ("s0", ())


@pytest.mark.parametrize(
    ("roles", "parts"),
    [
        (["candidate", "regional"], (True, False)),
        (["candidate", "reviewer"], (True, False)),
        (["candidate", "rater"], (False, True)),
        (["candidate", "rater", "expert"], (True, True)),
        (["candidate", "checker"], (True, True)),
        (["candidate"], (True, True)),
    ],
)
def test_candidates_are_judged_by_what_they_aim_at(roles: list[str], parts: tuple[bool, bool]) -> None:
    assert judged_parts(roles) == parts


LINE = gold_line("x1", "training")
MARK = LINE["marks"][0]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (LINE | {"sets": 1}, r"line 1: sets: Extra inputs"),
        (LINE | {"set": "test"}, r"line 1: set: .* got 'test'"),
        ({"pair_id": "p0", "set": "training"}, "expected marks, scores or both, got neither"),
        (LINE | {"scores": {"beauty": 3}}, "scores.beauty"),
        (LINE | {"scores": {"perceptual_quality": 7}}, "expected scores from 1 to 5, got 7"),
        (LINE | {"edited": "images/none.png"}, "There is no image 'images/none.png'"),
        (LINE | {"edited": "../secret.png"}, "not under images/"),
        (
            LINE | {"pair_id": "p0", "instruction": "Other."},
            "'instruction' differs from that of this pair",
        ),
        ({"pair_id": "x", "set": "training", "marks": []}, "'x' is not in pairs.jsonl: expected 'source'"),
        (LINE | {"pair_id": "a\nb"}, "'pair_id' has a control character"),
        (LINE | {"marks": [MARK | {"box": [0, 0, 65, 40]}]}, r"within 64 x 40 pixels, got \[0.0, 0.0, 65.0, 40.0\]"),
        (LINE | {"marks": [MARK | {"box": [9, 9, 9, 20]}]}, "expected a box"),
        (LINE | {"marks": [MARK | {"disks": [[70, 1]]}]}, r"expected disks \[x, y\] within 64 x 40"),
        (LINE | {"marks": [MARK | {"disks": []}]}, "marks.0.disks"),
        (LINE | {"marks": [MARK | {"flaw_type": "ugly"}]}, "'ugly' is not a flaw type of kind artifact"),
        (gold_line("gold-7", "hidden"), "'gold-7' reveals a gold task"),
        (LINE | {"set": "hidden", "marks": [MARK | {"rationale": " "}]}, "the gold task"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_line(corpus: Path, line: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said) as found:
        read(corpus, line)
    assert str(found.value).startswith("gold.jsonl, line 1: ")
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("lines", "fields", "said"),
    [
        ([LINE, LINE], {}, "line 2: the pair 'x1' has a line already"),
        ([LINE], {"gold": {}}, 'lines with "set": "hidden"'),
        ([LINE], ASKING, 'lines with "set": "attempt"'),
        ([gold_line("x1", "attempt")], ASKING, "which ann needs: .* at least 5 tasks with regions, got 1"),
        ([gold_line(f"x{n}", "attempt", attempt=1) for n in range(6)], ASKING, "Gold set 0: .* got neither"),
        ([gold_line(f"x{n}", "attempt", marks=None) for n in range(6)], ASKING, "which ann needs: Gold set 0"),
    ],
)
def test_gold_that_is_not_enough_is_refused(
    corpus: Path, lines: list[dict[str, Any]], fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        read(corpus, *lines, **fields)


def test_a_broken_line_is_refused_rather_than_passed_over(corpus: Path) -> None:
    (corpus / "gold.jsonl").write_text(json.dumps(LINE) + "\n{\n")
    with pytest.raises(UserError, match=r"gold\.jsonl, line 2: Expected one JSON object"):
        read_again(corpus, pilot())


def test_golden_names_are_no_names_of_gold(corpus: Path) -> None:
    Image.new("RGB", (64, 40)).save(corpus / "images" / "golden_retriever.png")
    line = gold_line("marigold", "hidden", edited="images/golden_retriever.png")
    assert len(read(corpus, line).hidden) == 1
