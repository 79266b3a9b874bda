"""What a stage counted and set aside, in a form that adds up over shards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from annotation.records import Rejection


@dataclass
class Tally:
    counts: Counter[str] = field(default_factory=Counter)
    people: dict[str, Counter[str]] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)

    def person(self, annotator_id: str) -> Counter[str]:
        """The counts of one annotator, in a shard by id, over shards by pseudonym."""
        return self.people.setdefault(annotator_id, Counter())

    def told(self, people: Mapping[str, str]) -> dict[str, Any]:
        """Everything as JSON values, people under their pseudonyms: it is kept in the shard itself."""
        return {
            "counts": dict(self.counts),
            "people": {people[person]: dict(counts) for person, counts in self.people.items()},
            "rejections": [
                asdict(rejection) | {"annotator_id": people.get(rejection.annotator_id or "")}
                for rejection in self.rejections
            ],
        }

    def add(self, marker: Mapping[str, Any]) -> None:
        """Add the counts of a finished shard, as its marker holds them; rejections are kept apart by the caller."""
        self.counts.update(marker["counts"])
        for annotator_id, counts in marker["people"].items():
            self.person(annotator_id).update(counts)
