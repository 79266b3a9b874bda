"""Campaign options: read, check and write `campaign/campaign.yaml` of a corpus, participants included.

Holds the option models of every part of a campaign and imports no other part of it.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from annotation.campaign.people import Participant, describe_person_error
from annotation.rules import RULE_NAMES, AnnotationRules
from mos.errors import UserError
from mos.files import read_regular_file, replace_file
from mos.plain_yaml import describe_wrong_value, describe_yaml_error, load_plain_yaml
from mos.words import did_you_mean

MIN_RANKED_SCORES = 3
"""Lowest number of scores from which a rank correlation is computed."""


class QualificationOptions(BaseModel):
    """What a candidate needs to qualify.  Each threshold is the lowest value that passes.

    Three rank correlations of at least 0.4 on 10 gold tasks pass 0.2 % of candidates who rate at random, 63 %, 84 % and
    98 % of those whose true correlation with gold is 0.7, 0.8 and 0.9; on 20 tasks 0.01 %, 85 %, 98 % and all
    (simulated, normal scores, three independent dimensions).  With a threshold of 0.6, 45 % of those at 0.8 would fail
    on 10 tasks.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    iou: float = Field(0.5, gt=0, le=1, description="Overlap at which a box is the gold box.")
    min_box_f1: float = Field(0.5, ge=0, le=1, description="F1 of boxes with gold, for each kind of region.")
    disk_reach: float = Field(1.0, ge=0, le=20, description="Distance to a gold disk that is a hit, in radii (H/20).")
    min_disk_hits: float = Field(0.7, ge=0, le=1, description="Share of the disks that hit.")
    min_rank_correlation: float = Field(0.4, ge=-1, le=1, description="Spearman with gold, for each dimension.")
    min_tasks: int = Field(
        5, ge=MIN_RANKED_SCORES, description="Gold tasks that an attempt has, with regions or scores."
    )
    answered: float = Field(1.0, gt=0, le=1, description="Share of an attempt's tasks after which it is judged.")
    attempts: int = Field(2, ge=1, le=20, description="Attempts that a candidate has, each on another gold set.")


MAX_GOLD_RATE = 0.5
"""Highest rate: at most one gold task after every two other tasks."""


class GoldOptions(BaseModel):
    """How much gold is hidden, what agrees with it, and when a participant is flagged.

    A participant is flagged when the upper end of the Wilson interval of their share is below `min_share`, so that a
    few misses flag nobody.  The check runs after every task, so its error rate is higher than that of one interval: of
    participants who truly agree with 90 %, 80 % and 70 % of gold, 0.1 %, 0.9 % and 5 % are flagged at some point in 40
    gold tasks; at 50 %, 40 % and 30 % it is 54 %, 87 % and 99 % (simulated, defaults).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    rate: float = Field(0.05, ge=0, le=MAX_GOLD_RATE, description="Gold tasks for each other task of a stage.")
    iou: float = Field(0.5, gt=0, le=1, description="Overlap at which a box is the gold box.")
    min_f1: float = Field(0.5, ge=0, le=1, description="F1 of the boxes of a task that agrees with gold.")
    tolerance: float = Field(1.0, ge=0, description="Mean difference from the gold scores of a task that agrees.")
    window: int = Field(20, ge=1, description="Latest gold tasks of a person that count.")
    level: float = Field(0.95, gt=0, lt=1, description="Level of the interval.")
    min_share: float = Field(0.6, ge=0, le=1, description="Share of gold tasks that a person should agree with.")


class RedoOptions(BaseModel):
    """Thresholds of the reasons for which a task should be done again."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    iou: float = Field(0.3, gt=0, le=1, description="Overlap at which two people mean the same flaw.")
    alone_below: float = Field(0.1, ge=0, le=1, description="F1 with every other below which a person is alone.")
    others_above: float = Field(0.5, ge=0, le=1, description="F1 among the others from which these agree.")
    hasty_share: float = Field(0.2, ge=0, le=1, description="Share of the usual time below which a task is hasty.")
    hasty_deviations: float = Field(3.0, ge=0, description="And so many robust deviations of log time below it.")
    least_times: int = Field(20, ge=2, description="Known times without which no task is hasty.")
    same_scores: int = Field(6, ge=2, description="Tasks in a row with the same scores that are too many.")
    rounds: int = Field(1, ge=0, description="Answers of this round (from 0) and later ones are left as they are.")


HIDDEN_GOLD_STAGES: tuple[CampaignStage, ...] = ("regional", "scoring")
"""Stages in which gold is hidden; in the others, participants build on each other's work."""


CAMPAIGN_FOLDER = "campaign"


CAMPAIGN_FILE = "campaign.yaml"


MAX_CAMPAIGN_FILE = 1 << 20


