"""Read the recipe of a training: every number that decides the weights, from a YAML file and `key=value`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from mos.errors import UserError
from mos.files import read_regular_file
from mos.plain_yaml import describe_wrong_value, describe_yaml_error, load_plain_yaml
from mos.words import did_you_mean

Recipe = TypeVar("Recipe", bound=BaseModel)


def read_recipe(kind: type[Recipe], path: Path | None = None, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    kind : type of BaseModel
        The keys of the recipe, their ranges and defaults.
    path : Path, optional
        YAML file; the defaults of `kind` without one, and for what the file does not say.
    changes : sequence of str
        Each "key=value", stronger than the file.

    Raises
    ------
    UserError
        For a file that cannot be read, an unknown key, or a value out of range.

    Examples
    --------
    >>> class Small(BaseModel):
    ...     epochs: int = 3
    >>> read_recipe(Small, changes=["epochs=5"])
    Small(epochs=5)
    """
    values = read_recipe_values(path) if path else {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise UserError(f"Expected key=value, such as epochs=10, but got {change!r}.")
        values[key.strip()] = load_plain_yaml(value)
    unknown = [key for key in values if key not in kind.model_fields]
    if unknown:
        hint = did_you_mean(str(unknown[0]), kind.model_fields)
        raise UserError(f"The recipe has no key {unknown[0]!r}.{hint} Known: {', '.join(kind.model_fields)}.")
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{path or 'The recipe'}: {where}: {describe_wrong_value(dict(first))}.") from None


def format_recipe(recipe: BaseModel) -> str:
    """A recipe as YAML, one key a line."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)


def read_recipe_values(path: Path) -> dict[str, Any]:
    """The keys and values of a recipe file, not checked yet.

    Raises
    ------
    UserError
        For a file that cannot be read or is no mapping.
    """
    try:
        values = load_plain_yaml(read_regular_file(path).decode("utf-8"))
    except OSError as error:
        raise UserError(f"The recipe {path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"The recipe {path} is not UTF-8 text: {error}.") from error
    except yaml.YAMLError as error:
        raise UserError(f"The recipe {path} is not YAML: {describe_yaml_error(error)}") from error
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise UserError(f"The recipe {path} must be a mapping of keys to values, one key a line.")
    return dict(values)
