"""What `build.yaml` may say, and what is said of a mistake in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from editfhf.builder import BuildOptions, read_build_options
from editfhf.builder.options import SCORING_SECTIONS
from mos.errors import UserError
from mos.methods import METHODS, find_method
from mos.methods.paper import PaperOptions
from tests.editfhf.builder import building

DEFAULTS = {
    "saliency": {"sigma": "H/40", "profile": "gaussian"},
    "regions": {"min_support": 2, "iou": 0.5, "max_flags": 3, "reviewers": 3},
    "mos": {
        "method": "paper",
        "scale": [1.0, 5.0],
        **{name: value for name, value in PaperOptions().as_dict().items() if name != "method"},
    },
    "split": {"train": 4.0, "validation": 1.0, "test": 1.0, "seed": 0},
    "images": {"max_pixels": 2**26, "max_bytes": 64 * 2**20},
    "shards": {"megabytes": 64, "row_group": 25},
    "gallery": 24,
    "pseudonyms": True,
}


# One other value for every option of the paper's method.
CHOSEN_READINGS = {
    "min_ratings": 5,
    "on_too_few": "fallback",
    "interval": "normal",
    "clip": True,
    "confidence": 0.95,
    "resamples": 200,
    "seed": 3,
    "normalise_scope": "pooled",
    "z_ddof": 0,
    "on_constant": "zero",
    "outlier_sigma": 2.5,
    "outlier_by": "rater",
    "outlier_ddof": 0,
    "strict": False,
    "max_passes": 3,
    "remove_outliers": False,
    "max_outlier_share": 0.1,
    "exclusion_scope": "dimension",
    "reflag_after_exclusion": True,
    "moments_from": "all",
}


def read(tmp_path: Path, text: str | bytes, **overrides: Any) -> BuildOptions:
    path = tmp_path / "build.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_build_options(path, {name.replace("__", "."): value for name, value in overrides.items()})


def test_the_defaults_are_those_of_the_design() -> None:
    assert read_build_options(None).as_dict() == DEFAULTS


@pytest.mark.parametrize("text", ["", "\n# nothing\n", "---\n", "{}", "saliency:\n", "saliency: {}\nsplit:\n"])
def test_a_file_that_says_nothing_changes_nothing(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == BuildOptions()


def test_every_option_can_be_said(tmp_path: Path) -> None:
    chosen = {
        "saliency": {"sigma": "12px", "profile": "union+blur"},
        "regions": {"min_support": 3, "iou": 0.25, "max_flags": 0, "reviewers": 1},
        "mos": {
            "method": "paper",
            "scale": [0.0, 10.0],
            **CHOSEN_READINGS,
        },
        "split": {"train": 8.0, "validation": 0.0, "test": 2.0, "seed": 7},
        "images": {"max_pixels": 10_000, "max_bytes": 20_000},
        "shards": {"megabytes": 1, "row_group": 3},
        "gallery": 0,
        "pseudonyms": False,
    }
    assert read(tmp_path, yaml.safe_dump(chosen)).as_dict() == chosen
    assert all(chosen[name] != default for name, default in DEFAULTS.items())
    assert all(
        CHOSEN_READINGS[name] != PaperOptions().as_dict()[name] for name in CHOSEN_READINGS.keys() - {"confidence"}
    )


def _options(model: type[BaseModel], before: str = "") -> list[tuple[str, str | None, Any]]:
    """Dotted name, description and default of every option."""
    found: list[tuple[str, str | None, Any]] = []
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            found += _options(type(field.default), f"{before}{name}.")
        else:
            found.append((before + name, field.description, field.default))
    return found


def test_the_list_of_options_is_the_one_tested_here() -> None:
    named = {name for name, _, _ in _options(BuildOptions)}
    assert named == {f"{s}.{k}" for s, keys in DEFAULTS.items() if isinstance(keys, dict) for k in keys} | {
        "gallery",
        "pseudonyms",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("saliencey: {sigma: 3px}", "Did you mean 'saliency'"),
        ("saliency: {sigmas: 3px}", "Did you mean 'sigma'"),
        ("regions: {minsupport: 2}", "Did you mean 'min_support'"),
        ("mos: {outliersigma: 2}", "Did you mean 'outlier_sigma'"),
        ("mos: {method: bt50}", "Did you mean 'bt500'"),
        ("mos: {method: mean}", "expected one of paper, mos, zscore, bt500, correlation, p913, p910"),
        ("mos: {method: bt500, max_shares: 0.1}", "Did you mean 'max_share'"),
        ("mos: {method: bt500, outlier_sigma: 2}", "Known here: clip, confidence, ddof, denominator, "),
        ("split: {trian: 2}", "Did you mean 'train'"),
        ("images: {maxpixels: 2}", "Did you mean 'max_pixels'"),
        ("shards: {megabyte: 2}", "Did you mean 'megabytes'"),
        ("galery: 3", "Did you mean 'gallery'"),
        ("zebra: 3", "Known here: gallery, images, mos, pseudonyms, regions, saliency, shards, split"),
    ],
)
def test_a_misspelt_key_is_named_with_the_nearest_known_one(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError) as raised:
        read(tmp_path, text)
    assert said in str(raised.value)
    assert "build.yaml" in str(raised.value)
    assert text.split(":")[0] in str(raised.value)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("saliency: {sigma: wide}", "saliency.sigma"),
        ("saliency: {sigma: 0px}", "saliency.sigma"),
        ("saliency: {sigma: -3px}", "saliency.sigma"),
        ("saliency: {sigma: 12}", "saliency.sigma"),
        ("saliency: {profile: gausian}", "saliency.profile"),
        ("regions: {min_support: 0}", "regions.min_support"),
        ("regions: {iou: 0}", "regions.iou"),
        ("regions: {iou: 1.5}", "regions.iou"),
        ("regions: {iou: .nan}", "regions.iou"),
        ("regions: {max_flags: -1}", "regions.max_flags"),
        ("regions: {max_flags: 1.5}", "regions.max_flags"),
        ("mos: {method: mean}", "mos.method"),
        ("mos: {method: null}", "mos.method"),
        ("mos: paper", "mos"),
        ("mos: [paper]", "mos"),
        ("mos: {scale: [5, 1]}", "mos"),
        ("mos: {scale: [1]}", "mos.scale"),
        ("mos: {scale: [1, .inf]}", "mos.scale"),
        ("mos: {outlier_sigma: 0}", "mos.outlier_sigma"),
        ("mos: {max_outlier_share: 5%}", "mos.max_outlier_share"),
        ("mos: {min_ratings: none}", "mos.min_ratings"),
        ("mos: {confidence: 0.9}", "mos"),
        ("mos: {method: bt500, zero_variance: never}", "mos.zero_variance"),
        ("split: {train: 0}", "split.train"),
        ("split: {test: -1}", "split.test"),
        ("split: {validation: .inf}", "split.validation"),
        ("split: {seed: chance}", "split.seed"),
        ("images: {max_pixels: 0}", "images.max_pixels"),
        ("shards: {megabytes: 0}", "shards.megabytes"),
        ("shards: {megabytes: 99999}", "shards.megabytes"),
        ("shards: {row_group: 0}", "shards.row_group"),
        ("gallery: -1", "gallery"),
        ("pseudonyms: perhaps", "pseudonyms"),
        ("saliency: gaussian", "saliency"),
        ("split: [4, 1, 1]", "split"),
    ],
)
def test_a_value_out_of_range_is_named_with_what_came(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(UserError, match=rf"build\.yaml: {key}.*but got"):
        read(tmp_path, text)


@pytest.mark.parametrize("name", SCORING_SECTIONS)
def test_every_method_can_be_named_and_has_its_own_defaults(tmp_path: Path, name: str) -> None:
    expected = {"scale": [1.0, 5.0]} | find_method(name).options.from_mapping({}).as_dict()
    assert read(tmp_path, f"mos: {{method: {name}}}").as_dict()["mos"] == expected


def test_every_method_there_is_can_be_named() -> None:
    assert list(SCORING_SECTIONS) == list(METHODS)


def test_null_is_a_word_among_the_options_of_a_method(tmp_path: Path) -> None:
    assert read(tmp_path, "mos: {on_too_few: null}") == read(tmp_path, "mos: {}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("saliency: {sigma", "not valid YAML at line"),
        ("a: b: c", "not valid YAML at line 1"),
        ("gallery: !!python/object:os.system {}", "not valid YAML"),
        ("gallery: 2026-13-45", "gallery: Input should be a valid integer"),
        ("[" * 2000, "not valid YAML"),
        ("- saliency", "must hold a mapping"),
        ("saliency", "must hold a mapping"),
        (b"gallery: \xff\xfe", "cannot be read"),
        ("1: 2", "build.yaml"),
        ("gallery: \x00", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_options_is_one_sentence(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(UserError, match=said) as raised:
        read(tmp_path, text)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_build_options(tmp_path / name)


@pytest.mark.parametrize("text", ["", "saliency:\n", "saliency: {sigma: 3px}", "saliency: {profile: union+blur}"])
def test_the_command_line_has_the_last_word(tmp_path: Path, text: str) -> None:
    found = read(tmp_path, text, saliency__sigma="0.1H", split__seed=9, regions__min_support=None)
    assert (found.saliency.sigma, found.split.seed, found.regions.min_support) == ("0.1H", 9, 2)
    assert found.saliency.profile == ("union+blur" if "union" in text else "gaussian")


def test_an_override_does_not_hide_a_section_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="saliency"):
        read(tmp_path, "saliency: 5", saliency__sigma="3px")


def test_the_manifest_records_the_options_as_resolved(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "build.yaml").write_text("regions: {iou: 0.4}\nsaliency: {sigma: 9px}\nsplit:\n")
    words = ["--config", tmp_path / "build.yaml", "--sigma", "0.05H", "--profile", "union+blur", "--min-support", 3]
    words += ["--seed", 11, "--workers", 1, "--quiet"]
    done = building.command("build", tiny, tmp_path / "dataset", *map(str, words))
    assert done.returncode == 0, done.stderr
    expected = {name: dict(value) if isinstance(value, dict) else value for name, value in DEFAULTS.items()}
    expected["saliency"] = {"sigma": "0.05H", "profile": "union+blur"}
    expected["regions"] |= {"iou": 0.4, "min_support": 3}
    expected["split"] |= {"seed": 11}
    assert building.manifest(tmp_path / "dataset")["options"] == expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sigma", "wide"], "saliency.sigma"),
        (["--profile", "round"], "saliency.profile"),
        (["--min-support", "0"], "regions.min_support"),
        (["--config", "/nonexistent.yaml"], "/nonexistent.yaml"),
    ],
)
def test_a_bad_option_on_the_command_line_is_one_sentence_before_anything_is_read(
    tmp_path: Path, words: list[str], said: str
) -> None:
    done = building.command("build", tmp_path / "no-corpus", tmp_path / "dataset", *words)
    assert done.returncode == 1
    assert building.is_one_sentence(done.stderr)
    assert said in done.stderr
    assert not (tmp_path / "dataset").exists()


@pytest.mark.parametrize("profile", ["gaussian", "disk*gaussian", "union+blur"])
def test_every_profile_builds(tiny: Path, tmp_path: Path, profile: str) -> None:
    building.make(tiny, tmp_path / "dataset", building.options(saliency={"profile": profile}))
    assert any(row["artifact_peak"] > 0 for row in building.table(tmp_path / "dataset"))


def test_limits_on_pictures_set_aside_what_is_larger(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="too_large"):
        building.make(tiny, tmp_path / "pixels", building.options(images={"max_pixels": 96 * 80 - 1}))
    with pytest.raises(UserError, match="file_too_big"):
        building.make(tiny, tmp_path / "bytes", building.options(images={"max_bytes": 100}))
    building.make(tiny, tmp_path / "dataset", building.options(images={"max_pixels": 96 * 80}))
