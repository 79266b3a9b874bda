"""Ask agents and editors: within the budget, each question once, and no answer is trusted before it is checked.

An agent that crashes, hangs or answers nonsense gives a result with a status and one sentence, never an exception.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from annotation.images import RgbImage
from annotation.records import DIMENSIONS, Box, Kind
from editfhf.editors.crops import CropOptions
from editfhf.editors.protocol import EDIT_STATUSES, Editor, EditRecord, EditRequest, EditResult
from editfhf.saliency import quantise_saliency
from refiner.call_limits import call_with_limit, describe_crash
from refiner.call_store import CallRole, CallStore, KeptCall, MemoryCallStore, hash_pixels, make_call_key
from refiner.options import RefineBudget
from training.agents.protocols import Evaluation, Perception, Reasoning
from training.agents.results import AgentIdentity, Finding, PerceivedMaps, Score, combine_scores

LARGEST_ANSWER_PIXELS = 2**26
"""Pixels of the largest image that an editor may answer."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AgentTeam:
    """Who works in the loop.

    Attributes
    ----------
    perception : Perception
    editors : mapping from str to Editor
        By name.
    reasoning : Reasoning or None
        Without one, a region has no flaw type and is repaired by its kind.
    evaluation : Evaluation or None
        Without one, a change is judged by the perceived flaws alone.
    auditor : Evaluation or None
        Scores what was accepted; it decides nothing.
    preferred : tuple of str
        Names of editors that the user chose; empty for the choice of the routes.
    crops : mapping from str to CropOptions
        Which part of an image an editor is shown, by its name; the others are shown a part at its own pixels.
    """

    perception: Perception
    editors: Mapping[str, Editor]
    reasoning: Reasoning | None = None
    evaluation: Evaluation | None = None
    auditor: Evaluation | None = None
    preferred: tuple[str, ...] = ()
    crops: Mapping[str, CropOptions] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class PerceptionAnswer:
    """Maps of the current image, or one sentence why there are none.

    The maps have the steps of an 8-bit file, so that everything that follows can be computed again from the files.
    """

    maps: PerceivedMaps | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class EvaluationAnswer:
    """Scores of an image, and their weighted geometric mean; None where one is missing."""

    scores: tuple[Score, ...]
    overall: float | None
    detail: str = ""


class BudgetSpentError(Exception):
    """The next call would exceed the budget; the message says which part."""


@dataclass(slots=True)
class CallCounts:
    """What a run has used so far."""

    calls: int = 0
    seconds: float = 0.0
    dollars: float = 0.0
    dead: set[str] = field(default_factory=set)


