"""Schema of a reply, and its validation: each region separately, so that a bad entry does not affect the others.

The schema lists the numbers of one request and, for each kind of region, its flaw types. Replies are validated again
here, since a server may ignore the schema.

The messages of rejections are sent to the model in the second request and are part of its key: another wording means
that an interrupted run pays for those requests again.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, WithJsonSchema, create_model

from annotation.records import KINDS, SEVERITIES, Kind, Severity
from annotation.taxonomy import list_flaw_types
from annotation.text import collapse_blanks, is_unicode
from mos.rejections import Rejection

TEXT_FLAWS = frozenset({"garbled_text", "foreign_mark", "wrong_content"})
"""Flaw types whose description may quote a web address that can be read in the image."""
REPLY_FIELDS = ("number", "flaw_type", "severity", "reasoning")
MAX_REASONING = 1_000
"""Longest accepted reasoning in characters."""

_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")
"""Soft hyphen, spaces of no width and byte order mark: they are removed."""

_JOINERS = re.compile("[\u200c\u200d]")
"""They join or part letters, in Persian or in emoji, and stay."""

_RESERVED = re.compile("[\u2065\ufff0-\ufff8\U000e0000-\U000e00ff\U000e01f0-\U000e0fff\ufdd0-\ufdef]")
"""Characters without a meaning that will never be visible."""

_TAG = re.compile(r"<[/!?]?[A-Za-z][^<>]*>|<!--")
_LINK = re.compile(r"\]\(")
_ADDRESS = re.compile(r"[a-z]://|www\.", re.IGNORECASE)
_FENCE = re.compile(r"```|~~~")
_EMPHASIS = re.compile(r"\*\*|__|`")


@dataclass(frozen=True, slots=True)
class RegionDescription:
    """Description of one region by a model, validated and in normal form."""

    flaw_type: str
    severity: Severity
    text: str


def reject_draft(reason: str, message: str) -> Rejection:
    """Why a model's description of a region is not used: a stable reason, and a sentence in our own words."""
    return Rejection("draft", "", 0, reason, message)


@dataclass(frozen=True, slots=True)
class ParsedReply:
    """A validated reply: for each number of the request a description or a rejection.

    strays: count of entries about other regions
    """

    described: dict[int, RegionDescription]
    rejections: dict[int, Rejection]
    strays: int


def reply_model(kinds: Mapping[int, Kind]) -> type[BaseModel]:
    """Pydantic model of a reply about regions, given the kind of each by its number."""
    return _cached_reply_model(tuple(sorted(kinds.items())))


@lru_cache(maxsize=256)
def _cached_reply_model(kinds: tuple[tuple[int, Kind], ...]) -> type[BaseModel]:
    entries = []
    for kind in KINDS:
        numbers = [number for number, kind_of_region in kinds if kind_of_region == kind]
        if numbers:
            entries.append(_entry_schema(numbers, kind))
    schema = {
        "type": "array",
        "items": entries[0] if len(entries) == 1 else {"anyOf": entries},
        "minItems": len(kinds),
        "maxItems": len(kinds),
    }
    regions: Any = Annotated[list[dict[str, Any]], WithJsonSchema(schema)]
    return create_model("Descriptions", __config__=ConfigDict(extra="forbid"), regions=(regions, ...))


def _entry_schema(numbers: list[int], kind: Kind) -> dict[str, Any]:
    properties = {
        "number": {"type": "integer", "enum": numbers},
        "flaw_type": {"type": "string", "enum": list(list_flaw_types(kind))},
        "severity": {"type": "string", "enum": list(SEVERITIES)},
        "reasoning": {"type": "string", "description": "About 33 words."},
    }
    return {"type": "object", "properties": properties, "required": list(REPLY_FIELDS), "additionalProperties": False}


