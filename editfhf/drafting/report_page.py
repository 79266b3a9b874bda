"""The report on drafts as one HTML file that needs no other, no network and no script."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from editfhf.drafting.checks import CHECKS
from editfhf.drafting.report import GROUPS, Report, Share
from mos import pages

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATE = "report.html"
EXTRA = (
    "tbody th{font-weight:550;min-width:9.5em}tbody th bdi{overflow-wrap:break-word}"
    ".n small,.same>*{color:var(--soft)}"
    ".bar{position:relative;display:inline-block;width:64px;height:9px;border-radius:4px;background:var(--line)}"
    ".bar i{position:absolute;top:0;bottom:0;left:0;border-radius:4px;background:var(--accent);opacity:.45}"
    ".bar u{position:absolute;top:2px;bottom:2px;background:var(--accent);min-width:2px}"
    ".two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,340px),1fr));gap:16px}"
    ".example{margin:0 0 12px}.example p{margin:4px 0}.example small{color:var(--soft)}"
)
TITLES = {
    "kind": ("By kind of region", ""),
    "flaw_type": ("By drafted flaw type", ""),
    "severity": ("By drafted severity", ""),
    "prompt_version": ("By version of the prompt", ""),
    "model": ("By model", ""),
    "check": (
        "By doubt",
        "What editfhf draft check said before anybody reviewed: a draft is in every row that it fell into.",
    ),
}


def write(out: Path, report: Report, name: str) -> None:
    """Put the page about the corpus called `name` into the file `out`, in one step."""
    draft = out.with_name(f".{out.name}.draft")
    draft.write_text(render(report, name), encoding="utf-8", newline="\n")
    draft.replace(out)


def render(report: Report, name: str) -> str:
    """The text of the page; every value is escaped by the template engine.  The same report gives the same bytes."""
    whole = report.whole
    return (
        _environment()
        .get_template(TEMPLATE)
        .render(
            name=name,
            report=report,
            tiles=[
                (f"{whole.drafts:,}", "drafts", f"{report.gone:,} more of regions that are gone"),
                (f"{whole.decided:,}", "with a final text", f"{whole.drafts - whole.decided:,} are still on their way"),
                (_percent(whole.accepted.share), "accepted as they were", _interval(whole.accepted)),
                (_decimal(whole.mean_distance), "mean edit distance", "in words, 0 to 1"),
                (_percent(whole.changed_type.share), "another flaw type", _interval(whole.changed_type)),
            ],
            groups=[(by, *TITLES[by], report.groups[by]) for by in GROUPS],
            checks=CHECKS,
            style=pages.style(EXTRA),
        )
    )


@cache
def _environment() -> Environment:
    environment = pages.environment("editfhf.drafting")
    environment.filters |= {
        "count": lambda value: f"{value:,}",
        "percent": _percent,
        "interval": _interval,
        "decimal": _decimal,
        "words": lambda value: value.replace("_", " "),
    }
    return environment


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"


def _interval(share: Share) -> str:
    return "" if share.share is None else f"{100 * share.low:.0f} to {100 * share.high:.0f} %"


def _decimal(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
