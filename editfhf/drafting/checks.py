"""Checks of drafts that need no model; each finding has a reason.

They find simple faults: a draft that passes may still be wrong about the image.

The reasons are sent to the model by `--redo low-quality` and are part of the request key: another wording means that
an interrupted redo pays for its requests again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from importlib import resources
from typing import Literal

import yaml

from annotation.campaign.drafts import RationaleDraft
from annotation.records import Pair, Region
from annotation.taxonomy import list_flaw_types
from editfhf.drafting.reply import TEXT_FLAWS, has_address, has_markup

DraftCheck = Literal["length", "flaw_type", "severity", "instruction", "duplicate", "markup", "generic"]
DRAFT_CHECKS: dict[DraftCheck, str] = {
    "length": "shorter or longer than a description of this kind",
    "flaw_type": "a flaw type that the kind of region does not have",
    "severity": "no severity",
    "instruction": "a failure described without anything that the instruction names",
    "duplicate": "nearly the text of another region of the pair",
    "markup": "HTML, code or a link",
    "generic": "hardly a word about what is visible",
}

MIN_DRAFT_WORDS, MAX_DRAFT_WORDS = 15, 70
"""The paper's descriptions have 32.6 words on average (section 3.3)."""

DUPLICATE_RATIO = 0.9
"""Similarity of two word sequences (`SequenceMatcher.ratio`) from which they count as the same text."""

MIN_CONTENT_WORDS = 5
STEM_LETTERS = 5
"""Letters that two forms of one word have in common: "replace", "replaced", "replacing"."""

TYPES_BEYOND_INSTRUCTION = frozenset({"unintended_change", "identity_loss", "global_drift", "other"})
"""Failures that need not mention the instruction."""

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


@dataclass(frozen=True, slots=True)
class DraftIssue:
    """A doubt about a draft: the check that found it, and the reason."""

    pair_id: str
    region_id: str
    check: DraftCheck
    reason: str


def check_pair(pair: Pair, regions: Mapping[str, Region], drafts: Mapping[str, RationaleDraft]) -> list[DraftIssue]:
    """Check the drafts of one pair.

    Parameters
    ----------
    pair : Pair
        For its instruction.
    regions : mapping of str to Region
        Accepted regions by region_id.
    drafts : mapping of str to RationaleDraft
        Drafts by region_id; those of other regions are ignored.

    Returns
    -------
    list of DraftIssue
        Ordered by region and check.
    """
    issues = []
    texts: dict[str, list[str]] = {}
    for name in sorted(drafts.keys() & regions.keys()):
        draft = drafts[name]
        reasons = dict(_check_draft(pair, regions[name], draft))
        words = _split_words(draft.text)
        if any(_are_near_duplicates(words, other) for other in texts.values()):
            reasons["duplicate"] = "Nearly the same text stands at another region of the pair."
        texts[name] = words
        issues += [DraftIssue(pair.pair_id, name, check, reasons[check]) for check in DRAFT_CHECKS if check in reasons]
    return issues


def _check_draft(pair: Pair, region: Region, draft: RationaleDraft) -> Iterator[tuple[DraftCheck, str]]:
    words = draft.text.split()
    if not MIN_DRAFT_WORDS <= len(words) <= MAX_DRAFT_WORDS:
        yield "length", f"It has {len(words)} words: expected {MIN_DRAFT_WORDS} to {MAX_DRAFT_WORDS}."
    if draft.flaw_type is None:
        yield "flaw_type", "It has no flaw type."
    elif draft.flaw_type not in list_flaw_types(region.kind):
        yield "flaw_type", f"Its flaw type is none of the kind {region.kind!r}."
    if draft.severity is None:
        yield "severity", "It has no severity."
    if has_markup(draft.text) or (draft.flaw_type not in TEXT_FLAWS and has_address(draft.text)):
        yield "markup", "It has HTML, code or a link: expected plain text."
    content = _content_words(draft.text)
    if len(content - _word_list("stock")) < MIN_CONTENT_WORDS:
        yield "generic", "It hardly says what is visible in the region."
    if region.kind == "failure" and draft.flaw_type not in TYPES_BEYOND_INSTRUCTION:
        stems = {word[:STEM_LETTERS] for word in _content_words(pair.instruction)}
        if stems and stems.isdisjoint(word[:STEM_LETTERS] for word in content):
            yield "instruction", "It names nothing of what the instruction asks for."


def _split_words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _content_words(text: str) -> set[str]:
    """Words of more than two letters that are not on the list of common words."""
    return {word for word in _split_words(text) if len(word) > 2 and word not in _word_list("common")}


def _are_near_duplicates(first: list[str], second: list[str]) -> bool:
    matcher = SequenceMatcher(None, first, second, autojunk=False)
    return (
        matcher.real_quick_ratio() >= DUPLICATE_RATIO
        and matcher.quick_ratio() >= DUPLICATE_RATIO
        and matcher.ratio() >= DUPLICATE_RATIO
    )


@cache
def _word_list(name: str) -> frozenset[str]:
    data = yaml.safe_load(resources.files(__package__).joinpath("words.yaml").read_text(encoding="utf-8"))
    return frozenset(data[name].split())
