"""The options of a campaign and its people, as a manager writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from annotation.campaign.options import STEPS, Options, new_options, parse_options, read_options, write_options
from annotation.campaign.people import read_people
from mos.errors import UserError

ANN = {"person_id": "ann", "email": "Ann@Example.org", "name": "Ann", "roles": ["rater", "regional", "rater"]}
TABLE = 'person_id,email,name,roles\nann,ann@example.org,"Lee, Ann",regional;rater\nbob,bob@example.org,Bob,expert\n'


def options(**fields: Any) -> Options:
    return parse_options({"campaign_id": "pilot", "name": "Pilot", "people": [ANN]} | fields, "campaign.yaml")


def test_defaults_are_those_of_the_paper() -> None:
    found = options()
    assert (found.annotators, found.reviewers, found.raters, found.steps) == (3, 3, 15, STEPS)
    assert found.scale == (1, 5)


def test_addresses_are_compared_in_small_letters_and_roles_are_a_set() -> None:
    [person] = options().people
    assert person.email == "ann@example.org"
    assert person.roles == ("rater", "regional")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"annotator": 3}, r"unknown key 'annotator'. Did you mean 'annotators'\?"),
        ({"people": [ANN | {"mail": "x"}]}, r"unknown key 'people.0.mail'. Did you mean 'email'\?"),
        ({"people": [ANN, ANN | {"email": "b@x.org"}]}, "person_id 'ann' is there 2 times"),
        ({"people": [ANN, ANN | {"person_id": "b"}]}, "email 'ann@example.org' is there 2 times"),
        ({"people": [ANN | {"person_id": "a/b"}]}, "people.0.person_id: .* got 'a/b'"),
        ({"people": [ANN | {"roles": ["boss"]}]}, "people.0.roles.0: .* got 'boss'"),
        ({"people": [ANN | {"roles": []}]}, "people.0.roles"),
        ({"steps": ["scoring", "regional"]}, "each once and in this order"),
        ({"steps": ["regional", "textual"]}, "'textual' works on what 'expert' gives"),
        ({"steps": ["expert"]}, "'expert' works on what 'regional' gives"),
        ({"scale": [5, 1]}, "the lowest score before the highest"),
        ({"raters": "many"}, "raters: .* got 'many'"),
        ({"reviewers": 1}, "reviewers: "),
        ({"annotators": 2, "min_support": 3}, "more than the 2 annotators"),
        ({"campaign_id": "My campaign"}, "campaign_id: "),
        ({"steps": ["regional", "prompt_check"]}, "each once and in this order"),
        ({"qualification": {"min_f1": 1}}, r"unknown key 'qualification.min_f1'. Did you mean 'min_box_f1'\?"),
        ({"gold": {"rate": 0.9}}, "gold.rate: .* got 0.9"),
        ({"redo": {"hasty": 1}}, r"unknown key 'redo.hasty'. Did you mean 'hasty_share'\?"),
        ({"redo": 7}, "redo: .* got 7"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_place(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said) as found:
        options(**fields)
    assert str(found.value).startswith("campaign.yaml: ")
    assert "\n" not in str(found.value)


def test_a_campaign_needs_only_the_stages_of_its_steps() -> None:
    assert [need.stage for need in options().needs()] == ["regional", "expert", "textual", "expert_text", "scoring"]
    assert [need.stage for need in options(steps=["scoring"]).needs()] == ["scoring"]


@pytest.mark.parametrize("asked", [False, True])
def test_only_who_passed_may_work_where_there_is_a_qualification(asked: bool) -> None:
    found = options(qualification={"attempts": 3} if asked else None, steps=["prompt_check", *STEPS])
    assert {need.qualified for need in found.needs()} == {asked}
    assert next(need.stage for need in found.needs()) == "prompt_check"
    assert parse_options(yaml.safe_load(found.text()), "again") == found


def test_a_table_of_people_is_read(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(TABLE)
    found = new_options("My Corpus, 2026!", read_people(path), str(path))
    assert found.campaign_id == "my-corpus-2026"
    assert [(person.person_id, person.name, person.roles) for person in found.people] == [
        ("ann", "Lee, Ann", ("rater", "regional")),
        ("bob", "Bob", ("expert",)),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("person_id,email\na,b\n", "expected the columns person_id, email, name, roles, got person_id, email"),
        ("", "got nothing"),
        ("person_id,email,name,roles\na,b\n", "line 2: expected 4 fields"),
        ("person_id,email,name,roles\na,b,c,d,e\n", "line 2: expected 4 fields"),
    ],
)
def test_a_wrong_table_says_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "people.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        read_people(path)


def test_options_are_written_once_and_read_back(tmp_path: Path) -> None:
    assert write_options(tmp_path, options())
    assert not write_options(tmp_path, options())
    assert read_options(tmp_path) == options()


def test_other_options_are_never_overwritten_unasked(tmp_path: Path) -> None:
    write_options(tmp_path, options())
    path = tmp_path / "campaign" / "campaign.yaml"
    before = path.read_text()
    with pytest.raises(UserError, match="is there already and says something else"):
        write_options(tmp_path, options(raters=7))
    assert path.read_text() == before
    assert write_options(tmp_path, options(raters=7), force=True)
    assert read_options(tmp_path).raters == 7


@pytest.mark.parametrize("text", ["a: [", "just words", "\0"])
def test_what_is_no_yaml_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "campaign").mkdir()
    (tmp_path / "campaign" / "campaign.yaml").write_text(text)
    with pytest.raises(UserError, match=r"campaign\.yaml"):
        read_options(tmp_path)


def test_without_a_campaign_the_way_to_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="editfhf annotate create"):
        read_options(tmp_path)
