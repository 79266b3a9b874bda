"""The console of rich that shows text from outside as text: it cannot move the cursor or change colours."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from mos.words import escape_unprintable


class SafeConsole(Console):
    """Writes control characters in text as escapes such as \\x1b; rich's own codes for styles and bars stay."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of a renderable, as rich makes them, with their text escaped."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(escape_unprintable(segment.text), segment.style)
