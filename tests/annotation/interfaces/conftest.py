"""What the tests in a browser share: Chromium, people who are logged in, and their tasks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import pytest
from PIL import Image

from annotation import interfaces
from annotation.campaign.options import CampaignStage
from annotation.campaign.sync.run_sync import STAGE_TITLES
from annotation.labelstudio.image_urls import ImageUrls
from tests.annotation.interfaces.desk import WINDOW, Desk, log_in
from tests.annotation.studio_server import PASSWORD, Live

sync_api = pytest.importorskip("playwright.sync_api")

CHROMIUM = Path("/usr/bin/chromium")
ALBUM = "EDITFHF_PICTURES"
"""The folder in which the pictures of docs/campaign.md are kept; unset: they are taken and thrown away."""

QUALITY = 72
Seat = Callable[[str, str], Any]
Results = list[dict[str, Any]]


class Photo(Protocol):
    """Takes a picture of the window, or of its upper part, for docs/campaign.md."""

    def __call__(self, page: Any, name: str, height: int = ...) -> None: ...


class Give(Protocol):
    """Gives the annotator one task of a stage; a picture is a path in the corpus, and `size` its as displayed."""

    def __call__(
        self, stage: CampaignStage, picture: str, size: tuple[int, int], predicted: Results | None = None, **data: Any
    ) -> tuple[Desk, Callable[[], dict[str, Any]]]: ...


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        switches = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=switches)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def seat(live: Live, browser: Any) -> Iterator[Seat]:
    """The page of a person by e-mail and password, who logs in once and reaches nothing but the server.

    Dialogs and scripts that tests smuggle in leave a trace in `page.seen`.
    """
    pages: dict[str, Any] = {}

    def taken(email: str, password: str) -> Any:
        if email not in pages:
            page = browser.new_context(viewport=WINDOW).new_page()
            page.seen = []
            page.route("**/*", lambda to: to.continue_() if live.server.url in to.request.url else to.abort())
            page.on("dialog", lambda dialog: (page.seen.append(dialog.message), dialog.dismiss()))
            log_in(page, live.server.url, email, password)
            pages[email] = page
        return pages[email]

    yield taken
    for page in pages.values():
        page.context.close()


@pytest.fixture
def page(live: Live, seat: Seat) -> Any:
    live.person("annotator")
    return seat("annotator@example.org", PASSWORD)


@pytest.fixture
def give(live: Live, page: Any, request: pytest.FixtureRequest) -> Give:
    numbers = count()

    def given(
        stage: CampaignStage, picture: str, size: tuple[int, int], predicted: Results | None = None, **data: Any
    ) -> tuple[Desk, Callable[[], dict[str, Any]]]:
        url = ImageUrls(live.corpus).url(picture)
        whole = {"pair_id": "p", "instruction": "Make it blue.", "notice": "", "source_image": url}
        whole |= {"edited_image": url} | data
        task: dict[str, Any] = {"data": whole}
        if predicted:
            task["predictions"] = [{"model_version": "current", "result": predicted}]
        with live.manager() as manager:
            name = f"{request.node.name} {next(numbers)}"
            project = manager.create_project(
                f"{STAGE_TITLES[stage]}: Anna A.", name, interfaces.render_label_config(stage)
            ).project_id
            assert live.server.images is not None
            manager.serve_images(project, live.server.images)
            manager.import_tasks(project, [task])

        def exported() -> dict[str, Any]:
            with live.manager() as manager:
                [found] = manager.tasks(project)
            return found

        return Desk.open(page, live.server.url, project, size), exported

    return given


@pytest.fixture(params=["upright", "turned"])
def picture(request: pytest.FixtureRequest, live: Live) -> tuple[str, tuple[int, int]]:
    """A picture with its width and height as displayed: 200 x 120, or the same stored on its side."""
    turned = request.param == "turned"
    path = f"images/{request.param}.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6 if turned else 1
    Image.effect_noise((200, 120), 60).convert("RGB").save(live.corpus / path, exif=exif)
    return path, (120, 200) if turned else (200, 120)


@pytest.fixture
def photo(tmp_path: Path) -> Photo:
    album = Path(os.environ.get(ALBUM, tmp_path))

    def taken(page: Any, name: str, height: int = WINDOW["height"]) -> None:
        clip = {"x": 0, "y": 0, "width": WINDOW["width"], "height": height}
        page.screenshot(path=album / f"campaign-{name}.jpg", type="jpeg", quality=QUALITY, clip=clip)

    return taken
