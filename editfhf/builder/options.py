"""The options of a build (`build.yaml`): checked, and recorded in the manifest as resolved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Self, Union, cast

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)

from annotation.rules import AnnotationRules, RegionRules
from editfhf.saliency import parse_sigma
from mos.errors import UserError
from mos.files import read_regular_file
from mos.methods import METHODS, find_method
from mos.plain_yaml import describe_wrong_value, describe_yaml_error, load_plain_yaml
from mos.scoring.options import ScoringOptions
from mos.words import did_you_mean

DEFAULT_METHOD = "paper"


DATASET_CONFIDENCE = 0.95


class ScoringSection(ScoringOptions):
    """A scoring method with its options, and the scale of the ratings.

    Each method has a subclass with its own options (`SCORING_SECTIONS`).
    """

    scale: tuple[float, float] = Field(
        (1.0, 5.0), description="Lowest and highest score on the sliders; others are rejected."
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_a_word(cls, section: Any) -> Any:
        """YAML reads `on_too_few: null` as None."""
        unquoted = isinstance(section, dict) and section.get("on_too_few", "") is None
        return {**section, "on_too_few": "null"} if unquoted else section

    @model_validator(mode="after")
    def _check_scale(self) -> Self:
        if self.scale[0] >= self.scale[1]:
            raise ValueError(f"scale must be [low, high] with low < high, but got {list(self.scale)}")
        if self.confidence != DATASET_CONFIDENCE:
            raise ValueError(f"confidence must be {DATASET_CONFIDENCE}: the columns of a dataset are called ci95")
        return self


def _make_scoring_section(method: str) -> type[ScoringSection]:
    bases: Any = (find_method(method).options, ScoringSection)
    section: Any = create_model(f"{method.capitalize()}Scoring", __base__=bases)
    return cast("type[ScoringSection]", section)


SCORING_SECTIONS = {method: _make_scoring_section(method) for method in METHODS}
"""The section `mos` by name of its method."""


def _read_method_tag(section: Any) -> str:
    return (
        str(section.get("method", DEFAULT_METHOD))
        if isinstance(section, dict)
        else str(getattr(section, "method", DEFAULT_METHOD))
    )


if TYPE_CHECKING:
    AnyScoringSection = ScoringSection
else:
    _TAGGED_SECTIONS = tuple(Annotated[section, Tag(method)] for method, section in SCORING_SECTIONS.items())
    AnyScoringSection = Annotated[Union[_TAGGED_SECTIONS], Discriminator(_read_method_tag)]  # noqa: UP007


class _OptionsSection(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SaliencyOptions(_OptionsSection):
    """How disks become a map: the sum of one Gaussian per disk, divided by its maximum."""

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


RULE_OPTIONS = {name: f"regions.{name}" for name in RegionRules.model_fields} | {"scale": "mos.scale"}
"""The option of a build by the rule of the corpus with the same meaning."""


class StatedRule(NamedTuple):
    """A rule that the options of a build state, and the place where they state it."""

    value: Any
    origin: str


class SplitOptions(_OptionsSection):
    """Sizes of the splits: whole sources, balanced over tasks and editors."""

    train: float = Field(4, gt=0)
    validation: float = Field(1, ge=0)
    test: float = Field(1, ge=0)
    seed: int = 0


class ImageOptions(_OptionsSection):
    """Limits of the images."""

    max_pixels: int = Field(2**26, ge=1, description="Largest width x height that is read.")
    max_bytes: int = Field(64 * 2**20, ge=1, description="Largest image file that is read.")


class ShardOptions(_OptionsSection):
    """Sizes of the Parquet files."""

    megabytes: int = Field(64, ge=1, le=4096, description="Size at which a shard is closed, at the next source.")
    row_group: int = Field(25, ge=1, le=1000)


class BuildOptions(_OptionsSection):
    """Everything that decides the bytes of a dataset; the attributes are the sections and keys of build.yaml."""

    saliency: SaliencyOptions = SaliencyOptions()
    regions: RegionRules = RegionRules()
    mos: AnyScoringSection = SCORING_SECTIONS[DEFAULT_METHOD](method=DEFAULT_METHOD)
    split: SplitOptions = SplitOptions()
    images: ImageOptions = ImageOptions()
    shards: ShardOptions = ShardOptions()
    gallery: int = Field(24, ge=0, le=1000, description="Pairs shown in the gallery of the report.")
    pseudonyms: bool = Field(True, description="Write annotators as A001, A002 ... instead of their ids.")

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The resolved options as plain JSON values."""
        return self.model_dump(mode="json")

    def stated_rule(self, rule: str) -> StatedRule | None:
        """The value that the options state for a rule of the corpus; None if they do not state it."""
        option = RULE_OPTIONS[rule]
        name, key = option.split(".")
        section: BaseModel = getattr(self, name)
        if key not in section.model_fields_set:
            return None
        return StatedRule(getattr(section, key), self._origins.get(option, "BuildOptions"))

    def follow_rules(self, rules: AnnotationRules) -> Self:
        """These options with the rules of a corpus."""
        regions = RegionRules(**rules.model_dump(exclude={"scale"}))
        return self.model_copy(update={"regions": regions, "mos": self.mos.model_copy(update={"scale": rules.scale})})


