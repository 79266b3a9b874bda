"""Checks of the instructions before annotation: verdicts of the checkers, and the outcome for each pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from annotation.campaign.model import INSTRUCTION_VERDICTS, InstructionCheck, InstructionVerdict
from annotation.json_lines import RejectCallback
from annotation.labelstudio.submissions import (
    ControlNames,
    Submission,
    iterate_submissions,
    read_choices,
    read_text_area,
)
from annotation.records import Place

PROMPT_CHECK_FILE = "prompt_check.jsonl"


def majority_verdict(checks: Sequence[InstructionCheck]) -> InstructionVerdict:
    """The majority's verdict: `drop` by more than half, else `revise` when more than half do not agree, else `agree`.

    >>> majority_verdict([])
    'agree'
    """
    count = {verdict: sum(check.verdict == verdict for check in checks) for verdict in INSTRUCTION_VERDICTS}
    if 2 * count["drop"] > len(checks):
        return "drop"
    return "revise" if 2 * (count["drop"] + count["revise"]) > len(checks) else "agree"


def awaits_rewrite(checks: Sequence[InstructionCheck], instruction: str) -> bool:
    """Whether the instruction should be rewritten and is still the one that was checked."""
    return majority_verdict(checks) == "revise" and any(check.instruction == instruction for check in checks)


def make_check_line(pair_id: str, checks: Sequence[InstructionCheck]) -> dict[str, Any]:
    """A line of `campaign/prompt_check.jsonl`: the outcome for a pair, and every check."""
    values = [
        {"person_id": check.person_id, "verdict": check.verdict, "note": check.note, "at": check.at}
        for check in sorted(checks, key=lambda check: (check.person_id, check.at))
    ]
    instruction = max(checks, key=lambda check: check.at).instruction
    return {"pair_id": pair_id, "outcome": majority_verdict(checks), "instruction": instruction, "checks": values}


def read_instruction_checks(task: dict[str, Any], place: Place, reject: RejectCallback) -> list[InstructionCheck]:
    """The checks in one task; one without exactly one of `INSTRUCTION_VERDICTS` is rejected."""
    names = ControlNames()
    controls = frozenset((names.verdict, names.note))
    checks = []
    for submission in iterate_submissions(task, place, reject, names, controls, None):
        verdict = _read_verdict(submission, names)
        source = submission.source
        if verdict is None:
            source.reject(
                "annotation", "unknown_verdict", f"Expected one verdict of {', '.join(INSTRUCTION_VERDICTS)}."
            )
            continue
        texts = (read_text_area(item, source) for item in submission.of(names.note))
        note = next((text for text in texts if text), "")
        shown = task["data"].get("instruction")
        instruction = shown if isinstance(shown, str) else ""
        checks.append(InstructionCheck(source.pair_id, source.annotator_id, verdict, note, source.at, instruction))
    return checks


def _read_verdict(submission: Submission, names: ControlNames) -> InstructionVerdict | None:
    choices = [choice for item in submission.of(names.verdict) for choice in read_choices(item) or ()]
    return next((verdict for verdict in INSTRUCTION_VERDICTS if choices == [verdict]), None)