class AgentCalls:
    """Asks the agents of one run.

    Parameters
    ----------
    instruction : str
        The instruction of the pair.
    source : ndarray
        uint8 [h, w, 3], in its own size.
    call_seconds : float
        Time after which a call is given up. Who did not answer in time is not asked again in this run.
    budget : RefineBudget
    store : CallStore
        Remembers the answers.
    """

    def __init__(
        self,
        instruction: str,
        source: RgbImage,
        call_seconds: float,
        budget: RefineBudget,
        store: CallStore | None = None,
    ) -> None:
        self._instruction = instruction
        self._source = source
        self._source_digest = hash_pixels(source)
        self._limit = call_seconds
        self._budget = budget
        self._store: CallStore = MemoryCallStore() if store is None else store
        self._counted: set[str] = set()
        self._hashed: tuple[weakref.ref[NDArray[Any]], str] | None = None
        self.counts = CallCounts()
        self.turn = 0

    def perceive(self, agent: Perception, current: RgbImage, changed_by: str = "") -> PerceptionAnswer:
        """Ask for the maps of the current image, or of one that the candidate `changed_by` made."""
        start = f"candidates/{changed_by}-" if changed_by else ""

        def ask() -> tuple[dict[str, Any], dict[str, NDArray[np.uint8]]]:
            maps = agent.perceive(self._source.copy(), current.copy(), self._instruction)
            if not isinstance(maps, PerceivedMaps):
                raise TypeError(f"expected PerceivedMaps, but got {type(maps).__name__}")
            if maps.artifact.shape != current.shape[:2]:
                raise ValueError(f"expected maps of {current.shape[:2]} pixels, but got {maps.artifact.shape}")
            pictures = {f"{start}{kind}.png": quantise_saliency(maps.by_kind(kind)) for kind in ("artifact", "failure")}
            return {"status": "ok", "detail": ""}, pictures

        call = self._ask("perception", agent.identity, (current,), ask)
        if call.answer.get("status") != "ok":
            return PerceptionAnswer(None, str(call.answer.get("detail", "")))
        by_kind = {name.rpartition("-")[2].rpartition("/")[2]: pixels for name, pixels in call.pictures.items()}
        artifact, failure = (
            (by_kind[f"{kind}.png"] / np.float32(255)).astype(np.float32) for kind in ("artifact", "failure")
        )
        return PerceptionAnswer(PerceivedMaps(artifact, failure, agent.identity))

    def diagnose(
        self, agent: Reasoning | None, current: RgbImage, boxes: Sequence[tuple[Kind, Box]]
    ) -> tuple[Finding, ...]:
        """Ask for one finding per box; a finding that is missing has the status "error"."""
        if agent is None:
            identity = AgentIdentity("none", "none", "1")
            return tuple(
                Finding(kind, box, "refused", identity, detail="No reasoning agent was asked.") for kind, box in boxes
            )
        asked = [[kind, list(box)] for kind, box in boxes]

        def ask() -> tuple[dict[str, Any], dict[str, NDArray[np.uint8]]]:
            answer = agent.diagnose_boxes(self._source.copy(), current.copy(), self._instruction, list(boxes))
            findings = list(answer)
            if len(findings) != len(boxes) or not all(isinstance(one, Finding) for one in findings):
                raise TypeError(f"expected {len(boxes)} findings, but got {len(findings)} values")
            for finding, (kind, _) in zip(findings, boxes, strict=True):
                if finding.kind != kind:
                    raise ValueError(f"expected a finding of the kind {kind}, but got {finding.kind}")
            return {"status": "ok", "detail": "", "findings": [asdict(one) for one in findings]}, {}

        call = self._ask("reasoning", agent.identity, (current, asked), ask)
        if call.answer.get("status") != "ok":
            detail = str(call.answer.get("detail", ""))
            return tuple(Finding(kind, box, "error", agent.identity, detail=detail) for kind, box in boxes)
        return tuple(
            _read_finding(values, box) for values, (_, box) in zip(call.answer["findings"], boxes, strict=True)
        )

    def evaluate(self, agent: Evaluation, current: RgbImage, role: CallRole = "evaluation") -> EvaluationAnswer:
        """Ask for the scores of an image."""

        def ask() -> tuple[dict[str, Any], dict[str, NDArray[np.uint8]]]:
            scores = list(agent.evaluate(self._source.copy(), current.copy(), self._instruction))
            if not all(isinstance(one, Score) for one in scores):
                raise TypeError("expected scores, but got other values")
            if [one.dimension for one in scores] != list(DIMENSIONS):
                raise ValueError(f"expected a score of each of {', '.join(DIMENSIONS)}, in this order")
            return {"status": "ok", "detail": "", "scores": [asdict(one) for one in scores]}, {}

        call = self._ask(role, agent.identity, (current,), ask)
        if call.answer.get("status") != "ok":
            return EvaluationAnswer((), None, str(call.answer.get("detail", "")))
        scores = tuple(_read_score(values) for values in call.answer["scores"])
        missing = [f"{one.dimension}: {one.detail or one.status}" for one in scores if one.value is None]
        return EvaluationAnswer(scores, combine_scores(scores), " ".join(missing))

    def edit(self, editor: Editor, request: EditRequest, file: str) -> EditResult:
        """Ask for one edit.

        Parameters
        ----------
        editor : Editor
        request : EditRequest
        file : str
            Name of the answer in the folder of the turn.
        """

        def ask() -> tuple[dict[str, Any], dict[str, NDArray[np.uint8]]]:
            given = EditRequest(
                request.source.copy(),
                request.current.copy(),
                request.mask.copy(),
                request.instruction,
                request.seed,
                request.parameters,
            )
            result = editor.edit(given)
            if not isinstance(result, EditResult) or not isinstance(result.record, EditRecord):
                raise TypeError(f"expected an EditResult with its record, but got {type(result).__name__}")
            if result.record.status not in EDIT_STATUSES:
                raise ValueError(f"expected a status of an edit, but got {result.record.status!r}")
            values = asdict(result.record)
            if not values["cost"] >= 0:
                raise ValueError(f"expected a cost of 0 or more, but got {values['cost']!r}")
            if result.record.status != "ok":
                return values, {}
            return values, {f"candidates/{file}.png": _check_answer(result.image)}

        mask, size = request.mask, request.current.shape[:2]
        parts = (request.current, mask, request.source, request.instruction, request.seed, dict(request.parameters))
        call = self._ask("editor", editor.name, (list(size), *parts), ask)
        return _read_edit(call, editor.name, request)

    def _ask(self, role: CallRole, agent: AgentIdentity | str, parts: Sequence[Any], ask: Any) -> KeptCall:
        """The answer to a question: the kept one, or that of the agent, which is kept first."""
        name = str(agent)
        identity = asdict(agent) if isinstance(agent, AgentIdentity) else agent
        digests = [self._hash_once(part) if isinstance(part, np.ndarray) else part for part in parts]
        key = make_call_key(role, identity, self._instruction, self._source_digest, *digests)
        call = self._store.find_call(key)
        if call is None or not self._is_whole(call):
            self._require_budget()
            call = self._make_call(key, role, name, ask)
            self._store.keep_call(call)
            call = self._store.find_call(key) or call
        if key not in self._counted:
            self._counted.add(key)
            self.counts.calls += 1
            self.counts.seconds += call.seconds
            self.counts.dollars += call.cost
            if call.answer.get("hangs"):
                self.counts.dead.add(f"{role} {name}")
        return call

    def _hash_once(self, pixels: NDArray[Any]) -> str:
        """The digest of an array; a changed image is asked about more than once in a row."""
        if self._hashed is None or self._hashed[0]() is not pixels:
            self._hashed = weakref.ref(pixels), hash_pixels(pixels)
        return self._hashed[1]

    def _make_call(self, key: str, role: CallRole, name: str, ask: Any) -> KeptCall:
        if f"{role} {name}" in self.counts.dead:
            detail = "It did not answer in time before, so it was not asked again."
            return KeptCall(key, role, name, self.turn, {"status": "error", "detail": detail}, 0.0)
        outcome = call_with_limit(lambda: _as_json(*ask()), self._limit)
        if outcome.value is None:
            _log.warning("%s %s: %s", role, name, outcome.detail)
            hangs = outcome.detail.startswith("No answer within")
            answer = {"status": "error", "detail": outcome.detail, "hangs": hangs}
            return KeptCall(key, role, name, self.turn, answer, outcome.seconds)
        values, pictures = outcome.value
        cost = float(values.get("cost", 0.0)) if role == "editor" else 0.0
        return KeptCall(key, role, name, self.turn, values, outcome.seconds, cost, pictures)

    def _is_whole(self, call: KeptCall) -> bool:
        """Whether the kept answer has what one with its status has."""
        if call.answer.get("status") != "ok":
            return True
        needed = {"perception": 2, "editor": 1}.get(call.role, 0)
        return len(call.pictures) >= needed

    def _require_budget(self) -> None:
        counts, budget = self.counts, self._budget
        if budget.calls is not None and counts.calls >= budget.calls:
            raise BudgetSpentError(f"The budget of {budget.calls:,} calls is spent.")
        if counts.seconds >= budget.seconds:
            raise BudgetSpentError(f"The budget of {budget.seconds:g} seconds is spent.")
        if counts.dollars >= budget.dollars:
            raise BudgetSpentError(f"The budget of {budget.dollars:g} dollars is spent.")


