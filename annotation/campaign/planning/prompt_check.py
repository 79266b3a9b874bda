"""Instructions looked at before anybody annotates: what people say of one, and what becomes of its pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from annotation.export.names import Names
from annotation.export.submissions import Submission, chosen, submissions, written
from annotation.jsonlines import Reject
from annotation.records import Place

FILE = "prompt_check.jsonl"

Verdict = Literal["agree", "revise", "drop"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


@dataclass(frozen=True, slots=True)
class Check:
    """What one person says of an instruction: it is good as it is, it should be rewritten, or the pair dropped.

    note: the instruction as it should read, or why it is dropped; instruction: the one that was looked at
    """

    pair_id: str
    person_id: str
    verdict: Verdict
    note: str
    at: str
    instruction: str


def settled(checks: Sequence[Check]) -> Verdict:
    """What the majority says: `drop` when more than half do, `revise` when more than half do not agree, else `agree`.

    >>> settled([])
    'agree'
    """
    count = {verdict: sum(check.verdict == verdict for check in checks) for verdict in VERDICTS}
    if 2 * count["drop"] > len(checks):
        return "drop"
    return "revise" if 2 * (count["drop"] + count["revise"]) > len(checks) else "agree"


def waits(checks: Sequence[Check], instruction: str) -> bool:
    """Whether the pair waits for its manager: its instruction should be rewritten, and is still the one looked at."""
    return settled(checks) == "revise" and any(check.instruction == instruction for check in checks)


def line(pair_id: str, checks: Sequence[Check]) -> dict[str, Any]:
    """A line of `campaign/prompt_check.jsonl`: the outcome for a pair, and everybody's word."""
    said = [
        {"person_id": check.person_id, "verdict": check.verdict, "note": check.note, "at": check.at}
        for check in sorted(checks, key=lambda check: (check.person_id, check.at))
    ]
    instruction = max(checks, key=lambda check: check.at).instruction
    return {"pair_id": pair_id, "outcome": settled(checks), "instruction": instruction, "checks": said}


def checks(task: dict[str, Any], place: Place, reject: Reject) -> list[Check]:
    """What people say in one task; one without a verdict, or with another than `VERDICTS`, is rejected."""
    names = Names()
    controls = frozenset((names.verdict, names.note))
    found = []
    for submission in submissions(task, place, reject, names, controls, None):
        verdict = _verdict(submission, names)
        source = submission.source
        if verdict is None:
            source.reject("annotation", "unknown_verdict", f"Expected one verdict of {', '.join(VERDICTS)}.")
            continue
        texts = (written(item, source) for item in submission.of(names.note))
        note = next((text for text in texts if text), "")
        asked = task["data"].get("instruction")
        instruction = asked if isinstance(asked, str) else ""
        found.append(Check(source.pair_id, source.annotator_id, verdict, note, source.at, instruction))
    return found


def _verdict(submission: Submission, names: Names) -> Verdict | None:
    said = [word for item in submission.of(names.verdict) for word in chosen(item) or ()]
    return next((verdict for verdict in VERDICTS if said == [verdict]), None)
