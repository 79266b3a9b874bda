"""What examples/study/study.py found, as plots and as the tables and figures within docs/methods.md.

A table lies between `<!-- name -->` and `<!-- /name -->`.  A figure in the text is followed by the place in study.json
that it comes from, `<!-- =complete.likert.15.none.paper.coverage -->`, and keeps its number of decimals.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from editfhf.card.page import format_markdown_table
from mos.plots.style import (
    AMBER,
    BLUE,
    GREEN,
    PLOT_INK,
    PLOT_SOFT,
    PURPLE,
    SKY,
    VERMILION,
    create_figure,
    use_plot_style,
)
from mos.plots.svg import figure_to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "methods.md"
PLOTS = DOCS / "figures"
QUOTED = re.compile(r"(\d+(?:\.(\d+))?)( %)?<!-- =([\w.]+) -->")

SIZES = ("3", "5", "15", "30")
SHARES = (0, 10, 20, 30)
# Colour and marker of every method; the plain mean, which the others are held against, is dashed.
LOOKS = {
    "paper": (VERMILION, "o"),
    "mos": (PLOT_INK, ""),
    "zscore": (AMBER, "v"),
    "bt500": (BLUE, "s"),
    "correlation": (SKY, "D"),
    "p913": (GREEN, "^"),
    "p910": (PURPLE, "P"),
}
SCREENS = ("paper", "bt500", "correlation")
VARIANTS = {
    "paper": "`paper`",
    "paper_10": "`paper`, `max_outlier_share=0.1`",
    "bt500": "`bt500`",
    "bt500_literal": "`bt500`, `zero_variance=literal`",
    "correlation": "`correlation`",
    "correlation_others": "`correlation`, `leave_one_out=true`",
    "p913": "`p913`",
    "p913_bt500": "`p913`, `screening=bt500`",
    "p910": "`p910`",
    "p910_letter": "`p910`, `guard=false`",
    "p910_weights": "`p910`, `standard_error=weights`",
}
POOLS = {
    "pool_60": "60 items, each by 15 of 60 raters (15 items a rater)",
    "pool_240": "240 items, each by 15 of 60 raters (60 items a rater)",
    "groups_alike": "two groups of 15 raters, 30 items each, equally good",
    "groups_apart": "the same, one group's items better by 1 point",
}
WHAT = {
    "coverage": "covers",
    "coverage_shift": "covers, shift allowed",
    "honest_excluded": "careful excluded",
    "found": "careless found",
    "rmse_ratio": "error",
    "srcc": "SRCC",
    "no_score": "without a score",
}
AT = {"none": "0 %", "random20": "20 %"}
# A page shows a picture as an image, so that its dark colours must be in it.
DARK = {
    "ink": "#e9eef4",
    "soft": "#9eacbb",
    "line": "#263240",
    "card": "#131a22",
    "plot-blue": "#4aa3df",
    "plot-vermilion": "#ff8b4a",
    "plot-green": "#3fcfae",
    "plot-purple": "#d79cc4",
    "plot-amber": "#e8b440",
    "plot-sky": "#8ecdf2",
}

Figures = Mapping[str, Any]


def write(found: Figures) -> None:
    """Draw the plots and bring the page up to date."""
    PLOTS.mkdir(exist_ok=True)
    for name, draw in {"coverage": coverage, "screening": screening, "recovery": recovery}.items():
        picture = standing_alone(figure_to_svg(draw(found), f"study-{name}"), f"study-{name}")
        (PLOTS / f"study-{name}.svg").write_text(picture + "\n", encoding="utf-8")
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")


def standing_alone(picture: str, name: str) -> str:
    """An SVG file that brings its own background, and its colours for the dark."""
    dark = "".join(f"--{variable}:{colour};" for variable, colour in DARK.items())
    own = f"#{name}{{background:var(--card,#fff)}}@media (prefers-color-scheme:dark){{#{name}{{{dark}}}}}"
    return picture.replace("</style>", own + "</style>", 1)


def written(text: str, found: Figures) -> str:
    """The page with every table and every quoted figure as it should be."""
    for name, rows in tables(found).items():
        before, opening, rest = text.partition(f"<!-- {name} -->\n")
        _, closing, after = rest.partition(f"<!-- /{name} -->")
        if not closing:
            raise SystemExit(f"{PAGE.name} must hold <!-- {name} --> and, after it, <!-- /{name} -->.")
        text = before + opening + rows + "\n" + closing + after
    return QUOTED.sub(lambda quote: _quoted(quote, found), text)


def _quoted(quote: re.Match[str], found: Figures) -> str:
    _, decimals, percent, place = quote.groups()
    value = reduce(lambda inner, key: inner[key], place.split("."), found)
    figure: Any = value
    text = f"{(100 if percent else 1) * figure:.{len(decimals or '')}f}"
    return f"{text}{percent or ''}<!-- ={place} -->"


def tables(found: Figures) -> dict[str, str]:
    complete = found["complete"]
    by_size = {f"raters-{size}": _methods(complete["likert"][size]) for size in SIZES}
    return by_size | {
        "worlds": _worlds(complete),
        "bootstrap": _bootstrap(found["bootstrap"]),
        "variants": _variants(found),
        "items": _items(found),
        "pools": _pools(found["pools"]),
    }


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def correlation(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _methods(cells: Figures) -> str:
    """Of one number of raters: nobody careless, then 20 % who answer at random."""
    none, some = cells["none"], cells["random20"]
    shown: list[tuple[str, Figures, Callable[[float | None], str]]] = [
        ("coverage", none, percent),
        ("coverage", some, percent),
        ("coverage_shift", none, percent),
        ("honest_excluded", none, percent),
        ("honest_excluded", some, percent),
        ("found", some, percent),
        ("rmse_ratio", none, ratio),
        ("rmse_ratio", some, ratio),
        ("srcc", none, correlation),
        ("srcc", some, correlation),
    ]
    head = ("method", *(f"{WHAT[key]}, {AT['none' if of is none else 'random20']}" for key, of, _ in shown))
    rows = []
    for name in LOOKS:
        screens = name in SCREENS
        cell = [
            "–" if key in ("honest_excluded", "found") and not screens else form(of[name][key])
            for key, of, form in shown
        ]
        rows.append((f"`{name}`", *cell))
    return format_markdown_table(head, rows)


def _worlds(complete: Figures) -> str:
    """Fifteen raters, the two kinds of scale side by side."""
    shown = (("coverage", "none", percent), ("honest_excluded", "none", percent), ("rmse_ratio", "random20", ratio))
    rows = []
    for name in LOOKS:
        cells = [
            "–"
            if key == "honest_excluded" and name not in SCREENS
            else form(complete[world]["15"][careless][name][key])
            for key, careless, form in shown
            for world in ("likert", "slider")
        ]
        rows.append((f"`{name}`", *cells))
    head = [f"{world}: {WHAT[key]}, {AT[careless]}" for key, careless, _ in shown for world in ("Likert", "sliders")]
    return format_markdown_table(("method", *head), rows)


def _bootstrap(cells: Figures) -> str:
    rows = [
        (
            f"`{name}`",
            size,
            AT[careless],
            percent(cell["t"]),
            percent(cell["bootstrap"]),
            ratio(cell["width_ratio"]),
        )
        for name in ("mos", "paper")
        for size in cells
        for careless in AT
        for cell in [cells[size][careless][name]]
    ]
    return format_markdown_table(
        ("method", "raters", "careless", "t covers", "bootstrap covers", "width, bootstrap / t"), rows
    )


def _variants(found: Figures) -> str:
    """Options beside the defaults: where nobody is careless, and where 20 % click at random."""
    shown = (
        ("3", "none", "no_score", percent),
        ("3", "none", "coverage", percent),
        ("3", "none", "rmse_ratio", ratio),
        ("3", "random20", "rmse_ratio", ratio),
        ("15", "none", "coverage", percent),
        ("15", "none", "honest_excluded", percent),
        ("15", "random20", "found", percent),
        ("15", "none", "rmse_ratio", ratio),
        ("15", "random20", "rmse_ratio", ratio),
    )
    rows = []
    for name, title in VARIANTS.items():
        cells = found["complete"]["likert"] if name in LOOKS else found["variants"]
        rows.append((title, *(form(cells[size][careless][name][key]) for size, careless, key, form in shown)))
    head = [f"n={size}: {WHAT[key]}, {AT[careless]}" for size, careless, key, _ in shown]
    return format_markdown_table(("method", *head), rows)


def _items(found: Figures) -> str:
    """Studies of few items."""
    methods = ("paper", "zscore", "bt500", "correlation", "p910")
    studies = {items: found["items"][items] for items in ("10", "30")} | {"60": found["complete"]["likert"]}
    rows = []
    for items, cells in studies.items():
        for size in ("5", "15"):
            for careless, share in AT.items():
                of = cells[size][careless]
                errors = (ratio(of[name]["rmse_ratio"]) for name in methods)
                rows.append((items, size, share, *errors, *(percent(of[name]["coverage"]) for name in ("mos", "p910"))))
    head = (*(f"`{name}`: error" for name in methods), "`mos` covers", "`p910` covers")
    return format_markdown_table(("items", "raters", "careless", *head), rows)


def _pools(cells: Figures) -> str:
    rows = [
        (title, share, *(correlation(cells[design][careless][name]["srcc"]) for name in LOOKS))
        for design, title in POOLS.items()
        for careless, share in AT.items()
    ]
    return format_markdown_table(("SRCC with the known quality", "careless", *(f"`{name}`" for name in LOOKS)), rows)


@use_plot_style()
def coverage(found: Figures) -> Figure:
    """Share of the intervals that hold the method's own truth: as they are, and but for one shift of all scores."""
    reading = (
        "Likert, raters who click at random. On the line is right; below it, intervals promise too much. Lower row: a "
        "shift of all scores of a study is forgiven, as where only differences between its items matter. With 3 and 5 "
        "raters bt500 lies on mos and, almost, paper on zscore."
    )
    figure, panels = _panels("Do the 95 % intervals hold the truth?", reading, 5.2)
    for row, key in enumerate(("coverage", "coverage_shift")):
        for axes, size in zip(panels[row], SIZES, strict=True):
            cells = found["complete"]["likert"][size]
            axes.axhline(95, color=PLOT_SOFT, linewidth=0.9)
            for name in LOOKS:
                _line(axes, name, [100 * cells[_cell("random", share)][name][key] for share in SHARES])
        panels[row][0].set_ylabel(("score itself, %", "shift allowed, %")[row])
    _finish(figure, panels)
    return figure


