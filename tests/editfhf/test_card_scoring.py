"""The card says what was done with the ratings: by each method, with the numbers of its options, and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from editfhf import card
from editfhf.card_scoring import how, limits, scoring
from mos.methods import METHODS, method
from tests.editfhf import sample_dataset


@pytest.fixture
def manifest(tmp_path: Path) -> dict[str, Any]:
    root = sample_dataset.write(tmp_path / "six")
    loaded: dict[str, Any] = json.loads((root / "manifest.json").read_text())
    return loaded


def told(name: str, **options: Any) -> str:
    """Everything that the card says of a method, as one text."""
    made = scoring({"method": name, "scale": [1, 5], **options})
    assert made is not None
    return " ".join(f"{title}. {text}" for title, text in how(made).items())


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_named_with_its_scores_and_intervals(name: str) -> None:
    made = scoring({"method": name, "scale": [1, 5]})
    assert list(how(made)) == ["Screening of ratings", "Scores", "Intervals"]
    assert f"Method `{name}`." in told(name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("paper", ["further than 2 times", "more than 5 % outliers over all dimensions", "100 (z + 3) / 6"]),
        ("mos", ["Nobody was screened", "the mean of all ratings, brought linearly", "1 to 5, to 0 to 100"]),
        ("zscore", ["Nobody was screened", "100 (z + 3) / 6"]),
        ("bt500", ["kurtosis rule", "more than 5 %", "less than 0.3", "the raters who are left, brought linearly"]),
        ("correlation", ["Pearson correlation with the mean of all", "nor above 0.7", "fewer than 3 images"]),
        ("p913", ["Nobody was screened", "all ratings, each less its rater's bias", "1 to 5, to 0 to 100"]),
        ("p910", ["weighted by 1 / inconsistency²", "A floor under the inconsistencies", "P.910, Annex E"]),
    ],
)
def test_what_a_method_does_by_default(name: str, words: list[str]) -> None:
    text = told(name)
    assert [word for word in words if word not in text] == []


# An option with another value than its default, and what the card then says.
DEVIATIONS: list[tuple[str, str, Any, str]] = [
    ("paper", "min_ratings", 4, "fewer than 4 ratings left"),
    ("paper", "on_too_few", "fallback", "has the mean of all its ratings there"),
    ("paper", "on_too_few", "raise", "No rated image has fewer than 2"),
    ("paper", "interval", "normal", "1.96 times the standard error"),
    ("paper", "interval", "bootstrap", "in 1,000 resamples of the raters"),
    ("paper", "clip", True, "are cut to 0 to 100"),
    ("paper", "normalise_scope", "pooled", "of all dimensions together give the mean"),
    ("paper", "z_ddof", 0, "the population standard deviation (n) in z"),
    ("paper", "on_constant", "zero", "Ratings that are all equal count as z = 0"),
    ("paper", "on_constant", "error", "No rater gave equal ratings only"),
    ("paper", "outlier_sigma", 2.5, "further than 2.5 times"),
    ("paper", "outlier_by", "rater", "Per rater and dimension, a rating"),
    ("paper", "outlier_by", "all", "Per dimension, a rating"),
    ("paper", "outlier_ddof", 0, "2 times the population standard deviation (n) from the mean"),
    ("paper", "strict", False, "as far as or further than 2 times"),
    ("paper", "max_passes", 3, "looked for again among what is left, up to 3 times in all"),
    ("paper", "remove_outliers", False, "counts against its rater, but stays in the score"),
    ("paper", "max_outlier_share", 0.125, "more than 12.5 % outliers"),
    ("paper", "exclusion_scope", "dimension", "outliers in a dimension is left out of that dimension"),
    ("paper", "reflag_after_exclusion", True, "found again, among the ratings of these alone"),
    ("paper", "moments_from", "all", "A rater's ratings s, outliers too,"),
    ("bt500", "ddof", 0, "2 times the population standard deviation (n) above the mean"),
    ("bt500", "zero_variance", "literal", "every rating counts to both, by the letter of the rule"),
    ("bt500", "denominator", "all", "n being all images"),
    ("bt500", "max_share", 0.1, "is more than 10 %"),
    ("bt500", "max_balance", 0.25, "is less than 0.25"),
    ("bt500", "exclusion_scope", "pooled", "left out of all dimensions"),
    ("bt500", "keep_if_all", True, "nobody is left out"),
    ("correlation", "statistic", "spearman", "their Spearman correlation"),
    ("correlation", "statistic", "min", "Pearson or Spearman correlation, whichever is lower, with"),
    ("correlation", "leave_one_out", True, "with the mean of the others"),
    ("correlation", "max_threshold", 0.5, "nor above 0.5"),
    ("correlation", "min_items", 8, "fewer than 8 images"),
    ("p913", "screening", "bt500", "a rating, less its rater's bias, at least 2 times"),
    ("p910", "standard_error", "weights", "1 / √ of the sum of the weights"),
    ("p910", "guard", False, "No floor is put under the inconsistencies"),
]


@pytest.mark.parametrize(("name", "option", "value", "said"), DEVIATIONS)
def test_another_reading_is_said(name: str, option: str, value: Any, said: str) -> None:
    assert said in told(name, **{option: value})
    assert said not in told(name)


def test_every_option_that_decides_a_score_is_said() -> None:
    """Repetitions there are none in a corpus; the level is that of the columns' name."""
    silent = {"method", "confidence", "resamples", "seed", "pool_repetitions"}
    shared = set(method("mos").options.model_fields)
    said = {(name, option) for name, option, _, _ in DEVIATIONS}
    for name in ("paper", "bt500", "correlation", "p910"):
        own = set(method(name).options.model_fields) - silent - (shared if name != "paper" else set())
        assert {option for method_name, option in said if method_name == name} >= own


