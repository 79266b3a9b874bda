"""A small SVG writer for the figures of a dataset: plain shapes with classes, one style sheet, light and dark."""

# Why not matplotlib, which draws the plots of `mos`: every build draws these figures. With matplotlib (eight figures
# without automatic layout, its import overlapped with the shards) a build of 120 pairs took 38 s instead of 31 s and
# one of 500 pairs 56 s instead of 39 s (medians of 3, in turn, on two busy cores); the drawing alone took 1.4 to 2.3 s
# of CPU after an import of 0.75 s, against 0.01 s here. Colours and number formats are shared with `mos` instead.

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from html import escape
from importlib import resources

from mos.pages import read_theme

CHARACTER_WIDTH = 7.2
"""Width in px of an average character at the text size of 12 px, on the safe side."""

_CONTROL = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), 0xFFFE, 0xFFFF, *range(0xD800, 0xE000)), " ")


@cache
def read_figure_stylesheet() -> str:
    """The one style sheet of all figures."""
    return resources.files(__package__).joinpath("figure.css").read_text(encoding="utf-8")


def escape_xml(text: object) -> str:
    """Text that XML can hold: escaped, control characters replaced by spaces."""
    return escape(str(text).translate(_CONTROL))


def shorten_text(text: str, width: float) -> str:
    """Text cut with an ellipsis where it would not fit into `width` px.

    >>> shorten_text("photometric", 40)
    'phot…'
    """
    characters = max(1, int(width / CHARACTER_WIDTH))
    return text if len(text) <= characters else text[: characters - 1] + "…"


def compute_axis_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from low to high, both within, at most `most` of them.

    >>> compute_axis_ticks(0, 37)
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


class SvgDrawing:
    """One figure: methods add shapes, `svg` returns the text. All coordinates are px from the top left corner."""

    def __init__(self, title: str, description: str, height: float, width: float = 460) -> None:
        self.title, self.description = title, description
        self.width, self.height = width, height
        self._shapes: list[str] = []

    def text(
        self, x: float, y: float, text: object, classes: str = "ink", anchor: str = "start", tip: str = ""
    ) -> None:
        """Text whose baseline is at y; anchor: start, middle or end."""
        self._add(
            "text",
            f'x="{_format_coordinate(x)}" y="{_format_coordinate(y)}" text-anchor="{anchor}"',
            classes,
            escape_xml(text) + _title_element(tip),
        )

    def rect(
        self, x: float, y: float, width: float, height: float, classes: str, tip: str = "", round: float = 0
    ) -> None:
        """A rectangle; nothing is drawn without an extent."""
        if width > 0 and height > 0:
            corner = f' rx="{_format_coordinate(round)}"' if round else ""
            place = f"{_format_rectangle(x, y, width, height)}{corner}"
            self._add("rect", place, classes, _title_element(tip))

    def line(self, x1: float, y1: float, x2: float, y2: float, classes: str = "grid") -> None:
        """A straight line."""
        start = f'x1="{_format_coordinate(x1)}" y1="{_format_coordinate(y1)}"'
        self._add("line", f'{start} x2="{_format_coordinate(x2)}" y2="{_format_coordinate(y2)}"', classes)

    def mark(self, x: float, y: float, shape: str, classes: str, tip: str = "", size: float = 4) -> None:
        """A point: shape is circle, square, diamond or bar."""
        match shape:
            case "circle":
                self._add(
                    "circle",
                    f'cx="{_format_coordinate(x)}" cy="{_format_coordinate(y)}" r="{_format_coordinate(size)}"',
                    f"mark {classes}",
                    _title_element(tip),
                )
            case "square":
                self.rect(x - size * 0.9, y - size * 0.9, size * 1.8, size * 1.8, f"mark {classes}", tip)
            case "bar":
                self.rect(x - size * 0.5, y - size * 1.3, size, size * 2.6, f"mark {classes}", tip)
            case _:
                reach = size * 1.25
                corners = ((x, y - reach), (x + reach, y), (x, y + reach), (x - reach, y))
                points = " ".join(f"{_format_coordinate(px)},{_format_coordinate(py)}" for px, py in corners)
                self._add("polygon", f'points="{points}"', f"mark {classes}", _title_element(tip))

    def image(self, x: float, y: float, width: float, height: float, uri: str, label: str) -> None:
        """An image given as a data URI, stretched to the rectangle."""
        place = _format_rectangle(x, y, width, height)
        self._add("image", f'{place} preserveAspectRatio="none" href="{escape_xml(uri)}"', "", _title_element(label))

    def heading(self, y: float = 20) -> None:
        """The title as text of the figure."""
        self.text(14, y, self.title, "ink title")

    def legend(self, x: float, y: float, entries: Sequence[tuple[str, str, str]]) -> None:
        """One row of (shape, classes, label)."""
        for shape, classes, label in entries:
            self.mark(x + 5, y - 4, shape, classes)
            self.text(x + 14, y, label, "soft small")
            x += 30 + len(label) * CHARACTER_WIDTH * 0.72

    def svg(self, *, standalone: bool) -> str:
        """The SVG text: with its style sheet, opaque background and namespace when it stands alone as a file."""
        width, height = _format_coordinate(self.width), _format_coordinate(self.height)
        size = f'viewBox="0 0 {width} {height}"'
        head = f'xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" ' if standalone else ""
        style = f"<style>{read_theme()}{read_figure_stylesheet()}</style>" if standalone else ""
        paper = '<rect class="paper" width="100%" height="100%"/>' if standalone else ""
        about = f"<title>{escape_xml(self.title)}</title><desc>{escape_xml(self.description)}</desc>"
        return f'<svg class="figure" {head}{size} role="img">{about}{style}{paper}{"".join(self._shapes)}</svg>\n'

    def _add(self, name: str, attributes: str, classes: str, inside: str = "") -> None:
        named = f' class="{classes}"' if classes else ""
        self._shapes.append(
            f"<{name}{named} {attributes}>{inside}</{name}>" if inside else f"<{name}{named} {attributes}/>"
        )


def _format_coordinate(value: float) -> str:
    """A coordinate with two decimals at most: the same digits on every machine."""
    return f"{round(value, 2) + 0.0:.2f}".rstrip("0").rstrip(".")


def _format_rectangle(x: float, y: float, width: float, height: float) -> str:
    names = {"x": x, "y": y, "width": width, "height": height}
    return " ".join(f'{name}="{_format_coordinate(value)}"' for name, value in names.items())


def _title_element(text: str) -> str:
    return f"<title>{escape_xml(text)}</title>" if text else ""
