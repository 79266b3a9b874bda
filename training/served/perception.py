"""Perception by a served model: it lists boxes, which are drawn into maps on the absolute scale."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from string import Template
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from annotation.images import RgbImage
from annotation.records import KINDS, Box, Kind
from editfhf.chat import ModelAnswer
from editfhf.saliency import SIGMA_PER_HEIGHT
from training.agents.results import AgentFailure, PerceivedMaps
from training.prompts.agent_messages import read_agent_prompts
from training.served.prompt import (
    build_served_request,
    encode_shown_image,
    identify_served_agent,
    shrink_image,
)
from training.served.server import ModelServer, find_outcome_status, find_served_options, open_model_server

_LOG = logging.getLogger("editfhf.served")

MOST_FLAWS = 50
"""Longest list of a reply; the published data has about 9 regions in an image."""

THOUSAND = 1000.0


class ListedFlaw(BaseModel):
    """One box of a reply; `what` makes the model look before it points, and is not used."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    what: str
    left: float
    top: float
    right: float
    bottom: float


class ListedFlaws(BaseModel):
    """The reply of a perceiving model."""

    model_config = ConfigDict(extra="forbid")

    flaws: Annotated[list[ListedFlaw], Field(max_length=MOST_FLAWS)]


class ServedPerception:
    """A vision-language model that points at flaws.

    Notes
    -----
    Each box becomes a plateau with flanks of the width of the house's Gaussian, sigma = H/40, and the value 1 at its
    peak; where boxes overlap, the higher value counts. At the threshold of 0.5 a box that is larger than a disk comes
    back as it was, with round corners. Boxes are clipped at the border; one without pixels
    is left out and logged.
    """

    def __init__(self, server: ModelServer) -> None:
        self._server = server
        self.identity = identify_served_agent("perception", server.options)

    def perceive(self, source: RgbImage, current: RgbImage, instruction: str) -> PerceivedMaps:
        """Ask for boxes and draw them; `AgentFailure` where no usable list came, since no map may say "clean" then."""
        options = self._server.options
        shown_height, shown_width = shrink_image(current, options).shape[:2]
        where = Template(read_agent_prompts().coordinates[options.coordinates])
        request = build_served_request(
            "perception",
            options,
            {"source": encode_shown_image(source, options), "edited": encode_shown_image(current, options)},
            ListedFlaws,
            instruction,
            coordinates=where.safe_substitute(width=str(shown_width), height=str(shown_height)),
        )
        outcome = self._server.ask(request)
        if not isinstance(outcome, ModelAnswer) or not isinstance(outcome.value, ListedFlaws):
            status, detail = find_outcome_status(outcome)
            raise AgentFailure(f"{self.identity} gave no list of flaws ({status}): {detail}", status)
        height, width = current.shape[:2]
        scale = (THOUSAND, THOUSAND) if options.coordinates == "thousandths" else (shown_width, shown_height)
        boxes: dict[Kind, list[Box]] = {kind: [] for kind in KINDS}
        lost = 0
        for flaw in outcome.value.flaws:
            box = _place_box(flaw, width / scale[0], height / scale[1], width, height)
            if box is None:
                lost += 1
            else:
                boxes[flaw.kind].append(box)
        if lost and not any(boxes.values()):
            raise AgentFailure(f"{self.identity} listed {lost} flaws, none of them inside the image.", "unparsed")
        if lost:
            _LOG.warning("%s: %d of its boxes are not inside the image and are left out", self.identity, lost)
        drawn = {kind: draw_boxes(boxes[kind], height, width) for kind in KINDS}
        return PerceivedMaps(drawn["artifact"], drawn["failure"], self.identity)


def make_served_perception(**options: Any) -> ServedPerception:
    """A perception agent with the options of `ServedOptions`; see `find_served_options`."""
    return ServedPerception(open_model_server(find_served_options(os.environ, **options)))


def _place_box(flaw: ListedFlaw, across: float, down: float, width: int, height: int) -> Box | None:
    """The box in pixels of the image, clipped; None where nothing of it is inside."""
    edges = np.array([flaw.left * across, flaw.top * down, flaw.right * across, flaw.bottom * down])
    if not np.isfinite(edges).all():
        return None
    edges[0::2], edges[1::2] = np.clip(edges[0::2], 0, width), np.clip(edges[1::2], 0, height)
    x0, y0, x1, y1 = edges.tolist()
    return Box(x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def draw_boxes(boxes: Iterable[Box], height: int, width: int) -> NDArray[np.float32]:
    """Draw boxes as a map on the absolute scale.

    Parameters
    ----------
    boxes : iterable of Box
        In pixels, inside the image.
    height, width : int

    Returns
    -------
    ndarray
        float32 [H, W]; for each box the box convolved with a Gaussian of sigma = H/40 and divided by its maximum, and
        of all boxes the highest value. Zero everywhere without a box.
    """
    drawn = np.zeros((height, width), np.float32)
    sigma = height * SIGMA_PER_HEIGHT
    for box in boxes:
        columns, across = _blur_interval(box.x0, box.x1, width, sigma)
        rows, down = _blur_interval(box.y0, box.y1, height, sigma)
        window = drawn[rows, columns]
        np.maximum(window, np.outer(down, across).astype(np.float32), out=window)
    return drawn


def _blur_interval(low: float, high: float, size: int, sigma: float) -> tuple[slice, NDArray[np.float64]]:
    """An interval convolved with a Gaussian, at the pixel centres around it, divided by its maximum."""
    from scipy.special import ndtr

    reach = 4 * sigma
    pixels = slice(max(0, int(low - reach)), min(size, int(high + reach) + 1))
    centres = np.arange(pixels.start, pixels.stop) + 0.5
    values = ndtr((centres - low) / sigma) - ndtr((centres - high) / sigma)
    return pixels, np.asarray(values / values.max())
