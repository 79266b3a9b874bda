"""Compare drafts with final texts: acceptance, word-level edit distance, and the HTML page about both.

The latest draft of each region is compared with the final text: the expert's, or the one on which reviewers agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean, median
from typing import Any, Literal

from annotation.campaign.drafts import DraftsByPair, RationaleDraft
from annotation.campaign.gold.hidden_gold import wilson_interval
from annotation.records import KINDS, SEVERITIES, Kind, Region
from annotation.text import collapse_blanks
from editfhf.drafting.checks import DRAFT_CHECKS, DraftCheck, check_pair
from editfhf.drafting.selection import MarkedPair
from mos import pages
from mos.words import format_decimal, format_percent


def word_distance(before: str, after: str) -> float:
    """Word-level edit distance of two texts.

    Parameters
    ----------
    before, after : str
        Split at blanks, in Unicode NFC. A changed capital or comma counts as another word.

    Returns
    -------
    float
        Levenshtein distance in words divided by the words of the longer text, 0 (same) to 1.

    Examples
    --------
    >>> word_distance("the left hand has six fingers", "the left hand has seven fingers")
    0.16666666666666666
    """
    old, new = collapse_blanks(before).split(), collapse_blanks(after).split()
    longest = max(len(old), len(new))
    return _levenshtein_distance(*_trim_common_ends(old, new)) / longest if longest else 0.0


def _trim_common_ends(old: list[str], new: list[str]) -> tuple[list[str], list[str]]:
    """Two lists without their common beginning and end, which do not change the distance."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    old, new = old[start:], new[start:]
    end = 0
    while end < min(len(old), len(new)) and old[-1 - end] == new[-1 - end]:
        end += 1
    return old[: len(old) - end], new[: len(new) - end]


# Own code: 19,000 drafts of 33 words take 3 s here and 0.3 s with rapidfuzz, too little gain for a dependency of 12 MB.
def _levenshtein_distance(old: Sequence[str], new: Sequence[str]) -> int:
    row = list(range(len(new) + 1))
    for deleted, word in enumerate(old, start=1):
        corner, row[0] = row[0], deleted
        for place, against in enumerate(new, start=1):
            corner, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, corner + (word != against))
    return row[-1]


DRAFT_CONFIDENCE = 0.95


MAX_DRAFT_EXAMPLES = 12


UNKNOWN_GROUP = "unknown"


GroupKey = Literal["kind", "flaw_type", "severity", "prompt_version", "model", "check"]


GROUP_KEYS: tuple[GroupKey, ...] = ("kind", "flaw_type", "severity", "prompt_version", "model", "check")


PASSED_CHECKS = "no doubt"
"""Name of the group of drafts that pass all checks."""


@dataclass(frozen=True)
class DraftComparison:
    """A draft and the final text of its region; `final` is None while there is none."""

    pair_id: str
    region_id: str
    kind: Kind
    draft: RationaleDraft
    checks: tuple[DraftCheck, ...]
    final: Region | None

    @cached_property
    def distance(self) -> float:
        """Word-level edit distance, 0 to 1."""
        return word_distance(self.draft.text, (self.final.rationale if self.final else None) or "")

    @property
    def same_text(self) -> bool:
        return self.final is not None and collapse_blanks(self.draft.text) == collapse_blanks(
            self.final.rationale or ""
        )

    @property
    def changed_type(self) -> bool:
        """Whether the final flaw type is another; a missing one is no change."""
        return self.final is not None and self.final.flaw_type not in (None, self.draft.flaw_type)

    @property
    def changed_severity(self) -> bool:
        return self.final is not None and self.final.severity not in (None, self.draft.severity)

    @property
    def accepted(self) -> bool:
        """Whether text, flaw type and severity were not changed."""
        return self.same_text and not self.changed_type and not self.changed_severity


@dataclass(frozen=True, slots=True)
class WilsonShare:
    """A share with its 95 % Wilson interval; the share is None if `of` is 0."""

    count: int
    of: int
    share: float | None
    low: float
    high: float

    @classmethod
    def from_counts(cls, count: int, of: int) -> WilsonShare:
        return cls(count, of, count / of if of else None, *wilson_interval(count, of, DRAFT_CONFIDENCE))


@dataclass(frozen=True, slots=True)
class DraftReportRow:
    """Comparison of a group of drafts with the final texts.

    Attributes
    ----------
    name : str
        Name of the group.
    drafts : int
        Drafts in the group.
    decided : int
        Those whose region has a final text; the shares are among them.
    accepted, same_text, changed_type, changed_severity : WilsonShare
        Nothing was changed; the text was not changed; another flaw type; another severity.
    mean_distance, median_distance : float or None
        Word-level edit distance, 0 to 1; None without a final text.
    """

    name: str
    drafts: int
    decided: int
    accepted: WilsonShare
    same_text: WilsonShare
    changed_type: WilsonShare
    changed_severity: WilsonShare
    mean_distance: float | None
    median_distance: float | None


