"""The rules of a corpus as a file, and what is said of a mistake in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from annotation.rules import OVERALL_WEIGHTS, AnnotationRules, format_rules, parse_rules, read_rules
from mos.errors import UserError


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_the_defaults_are_those_of_the_paper() -> None:
    expected = {"min_support": 2, "iou": 0.5, "max_flags": 3, "reviewers": 3, "scale": (1.0, 5.0)}
    assert AnnotationRules().model_dump() == expected
    assert list(OVERALL_WEIGHTS.values()) == [0.3, 0.4, 0.3]


@pytest.mark.parametrize(
    "rules",
    [AnnotationRules(), AnnotationRules(min_support=1, iou=0.25, max_flags=0, reviewers=2, scale=(0, 10))],
)
def test_written_rules_are_read_back(tmp_path: Path, rules: AnnotationRules) -> None:
    assert read_rules(written(tmp_path, format_rules(rules))) == rules


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}"])
def test_a_file_that_says_nothing_leaves_the_defaults(tmp_path: Path, text: str) -> None:
    assert read_rules(written(tmp_path, text)) == AnnotationRules()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("reviewer: 2", r"unknown key 'reviewer'\. Did you mean 'reviewers'\? Available: min_support, iou"),
        ("zebra: 2", r"unknown key 'zebra'\. Available: "),
        ("1: 2", "unknown key '1'"),
        ("min_support: 0", "min_support: .*but got 0"),
        ("min_support: 101", "min_support: .*but got 101"),
        ("iou: 0", "iou: .*but got 0"),
        ("iou: 1.5", "iou: .*but got 1.5"),
        ("iou: .nan", "iou: .*but got nan"),
        ("max_flags: -1", "max_flags: .*but got -1"),
        ("max_flags: 1.5", "max_flags: .*but got 1.5"),
        ("reviewers: many", "reviewers: .*but got 'many'"),
        ("scale: [5, 1]", r"scale: expected the lowest score before the highest, but got \[5, 1\]"),
        ("scale: [1]", r"scale"),
        ("scale: [1, .inf]", r"scale\.1: "),
        ("- reviewers", "must hold keys and values"),
        ("a: b: c", "is not valid YAML at line 1"),
        ("[" * 2000, "is not valid YAML"),
        (b"reviewers: \xff", "cannot be read"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_file(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(UserError, match=said) as found:
        read_rules(written(tmp_path, text))
    assert "rules.yaml" in str(found.value)
    assert "\n" not in str(found.value)


def test_a_file_that_is_missing_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_rules(tmp_path / "rules.yaml")


def test_rules_need_no_file() -> None:
    with pytest.raises(UserError, match="the command: unknown key 'ious'"):
        parse_rules({"ious": 0.5}, "the command")


def test_merged_aliases_are_refused_before_they_expand(tmp_path: Path) -> None:
    lines = [f"a{n + 1}: &a{n + 1} {{<<: [{', '.join([f'*a{n}'] * 9)}]}}" for n in range(9)]
    path = tmp_path / "rules.yaml"
    path.write_text("\n".join(["a0: &a0 {k: 1}", *lines]))
    with pytest.raises(UserError, match="not valid YAML at line 2"):
        read_rules(path)


def test_a_pipe_in_place_of_the_rules_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rules.yaml")
    with pytest.raises(UserError, match="not a regular file"):
        read_rules(tmp_path / "rules.yaml")
