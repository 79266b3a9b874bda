"""A person at work in a real browser: an account that is logged in, and a task that lies before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from annotation.interfaces.guidance import HOT_KEYS

WINDOW = {"width": 1440, "height": 900}
KEEP_LABEL = "Keep label selected after creating a region"
PATIENCE = 60_000
BESIDE_LINE = 40

FRAME = """() => {
  const {x, y, width, height} = [...document.querySelectorAll('.ehf-image img')].at(-1).getBoundingClientRect();
  return [x, y, width, height];
}"""
READY = """() => {
  const pictures = [...document.querySelectorAll('.ehf-image img')];
  const drawn = document.querySelectorAll('.ehf-image canvas').length;
  return drawn && pictures.length && pictures.every((one) => one.complete && one.naturalWidth);
}"""


def log_in(page: Any, server: str, email: str, password: str) -> None:
    page.goto(f"{server}/user/login/")
    page.fill("input[name=email]", email)
    page.fill("input[name=password]", password)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(lambda url: "/login" not in url, wait_until="commit")


@dataclass
class Desk:
    """The task that is open before a person.

    page: the browser's; size: width and height of the edited picture as displayed; places are shares of both.
    presses: keys and buttons of the mouse that were pressed so far.
    """

    page: Any
    size: tuple[int, int]
    presses: int = 0

    @classmethod
    def open(cls, page: Any, server: str, project: int, size: tuple[int, int]) -> Desk:
        """Begin with a project's tasks as its annotator does."""
        page.goto(f"{server}/projects/{project}/data")
        page.get_by_role("button", name="Label All Tasks").click(timeout=PATIENCE)
        desk = cls(page, size)
        desk.await_task()
        return desk

    def await_task(self) -> None:
        self.page.wait_for_function(READY, timeout=PATIENCE)
        self.page.wait_for_timeout(800)

    @property
    def regions(self) -> Any:
        return self.page.locator(".lsf-outliner-item")

    def at(self, x: float, y: float) -> tuple[int, int]:
        """The whole pixel of the screen at which a place is shown."""
        left, top, width, height = self.page.evaluate(FRAME)
        return round(left + x * width), round(top + y * height)

    def pixel(self, x: float, y: float) -> tuple[float, float]:
        """The pixel of the picture that the mouse reaches at a place."""
        left, top, width, height = self.page.evaluate(FRAME)
        across, down = self.at(x, y)
        return (across - left) / width * self.size[0], (down - top) / height * self.size[1]

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press("+".join(part.capitalize() if len(part) > 1 else part for part in key.split("+")))
            self.page.wait_for_timeout(100)
            self.presses += 1

    def click(self, x: float, y: float) -> None:
        self.page.mouse.click(*self.at(x, y))
        self.page.wait_for_timeout(300)
        self.presses += 1

    def disk(self, x: float, y: float) -> None:
        number = self.regions.count()
        self.click(x, y)
        self.regions.nth(number).wait_for()

    def box(self, x0: float, y0: float, x1: float, y1: float) -> None:
        number = self.regions.count()
        self.page.mouse.move(*self.at(x0, y0))
        self.page.mouse.down()
        self.page.mouse.move(*self.at((x0 + x1) / 2, (y0 + y1) / 2))
        self.page.mouse.move(*self.at(x1, y1))
        self.page.mouse.up()
        self.regions.nth(number).wait_for()
        self.presses += 1

    def say(self, flaw_type: str, severity: str) -> None:
        """What the box is that is selected."""
        self.page.locator(".ehf-region").wait_for()
        self.press(HOT_KEYS["flaw_type"][flaw_type], HOT_KEYS["severity"][severity])

    def select(self, number: int) -> None:
        """A region by its line in the list, counted from 0."""
        self.regions.nth(number).click()
        self.page.wait_for_timeout(300)
        self.presses += 1

    def link(self, number: int, x: float, y: float) -> None:
        """Relate a region, by its line in the list, to the one at a place."""
        self.select(number)
        self.press("Alt+r")
        self.click(x, y)

    def keep_labels(self) -> None:
        """Switch on what every annotator is asked to switch on once in their browser; the dialog stays open."""
        self.page.get_by_test_id("bottombar-settings-button").click()
        switch = self.page.locator("label", has_text=KEEP_LABEL)
        if not switch.locator("input").is_checked():
            switch.click()

    def close_dialog(self) -> None:
        self.page.get_by_role("button", name="Close").click()
        self.page.locator(".ant-modal-wrap").wait_for(state="hidden")

    def line(self, dimension: str) -> Any:
        return self.page.locator(f"input[name={dimension}]")

    def visible_line(self, dimension: str) -> Any:
        """The part of the line that is seen, and the number beside it, in `BESIDE_LINE` pixels."""
        return self.line(dimension).locator("xpath=..")

    def score(self, dimension: str, share: float) -> None:
        """Click on the line of a score; `share` is the way along it."""
        line = self.visible_line(dimension)
        frame = line.bounding_box()
        line.click(position={"x": share * (frame["width"] - BESIDE_LINE), "y": frame["height"] / 2})
        self.presses += 1

    def revise(self, text: str) -> None:
        """Change the text of the region that is selected."""
        self.page.get_by_test_id("htx-textbox-edit-button").click()
        self.page.get_by_test_id("htx-textbox-input").fill(text)
        self.press("Shift+Enter")

    def flag(self, words: str) -> None:
        self.page.locator(".ehf-flags .lsf-choice__item", has_text=words).locator("input").check()

    def submit(self, with_button: bool = False) -> None:
        """Submit by the key or the button, and wait until the server has the answer."""
        with self.page.expect_response(
            lambda found: "/annotations" in found.url and found.request.method == "POST", timeout=PATIENCE
        ) as answer:
            if with_button:
                self.page.get_by_test_id("bottombar-submit-button").click()
            else:
                self.press("Control+Enter")
        assert answer.value.ok
