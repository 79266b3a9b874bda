"""What may be shown on a terminal of what came from outside."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Without characters that could steer a terminal, or that it cannot show.

    >>> printable("\x1b[2Jann")
    '?[2Jann'
    """
    return "".join(char if char.isprintable() else "?" for char in text)
