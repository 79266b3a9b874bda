"""The list of editors: every entry can be made or says in one sentence what is missing."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from editfhf.editors.registry import EditorEntry, list_editors, load_editor, read_editor_entries
from mos.errors import UserError


def entry_of(**fields: Any) -> EditorEntry:
    given = {"name": "any", "place": "a.b:C", "kind": "http", "summary": "s", "licence": "l", "mask": "white"}
    return EditorEntry.model_validate(given | fields)


def test_every_entry_names_a_module_that_exists() -> None:
    for entry in read_editor_entries().values():
        assert importlib.util.find_spec(entry.place.partition(":")[0]) is not None
        assert entry.summary.endswith(".")


def test_weight_free_editors_are_there() -> None:
    assert list_editors()[:6] == ["restore", "patch-fill", "inpaint", "match-colour", "deblur", "denoise"]


def test_a_misspelt_name_gets_a_suggestion() -> None:
    with pytest.raises(UserError, match="Did you mean 'restore'"):
        load_editor("restor")


def test_what_is_missing_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    assert entry_of(packages=["no_such_package"], extra="refiner").describe_lack() == (
        "The editor 'any' needs the package 'no_such_package': run pip install 'editfhf[refiner]'."
    )
    monkeypatch.delenv("A_KEY_OF_TESTS", raising=False)
    assert "environment variable A_KEY_OF_TESTS" in entry_of(key="A_KEY_OF_TESTS").describe_lack()
    monkeypatch.setenv("A_KEY_OF_TESTS", "secret")
    assert entry_of(key="A_KEY_OF_TESTS").describe_lack() == ""


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"radius": 0}, "at least 1 and at most 50; got 0"),
        ({"radius": 2.5}, "must be a whole number"),
        ({"radius": True}, "must be a whole number"),
        ({"method": "tela"}, "Did you mean 'telea'"),
        ({"radus": 3}, "Did you mean 'radius'"),
    ],
)
def test_parameters_are_checked(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_editor("inpaint", **parameters)


def test_parameters_of_a_request_come_on_top() -> None:
    entry = read_editor_entries()["inpaint"]
    merged = entry.merge_parameters({"radius": 3, "method": "telea"}, {"radius": 9})
    assert merged == {"method": "telea", "radius": 9}
