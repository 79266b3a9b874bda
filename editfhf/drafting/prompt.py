"""Prompts: versioned YAML files with the texts that are sent to a model (`prompts/v1.yaml` explains the format)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from string import Template
from typing import Annotated

import orjson
import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from annotation import images
from annotation.records import SEVERITIES, Kind, Severity
from annotation.taxonomy import load_flaw_definitions
from editfhf.chat import EncodedImage
from editfhf.drafting.pair_images import DraftImageEncoding, encode_image
from mos.errors import UserError
from mos.files import read_regular_file
from mos.plain_yaml import describe_wrong_value, describe_yaml_error, load_plain_yaml
from mos.words import did_you_mean

PROMPT_FOLDER = Path(__file__).with_name("prompts")
DEFAULT_PROMPT = "v1"
MAX_PROMPT_BYTES = 1 << 20

PromptText = Annotated[str, StringConstraints(min_length=1, max_length=100_000)]


class _StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PromptExampleRegion(_StrictModel):
    """One region in the answer of an example."""

    number: int = Field(ge=1)
    flaw_type: str
    severity: Severity
    reasoning: PromptText


class PromptExample(_StrictModel):
    """An example for the model: images (files next to the prompt file), a text, and the right answer."""

    text: PromptText
    pictures: tuple[str, ...] = ()
    regions: tuple[PromptExampleRegion, ...]


class ImageCaptions(_StrictModel):
    """Text before each image."""

    source: PromptText
    edited: PromptText
    numbered: PromptText


class PromptWording(_StrictModel):
    """The content of a prompt file."""

    version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]
    system: PromptText
    pictures: ImageCaptions
    examples: tuple[PromptExample, ...] = ()
    task: PromptText
    again: PromptText


REQUIRED_PLACEHOLDERS: dict[str, frozenset[str]] = {
    "system": frozenset({"artifact_types", "failure_types", "severities"}),
    "task": frozenset({"instruction", "regions"}),
    "again": frozenset({"problems"}),
}
"""Placeholders of each text: all of these and no others."""


@dataclass(frozen=True)
class DraftPrompt:
    """A prompt ready for use; `name` is its version and a digest of its content, example images included."""

    wording: PromptWording
    examples: tuple[str | EncodedImage, ...]
    digest: str

    @property
    def name(self) -> str:
        return f"{self.wording.version}-{self.digest[:12]}"

    @cached_property
    def system(self) -> str:
        """System message, with the closed lists filled in."""
        return Template(self.wording.system).substitute(
            artifact_types=_list_flaw_types("artifact"),
            failure_types=_list_flaw_types("failure"),
            severities=", ".join(SEVERITIES),
        )

    def task(self, instruction: str, regions: str) -> str:
        """Text of the question; the caller must have quoted untrusted text (see `requests.quote_untrusted`)."""
        return Template(self.wording.task).substitute(instruction=instruction, regions=regions)

    def again(self, problems: str) -> str:
        """Text that is added when regions of an earlier reply were rejected."""
        return Template(self.wording.again).substitute(problems=problems)


def read_prompt(name: str = DEFAULT_PROMPT, encoding: DraftImageEncoding | None = None) -> DraftPrompt:
    """Read a prompt of the package by its name, or one in a file.

    Parameters
    ----------
    name : str
        Name such as "v1", or path of a YAML file.
    encoding : DraftImageEncoding, optional
        Encoding of example images.

    Raises
    ------
    UserError
        The file does not exist, is no valid prompt, or names an unusable image.
    """
    path = _find_prompt(name)
    try:
        if path.stat().st_size > MAX_PROMPT_BYTES:
            raise UserError(f"The prompt {path} is larger than {MAX_PROMPT_BYTES:,} bytes: expected a short YAML file.")
        data = read_regular_file(path)
        wording = PromptWording.model_validate(load_plain_yaml(data.decode("utf-8-sig")))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The prompt {path} cannot be read ({type(error).__name__}). Expected a YAML file.") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        message = describe_wrong_value(first)
        raise UserError(f"The prompt {path} is invalid at {place}: {message}. Compare it with v1.yaml.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        where = describe_yaml_error(error)
        raise UserError(f"The prompt {path} is not valid YAML{where}. Compare it with v1.yaml.") from None
    _check_placeholders(path, wording)
    examples = _render_examples(path, wording, encoding or DraftImageEncoding())
    digest = hashlib.sha256(orjson.dumps(wording.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS))
    for part in examples:
        digest.update(b"" if isinstance(part, str) else part.digest.encode())
    # The closed lists of flaw types are part of the prompt.
    lists: Mapping[Kind, Mapping[str, str]] = load_flaw_definitions()
    digest.update(orjson.dumps(lists, option=orjson.OPT_SORT_KEYS))
    return DraftPrompt(wording, examples, digest.hexdigest())


def _find_prompt(name: str) -> Path:
    shipped = {path.stem: path for path in sorted(PROMPT_FOLDER.glob("*.yaml"))}
    if name in shipped:
        return shipped[name]
    path = Path(name)
    if path.is_file():
        return path
    hint = did_you_mean(name, shipped)
    raise UserError(f"No prompt {name[:200]!r}: expected a file, or one of {', '.join(shipped)}.{hint}")


def _check_placeholders(path: Path, wording: PromptWording) -> None:
    for field, wanted in REQUIRED_PLACEHOLDERS.items():
        template = Template(getattr(wording, field))
        if not template.is_valid() or set(template.get_identifiers()) != wanted:
            names = ", ".join(f"${name}" for name in sorted(wanted))
            raise UserError(f"The prompt {path}: expected `{field}` to contain {names} and no other; write $$ for $.")


def _render_examples(
    path: Path, wording: PromptWording, encoding: DraftImageEncoding
) -> tuple[str | EncodedImage, ...]:
    parts: list[str | EncodedImage] = []
    for example in wording.examples:
        for name in example.pictures:
            data = images.read_image_bytes(path.parent, name)
            parts.append(encode_image(images.decode_thumbnail(data, max_side=encoding.max_side), encoding.format))
        answer = orjson.dumps({"regions": [region.model_dump() for region in example.regions]}).decode()
        parts.append(f"{example.text.strip()}\nThe answer:\n{answer}")
    return tuple(parts)


def _list_flaw_types(kind: Kind) -> str:
    return "\n".join(f"- {name}: {meaning}" for name, meaning in load_flaw_definitions()[kind].items())
