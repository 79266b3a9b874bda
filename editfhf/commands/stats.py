"""`editfhf stats`: statistics of a dataset as tables, JSON, figures and a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mos.console import print_json, print_line
from mos.errors import UserError
from mos.files import open_folder_replacement

if TYPE_CHECKING:
    from editfhf.report import DatasetStatistics


STATS_PAGE_FILE, STATS_FIGURES_FOLDER = "report.html", "figures"


def run_stats(
    dataset: Annotated[Path, typer.Argument(help="A dataset that `editfhf build` wrote.")],
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON on stdout.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help=f"Folder for {STATS_PAGE_FILE} and {STATS_FIGURES_FOLDER}/; nothing there is overwritten."
        ),
    ] = None,
    gallery: Annotated[int, typer.Option("--gallery", min=0, max=500, help="Pairs shown on the page.")] = 24,
) -> None:
    """Show statistics of a dataset.

    Examples:

        editfhf stats demo/dataset

        editfhf stats demo/dataset --json | jq .splits

        editfhf stats demo/dataset --out demo/report --gallery 100
    """
    from editfhf.report import compute_statistics

    if out is not None:
        _refuse_existing(out)
    statistics = compute_statistics(dataset)
    if out is not None:
        _write_report(dataset, statistics, out, gallery)
    if json:
        print_json(statistics.as_dict())
    else:
        from editfhf.report.console import print_statistics

        print_statistics(statistics)
    if out is not None:
        print_line(f"Wrote {out / STATS_PAGE_FILE} and {out / STATS_FIGURES_FOLDER}/.", to_stderr=True)


def _refuse_existing(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise UserError(
            f"{out} is a file: expected a folder for {STATS_PAGE_FILE} and {STATS_FIGURES_FOLDER}/. "
            "Choose another --out."
        )
    taken = [name for name in (STATS_PAGE_FILE, STATS_FIGURES_FOLDER) if (out / name).exists()]
    if taken:
        raise UserError(f"{out / taken[0]} exists already and is not overwritten. Remove it or choose another --out.")


def _write_report(dataset: Path, statistics: DatasetStatistics, out: Path, gallery: int) -> None:
    from editfhf import report
    from editfhf.report.figures import write_figures

    out.mkdir(parents=True, exist_ok=True)
    with open_folder_replacement(out / STATS_FIGURES_FOLDER) as figures:
        write_figures(statistics, figures)
        report.write_dataset_report(dataset, statistics, out / STATS_PAGE_FILE, gallery)
