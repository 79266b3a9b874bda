"""Find an editor by its name. Its module is imported when it is asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from editfhf.editors.conformance.card import attach_card, read_card
from editfhf.editors.protocol import Editor
from mos.errors import UserError
from mos.files import read_regular_file
from mos.plain_yaml import describe_yaml_error, load_plain_yaml
from mos.words import did_you_mean

EDITORS_FILE = Path(__file__).with_name("editors.yaml")

USER_EDITORS_VARIABLE = "EDITFHF_EDITORS"
"""Environment variable with the path of the user's own list of editors."""

EditorKind = Literal["weight_free", "diffusers", "http", "hosted", "command"]

MaskConvention = Literal["honoured", "white", "alpha", "picture", "none"]
"""How the mask reaches the backend: `honoured` as it is; `white` and `alpha`: white, or transparent, may change;
`picture`: as one more picture; `none`: not at all."""

ParameterValue = bool | int | float | str | list[Any]


_KIND_WORDS: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list",
}


class EditorParameter(BaseModel):
    """One parameter of an editor: its default, what it means, and which values it may have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    default: ParameterValue | None
    text: str
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()

    def check(self, name: str, value: Any) -> None:
        """UserError where `value` is not of the kind of the default or outside of its limits."""
        if self.choices:
            if value not in self.choices:
                known = ", ".join(self.choices)
                raise UserError(
                    f"{name} must be one of {known}; got {value!r}.{did_you_mean(str(value), self.choices)}"
                )
            return
        wanted = (int, float) if isinstance(self.default, float) else type(self.default)
        if self.default is not None and (
            not isinstance(value, wanted) or isinstance(value, bool) != isinstance(self.default, bool)
        ):
            raise UserError(f"{name} must be {_KIND_WORDS[type(self.default)]}, such as {self.default}; got {value!r}.")
        if isinstance(value, int | float) and not isinstance(value, bool):
            least, most = self.least, self.most
            if not ((least is None or value >= least) and (most is None or value <= most)):
                limits = " and ".join(
                    f"{word} {limit:g}" for word, limit in (("at least", least), ("at most", most)) if limit is not None
                )
                raise UserError(f"{name} must be {limits}; got {value}.")


class EditorEntry(BaseModel):
    """One editor of `editors.yaml`, whose head explains the fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    place: str = Field(pattern=r"^[a-z_.]+:\w+$")
    options: dict[str, Any] = {}
    kind: EditorKind
    summary: str
    licence: str
    mask: MaskConvention
    takes_source: bool = False
    takes_seed: bool = False
    packages: tuple[str, ...] = ()
    extra: str | None = None
    key: str | None = None
    parameters: dict[str, EditorParameter] = {}

    def describe_lack(self) -> str:
        """One sentence why this editor cannot be used here; "" where nothing is known to be missing."""
        for package in self.packages:
            if find_spec(package) is None:
                wanted = f"'editfhf[{self.extra}]'" if self.extra else package
                return f"The editor {self.name!r} needs the package {package!r}: run pip install {wanted}."
        if self.key and not os.environ.get(self.key):
            return f"The editor {self.name!r} needs a key in the environment variable {self.key}."
        return ""

    def merge_parameters(self, *given: Mapping[str, Any]) -> dict[str, Any]:
        """The defaults with what was given on top, later ones last.

        Raises
        ------
        UserError
            For an unknown parameter, or a value that it may not have.
        """
        merged: dict[str, Any] = {name: parameter.default for name, parameter in self.parameters.items()}
        for values in given:
            for name, value in values.items():
                if name not in self.parameters:
                    known = ", ".join(self.parameters) or "none"
                    hint = did_you_mean(name, self.parameters)
                    raise UserError(f"The editor {self.name!r} has no parameter {name!r}.{hint} Known: {known}.")
                self.parameters[name].check(f"{name} of the editor {self.name!r}", value)
                merged[name] = value
        return merged


def read_editor_entries() -> Mapping[str, EditorEntry]:
    """Every editor of `editors.yaml` by its name, in the order of the file; then those of the user's own file.

    The user's file is named by the environment variable EDITFHF_EDITORS. It gives names to editors with options:
    a list of mappings with `name`, `like` (an editor of `editors.yaml`) and `options` (those that it is made with).

    Raises
    ------
    UserError
        The user's file cannot be read, or an entry of it is none.
    """
    entries = _read_packaged_entries()
    path = os.environ.get(USER_EDITORS_VARIABLE)
    return {**entries, **_read_user_entries(Path(path), entries)} if path else entries


@cache
def _read_packaged_entries() -> dict[str, EditorEntry]:
    rows = load_plain_yaml(read_regular_file(EDITORS_FILE).decode())
    entries = [EditorEntry.model_validate(row) for row in rows]
    return {entry.name: entry for entry in entries}


class _UserEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    like: str
    options: dict[str, Any] = {}


def _read_user_entries(path: Path, known: Mapping[str, EditorEntry]) -> dict[str, EditorEntry]:
    expected = "expected a list of entries with name, like and options"
    try:
        rows = load_plain_yaml(read_regular_file(path).decode("utf-8-sig"))
    except OSError as error:
        raise UserError(f"{USER_EDITORS_VARIABLE} names {path}, which cannot be read ({error.strerror}).") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid YAML{describe_yaml_error(error)}: {expected}.") from None
    if not isinstance(rows, list):
        raise UserError(f"{path} has no entries: {expected}.")
    made: dict[str, EditorEntry] = {}
    for number, row in enumerate(rows, start=1):
        try:
            given = _UserEntry.model_validate(row)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the entry"
            raise UserError(f"Entry {number} of {path} is wrong at {where} ({first['type']}): {expected}.") from None
        if given.like not in known:
            hint = did_you_mean(given.like, known)
            raise UserError(f"Entry {number} of {path} is like {given.like!r}, which is no editor.{hint}")
        if given.name in known or given.name in made:
            raise UserError(f"Entry {number} of {path} has the name {given.name!r}, which another editor has.")
        base = known[given.like]
        made[given.name] = base.model_copy(update={"name": given.name, "options": base.options | given.options})
    return made


def list_editors() -> list[str]:
    """Names of the editors, in the order of `editors.yaml`."""
    return list(read_editor_entries())


def find_editor_entry(name: str) -> EditorEntry:
    """The entry of an editor.

    Raises
    ------
    UserError
        For an unknown name.
    """
    entries = read_editor_entries()
    if name not in entries:
        raise UserError(f"Unknown editor {name!r}.{did_you_mean(name, entries)} Known: {', '.join(entries)}.")
    return entries[name]


def load_editor(name: str, *, card: Path | None = None, **options: Any) -> Editor:
    """Make an editor.

    Parameters
    ----------
    name : str
        One of `list_editors()`.
    card : Path, optional
        `editor.json` of `editfhf editors check`; the editor's records name its digest.
    **options
        Options of the editor; for a weight-free editor its parameters.

    Returns
    -------
    Editor

    Raises
    ------
    UserError
        For an unknown name, a missing package or key, options that the editor does not take, or a card that is none
        of this editor.
    """
    entry = find_editor_entry(name)
    lack = entry.describe_lack()
    if lack:
        raise UserError(lack)
    module, _, made = entry.place.partition(":")
    try:
        make = getattr(import_module(module), made)
    except ModuleNotFoundError as error:
        wanted = f"'editfhf[{entry.extra}]'" if entry.extra else error.name
        raise UserError(f"The editor {name!r} needs the package {error.name!r}: run pip install {wanted}.") from error
    editor: Editor = make(**entry.options | options)
    return editor if card is None else attach_card(editor, read_card(card))
