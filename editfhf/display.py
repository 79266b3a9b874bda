"""Show datasets in a notebook: one pair as an image (source, edited image, both maps), summaries as HTML tables."""

from __future__ import annotations

import base64
import io
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from math import isfinite
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from annotation.images import decode_image
from annotation.records import DIMENSIONS, KINDS, Kind
from annotation.taxonomy import load_edit_tasks
from editfhf.heat import KIND_COLOURS, blend_heat
from mos.errors import UserError
from mos.files import replace_file
from mos.words import replace_control_characters

SHOWN_COLUMNS = (
    "pair_id",
    "instruction",
    "source_image",
    "edited_image",
    *(f"{kind}_{part}" for kind in KINDS for part in ("saliency", "regions")),
)
PANEL_GAP, LINE_HEIGHT, FONT_SIZE = 8, 18, 14
MAX_PANEL_ASPECT = 8
"""A panel is at most this much wider than high; a wider image is compressed."""
REGION_KEYS = ("box", "flaw_type", "severity", "rationale")
INK, PAPER = (32, 33, 36), (255, 255, 255)
SAVED_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""Formats of saved views by suffix."""


class PairView:
    """One pair of a dataset: source | edited image | artifact map | failure map, with boxes and texts.

    A notebook shows it by itself; `save` writes it as an image or as a page.

    Attributes
    ----------
    row : Mapping
        The row of the table "default" that is shown.
    height : int
        Height of every panel in pixels.
    """

    def __init__(self, row: Mapping[str, Any], height: int = 320) -> None:
        self.row = row
        self.height = height

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(self.row[f'{kind}_regions'] or ())} {kind}" for kind in KINDS)
        return f"PairView({_shorten_text(self.row['pair_id'], 40)!r}: {counts} regions)"

    def render_image(self) -> Image.Image:
        """The panels side by side, with the instruction above and one line per region below."""
        panels = list(self._render_panels())
        width = sum(panel.width for _, panel in panels) + PANEL_GAP * (len(panels) + 1)
        font = ImageFont.load_default(FONT_SIZE)
        above = _wrap_text(str(self.row["instruction"] or ""), width)
        below = [line for text in self._describe_regions() for line in _wrap_text(text, width)]
        top = LINE_HEIGHT * (len(above) + 1) + PANEL_GAP
        canvas = Image.new("RGB", (width, top + self.height + LINE_HEIGHT * len(below) + 2 * PANEL_GAP), PAPER)
        draw = ImageDraw.Draw(canvas)
        for number, line in enumerate(above):
            draw.text((PANEL_GAP, PANEL_GAP // 2 + number * LINE_HEIGHT), line, INK, font)
        left = PANEL_GAP
        for title, panel in panels:
            draw.text((left, top - LINE_HEIGHT - 2), title, INK, font)
            canvas.paste(panel, (left, top))
            left += panel.width + PANEL_GAP
        for number, line in enumerate(below):
            draw.text((PANEL_GAP, top + self.height + PANEL_GAP + number * LINE_HEIGHT), line, INK, font)
        return canvas

    def render_html(self) -> str:
        """The panels as one embedded PNG, with instruction, scores and regions as text; all texts are escaped."""
        row = self.row
        rows = [
            (label, region["flaw_type"] or "", region["severity"] or "", region["rationale"] or "")
            for label, _, region in self._list_regions()
        ]
        scores = [
            (name.replace("_", " "), "" if row.get(name) is None else f"{row[name]:.1f}")
            for name in (*DIMENSIONS, "overall")
        ]
        about = ", ".join(part for part in (self._read_task_name(), str(row.get("editor") or "")) if part)
        return (
            f"<div><p><b>{_escape_text(row['pair_id'])}</b> {_escape_text(about)}<br>"
            f"{_escape_text(row['instruction'])}</p>"
            f'<img alt="source, edited image, artifact map, failure map" style="max-width:100%" '
            f'src="data:image/png;base64,{base64.b64encode(_encode_image(self._join_panels())).decode("ascii")}">'
            f"{format_html_table(('region', 'flaw type', 'severity', 'rationale'), rows) if rows else ''}"
            f"{format_html_table(('score', '0 to 100'), scores)}</div>"
        )

    def save(self, path: str | Path) -> Path:
        """Write the view to a file.

        Parameters
        ----------
        path
            A name that ends in .png, .jpg, .webp (an image) or .html (a page). An existing file is replaced.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        UserError
            The name ends in something else.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix == ".html":
            page = f'<!doctype html>\n<meta charset="utf-8">\n<title>{_escape_text(self.row["pair_id"])}</title>\n'
            replace_file(path, f"{page}{self.render_html()}\n".encode())
        elif suffix in SAVED_FORMATS:
            replace_file(path, _encode_image(self.render_image(), SAVED_FORMATS[suffix]))
        else:
            raise UserError(f"{path} must end in {', '.join(SAVED_FORMATS)} or .html, but ends in {suffix!r}.")
        return path

    def _repr_png_(self) -> bytes:
        return _encode_image(self.render_image())

    def _repr_html_(self) -> str:
        return self.render_html()

    def _join_panels(self) -> Image.Image:
        panels = [panel for _, panel in self._render_panels()]
        joined = Image.new(
            "RGB", (sum(panel.width for panel in panels) + PANEL_GAP * (len(panels) - 1), self.height), PAPER
        )
        left = 0
        for panel in panels:
            joined.paste(panel, (left, 0))
            left += panel.width + PANEL_GAP
        return joined

    def _render_panels(self) -> Iterator[tuple[str, Image.Image]]:
        """(title, image of height `self.height`) of every panel."""
        edited = _read_row_image(self.row["edited_image"])
        yield "source", self._scale_image(_read_row_image(self.row["source_image"]))
        yield "edited", self._scale_image(edited)
        for kind in KINDS:
            grey = np.asarray(_read_row_image(self.row[f"{kind}_saliency"]).convert("L"), np.float32) / 255
            panel = self._scale_image(blend_heat(edited, grey, KIND_COLOURS[kind]))
            self._draw_boxes(panel, kind, edited.size)
            yield f"{kind} map", panel

    def _scale_image(self, image: Image.Image) -> Image.Image:
        # A strip of 5000 x 1 pixels would be 1.6 million pixels wide.
        width = min(max(1, round(image.width * self.height / image.height)), self.height * MAX_PANEL_ASPECT)
        return image.resize((width, self.height), Image.Resampling.LANCZOS)

    def _draw_boxes(self, panel: Image.Image, kind: Kind, size: tuple[int, int]) -> None:
        draw = ImageDraw.Draw(panel)
        font = ImageFont.load_default(FONT_SIZE)
        across, down = panel.width / size[0], panel.height / size[1]
        for label, region_kind, region in self._list_regions():
            if region_kind == kind:
                x0, y0, x1, y1 = region["box"]
                x0, x1, y0, y1 = *np.clip((x0, max(x0, x1)), 0, size[0]), *np.clip((y0, max(y0, y1)), 0, size[1])
                corners = (x0 * across, y0 * down, x1 * across, y1 * down)
                draw.rectangle(corners, outline=KIND_COLOURS[kind], width=2)
                place = (corners[0] + 3, corners[1] + 1)
                draw.text(place, label, PAPER, font, stroke_width=2, stroke_fill=INK)

    def _list_regions(self) -> Iterator[tuple[str, Kind, Mapping[str, Any]]]:
        """(label such as A1 or F2, kind, region) of every region."""
        for kind in KINDS:
            for number, region in enumerate(self.row[f"{kind}_regions"] or (), start=1):
                yield f"{kind[0].upper()}{number}", kind, region

    def _describe_regions(self) -> Iterator[str]:
        for label, _, region in self._list_regions():
            names = ", ".join(part for part in (region["flaw_type"], region["severity"]) if part)
            yield f"{label}  {names}: {region['rationale']}" if region["rationale"] else f"{label}  {names}"

    def _read_task_name(self) -> str:
        """The name of the task, which a row holds as the number of its class."""
        task, names = self.row.get("task"), list(load_edit_tasks())
        return names[task] if isinstance(task, int) and 0 <= task < len(names) else str(task or "")


