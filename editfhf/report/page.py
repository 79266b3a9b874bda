"""The page itself: one self-contained HTML file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from annotation.records import DIMENSIONS
from editfhf.figures import drawings, stylesheet
from editfhf.figures.wording import KIND_NAMES, SCORE_NAMES, decimal, percent, words
from editfhf.report import pictures, view
from editfhf.statistics.records import SCORES, Statistics
from mos import pages

if TYPE_CHECKING:
    from jinja2 import Environment

GALLERY = 24


def write(dataset: Path, statistics: Statistics, out: Path, gallery: int = GALLERY) -> None:
    """Write the report of the dataset in a folder to the file `out`, with a gallery of up to `gallery` pairs.

    The same dataset and statistics give the same bytes.  Nothing in the file is loaded from elsewhere.
    """
    out.write_text(render(statistics, pictures.read(dataset, gallery)), encoding="utf-8", newline="\n")


def render(statistics: Statistics, shown: Sequence[pictures.Shown]) -> str:
    """The text of the page.  Every value is escaped by the template engine; texts of the corpus stay text."""
    from markupsafe import Markup

    script = _text("report.js")
    pairs = [view.pair(number, picture) for number, picture in enumerate(shown, 1)]
    return (
        _environment()
        .get_template("report.html")
        .render(
            statistics=statistics,
            cards=view.cards(statistics),
            screening=view.screening(statistics),
            figures={name: Markup(drawing.svg(standalone=False)) for name, drawing in drawings(statistics).items()},
            pairs=pairs,
            choices=view.choices(pairs),
            style=Markup(stylesheet() + _text("report.css")),
            script=Markup(script),
            script_digest=base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii"),
        )
    )


def _environment() -> Environment:
    environment = pages.environment("editfhf.report")
    environment.filters |= {"words": words, "decimal": decimal, "percent": percent, "cells": view.score_cells}
    environment.globals |= {
        "SCORES": SCORES,
        "DIMENSIONS": DIMENSIONS,
        "SCORE_NAMES": SCORE_NAMES,
        "KIND_NAMES": KIND_NAMES,
    }
    return environment


@cache
def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
