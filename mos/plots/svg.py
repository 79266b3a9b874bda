"""A figure as SVG for an HTML page: reproducible bytes, colours of the page, and unique ids."""

from __future__ import annotations

import io
import re
import warnings
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

from mos.plots.style import CSS_VARIABLES, use_plot_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_NAME = re.compile("[A-Za-z][A-Za-z0-9_-]*")
# matplotlib escapes < and > in texts and attributes, so this matches tags only and no text is changed.
_TAG = re.compile("<[^<>]+>")
_ID = re.compile(r'(?<= id=")|(?<=href="#)|(?<=url\(#)')
_STYLE = re.compile(r' style="([^"]*)"')
_PLACE = re.compile(r'(?<= d=")[^"]*|(?<= [xy]=")[^"]*')
_NUMBER = re.compile(r"\d+\.\d{3,}")
_COLOUR = re.compile("|".join(CSS_VARIABLES))
_PIXELS_PER_INCH = 100


def figure_to_svg(figure: Figure, name: str) -> str:
    """Render a figure as one <svg> element; the same data give the same bytes.

    Parameters
    ----------
    figure
        The figure.
    name
        Prefix of all ids and classes in the element: letters, digits, - and _, starting with a letter. It must be
        unique in the page, so that one page can hold several plots.

    Returns
    -------
    str
        The element. Text stays text, the background is transparent, and the colours are CSS variables (see
        `mos.plots.style.CSS_VARIABLES`) with the light colours as fallbacks, so that a page can set them
        for a dark mode.

    Raises
    ------
    ValueError
        For an invalid name.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"the name of a plot must be letters, digits, - and _, a letter first; got {name!r}")
    text = _draw_svg(figure, name)
    styles: dict[str, str] = {}
    text = _TAG.sub(lambda tag: _adapt_tag(tag[0], name, styles), text[text.index("<svg") :])
    rules = "".join(f".{label}{{{style}}}" for style, label in styles.items())
    # matplotlib's own rule would apply to the whole page.
    text = re.sub(
        '(?<=<style type="text/css">)[^<]*',
        lambda _: f"#{name}{{stroke-linejoin:round;stroke-linecap:butt;max-width:100%;height:auto}}{rules}",
        text,
        count=1,
    )
    return re.sub("<svg[^>]*>", lambda _: _opening_tag(figure, name), text, count=1)


def _draw_svg(figure: Figure, name: str) -> str:
    import matplotlib

    page = io.StringIO()
    svg_settings: dict[Any, Any] = {"svg.hashsalt": name, "svg.fonttype": "none", "svg.id": name}
    with use_plot_style(), matplotlib.rc_context(svg_settings), warnings.catch_warnings():
        # The fonts of the browser can show glyphs that DejaVu Sans lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        _freeze_layout(figure)
        figure.savefig(page, format="svg", metadata=no_metadata, dpi=2 * _PIXELS_PER_INCH)
    return page.getvalue()


def _freeze_layout(figure: Figure) -> None:
    """Lay the figure out once, because positions change slightly each time matplotlib does it."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")


def _opening_tag(figure: Figure, name: str) -> str:
    width, height = figure.get_size_inches()
    label = quoteattr(str(figure.get_label()))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" id="{name}" role="img" '
        f'aria-label={label} width="{width * _PIXELS_PER_INCH:.0f}" height="{height * _PIXELS_PER_INCH:.0f}" '
        f'viewBox="0 0 {72 * width:.2f} {72 * height:.2f}">'
    )


def _adapt_tag(tag: str, name: str, styles: dict[str, str]) -> str:
    """The tag with prefixed ids, a class for its style, and positions rounded to a hundredth of a point."""
    if "data:image" not in tag:
        tag = _PLACE.sub(lambda place: _NUMBER.sub(lambda number: f"{float(number[0]):.2f}", place[0]), tag)
    tag = _STYLE.sub(
        lambda style: f' class="{styles.setdefault(_apply_theme(style[1]), f"{name}-s{len(styles)}")}"', tag
    )
    return _ID.sub(f"{name}-", tag)


def _apply_theme(style: str) -> str:
    style = _COLOUR.sub(lambda colour: f"var({CSS_VARIABLES[colour[0]]}, {colour[0]})", style)
    return style.replace("'DejaVu Sans'", "'DejaVu Sans', Verdana, sans-serif")
