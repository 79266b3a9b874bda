"""What a model may reply, and what counts of it: each region by itself, so that one bad entry spoils no other.

The schema that is sent names the numbers of one request and, for each kind of region, its closed list of flaw types.
Whatever comes back is checked here again: a server may ignore the schema.
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

from annotation.flaws import flaw_types
from annotation.records import KINDS, SEVERITIES, Kind, Severity
from annotation.text import collapsed, is_unicode

FIELDS = ("number", "flaw_type", "severity", "reasoning")
LONGEST = 1_000
"""Characters of the longest reasoning that is taken."""

_TAG = re.compile(r"<[/!?]?[A-Za-z][^<>]*>|<!--")
_LINK = re.compile(r"\]\(|https?://|www\.", re.IGNORECASE)
_FENCE = re.compile(r"```|~~~")
_EMPHASIS = re.compile(r"\*\*|__|`")


@dataclass(frozen=True, slots=True)
class Described:
    """What a model said of one region, checked and in normal form."""

    flaw_type: str
    severity: Severity
    text: str


@dataclass(frozen=True, slots=True)
class Fault:
    """Why there is no use for what was said of a region: a stable reason, and a sentence in our own words."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A reply taken apart: of every number asked about what was said, or why it does not count.

    strays: entries about no region that was asked about
    """

    described: dict[int, Described]
    faults: dict[int, Fault]
    strays: int


def reply_model(kinds: Mapping[int, Kind]) -> type[BaseModel]:
    """The model of a reply about these regions, given the kind of each by its number."""
    return _model(tuple(sorted(kinds.items())))


@lru_cache(maxsize=256)
def _model(kinds: tuple[tuple[int, Kind], ...]) -> type[BaseModel]:
    entries = []
    for kind in KINDS:
        numbers = [number for number, own in kinds if own == kind]
        if numbers:
            entries.append(_entry(numbers, kind))
    schema = {
        "type": "array",
        "items": entries[0] if len(entries) == 1 else {"anyOf": entries},
        "minItems": len(kinds),
        "maxItems": len(kinds),
    }
    regions: Any = Annotated[list[dict[str, Any]], WithJsonSchema(schema)]
    return create_model("Descriptions", __config__=ConfigDict(extra="forbid"), regions=(regions, ...))


def _entry(numbers: list[int], kind: Kind) -> dict[str, Any]:
    properties = {
        "number": {"type": "integer", "enum": numbers},
        "flaw_type": {"type": "string", "enum": list(flaw_types(kind))},
        "severity": {"type": "string", "enum": list(SEVERITIES)},
        "reasoning": {"type": "string", "description": "About 33 words."},
    }
    return {"type": "object", "properties": properties, "required": list(FIELDS), "additionalProperties": False}


def judge(value: BaseModel, kinds: Mapping[int, Kind]) -> Judged:
    """What counts of a reply: at most one description of each region that was asked about, and of no other."""
    entries: list[dict[str, Any]] = value.model_dump()["regions"]
    numbers = [entry.get("number") for entry in entries]
    known = [number for number in numbers if type(number) is int and number in kinds]
    times = Counter(known)
    described: dict[int, Described] = {}
    faults: dict[int, Fault] = {}
    for number in kinds:
        if times[number] == 1:
            entry = entries[next(place for place, one in enumerate(numbers) if type(one) is int and one == number)]
            found = _described(entry, kinds[number])
            if isinstance(found, Described):
                described[number] = found
            else:
                faults[number] = found
        elif times[number]:
            faults[number] = Fault("doubled_number", "It was described more than once: expected one entry.")
        else:
            faults[number] = Fault("missing_number", "It was not described: expected one entry.")
    return Judged(described, faults, len(entries) - len(known))


def _described(entry: Mapping[str, Any], kind: Kind) -> Described | Fault:
    if set(entry) != set(FIELDS):
        return Fault("bad_fields", f"Its entry had other fields than expected: {', '.join(FIELDS)}.")
    flaw_type, severity, reasoning = (entry[name] for name in FIELDS[1:])
    if flaw_type not in flaw_types(kind):
        return Fault("bad_flaw_type", f"Its flaw_type was none of those of the kind {kind!r}.")
    if severity not in SEVERITIES:
        return Fault("bad_severity", f"Its severity was none of {', '.join(SEVERITIES)}.")
    if not isinstance(reasoning, str):
        return Fault("bad_text", "Its reasoning was no text.")
    text = clean(reasoning)
    return text if isinstance(text, Fault) else Described(flaw_type, severity, text)


def clean(text: str) -> str | Fault:
    """The text in normal form (composed, one line, no marks of emphasis), or why it is no plain text."""
    if not is_unicode(text) or len(text) > 4 * LONGEST:
        return Fault("bad_text", f"Its reasoning was no Unicode text of at most {LONGEST:,} characters.")
    plain = collapsed(_EMPHASIS.sub("", text) if not _FENCE.search(text) else text)
    if not plain or len(plain) > LONGEST:
        return Fault("bad_text", f"Its reasoning was empty or longer than {LONGEST:,} characters.")
    if any(unicodedata.category(character) in ("Cc", "Cf", "Co", "Cn") for character in plain):
        return Fault("control_characters", "Its reasoning had control characters: expected plain text.")
    if has_markup(plain):
        return Fault("markup", "Its reasoning had markup, code or a link: expected plain text.")
    return plain


def has_markup(text: str) -> bool:
    """Whether a text has HTML (entities resolved), a code fence or a link in it."""
    resolved = html.unescape(text)
    return any(pattern.search(resolved) for pattern in (_TAG, _LINK, _FENCE))
