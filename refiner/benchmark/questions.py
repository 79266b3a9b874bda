"""The requests to a judge, from the prompts in `prompts/`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from string import Template
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, create_model

from annotation.images import RgbImage
from editfhf.chat import EncodedImage, ModelRequest
from editfhf.drafting.requests import quote_untrusted
from mos.files import read_regular_file
from mos.plain_yaml import load_plain_yaml
from refiner.benchmark.suites import Question, Suite
from training.served.prompt import encode_shown_image
from training.served.server import ServedOptions

PROMPT_FILE = Path(__file__).with_name("prompts") / "v1.yaml"

DIGEST_DIGITS = 12


class JudgePrompt(BaseModel):
    """The content of the prompt file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str
    pictures: Mapping[str, str]
    system: str
    task: str
    criteria: Mapping[str, str]

    def fill_system(self, suite: Suite, question: Question) -> str:
        """The system message of a question."""
        listed = "\n".join(f"- {name}: {self.criteria[name]}" for name in question.criteria)
        return Template(self.system).substitute(low=suite.low, high=suite.high, criteria=listed)


@lru_cache(maxsize=1)
def read_judge_prompt() -> JudgePrompt:
    """The prompts of the package."""
    return JudgePrompt.model_validate(load_plain_yaml(read_regular_file(PROMPT_FILE).decode()))


@lru_cache
def make_reply_model(suite: Suite, question: Question) -> type[BaseModel]:
    """The schema of a reply: observations, then a whole number for each criterion."""
    points = Annotated[int, Field(ge=suite.low, le=suite.high)]
    fields: dict[str, Any] = {"observations": (str, ...), **dict.fromkeys(question.criteria, (points, ...))}
    return create_model(f"Reply_{question.name}", __config__=ConfigDict(extra="forbid"), **fields)


def describe_prompt(suite: Suite, question: Question) -> str:
    """Version of the prompts and digest of what is asked, parameters and images left out."""
    prompt = read_judge_prompt()
    asked = [prompt.fill_system(suite, question), prompt.task, dict(prompt.pictures)]
    digest = hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return f"{prompt.version}-{digest[:DIGEST_DIGITS]}"


def describe_transform(options: ServedOptions) -> str:
    """What is done to an image before it is sent."""
    return f"longer side at most {options.max_side} px, {options.picture_format}"


def build_question(
    suite: Suite, question: Question, options: ServedOptions, images: Mapping[str, RgbImage], instruction: str,
    repeat: int,
) -> ModelRequest:  # fmt: skip
    """The request that asks a question about a sample.

    Parameters
    ----------
    suite, question
    options : ServedOptions
    images : mapping
        "source" and "edited", uint8 [H, W, 3].
    instruction : str
        Untrusted; it is sent as data.
    repeat : int
        From 0. A repeat is a request of its own, so that the cache does not answer it with the first reply.
    """
    prompt = read_judge_prompt()
    parts: list[str | EncodedImage] = []
    for name in ("source", "edited") if question.shows_source else ("edited",):
        parts += [prompt.pictures[name], encode_shown_image(images[name], options)]
    parts.append(Template(prompt.task).substitute(instruction=quote_untrusted(instruction)))
    seeds: dict[str, Any] = {"seed": repeat} if repeat else {}
    return ModelRequest(
        name=question.name,
        model=options.model,
        system=prompt.fill_system(suite, question),
        parts=tuple(parts),
        reply=make_reply_model(suite, question),
        prompt_version=describe_prompt(suite, question),
        max_output_tokens=options.max_output_tokens,
        parameters=dict(options.parameters) | seeds,
    )
