"""`editfhf push`: a dataset to the Hugging Face Hub."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mos.errors import UserError

if TYPE_CHECKING:
    from editfhf.hub import Plan

SHOWN = 5


def push(
    dataset: Annotated[Path, typer.Argument(help="The folder that `editfhf build` wrote.")],
    repo: Annotated[str, typer.Argument(help="The dataset repository, such as user/name. Created when there is none.")],
    private: Annotated[bool, typer.Option("--private", help="Create the repository as a private one.")] = False,
    revision: Annotated[str, typer.Option(help="Branch to send it to. Created when there is none.")] = "main",
    update: Annotated[bool, typer.Option("--update", help="Replace an older build in the repository.")] = False,
    message: Annotated[str | None, typer.Option(help="Message of the commit.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Send a dataset to the Hugging Face Hub.

    Shards go up byte for byte. Nothing that is there already is replaced without --update. Run it again after an
    interruption: it goes on where it stopped. The token is the one of `hf auth login` or of HF_TOKEN.

    Examples:

        editfhf push demo/dataset me/my-edits --private

        editfhf push demo/dataset me/my-edits --update --dry-run
    """
    from editfhf import hub
    from editfhf.validation import check_files

    errors = [issue for issue in check_files(dataset) if issue.severity == "error"]
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise UserError(
            f"{dataset} is not as it was built: {errors[0].where}: {errors[0].message}{more}. Nothing was sent. See "
            f"`editfhf validate {dataset}`, or build it again."
        )

    def confirm(plan: Plan) -> bool:
        typer.echo(describe(plan), err=True)
        # A script is not asked: it can replace nothing without --update anyway.
        if dry_run or plan.empty or yes or not sys.stdin.isatty():
            return not dry_run
        return typer.confirm("Send it?", err=True)

    url = hub.push(dataset, repo, private=private, revision=revision, update=update, message=message, confirm=confirm)
    if url:
        typer.echo(url)


def describe(plan: Plan) -> str:
    """What a push would do, in a few lines."""
    if plan.empty:
        return f"{plan.repo} ({plan.revision}) holds exactly this dataset already."
    where = f"{plan.repo} ({plan.revision})"
    if plan.creates_repo:
        where += ", a new private repository" if plan.private else ", a new repository, public by default"
    elif plan.creates_branch:
        where += ", a new branch"
    lines = [f"To {where}: {plan.bytes / 1e6:,.1f} MB"]
    for name, paths in (("new", plan.added), ("replaced", plan.replaced), ("deleted", plan.deleted)):
        if paths:
            more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
            lines.append(f"  {len(paths)} {name}: {', '.join(paths[:SHOWN])}{more}")
    if plan.unchanged:
        lines.append(f"  {len(plan.unchanged)} there already")
    return "\n".join(lines)