def show(row: Mapping[str, Any], height: int = 320) -> PairView:
    """Show one pair: source, edited image and both saliency maps over it, with the boxes and texts of the regions.

    Parameters
    ----------
    row
        One row of the table "default", such as `load("dataset")["train"][0]`; its images decoded or as
        `{"bytes": ..., "path": ...}`.
    height
        Height of each panel in pixels, 32 to 4096.

    Returns
    -------
    PairView
        A notebook shows it by itself; elsewhere call `.save("pair.png")`.

    Raises
    ------
    UserError
        `row` is not a row of the table "default", or `height` is out of range.

    Examples
    --------
    >>> pairs = editfhf.load("dataset")["train"]      # doctest: +SKIP
    >>> editfhf.show(pairs[0]).save("pair.png")       # doctest: +SKIP
    """
    if not isinstance(row, Mapping) or not all(isinstance(name, str) for name in row):
        raise UserError(
            'show() expects one row of the table "default", such as load("dataset")["train"][0], '
            f"but got {type(row).__name__}."
        )
    missing = [name for name in SHOWN_COLUMNS if name not in row]
    if missing:
        raise UserError(
            'show() expects one row of the table "default", such as load("dataset")["train"][0], '
            f"but the columns {', '.join(missing)} are missing."
        )
    for kind in KINDS:
        if not all(map(_is_region, row[f"{kind}_regions"] or ())):
            raise UserError(f"{kind}_regions must be a list of regions with {', '.join(REGION_KEYS)} (box: 4 numbers).")
    if not 32 <= height <= 4096:
        raise UserError(f"height must be from 32 to 4096 pixels, but got {height}.")
    return PairView(row, height)


