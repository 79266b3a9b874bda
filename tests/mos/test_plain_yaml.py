"""YAML as people mean it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from mos.cli.options import parse_assignments
from mos.plain_yaml import load_plain_yaml, load_yaml_texts

CHANGED_BY_YAML = (
    "007",
    "1_000",
    "0x10",
    "0b11",
    "12:30",
    "1:02:03",
    "NO",
    "no",
    "on",
    "Yes",
    "OFF",
    "2026-10-01",
    "1e3",
)


@pytest.mark.parametrize("written", CHANGED_BY_YAML)
def test_what_only_yaml_takes_for_something_else_is_a_text(written: str) -> None:
    assert load_plain_yaml(f"key: {written}") == {"key": written}


@pytest.mark.parametrize(
    ("written", "value"),
    [("12", 12), ("-3", -3), ("0", 0), ("0.50", 0.5), (".5", 0.5), ("1.0e-05", 1e-5), ("true", True), ("False", False),
     ("~", None), ("null", None), ("", None), ("'12'", "12"), ("[1, a]", [1, "a"]), ("{a: 1}", {"a": 1})],
)  # fmt: skip
def test_numbers_and_words_of_json_keep_their_meaning(written: str, value: object) -> None:
    assert load_plain_yaml(f"key: {written}") == {"key": value}


@pytest.mark.parametrize("written", [*CHANGED_BY_YAML, "1.10", "2026.10", "1.0", "true", "-0", "+1"])
def test_texts_are_read_as_they_are_written(written: str) -> None:
    assert load_yaml_texts(f"key: {written}") == {"key": written}


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), JSON_LIKE, max_size=4))
def test_what_pyyaml_writes_is_read_back(data: dict[str, Any]) -> None:
    written = yaml.safe_dump(data, allow_unicode=True)
    assume(yaml.safe_load(written) == data)  # PyYAML loses some of what it writes, such as a key of U+0085 alone
    assert load_plain_yaml(written) == data


@pytest.mark.parametrize(
    "text",
    ["name: a\nname: b\n", "{name: a, name: b}", "a:\n  name: 1\n  other: 2\n  name: 3\n", "a: [{name: 1, name: 1}]"],
)
def test_a_key_that_is_there_twice_is_told(text: str) -> None:
    for load in (load_plain_yaml, load_yaml_texts):
        with pytest.raises(yaml.YAMLError, match="the key 'name' is in line"):
            load(text)


def test_aliases_are_refused() -> None:
    with pytest.raises(yaml.YAMLError):
        load_plain_yaml("a: &x 1\nb: *x")


def test_values_of_options_of_the_command_are_read_so() -> None:
    given = parse_assignments(["a=12:30", "b=0.05", "c=true", "d=007", "e=null", "f=NO"])
    assert given == {"a": "12:30", "b": 0.05, "c": True, "d": "007", "e": "null", "f": "NO"}
