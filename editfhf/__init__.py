"""The built side: from a corpus to a dataset that `datasets.load_dataset` opens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from editfhf.dataset import load as load

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # `datasets` takes most of a second to import: `editfhf.load` brings it in when it is first asked for.
    if name == "load":
        from editfhf.dataset import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
