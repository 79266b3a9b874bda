"""One pair at work: what is seen of it, what was proposed, what was kept, and the way back. Nothing here knows of HTTP.

A proposal changes nothing. Kept proposals are layers: each can be switched off and on again, and the image is the input
with the layers that are on, pixel by pixel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage
from annotation.records import Box
from editfhf.editors.crops import plan_crop
from editfhf.editors.protocol import EditRequest
from editfhf.editors.region_edit import WEIGHT_FREE_CROP_OPTIONS, edit_region
from mos.errors import UserError
from refiner.accepted_edit import AcceptedEdit, cut_change, lay_edit_over
from refiner.agent_calls import AgentTeam
from refiner.layers import encode_layers
from refiner.planning.join_regions import join_regions, number_regions
from refiner.planning.make_plan import paint_mask, write_edit_instruction
from refiner.planning.routes import find_route
from training.agents.absent import AbsentEvaluation, AbsentReasoning
from training.agents.results import AgentFailure, Finding
from training.diagnosis.diagnose_pair import DiagnosisAgents, diagnose_arrays, require_instruction
from training.diagnosis.result import Diagnosis
from training.samples.pair_sample import scale_array

MOST_LAYERS = 200


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """What an editor made of a mask; it is not part of the image until it is kept.

    Attributes
    ----------
    image : ndarray
        uint8 [H, W, 3]: the current image with the change.
    layer : AcceptedEdit
    editor : str
    before, after : float or None
        Overall score of the image without and with the change.
    """

    image: RgbImage
    layer: AcceptedEdit
    editor: str
    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A kept change, and whether it is on."""

    edit: AcceptedEdit
    editor: str
    is_on: bool = True


