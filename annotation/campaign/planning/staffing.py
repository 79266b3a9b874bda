"""How many people each stage of a pair needs, and which stages have too few."""

from __future__ import annotations

from dataclasses import replace

from annotation.campaign.options import CampaignOptions, CampaignStage
from annotation.campaign.planning.assignment import StageNeed

OPTION_OF_STAGE: dict[str, tuple[str, int]] = {
    "prompt_check": ("checkers", 1),
    "regional": ("annotators", 2),
    "textual": ("rules.reviewers", 2),
    "scoring": ("raters", 1),
}
"""The option that says how many people a stage needs, and its lowest value; the others need one expert."""


def describe_missing_people(options: CampaignOptions) -> list[str]:
    """A sentence about each stage with fewer active people than it needs, with every remedy."""
    sentences = []
    for need in stage_needs(options):
        found = sum(person.active and need.role in person.roles for person in options.people)
        if found >= need.count:
            continue
        option, least = OPTION_OF_STAGE.get(need.stage, ("", 1))
        lower = f", or set {option} to {found} (the least is {least})" if option and found >= least else ""
        sentences.append(
            f"Stage {need.stage}: expected at least {need.count} people with the role {need.role!r}, found {found}. "
            f"Give the role to more people{lower}."
        )
    return sentences


def stage_needs(options: CampaignOptions) -> tuple[StageNeed, ...]:
    """Return what each stage of a pair needs, in the order of the stages."""
    asked = options.qualification is not None
    stages = options.task_stages
    needs: dict[CampaignStage, StageNeed] = {
        "prompt_check": StageNeed("prompt_check", "checker", options.checkers, asked),
        "regional": StageNeed("regional", "regional", options.annotators, asked),
        "expert": StageNeed("expert", "expert", 1, asked, apart_from=("regional",)),
        "textual": StageNeed("textual", "reviewer", options.rules.reviewers, asked),
        "expert_text": StageNeed("expert_text", "expert", 1, asked, apart_from=("textual",)),
        "scoring": StageNeed("scoring", "rater", options.raters, asked),
    }
    return tuple(
        replace(need, apart_from=tuple(earlier for earlier in need.apart_from if earlier in stages))
        for stage, need in needs.items()
        if stage in stages
    )
