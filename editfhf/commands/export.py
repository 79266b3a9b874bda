"""`editfhf export`: a built dataset in the format of another tool."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from mos.console import print_json, print_line
from mos.errors import UserError
from mos.files import open_folder_replacement

if TYPE_CHECKING:
    from editfhf.formats.folders import BuiltDataset


class _ExportPlan(Protocol):
    @property
    def steps(self) -> int: ...

    def summary(self) -> dict[str, Any]: ...


class ExportFormat(StrEnum):
    """Formats of other tools."""

    coco = "coco"
    preferences = "preferences"


class PreferenceScore(StrEnum):
    """What decides between two edits."""

    overall = "overall"
    perceptual_quality = "perceptual_quality"
    instruction_following = "instruction_following"
    visual_consistency = "visual_consistency"


class TieRule(StrEnum):
    """When two edits are equally good: their 95 % intervals overlap, or only at equal scores."""

    interval = "interval"
    none = "none"


def run_export(
    dataset: Annotated[Path, typer.Argument(help="A dataset that `editfhf build` wrote.")],
    form: Annotated[
        ExportFormat, typer.Option("--format", help="coco: boxes. preferences: pairs, as Pick-a-Pic has them.")
    ],
    out: Annotated[Path, typer.Option("--out", help="A new or empty folder.")],
    split: Annotated[list[str] | None, typer.Option("--split", help="This split only; may be repeated.")] = None,
    by: Annotated[
        PreferenceScore | None,
        typer.Option("--by", help="preferences: the score that decides; overall when not given."),
    ] = None,
    ties: Annotated[
        TieRule | None,
        typer.Option(
            "--ties",
            help="preferences: a tie where 95 % intervals overlap, or only at equal scores; interval when not given.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be written, and write nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="A summary as JSON on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> None:
    """Write a built dataset in the format of other tools.

    Images are copied byte for byte. The folder appears when it is complete: after an interruption, the same command
    starts again from the beginning.

    Examples:

        editfhf export demo/dataset --format coco --out demo/coco

        editfhf export demo/dataset --format preferences --out demo/preferences --by perceptual_quality
    """
    from editfhf.formats.folders import check_export_folder, open_built_dataset
    from editfhf.validation import require_intact_dataset
    from mos.console import show_progress

    if form is not ExportFormat.preferences and (by or ties):
        raise UserError("--by and --ties say how pairs are labelled: use them with --format preferences.")
    built = open_built_dataset(dataset)
    check_export_folder(out, dataset)
    require_intact_dataset(dataset, "Nothing was written.")
    plan, write = _plan_export(built, form, split or (), by or PreferenceScore.overall, ties or TieRule.interval)
    if not dry_run:
        with show_progress(quiet) as progress, open_folder_replacement(out) as folder:
            progress.begin("Images" if form is ExportFormat.coco else "Pairs", plan.steps)
            write(folder, progress.advance)
    _print_summary({"out": str(out), "dry_run": dry_run, **plan.summary()}, json)


def _plan_export(
    built: BuiltDataset, form: ExportFormat, splits: Collection[str], by: PreferenceScore, ties: TieRule
) -> tuple[_ExportPlan, Callable[[Path, Callable[[int], None]], None]]:
    """What will be written, and the function that writes it."""
    if form is ExportFormat.coco:
        from editfhf.formats import coco

        boxes = coco.plan_coco(built, splits)
        return boxes, partial(coco.write_coco, boxes)
    from editfhf.formats import preference_files, preferences

    pairs = preferences.plan_preferences(built, splits, by.value, ties.value)
    return pairs, partial(preference_files.write_preferences, pairs)


def _print_summary(summary: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(summary, indent=False)
        return
    for split, counts in summary["splits"].items():
        left_out = counts.get("left_out", {})
        shown = [f"{count:,} {name}" for name, count in counts.items() if name != "left_out"]
        shown += [f"{count:,} edits left out ({reason})" for reason, count in left_out.items() if count]
        print_line(f"{split}: {', '.join(shown)}".replace("_", " "))
    print_line(f"{'Would write' if summary['dry_run'] else 'Wrote'} {summary['out']}.")
