"""docs/campaign.md says what the code does: its options, hot keys, flaw types, reasons."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from annotation.campaign.options import DEFAULT_PAIR_STAGES, CampaignOptions, GoldOptions, QualificationOptions
from annotation.interfaces.guidance import HOT_KEYS
from annotation.rules import AnnotationRules
from annotation.taxonomy import load_flaw_definitions

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


OPTIONS = {name: field for name, field in CampaignOptions.model_fields.items() if name != "rules"}
OPTIONS |= {f"rules.{name}": field for name, field in AnnotationRules.model_fields.items()}


@pytest.mark.parametrize("name", list(OPTIONS))
def test_every_option_is_there_with_its_default_and_meaning(name: str) -> None:
    field = OPTIONS[name]
    [[_, default, meaning]] = rows(f"`{name}`")
    assert default == ("" if field.is_required() else f"`{shown(field.default)}`")
    assert meaning == field.description or not field.description


@pytest.mark.parametrize(("section", "options"), [("qualification", QualificationOptions), ("gold", GoldOptions)])
def test_the_sections_show_their_defaults(section: str, options: type[QualificationOptions | GoldOptions]) -> None:
    [block] = re.findall(rf"```yaml\n{section}:\n(.*?)```", PAGE, re.DOTALL)
    assert options.model_validate(yaml.safe_load(block)) == options()


def test_every_step_is_there() -> None:
    assert [row[0] for step in DEFAULT_PAIR_STAGES for row in rows(f"`{step}`")] == [
        f"`{step}`" for step in DEFAULT_PAIR_STAGES
    ]


@pytest.mark.parametrize("name", list(HOT_KEYS["flaw_type"]))
def test_every_flaw_type_is_there_with_its_key_meaning_and_picture(name: str) -> None:
    meanings = {flaw: text for kind in load_flaw_definitions().values() for flaw, text in kind.items()}
    [[_, key, meaning, picture]] = rows(name.replace("_", " "))
    assert key == f"`{HOT_KEYS['flaw_type'][name]}`"
    assert meaning == meanings[name]
    assert f"/{name}.png)" in picture or name == "other"


def test_the_other_hot_keys_are_those_of_the_interfaces() -> None:
    said = re.findall(r"`(\w)`", PAGE.partition("## For the annotator")[2].partition("### Types of flaws")[0])
    names = (("disk", "artifact"), ("disk", "failure"), ("box", "artifact"), ("box", "failure"), ("severity", "minor"))
    names += (("severity", "moderate"), ("severity", "severe"), ("no_flaw", "no_flaw"))
    assert said == [HOT_KEYS[control][label] for control, label in names]
    assert (
        f"agree with every text (`{HOT_KEYS['verdict']['agree']}`) or revised one (`{HOT_KEYS['verdict']['revise']}`)"
        in PAGE
    )
    assert f"press `{HOT_KEYS['text_read']['read'].upper()}`: you cannot submit" in PAGE


REJECTING_CALLS = ("reject_submission", "Rejection", "reject", "ImageError")


def reasons_in(code: ast.Module) -> Iterator[str]:
    """Reason codes: of the calls that reject, and of functions that return a reason with its sentence."""
    for node in ast.walk(code):
        texts: list[ast.expr] = []
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple) and len(node.value.elts) == 2:
            texts = node.value.elts[:1]
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in REJECTING_CALLS:
                texts = node.args if name == "ImageError" else node.args[1:]
        for text in texts:
            if isinstance(text, ast.Constant) and isinstance(text.value, str) and re.fullmatch(r"[a-z_]+", text.value):
                yield text.value


def test_every_reason_of_a_rejection_is_there() -> None:
    files = (ROOT / "annotation" / "campaign").rglob("*.py")
    reasons = {reason for file in files for reason in reasons_in(ast.parse(file.read_text(encoding="utf-8")))}
    assert {"wrong_person", "done_again", "unreadable", "bad_redo", "bad_picture", "unknown_verdict"} <= reasons
    assert {"duplicate_pair", "bad_field", "out_of_scale", "incomplete", "unknown_region"} <= reasons
    assert sorted(reason for reason in reasons if f"`{reason}`" not in PAGE) == []
