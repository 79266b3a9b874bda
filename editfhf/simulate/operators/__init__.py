"""Real edits of real pictures, one operator per editing task, each with its own ways to fail."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from editfhf.simulate.operators import backdrops, geometry, objects, text, tones
from editfhf.simulate.operators.edit import Edit, Failing, Outcome
from editfhf.simulate.operators.restoration import DAMAGES, damaged, restore
from editfhf.simulate.scene import Scene

Operator = Callable[[Scene, np.random.Generator], Edit | None]

OPERATORS: dict[str, Operator] = {
    "object_add": objects.add,
    "object_remove": objects.remove,
    "object_replace": objects.replace_object,
    "object_attribute": objects.recolour,
    "object_move": objects.move,
    "object_shape": objects.reshape,
    "text_add": text.add,
    "text_replace": text.replace_words,
    "text_style": text.restyle,
    "text_translate": text.translate,
    "scene_background": backdrops.background,
    "zoom_in": geometry.zoom,
    "outpaint": geometry.outpaint,
    **{task: partial(tones.look, task) for task in tones.LOOKS},
}
RESTORATIONS = tuple(DAMAGES)
TASKS = (*OPERATORS, *RESTORATIONS)

__all__ = ["OPERATORS", "RESTORATIONS", "TASKS", "Edit", "Failing", "Operator", "Outcome", "damaged", "restore"]
