"""A figure as SVG to stand in an HTML page: the same bytes every time, colours of the page, ids of its own."""

from __future__ import annotations

import io
import re
import warnings
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

from mos.plots.style import VARIABLES, look

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NAME = re.compile("[A-Za-z][A-Za-z0-9_-]*")
# matplotlib escapes < and > in texts and attributes, so that these are tags and no text is ever changed.
_TAG = re.compile("<[^<>]+>")
_ID = re.compile(r'(?<= id=")|(?<=href="#)|(?<=url\(#)')
_STYLE = re.compile(r' style="([^"]*)"')
_PLACE = re.compile(r'(?<= d=")[^"]*|(?<= [xy]=")[^"]*')
_NUMBER = re.compile(r"\d+\.\d{3,}")
_COLOUR = re.compile("|".join(VARIABLES))
_PIXELS_PER_INCH = 100


def svg(figure: Figure, name: str) -> str:
    """The figure as one <svg> element, in the same bytes whenever it is drawn from the same data.

    name: letters, digits, - and _, a letter first, unique in the page; every id and class in the element begins with
        it, so that several plots can stand in one page
    Ink, grid and data colours are CSS variables (see `style.VARIABLES`) with the light colours as fallbacks, and the
    background is transparent: a page adapts the plot to its dark mode by setting them.  Texts stay texts.
    Raises ValueError for another name.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"the name of a plot must be letters, digits, - and _, a letter first; got {name!r}")
    text = _drawn(figure, name)
    styles: dict[str, str] = {}
    text = _TAG.sub(lambda tag: _adapted(tag[0], name, styles), text[text.index("<svg") :])
    rules = "".join(f".{label}{{{style}}}" for style, label in styles.items())
    # matplotlib's own rule would hold for the whole page.
    text = re.sub(
        '(?<=<style type="text/css">)[^<]*',
        lambda _: f"#{name}{{stroke-linejoin:round;stroke-linecap:butt;max-width:100%;height:auto}}{rules}",
        text,
        count=1,
    )
    return re.sub("<svg[^>]*>", lambda _: _opening(figure, name), text, count=1)


def _drawn(figure: Figure, name: str) -> str:
    import matplotlib

    page = io.StringIO()
    own: dict[Any, Any] = {"svg.hashsalt": name, "svg.fonttype": "none", "svg.id": name}
    with look(), matplotlib.rc_context(own), warnings.catch_warnings():
        # The reader's fonts show what DejaVu Sans cannot.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        _settle(figure)
        figure.savefig(page, format="svg", metadata=nothing, dpi=2 * _PIXELS_PER_INCH)
    return page.getvalue()


def _settle(figure: Figure) -> None:
    """Lay the figure out, once: each time that matplotlib does, places move by a hair."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")


def _opening(figure: Figure, name: str) -> str:
    width, height = figure.get_size_inches()
    label = quoteattr(str(figure.get_label()))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" id="{name}" role="img" '
        f'aria-label={label} width="{width * _PIXELS_PER_INCH:.0f}" height="{height * _PIXELS_PER_INCH:.0f}" '
        f'viewBox="0 0 {72 * width:.2f} {72 * height:.2f}">'
    )


def _adapted(tag: str, name: str, styles: dict[str, str]) -> str:
    """The tag with ids of its own, a class for its style, and places rounded to a hundredth of a point."""
    if "data:image" not in tag:
        tag = _PLACE.sub(lambda place: _NUMBER.sub(lambda number: f"{float(number[0]):.2f}", place[0]), tag)
    tag = _STYLE.sub(lambda style: f' class="{styles.setdefault(_themed(style[1]), f"{name}-s{len(styles)}")}"', tag)
    return _ID.sub(f"{name}-", tag)


def _themed(style: str) -> str:
    style = _COLOUR.sub(lambda colour: f"var({VARIABLES[colour[0]]}, {colour[0]})", style)
    return style.replace("'DejaVu Sans'", "'DejaVu Sans', Verdana, sans-serif")