CampaignStage = Literal["qualification", "prompt_check", "regional", "expert", "textual", "expert_text", "scoring"]


PairStage = Literal["prompt_check", "regional", "expert", "textual", "scoring"]


DEFAULT_PAIR_STAGES: tuple[PairStage, ...] = ("regional", "expert", "textual", "scoring")
"""Steps of every pair unless the options set others."""


PAIR_STAGES: tuple[PairStage, ...] = ("prompt_check", *DEFAULT_PAIR_STAGES)


CAMPAIGN_STAGES: tuple[CampaignStage, ...] = (
    "qualification",
    "prompt_check",
    "regional",
    "expert",
    "textual",
    "expert_text",
    "scoring",
)
"""Every stage of which there are tasks; the qualification judges candidates, all others work on pairs."""


CampaignId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]


class CampaignOptions(BaseModel):
    """Everything that decides which tasks a campaign has.  Holds no secrets."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    campaign_id: CampaignId
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    url: str = Field("http://127.0.0.1:8080", description="Address of Label Studio.")
    pictures: str | None = Field(None, description="Address of images/ for browsers; none: Label Studio serves them.")
    seed: int = 0
    steps: tuple[PairStage, ...] = Field(DEFAULT_PAIR_STAGES, description="Steps of every pair, in this order.")
    checkers: int = Field(3, ge=1, le=100, description="People who check the instruction of each pair.")
    annotators: int = Field(3, ge=2, le=100, description="People who mark the regions of each pair.")
    raters: int = Field(15, ge=1, le=1000, description="People who score each pair.")
    rounds: int = Field(3, ge=1, le=20, description="Rounds of the reviewers before a text goes to the expert.")
    rules: AnnotationRules = Field(AnnotationRules(), description="What the campaign and a build of it accept.")
    wait_for_drafts: bool = Field(False, description="Whether reviewers start only when every region has a draft.")
    qualification: QualificationOptions | None = Field(
        None, description="What candidates need to qualify; none: no qualification."
    )
    gold: GoldOptions | None = Field(None, description="How much gold is hidden among the tasks; none: no gold.")
    redo: RedoOptions | None = Field(None, description="When a task should be done again; none: the defaults.")
    people: tuple[Participant, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _gather_rules(cls, data: Any) -> Any:
        """Move rules that files of earlier versions keep at the top level into `rules`."""
        flat = {key: data[key] for key in RULE_NAMES if key in data} if isinstance(data, dict) else {}
        rules = data.get("rules", {}) if flat else {}
        if not flat or not isinstance(rules, dict):
            return data
        for key, value in flat.items():
            if rules.get(key, value) != value:
                raise ValueError(f"{key} is given twice: {value!r}, and {rules[key]!r} in rules. Remove the first")
        return {key: value for key, value in data.items() if key not in flat} | {"rules": flat | rules}

    @field_validator("rules")
    @classmethod
    def _can_be_reviewed(cls, rules: AnnotationRules) -> AnnotationRules:
        if rules.reviewers < 2:
            raise ValueError(f"reviewers: expected at least 2 people who agree on each text, got {rules.reviewers}")
        return rules

    @field_validator("steps")
    @classmethod
    def _check_stage_order(cls, steps: tuple[PairStage, ...]) -> tuple[PairStage, ...]:
        if not steps or list(steps) != [step for step in PAIR_STAGES if step in steps]:
            raise ValueError(f"expected some of {', '.join(PAIR_STAGES)}, each once and in this order")
        needed: dict[PairStage, PairStage] = {"expert": "regional", "textual": "expert"}
        for step, before in needed.items():
            if step in steps and before not in steps:
                raise ValueError(f"the step {step!r} needs the result of {before!r}: add that step")
        return steps

    @model_validator(mode="after")
    def _check_people_differ(self) -> Self:
        for field, values in (
            ("person_id", [person.person_id for person in self.people]),
            ("email", [person.email for person in self.people]),
        ):
            value, count = next(iter(Counter(values).most_common(1)), ("", 0))
            if count > 1:
                raise ValueError(
                    f"the {field} {value!r} occurs {count} times among the people: give each person their own"
                )
        if self.rules.min_support > self.annotators:
            raise ValueError(f"min_support {self.rules.min_support} is more than the {self.annotators} annotators")
        return self

    @property
    def task_stages(self) -> frozenset[CampaignStage]:
        """The stages in which pairs have tasks: the steps, and the expert's texts where texts are reviewed."""
        return frozenset((*self.steps, "expert_text") if "textual" in self.steps else self.steps)

    def text(self) -> str:
        """The options as YAML text, which `read_campaign_options` reads."""
        data = self.model_dump(mode="json")
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120)


