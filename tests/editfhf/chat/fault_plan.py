"""Which fault meets which request: by what its text holds, by a script in order of arrival, or by a seeded draw."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

OK = "ok"


@dataclass
class Plan:
    """Faults, each `name` or `name:argument`.

    by_text: faults for successive attempts of every request whose text holds a marker; the last one `...` repeats
    script: faults of the next arrivals, whichever they are
    rates: probability of each fault; a request has at most `at_most` of them, one an attempt
    batches: faults of successive batches
    """

    by_text: Mapping[str, Sequence[str]] = field(default_factory=dict)
    script: list[str] = field(default_factory=list)
    rates: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    at_most: int = 3
    batches: list[Sequence[str]] = field(default_factory=list)
    _attempts: dict[str, int] = field(default_factory=dict)

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Plan:
        return cls(**plain)

    def next(self, digest: str, text: str) -> str:
        """The fault of this attempt of a request; `ok` for none."""
        attempt = self._attempts.get(digest, 0)
        self._attempts[digest] = attempt + 1
        for marker, faults in self.by_text.items():
            if marker in text:
                if faults[-1] == "..." and attempt >= len(faults) - 1:
                    return faults[-2]
                return faults[attempt] if attempt < len(faults) else OK
        if self.script:
            return self.script.pop(0)
        return self._drawn(digest, attempt) if attempt < self.at_most else OK

    def _drawn(self, digest: str, attempt: int) -> str:
        """A draw that depends on the request and the attempt alone, not on who else came before."""
        drawn = int.from_bytes(hashlib.sha256(f"{self.seed} {digest} {attempt}".encode()).digest()[:8]) / 2**64
        for fault, rate in self.rates.items():
            if drawn < rate:
                return fault
            drawn -= rate
        return OK

    def next_batch(self) -> Sequence[str]:
        """The faults of the batch that is submitted now."""
        return self.batches.pop(0) if self.batches else ()