OPTION_SECTIONS = frozenset(
    name for name, known in BuildOptions.model_fields.items() if isinstance(known.default, BaseModel)
)


def read_build_options(path: Path | None, overrides: dict[str, Any] | None = None) -> BuildOptions:
    """Options from a YAML file.

    Parameters
    ----------
    path
        The file; defaults when None.
    overrides
        Values of the command line by option, such as {"saliency.sigma": "12px"}; None for no override.

    Raises
    ------
    UserError
        The file cannot be read, is not YAML, or has an unknown key or a value out of range.
    """
    data = _load_yaml_options(path) if path else {}
    # A section whose lines are all comments is None: its defaults hold.
    data = {key: value for key, value in data.items() if not (value is None and key in OPTION_SECTIONS)}
    name = str(path) if path else "the options"
    origins = dict.fromkeys(RULE_OPTIONS.values(), name)
    for dotted, value in (overrides or {}).items():
        section, key = dotted.split(".")
        given = data.setdefault(section, {})
        if value is not None and isinstance(given, dict):
            given[key] = value
            origins |= {dotted: f"the command line (--{key.replace('_', '-')})"} if dotted in origins else {}
    options = parse_build_options(data, name)
    options._origins.update(
        {RULE_OPTIONS[rule]: origins[RULE_OPTIONS[rule]] for rule in RULE_OPTIONS if options.stated_rule(rule)}
    )
    return options


def parse_build_options(data: Mapping[str, Any], name: str = "the options") -> BuildOptions:
    """Options from a mapping with the sections of build.yaml.

    Parameters
    ----------
    data
        Section to its keys, as in build.yaml; what is absent keeps its default.
    name
        What the mapping is called in an error.

    Raises
    ------
    UserError
        An unknown key, or a value out of range.

    Examples
    --------
    >>> parse_build_options({"saliency": {"sigma": "12px"}}).saliency.sigma
    '12px'
    """
    try:
        return BuildOptions.model_validate(data)
    except ValidationError as error:
        raise UserError("; ".join(_describe_option_error(name, item) for item in error.errors())) from None


def _load_yaml_options(path: Path) -> dict[str, Any]:
    try:
        data = load_plain_yaml(read_regular_file(path).decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--config {path} cannot be read: {error.__class__.__name__}. Expected a YAML file.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        where = describe_yaml_error(error)
        raise UserError(f"{path} is not valid YAML{where}. Expected keys such as 'saliency:' or 'split:'.") from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise UserError(f"{path} must hold a mapping of options, but holds a {type(data).__name__}.")
    return data


def _describe_option_error(name: str, error: Any) -> str:
    parts, section = _locate_option_error(error["loc"])
    place = ".".join(parts)
    if error["type"] == "union_tag_invalid":
        return f"{name}: {place}.method: {_describe_unknown_method(error['ctx']['tag'])}"
    if error["type"] != "extra_forbidden":
        return f"{name}: {place}: {describe_wrong_value(error)}, but got {repr(error['input'])[:80]}"
    known = sorted(section.model_fields)
    return f"{name}: unknown key {place!r}.{did_you_mean(parts[-1], known)} Known here: {', '.join(known)}"


def _describe_unknown_method(given: str) -> str:
    hint = did_you_mean(given, SCORING_SECTIONS)
    return f"expected one of {', '.join(SCORING_SECTIONS)}, but got {given[:80]!r}.{hint}"


def _locate_option_error(loc: tuple[Any, ...]) -> tuple[list[str], type[BaseModel]]:
    """The keys of build.yaml that lead to an error, and the section of the last one (a scoring method is not a key)."""
    parts = [str(part) for part in loc]
    if parts[0] == "mos":
        method = parts.pop(1) if len(parts) > 1 else DEFAULT_METHOD
        return parts, SCORING_SECTIONS.get(method, SCORING_SECTIONS[DEFAULT_METHOD])
    section: type[BaseModel] = BuildOptions
    for part in parts[:-1]:
        known = section.model_fields.get(part)
        section = type(known.default) if known is not None and isinstance(known.default, BaseModel) else section
    return parts, section
