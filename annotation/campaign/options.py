"""The options of a campaign: what `campaign/campaign.yaml` in a corpus may say, checked."""

from __future__ import annotations

import difflib
import os
import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from annotation.campaign.gold.agreement import GoldOptions
from annotation.campaign.gold.qualification import QualificationOptions
from annotation.campaign.people import Person
from annotation.campaign.planning.assignment import Need
from annotation.campaign.quality.redo import RedoOptions
from mos.errors import UserError

FOLDER = "campaign"
FILE = "campaign.yaml"
MAX_FILE = 1 << 20

Stage = Literal["qualification", "prompt_check", "regional", "expert", "textual", "expert_text", "scoring"]
Step = Literal["prompt_check", "regional", "expert", "textual", "scoring"]
STEPS: tuple[Step, ...] = ("regional", "expert", "textual", "scoring")
"""What is done with every pair unless the options say otherwise."""
KNOWN_STEPS: tuple[Step, ...] = ("prompt_check", *STEPS)
STAGES: tuple[Stage, ...] = ("qualification", "prompt_check", "regional", "expert", "textual", "expert_text", "scoring")
"""Every kind of task; the qualification is about people, all others are about pairs."""

CampaignId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]


class Options(BaseModel):
    """Everything that decides which tasks a campaign has; no secrets."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    campaign_id: CampaignId
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    url: str = Field("http://127.0.0.1:8080", description="Where Label Studio answers.")
    pictures: str | None = Field(None, description="Where browsers get images/ from; none: from Label Studio itself.")
    seed: int = 0
    steps: tuple[Step, ...] = Field(STEPS, description="What is done with every pair, in this order.")
    checkers: int = Field(3, ge=1, le=100, description="People who check the instruction of each pair.")
    annotators: int = Field(3, ge=2, le=100, description="People who mark the regions of each pair.")
    reviewers: int = Field(3, ge=2, le=100, description="People who must agree on each text.")
    raters: int = Field(15, ge=1, le=1000, description="People who score each pair.")
    rounds: int = Field(3, ge=1, le=20, description="Rounds of the reviewers before a text goes to the expert.")
    scale: tuple[float, float] = Field((1.0, 5.0), description="Lowest and highest score.")
    min_support: int = Field(2, ge=1, le=100, description="Annotators who must have drawn a region to propose it.")
    iou: float = Field(0.5, gt=0, le=1, description="Overlap at which two boxes are the same region.")
    wait_for_drafts: bool = Field(False, description="Whether reviewers start only when every region has a draft.")
    qualification: QualificationOptions | None = Field(None, description="What candidates need; none: nobody is asked.")
    gold: GoldOptions | None = Field(None, description="How much gold is hidden among the tasks; none: nothing is.")
    redo: RedoOptions | None = Field(None, description="When a task should be done again; none: the defaults.")
    people: tuple[Person, ...] = ()

    @field_validator("steps")
    @classmethod
    def _makes_sense(cls, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        if not steps or list(steps) != [step for step in KNOWN_STEPS if step in steps]:
            raise ValueError(f"expected some of {', '.join(KNOWN_STEPS)}, each once and in this order")
        needed: dict[Step, Step] = {"expert": "regional", "textual": "expert"}
        for step, before in needed.items():
            if step in steps and before not in steps:
                raise ValueError(f"the step {step!r} works on what {before!r} gives: add it")
        return steps

    @field_validator("scale")
    @classmethod
    def _ascends(cls, scale: tuple[float, float]) -> tuple[float, float]:
        if scale[0] >= scale[1]:
            raise ValueError("expected the lowest score before the highest")
        return scale

    @model_validator(mode="after")
    def _people_differ(self) -> Self:
        for field, values in (
            ("person_id", [person.person_id for person in self.people]),
            ("email", [person.email for person in self.people]),
        ):
            value, count = next(iter(Counter(values).most_common(1)), ("", 0))
            if count > 1:
                raise ValueError(f"the {field} {value!r} is there {count} times among the people")
        if self.min_support > self.annotators:
            raise ValueError(f"min_support {self.min_support} is more than the {self.annotators} annotators")
        return self

    def needs(self) -> tuple[Need, ...]:
        """What each stage of a pair needs, in the order of the stages."""
        asked = self.qualification is not None
        every: dict[Stage, Need] = {
            "prompt_check": Need("prompt_check", "checker", self.checkers, asked),
            "regional": Need("regional", "regional", self.annotators, asked),
            "expert": Need("expert", "expert", 1, asked, apart_from=("regional",)),
            "textual": Need("textual", "reviewer", self.reviewers, asked),
            "expert_text": Need("expert_text", "expert", 1, asked, apart_from=("textual",)),
            "scoring": Need("scoring", "rater", self.raters, asked),
        }
        wanted = {*self.steps, *(("expert_text",) if "textual" in self.steps else ())}
        return tuple(
            Need(need.stage, need.role, need.count, need.qualified, tuple(s for s in need.apart_from if s in wanted))
            for stage, need in every.items()
            if stage in wanted
        )

    def text(self) -> str:
        """The options as the YAML file that `parse_options` reads."""
        data = self.model_dump(mode="json")
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120)


SECTIONS: dict[str, type[BaseModel]] = {
    "people": Person,
    "qualification": QualificationOptions,
    "gold": GoldOptions,
    "redo": RedoOptions,
}
"""What the keys that hold keys themselves may hold."""


def read_options(corpus: Path) -> Options:
    """The options of the campaign in a corpus; `UserError` when there is none, or the file is wrong."""
    path = corpus / FOLDER / FILE
    if not path.is_file():
        raise UserError(f"There is no campaign in {corpus}: expected {path}. Make it with: editfhf annotate create")
    return parse_options(load_yaml(path), str(path))


def load_yaml(path: Path) -> dict[str, Any]:
    """The keys and values of a YAML file; `UserError` when it cannot be read or holds something else."""
    try:
        if path.stat().st_size > MAX_FILE:
            raise UserError(f"{path} is larger than {MAX_FILE:,} bytes: expected the options of a campaign.")
        data = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({error.__class__.__name__}). Expected a YAML file.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise UserError(f"{path} is not valid YAML{where}. Correct it; quote texts with a colon.") from None
    if not isinstance(data, dict):
        raise UserError(f"{path} must hold keys and values such as 'campaign_id: pilot'.")
    return data


def parse_options(data: dict[str, Any], file: str) -> Options:
    """Options from keys and values; `UserError` says which key of which file is wrong, and the nearest right one."""
    try:
        return Options.model_validate(data)
    except ValidationError as error:
        raise UserError(f"{file}: {_sentence(error)}") from None


def new_options(corpus_name: str, people: list[dict[str, Any]], file: str) -> Options:
    """The default campaign for a corpus and the people of a table."""
    slug = re.sub(r"[^a-z0-9]+", "-", corpus_name.lower()).strip("-")[:40].strip("-") or "campaign"
    return parse_options({"campaign_id": slug, "name": corpus_name, "people": people}, file)


def write_options(corpus: Path, options: Options, force: bool = False) -> bool:
    """Write the options into the corpus; whether that changed anything.

    `UserError` when other options are there already, unless `force`.
    """
    path = corpus / FOLDER / FILE
    if path.exists():
        if not force and read_options(corpus) != options:
            raise UserError(f"{path} is there already and says something else. Edit it, or say --force to replace it.")
        if path.read_text(encoding="utf-8-sig") == options.text() or not force:
            return False
    path.parent.mkdir(exist_ok=True)
    draft = path.with_name(f".{FILE}.draft")
    with draft.open("w", encoding="utf-8") as stream:
        stream.write(options.text())
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)
    return True


def _sentence(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    parts = [str(part) for part in fault["loc"]]
    place = ".".join(parts) or "the options"
    if fault["type"] == "extra_forbidden":
        known = sorted(SECTIONS.get(parts[0] if len(parts) > 1 else "", Options).model_fields)
        near = difflib.get_close_matches(parts[-1], known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return f"unknown key {place[:80]!r}.{hint} Available: {', '.join(known)}."
    came = "" if isinstance(fault["input"], dict) else f", got {repr(fault['input'])[:80]}"
    return f"{place}: {fault['msg'].removeprefix('Value error, ')}{came}. Correct it."
