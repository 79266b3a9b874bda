"""The options of a campaign and its people, as a manager writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from annotation.campaign.options import (
    DEFAULT_PAIR_STAGES,
    CampaignOptions,
    make_default_options,
    parse_campaign_options,
    read_campaign_options,
    write_campaign_options,
)
from annotation.campaign.people import read_people_table
from annotation.campaign.planning.staffing import stage_needs
from annotation.rules import AnnotationRules
from mos.errors import UserError

ANN = {"person_id": "ann", "email": "Ann@Example.org", "name": "Ann", "roles": ["rater", "regional", "rater"]}
HEAD = "person_id,email,name,roles\n"
TABLE = 'person_id,email,name,roles\nann,ann@example.org,"Lee, Ann",regional;rater\nbob,bob@example.org,Bob,expert\n'


def options(**fields: Any) -> CampaignOptions:
    return parse_campaign_options({"campaign_id": "pilot", "name": "Pilot", "people": [ANN]} | fields, "campaign.yaml")


def test_defaults_are_those_of_the_paper() -> None:
    found = options()
    assert (found.annotators, found.raters, found.steps) == (3, 15, DEFAULT_PAIR_STAGES)
    assert found.rules == AnnotationRules(min_support=2, iou=0.5, max_flags=3, reviewers=3, scale=(1, 5))


def test_addresses_are_compared_in_small_letters_and_roles_are_a_set() -> None:
    [person] = options().people
    assert person.email == "ann@example.org"
    assert person.roles == ("rater", "regional")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"annotator": 3}, r"unknown key 'annotator'. Did you mean 'annotators'\?"),
        ({"people": [ANN | {"mail": "x"}]}, r"entry 1 of people: unknown key 'mail'. Did you mean 'email'\?"),
        ({"people": [ANN, ANN | {"email": "b@x.org"}]}, "person_id 'ann' occurs 2 times"),
        ({"people": [ANN, ANN | {"person_id": "b"}]}, "email 'ann@example.org' occurs 2 times"),
        ({"people": [ANN | {"person_id": "a/b"}]}, "entry 1 of people: expected an id .*, got 'a/b'"),
        ({"people": [ANN | {"roles": ["boss"]}]}, "entry 1 of people: expected one or more roles of .*, got 'boss'"),
        ({"people": [ANN | {"roles": ["Raters"]}]}, r"got 'Raters'. Did you mean 'rater'\?"),
        ({"people": [ANN | {"roles": []}]}, "entry 1 of people: expected one or more roles"),
        ({"people": [ANN, ANN | {"email": ""}]}, "entry 2 of people: expected an e-mail address, got ''"),
        ({"people": [{"person_id": "ann"}]}, "entry 1 of people: expected an e-mail address in email, got nothing"),
        ({"people": ["ann"]}, "entry 1 of people: expected a participant with person_id, email, name, roles"),
        ({"people": {"ann": ANN}}, "people: "),
        ({"people": [ANN | {"active": "perhaps"}]}, "entry 1 of people: expected true or false, got 'perhaps'"),
        ({"steps": ["scoring", "regional"]}, "each once and in this order"),
        ({"steps": ["regional", "textual"]}, "'textual' needs the result of 'expert'"),
        ({"steps": ["expert"]}, "'expert' needs the result of 'regional'"),
        ({"scale": [5, 1]}, "the lowest score before the highest"),
        ({"raters": "many"}, "raters: .* got 'many'"),
        ({"rules": {"reviewers": 1}}, "rules: reviewers: expected at least 2"),
        ({"rules": {"reviewer": 2}}, r"unknown key 'rules.reviewer'. Did you mean 'reviewers'\?"),
        ({"rules": {"scale": [5, 1]}}, "the lowest score before the highest"),
        ({"reviewer": 2}, r"unknown key 'reviewer'. Did you mean 'rules.reviewers'\?"),
        ({"reviewers": 2, "rules": {"reviewers": 3}}, "reviewers is given twice: 2, and 3 in rules"),
        ({"rules": 7}, "rules: .* got 7"),
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
    assert [need.stage for need in stage_needs(options())] == [
        "regional",
        "expert",
        "textual",
        "expert_text",
        "scoring",
    ]
    assert [need.stage for need in stage_needs(options(steps=["scoring"]))] == ["scoring"]


@pytest.mark.parametrize("asked", [False, True])
def test_only_who_passed_may_work_where_there_is_a_qualification(asked: bool) -> None:
    found = options(qualification={"attempts": 3} if asked else None, steps=["prompt_check", *DEFAULT_PAIR_STAGES])
    assert {need.qualified for need in stage_needs(found)} == {asked}
    assert next(need.stage for need in stage_needs(found)) == "prompt_check"
    assert parse_campaign_options(yaml.safe_load(found.text()), "again") == found


def test_a_file_of_an_earlier_version_means_the_same() -> None:
    old = options(reviewers=2, min_support=1, iou=0.4, scale=[0, 10])
    assert old == options(rules={"reviewers": 2, "min_support": 1, "iou": 0.4, "scale": [0, 10]})
    assert old.rules.max_flags == AnnotationRules().max_flags
    written = yaml.safe_load(old.text())
    assert written["rules"] == {"min_support": 1, "iou": 0.4, "max_flags": 3, "reviewers": 2, "scale": [0.0, 10.0]}
    assert not set(written) & set(written["rules"])
    assert parse_campaign_options(written, "again") == old
    assert options(reviewers=2, rules={"reviewers": 2, "max_flags": 1}).rules == AnnotationRules(
        reviewers=2, max_flags=1
    )


@pytest.mark.parametrize(
    "roles", ["regional rater", "rater,regional", " rater ; regional ", ["regional", "rater"], "rater regional rater"]
)
def test_roles_may_be_one_text(tmp_path: Path, roles: Any) -> None:
    assert options(people=[ANN | {"roles": roles}]).people[0].roles == ("rater", "regional")
    if isinstance(roles, str):
        (tmp_path / "people.csv").write_text(f'\ufeff{HEAD}ann,ann@x.org,Ann,"{roles}"\n,,,\n\n,,,\n')
        [row] = read_people_table(tmp_path / "people.csv")
        assert options(people=[row]).people[0].roles == ("rater", "regional")


def test_a_table_of_people_is_read(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(TABLE)
    found = make_default_options("My Corpus, 2026!", read_people_table(path), str(path))
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
        (f"{HEAD}a,b\n", "row 2: expected 4 fields"),
        (f"{HEAD}a,b,c,d,e\n", "row 2: expected 4 fields"),
        (f"{HEAD}a,a@x.org,A,rater\nb,b@x.org,B,rater\nc,,C,rater\n", "row 4: expected an e-mail address, got ''"),
        (f"{HEAD}\n\na b,a@x.org,A,rater\n", "row 4: expected an id of at most 40 letters.*, got 'a b'"),
        (f'{HEAD}a,a@x.org,"A\nB",rater\nb,b@x.org,,rater\n', "row 4: expected a name of 1 to 100 characters, got ''"),
        (f"{HEAD}a,a@x.org,A,boss\n", "row 2: expected one or more roles of candidate, .*, got 'boss'"),
        (f"{HEAD}a,a@x.org,A,Rater\n", r"row 2: .* got 'Rater'. Did you mean 'rater'\?"),
        (f"{HEAD}a,a@x.org,A,\n", "row 2: expected one or more roles of"),
        (f"{HEAD}a,a@x.org,A,rater\na,b@x.org,B,rater\n", "row 3: person_id 'a' is in row 2 too"),
        (
            f'{HEAD}a,a@x.org,A,rater\n\nb,b@x.org,"B,rater\nc,c@x.org,C,rater\n',
            "row 4: this row is not comma-separated",
        ),
        (f'{HEAD}a,a@x.org,"A"x,rater\nb,b@x.org,B,rater\n', r"row 2: .* \(',' expected after '\"'\). Close every"),
        (f'"{HEAD}', "row 1: this row is not comma-separated"),
        (f"{HEAD}a,a@x.org,A,rater\nb,A@X.org,B,rater\n", "row 3: email 'a@x.org' is in row 2 too"),
    ],
)
def test_a_wrong_table_says_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "people.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=said) as caught:
        read_people_table(path)
    assert "^" not in str(caught.value)


def test_options_are_written_once_and_read_back(tmp_path: Path) -> None:
    assert write_campaign_options(tmp_path, options())
    assert not write_campaign_options(tmp_path, options())
    assert read_campaign_options(tmp_path) == options()


def test_other_options_are_never_overwritten_unasked(tmp_path: Path) -> None:
    write_campaign_options(tmp_path, options())
    path = tmp_path / "campaign" / "campaign.yaml"
    before = path.read_text()
    with pytest.raises(UserError, match="exists and holds other options"):
        write_campaign_options(tmp_path, options(raters=7))
    assert path.read_text() == before
    assert write_campaign_options(tmp_path, options(raters=7), force=True)
    assert read_campaign_options(tmp_path).raters == 7


@pytest.mark.parametrize("text", ["a: [", "just words", "\0"])
def test_what_is_no_yaml_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "campaign").mkdir()
    (tmp_path / "campaign" / "campaign.yaml").write_text(text)
    with pytest.raises(UserError, match=r"campaign\.yaml"):
        read_campaign_options(tmp_path)


def test_without_a_campaign_the_way_to_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="editfhf annotate create"):
        read_campaign_options(tmp_path)
