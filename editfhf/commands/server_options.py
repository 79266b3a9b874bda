"""Options of commands that ask a model server: their values from the words of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from mos.errors import UserError


def parse_dollars(text: str | None) -> Decimal | None:
    """The value of --max-money; `UserError` for anything but a number."""
    if text is None:
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        raise UserError(f"--max-money: expected US dollars such as 150 or 2.50, got {text[:40]!r}.") from None


def parse_parameters(texts: Sequence[str]) -> dict[str, Any]:
    """Values by name: JSON if it parses (`temperature=0`), else text (`reasoning_effort=low`)."""
    parameters: dict[str, Any] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name.isidentifier():
            raise UserError(f"--parameter: expected NAME=VALUE such as reasoning_effort=low, got {text[:80]!r}.")
        try:
            parameters[name] = orjson.loads(value)
        except orjson.JSONDecodeError:
            parameters[name] = value
    return parameters
