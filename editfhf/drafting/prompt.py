"""Prompts: versioned YAML files that say how a model is asked (`prompts/v1.yaml` explains the format)."""

from __future__ import annotations

import difflib
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
from annotation.flaws import definitions
from annotation.records import SEVERITIES, Kind, Severity
from editfhf.chat import Picture
from editfhf.drafting.shown import Encoding, encode
from mos.errors import UserError

FOLDER = Path(__file__).with_name("prompts")
DEFAULT = "v1"
MAX_BYTES = 1 << 20

Text = Annotated[str, StringConstraints(min_length=1, max_length=100_000)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExampleRegion(_Part):
    """One entry of an example's answer."""

    number: int = Field(ge=1)
    flaw_type: str
    severity: Severity
    reasoning: Text


class Example(_Part):
    """Something to learn from: pictures (files beside the prompt) if there are any, a text, and the right answer."""

    text: Text
    pictures: tuple[str, ...] = ()
    regions: tuple[ExampleRegion, ...]


class Captions(_Part):
    """What is said before each picture."""

    source: Text
    edited: Text
    numbered: Text


class Wording(_Part):
    """The content of a prompt file."""

    version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]
    system: Text
    pictures: Captions
    examples: tuple[Example, ...] = ()
    task: Text
    again: Text


FILLED: dict[str, frozenset[str]] = {
    "system": frozenset({"artifact_types", "failure_types", "severities"}),
    "task": frozenset({"instruction", "regions"}),
    "again": frozenset({"problems"}),
}
"""What each text of a prompt must name, and nothing else."""


@dataclass(frozen=True)
class Prompt:
    """A prompt ready for use; `name` is its version with a digest of all that is in it, example pictures included."""

    wording: Wording
    examples: tuple[str | Picture, ...]
    digest: str

    @property
    def name(self) -> str:
        return f"{self.wording.version}-{self.digest[:12]}"

    @cached_property
    def system(self) -> str:
        """The instructions with the closed lists filled in."""
        return Template(self.wording.system).substitute(
            artifact_types=_listed("artifact"), failure_types=_listed("failure"), severities=", ".join(SEVERITIES)
        )

    def task(self, instruction: str, regions: str) -> str:
        """What is asked; both texts must be made safe by the caller (see `requests`)."""
        return Template(self.wording.task).substitute(instruction=instruction, regions=regions)

    def again(self, problems: str) -> str:
        """What is added when an answer could not be used."""
        return Template(self.wording.again).substitute(problems=problems)


def read_prompt(name: str = DEFAULT, encoding: Encoding | None = None) -> Prompt:
    """A shipped prompt by its name, or one in a file; `UserError` says what is wrong with it.

    encoding: of the example pictures, where there are any
    """
    path = _path(name)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"The prompt {path} is larger than {MAX_BYTES:,} bytes: expected a short YAML file.")
        data = path.read_bytes()
        wording = Wording.model_validate(yaml.safe_load(data.decode("utf-8-sig")))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The prompt {path} cannot be read ({type(error).__name__}). Expected a YAML file.") from None
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, fault["loc"])) or "the file"
        raise UserError(f"The prompt {path} is wrong at {place}: {fault['msg']}. Compare it with v1.yaml.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise UserError(f"The prompt {path} is not valid YAML{where}. Compare it with v1.yaml.") from None
    _check_names(path, wording)
    examples = _examples(path, wording, encoding or Encoding())
    digest = hashlib.sha256(orjson.dumps(wording.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS))
    for part in examples:
        digest.update(b"" if isinstance(part, str) else part.digest.encode())
    # The closed lists are part of what is asked.
    lists: Mapping[Kind, Mapping[str, str]] = definitions()
    digest.update(orjson.dumps(lists, option=orjson.OPT_SORT_KEYS))
    return Prompt(wording, examples, digest.hexdigest())


def _path(name: str) -> Path:
    shipped = {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}
    if name in shipped:
        return shipped[name]
    path = Path(name)
    if path.is_file():
        return path
    near = difflib.get_close_matches(name, shipped, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UserError(f"No prompt {name[:200]!r}: expected a file, or one of {', '.join(shipped)}.{hint}")


def _check_names(path: Path, wording: Wording) -> None:
    for field, wanted in FILLED.items():
        template = Template(getattr(wording, field))
        if not template.is_valid() or set(template.get_identifiers()) != wanted:
            names = ", ".join(f"${name}" for name in sorted(wanted))
            raise UserError(f"The prompt {path}: expected `{field}` to name {names} and no other; write $$ for $.")


def _examples(path: Path, wording: Wording, encoding: Encoding) -> tuple[str | Picture, ...]:
    parts: list[str | Picture] = []
    for example in wording.examples:
        for name in example.pictures:
            data = images.read(path.parent, name)
            parts.append(encode(images.thumbnail(data, max_side=encoding.max_side), encoding.format))
        answer = orjson.dumps({"regions": [region.model_dump() for region in example.regions]}).decode()
        parts.append(f"{example.text.strip()}\nThe answer:\n{answer}")
    return tuple(parts)


def _listed(kind: Kind) -> str:
    return "\n".join(f"- {name}: {meaning}" for name, meaning in definitions()[kind].items())
