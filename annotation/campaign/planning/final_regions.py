"""The accepted regions of a pair, and whether anybody may still change them."""

from __future__ import annotations

from annotation.campaign.model import NO_WORK, CampaignRecord, PairStatus, PairWork
from annotation.consensus import PairConsensus, resolve_regions
from annotation.records import PairSubmissions, Region
from annotation.rules import AnnotationRules


def accepted_outcome(pair_id: str, work: PairWork, rules: AnnotationRules) -> PairConsensus:
    """The accepted regions of a pair, without the texts of the reviewers.

    Parameters
    ----------
    pair_id
        The pair.
    work
        Its submissions that count.
    rules
        The rules of the campaign; a build with these rules accepts the same regions.
    """
    return resolve_regions(pair_id, PairSubmissions(work.regional, work.expert), rules, lambda rejection: None)


def find_final_regions(record: CampaignRecord, status: PairStatus) -> tuple[Region, ...] | None:
    """The accepted regions of a pair, without texts; None while annotators or an expert may still change them."""
    if status.step not in ("textual", "scoring", None):
        return None
    work = record.work.get(status.pair_id, NO_WORK)
    return accepted_outcome(status.pair_id, work, record.options.rules).regions
