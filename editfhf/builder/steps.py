"""The steps of a build, and the counts of what goes in and out of each.

`BUILD_STEPS` is the one list: progress bars, the manifest, the card, the report and the summary name these steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic import BaseModel

from annotation.records import DIMENSIONS, Rejection
from editfhf.builder.ratings import ScoredRatings
from editfhf.manifest import ManifestStep
from mos.rejections import rejection_as_dict

# Titles of the progress bars; a bar shows several steps that are done together.
CHECKING_PHASE, SCORING_PHASE, SHARDS_PHASE = "Reading and checking", "Scoring ratings", "Writing shards"
PREVIEW_PHASE, REPORT_PHASE = "Reading regions", "Writing tables and report"


class StepDefinition(NamedTuple):
    """One step: its name in files and tables, the progress bar that shows it, and the kinds of rejection it counts."""

    name: str
    phase: str
    rejects: tuple[str, ...] = ()


BUILD_STEPS = (
    StepDefinition("files", CHECKING_PHASE, ("file",)),
    StepDefinition("pairs", CHECKING_PHASE, ("pair",)),
    StepDefinition("images", CHECKING_PHASE),
    StepDefinition("pairs with images", CHECKING_PHASE, ("image",)),
    StepDefinition("annotations", SHARDS_PHASE, ("annotation",)),
    StepDefinition("boxes", SHARDS_PHASE, ("box", "disk", "result")),
    StepDefinition("regions", SHARDS_PHASE, ("region",)),
    StepDefinition("rationales", SHARDS_PHASE, ("rationale",)),
    StepDefinition("flags", SHARDS_PHASE, ("flag",)),
    StepDefinition("ratings", SCORING_PHASE, ("rating",)),
    StepDefinition("ratings behind scores", SCORING_PHASE),
    StepDefinition("scores", SCORING_PHASE, ("score",)),
)
STEP_OF_REJECTION = {kind: step.name for step in BUILD_STEPS for kind in step.rejects}
"""Name of the step by `Rejection.what`; other kinds count as "files"."""


class ShardCounts(BaseModel):
    """Counts and rejections of one shard, annotators under their pseudonyms; they are kept in the shard's footer."""

    counts: dict[str, int]
    people: dict[str, dict[str, int]]
    rejections: list[dict[str, Any]] = []

    def list_rejections(self) -> list[Rejection]:
        """The rejections as records."""
        return [Rejection(**rejection) for rejection in self.rejections]


@dataclass
class BuildCounts:
    """Counts that add up over shards, and the rejections of the shard that is being made.

    Attributes
    ----------
    counts : Counter
        By name, such as "boxes" and "boxes_accepted".
    people : dict
        Counts by annotator: by id in a shard, by pseudonym over shards.
    rejections : list of Rejection
        Of this shard. The worker returns them; the main process gives them to the `RejectionSink`.
    """

    counts: Counter[str] = field(default_factory=Counter)
    people: dict[str, Counter[str]] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)

    def person(self, annotator_id: str) -> Counter[str]:
        """The counts of one annotator."""
        return self.people.setdefault(annotator_id, Counter())

    def summarise(self, pseudonyms: Mapping[str, str]) -> ShardCounts:
        """The counts and rejections with every annotator under a pseudonym."""
        return ShardCounts(
            counts=dict(self.counts),
            people={pseudonyms[person]: dict(counts) for person, counts in self.people.items()},
            rejections=[
                rejection_as_dict(rejection) | {"annotator_id": pseudonyms.get(rejection.annotator_id or "")}
                for rejection in self.rejections
            ],
        )

    def add(self, shard: ShardCounts) -> None:
        """Add the counts of a finished shard; its rejections are not added."""
        self.counts.update(shard.counts)
        for annotator_id, counts in shard.people.items():
            self.person(annotator_id).update(counts)


def count_steps(files: int, tally: BuildCounts, scored: ScoredRatings) -> dict[str, tuple[int, int]]:
    """(in, out) by name of the step.

    Parameters
    ----------
    files
        Number of files of the corpus that are not images.
    tally
        Counts over all shards.
    scored
        The scored ratings.
    """
    counts = tally.counts
    scores = scored.scores["mos"]
    return {
        "files": (files, files),
        "pairs": (counts["pairs_read"] + counts["pairs_refused"], counts["pairs_read"]),
        "images": (counts["images"], counts["images_usable"]),
        "pairs with images": (counts["pairs_read"], counts["pairs_usable"]),
        "annotations": (counts["regions_in"] + counts["expert_in"], counts["regions_read"] + counts["expert_read"]),
        "boxes": (counts["boxes"], counts["boxes_accepted"]),
        "regions": (counts["regions"] + counts["regions_flagged"], counts["regions"]),
        "rationales": (counts["regions"], counts["rationales_final"]),
        "flags": (counts["flags"], counts["flags"]),
        "ratings": (len(scored.table), len(scored.ratings)),
        "ratings behind scores": (int(scored.usable.sum()), int((scored.result.status == 0).sum())),
        "scores": (counts["pairs_usable"] * len(DIMENSIONS), len(scores) - scores.null_count),
    }


def tabulate_steps(
    counts: Mapping[str, tuple[int, int]], rejected: Mapping[tuple[str, str], int]
) -> list[ManifestStep]:
    """One row per step of `counts`: in, out, number of rejections and their reasons.

    Parameters
    ----------
    counts
        (in, out) by name of the step, in the order of the rows.
    rejected
        Number of rejections by (what, reason).
    """
    reasons = {name: _count_reasons(name, rejected.items()) for name in counts}
    return [
        ManifestStep(
            stage=name,
            entered=entered,
            left=left,
            set_aside=sum(reasons[name].values()),
            reasons=dict(sorted(reasons[name].items())),
        )
        for name, (entered, left) in counts.items()
    ]


def _count_reasons(name: str, rejected: Iterable[tuple[tuple[str, str], int]]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for (what, reason), count in rejected:
        if STEP_OF_REJECTION.get(what, "files") == name:
            counted[reason] += count
    return counted
