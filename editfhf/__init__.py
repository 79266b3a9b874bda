"""EditFHF: from a corpus of edited images and human feedback to a dataset that `datasets.load_dataset` opens.

>>> import editfhf                                             # doctest: +SKIP
>>> editfhf.simulate("corpus", pairs=120)                      # doctest: +SKIP
>>> editfhf.build("corpus", "dataset")                         # doctest: +SKIP
>>> editfhf.show(editfhf.load("dataset")["train"][0])          # doctest: +SKIP

Every name of `__all__` is imported when it is first used: `import editfhf` itself takes a few milliseconds.
"""

# `pathlib` and `typing` would take ten times as long to import as the rest of this module.
# ruff: noqa: PTH100, PTH113, PTH118, PTH119, PTH120, PTH121

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.util import find_spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from editfhf.api import SimulationSummary as SimulationSummary
    from editfhf.api import build as build
    from editfhf.api import push as push
    from editfhf.api import simulate as simulate
    from editfhf.api import validate as validate
    from editfhf.builder.context import BuildSummary as BuildSummary
    from editfhf.dataset import load as load
    from editfhf.dataset import render_maps as render_maps
    from editfhf.display import PairView as PairView
    from editfhf.display import show as show
    from editfhf.validation import ValidationReport as ValidationReport
    from mos.errors import UserError as UserError

__version__ = "0.1.0"

__all__ = [
    "BuildSummary",
    "PairView",
    "SimulationSummary",
    "UserError",
    "ValidationReport",
    "__version__",
    "build",
    "load",
    "push",
    "render_maps",
    "show",
    "simulate",
    "validate",
]

_MODULE_OF_NAME = {
    "BuildSummary": "editfhf.builder.context",
    "PairView": "editfhf.display",
    "SimulationSummary": "editfhf.api",
    "UserError": "mos.errors",
    "ValidationReport": "editfhf.validation",
    "build": "editfhf.api",
    "load": "editfhf.dataset",
    "push": "editfhf.api",
    "render_maps": "editfhf.dataset",
    "show": "editfhf.display",
    "simulate": "editfhf.api",
    "validate": "editfhf.api",
}

_SIBLING_PACKAGES = ("mos", "annotation", "training", "refiner")


if not TYPE_CHECKING:  # a type checker would take this for "every name exists"

    def __getattr__(name: str) -> object:
        module = _MODULE_OF_NAME.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(module), name)
        return value


def __dir__() -> list[str]:
    return sorted(__all__)


def _refuse_hidden_packages() -> None:
    """Stop where a module of the user has the name of one of our packages and is found before it.

    Raises
    ------
    ImportError
        On `import editfhf`. The console command exits with the same sentence and status 1 instead.
    """
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for name in _SIBLING_PACKAGES:
        own_file = os.path.join(root, name, "__init__.py")
        try:
            spec = find_spec(name)
        except ValueError:  # a module that was made by hand, without a spec
            continue
        found = spec.origin if spec else None
        if not found or not os.path.isfile(found) or not os.path.isfile(own_file) or os.path.samefile(found, own_file):
            continue
        is_folder = os.path.basename(found) == "__init__.py"
        place = os.path.dirname(found) if is_folder else found
        kind = "folder" if is_folder else "file"
        sentence = (
            f"A {kind} {os.path.basename(place)!r} at {place} hides EditFHF's package {name!r}. "
            "Rename it, or run from another folder."
        )
        if os.path.basename(sys.argv[0] if sys.argv else "") == "editfhf":
            raise SystemExit(f"editfhf: {sentence}")
        raise ImportError(sentence)


_refuse_hidden_packages()
