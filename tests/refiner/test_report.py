"""The page of a run: whole, self-contained, and what came from outside is text in it."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from refiner.loop import run_loop
from refiner.options import RefineOptions
from refiner.report.render_report import render_report
from tests.refiner.doubles import OracleEvaluation, OracleReasoning, make_scene, make_team

HOSTILE = '"><script>alert(1)</script><img src=https://example.org/x onerror=alert(2)>'


@pytest.fixture(scope="module")
def page() -> str:
    scene = make_scene()
    team = make_team(
        scene,
        reasoning=OracleReasoning(rationale=f"rationale {HOSTILE}"),
        auditor=OracleEvaluation(scene.clean, -1, f"auditor {HOSTILE}"),
    )
    result = run_loop(scene.source, scene.flawed, HOSTILE, team, RefineOptions())
    return render_report(scene.source, scene.flawed, f"instruction {HOSTILE}", result)


class _Reader(HTMLParser):
    """Lists the tags with their attributes, and the text of scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            self.scripts.append(data)


@pytest.fixture(scope="module")
def reader(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    return reader


def test_foreign_text_is_text(page: str, reader: _Reader) -> None:
    assert page.count("alert(1)") >= 3 and "<script>alert" not in page
    assert [tag for tag, _ in reader.tags].count("script") == 1
    assert not any(name.startswith("on") for _, attributes in reader.tags for name in attributes)


def test_nothing_is_loaded_from_elsewhere(reader: _Reader) -> None:
    sources = [attributes["src"] or "" for _, attributes in reader.tags if "src" in attributes]
    assert len(sources) >= 5 and all(source.startswith("data:image/webp;base64,") for source in sources)
    assert not [tag for tag, _ in reader.tags if tag in {"link", "iframe", "object", "form"}]


def test_the_policy_allows_the_one_script_and_no_other(page: str, reader: _Reader) -> None:
    (script,) = reader.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    assert "default-src 'none'" in policy and f"script-src 'sha256-{digest}'" in policy


def test_the_page_says_what_was_done_and_where_the_auditor_parts(page: str) -> None:
    assert "2 changes kept" in page and "It stopped because no flaw is left" in page
    assert "The auditor disagrees in turn 1" in page
    assert page.count("What should not have changed is in the source.") == 2
