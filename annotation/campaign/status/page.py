"""The status of a campaign as one HTML file that needs no other, no network and no script."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from annotation.campaign.status.rows import Status, by_stage, ordered, total
from mos import pages

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATE = "page.html"
EXTRA = (
    ".tile b{font-size:25px;white-space:nowrap}tbody th{font-weight:550}"
    "progress{width:120px;height:9px;accent-color:var(--accent)}tbody th{min-width:9em}"
    "@media (max-width:520px){.tiles{grid-template-columns:1fr 1fr}.tile b{font-size:21px}}"
)


def write(out: Path, status: Status, refresh: int | None = None) -> None:
    """Put the page into the file `out` in one step: a browser that looks meanwhile sees the old page or the new one."""
    draft = out.with_name(f".{out.name}.draft")
    draft.write_text(render(status, refresh), encoding="utf-8", newline="\n")
    draft.replace(out)


def render(status: Status, refresh: int | None = None) -> str:
    """The text of the page; every value is escaped by the template engine.

    refresh: seconds after which a browser loads the page again; None for never
    """
    return (
        _environment()
        .get_template(TEMPLATE)
        .render(
            status=status,
            tiles=tiles(status),
            stages=by_stage(status.rows),
            rows=ordered(status.rows),
            refresh=refresh,
            style=pages.style(EXTRA),
        )
    )


def tiles(status: Status) -> list[tuple[str, str, str]]:
    """The figures to see first: figure, what it is, and what to hold it against."""
    everything = total(status.rows)
    people = {row.person for row in status.rows}
    stuck = {row.person for row in status.rows if row.stuck}
    return [
        (f"{status.finished:,}", "pairs finished", f"of {status.pairs:,}"),
        (f"{everything.done:,}", "tasks done", f"of {everything.assigned:,} handed out"),
        (f"{everything.left:,}", "tasks left", "so far; later steps bring more"),
        (f"{len(people):,}", "people", f"{len(stuck)} of them stuck" if stuck else "nobody is stuck"),
        (everything.ends or "–", "estimated end", "of what is handed out, at this pace"),
    ]


@cache
def _environment() -> Environment:
    environment = pages.environment("annotation.campaign.status")
    environment.filters |= {
        "count": lambda value: f"{value:,}",
        "decimal": lambda value: "–" if value is None else f"{value:.1f}",
        "percent": lambda value: "–" if value is None else f"{100 * value:.0f} %",
        "words": lambda value: value.replace("_", " "),
        "moment": lambda value: value[:16].replace("T", " "),
    }
    return environment
