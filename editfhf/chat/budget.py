"""The budget: what is spent, what may still be asked for, and the room that is left between."""

from __future__ import annotations

from dataclasses import dataclass

from editfhf.chat.usage import Limits, Usage


@dataclass(frozen=True, slots=True)
class Blocked:
    """No room.  limit: the one in the way; for_now: whether what is in flight now may leave enough when it ends."""

    limit: str
    for_now: bool


class Budget:
    """Limits, and three sums that together never pass them.

    spent: what ended.  held: the worst case of what was sent and whose fate is not known, or is known later (batches).
    live: the worst case of what is in flight.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._live: dict[str, Usage] = {}
        self.spent = Usage()
        self.held = Usage()
        self.live = Usage()

    def take(self, name: str, worst: Usage) -> None:
        """Set a worst case aside for something that is in flight."""
        self._live[name] = worst
        self.live += worst

    def hold(self, name: str) -> None:
        """What is in flight is so no longer, but its fate is not known."""
        worst = self._live.pop(name)
        self.live -= worst
        self.held += worst

    def release(self, name: str, worst: Usage) -> None:
        """The fate of something is known: its worst case is no longer set aside."""
        if self._live.pop(name, None) is None:
            self.held -= worst
        else:
            self.live -= worst

    def room(self, worst: Usage, instead_of: Usage) -> Blocked | None:
        """Whether there is room for a worst case in the place of something that is held; None if so."""
        settled = self.spent + self.held - instead_of + worst
        limit = self._limits.passed(settled + self.live)
        return Blocked(limit, for_now=not self._limits.passed(settled)) if limit else None
