"""From one attempt at an edit to its result: what failed is a status and a sentence, never an exception."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from annotation.images import RgbImage
from editfhf.editors.protocol import EditRecord, EditResult, EditStatus

MAX_DETAIL = 500
"""Characters of a detail."""


class EditDeclined(Exception):
    """There is no image: the status and one sentence say why; cost: what it cost all the same, in US dollars."""

    def __init__(self, status: EditStatus, detail: str, cost: float = 0.0) -> None:
        super().__init__(detail)
        self.status: EditStatus = status
        self.detail = detail[:MAX_DETAIL]
        self.cost = cost


@dataclass(frozen=True, slots=True, eq=False)
class EditedImage:
    """An image, and what its record says of it; the fields are those of `EditRecord`."""

    image: RgbImage
    version: str = ""
    cost: float = 0.0


def attempt_edit(
    editor: str, version: str, seed: int | None, parameters: Mapping[str, Any], make_image: Callable[[], EditedImage]
) -> EditResult:
    """Call `make_image` and record it; `EditDeclined` becomes a result without an image, other exceptions are raised.

    A version of the answer, such as the model that a server reported, replaces that of the backend.
    """
    began = time.monotonic()
    try:
        made = make_image()
    except EditDeclined as declined:
        seconds = time.monotonic() - began
        failed = EditRecord(editor, version, seed, parameters, seconds, declined.cost, declined.status, declined.detail)
        return EditResult(None, failed)
    seconds = time.monotonic() - began
    return EditResult(made.image, EditRecord(editor, made.version or version, seed, parameters, seconds, made.cost))
