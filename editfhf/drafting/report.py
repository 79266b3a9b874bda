"""Drafts against the texts that people settled on: how many were right as they were, and what was changed in the rest.

Only drafts that count are compared (the last of each region), and only with texts that are final: the expert's, or the
one on which the reviewers agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import Any, Literal

from annotation.campaign.drafts import Draft, Drafts
from annotation.campaign.gold.agreement import wilson
from annotation.records import KINDS, SEVERITIES, Kind, Region
from annotation.text import collapsed
from editfhf.drafting.checks import CHECKS, Check, check_pair
from editfhf.drafting.edit_distance import word_distance
from editfhf.drafting.selection import Marked

LEVEL = 0.95
EXAMPLES = 12
UNKNOWN = "unknown"

By = Literal["kind", "flaw_type", "severity", "prompt_version", "model", "check"]
GROUPS: tuple[By, ...] = ("kind", "flaw_type", "severity", "prompt_version", "model", "check")
PASSED = "no doubt"
"""The group, by check, of drafts that pass all of them."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One draft beside the final text of its region; `final` is None while there is none."""

    pair_id: str
    region_id: str
    kind: Kind
    draft: Draft
    checks: tuple[Check, ...]
    final: Region | None

    @property
    def distance(self) -> float:
        """Of the words: see `word_distance`."""
        return word_distance(self.draft.text, (self.final.rationale if self.final else None) or "")

    @property
    def same_text(self) -> bool:
        return self.final is not None and collapsed(self.draft.text) == collapsed(self.final.rationale or "")

    @property
    def changed_type(self) -> bool:
        """Whether people gave another flaw type; what they left open is no change."""
        return self.final is not None and self.final.flaw_type not in (None, self.draft.flaw_type)

    @property
    def changed_severity(self) -> bool:
        return self.final is not None and self.final.severity not in (None, self.draft.severity)

    @property
    def accepted(self) -> bool:
        """Whether text, flaw type and severity are as they were drafted."""
        return self.same_text and not self.changed_type and not self.changed_severity


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its Wilson interval at 95 %; None where there is nothing to divide."""

    count: int
    of: int
    share: float | None
    low: float
    high: float

    @classmethod
    def made(cls, count: int, of: int) -> Share:
        return cls(count, of, count / of if of else None, *wilson(count, of, LEVEL))


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a group of drafts.

    drafts: all of them; decided: those whose region has a final text, of which the rest is said
    accepted: nothing was changed; same_text: not a word; changed_type, changed_severity
    mean_distance, median_distance: word-level edit distance, normalised, 0 to 1; None without a final text
    """

    name: str
    drafts: int
    decided: int
    accepted: Share
    same_text: Share
    changed_type: Share
    changed_severity: Share
    mean_distance: float | None
    median_distance: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything the report says.

    gone: drafts of regions that are not accepted any more
    groups: rows by what the drafts have in common; a draft is in several rows by `check`
    types, severities: (drafted, final, number) of what was said before and after; what was changed comes first
    examples: drafts of which most was changed
    """

    whole: Row
    gone: int
    groups: Mapping[By, Sequence[Row]]
    types: Sequence[tuple[str, str, int]]
    severities: Sequence[tuple[str, str, int]]
    examples: Sequence[Compared]

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        data = asdict(self) | {"level": LEVEL}
        data["examples"] = [_example(one) for one in self.examples]
        return data


def compare(marked: Iterable[Marked], drafts: Drafts) -> Report:
    """Compare the drafts of a corpus with what its pairs say now; no order matters."""
    found: list[Compared] = []
    for one in sorted(marked, key=lambda one: one.pair.pair_id):
        found += _of_pair(one, drafts.get(one.pair.pair_id, {}))
    decided = [one for one in found if one.final is not None]
    return Report(
        _row("all", found),
        sum(map(len, drafts.values())) - len(found),
        {by: _grouped(by, found) for by in GROUPS},
        _confusion((one.draft.flaw_type, one.final.flaw_type) for one in decided if one.final),
        _confusion((one.draft.severity, one.final.severity) for one in decided if one.final),
        _changed_most(decided),
    )


def _of_pair(marked: Marked, drafts: Mapping[str, Draft]) -> list[Compared]:
    regions = {region.region_id: region for region in [*marked.undecided, *marked.decided.values()]}
    doubts: dict[str, list[Check]] = {}
    for issue in check_pair(marked.pair, regions, drafts):
        doubts.setdefault(issue.region_id, []).append(issue.check)
    return [
        Compared(
            marked.pair.pair_id,
            name,
            regions[name].kind,
            drafts[name],
            tuple(doubts.get(name, ())),
            marked.decided.get(name),
        )
        for name in sorted(drafts.keys() & regions.keys())
    ]


_NAMES: dict[By, Callable[[Compared], Sequence[str]]] = {
    "kind": lambda one: [one.kind],
    "flaw_type": lambda one: [one.draft.flaw_type or UNKNOWN],
    "severity": lambda one: [one.draft.severity or UNKNOWN],
    "prompt_version": lambda one: [one.draft.prompt_version or UNKNOWN],
    "model": lambda one: [one.draft.model or UNKNOWN],
    "check": lambda one: one.checks or [PASSED],
}
_ORDER: dict[By, Sequence[str]] = {"kind": KINDS, "severity": SEVERITIES, "check": [*CHECKS, PASSED]}


def _grouped(by: By, found: Iterable[Compared]) -> list[Row]:
    groups: dict[str, list[Compared]] = {}
    for one in found:
        for name in _NAMES[by](one):
            groups.setdefault(name, []).append(one)
    listed = _ORDER.get(by, ())
    names = sorted(groups, key=lambda name: (listed.index(name) if name in listed else len(listed), name))
    return [_row(name, groups[name]) for name in names]


def _row(name: str, found: Sequence[Compared]) -> Row:
    decided = [one for one in found if one.final is not None]
    distances = [one.distance for one in decided]

    def share(counts: Callable[[Compared], bool]) -> Share:
        return Share.made(sum(map(counts, decided)), len(decided))

    return Row(
        name,
        len(found),
        len(decided),
        share(lambda one: one.accepted),
        share(lambda one: one.same_text),
        share(lambda one: one.changed_type),
        share(lambda one: one.changed_severity),
        fmean(distances) if distances else None,
        median(distances) if distances else None,
    )


def _confusion(words: Iterable[tuple[str | None, str | None]]) -> list[tuple[str, str, int]]:
    counts = Counter((before or UNKNOWN, after or UNKNOWN) for before, after in words)
    ordered = sorted(counts.items(), key=lambda item: (item[0][0] == item[0][1], -item[1], item[0]))
    return [(*words, count) for words, count in ordered]


def _changed_most(decided: Sequence[Compared]) -> list[Compared]:
    changed = [one for one in decided if not one.same_text]
    return sorted(changed, key=lambda one: (-one.distance, one.pair_id, one.region_id))[:EXAMPLES]


def _example(one: Compared) -> dict[str, Any]:
    final = one.final
    return {
        "pair_id": one.pair_id,
        "region_id": one.region_id,
        "draft": {"text": one.draft.text, "flaw_type": one.draft.flaw_type, "severity": one.draft.severity},
        "final": final and {"text": final.rationale, "flaw_type": final.flaw_type, "severity": final.severity},
        "distance": one.distance,
        "prompt_version": one.draft.prompt_version,
        "model": one.draft.model,
    }


def rows(report: Report) -> Iterator[tuple[str, Row]]:
    """Every row with the name of its group, the whole first."""
    yield "all", report.whole
    for by, group in report.groups.items():
        yield from ((by, row) for row in group)
