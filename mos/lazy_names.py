"""Names of a package that are imported when they are first used, so that importing the package takes no time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def make_lazy_names(
    package: str, modules: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make the functions `__getattr__` and `__dir__` of a package (PEP 562).

    Parameters
    ----------
    package : str
        Name of the package, its `__name__`.
    modules : mapping of str to sequence of str
        The names to import, by the module that has them.

    Returns
    -------
    callable, callable
        `__getattr__` imports a name and keeps it in the package; `__dir__` lists these names.

    Examples
    --------
    >>> get_name, list_names = make_lazy_names("mos", {"mos.words": ("did_you_mean",)})
    >>> get_name("did_you_mean").__module__
    'mos.words'
    """
    module_of = {name: module for module, names in modules.items() for name in names}

    def import_name(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(module_of[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    def list_names() -> list[str]:
        return sorted(module_of)

    return import_name, list_names
