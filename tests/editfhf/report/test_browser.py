"""The page in a real browser: nothing hostile runs, and every control does what it says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from editfhf import report
from editfhf.report import compute_statistics

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not os.access(CHROMIUM, os.X_OK), reason="needs Debian's chromium"),
]
sync_api = pytest.importorskip("playwright.sync_api")


@pytest.fixture(scope="module")
def address(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("browser") / "report.html"
    report.write_dataset_report(dataset, compute_statistics(dataset), out)
    return out.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    page.seen = []
    page.add_init_script("window.alerts = []; window.alert = (text) => window.alerts.push(String(text));")
    page.on("dialog", lambda dialog: (page.seen.append("dialog"), dialog.dismiss()))
    page.on("pageerror", lambda error: page.seen.append(f"error {error}"))
    page.on("console", lambda message: page.seen.append(f"{message.type} {message.text}"))
    page.on("request", lambda request: page.seen.append(request.url) if request.url.startswith("http") else None)
    page.goto(address)
    yield page
    page.close()


def visible(page: Any, selector: str) -> int:
    return sum(item.is_visible() for item in page.locator(selector).all())


def test_nothing_hostile_runs_and_nothing_is_asked_from_outside(page: Any) -> None:
    for opener in page.locator(".pair .open").all():
        opener.click()
        for box in page.locator(".lightbox .box").all():
            box.dispatch_event("mouseover")
        page.keyboard.press("Escape")
    assert page.evaluate("window.alerts") == []
    assert page.seen == []


def test_a_script_that_is_not_ours_does_not_run(page: Any) -> None:
    page.evaluate(
        """() => { const script = document.createElement('script');
                   script.textContent = 'window.alerts.push(1)'; document.body.append(script);
                   const image = document.createElement('div');
                   image.innerHTML = '<img src="x" onerror="window.alerts.push(2)">'; document.body.append(image); }"""
    )
    page.wait_for_timeout(100)
    assert page.evaluate("window.alerts") == []
    assert any("Content Security Policy" in line for line in page.seen)


def test_the_keyboard_walks_through_the_pairs_and_closes(page: Any) -> None:
    page.locator(".pair .open").first.press("Enter")
    assert page.locator(".position").text_content() == "1 of 24"
    page.keyboard.press("ArrowRight")
    assert page.locator(".position").text_content() == "2 of 24"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert page.locator(".position").text_content() == "24 of 24"
    page.keyboard.press("Escape")
    assert not page.locator(".lightbox").is_visible()


def test_a_region_shows_its_type_severity_and_rationale(page: Any) -> None:
    page.select_option("[data-filter=kinds]", "artifact")
    page.locator(".pair:not([hidden]) .open").first.click()
    line = page.locator(".lightbox .regions li.artifact").first.locator("div").text_content()
    page.locator(".lightbox .box.artifact[data-region=A1]").focus()
    tip = page.locator(".tip")
    assert tip.is_visible()
    assert tip.text_content().split() == line.split()
    assert page.locator(".lightbox .regions li.lit").count() == 1


def test_layers_are_switched_on_the_page_and_in_the_lightbox_alike(page: Any) -> None:
    heats = visible(page, ".gallery .heat.artifact")
    page.locator(".toolbar [data-toggle=artifact]").click()
    assert heats > 0 and visible(page, ".gallery .heat.artifact") == 0
    assert visible(page, ".gallery .box.artifact") == 0 and visible(page, ".gallery .box.failure") > 0
    page.locator(".pair .open").first.click()
    button = page.locator(".lightbox [data-toggle=artifact]")
    assert button.get_attribute("aria-pressed") == "false"
    button.click()
    page.keyboard.press("Escape")
    assert visible(page, ".gallery .heat.artifact") == heats


def test_filters_leave_only_what_fits(page: Any) -> None:
    page.select_option("[data-filter=kinds]", "clean")
    clean = visible(page, ".pair")
    assert 0 < clean < 24
    assert visible(page, ".pair .tag.clean") == clean
    page.select_option("[data-filter=kinds]", "")
    page.select_option("[data-filter=editor]", "beta <b>")
    assert set(page.locator(".pair:not([hidden]) .who bdi").all_text_contents()) == {"beta <b>"}
    page.select_option("[data-filter=kinds]", "clean")
    page.select_option("[data-filter=flaws]", page.locator("[data-filter=flaws] option").nth(1).get_attribute("value"))
    assert page.locator(".nothing").is_visible()


def test_the_slider_uncovers_the_edit(page: Any) -> None:
    page.locator(".pair .open").first.click()
    page.locator("[data-mode=slider]").click()
    page.locator(".split").fill("20")
    assert page.locator(".lightbox .source").evaluate("e => getComputedStyle(e).clipPath") == "inset(0px 80% 0px 0px)"
    source, edited = (page.locator(f".lightbox .{name}").bounding_box() for name in ("source", "edited"))
    assert source == edited


def test_a_table_sorts_by_the_column_that_is_clicked(page: Any) -> None:
    table = page.locator("#scores table.sortable").first
    for wanted in (True, False):
        table.get_by_role("button", name="Overall").click()
        values = table.locator("tbody tr").evaluate_all(
            "rows => rows.map(row => Number(row.lastElementChild.dataset.value))"
        )
        assert values == sorted(values, reverse=wanted)
    assert table.locator("th[aria-sort=ascending]").count() == 1


@pytest.mark.parametrize("width", [1300, 768, 390])
def test_the_page_fits_its_window(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
