"""Drafts of rationales, which reviewers find in their tasks: `drafts.jsonl` in the corpus."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from annotation import jsonlines
from annotation.flaws import flaw_types
from annotation.jsonlines import Reject
from annotation.records import KINDS, SEVERITIES, Rejection, Severity
from annotation.text import MAX_TEXT, bad_id, is_unicode, normal

FILE = "drafts.jsonl"


@dataclass(frozen=True, slots=True)
class Draft:
    """A text proposed for one region, with the flaw type and severity that go with it.

    model, prompt_version, attempt: who wrote it, by which instructions, at which attempt (from 1); for reports alone
    """

    text: str
    flaw_type: str | None = None
    severity: Severity | None = None
    model: str | None = None
    prompt_version: str | None = None
    attempt: int = 1


Drafts = dict[str, dict[str, Draft]]
"""Drafts by pair_id and region_id."""


def read_drafts(corpus: Path, reject: Reject) -> Drafts:
    """The drafts of a corpus, none when there is no such file; of two for one region the later counts.

    A line holds `pair_id`, `region_id`, `text`, and if wanted `flaw_type`, `severity`, `model`, `prompt_version` and
    `attempt`.
    """
    found: Drafts = {}
    if not (corpus / FILE).is_file():
        return found
    known = {flaw for kind in KINDS for flaw in flaw_types(kind)}
    for row, line in jsonlines.read(corpus / FILE, FILE, reject):
        pair_id, region_id, text = line.get("pair_id"), line.get("region_id"), line.get("text")
        ids = [value for value in (pair_id, region_id) if isinstance(value, str) and bad_id(value) is None]
        if len(ids) != 2 or not isinstance(text, str) or not is_unicode(text) or len(text) > MAX_TEXT:
            message = f"Expected pair_id, region_id and a text of at most {MAX_TEXT:,} characters; no draft was read."
            reject(Rejection("rationale", FILE, row, "bad_draft", message))
            continue
        flaw_type = line.get("flaw_type")
        severity = next((word for word in SEVERITIES if word == line.get("severity")), None)
        model, prompt_version = (_word(line.get(name)) for name in ("model", "prompt_version"))
        attempt = line.get("attempt")
        draft = Draft(
            normal(text),
            flaw_type if flaw_type in known else None,
            severity,
            model,
            prompt_version,
            attempt if type(attempt) is int and attempt > 0 else 1,
        )
        found.setdefault(ids[0], {})[ids[1]] = draft
    return found


def _word(value: object) -> str | None:
    """A short name of one line, or nothing."""
    return value if isinstance(value, str) and bad_id(value) is None else None
