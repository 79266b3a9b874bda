"""What `editfhf refine` prints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annotation.records import Rejection
from mos.console import print_json, print_line, print_notices
from mos.words import escape_to_one_line, format_decimal
from refiner.audit import compare_audits, describe_audit
from refiner.layers import LAYERS_FILE
from refiner.report.render_report import REPORT_FILE, STOP_TITLES
from refiner.run_folder import REFINED_FILE
from refiner.trace import TRACE_FILE

if TYPE_CHECKING:
    from refiner.agent_calls import AgentTeam
    from refiner.batch.run_batch import BatchSummary
    from refiner.loop import LoopResult
    from refiner.options import RefineOptions
    from refiner.preview import PlanPreview


def print_refinement(result: LoopResult, out: Path, as_json: bool) -> None:
    """Print what became of one image."""
    first, last = result.turns[0], result.turns[-1]
    audit = describe_audit(compare_audits(result.turns))
    if as_json:
        print_json(
            {
                "stop": result.stop,
                "detail": result.detail,
                "turns": len(result.turns),
                "kept": len(result.edits),
                "before": None if first.before is None else first.before.overall,
                "after": None if last.after is None else last.after.overall,
                "audit": audit,
                "calls": result.calls,
                "seconds": round(result.seconds, 3),
                "dollars": result.dollars,
                "refined": str(out / REFINED_FILE),
                "report": str(out / REPORT_FILE),
                "trace": str(out / TRACE_FILE),
                "layers": str(out / LAYERS_FILE),
            }
        )
        return
    for turn in result.turns:
        for edit in turn.edits:
            chosen = next((trial.editor for trial in edit.trials if trial.accepted), "")
            named = (edit.flaw_type or edit.kind).replace("_", " ")
            told = f"kept, by {chosen}" if chosen else _tell_failure(edit)
            print_line(f"  turn {turn.turn}, {', '.join(edit.regions)} ({named}): {escape_to_one_line(told)}")
    if first.before is not None and last.after is not None:
        before, after = (format_decimal(one.overall) for one in (first.before, last.after))
        print_line(f"Overall score: {before} before, {after} after.")
    if audit:
        print_line(audit)
    count = len(result.edits)
    what = f"{count} change{'' if count == 1 else 's'} kept" if count else "Nothing was changed"
    print_line(f"{what}; it stopped because {STOP_TITLES[result.stop]}. {escape_to_one_line(result.detail)}")
    print_line(f"Image: {out / REFINED_FILE}\nPage:  {out / REPORT_FILE}")


def _tell_failure(edit: Any) -> str:
    if not edit.trials:
        return f"left as it is. {edit.reason}"
    return f"rolled back. {edit.trials[-1].reason}"


def print_plan(preview: PlanPreview, as_json: bool) -> None:
    """Print the plan of the first turn."""
    if as_json:
        print_json(preview.as_record())
        return
    print_line(f"Agents: {escape_to_one_line(', '.join(preview.agents))}")
    print_line(f"Editors: {', '.join(preview.editors)}")
    if preview.note:
        print_line(preview.note)
    for edit in preview.edits:
        box = ", ".join(f"{value:.0f}" for value in edit["box"])
        tries = ", ".join(edit["candidates"]) or "nothing"
        named = (edit["flaw_type"] or edit["kind"]).replace("_", " ")
        print_line(f"  {edit['edit_id']}. {named} at [{box}]: {tries}. {edit['reason']}")
    print_line(f"At most {preview.most_calls:,} calls in {preview.turns} turns. Nothing was edited.")


def print_batch(summary: BatchSummary, out: Path, as_json: bool) -> None:
    """Print what became of a batch."""
    record = summary.as_record()
    if as_json:
        print_json({key: value for key, value in record.items() if key != "rows"})
        return
    gain = record["evaluator"]["mean_gain"]
    print_line(
        f"{record['changed']:,} of {record['pairs']:,} images changed, {record['changes_kept']:,} changes kept"
        + (f", mean gain {format_decimal(gain, 2)} points." if gain is not None else ".")
    )
    if record["auditor"]["disagrees"]:
        print_line(
            f"In {record['auditor']['disagrees']:,} pairs the auditor saw a loss where the evaluator saw a gain."
        )
    _print_rejections(summary.rejected)
    print_line(f"Page:  {out / 'summary.html'}\nNext:  editfhf annotate create CORPUS --from {out} --people people.csv")


def print_batch_preview(
    count: int, rejected: Sequence[Rejection], team: AgentTeam, options: RefineOptions, as_json: bool
) -> None:
    """Print the size of a batch."""
    if as_json:
        print_json({"pairs": count, "rejected": len(rejected), "editors": sorted(team.editors), "turns": options.turns})
        return
    print_line(f"{count:,} pairs, at most {options.turns} turns each, editors: {', '.join(team.editors)}.")
    _print_rejections(rejected)
    print_line("Nothing was edited.")


def _print_rejections(rejected: Sequence[Rejection]) -> None:
    if rejected:
        print_notices([f"{len(rejected):,} pairs cannot be used; the first: {rejected[0].message}"])
