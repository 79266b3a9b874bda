"""The options of a build: what `build.yaml` may say, checked, and recorded in the manifest as resolved."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from editfhf.build.scoring import DEFAULT, SCORING, Paper, Scoring
from editfhf.saliency import parse_sigma
from mos.errors import UserError


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SaliencyOptions(_Section):
    """How disks become a map (design: S = sum of Gaussians, divided by its maximum)."""

    sigma: str = Field("H/40", description='Standard deviation: a share of the height ("H/40", "0.025H") or "12px".')
    profile: Literal["gaussian", "disk*gaussian", "union+blur"] = "gaussian"

    @field_validator("sigma")
    @classmethod
    def _is_a_width(cls, sigma: str) -> str:
        try:
            parse_sigma(sigma)
        except UserError as error:
            raise ValueError(str(error)) from None
        return sigma


class RegionOptions(_Section):
    """Which regions are accepted."""

    min_support: int = Field(2, ge=1, le=100, description="Annotators who must have drawn the box.")
    iou: float = Field(0.5, gt=0, le=1, description="Overlap at which two boxes are the same region.")
    max_flags: int = Field(3, ge=0, description="A region flagged by MORE raters than this is discarded.")
    reviewers: int = Field(3, ge=1, le=100, description="Distinct reviewers who must agree on one identical text.")


class SplitOptions(_Section):
    """How sources are dealt to the splits: whole sources, balanced over tasks and editors."""

    train: float = Field(4, gt=0)
    validation: float = Field(1, ge=0)
    test: float = Field(1, ge=0)
    seed: int = 0


class ImageOptions(_Section):
    max_pixels: int = Field(2**26, ge=1, description="Largest width x height that is read.")
    max_bytes: int = Field(64 * 2**20, ge=1, description="Largest image file that is read.")


class ShardOptions(_Section):
    megabytes: int = Field(64, ge=1, le=4096, description="Size at which a shard is closed, at the next source.")
    row_group: int = Field(25, ge=1, le=1000)


class BuildOptions(_Section):
    """Everything that decides the bytes of a dataset; nothing about how fast they are made."""

    saliency: SaliencyOptions = SaliencyOptions()
    regions: RegionOptions = RegionOptions()
    mos: Scoring = Paper()
    split: SplitOptions = SplitOptions()
    images: ImageOptions = ImageOptions()
    shards: ShardOptions = ShardOptions()
    gallery: int = Field(24, ge=0, le=1000, description="Pairs shown in the gallery of the report.")
    pseudonyms: bool = Field(True, description="Write annotators as A001, A002 ... instead of their ids.")

    def as_dict(self) -> dict[str, Any]:
        """The resolved options as plain JSON values."""
        return self.model_dump(mode="json")


SECTIONS = frozenset(name for name, known in BuildOptions.model_fields.items() if isinstance(known.default, BaseModel))


def read_options(path: Path | None, overrides: dict[str, Any] | None = None) -> BuildOptions:
    """Options from a YAML file with command-line overrides ("saliency.sigma": "12px") on top.

    Raises:
        UserError: the file cannot be read, is not YAML, or holds an unknown key or a value out of range.
    """
    data = _load(path) if path else {}
    # A section whose lines are all commented out is read as nothing: its defaults hold.
    data = {key: value for key, value in data.items() if not (value is None and key in SECTIONS)}
    for dotted, value in (overrides or {}).items():
        section, key = dotted.split(".")
        given = data.setdefault(section, {})
        if value is not None and isinstance(given, dict):
            given[key] = value
    name = str(path) if path else "the options"
    try:
        return BuildOptions.model_validate(data)
    except ValidationError as error:
        raise UserError("; ".join(_sentence(name, item) for item in error.errors())) from None


def _load(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--config {path} cannot be read: {error.__class__.__name__}. Expected a YAML file.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise UserError(f"{path} is not valid YAML{where}. Expected keys such as 'saliency:' or 'split:'.") from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise UserError(f"{path} must hold a mapping of options, but holds a {type(data).__name__}.")
    return data


def _sentence(name: str, error: Any) -> str:
    parts, section = _located(error["loc"])
    place = ".".join(parts)
    if error["type"] == "union_tag_invalid":
        return f"{name}: {place}.method: {_unknown_method(error['ctx']['tag'])}"
    if error["type"] != "extra_forbidden":
        return f"{name}: {place}: {error['msg'].removeprefix('Value error, ')}, but got {repr(error['input'])[:80]}"
    known = sorted(section.model_fields)
    near = difflib.get_close_matches(parts[-1], known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{name}: unknown key {place!r}.{hint} Known here: {', '.join(known)}"


def _unknown_method(given: str) -> str:
    near = difflib.get_close_matches(given, SCORING, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"expected one of {', '.join(SCORING)}, but got {given[:80]!r}.{hint}"


def _located(loc: tuple[Any, ...]) -> tuple[list[str], type[BaseModel]]:
    """The keys to the place of an error, and the section that it is in; a scoring method is no key of the file."""
    parts = [str(part) for part in loc]
    if parts[0] == "mos":
        method = parts.pop(1) if len(parts) > 1 else DEFAULT
        return parts, SCORING.get(method, Paper)
    section: type[BaseModel] = BuildOptions
    for part in parts[:-1]:
        known = section.model_fields.get(part)
        section = type(known.default) if known is not None and isinstance(known.default, BaseModel) else section
    return parts, section
