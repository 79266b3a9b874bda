"""The one reader of YAML that a person wrote: no aliases, no key twice, and a number only where one is written.

YAML 1.1, which PyYAML reads, takes `NO` for false, `12:30` for 750, `007` for 7 and `1_000` for 1000.  Here these are
texts.  `1.10` is a number all the same; where a text is expected, `load_yaml_texts` keeps it as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from typing import Any

import yaml


class _DuplicateKey(yaml.MarkedYAMLError):
    """A mapping that has one key twice; `problem` is the end of a sentence."""


class _PlainLoader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            alias: Any = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem_mark=alias.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                continue  # PyYAML refuses it
            if key in lines:
                problem = f"the key {str(key)[:60]!r} is in line {lines[key]} already"
                raise _DuplicateKey(problem=problem, problem_mark=key_node.start_mark)
            lines[key] = key_node.start_mark.line + 1
        return super().construct_mapping(node, deep)


class _TextLoader(_PlainLoader):
    pass


def _resolve(loader: type[_PlainLoader], kind: str, pattern: str, first: str) -> None:
    loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{kind}", re.compile(pattern), ["" if char == "_" else char for char in first]
    )


for _loader in (_PlainLoader, _TextLoader):
    _loader.yaml_implicit_resolvers = {}
    _resolve(_loader, "null", r"^(?:~|null|Null|NULL|)$", "~nN_")
_resolve(_PlainLoader, "bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF")
_resolve(_PlainLoader, "int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789")
_resolve(
    _PlainLoader,
    "float",
    r"^[-+]?(?:(?:0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+)(?:[eE][-+][0-9]+)?$|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$",
    "-+.0123456789",
)


def load_plain_yaml(text: str) -> Any:
    """Load YAML as people mean it.

    Parameters
    ----------
    text : str

    Returns
    -------
    JSON-like values
        Numbers, true, false and null where they are written in decimals or as these words; texts otherwise.

    Raises
    ------
    yaml.YAMLError
        The text is not YAML, holds an alias (ten lines of merged ones take hours to expand), or one mapping has a key
        twice.  `describe_yaml_error` says which.

    Examples
    --------
    >>> load_plain_yaml("{size: 12, share: 0.5, code: 007, country: NO, start: 12:30, on: true}")
    {'size': 12, 'share': 0.5, 'code': '007', 'country': 'NO', 'start': '12:30', 'on': True}
    """
    return yaml.load(text, _PlainLoader)


def load_yaml_texts(text: str) -> Any:
    """Load YAML whose values are all texts, as they are written; null and empty values are None.

    Examples
    --------
    >>> load_yaml_texts("version: 1.10")
    {'version': '1.10'}
    """
    return yaml.load(text, _TextLoader)


def describe_yaml_error(error: Exception) -> str:
    """Where a text is not valid YAML, and why if that is known, to follow "is not valid YAML".

    >>> try:
    ...     load_plain_yaml("name: a\\nname: b")
    ... except yaml.YAMLError as error:
    ...     describe_yaml_error(error)
    " at line 2: the key 'name' is in line 1 already"
    """
    mark = getattr(error, "problem_mark", None)
    where = f" at line {mark.line + 1}" if mark else ""
    return f"{where}: {error.problem}" if isinstance(error, _DuplicateKey) else where


def describe_wrong_value(problem: Mapping[str, Any]) -> str:
    """The message of one error of pydantic; that of a number where a text is expected says to quote it."""
    value = problem.get("input")
    if problem["type"] == "string_type" and isinstance(value, bool | int | float):
        shown = str(value).lower() if isinstance(value, bool) else value
        return f"expected a text, but YAML reads the value {shown}: write it in quotes"
    return str(problem["msg"]).removeprefix("Value error, ")
