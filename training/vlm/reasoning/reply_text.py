"""The reply of a reasoning model: the JSON of the served agents, written for training and read strictly."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from pydantic import ValidationError

from annotation.records import Kind, Region
from editfhf.drafting.reply import ParsedReply, parse_draft_reply, reply_model


def is_complete(region: Region) -> bool:
    """Whether people gave a region all that a reply says of it."""
    return bool(region.flaw_type and region.severity and region.rationale)


def format_reply(numbered: Mapping[int, Region]) -> str:
    """The reply that is learnt.

    Parameters
    ----------
    numbered : mapping
        Complete regions by their numbers.
    """
    regions = [
        {
            "number": number,
            "flaw_type": region.flaw_type,
            "severity": region.severity,
            "reasoning": region.rationale,
        }
        for number, region in numbered.items()
    ]
    return orjson.dumps({"regions": regions}).decode()


def read_reply(text: str, kinds: Mapping[int, Kind]) -> ParsedReply | None:
    """Read a reply about regions of these kinds; None where it is not the JSON object that was asked for.

    Nothing is mended: a fence, or a sentence before the JSON, is another form, and a server's schema forbids it.

    >>> read_reply('```json{"regions":[]}```', {1: "artifact"}) is None
    True
    """
    try:
        value = reply_model(kinds).model_validate_json(text)
    except ValidationError:
        return None
    return parse_draft_reply(value, kinds)