class RefineSession:
    """The work on one pair.

    Parameters
    ----------
    source, edited : ndarray
        uint8 [H, W, 3]; the two may differ in size.
    instruction : str
        What the edit was asked to do; untrusted text.
    team : AgentTeam
        Its auditor has no work here.

    Raises
    ------
    UserError
        The instruction is too long or no text.
    """

    def __init__(self, source: RgbImage, edited: RgbImage, instruction: str, team: AgentTeam) -> None:
        require_instruction(instruction)
        self.source = scale_array(source, *edited.shape[:2])
        self.edited = edited
        self.instruction = instruction
        self.editors = team.editors
        self.proposal: Proposal | None = None
        self._crops = team.crops
        self._agents = DiagnosisAgents(
            team.perception, team.reasoning or AbsentReasoning(), team.evaluation or AbsentEvaluation()
        )
        self._layers: tuple[Layer, ...] = ()
        self._past: list[tuple[Layer, ...]] = []
        self._future: list[tuple[Layer, ...]] = []
        self._seen: Diagnosis | None = None

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Kept changes, from the lowest to the highest."""
        return self._layers

    @property
    def image(self) -> RgbImage:
        """The input with the layers that are on, uint8 [H, W, 3]."""
        image = self.edited.copy()
        for layer in self._layers:
            if layer.is_on:
                lay_edit_over(image, layer.edit)
        return image

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """Whether a step was taken back that can be made again."""
        return bool(self._future)

    def look(self) -> Diagnosis:
        """Diagnose the current image; the same image is looked at once.

        Raises
        ------
        UserError
            An agent has no answer.
        """
        if self._seen is None:
            try:
                self._seen = diagnose_arrays(self.source, self.image, self.instruction, self._agents)
            except AgentFailure as failure:
                raise UserError(f"The image could not be diagnosed. {failure}") from failure
        return self._seen

    def list_masks(self) -> dict[str, NDArray[np.bool_]]:
        """The area that each region of `look` proposes to change, bool [H, W], by the region's label."""
        found = self.look()
        height, width = self.edited.shape[:2]
        masks: dict[str, NDArray[np.bool_]] = {}
        for (label, region), finding in zip(found.labelled_regions(), found.findings, strict=True):
            (area,) = join_regions(number_regions([(finding.kind, region)]), height, width)
            masks[label] = paint_mask(area, height, width) > 0
        return masks

    def suggest_editor(self, label: str) -> str:
        """The first editor of the route of a region's flaw that is at hand."""
        finding = self._find(label)
        route = find_route(finding.kind, finding.flaw_type)
        return next((name for name in route.editors if name in self.editors), next(iter(self.editors)))

    def propose(self, mask: NDArray[np.bool_], editor: str, *, label: str = "", seed: int = 0) -> Proposal:
        """Let an editor change a mask, and keep its answer as the proposal.

        Parameters
        ----------
        mask : ndarray
            bool [H, W]: where the image may change.
        editor : str
            One of the session's.
        label : str
            The region that it is about; "" for a mask that was drawn freely.
        seed : int

        Raises
        ------
        UserError
            An empty mask, an unknown editor, or an editor that gave nothing.
        """
        if mask.shape != self.edited.shape[:2]:
            raise UserError(f"Expected a mask of {self.edited.shape[:2]} pixels, but got {mask.shape}.")
        if not mask.any():
            raise UserError("The mask is empty. Choose a region, or paint where the image may change.")
        if editor not in self.editors:
            raise UserError(f"There is no editor {editor[:80]!r} here. Choose one of: {', '.join(self.editors)}.")
        if len(self._layers) >= MOST_LAYERS:
            raise UserError(f"A session holds {MOST_LAYERS} changes. Download the image and open it again.")
        current = self.image
        pixels = mask.astype(np.uint8) * 255
        request = EditRequest(self.source, current, pixels, self._write_instruction(label), seed)
        options = self._crops.get(editor, WEIGHT_FREE_CROP_OPTIONS)
        answer = edit_region(self.editors[editor], request, plan_crop(pixels, (mask.shape[0], mask.shape[1]), options))
        if answer.failure:
            raise UserError(f"{editor} gave no change. {answer.failure}")
        if np.array_equal(answer.image, current):
            raise UserError(f"{editor} changed nothing there. Try another editor or mask.")
        before = self.look().overall
        number = len(self._layers) + 1
        height, width = mask.shape
        title = f"change {number}: {label or 'drawn mask'}, by {editor}"
        layer = cut_change(number, str(number), title, Box(0, 0, width, height), current, answer.image)
        self.proposal = Proposal(answer.image, layer, editor, before, self._score(answer.image))
        return self.proposal

    def accept(self) -> None:
        """Make the proposal a layer."""
        if self.proposal is None:
            raise UserError("There is no proposal to keep. Let an editor make one first.")
        self._step((*self._layers, Layer(self.proposal.layer, self.proposal.editor)))

    def reject(self) -> None:
        """Forget the proposal; the image is as before."""
        self.proposal = None

    def switch_layer(self, number: int, is_on: bool) -> None:
        """Switch a layer on or off, counted from 1."""
        if not 1 <= number <= len(self._layers):
            raise UserError(f"There is no change {number}: expected 1 to {len(self._layers)}.")
        changed = replace(self._layers[number - 1], is_on=is_on)
        self._step((*self._layers[: number - 1], changed, *self._layers[number:]))

    def undo(self) -> None:
        """Take the last step back."""
        if not self._past:
            raise UserError("There is nothing to undo.")
        self._future.append(self._layers)
        self._set(self._past.pop())

    def redo(self) -> None:
        """Make the step again that was taken back last."""
        if not self._future:
            raise UserError("There is nothing to redo.")
        self._past.append(self._layers)
        self._set(self._future.pop())

    def encode_layers(self) -> bytes:
        """The work as OpenRaster: the input, and a layer for each change that is on."""
        return encode_layers(self.edited, self.image, [layer.edit for layer in self._layers if layer.is_on])

    def as_trace(self) -> dict[str, Any]:
        """What was done, as JSON values."""
        return {
            "instruction": self.instruction,
            "agents": {role: str(identity) for role, identity in self._agents.identities.items()},
            "changes": [
                {"number": number, "title": layer.edit.title, "editor": layer.editor, "on": layer.is_on}
                for number, layer in enumerate(self._layers, start=1)
            ],
        }

    def _step(self, layers: tuple[Layer, ...]) -> None:
        self._past.append(self._layers)
        self._future.clear()
        self._set(layers)

    def _set(self, layers: tuple[Layer, ...]) -> None:
        self._layers = layers
        self._seen = None
        self.proposal = None

    def _score(self, image: RgbImage) -> float | None:
        scores = self._agents.evaluation.evaluate(self.source, image, self.instruction)
        return replace(self.look(), scores=tuple(scores)).overall

    def _find(self, label: str) -> Finding:
        for known, finding in self.look().labelled_findings():
            if known == label:
                return finding
        raise UserError(f"There is no region {label[:20]!r} in this image.")

    def _write_instruction(self, label: str) -> str:
        if not label:
            return write_edit_instruction("Repair the marked area", [], self.instruction)
        finding = self._find(label)
        return write_edit_instruction(find_route(finding.kind, finding.flaw_type).task, [finding], self.instruction)


def decode_mask(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.bool_]:
    """A mask that was painted at another size, bool [H, W]; 128 and more is inside."""
    if pixels.shape != (height, width):
        pixels = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)
    return np.asarray(pixels >= 128)
