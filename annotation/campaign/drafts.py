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
    """A text proposed for one region, with the flaw type and severity that go with it."""

    text: str
    flaw_type: str | None = None
    severity: Severity | None = None


Drafts = dict[str, dict[str, Draft]]
"""Drafts by pair_id and region_id."""


def read_drafts(corpus: Path, reject: Reject) -> Drafts:
    """The drafts of a corpus, none when there is no such file; of two for one region the later counts.

    A line holds `pair_id`, `region_id`, `text`, and if wanted `flaw_type` and `severity`.
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
        draft = Draft(normal(text), flaw_type if flaw_type in known else None, severity)
        found.setdefault(ids[0], {})[ids[1]] = draft
    return found