CAMPAIGN_SECTIONS: dict[str, type[BaseModel]] = {
    "people": Participant,
    "rules": AnnotationRules,
    "qualification": QualificationOptions,
    "gold": GoldOptions,
    "redo": RedoOptions,
}
"""Option models of the nested sections of campaign.yaml."""


def read_campaign_options(corpus: Path) -> CampaignOptions:
    """Read the options of the campaign in a corpus.

    Parameters
    ----------
    corpus
        Folder of the corpus; the options are in its `campaign/campaign.yaml`.

    Returns
    -------
    CampaignOptions

    Raises
    ------
    UserError
        There is no campaign, or the file is not valid YAML, or a key or value in it is wrong.
    """
    path = corpus / CAMPAIGN_FOLDER / CAMPAIGN_FILE
    if not path.is_file():
        raise UserError(f"There is no campaign in {corpus}: expected {path}. Make it with: editfhf annotate create")
    return parse_campaign_options(load_options_yaml(path), str(path))


def load_options_yaml(path: Path) -> dict[str, Any]:
    """Read the keys and values of a YAML file of campaign options.

    Raises
    ------
    UserError
        The file is larger than 1 MiB, cannot be read, is not valid YAML, or does not hold keys and values.
    """
    try:
        if path.stat().st_size > MAX_CAMPAIGN_FILE:
            raise UserError(f"{path} is larger than {MAX_CAMPAIGN_FILE:,} bytes: expected the options of a campaign.")
        data = load_plain_yaml(read_regular_file(path).decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({error.__class__.__name__}). Expected a YAML file.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        where = describe_yaml_error(error)
        raise UserError(f"{path} is not valid YAML{where}. Correct it; quote texts with a colon.") from None
    if not isinstance(data, dict):
        raise UserError(f"{path} must hold keys and values such as 'campaign_id: pilot'.")
    return data


def parse_campaign_options(data: dict[str, Any], file: str) -> CampaignOptions:
    """Check campaign options.

    Parameters
    ----------
    data
        Keys and values, as in `campaign.yaml`.
    file
        Name of their file, for error messages.

    Raises
    ------
    UserError
        Names the file, the wrong key or value, and the nearest known key.
    """
    try:
        return CampaignOptions.model_validate(data)
    except ValidationError as error:
        raise UserError(f"{file}: {_describe_option_error(error)}") from None


def make_default_options(corpus_name: str, people: list[dict[str, Any]], file: str) -> CampaignOptions:
    """Return the default options for a corpus.

    Parameters
    ----------
    corpus_name
        Name of the corpus, from which the campaign takes its name and id.
    people
        Participants, as `read_people_table` gives them.
    file
        Name of the table of participants, for error messages.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", corpus_name.lower()).strip("-")[:40].strip("-") or "campaign"
    return parse_campaign_options({"campaign_id": slug, "name": corpus_name, "people": people}, file)


def write_campaign_options(corpus: Path, options: CampaignOptions, force: bool = False) -> bool:
    """Write the options to `campaign/campaign.yaml` of a corpus.

    Returns
    -------
    bool
        Whether the file changed.

    Raises
    ------
    UserError
        The file exists and holds other options, unless `force`.
    """
    path = corpus / CAMPAIGN_FOLDER / CAMPAIGN_FILE
    if path.exists():
        if not force and read_campaign_options(corpus) != options:
            raise UserError(f"{path} exists and holds other options. Edit it, or replace it with --force.")
        if read_regular_file(path).decode("utf-8-sig") == options.text() or not force:
            return False
    path.parent.mkdir(exist_ok=True)
    replace_file(path, options.text().encode())
    return True


def _describe_option_error(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    if len(fault["loc"]) > 1 and fault["loc"][0] == "people":
        number = fault["loc"][1]
        return f"entry {int(number) + 1} of people: {describe_person_error(fault, 2)}"
    parts = [str(part) for part in fault["loc"]]
    place = ".".join(parts) or "the options"
    if fault["type"] == "extra_forbidden":
        section = CAMPAIGN_SECTIONS.get(parts[0] if len(parts) > 1 else "", CampaignOptions)
        known = {name: name for name in sorted(section.model_fields)}
        hinted = known if section is not CampaignOptions else {name: f"rules.{name}" for name in RULE_NAMES} | known
        hint = did_you_mean(parts[-1], hinted)
        for name, written in hinted.items():
            hint = hint.replace(repr(name), repr(written))
        return f"unknown key {place[:80]!r}.{hint} Available: {', '.join(known)}."
    came = "" if isinstance(fault["input"], (dict, BaseModel)) else f", got {repr(fault['input'])[:80]}"
    return f"{place}: {describe_wrong_value(fault)}{came}. Correct it."