def format_html_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """An HTML table of escaped texts.

    >>> format_html_table(("a",), [("<b>",)])
    '<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>&lt;b&gt;</td></tr></tbody></table>'
    """
    head = "".join(f"<th>{_escape_text(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(f'<td>{_escape_text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _is_region(region: object) -> bool:
    if not isinstance(region, Mapping) or not all(key in region for key in REGION_KEYS):
        return False
    box = region["box"]
    return (
        isinstance(box, Sequence | np.ndarray)
        and len(box) == 4
        and all(isinstance(value, Real) and isfinite(value) for value in box)
    )


def _escape_text(value: object) -> str:
    return escape(replace_control_characters(str(value)))


def _read_row_image(value: Any) -> Image.Image:
    """RGB image of a column: decoded by `datasets`, or its encoded bytes."""
    if isinstance(value, Mapping) and isinstance(value.get("bytes"), bytes):
        return Image.fromarray(decode_image(value["bytes"]))
    if isinstance(value, Image.Image):
        if 0 in value.size:
            raise UserError(f"An image of the row is {value.width} x {value.height} pixels: expected at least 1 x 1.")
        return value.convert("RGB")
    raise UserError(f"An image of the row must be decoded or hold its bytes, but is {type(value).__name__}.")


def _encode_image(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def _wrap_text(text: str, width: int) -> list[str]:
    """The text in lines of about `width` pixels."""
    line = " ".join(replace_control_characters(text).split())
    return textwrap.wrap(line, max(20, int(width / (FONT_SIZE * 0.52)))) or [""]


def _shorten_text(text: object, length: int) -> str:
    line = str(text)
    return line if len(line) <= length else f"{line[: length - 1]}…"
