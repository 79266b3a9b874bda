"""A build follows the rules by which its corpus was annotated, and loses no text in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from annotation.corpus import CORPUS_RULES_PATH
from annotation.rules import AnnotationRules, format_rules
from editfhf.builder import BuildOptions, preview_build, read_build_options
from editfhf.drafting.selection import SkippedPairs, select_regions
from mos.errors import UserError
from tests.annotation.campaign.pilot import pilot
from tests.editfhf.builder import building, campaign
from tests.editfhf.builder.campaign import ALONE, EXPLAINED


@pytest.fixture
def explained(tmp_path: Path) -> Path:
    """A campaign of the defaults: one text is final, another has one reviewer of three."""
    return campaign.campaign().write(tmp_path / "corpus")


def state(corpus: Path, **rules: Any) -> Path:
    (corpus / CORPUS_RULES_PATH).write_text(yaml.safe_dump(rules))
    return corpus


def texts(dataset: Path) -> list[str]:
    rows = building.table(dataset)
    regions = [region for row in rows for kind in ("artifact", "failure") for region in row[f"{kind}_regions"]]
    return sorted(region["rationale"] for region in regions if region["rationale"] is not None)


def test_rules_of_the_defaults_change_no_byte_of_the_data(explained: Path, tmp_path: Path) -> None:
    building.make(explained, tmp_path / "before")
    (explained / CORPUS_RULES_PATH).write_text(format_rules(AnnotationRules()))
    building.make(explained, tmp_path / "after")
    before, after = (building.tree(tmp_path / name) for name in ("before", "after"))
    assert set(building.differences(before, after)) <= {
        "manifest.json",
        "README.md",
        "croissant.json",
        "report.html",
    } | {name for name in before if name.startswith("figures")}
    assert building.manifest(tmp_path / "after")["inputs"] != building.manifest(tmp_path / "before")["inputs"]
    assert building.manifest(tmp_path / "after")["options"] == building.manifest(tmp_path / "before")["options"]


def test_a_build_without_an_option_takes_every_rule_of_the_corpus(explained: Path, tmp_path: Path) -> None:
    rules = {"min_support": 1, "iou": 0.4, "max_flags": 2, "reviewers": 1, "scale": [0.0, 10.0]}
    building.make(state(explained, **rules), tmp_path / "dataset")
    options = building.manifest(tmp_path / "dataset")["options"]
    assert options["regions"] | {"scale": options["mos"]["scale"]} == rules
    assert "Not what was asked." in texts(tmp_path / "dataset")
    rows = {row["pair_id"]: row for row in building.table(tmp_path / "dataset")}
    assert rows[ALONE]["artifact_regions"]


def test_drafts_and_validation_follow_the_same_rules(explained: Path) -> None:
    with select_regions(explained, BuildOptions(), lambda rejection: None) as found:
        before = {one.pair.pair_id: one for one in found.iter_pairs(SkippedPairs())}
    assert [one.reason for one in preview_build(explained).rejections if one.what == "rationale"] == ["not_final"]
    state(explained, reviewers=1)
    with select_regions(explained, BuildOptions(), lambda rejection: None) as found:
        after = {one.pair.pair_id: one for one in found.iter_pairs(SkippedPairs())}
    assert [one.reason for one in preview_build(explained).rejections if one.what == "rationale"] == []
    assert len(after[EXPLAINED].decided) == len(before[EXPLAINED].decided) + 1


def test_without_exported_rules_those_of_the_campaign_hold_and_it_is_said(explained: Path, tmp_path: Path) -> None:
    (explained / "campaign").mkdir()
    (explained / "campaign" / "campaign.yaml").write_text(pilot(reviewers=2, min_support=1).text())
    summary = building.make(explained, tmp_path / "dataset")
    regions = building.manifest(tmp_path / "dataset")["options"]["regions"]
    assert (regions["reviewers"], regions["min_support"]) == (2, 1)
    assert summary.warnings[0].startswith("The rules are those of campaign/campaign.yaml: annotations/rules.yaml is")
    state(explained, reviewers=3)
    assert preview_build(explained).warnings[0].startswith("1 of 3 rationales are not final")


def config(tmp_path: Path, text: str, **overrides: Any) -> BuildOptions:
    path = tmp_path / "build.yaml"
    path.write_text(text)
    return read_build_options(path, {name.replace("__", "."): value for name, value in overrides.items()})


@pytest.mark.parametrize(
    ("text", "overrides", "said"),
    [
        (
            "regions: {reviewers: 3}",
            {},
            "build.yaml says regions.reviewers: 3, but annotations/rules.yaml says reviewers: 2. Remove it from ",
        ),
        (
            "mos: {scale: [1, 5]}",
            {},
            "build.yaml says mos.scale: [1.0, 5.0], but annotations/rules.yaml says scale: [0.0, 10.0]. Remove it from",
        ),
        (
            "regions: {min_support: 1}",
            {"regions__min_support": 3},
            "the command line (--min-support) says regions.min_support: 3, but annotations/rules.yaml leaves "
            "min_support at 2. Remove it from the command line (--min-support), or change annotations/rules.yaml.",
        ),
    ],
)
def test_an_option_that_contradicts_the_corpus_is_an_error(
    tiny: Path, tmp_path: Path, text: str, overrides: dict[str, Any], said: str
) -> None:
    state(tiny, reviewers=2, scale=[0, 10])
    with pytest.raises(UserError) as found:
        building.make(tiny, tmp_path / "dataset", config(tmp_path, text, **overrides))
    assert said in str(found.value)
    assert not (tmp_path / "dataset" / "manifest.json").exists()
    with (
        pytest.raises(UserError, match="but annotations/rules"),
        select_regions(tiny, config(tmp_path, text, **overrides), lambda _: None),
    ):
        pass


def test_an_option_that_says_the_same_is_none(tiny: Path, tmp_path: Path) -> None:
    state(tiny, reviewers=2)
    building.make(tiny, tmp_path / "dataset", config(tmp_path, "regions: {reviewers: 2}"))
    stated = building.manifest(tmp_path / "dataset")["options"]
    assert building.make(tiny, tmp_path / "dataset", BuildOptions.model_validate(stated)).up_to_date


def test_options_made_in_python_are_held_to_the_rules_too(tiny: Path, tmp_path: Path) -> None:
    state(tiny, reviewers=2)
    with pytest.raises(UserError, match=r"^BuildOptions says regions\.reviewers: 3, but annotations/rules.yaml"):
        building.make(tiny, tmp_path / "dataset", building.options(regions={"reviewers": 3}))


@pytest.mark.parametrize(
    ("text", "said"),
    [("reviewer: 2", "Did you mean 'reviewers'"), ("a: b: c", "not valid YAML"), ("min_support: 0", "min_support: ")],
)
def test_a_mistake_in_the_rules_stops_a_build(tiny: Path, tmp_path: Path, text: str, said: str) -> None:
    (tiny / CORPUS_RULES_PATH).write_text(text)
    with pytest.raises(UserError, match=said) as found:
        building.make(tiny, tmp_path / "dataset")
    assert "rules.yaml" in str(found.value)


def test_rules_that_leave_the_corpus_are_not_read(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("reviewers: 1\n")
    (tiny / CORPUS_RULES_PATH).symlink_to(tmp_path / "rules.yaml")
    with pytest.raises(UserError, match="is a link that leaves the corpus"):
        building.make(tiny, tmp_path / "dataset")


def test_a_text_that_is_not_final_is_never_routine(explained: Path, tmp_path: Path) -> None:
    summary = building.make(explained, tmp_path / "dataset")
    sentence = "1 of 3 rationales are not final: expected 3 reviewers on one text. Their regions have no rationale."
    assert sentence in summary.warnings
    assert building.make(explained, tmp_path / "dataset").warnings == [sentence]
    for page in ("README.md", "report.html"):
        assert sentence in (tmp_path / "dataset" / page).read_text(encoding="utf-8")
    assert building.manifest(tmp_path / "dataset")["rejected"]["by_reason"]["not_final"] == 1
    with pytest.raises(UserError, match=r"1 of 1 reviewers agree on the current text, 3 must.*--strict"):
        building.make(explained, tmp_path / "strict", strict=True)
