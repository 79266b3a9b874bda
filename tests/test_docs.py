"""The pages that people read are true: commands and scripts run, tables are those of the code, links lead somewhere."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest
import typer
import yaml

from annotation.campaign.options import parse_campaign_options
from annotation.simulate.photos import PACKAGED_PHOTOS
from editfhf.builder.options import BuildOptions
from editfhf.cli import app
from editfhf.collect.run import CollectPlan
from editfhf.editors.registry import list_editors, load_editor
from editfhf.features import DATASET_CONFIGS, list_config_columns

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!\\)\]\(([^)\s]+)\)")

ELSEWHERE = {"push", "--push", "--executor", "annotate", "draft"}
"""Words of commands that need a server, or ask a model: these are parsed, not run."""

CAMPAIGN = "campaign.md"
COLLECTION = "collect.md"
MODEL_EDITORS = "model-editors.md"

EXAMPLE_ONLY = {"CORPUS", "DATASET", "SOURCE"}
"""Names that stand for the reader's own."""


class Block(NamedTuple):
    page: str
    language: str
    text: str


def blocks(*languages: str) -> list[Block]:
    found = [(page, match) for page in PAGES for match in FENCE.finditer(page.read_text(encoding="utf-8"))]
    return [Block(page.name, match[1], match[2]) for page, match in found if match[1] in languages]


def commands(text: str) -> list[list[str]]:
    """The words of every command line in a shell block, comments left out."""
    return [words for line in text.splitlines() if (words := shlex.split(line, comments=True))]


COMMANDS = [words for block in blocks("sh") for words in commands(block.text) if words[0] == "editfhf"]

SHOWN_ONLY = [
    shlex.split(line, comments=True)
    for block in blocks("text")
    for line in block.text.splitlines()
    if line.startswith("editfhf ") and "..." not in line
]
"""Commands that need a server, a model or a dataset of the reader's own: their words are checked, nothing is run."""


def parse(words: list[str]) -> None:
    """Parse a command line without running it; a word that the command does not know raises."""
    group: Any = typer.main.get_command(app)
    with group.make_context(words[0], words[1:2]) as parent:
        name, command, _ = group.resolve_command(parent, words[1:2])
        command.make_context(name, words[2:], parent=parent)


@pytest.mark.parametrize("words", COMMANDS + SHOWN_ONLY, ids=" ".join)
def test_commands_have_the_arguments_and_options_that_are_shown(words: list[str]) -> None:
    parse(words)


@pytest.mark.parametrize("wrong", ["editfhf bild a b", "editfhf build a b --wrokers 2", "editfhf build a"])
def test_a_wrong_command_would_be_noticed(wrong: str) -> None:
    with pytest.raises(Exception, match=r"Unknown command|No such option|Missing parameter"):
        parse(wrong.split())


def test_the_pages_show_commands() -> None:
    assert {words[1] for words in COMMANDS} >= {"simulate", "build", "validate", "stats", "push"}


