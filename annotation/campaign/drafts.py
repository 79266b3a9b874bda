"""Drafts of rationales, which the tasks of reviewers start from: `drafts.jsonl` in the corpus."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from annotation.json_lines import RejectCallback, read_json_lines
from annotation.records import KINDS, SEVERITIES, Rejection, Severity
from annotation.taxonomy import list_flaw_types
from annotation.text import MAX_TEXT_LENGTH, describe_bad_id, is_unicode, normalize_text
from mos.words import did_you_mean

DRAFTS_FILE = "drafts.jsonl"


@dataclass(frozen=True, slots=True)
class RationaleDraft:
    """A text proposed for one region, with the flaw type and severity that go with it.

    Parameters
    ----------
    text
        The proposed rationale.
    flaw_type, severity
        What the draft says of the region; None when it says nothing.
    model, prompt_version
        Which model wrote the draft, and with which prompt; used only in reports.
    attempt
        Number of the request that gave the draft, from 1; used only in reports.
    row
        Line of `drafts.jsonl`, from 1; 0 for a draft from elsewhere.
    """

    text: str
    flaw_type: str | None = None
    severity: Severity | None = None
    model: str | None = None
    prompt_version: str | None = None
    attempt: int = 1
    row: int = field(default=0, compare=False)


DraftsByPair = dict[str, dict[str, RationaleDraft]]
"""Drafts by pair_id and region_id."""


def read_drafts(corpus: Path, reject: RejectCallback) -> DraftsByPair:
    """Read the drafts of a corpus; of two drafts for one region the later one counts.

    Parameters
    ----------
    corpus
        Folder of the corpus.  Each line of its `drafts.jsonl` holds `pair_id`, `region_id` and `text`, and may hold
        `flaw_type`, `severity`, `model`, `prompt_version` and `attempt`.
    reject
        Called with every line that cannot be used.

    Returns
    -------
    dict
        Drafts by pair_id and region_id; empty without the file.
    """
    drafts: DraftsByPair = {}
    if not (corpus / DRAFTS_FILE).is_file():
        return drafts
    known = {flaw for kind in KINDS for flaw in list_flaw_types(kind)}
    for row, line in read_json_lines(corpus / DRAFTS_FILE, DRAFTS_FILE, reject):
        pair_id, region_id, text = line.get("pair_id"), line.get("region_id"), line.get("text")
        ids = [value for value in (pair_id, region_id) if isinstance(value, str) and describe_bad_id(value) is None]
        if len(ids) != 2 or not isinstance(text, str) or not is_unicode(text) or len(text) > MAX_TEXT_LENGTH:
            message = (
                f"Expected pair_id, region_id and a text of at most {MAX_TEXT_LENGTH:,} characters; no draft was read."
            )
            reject(Rejection("rationale", DRAFTS_FILE, row, "bad_draft", message))
            continue
        if not normalize_text(text):
            message = f"The text for the region {ids[1]!r} is empty; no draft was read. Write a text, or drop the line."
            reject(Rejection("rationale", DRAFTS_FILE, row, "empty_draft", message, ids[0], ids[1]))
            continue
        flaw_type = line.get("flaw_type")
        severity = next((word for word in SEVERITIES if word == line.get("severity")), None)
        model, prompt_version = (_short_name_or_none(line.get(name)) for name in ("model", "prompt_version"))
        attempt = line.get("attempt")
        draft = RationaleDraft(
            normalize_text(text),
            flaw_type if flaw_type in known else None,
            severity,
            model,
            prompt_version,
            attempt if type(attempt) is int and attempt > 0 else 1,
            row,
        )
        drafts.setdefault(ids[0], {})[ids[1]] = draft
    return drafts


def reject_unknown_draft(
    pair_id: str, region_id: str, draft: RationaleDraft, known: Collection[str], what: Literal["pair", "region"]
) -> Rejection:
    """Make the rejection of a draft about a pair or a region that does not exist; `known`: the ids that do."""
    wrong = pair_id if what == "pair" else region_id
    owner = f"of the pair {pair_id!r}" if what == "region" else "of pairs.jsonl"
    hint = did_you_mean(wrong, known) if what == "region" else ""  # a search among all pairs takes a second
    message = (
        f"The draft is about {wrong!r}, which is no {what} {owner}.{hint} "
        "List the ids with: editfhf annotate regions CORPUS"
    )
    return Rejection("rationale", DRAFTS_FILE, draft.row, f"unknown_{what}", message, pair_id, region_id)


def _short_name_or_none(value: object) -> str | None:
    """The value if it is a short name on one line, else None."""
    return value if isinstance(value, str) and describe_bad_id(value) is None else None
