"""The protocol of editors: what they get, what they give.

An editor changes the current image where the mask allows it. The mask is ours and the same for every editor; a backend
translates it into its own convention. What an editor returns is untrusted: the caller registers it and pastes it back
(`editfhf.editors.paste_back`), so that a pixel outside of the mask is never changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage

EditStatus = Literal["ok", "refused", "error"]
"""`refused`: the editor or its content filter declined. `error`: it could not be asked, or gave no image."""

EDIT_STATUSES: tuple[EditStatus, ...] = get_args(EditStatus)


@dataclass(frozen=True, slots=True, eq=False)
class EditRequest:
    """One edit that is asked for.

    Attributes
    ----------
    source : ndarray
        uint8 [H, W, 3], sRGB; the image before any edit, at the size of `current`.
    current : ndarray
        uint8 [H, W, 3], sRGB; the image to change.
    mask : ndarray
        uint8 [H, W]; 255 where the editor may change the image, 0 where it must not.
    instruction : str
        What is to be done inside of the mask; untrusted text.
    seed : int
        The same seed gives the same answer where the editor honours it.
    parameters : mapping
        Options of the backend, such as the number of steps.

    Raises
    ------
    ValueError
        For arrays of another type or of different sizes.
    """

    source: RgbImage
    current: RgbImage
    mask: NDArray[np.uint8]
    instruction: str
    seed: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, image in (("source", self.source), ("current", self.current)):
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
                raise ValueError(f"{name} must be a uint8 array [H, W, 3], but got {image.dtype} {image.shape}.")
        if self.mask.dtype != np.uint8 or self.mask.ndim != 2:
            raise ValueError(f"mask must be a uint8 array [H, W], but got {self.mask.dtype} {self.mask.shape}.")
        sizes = {self.source.shape[:2], self.current.shape[:2], self.mask.shape}
        if len(sizes) != 1:
            raise ValueError(
                f"source, current and mask must have one size, but got {self.source.shape[:2]}, "
                f"{self.current.shape[:2]} and {self.mask.shape}."
            )


@dataclass(frozen=True, slots=True)
class EditRecord:
    """What was done: kept in traces, and enough to do it again.

    Attributes
    ----------
    editor : str
        Name in the list of editors.
    version : str
        Version of the backend's code, or the name of the model that the server reported.
    seed : int or None
        None where the editor has no seed.
    parameters : mapping
        The options that were used, defaults included; never a key or a password.
    seconds : float
        Wall-clock time of the edit.
    cost : float
        In US dollars; 0 for an editor that costs nothing.
    status : {"ok", "refused", "error"}
    detail : str
        One sentence why there is no image; "" if there is one.
    card_digest : str
        SHA-256 of the editor's conformance card; "" where it was not checked.
    """

    editor: str
    version: str
    seed: int | None
    parameters: Mapping[str, Any]
    seconds: float
    cost: float = 0.0
    status: EditStatus = "ok"
    detail: str = ""
    card_digest: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class EditResult:
    """What an editor gave.

    Attributes
    ----------
    image : ndarray or None
        uint8 [h, w, 3], sRGB, as the editor returned it, which may be of another size; None unless the status is "ok".
    record : EditRecord
    """

    image: RgbImage | None
    record: EditRecord


@runtime_checkable
class Editor(Protocol):
    """Changes an image inside of a mask."""

    @property
    def name(self) -> str:
        """Name in the list of editors."""

    def edit(self, request: EditRequest) -> EditResult:
        """Make one edit. A failure is a result with a status, never an exception, except for a `UserError`."""
