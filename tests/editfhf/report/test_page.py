"""The page: one file, well-formed, the same bytes every time, and nothing from the corpus becomes markup."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from editfhf import report
from editfhf.report import DatasetStatistics, compute_statistics
from editfhf.report.page import render_dataset_report

VOID = {"meta", "img", "input", "br", "hr", "link"}


class Page(HTMLParser):
    """Collects elements and text, and checks that every element is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def statistics(dataset: Path) -> DatasetStatistics:
    return compute_statistics(dataset)


@pytest.fixture(scope="module")
def text(dataset: Path, statistics: DatasetStatistics, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("page") / "report.html"
    report.write_dataset_report(dataset, statistics, out, gallery=24)
    return out.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_every_element_is_closed(page: Page) -> None:
    assert page.open == []
    assert len(list(page.all("article"))) == 24


def test_it_is_written_twice_with_the_same_bytes(
    dataset: Path, statistics: DatasetStatistics, text: str, tmp_path: Path
) -> None:
    report.write_dataset_report(dataset, statistics, tmp_path / "again.html", gallery=24)
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == text


def test_nothing_is_loaded_from_elsewhere(page: Page) -> None:
    for tag, attributes in page.elements:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:image/", "#")), (tag, name, value)
    assert not page.all("link") and not page.all("iframe") and not page.all("base")
    assert all("url(" not in style and "@import" not in style for style in page.texts["style"])


def test_the_policy_allows_the_one_script_of_ours_and_no_other(page: Page) -> None:
    policy = next(meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none'; img-src data:;")
    (script,) = page.texts["script"]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy
    assert len(page.all("script")) == 1


def test_hostile_texts_are_shown_as_they_are_and_become_no_element(page: Page) -> None:
    assert not [attributes for _, attributes in page.elements for name in attributes if name.startswith("on")]
    shown = page.texts["button"]
    assert "<script>alert(1)</script>" in shown
    assert "</script><img src=x onerror=alert(2)>" in shown
    assert "{{7*7}} {% include 'x' %}" in shown
    assert '" onmouseover="alert(3)" x="' in shown
    assert "49" not in shown
    assert {image.get("src", "")[:11] for image in page.all("img")} == {"data:image/"}


def test_control_characters_do_not_reach_the_page(text: str) -> None:
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", text)


def test_text_of_any_direction_is_kept_apart_from_its_surroundings(page: Page) -> None:
    opened = [button for button in page.all("button") if button.get("class") == "open"]
    assert opened and all(button["dir"] == "auto" for button in opened)


def test_boxes_lie_where_the_regions_are(page: Page, dataset: Path) -> None:
    import pyarrow.parquet as pq

    rows = {row["pair_id"]: row for p in (dataset / "data").iterdir() for row in pq.ParquetFile(p).read().to_pylist()}
    number = next(k for k, row in enumerate(rows.values()) if row["artifact_regions"])
    assert number is not None
    boxes = {box["style"] for box in page.all("span") if (box.get("class") or "").startswith("box artifact")}
    wanted = {
        f"left:{round(x0 / 1.6, 2)}%;top:{round(y0 / 1.2, 2)}%;"
        for row in rows.values()
        for region in row["artifact_regions"]
        for x0, y0, _, _ in [region["box"]]
    }
    assert boxes and all(any((box or "").startswith(start) for start in wanted) for box in boxes)


def test_the_page_tells_the_story_the_raters_and_the_losses(text: str) -> None:
    for words in (
        "missing file <b>2</b>",
        "would exclude about",
        "excluded</strong>: outlier share",
        "It excluded 1:",
        "no such file",
        "1 of 6 raters",
    ):
        assert words in text
    assert '<tr class="out">' in text


def test_a_rule_by_dimension_is_told_as_one(dataset: Path, statistics: DatasetStatistics) -> None:
    scoring = {**statistics.scoring, "options": {"method": "bt500", "exclusion_scope": "dimension"}, "exclusions": 4}
    raters = (replace(statistics.raters[0], excluded_in="visual_consistency"), *statistics.raters[1:])
    text = report.render_dataset_report(replace(statistics, scoring=scoring, raters=raters), [])
    assert "the rule of BT.500 (5\N{NO-BREAK SPACE}%) would exclude about 1.4 of them from a dimension" in text
    assert "It did so 4 times:" in text
    assert "excluded from visual consistency" in text


def test_a_method_that_counts_nothing_against_raters_shows_no_outliers(statistics: DatasetStatistics) -> None:
    nothing = {"outliers": None, "outlier_share": None, "expected_share": None, "null_low": None, "null_high": None}
    raters = tuple(replace(rater, **nothing) for rater in statistics.raters)
    text = report.render_dataset_report(
        replace(statistics, raters=raters, outlier_limit=None, expected_exclusions=None), []
    )
    assert "Outlier share of raters" not in text
    assert "equally careful" not in text
    assert text.count("<figure") == report.render_dataset_report(statistics, []).count("<figure") - 1
    Page(text)


def test_a_page_without_gallery_has_none(dataset: Path, statistics: DatasetStatistics, tmp_path: Path) -> None:
    report.write_dataset_report(dataset, statistics, tmp_path / "r.html", gallery=0)
    page = Page((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert not page.all("article") and not page.all("dialog")


def test_one_pair_is_enough_for_a_page(make_dataset: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_dataset(tmp_path / "one", pairs=1)
    report.write_dataset_report(folder, compute_statistics(folder), tmp_path / "r.html")
    assert len(Page((tmp_path / "r.html").read_text(encoding="utf-8")).all("article")) == 1


def test_of_very_many_raters_the_page_shows_the_excluded_ones_and_says_so(statistics: DatasetStatistics) -> None:
    one = statistics.raters[0]
    many = [replace(one, annotator_id=f"many{number}", excluded=number == 4_999) for number in range(5_000)]
    page = render_dataset_report(replace(statistics, raters=tuple(many)), [])
    assert len(re.findall(r"<bdi>many\d+</bdi>", page)) == 1000
    assert "<bdi>many4999</bdi>" in page
    assert "1,000 of 5,000 raters, excluded ones first" in page
