"""What the controls and labels of a labelling interface are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from annotation.records import DIMENSIONS, KINDS, Dimension, Kind


@dataclass(frozen=True)
class Names:
    """Names of the controls, labels and data field by which an export is read; the defaults are our own interfaces'.

    `picture` is the image that is drawn on; `labels`, `verdicts` and `dimensions` give the meaning of the interface's
    own words.
    """

    picture: str = "edited"
    box: str = "box"
    disk: str = "disk"
    flaw_type: str = "flaw_type"
    severity: str = "severity"
    rationale: str = "rationale"
    verdict: str = "verdict"
    no_flaw: str = "no_flaw"
    note: str = "note"
    flagged: str = "flagged"
    relation: str = "disk_of"
    pair_id: str = "pair_id"
    labels: Mapping[str, Kind] = field(default_factory=lambda: {kind: kind for kind in KINDS})
    verdicts: Mapping[str, Literal["agree", "revise"]] = field(
        default_factory=lambda: {"agree": "agree", "revise": "revise"}
    )
    dimensions: Mapping[str, Dimension] = field(default_factory=lambda: {name: name for name in DIMENSIONS})

    @cached_property
    def types(self) -> dict[str, str]:
        """The result type that each control writes."""
        choices = (self.flaw_type, self.severity, self.verdict, self.no_flaw, self.flagged)
        return (
            {
                self.box: "rectanglelabels",
                self.disk: "keypointlabels",
                self.rationale: "textarea",
                self.note: "textarea",
            }
            | dict.fromkeys(choices, "choices")
            | dict.fromkeys(self.dimensions, "number")
        )

    @cached_property
    def drawn(self) -> frozenset[str]:
        """Controls that draw on the picture or say something of what is drawn; every stage may show them."""
        return frozenset((self.box, self.disk, self.flaw_type, self.severity, self.rationale, self.note))