def test_make_has_the_targets_that_are_shown() -> None:
    shown = {words[1] for block in blocks("sh") for words in commands(block.text) if words[0] == "make"}
    shown |= {target for page in PAGES for target in re.findall(r"`make (\w+)`", page.read_text(encoding="utf-8"))}
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"demo", "test"} <= shown <= targets


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the pages speak of: the examples, and `demo/` as `make demo` leaves it, but small."""
    place = tmp_path_factory.mktemp("docs")
    (place / "examples").symlink_to(ROOT / "examples")
    run(place, "editfhf simulate demo/corpus --pairs 8 --size 96")
    run(place, "editfhf build demo/corpus demo/dataset")
    return place


def run(place: Path, command: str, *more: str) -> None:
    words = [*shlex.split(command, comments=True), *more]
    words[0] = str(Path(sys.executable).with_name(words[0]))
    known = {"PATH", "HOME", "LANG", "TMPDIR"}
    environment = {name: value for name, value in os.environ.items() if name in known}
    environment |= {"HF_HOME": str(place / "huggingface"), "HF_HUB_OFFLINE": "1", "EDITFHF_CACHE": str(place / "cache")}
    done = subprocess.run(words, cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted({block.page for block in blocks("sh", "python")}))
def test_a_page_can_be_followed_from_top_to_bottom(page: str, workplace: Path) -> None:
    """Shell and Python blocks in their order, in one folder, as a reader would type them."""
    for block in blocks("sh", "python"):
        if block.page != page:
            continue
        if block.language == "python":
            run(workplace, "python -W error::DeprecationWarning -c", block.text)
            continue
        for words in commands(block.text):
            if words[0] == "editfhf" and not (ELSEWHERE | EXAMPLE_ONLY) & set(words):
                run(workplace, shlex.join(words))


def test_yaml_on_the_pages_is_what_a_build_accepts() -> None:
    shown = [
        yaml.safe_load(block.text)
        for block in blocks("yaml")
        if block.page not in (CAMPAIGN, COLLECTION, MODEL_EDITORS)
    ]
    assert shown
    for options in shown:
        BuildOptions.model_validate(options)


def test_yaml_on_the_page_of_campaigns_is_what_a_campaign_accepts() -> None:
    shown = [yaml.safe_load(block.text) for block in blocks("yaml") if block.page == CAMPAIGN]
    assert shown
    for options in shown:
        parse_campaign_options({"campaign_id": "page", "name": "Page"} | options, CAMPAIGN)


def test_yaml_on_the_page_of_collections_is_a_plan() -> None:
    (shown,) = [yaml.safe_load(block.text) for block in blocks("yaml") if block.page == COLLECTION]
    assert CollectPlan.model_validate(shown).per_source == 3


def test_yaml_on_the_page_of_editors_is_a_list_of_editors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (shown,) = [block.text for block in blocks("yaml") if block.page == MODEL_EDITORS]
    (tmp_path / "my-editors.yaml").write_text(shown, encoding="utf-8")
    monkeypatch.setenv("EDITFHF_EDITORS", str(tmp_path / "my-editors.yaml"))
    assert list_editors()[-3:] == ["kontext", "qwen-server", "mine"]
    for name in ("kontext", "qwen-server"):
        load_editor(name)


def test_other_blocks_are_of_a_known_language() -> None:
    fences = [match[1] for page in PAGES for match in FENCE.finditer(page.read_text(encoding="utf-8"))]
    assert set(fences) <= {"sh", "python", "yaml", "json", "bibtex", "text"}


def leaves(options: dict[str, object], prefix: str = "") -> Iterator[str]:
    for name, value in options.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def test_every_option_of_a_build_is_explained() -> None:
    page = (DOCS / "dataset.md").read_text(encoding="utf-8")
    assert [name for name in leaves(BuildOptions().as_dict()) if f"| `{name}` |" not in page] == []


@pytest.mark.parametrize("config", DATASET_CONFIGS)
def test_every_column_is_explained(config: str) -> None:
    page = (DOCS / "dataset.md").read_text(encoding="utf-8")
    section = page.partition(f"<!-- {config} -->")[2].partition(f"<!-- /{config} -->")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(list_config_columns(config))


def test_tables_are_those_of_the_code() -> None:
    tables = runpy.run_path(str(ROOT / "tests/docs/tables.py"))
    page = (DOCS / "dataset.md").read_text(encoding="utf-8")
    assert page == tables["written"](page), "The code changed: run `python tests/docs/tables.py`."
    described = {name for name, field, _ in tables["leaves"](BuildOptions) if field.description}
    assert not described & set(tables["MEANINGS"]), "These options describe themselves: remove them from MEANINGS."


def test_every_photo_of_a_simulation_is_credited() -> None:
    page = (DOCS / "licences.md").read_text(encoding="utf-8")
    assert [
        photo.name for photo in PACKAGED_PHOTOS if f"| {photo.name} | {photo.origin} | {photo.licence} |" not in page
    ] == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub names them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if link.startswith("https://"):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_pictures_of_the_pages_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in (DOCS / "images").iterdir()}
    assert sizes
    assert max(sizes.values()) < 400_000


def test_the_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
