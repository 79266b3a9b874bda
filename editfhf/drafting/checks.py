"""Is a draft worth a reviewer's time?  Checks that need no model, each with its reason, as rows of a table.

They find what is easy to find: a draft that passes may still be wrong about the picture.
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

from annotation.campaign.drafts import Draft
from annotation.flaws import flaw_types
from annotation.records import Pair, Region
from editfhf.drafting.reply import has_markup

Check = Literal["length", "flaw_type", "severity", "instruction", "duplicate", "markup", "generic"]
CHECKS: dict[Check, str] = {
    "length": "shorter or longer than a description of this kind",
    "flaw_type": "a flaw type that the kind of region does not have",
    "severity": "no severity",
    "instruction": "a failure described without anything that the instruction names",
    "duplicate": "nearly the text of another region of the pair",
    "markup": "HTML, code or a link",
    "generic": "hardly a word about what is visible",
}

FEWEST_WORDS, MOST_WORDS = 15, 70
"""The paper's descriptions have 32.6 words on average (section 3.3)."""

ALIKE = 0.9
"""Share of words in common, in order, at which two texts are the same."""

FEWEST_OWN_WORDS = 5
STEM = 5
"""Letters by which two words are taken for forms of one: "replace", "replaced", "replacing"."""

BEYOND_THE_INSTRUCTION = frozenset({"unintended_change", "identity_loss", "global_drift", "other"})
"""Failures that are about what the instruction does not name."""

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


@dataclass(frozen=True, slots=True)
class Issue:
    """One row: which draft, which check, and the reason in our own words."""

    pair_id: str
    region_id: str
    check: Check
    reason: str


def check_pair(pair: Pair, regions: Mapping[str, Region], drafts: Mapping[str, Draft]) -> list[Issue]:
    """What is doubtful about the drafts of one pair, by region and check; both mappings are by region_id.

    A draft of a region that is not accepted any more is passed over.
    """
    found = []
    texts: dict[str, list[str]] = {}
    for name in sorted(drafts.keys() & regions.keys()):
        draft = drafts[name]
        reasons = dict(_alone(pair, regions[name], draft))
        own = _words(draft.text)
        if any(_alike(own, other) for other in texts.values()):
            reasons["duplicate"] = "Nearly the same text stands at another region of the pair."
        texts[name] = own
        found += [Issue(pair.pair_id, name, check, reasons[check]) for check in CHECKS if check in reasons]
    return found


def _alone(pair: Pair, region: Region, draft: Draft) -> Iterator[tuple[Check, str]]:
    words = draft.text.split()
    if not FEWEST_WORDS <= len(words) <= MOST_WORDS:
        yield "length", f"It has {len(words)} words: expected {FEWEST_WORDS} to {MOST_WORDS}."
    if draft.flaw_type is None:
        yield "flaw_type", "It has no flaw type."
    elif draft.flaw_type not in flaw_types(region.kind):
        yield "flaw_type", f"Its flaw type is none of the kind {region.kind!r}."
    if draft.severity is None:
        yield "severity", "It has no severity."
    if has_markup(draft.text):
        yield "markup", "It has HTML, code or a link: expected plain text."
    own = _content(draft.text)
    if len(own - _listed("stock")) < FEWEST_OWN_WORDS:
        yield "generic", "It hardly says what is visible in the region."
    if region.kind == "failure" and draft.flaw_type not in BEYOND_THE_INSTRUCTION:
        asked = {word[:STEM] for word in _content(pair.instruction)}
        if asked and asked.isdisjoint(word[:STEM] for word in own):
            yield "instruction", "It names nothing of what the instruction asks for."


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _content(text: str) -> set[str]:
    """The words that carry meaning, of more than two letters."""
    return {word for word in _words(text) if len(word) > 2 and word not in _listed("common")}


def _alike(one: list[str], other: list[str]) -> bool:
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    return matcher.real_quick_ratio() >= ALIKE and matcher.quick_ratio() >= ALIKE and matcher.ratio() >= ALIKE


@cache
def _listed(name: str) -> frozenset[str]:
    data = yaml.safe_load(resources.files(__package__).joinpath("words.yaml").read_text(encoding="utf-8"))
    return frozenset(data[name].split())
