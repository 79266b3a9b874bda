"""`editfhf stats`: what is in a dataset, as tables, JSON, figures and a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mos.errors import UserError

if TYPE_CHECKING:
    from editfhf.statistics import Statistics

PAGE, FIGURES = "report.html", "figures"


def stats(
    dataset: Annotated[Path, typer.Argument(help="A dataset that `editfhf build` wrote.")],
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON on stdout.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help=f"Folder for {PAGE} and {FIGURES}/; nothing there is overwritten.")
    ] = None,
    gallery: Annotated[int, typer.Option("--gallery", min=0, max=500, help="Pairs shown on the page.")] = 24,
) -> None:
    """Count, average and show what a dataset holds.

    Examples:

        editfhf stats demo/dataset

        editfhf stats demo/dataset --json | jq .splits

        editfhf stats demo/dataset --out demo/report --gallery 100
    """
    from editfhf.statistics import compute

    if out is not None:
        _refuse_existing(out)
    statistics = compute(dataset)
    if out is not None:
        _write(dataset, statistics, out, gallery)
    if json:
        import orjson

        typer.echo(orjson.dumps(statistics.as_dict(), option=orjson.OPT_INDENT_2).decode())
    else:
        from editfhf.statistics.console import show

        show(statistics)
    if out is not None:
        typer.echo(f"Wrote {out / PAGE} and {out / FIGURES}/.", err=True)


def _refuse_existing(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file: expected a folder for {PAGE} and {FIGURES}/. Choose another --out.")
    taken = [name for name in (PAGE, FIGURES) if (out / name).exists()]
    if taken:
        raise UserError(f"{out / taken[0]} exists already and is not overwritten. Remove it or choose another --out.")


def _write(dataset: Path, statistics: Statistics, out: Path, gallery: int) -> None:
    from editfhf import figures, report

    out.mkdir(parents=True, exist_ok=True)
    figures.write(statistics, out / FIGURES)
    report.write(dataset, statistics, out / PAGE, gallery)
