"""The real command `editfhf app` in a real browser: a person repairs the shipped example and takes it home."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Dialog, Page, Request, expect, sync_playwright

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CHROMIUM = Path("/usr/bin/chromium")
ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "refine"
EVIL = 'Take it away. <img src=x onerror="alert(1)"><script>alert(2)</script>'


class RunningApp(NamedTuple):
    url: str
    process: subprocess.Popen[str]


@pytest.fixture(scope="module")
def app() -> Iterator[RunningApp]:
    words = [sys.executable, "-m", "editfhf.cli", "app", "--port", "0", "--no-browser"]
    words += [str(EXAMPLE / "source.png"), str(EXAMPLE / "edited.png"), "--instruction", EVIL]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("The app is at http://127.0.0.1:"), process.stderr.read() if process.stderr else ""
            yield RunningApp(line.split()[4], process)
            process.terminate()
            assert process.wait(20) == 0
        finally:
            process.kill()


@pytest.fixture(scope="module")
def page(app: RunningApp) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1366, "height": 768}, accept_downloads=True)
        seen: list[str] = []

        def note_dialog(dialog: Dialog) -> None:
            seen.append(dialog.message)
            dialog.dismiss()

        def note_request(request: Request) -> None:
            if not request.url.startswith((app.url, "data:")):
                seen.append(request.url)

        page.on("pageerror", lambda error: seen.append(str(error)))
        page.on("dialog", note_dialog)
        page.on("request", note_request)
        page.goto(app.url)
        page.locator("#regions li").first.wait_for()
        yield page
        assert seen == []
        browser.close()


def download(page: Page, which: str) -> bytes:
    page.locator("#downloads summary").click()
    with page.expect_download() as waiting:
        page.locator(f"#{which}").click()
    page.locator("#downloads summary").click()
    return Path(waiting.value.path()).read_bytes()


def pixels(content: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_a_region_is_repaired_kept_and_taken_back(page: Page) -> None:
    given = pixels((EXAMPLE / "edited.png").read_bytes())
    assert page.locator("#told").inner_text() == EVIL
    page.locator("#regions li").first.click()
    page.locator("body[data-mask='A1']").wait_for()
    page.locator("#run").click()
    page.locator("#proposal").wait_for()
    assert "Overall score" in page.locator("#gain").inner_text()
    assert np.array_equal(pixels(download(page, "refined")), given)
    page.locator("#accept").click()
    page.locator("#layers li").wait_for()
    kept = pixels(download(page, "refined"))
    assert not np.array_equal(kept, given)
    page.locator("#layers input").uncheck()
    expect(page.locator("#busy")).to_be_hidden()
    expect(page.locator("#layers input")).not_to_be_checked()
    assert np.array_equal(pixels(download(page, "refined")), given)
    page.locator("#undo").click()
    expect(page.locator("#busy")).to_be_hidden()
    expect(page.locator("#layers input")).to_be_checked()
    assert np.array_equal(pixels(download(page, "refined")), kept)
    with zipfile.ZipFile(io.BytesIO(download(page, "layers-file"))) as archive:
        assert np.array_equal(pixels(archive.read("data/input.png")), given)
        assert np.array_equal(pixels(archive.read("mergedimage.png")), kept)


def test_a_mask_is_painted_by_hand_and_a_proposal_rejected(page: Page) -> None:
    before = pixels(download(page, "refined"))
    page.locator("#clear").click()
    page.locator("#run").click()
    page.locator("#message").wait_for()
    assert "mask is empty" in page.locator("#message").inner_text()
    place = page.locator("#mask").bounding_box()
    assert place is not None
    page.locator("#paint").click()
    page.mouse.move(place["x"] + place["width"] * 0.3, place["y"] + place["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(place["x"] + place["width"] * 0.4, place["y"] + place["height"] * 0.5, steps=4)
    page.mouse.up()
    page.locator("#editor").select_option("inpaint")
    page.locator("#run").click()
    page.locator("#proposal").wait_for()
    page.locator("#reject").click()
    page.locator("#run").wait_for()
    assert np.array_equal(pixels(download(page, "refined")), before)


def test_before_and_after_are_compared_with_a_slider(page: Page) -> None:
    page.locator("[data-view=compare]").click()
    page.locator("#slider").fill("25")
    assert page.locator("#above").evaluate("element => element.style.clipPath") == "inset(0px 75% 0px 0px)"
    page.locator("[data-view=current]").click()


def test_two_browsers_do_not_see_each_other(app: RunningApp, page: Page) -> None:
    first = httpx.post(f"{app.url}api/start", json={}).json()
    second = httpx.post(f"{app.url}api/start", json={}).json()
    assert first["key"] != second["key"] and second["layers"] == []
    assert httpx.get(f"{app.url}files/{'x' * 32}/refined.png").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "files/{key}/..%2f..%2fetc%2fpasswd",
        "files/{key}/source.png%00",
        "%2e%2e/%2e%2e/etc/passwd",
        "app.py",
        "api/start",
    ],
)
def test_no_other_file_is_served(app: RunningApp, path: str) -> None:
    key = httpx.post(f"{app.url}api/start", json={}).json()["key"]
    answer = httpx.get(app.url + path.format(key=key))
    assert answer.status_code in (404, 405)
    assert "root:" not in answer.text


def test_other_sites_cannot_steer_it(app: RunningApp) -> None:
    named = httpx.post(f"{app.url}api/start", json={}, headers={"Host": "evil.example"})
    assert named.status_code == 421
    simple = httpx.post(f"{app.url}api/start", content="{}", headers={"Content-Type": "text/plain"})
    assert simple.status_code == 415
    page = httpx.get(app.url)
    assert "default-src 'none'" in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("action", "body", "said"),
    [
        ("open", {"source": "%%%", "edited": "", "instruction": "x"}, "source image is not base64"),
        ("open", {"source": "aGk=", "edited": "aGk=", "instruction": "x"}, "source"),
        ("open", {"instruction": 3}, "instruction as text"),
        ("propose", {"key": "none"}, "session has ended"),
        ("undo", {}, "session has ended"),
        ("format-disk", {}, "no such action"),
    ],
)
def test_what_makes_no_sense_gets_a_sentence(app: RunningApp, action: str, body: dict[str, Any], said: str) -> None:
    answer = httpx.post(f"{app.url}api/{action}", json=body)
    assert answer.status_code in (404, 422)
    assert said in answer.json()["message"]
