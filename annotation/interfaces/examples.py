"""A drawing of every flaw type, before and after, for the guidelines in the interfaces.

The drawings (`guidelines/FLAW_TYPE.png`) are our own; `docs/guideline_pictures.py` makes them.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from importlib import resources

ASKED: dict[str, str] = {
    "not_executed": "Make the mug blue.",
    "partial": "Remove the gift and the mug.",
    "wrong_target": "Make the mug blue.",
    "wrong_content": "Replace the mug with a plant.",
    "wrong_quantity": "Add one balloon.",
    "wrong_position": "Put a mug on the left.",
    "wrong_degree": "Make the mug a little larger.",
    "unintended_change": "Make the mug blue.",
    "identity_loss": "Make the shirt blue.",
    "global_drift": "Make the mug blue.",
}
"""What the drawing of each type of failure was asked for."""


@cache
def drawing(flaw_type: str) -> str | None:
    """The drawing of a flaw type as a `data:` address (PNG, 324 x 120 pixels); None for a type without one."""
    file = resources.files("annotation.interfaces").joinpath("guidelines", f"{flaw_type}.png")
    if not file.is_file():
        return None
    return "data:image/png;base64," + b64encode(file.read_bytes()).decode("ascii")
