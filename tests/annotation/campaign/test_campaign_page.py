"""docs/campaign.md says what the code does: its options, hot keys, flaw types, reasons."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from annotation.campaign.gold.agreement import GoldOptions
from annotation.campaign.gold.qualification import QualificationOptions
from annotation.campaign.options import STEPS, Options
from annotation.flaws import definitions
from annotation.interfaces.keys import KEYS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "campaign.md").read_text(encoding="utf-8")


def rows(*start: str) -> list[list[str]]:
    """The cells of the rows of tables that begin with these cells."""
    found = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.splitlines() if line.startswith("|")]
    return [row for row in found if row[: len(start)] == list(start)]


def shown(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return "none" if value is None else str(value).lower()


@pytest.mark.parametrize("name", list(Options.model_fields))
def test_every_option_is_there_with_its_default_and_meaning(name: str) -> None:
    field = Options.model_fields[name]
    [[_, default, meaning]] = rows(f"`{name}`")
    assert default == ("" if field.is_required() else f"`{shown(field.default)}`")
    assert meaning == field.description or not field.description


@pytest.mark.parametrize(("section", "options"), [("qualification", QualificationOptions), ("gold", GoldOptions)])
def test_the_sections_show_their_defaults(section: str, options: type[QualificationOptions | GoldOptions]) -> None:
    [block] = re.findall(rf"```yaml\n{section}:\n(.*?)```", PAGE, re.DOTALL)
    assert options.model_validate(yaml.safe_load(block)) == options()


def test_every_step_is_there() -> None:
    assert [row[0] for step in STEPS for row in rows(f"`{step}`")] == [f"`{step}`" for step in STEPS]


@pytest.mark.parametrize("name", list(KEYS["flaw_type"]))
def test_every_flaw_type_is_there_with_its_key_meaning_and_picture(name: str) -> None:
    meanings = {flaw: text for kind in definitions().values() for flaw, text in kind.items()}
    [[_, key, meaning, picture]] = rows(name.replace("_", " "))
    assert key == f"`{KEYS['flaw_type'][name]}`"
    assert meaning == meanings[name]
    assert f"/{name}.png)" in picture or name == "other"


def test_the_other_hot_keys_are_those_of_the_interfaces() -> None:
    said = re.findall(r"`(\w)`", PAGE.partition("## For the annotator")[2].partition("### Types of flaws")[0])
    names = (("disk", "artifact"), ("disk", "failure"), ("box", "artifact"), ("box", "failure"), ("severity", "minor"))
    names += (("severity", "moderate"), ("severity", "severe"), ("no_flaw", "no_flaw"))
    assert said == [KEYS[control][label] for control, label in names]
    assert (
        f"agree with every text (`{KEYS['verdict']['agree']}`) or revised one (`{KEYS['verdict']['revise']}`)" in PAGE
    )


def test_every_reason_by_which_the_campaign_sets_something_aside_is_there() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "annotation" / "campaign").glob("*.py"))
    reasons = set(re.findall(r'"((?:wrong|unknown|bad|changed|out)_\w+|incomplete)", ', code))
    assert len(reasons) >= 9
    assert sorted(reason for reason in reasons if f"`{reason}`" not in PAGE) == []
