"""The card names the scoring method and lists all of its options with values and descriptions."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from editfhf.card.page import escape_markdown, render_card
from editfhf.card.scoring import (
    ScoringSettings,
    describe_method,
    describe_score_limits,
    list_scoring_options,
    read_scoring_settings,
)
from editfhf.manifest import parse_manifest
from mos.methods import METHODS, find_method
from tests.editfhf import sample_dataset


@pytest.fixture
def manifest(tmp_path: Path) -> dict[str, Any]:
    root = sample_dataset.write(tmp_path / "six")
    loaded: dict[str, Any] = json.loads((root / "manifest.json").read_text())
    return loaded


def settings(name: str, scale: tuple[float, float] = (1, 5), **options: Any) -> ScoringSettings:
    found = read_scoring_settings({"method": name, "scale": list(scale), **options})
    assert found is not None
    return found


def card_rows(text: str) -> dict[str, tuple[str, str]]:
    """(value, meaning) by option, of the table of the scoring method in a card."""
    table = text.split("Options of the scoring method")[1].split("\n## ")[0]
    cells = [re.split(r" (?<!\\)\| ", line.strip("| ")) for line in table.splitlines() if line.startswith("| `")]
    return {option.strip("`"): (value.strip("`"), meaning) for option, value, meaning in cells}


@pytest.mark.parametrize("name", METHODS)
def test_every_option_of_every_method_is_in_the_card_with_value_and_description(
    name: str, manifest: dict[str, Any]
) -> None:
    options = find_method(name).options.from_mapping({})
    manifest["options"]["mos"] = {**options.as_dict(), "scale": [1, 5]}
    text = render_card(parse_manifest(manifest))
    assert f"Method `{name}`: {METHODS[name]}." in text
    rows = card_rows(text)
    fields = {option: field for option, field in type(options).model_fields.items() if option != "method"}
    assert list(rows) == list(fields)
    for option, field in fields.items():
        value = options.as_dict()[option]
        assert rows[option][0] == (value if isinstance(value, str) else json.dumps(value))
        assert field.description
        assert rows[option][1] == escape_markdown(field.description)


# An option with another value than its default.
DEVIATIONS: list[tuple[str, str, Any]] = [
    ("paper", "min_ratings", 4),
    ("paper", "on_too_few", "fallback"),
    ("paper", "on_too_few", "raise"),
    ("paper", "interval", "normal"),
    ("paper", "interval", "bootstrap"),
    ("paper", "clip", True),
    ("paper", "normalise_scope", "pooled"),
    ("paper", "z_ddof", 0),
    ("paper", "on_constant", "zero"),
    ("paper", "on_constant", "error"),
    ("paper", "outlier_sigma", 2.5),
    ("paper", "outlier_by", "rater"),
    ("paper", "outlier_by", "all"),
    ("paper", "outlier_ddof", 0),
    ("paper", "strict", False),
    ("paper", "max_passes", 3),
    ("paper", "remove_outliers", False),
    ("paper", "max_outlier_share", 0.125),
    ("paper", "exclusion_scope", "dimension"),
    ("paper", "reflag_after_exclusion", True),
    ("paper", "moments_from", "all"),
    ("bt500", "ddof", 0),
    ("bt500", "zero_variance", "literal"),
    ("bt500", "denominator", "all"),
    ("bt500", "max_share", 0.1),
    ("bt500", "max_balance", 0.25),
    ("bt500", "exclusion_scope", "pooled"),
    ("bt500", "keep_if_all", True),
    ("correlation", "statistic", "spearman"),
    ("correlation", "statistic", "min"),
    ("correlation", "leave_one_out", True),
    ("correlation", "max_threshold", 0.5),
    ("correlation", "min_items", 8),
    ("p913", "screening", "bt500"),
    ("p910", "standard_error", "weights"),
    ("p910", "guard", False),
]


@pytest.mark.parametrize(("name", "option", "value"), DEVIATIONS)
def test_another_value_is_in_the_table(name: str, option: str, value: Any) -> None:
    shown = value if isinstance(value, str) else json.dumps(value)
    usual = {row.option: row for row in list_scoring_options(settings(name))}
    changed = {row.option: row for row in list_scoring_options(settings(name, **{option: value}))}
    assert changed[option].value == shown
    assert changed[option].meaning == usual[option].meaning
    assert {row for row in changed.values() if row != usual[row.option]} == {changed[option]}


@pytest.mark.parametrize("name", METHODS)
def test_the_scale_is_named_where_scores_are_mapped_from_it(name: str) -> None:
    text = describe_method(settings(name, (0, 10)))
    is_normalising = name in ("paper", "zscore")
    assert ("0 to 10, are mapped linearly to 0 to 100" in text) == (not is_normalising)
    assert ("100 (z + 3) / 6" in text) == is_normalising


@pytest.mark.parametrize("name", METHODS)
def test_what_scores_compare_with_is_true_of_the_method(name: str) -> None:
    text = describe_score_limits(settings(name), 7)
    assert ("z-scores" in text) == (name in ("paper", "zscore"))
    assert ("(7 here are)" in text) == (name in ("paper", "zscore", "p913", "p910"))


@pytest.mark.parametrize(
    "spoilt", [{}, {"method": "other"}, {"method": "mos"}, {"method": "mos", "scale": [1, 5], "x": 2}]
)
def test_a_manifest_that_does_not_tell_the_method_claims_none(spoilt: dict[str, Any]) -> None:
    assert read_scoring_settings(spoilt) is None
    assert "does not name the method" in describe_method(None)
    assert "depends on their methods" in describe_score_limits(None, 0)


@pytest.mark.parametrize("name", METHODS)
def test_method_and_limits_are_in_the_card(name: str, manifest: dict[str, Any]) -> None:
    manifest["options"]["mos"] = {"method": name, "scale": [1, 5]}
    text = render_card(parse_manifest(manifest))
    assert f"- **Scores.** {describe_method(settings(name))}\n" in text
    assert f"- {describe_score_limits(settings(name), 0)}\n" in text
    built = text.split("## How it was built")[1].split("\n## ")[0]
    assert not re.search(r"\bNone\b|\bnan\b|\{", built)


def test_a_card_without_a_method_has_no_table(manifest: dict[str, Any]) -> None:
    manifest["options"]["mos"] = {"method": "other"}
    text = render_card(parse_manifest(manifest))
    assert "The manifest does not name the method" in text
    assert "Options of the scoring method" not in text


def test_raters_who_are_not_counted_against_have_no_outliers_in_the_card(manifest: dict[str, Any]) -> None:
    manifest["scores"] |= {"outlier_share": None, "expected_outlier_share": None}
    assert "outliers" not in render_card(parse_manifest(manifest)).split("## Raters")[1].split("\n## ")[0]
    manifest["scores"] |= {"outlier_share": 0.03}
    assert "3.0% of the ratings are outliers, which count against their raters. 1 raters" in render_card(
        parse_manifest(manifest)
    )
