"""`editfhf export`: a built dataset in the format of another tool."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from mos.errors import UserError

if TYPE_CHECKING:
    from editfhf.formats.built import Built


class _Plan(Protocol):
    @property
    def steps(self) -> int: ...

    def summary(self) -> dict[str, Any]: ...


class Format(StrEnum):
    """What other tools read."""

    coco = "coco"
    preferences = "preferences"


class Score(StrEnum):
    """What decides between two edits."""

    overall = "overall"
    perceptual_quality = "perceptual_quality"
    instruction_following = "instruction_following"
    visual_consistency = "visual_consistency"


class Ties(StrEnum):
    """When two edits are equally good: their 95 % intervals overlap, or only at equal scores."""

    interval = "interval"
    none = "none"


def export(
    dataset: Annotated[Path, typer.Argument(help="A dataset that `editfhf build` wrote.")],
    form: Annotated[Format, typer.Option("--format", help="coco: boxes. preferences: pairs, as Pick-a-Pic has them.")],
    out: Annotated[Path, typer.Option("--out", help="A new or empty folder.")],
    split: Annotated[list[str] | None, typer.Option("--split", help="This split only; may be repeated.")] = None,
    by: Annotated[
        Score | None, typer.Option("--by", help="preferences: the score that decides; overall when not given.")
    ] = None,
    ties: Annotated[
        Ties | None,
        typer.Option(
            "--ties",
            help="preferences: a tie where 95 % intervals overlap, or only at equal scores; interval when not given.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="A summary as JSON on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> None:
    """Write a built dataset in the format of other tools.

    Pictures go out byte for byte. The folder appears when everything is in it: after an interruption, run the
    command again, and it begins anew.

    Examples:

        editfhf export demo/dataset --format coco --out demo/coco

        editfhf export demo/dataset --format preferences --out demo/preferences --by perceptual_quality
    """
    from editfhf.commands.progress import watching
    from editfhf.formats.built import open_built
    from editfhf.formats.folder import refuse_taken, whole
    from editfhf.validation import check_files

    if form is not Format.preferences and (by or ties):
        raise UserError("--by and --ties say how pairs are labelled: use them with --format preferences.")
    built = open_built(dataset)
    refuse_taken(out, dataset)
    errors = [issue for issue in check_files(dataset) if issue.severity == "error"]
    if errors:
        raise UserError(
            f"{dataset} is not as it was built: {errors[0].where}: {errors[0].message}. Nothing was written. See "
            f"`editfhf validate {dataset}`, or build it again."
        )
    made, write = _planned(built, form, split or (), by or Score.overall, ties or Ties.interval)
    if not dry_run:
        with watching(quiet) as watcher, whole(out) as folder:
            watcher.begin("Pictures" if form is Format.coco else "Pairs", made.steps)
            write(folder, watcher.advance)
    _tell({"out": str(out), "dry_run": dry_run, **made.summary()}, json)


def _planned(
    built: Built, form: Format, splits: Collection[str], by: Score, ties: Ties
) -> tuple[_Plan, Callable[[Path, Callable[[int], None]], None]]:
    """What will be written, and the function that writes it."""
    if form is Format.coco:
        from editfhf.formats import coco

        boxes = coco.plan(built, splits)
        return boxes, partial(coco.write, boxes)
    from editfhf.formats import preference_files, preferences

    pairs = preferences.plan(built, splits, by.value, ties.value)
    return pairs, partial(preference_files.write, pairs)


def _tell(summary: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        import orjson

        typer.echo(orjson.dumps(summary).decode())
        return
    for split, counts in summary["splits"].items():
        left_out = counts.get("left_out", {})
        shown = [f"{count:,} {name}" for name, count in counts.items() if name != "left_out"]
        shown += [f"{count:,} edits left out ({reason})" for reason, count in left_out.items() if count]
        typer.echo(f"{split}: {', '.join(shown)}".replace("_", " "))
    typer.echo(f"{'Would write' if summary['dry_run'] else 'Wrote'} {summary['out']}.")