@dataclass(frozen=True, slots=True)
class DraftReport:
    """Report on the drafts of a corpus.

    Attributes
    ----------
    whole : DraftReportRow
        All drafts.
    gone : int
        Drafts of regions that are no longer accepted.
    groups : mapping of GroupKey to rows
        One row per group. By `check`, a draft is in the row of every check that it fails.
    types, severities : sequence of (str, str, int)
        Drafted value, final value and count; changed values first.
    examples : sequence of DraftComparison
        Drafts with the largest edit distance.
    """

    whole: DraftReportRow
    gone: int
    groups: Mapping[GroupKey, Sequence[DraftReportRow]]
    types: Sequence[tuple[str, str, int]]
    severities: Sequence[tuple[str, str, int]]
    examples: Sequence[DraftComparison]

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        data = asdict(self) | {"level": DRAFT_CONFIDENCE}
        data["examples"] = [_example_json(comparison) for comparison in self.examples]
        return data


def compare_drafts(marked: Iterable[MarkedPair], drafts: DraftsByPair) -> DraftReport:
    """Compare drafts with final texts.

    Parameters
    ----------
    marked : iterable of MarkedPair
        Pairs in any order.
    drafts : mapping
        Latest drafts by pair_id and region_id.

    Returns
    -------
    DraftReport
    """
    comparisons: list[DraftComparison] = []
    for pair in sorted(marked, key=lambda pair: pair.pair.pair_id):
        comparisons += _compare_pair(pair, drafts.get(pair.pair.pair_id, {}))
    decided = [(entry, entry.final) for entry in comparisons if entry.final is not None]
    return DraftReport(
        _summarise_group("all", comparisons),
        sum(map(len, drafts.values())) - len(comparisons),
        {by: _group_rows(by, comparisons) for by in GROUP_KEYS},
        _count_changes((entry.draft.flaw_type, final.flaw_type) for entry, final in decided),
        _count_changes((entry.draft.severity, final.severity) for entry, final in decided),
        _find_most_changed([entry for entry, _ in decided]),
    )


def _compare_pair(marked: MarkedPair, drafts: Mapping[str, RationaleDraft]) -> list[DraftComparison]:
    regions = {region.region_id: region for region in [*marked.undecided, *marked.decided.values()]}
    doubts: dict[str, list[DraftCheck]] = {}
    for issue in check_pair(marked.pair, regions, drafts):
        doubts.setdefault(issue.region_id, []).append(issue.check)
    return [
        DraftComparison(
            marked.pair.pair_id,
            name,
            regions[name].kind,
            drafts[name],
            tuple(doubts.get(name, ())),
            marked.decided.get(name),
        )
        for name in sorted(drafts.keys() & regions.keys())
    ]


_GROUP_NAMES: dict[GroupKey, Callable[[DraftComparison], Sequence[str]]] = {
    "kind": lambda entry: [entry.kind],
    "flaw_type": lambda entry: [entry.draft.flaw_type or UNKNOWN_GROUP],
    "severity": lambda entry: [entry.draft.severity or UNKNOWN_GROUP],
    "prompt_version": lambda entry: [entry.draft.prompt_version or UNKNOWN_GROUP],
    "model": lambda entry: [entry.draft.model or UNKNOWN_GROUP],
    "check": lambda entry: entry.checks or [PASSED_CHECKS],
}


_GROUP_ORDER: dict[GroupKey, Sequence[str]] = {
    "kind": KINDS,
    "severity": SEVERITIES,
    "check": [*DRAFT_CHECKS, PASSED_CHECKS],
}


def _group_rows(by: GroupKey, comparisons: Iterable[DraftComparison]) -> list[DraftReportRow]:
    groups: dict[str, list[DraftComparison]] = {}
    for entry in comparisons:
        for name in _GROUP_NAMES[by](entry):
            groups.setdefault(name, []).append(entry)
    listed = _GROUP_ORDER.get(by, ())
    names = sorted(groups, key=lambda name: (listed.index(name) if name in listed else len(listed), name))
    return [_summarise_group(name, groups[name]) for name in names]


