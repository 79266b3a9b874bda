"""`editfhf push`: a dataset to the Hugging Face Hub."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mos.console import print_line

if TYPE_CHECKING:
    from editfhf.hub import PushPlan


MAX_PATHS_SHOWN = 5


def run_push(
    dataset: Annotated[Path, typer.Argument(help="The folder that `editfhf build` wrote.")],
    repo: Annotated[str, typer.Argument(help="Dataset repository, such as user/name; created if it does not exist.")],
    private: Annotated[bool, typer.Option("--private", help="If the repository is created, make it private.")] = False,
    revision: Annotated[str, typer.Option(help="Branch; created if it does not exist.")] = "main",
    update: Annotated[bool, typer.Option("--update", help="Replace an older build in the repository.")] = False,
    message: Annotated[str | None, typer.Option(help="Message of the commit.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be sent, and send nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
) -> None:
    """Send a dataset to the Hugging Face Hub.

    Shards are sent byte for byte. Existing files are replaced only with --update. After an interruption, run it again:
    it resumes. The token is the one of `hf auth login` or of HF_TOKEN.

    Examples:

        editfhf push demo/dataset me/my-edits --private

        editfhf push demo/dataset me/my-edits --update --dry-run
    """
    import editfhf

    def confirm(plan: PushPlan) -> bool:
        print_line(describe_push_plan(plan), to_stderr=True)
        # Scripts are not asked; without --update they cannot replace anything.
        if dry_run or plan.empty or yes or not sys.stdin.isatty():
            return not dry_run
        return typer.confirm("Send it?", err=True)

    url = editfhf.push(
        dataset, repo, private=private, revision=revision, update=update, message=message, confirm=confirm
    )
    if url:
        print_line(url)


def describe_push_plan(plan: PushPlan) -> str:
    """What a push would do, in a few lines."""
    if plan.empty:
        return f"{plan.repo} ({plan.revision}) already holds exactly this dataset."
    where = f"{plan.repo} ({plan.revision})"
    if plan.creates_repo:
        where += ", a new private repository" if plan.private else ", a new repository, public by default"
    elif plan.creates_branch:
        where += ", a new branch"
    lines = [f"To {where}: {plan.bytes / 1e6:,.1f} MB"]
    for name, paths in (("new", plan.added), ("replaced", plan.replaced), ("deleted", plan.deleted)):
        if paths:
            more = f" and {len(paths) - MAX_PATHS_SHOWN} more" if len(paths) > MAX_PATHS_SHOWN else ""
            lines.append(f"  {len(paths)} {name}: {', '.join(paths[:MAX_PATHS_SHOWN])}{more}")
    if plan.unchanged:
        lines.append(f"  {len(plan.unchanged)} unchanged")
    return "\n".join(lines)