@pytest.mark.parametrize("name", METHODS)
def test_a_bootstrap_tells_its_resamples_and_seed(name: str) -> None:
    text = told(name, interval="bootstrap", resamples=250, seed=9)
    assert "250 resamples of the raters" in text
    assert "(seed 9)" in text


@pytest.mark.parametrize("name", METHODS)
def test_the_scale_is_told_where_scores_are_brought_from_it(name: str) -> None:
    made = scoring({"method": name, "scale": [0, 10]})
    assert ("0 to 10, to 0 to 100" in how(made)["Scores"]) == (name not in ("paper", "zscore"))


@pytest.mark.parametrize("name", METHODS)
def test_what_scores_compare_with_is_true_of_the_method(name: str) -> None:
    text = limits(scoring({"method": name, "scale": [1, 5]}), 7)
    assert ("z-scores" in text) == (name in ("paper", "zscore"))
    assert ("(7 here do)" in text) == (name in ("paper", "zscore", "p913", "p910"))


@pytest.mark.parametrize(
    "spoilt", [{}, {"method": "other"}, {"method": "mos"}, {"method": "mos", "scale": [1, 5], "x": 2}]
)
def test_a_manifest_that_does_not_tell_the_method_claims_none(spoilt: dict[str, Any]) -> None:
    assert scoring(spoilt) is None
    assert "does not tell" in how(None)["Scores"]
    assert "their methods decide" in limits(None, 0)


@pytest.mark.parametrize("name", METHODS)
def test_it_is_in_the_card(name: str, manifest: dict[str, Any]) -> None:
    manifest["options"]["mos"] = {"method": name, "scale": [1, 5]}
    text = card.render(manifest)
    made = scoring(manifest["options"]["mos"])
    for title, words in how(made).items():
        assert f"- **{title}.** {words}\n" in text
    assert f"- {limits(made, 0)}\n" in text
    assert not re.search(r"\bNone\b|\bnan\b|\{", text.split("## How it was built")[1].split("## What came in")[0])


def test_raters_who_are_not_counted_against_have_no_outliers_in_the_card(manifest: dict[str, Any]) -> None:
    manifest["scores"] |= {"outlier_share": None, "expected_outlier_share": None}
    assert "outliers" not in card.render(manifest).split("## Raters")[1].split("\n## ")[0]
    manifest["scores"] |= {"outlier_share": 0.03}
    assert "3.0% of the ratings are outliers, which count against their raters. 1 raters" in card.render(manifest)
