"""README.md: front matter that the Hub's own libraries read back, and no way out of the text for what a corpus says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml
from datasets.info import DatasetInfosDict
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCard, DatasetCardData
from huggingface_hub.repocard import metadata_load
from hypothesis import given
from hypothesis import strategies as st

from editfhf.card.metadata import find_licence_keys, find_size_category, to_one_line
from editfhf.card.page import escape_markdown, render_card
from editfhf.dataset import make_dataset_features
from editfhf.features import DATASET_CONFIGS
from editfhf.manifest import group_shards, parse_manifest
from tests.editfhf import sample_dataset


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_dataset.write(tmp_path_factory.mktemp("card") / "six")


@pytest.fixture
def manifest(root: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((root / "manifest.json").read_text())
    return loaded


def front(text: str) -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])
    return parsed


def test_dataset_info_is_what_the_library_writes(manifest: dict[str, Any]) -> None:
    infos = DatasetInfosDict()
    for config, splits in group_shards(parse_manifest(manifest)).items():
        size = sum(split.bytes for split in splits.values())
        infos[config] = datasets.DatasetInfo(
            config_name=config,
            features=make_dataset_features(config),
            splits=datasets.SplitDict(
                {name: datasets.SplitInfo(name, split.bytes, split.rows) for name, split in splits.items()}
            ),
            download_size=size,
            dataset_size=size,
        )
    expected = DatasetCardData()
    infos.to_dataset_card_data(expected)
    assert (
        front(render_card(parse_manifest(manifest)))["dataset_info"]
        == yaml.safe_load(expected.to_yaml())["dataset_info"]
    )


def test_configs_are_what_the_library_writes(manifest: dict[str, Any]) -> None:
    files = {
        config: {"data_files": [{"split": "train", "path": f"{config}/{config}-*"}]} for config in DATASET_CONFIGS[1:]
    }
    default = [{"split": split, "path": f"data/{split}-*"} for split in ("train", "validation", "test")]
    expected = DatasetCardData()
    MetadataConfigs({"default": {"data_files": default, "default": True}, **files}).to_dataset_card_data(expected)
    written = {entry["config_name"]: entry for entry in front(render_card(parse_manifest(manifest)))["configs"]}
    assert written == {entry["config_name"]: entry for entry in yaml.safe_load(expected.to_yaml())["configs"]}


def test_the_hub_library_reads_the_card(root: Path) -> None:
    loaded = DatasetCard.load(root / "README.md")
    assert loaded.data.license == "cc-by-4.0"
    assert loaded.data.pretty_name == "Six edits"
    assert metadata_load(root / "README.md") == front((root / "README.md").read_text())
    assert loaded.text.lstrip().startswith("# Six edits 1.2.0")


def test_task_and_size_are_among_the_known_ones(manifest: dict[str, Any]) -> None:
    resources = Path(datasets.__file__).parent / "utils/resources"
    assert front(render_card(parse_manifest(manifest)))["size_categories"] == ["n<1K"]
    known = json.loads((resources / "size_categories.json").read_text())
    for rows in (0, 999, 1000, 15_287, 10**5, 10**6, 10**7, 10**9):
        assert find_size_category(rows) in known or rows >= 10**7


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("CC BY 4.0", {"license": "cc-by-4.0"}),
        ("CC-BY-NC-SA-4.0", {"license": "cc-by-nc-sa-4.0"}),
        ("cc0", {"license": "cc0-1.0"}),
        ("Apache License 2.0", {"license": "apache-2.0"}),
        ("MIT License", {"license": "mit"}),
        ("Terms of Ours!", {"license": "other", "license_name": "terms-of-ours"}),
        (
            "mixed, see the licence of each pair",
            {"license": "other", "license_name": "mixed-see-the-licence-of-each-pair"},
        ),
        ("???", {"license": "other", "license_name": "unnamed"}),
        (
            "https://example.org/terms",
            {"license": "other", "license_name": "see-link", "license_link": "https://example.org/terms"},
        ),
        (None, {"license": "unknown"}),
        ("  ", {"license": "unknown"}),
    ],
)
def test_licence_becomes_the_hubs_id_or_other_with_its_name(said: str | None, written: dict[str, str]) -> None:
    assert find_licence_keys(said) == written


HOSTILE = "x\n---\nlicense: mit\n---\n# Owned | <script>alert(1)</script> [a](javascript:b) `c` &lt; \u2028 ${d}"


def test_text_of_the_corpus_stays_text(manifest: dict[str, Any]) -> None:
    manifest["corpus"] |= dict.fromkeys(("name", "version", "description", "licence", "citation"), HOSTILE)
    manifest["stages"][0]["reasons"] = {HOSTILE: 1}
    manifest["scores"]["warnings"] = [HOSTILE]
    text = render_card(parse_manifest(manifest))
    assert front(text)["license"] == "other"
    assert front(text)["pretty_name"] == to_one_line(HOSTILE)
    body = text.split("\n---\n", 1)[1]
    assert "\n# Owned" not in body
    literal = [line for line in body.split("\n") if not line.startswith("    ")]
    assert not any(re.search(r"(?<!\\)<script|(?<!\\)\]\(javascript", line) for line in literal)
    assert DatasetCard(text).data.license == "other"


@given(st.text(max_size=60))
def test_escaped_text_is_one_line_without_live_markup(text: str) -> None:
    escaped = escape_markdown(text)
    assert len(escaped.splitlines()) <= 1
    assert not re.search(r"(?<!\\)(?:\\\\)*[<|`\[*_]", escaped)
    assert not re.match(r"#|>|[+=-](\s|$)|---|===|\d+[.)](\s|$)", escaped)


@given(st.text(max_size=40))
def test_any_name_survives_the_front_matter(name: str) -> None:
    text = yaml.safe_dump({"pretty_name": to_one_line(name)}, allow_unicode=True, width=10**6)
    assert yaml.safe_load(text)["pretty_name"] == to_one_line(name)


def test_the_same_manifest_gives_the_same_bytes(manifest: dict[str, Any]) -> None:
    turned = json.loads(json.dumps(manifest, sort_keys=True))
    turned["outputs"].reverse()
    assert render_card(parse_manifest(turned)) == render_card(parse_manifest(manifest))


def test_the_card_says_what_was_done_with_the_raters(manifest: dict[str, Any]) -> None:
    text = render_card(parse_manifest(manifest))
    assert "1 raters were excluded from all dimensions (constant 1)" in text
    assert "would have 1.2% by chance" in text
    assert "Only 2 ratings a pair." in text


def test_options_reach_the_text(manifest: dict[str, Any]) -> None:
    manifest["options"]["saliency"]["sigma"] = "12px"
    manifest["options"]["regions"]["max_flags"] = 7
    text = render_card(parse_manifest(manifest))
    assert "sigma = 12px" in text
    assert "more than 7 raters" in text


@pytest.mark.parametrize("spoil", [lambda m: m.pop("scores"), lambda m: m.pop("stages"), lambda m: m.pop("options")])
def test_a_manifest_without_a_chapter_still_gives_a_card(manifest: dict[str, Any], spoil: Callable) -> None:
    spoil(manifest)
    assert render_card(parse_manifest(manifest)).startswith("---\n")


def test_figures_are_shown_and_only_from_their_folder(manifest: dict[str, Any]) -> None:
    extra = [{"path": path, "sha256": "", "bytes": 1, "rows": None} for path in ("figures/mos.svg", "figures/a b.svg")]
    manifest["outputs"] += extra
    text = render_card(parse_manifest(manifest))
    assert "![mos](figures/mos.svg)" in text
    assert "a b.svg" not in text