@use_plot_style()
def screening(found: Figures) -> Figure:
    """Who is excluded: of the careful raters, and of the careless ones."""
    reading = (
        "Likert. Solid: the careless click at random; dashed: their answers are shuffled over the items. Dotted: share "
        "of all raters that the tool itself says it would exclude by chance (correlation knows none)."
    )
    figure, panels = _panels("Whom does screening exclude?", reading, 5.2)
    for axes, below, size in zip(*panels, SIZES, strict=True):
        cells = found["complete"]["likert"][size]
        for name in SCREENS:
            expected = cells["none"][name]["expected"]
            if expected is not None:
                axes.axhline(100 * expected, color=LOOKS[name][0], linestyle=":", linewidth=1.1)
            for kind, style in (("random", "-"), ("shuffled", "--")):
                of = [cells[_cell(kind, share)][name] for share in SHARES]
                label = name if kind == "random" else None
                _line(axes, name, [100 * cell["honest_excluded"] for cell in of], style, label)
                _line(below, name, [None if cell["found"] is None else 100 * cell["found"] for cell in of], style, None)
        below.set_ylim(-4, 104)
    panels[0][0].set_ylabel("careful raters excluded, %")
    panels[1][0].set_ylabel("careless raters found, %")
    _finish(figure, panels)
    return figure


