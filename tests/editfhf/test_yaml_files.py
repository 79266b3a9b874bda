"""Every YAML file that a person writes is read as people mean it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from annotation.campaign.options import load_options_yaml
from annotation.corpus import Corpus
from annotation.rules import read_rules
from editfhf.builder import read_build_options
from editfhf.chat.costs import Prices
from editfhf.drafting.prompt import read_prompt
from mos.errors import UserError


def read_corpus_yaml(path: Path) -> object:
    (path.parent / "pairs.jsonl").touch()
    path.rename(path.parent / "corpus.yaml")
    return Corpus.open(path.parent).meta


@pytest.mark.parametrize(
    "read",
    [
        read_corpus_yaml,
        load_options_yaml,
        read_rules,
        read_build_options,
        Prices.read,
        lambda path: read_prompt(str(path)),
    ],
)
def test_every_file_of_a_person_is_read_so(tmp_path: Path, read: Any) -> None:
    path = tmp_path / "file.yaml"
    path.write_text("name: one\nname: two\n")
    with pytest.raises(UserError, match="line 2: the key 'name' is in line 1 already"):
        read(path)


@pytest.mark.parametrize("written", ["1.10", "007", "NO", "12:30", "0x10", "1_000", "2026.10", "true"])
def test_a_description_of_a_corpus_is_text(tmp_path: Path, written: str) -> None:
    (tmp_path / "pairs.jsonl").touch()
    (tmp_path / "corpus.yaml").write_text(f"name: {written}\nversion: {written}\ncitation:\n")
    meta = Corpus.open(tmp_path).meta
    assert (meta.name, meta.version, meta.citation) == (written, written, "")


def test_a_number_where_an_option_is_a_text_says_to_quote_it(tmp_path: Path) -> None:
    path = tmp_path / "build.yaml"
    path.write_text("saliency: {sigma: 1.10}\n")
    with pytest.raises(
        UserError, match=r"saliency\.sigma: expected a text, but YAML reads the value 1\.1: write it in"
    ):
        read_build_options(path)