def _as_json(
    values: Mapping[str, Any], pictures: Mapping[str, NDArray[np.uint8]]
) -> tuple[dict[str, Any], Mapping[str, NDArray[np.uint8]]]:
    """The answer with the values that a line of JSON gives back; what JSON cannot hold becomes text."""
    options = orjson.OPT_SERIALIZE_NUMPY
    try:
        line = orjson.dumps(values, default=str, option=options)
    except TypeError:  # half of a character, which a model may answer
        line = orjson.dumps(_replace_surrogates(values), default=str, option=options)
    return orjson.loads(line), pictures


def _replace_surrogates(value: Any) -> Any:
    """The value with valid Unicode in every text."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_replace_surrogates(key): _replace_surrogates(part) for key, part in value.items()}
    return [_replace_surrogates(part) for part in value] if isinstance(value, list | tuple) else value


def _check_answer(image: Any) -> RgbImage:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        found = f"{getattr(image, 'dtype', type(image).__name__)} {getattr(image, 'shape', '')}".strip()
        raise ValueError(f"expected a uint8 image [H, W, 3], but got {found}")
    if not 0 < image.shape[0] * image.shape[1] <= LARGEST_ANSWER_PIXELS:
        raise ValueError(f"expected an image of 1 to {LARGEST_ANSWER_PIXELS} pixels, but got {image.shape[:2]}")
    return np.ascontiguousarray(image)


def _read_finding(values: Mapping[str, Any], box: Box) -> Finding:
    return Finding(**{**values, "box": box, "agent": AgentIdentity(**values["agent"])})


def _read_score(values: Mapping[str, Any]) -> Score:
    return Score(**{**values, "agent": AgentIdentity(**values["agent"])})


def _read_edit(call: KeptCall, name: str, request: EditRequest) -> EditResult:
    """The result of a kept call; one that cannot be read is an error of the editor."""
    answer = dict(call.answer)
    if answer.get("status") == "error" and "editor" not in answer:
        record = EditRecord(name, "", request.seed, {}, call.seconds, 0.0, "error", str(answer.get("detail", "")))
        return EditResult(None, record)
    try:
        record = EditRecord(**answer)
    except TypeError as error:
        return EditResult(None, EditRecord(name, "", request.seed, {}, 0.0, 0.0, "error", describe_crash(error)))
    image = next(iter(call.pictures.values()), None)
    return EditResult(image, record)