def parse_draft_reply(value: BaseModel, kinds: Mapping[int, Kind]) -> ParsedReply:
    """Validate a reply: accepts at most one description of each region of the request, and none of other regions."""
    entries: list[dict[str, Any]] = value.model_dump()["regions"]
    numbers = [entry.get("number") for entry in entries]
    known = [number for number in numbers if type(number) is int and number in kinds]
    times = Counter(known)
    described: dict[int, RegionDescription] = {}
    rejections: dict[int, Rejection] = {}
    for number in kinds:
        if times[number] == 1:
            entry = entries[next(i for i, value in enumerate(numbers) if type(value) is int and value == number)]
            parsed = _parse_entry(entry, kinds[number])
            if isinstance(parsed, RegionDescription):
                described[number] = parsed
            else:
                rejections[number] = parsed
        elif times[number]:
            rejections[number] = reject_draft("doubled_number", "It was described more than once: expected one entry.")
        else:
            rejections[number] = reject_draft("missing_number", "It was not described: expected one entry.")
    return ParsedReply(described, rejections, len(entries) - len(known))


def _parse_entry(entry: Mapping[str, Any], kind: Kind) -> RegionDescription | Rejection:
    if set(entry) != set(REPLY_FIELDS):
        return reject_draft("bad_fields", f"Its entry had other fields than expected: {', '.join(REPLY_FIELDS)}.")
    flaw_type, severity, reasoning = (entry[name] for name in REPLY_FIELDS[1:])
    if flaw_type not in list_flaw_types(kind):
        return reject_draft("bad_flaw_type", f"Its flaw_type was none of those of the kind {kind!r}.")
    if severity not in SEVERITIES:
        return reject_draft("bad_severity", f"Its severity was none of {', '.join(SEVERITIES)}.")
    if not isinstance(reasoning, str):
        return reject_draft("bad_text", "Its reasoning was no text.")
    text = clean_reasoning(reasoning, flaw_type)
    return text if isinstance(text, Rejection) else RegionDescription(flaw_type, severity, text)


def clean_reasoning(text: str, flaw_type: str | None = None) -> str | Rejection:
    """The text in normal form (Unicode NFC, one line, no emphasis), or a rejection if it is no plain text.

    A web address is accepted as the text of a sign, where the flaw type is one of `TEXT_FLAWS`.
    """
    if not is_unicode(text) or len(text) > 4 * MAX_REASONING:
        return reject_draft("bad_text", f"Its reasoning was no Unicode text of at most {MAX_REASONING:,} characters.")
    shown = _INVISIBLE.sub("", text)
    plain = collapse_blanks(_EMPHASIS.sub("", shown) if not _FENCE.search(shown) else shown)
    if not plain or len(plain) > MAX_REASONING:
        return reject_draft("bad_text", f"Its reasoning was empty or longer than {MAX_REASONING:,} characters.")
    if any(unicodedata.category(character) == "Cc" for character in plain):
        return reject_draft("control_characters", "Its reasoning had control characters: expected plain text.")
    if any(map(_is_hidden, plain)):
        message = "Its reasoning had invisible characters or characters of no common meaning: expected plain text."
        return reject_draft("hidden_characters", message)
    if has_markup(plain):
        return reject_draft("markup", "Its reasoning had markup, code or a link: expected plain text.")
    if flaw_type not in TEXT_FLAWS and has_address(plain):
        return reject_draft("address", "Its reasoning had a web address, which only a flaw of a text may quote.")
    return plain


def has_markup(text: str) -> bool:
    """Whether a text contains HTML (also as entities), a code fence or a Markdown link."""
    return any(pattern.search(_resolve(text)) for pattern in (_TAG, _LINK, _FENCE))


def has_address(text: str) -> bool:
    """Whether a text contains a web address, which a page may show as a link."""
    return _ADDRESS.search(_resolve(text)) is not None


def _resolve(text: str) -> str:
    """The text as a reader of HTML, or of one that drops joiners, might see it."""
    return _JOINERS.sub("", html.unescape(text))


def _is_hidden(character: str) -> bool:
    """Whether nobody sees the character, or nobody knows what it is.

    Characters that this Python's Unicode does not know yet, such as the emoji of this year, are accepted.
    """
    if _JOINERS.match(character):
        return False
    reserved = _RESERVED.match(character) is not None or ord(character) & 0xFFFE == 0xFFFE
    return reserved or unicodedata.category(character) in ("Cf", "Co")