def _summarise_group(name: str, comparisons: Sequence[DraftComparison]) -> DraftReportRow:
    decided = [entry for entry in comparisons if entry.final is not None]
    distances = [entry.distance for entry in decided]

    def share(counts: Callable[[DraftComparison], bool]) -> WilsonShare:
        return WilsonShare.from_counts(sum(map(counts, decided)), len(decided))

    return DraftReportRow(
        name,
        len(comparisons),
        len(decided),
        share(lambda entry: entry.accepted),
        share(lambda entry: entry.same_text),
        share(lambda entry: entry.changed_type),
        share(lambda entry: entry.changed_severity),
        fmean(distances) if distances else None,
        median(distances) if distances else None,
    )


def _count_changes(words: Iterable[tuple[str | None, str | None]]) -> list[tuple[str, str, int]]:
    counts = Counter((before or UNKNOWN_GROUP, after or UNKNOWN_GROUP) for before, after in words)
    ordered = sorted(counts.items(), key=lambda item: (item[0][0] == item[0][1], -item[1], item[0]))
    return [(*words, count) for words, count in ordered]


def _find_most_changed(decided: Sequence[DraftComparison]) -> list[DraftComparison]:
    changed = [entry for entry in decided if not entry.same_text]
    return sorted(changed, key=lambda entry: (-entry.distance, entry.pair_id, entry.region_id))[:MAX_DRAFT_EXAMPLES]


def _example_json(comparison: DraftComparison) -> dict[str, Any]:
    final = comparison.final
    return {
        "pair_id": comparison.pair_id,
        "region_id": comparison.region_id,
        "draft": {
            "text": comparison.draft.text,
            "flaw_type": comparison.draft.flaw_type,
            "severity": comparison.draft.severity,
        },
        "final": final and {"text": final.rationale, "flaw_type": final.flaw_type, "severity": final.severity},
        "distance": comparison.distance,
        "prompt_version": comparison.draft.prompt_version,
        "model": comparison.draft.model,
    }


def draft_report_rows(report: DraftReport) -> Iterator[tuple[str, DraftReportRow]]:
    """Yield every row with the name of its group; the row of all drafts first."""
    yield "all", report.whole
    for by, group in report.groups.items():
        yield from ((by, row) for row in group)


DRAFT_PAGE_TEMPLATE = "report.html"


DRAFT_PAGE_STYLE = (
    "tbody th{font-weight:550;min-width:9.5em}tbody th bdi{overflow-wrap:break-word}"
    ".n small,.same>*{color:var(--soft)}"
    ".bar{position:relative;display:inline-block;width:64px;height:9px;border-radius:4px;background:var(--line)}"
    ".bar i{position:absolute;top:0;bottom:0;left:0;border-radius:4px;background:var(--accent);opacity:.45}"
    ".bar u{position:absolute;top:2px;bottom:2px;background:var(--accent);min-width:2px}"
    ".two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,340px),1fr));gap:16px}"
    ".example{margin:0 0 12px}.example p{margin:4px 0}.example small{color:var(--soft)}"
)


GROUP_TITLES = {
    "kind": ("By kind of region", ""),
    "flaw_type": ("By drafted flaw type", ""),
    "severity": ("By drafted severity", ""),
    "prompt_version": ("By version of the prompt", ""),
    "model": ("By model", ""),
    "check": (
        "By check",
        "What editfhf draft check finds in the drafts. A draft is in the row of every check that it fails.",
    ),
}


def write_draft_page(out: Path, report: DraftReport, name: str) -> None:
    """Put the page about the corpus called `name` into the file `out`, in one step."""
    pages.write_page(out, render_draft_page(report, name))


def render_draft_page(report: DraftReport, name: str) -> str:
    """The text of the page; every value is escaped by the template engine.  The same report gives the same bytes."""
    whole = report.whole
    return pages.render_page(
        "editfhf.drafting",
        DRAFT_PAGE_TEMPLATE,
        filters={"interval": _format_interval},
        name=name,
        report=report,
        tiles=[
            (f"{whole.drafts:,}", "drafts", f"{report.gone:,} more of regions that are no longer accepted"),
            (f"{whole.decided:,}", "with a final text", f"{whole.drafts - whole.decided:,} are not final yet"),
            (format_percent(whole.accepted.share), "accepted as they were", _format_interval(whole.accepted)),
            (format_decimal(whole.mean_distance, 2), "mean edit distance", "in words, 0 to 1"),
            (format_percent(whole.changed_type.share), "another flaw type", _format_interval(whole.changed_type)),
        ],
        groups=[(by, *GROUP_TITLES[by], report.groups[by]) for by in GROUP_KEYS],
        checks=DRAFT_CHECKS,
        style=pages.page_style(DRAFT_PAGE_STYLE),
    )


def _format_interval(share: WilsonShare) -> str:
    return "" if share.share is None else f"{100 * share.low:.0f} to {100 * share.high:.0f} %"
