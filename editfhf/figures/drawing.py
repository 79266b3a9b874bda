"""A small SVG writer for charts: plain shapes with classes, one style sheet, light and dark.

Charts are part of every build, whose whole reporting has about a second: a plotting library costs half of that at
import, and its output depends on its version.  These figures take milliseconds and depend on nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from html import escape
from importlib import resources

CHARACTER = 7.2
"""Width in px of an average character at the text size of 12 px, on the safe side."""

_CONTROL = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), 0xFFFE, 0xFFFF, *range(0xD800, 0xE000)), " ")


@cache
def stylesheet() -> str:
    """The one style sheet of all figures."""
    return resources.files(__package__).joinpath("figure.css").read_text(encoding="utf-8")


def plain(text: object) -> str:
    """Text that XML can hold: escaped, control characters replaced by spaces."""
    return escape(str(text).translate(_CONTROL))


def short(text: str, width: float) -> str:
    """Text cut with an ellipsis where it would not fit into `width` px.

    >>> short("photometric", 40)
    'phot…'
    """
    room = max(1, int(width / CHARACTER))
    return text if len(text) <= room else text[: room - 1] + "…"


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from low to high, both within, at most `most` of them.

    >>> ticks(0, 37)
    [0.0, 10.0, 20.0, 30.0]
    """
    if high <= low:
        return [float(low)]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(k * step, 10) for k in range(first, last + 1)]


class Drawing:
    """One figure that is being drawn: shapes are added, `svg` gives the text."""

    def __init__(self, title: str, description: str, height: float, width: float = 460) -> None:
        self.title, self.description = title, description
        self.width, self.height = width, height
        self._shapes: list[str] = []

    def text(
        self, x: float, y: float, text: object, classes: str = "ink", anchor: str = "start", tip: str = ""
    ) -> None:
        """Text whose baseline is at y; anchor: start, middle or end."""
        self._add("text", f'x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}"', classes, plain(text) + _tip(tip))

    def rect(
        self, x: float, y: float, width: float, height: float, classes: str, tip: str = "", round: float = 0
    ) -> None:
        """A rectangle; nothing is drawn without an extent."""
        if width > 0 and height > 0:
            corner = f' rx="{_n(round)}"' if round else ""
            place = f'x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"{corner}'
            self._add("rect", place, classes, _tip(tip))

    def line(self, x1: float, y1: float, x2: float, y2: float, classes: str = "grid") -> None:
        self._add("line", f'x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}"', classes)

    def mark(self, x: float, y: float, shape: str, classes: str, tip: str = "", size: float = 4) -> None:
        """A point: shape is circle, square, diamond or bar."""
        match shape:
            case "circle":
                self._add("circle", f'cx="{_n(x)}" cy="{_n(y)}" r="{_n(size)}"', f"mark {classes}", _tip(tip))
            case "square":
                self.rect(x - size * 0.9, y - size * 0.9, size * 1.8, size * 1.8, f"mark {classes}", tip)
            case "bar":
                self.rect(x - size * 0.5, y - size * 1.3, size, size * 2.6, f"mark {classes}", tip)
            case _:
                reach = size * 1.25
                corners = ((x, y - reach), (x + reach, y), (x, y + reach), (x - reach, y))
                points = " ".join(f"{_n(px)},{_n(py)}" for px, py in corners)
                self._add("polygon", f'points="{points}"', f"mark {classes}", _tip(tip))

    def image(self, x: float, y: float, width: float, height: float, uri: str, label: str) -> None:
        """A picture given as a data URI, stretched to the rectangle."""
        place = f'x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"'
        self._add("image", f'{place} preserveAspectRatio="none" href="{plain(uri)}"', "", _tip(label))

    def heading(self, y: float = 20) -> None:
        """The title as text of the figure."""
        self.text(14, y, self.title, "ink title")

    def legend(self, x: float, y: float, entries: Sequence[tuple[str, str, str]]) -> None:
        """One row of (shape, classes, label)."""
        for shape, classes, label in entries:
            self.mark(x + 5, y - 4, shape, classes)
            self.text(x + 14, y, label, "soft small")
            x += 30 + len(label) * CHARACTER * 0.65

    def svg(self, *, standalone: bool) -> str:
        """The SVG text: with its style sheet, opaque background and namespace when it stands alone as a file."""
        size = f'viewBox="0 0 {_n(self.width)} {_n(self.height)}"'
        head = (
            f'xmlns="http://www.w3.org/2000/svg" width="{_n(self.width)}" height="{_n(self.height)}" '
            if standalone
            else ""
        )
        style = f"<style>{stylesheet()}</style>" if standalone else ""
        paper = '<rect class="paper" width="100%" height="100%"/>' if standalone else ""
        about = f"<title>{plain(self.title)}</title><desc>{plain(self.description)}</desc>"
        return f'<svg class="figure" {head}{size} role="img">{about}{style}{paper}{"".join(self._shapes)}</svg>\n'

    def _add(self, name: str, attributes: str, classes: str, inside: str = "") -> None:
        named = f' class="{classes}"' if classes else ""
        self._shapes.append(
            f"<{name}{named} {attributes}>{inside}</{name}>" if inside else f"<{name}{named} {attributes}/>"
        )


def _n(value: float) -> str:
    """A coordinate with two decimals at most: the same digits on every machine."""
    return f"{round(value, 2) + 0.0:.2f}".rstrip("0").rstrip(".")


def _tip(text: str) -> str:
    return f"<title>{plain(text)}</title>" if text else ""
