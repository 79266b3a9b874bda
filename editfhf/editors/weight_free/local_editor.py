"""What the weight-free editors share: parameters, the record, and that nothing outside of the mask changes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage
from editfhf.editors.edit_attempts import EditedImage, attempt_edit
from editfhf.editors.paste_back import fade_into
from editfhf.editors.protocol import EditRequest, EditResult
from editfhf.editors.registry import find_editor_entry


class LocalEditor(ABC):
    """An editor that computes new values for the pixels of the mask.

    Parameters
    ----------
    **parameters
        Those of the editor in `editors.yaml`; parameters of a request come on top.

    Raises
    ------
    UserError
        For an unknown parameter, or a value that it may not have.
    """

    editor_name: ClassVar[str]
    version: ClassVar[str] = "1"

    def __init__(self, **parameters: Any) -> None:
        self._entry = find_editor_entry(self.editor_name)
        self._given = parameters
        self._entry.merge_parameters(parameters)

    @property
    def name(self) -> str:
        return self.editor_name

    def edit(self, request: EditRequest) -> EditResult:
        """Change the pixels of the mask; an empty mask changes nothing."""
        parameters = self._entry.merge_parameters(self._given, request.parameters)
        seed = request.seed if self._entry.takes_seed else None

        def make_image() -> EditedImage:
            inside = request.mask > 0
            if not inside.any():
                return EditedImage(request.current.copy())
            return EditedImage(fade_into(request.current, self.change_pixels(request, inside, parameters), inside))

        return attempt_edit(self.name, self.version, seed, parameters, make_image)

    @abstractmethod
    def change_pixels(self, request: EditRequest, inside: NDArray[np.bool_], parameters: Mapping[str, Any]) -> RgbImage:
        """uint8 [H, W, 3] with the new values where `inside`, bool [H, W], is True.

        On a ring outside it has what the same change makes of the pixels there, by which the change fades in; it may
        have the current ones. `EditDeclined` says why nothing can be done.
        """
