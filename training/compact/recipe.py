"""The recipe of a training: every number that decides the weights, from `recipe.yaml`, a file and `key=value`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mos.errors import UserError
from mos.files import read_regular_file
from mos.plain_yaml import describe_wrong_value, describe_yaml_error, load_plain_yaml
from mos.words import did_you_mean


class CompactRecipe(BaseModel):
    """How the compact network is trained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(0, ge=0, description="Seed of the first weights, the order of pairs and all variation.")
    epochs: int = Field(20, ge=1, description="Passes through the training pairs.")
    patience: int = Field(5, ge=1, description="Epochs without a better validation loss before training stops.")
    batch: int = Field(16, ge=1, description="Pairs of one step.")
    learning_rate: float = Field(1.5e-3, gt=0, description="Highest learning rate; it rises, then falls to 0.")
    weight_decay: float = Field(0.02, ge=0)
    warmup: float = Field(0.1, ge=0, lt=1, description="Share of all steps in which the learning rate rises.")
    flip: float = Field(0.5, ge=0, le=1, description="Probability to exchange left and right.")
    word_dropout: float = Field(0.1, ge=0, lt=1, description="Share of hashed words that are left out.")
    map_weight: float = Field(20.0, ge=0)
    shape_weight: float = Field(0.5, ge=0)
    presence_weight: float = Field(0.5, ge=0)
    score_weight: float = Field(0.5, ge=0)
    flaw_weight: float = Field(0.5, ge=0)
    clean_share: float = Field(0.95, gt=0, lt=1, description="Clean validation images with a peak below 0.5.")
    fine: int = Field(32, ge=8, multiple_of=8, description="Channels at stride 8.")
    middle: int = Field(64, ge=16, multiple_of=16, description="Channels at stride 16.")
    coarse: int = Field(64, ge=16, multiple_of=16, description="Channels at stride 32.")
    text: int = Field(48, ge=4, description="Length of the embedded instruction.")
    hidden: int = Field(128, ge=8, description="Width of the heads of scores and flaws.")
    threads: int = Field(2, ge=1, description="Threads of torch.")


def read_recipe(path: Path | None = None, changes: Sequence[str] = ()) -> CompactRecipe:
    """Read a recipe.

    Parameters
    ----------
    path : Path, optional
        YAML file; the shipped recipe by default. What it does not say is as in `CompactRecipe`.
    changes : sequence of str
        Each "key=value", stronger than the file.

    Raises
    ------
    UserError
        For a file that cannot be read, an unknown key, or a value out of range.
    """
    name = str(path) if path else "the shipped recipe"
    values = _read_values(path, name)
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise UserError(f"Expected key=value, such as epochs=10, but got {change!r}.")
        values[key.strip()] = load_plain_yaml(value)
    unknown = [key for key in values if key not in CompactRecipe.model_fields]
    if unknown:
        hint = did_you_mean(str(unknown[0]), CompactRecipe.model_fields)
        raise UserError(f"The recipe has no key {unknown[0]!r}.{hint} Known: {', '.join(CompactRecipe.model_fields)}.")
    try:
        return CompactRecipe.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{name}: {where}: {describe_wrong_value(dict(first))}.") from None


def format_recipe(recipe: CompactRecipe) -> str:
    """A recipe as YAML, one key a line."""
    return yaml.safe_dump(recipe.model_dump(), sort_keys=False)


def _read_values(path: Path | None, name: str) -> dict[str, Any]:
    try:
        content = read_regular_file(path) if path else (resources.files(__package__) / "recipe.yaml").read_bytes()
        values = load_plain_yaml(content.decode("utf-8"))
    except OSError as error:
        raise UserError(f"The recipe {name} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"The recipe {name} is not UTF-8 text: {error}.") from error
    except yaml.YAMLError as error:
        raise UserError(f"The recipe {name} is not YAML: {describe_yaml_error(error)}") from error
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise UserError(f"The recipe {name} must be a mapping of keys to values, one key a line.")
    return dict(values)
