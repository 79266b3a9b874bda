"""Prompts: versioned files, whose every change gives another name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from annotation.records import KINDS
from annotation.taxonomy import list_flaw_types
from editfhf.chat import EncodedImage
from editfhf.drafting.prompt import PROMPT_FOLDER, read_prompt
from editfhf.drafting.reply import clean_reasoning
from mos.errors import UserError
from mos.rejections import Rejection


def copy(tmp_path: Path, **changes: Any) -> str:
    data = yaml.safe_load((PROMPT_FOLDER / "v1.yaml").read_text("utf-8")) | changes
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(data))
    return str(path)


def test_the_shipped_prompt_names_every_flaw_type_with_its_meaning() -> None:
    system = read_prompt().system
    assert all(f"- {name}: " in system for kind in KINDS for name in list_flaw_types(kind))
    assert "minor, moderate, severe" in system and "$" not in system


def test_the_examples_are_answers_that_would_count() -> None:
    for example in read_prompt().wording.examples:
        for region in example.regions:
            assert not isinstance(clean_reasoning(region.reasoning), Rejection)
            assert region.flaw_type in list_flaw_types("artifact") + list_flaw_types("failure")
            assert 25 <= len(region.reasoning.split()) <= 45


def test_the_name_is_the_version_and_a_digest_of_the_content(tmp_path: Path) -> None:
    name = read_prompt().name
    assert name.startswith("v1-") and read_prompt(copy(tmp_path)).name == name
    changed = read_prompt(copy(tmp_path, again="Once more: $problems")).name
    assert changed != name and changed.startswith("v1-")


def test_examples_may_have_pictures_which_are_part_of_the_digest(tmp_path: Path) -> None:
    regions = [{"number": 1, "flaw_type": "face", "severity": "minor", "reasoning": "Two noses."}]
    example = {"text": "See.", "pictures": ["one.png"], "regions": regions}
    names = []
    for colour in ("red", "blue"):
        Image.new("RGB", (40, 30), colour).save(tmp_path / "one.png")
        prompt = read_prompt(copy(tmp_path, examples=[example]))
        assert [type(part) for part in prompt.examples] == [EncodedImage, str]
        names.append(prompt.name)
    assert names[0] != names[1]


def test_what_is_filled_in_is_not_filled_again() -> None:
    assert "$regions $$" in read_prompt().task("$regions $$", "- Region 1")


@pytest.mark.parametrize(("changes", "word"), [
    ({"task": "no names"}, "$instruction"),
    ({"system": "$artifact_types $failure_types $severities $oops"}, "system"),
    ({"system": "costs 5$ $artifact_types $failure_types $severities"}, "system"),
    ({"version": "a b"}, "version"),
    ({"sytem": "x"}, "sytem"),
    ({"examples": [{"text": "x", "regions": [], "pictures": ["../x.png"]}]}, "corpus"),
])  # fmt: skip
def test_a_wrong_prompt_is_one_sentence(tmp_path: Path, changes: dict[str, Any], word: str) -> None:
    with pytest.raises(UserError, match=word.replace("$", r"\$")):
        read_prompt(copy(tmp_path, **changes))


def test_an_unknown_prompt_gets_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Did you mean 'v1'"):
        read_prompt("v11")
    (tmp_path / "x.yaml").write_text("a: [")
    with pytest.raises(UserError, match="line"):
        read_prompt(str(tmp_path / "x.yaml"))
