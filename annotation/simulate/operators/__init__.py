"""Real edits of real images: one operator per edit task, each with its own failure modes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from annotation.simulate.operators.edit import FailedEdit, FailureMode, SceneEdit
from annotation.simulate.operators.frame import change_background, outpaint_sides, zoom_image
from annotation.simulate.operators.objects import (
    add_object,
    move_object,
    recolour_object,
    remove_object,
    replace_object,
    reshape_object,
)
from annotation.simulate.operators.text import add_text, replace_text, restyle_text, translate_text
from annotation.simulate.operators.whole_image import (
    IMAGE_DAMAGES,
    IMAGE_LOOKS,
    apply_look,
    damage_image,
    restore_image,
)
from annotation.simulate.scene import Scene

EditOperator = Callable[[Scene, np.random.Generator], SceneEdit | None]

EDIT_OPERATORS: dict[str, EditOperator] = {
    "object_add": add_object,
    "object_remove": remove_object,
    "object_replace": replace_object,
    "object_attribute": recolour_object,
    "object_move": move_object,
    "object_shape": reshape_object,
    "text_add": add_text,
    "text_replace": replace_text,
    "text_style": restyle_text,
    "text_translate": translate_text,
    "scene_background": change_background,
    "zoom_in": zoom_image,
    "outpaint": outpaint_sides,
    **{task: partial(apply_look, task) for task in IMAGE_LOOKS},
}
RESTORATION_TASKS = tuple(IMAGE_DAMAGES)
SIMULATED_TASKS = (*EDIT_OPERATORS, *RESTORATION_TASKS)

__all__ = [
    "EDIT_OPERATORS",
    "RESTORATION_TASKS",
    "SIMULATED_TASKS",
    "EditOperator",
    "FailedEdit",
    "FailureMode",
    "SceneEdit",
    "damage_image",
    "restore_image",
]