@use_plot_style()
def recovery(found: Figures) -> Figure:
    """Error against the known quality, as a share of that of the plain mean."""
    reading = (
        "Likert. Root mean squared error after the best straight line from scores to quality, divided by that of the "
        "plain mean (dashed, 1). Lower is better. p913 lies on the plain mean; with 3 and 5 raters so does bt500, and "
        "paper on zscore."
    )
    figure, panels = _panels("How close do scores come to the known quality?", reading, 5.2)
    for row, kind in enumerate(("random", "shuffled")):
        for axes, size in zip(panels[row], SIZES, strict=True):
            cells = found["complete"]["likert"][size]
            for name in LOOKS:
                _line(axes, name, [cells[_cell(kind, share)][name]["rmse_ratio"] for share in SHARES])
        panels[row][0].set_ylabel(f"error / mean's: {kind}")
    _finish(figure, panels)
    return figure


def _cell(kind: str, share: int) -> str:
    return f"{kind}{share}" if share else "none"


def _panels(title: str, reading: str, height: float) -> tuple[Figure, list[list[Axes]]]:
    """Two rows of panels, one column for each number of raters; a row shares its axis."""
    figure = create_figure(title, reading, height)
    panels = figure.subplots(2, len(SIZES), sharex=True, sharey="row").tolist()
    for axes, size in zip(panels[0], SIZES, strict=True):
        axes.set_title(f"{size} raters")
    for axes in panels[1]:
        axes.set_xlabel("careless, %")
        axes.set_xticks(SHARES)
    return figure, panels


def _line(axes: Axes, name: str, values: list[float | None], style: str | None = None, label: str | None = "") -> None:
    """label: "" for the name of the method."""
    colour, marker = LOOKS[name]
    known = [(share, value) for share, value in zip(SHARES, values, strict=True) if value is not None]
    x, y = zip(*known, strict=True)
    style = style or ("--" if name == "mos" else "-")
    axes.plot(x, y, style, color=colour, marker=marker, label=name if label == "" else label)


def _finish(figure: Figure, panels: list[list[Axes]]) -> None:
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(LOOKS))
