"""The app over HTTP: one page, and sessions that only their own key reaches. No picture is fetched from anywhere.

A page of another site must not steer a server on this machine: every request names a host that was told to listen, and
every change comes as JSON, which a browser sends to another origin only where that one allows it.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from annotation.images import RgbImage
from annotation.records import KINDS, Kind
from mos.console import print_line
from mos.errors import UserError
from refiner.agent_calls import AgentTeam
from refiner.app.session import RefineSession, decode_mask
from refiner.call_store import encode_png
from training.diagnosis.read_images import read_rgb_image

MOST_BODY = 64 << 20
MOST_SESSIONS = 16
"""The one that was used longest ago ends when another begins."""

PAGE_FILES = {
    "": ("page.html", "text/html"),
    "app.js": ("app.js", "text/javascript"),
    "app.css": ("app.css", "text/css"),
}

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class AppState:
    """What the requests share.

    Parameters
    ----------
    team : AgentTeam
    hosts : frozenset of str or None
        Values of the header Host that are answered, without the port; None: all, where others were let in.
    pair : (ndarray, ndarray, str), optional
        Source, edited image and instruction with which the page opens.
    """

    def __init__(
        self, team: AgentTeam, hosts: frozenset[str] | None, pair: tuple[RgbImage, RgbImage, str] | None = None
    ) -> None:
        self.team = team
        self.hosts = hosts
        self.pair = pair
        self.lock = threading.Lock()
        self._sessions: OrderedDict[str, RefineSession] = OrderedDict()

    def open_session(self, source: RgbImage, edited: RgbImage, instruction: str) -> str:
        """Begin the work on a pair; the key of its session is returned."""
        session = RefineSession(source, edited, instruction, self.team)
        session.look()
        key = secrets.token_urlsafe(24)
        self._sessions[key] = session
        while len(self._sessions) > MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return key

    def find_session(self, key: object) -> RefineSession:
        """The session of a key."""
        if not isinstance(key, str) or key not in self._sessions:
            raise UserError("This session has ended. Open the pair again.")
        self._sessions.move_to_end(key)
        return self._sessions[key]


def make_app(state: AppState) -> Starlette:
    """The application; `state` holds all that it knows."""

    def serve_file(name: str, kind: str) -> Callable[[Request], Any]:
        content = resources.files(__package__).joinpath(name).read_bytes()

        async def answer(request: Request) -> Response:
            return _guard(state, request) or Response(content, media_type=kind, headers=HEADERS)

        return answer

    async def act(request: Request) -> Response:
        refused = _guard(state, request)
        if refused is not None:
            return refused
        action = ACTIONS.get(request.path_params["action"])
        if action is None:
            return _answer_json({"message": "There is no such action."}, 404)
        try:
            body = await _read_json(request)
            found = await run_in_threadpool(_act, state, action, body)
        except UserError as error:
            return _answer_json({"message": str(error)}, 422)
        except Exception as error:  # an agent or editor that fails must not end the app
            print_line(f"{type(error).__name__} in {request.path_params['action']}", to_stderr=True)
            return _answer_json({"message": f"That failed ({type(error).__name__}). Try another editor or mask."}, 500)
        return _answer_json(found)

    async def show(request: Request) -> Response:
        refused = _guard(state, request)
        if refused is not None:
            return refused
        try:
            session = state.find_session(request.path_params["key"])
            content, kind = await run_in_threadpool(_draw, state, session, request.path_params["name"])
        except UserError as error:
            return _answer_json({"message": str(error)}, 404)
        return Response(content, media_type=kind, headers=HEADERS)

    return Starlette(
        routes=[
            *(Route(f"/{path}", serve_file(name, kind)) for path, (name, kind) in PAGE_FILES.items()),
            Route("/api/{action}", act, methods=["POST"]),
            Route("/files/{key}/{name}", show),
        ]
    )


def _guard(state: AppState, request: Request) -> Response | None:
    """A refusal for a request that another site sent, by name or by script."""
    host = request.headers.get("host", "").rpartition(":")[0] or request.headers.get("host", "")
    if state.hosts is not None and host.strip("[]") not in state.hosts:
        return _answer_json({"message": "This server is not known by that name."}, 421)
    if request.method == "POST" and request.headers.get("content-type", "").partition(";")[0] != "application/json":
        return _answer_json({"message": "Expected JSON."}, 415)
    return None


async def _read_json(request: Request) -> Mapping[str, Any]:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BODY:
            raise UserError(f"The images are too large: expected at most {MOST_BODY >> 20} MB together.")
        parts.append(part)
    try:
        body = orjson.loads(b"".join(parts))
    except orjson.JSONDecodeError:
        raise UserError("Expected a JSON object.") from None
    if not isinstance(body, dict):
        raise UserError("Expected a JSON object.")
    return body


def _act(state: AppState, action: Callable[[AppState, Mapping[str, Any]], str], body: Mapping[str, Any]) -> Any:
    with state.lock:  # agents and editors do one thing at a time
        key = action(state, body)
        return {"key": key, **_describe(state.find_session(key))}


def _start(state: AppState, body: Mapping[str, Any]) -> str:
    if state.pair is None:
        raise UserError("No pair was given on the command line. Choose two images.")
    return state.open_session(*state.pair)


def _open(state: AppState, body: Mapping[str, Any]) -> str:
    instruction = body.get("instruction")
    if not isinstance(instruction, str):
        raise UserError("Expected the instruction as text.")
    images = [read_rgb_image(_decode_base64(body.get(name), name), name) for name in ("source", "edited")]
    return state.open_session(images[0], images[1], instruction)


def _propose(state: AppState, body: Mapping[str, Any]) -> str:
    session = state.find_session(body.get("key"))
    label, editor, seed = body.get("label", ""), body.get("editor"), body.get("seed", 0)
    if not isinstance(label, str) or not isinstance(editor, str) or not isinstance(seed, int) or not 0 <= seed < 2**31:
        raise UserError("Expected a label, the name of an editor, and a seed from 0 to 2147483647.")
    if body.get("mask") is None:
        masks = session.list_masks()
        if label not in masks:
            raise UserError("Choose a region, or paint where the image may change.")
        mask = masks[label]
    else:
        painted = read_rgb_image(_decode_base64(body["mask"], "mask"), "mask")[:, :, 0]
        mask = decode_mask(np.ascontiguousarray(painted), *session.edited.shape[:2])
    session.propose(mask, editor, label=label, seed=seed)
    return str(body["key"])


def _switch_layer(state: AppState, body: Mapping[str, Any]) -> str:
    number, is_on = body.get("number"), body.get("on")
    if not isinstance(number, int) or not isinstance(is_on, bool):
        raise UserError("Expected the number of a change, and whether it is on.")
    state.find_session(body.get("key")).switch_layer(number, is_on)
    return str(body["key"])


def _call(name: str) -> Callable[[AppState, Mapping[str, Any]], str]:
    def action(state: AppState, body: Mapping[str, Any]) -> str:
        getattr(state.find_session(body.get("key")), name)()
        return str(body["key"])

    return action


ACTIONS: Mapping[str, Callable[[AppState, Mapping[str, Any]], str]] = {
    "start": _start,
    "open": _open,
    "propose": _propose,
    "layer": _switch_layer,
    **{name: _call(name) for name in ("accept", "reject", "undo", "redo")},
}


def _describe(session: RefineSession) -> dict[str, Any]:
    """All that the page shows, as JSON values."""
    found = session.look()
    height, width = session.edited.shape[:2]
    proposal = session.proposal
    return {
        "width": width,
        "height": height,
        "instruction": session.instruction,
        "overall": found.overall,
        "scores": [{"name": one.dimension, "value": one.value, "detail": one.detail} for one in found.scores],
        "regions": [
            {
                "label": label,
                "kind": finding.kind,
                "box": [finding.box.x0, finding.box.y0, finding.box.x1, finding.box.y1],
                "flaw_type": finding.flaw_type,
                "severity": finding.severity,
                "rationale": finding.rationale or finding.detail,
                "editor": session.suggest_editor(label),
            }
            for label, finding in found.labelled_findings()
        ],
        "editors": list(session.editors),
        "layers": [
            {"number": number, "title": layer.edit.title, "on": layer.is_on}
            for number, layer in enumerate(session.layers, start=1)
        ],
        "proposal": None
        if proposal is None
        else {
            "title": proposal.layer.title,
            "box": [
                proposal.layer.left,
                proposal.layer.top,
                proposal.layer.left + proposal.layer.pixels.shape[1],
                proposal.layer.top + proposal.layer.pixels.shape[0],
            ],
            "before": proposal.before,
            "after": proposal.after,
        },
        "can_undo": session.can_undo,
        "can_redo": session.can_redo,
    }


def _draw(state: AppState, session: RefineSession, name: str) -> tuple[bytes, str]:
    """A picture or download of a session: source, edited, current, proposal, a map, a mask, or a file."""
    with state.lock:
        if name == "layers.ora":
            return session.encode_layers(), "image/openraster"
        if name == "trace.json":
            return orjson.dumps(session.as_trace(), option=orjson.OPT_INDENT_2), "application/json"
        picture = _find_picture(session, name)
        if picture is None:
            raise UserError("There is no such file.")
        return encode_png(picture), "image/png"


def _find_picture(session: RefineSession, name: str) -> NDArray[np.uint8] | None:
    if name in ("source.png", "edited.png"):
        return session.source if name == "source.png" else session.edited
    if name in ("current.png", "refined.png"):
        return session.image
    if name == "proposal.png" and session.proposal is not None:
        return session.proposal.image
    for kind in KINDS:
        if name == f"{kind}.png":
            return _tint(session.look().maps.by_kind(kind), kind)
    if name.startswith("mask-"):
        mask = session.list_masks().get(name.removeprefix("mask-").removesuffix(".png"))
        return None if mask is None else mask.astype(np.uint8) * np.uint8(255)
    return None


def _tint(saliency: NDArray[np.float32], kind: Kind) -> NDArray[np.uint8]:
    """A map as a colour that is as opaque as the map is high, uint8 [H, W, 4]."""
    from editfhf.heat import KIND_COLOURS

    shown = np.empty((*saliency.shape, 4), np.uint8)
    shown[:, :, :3] = KIND_COLOURS[kind]
    shown[:, :, 3] = np.rint(saliency * 190)
    return shown


def _decode_base64(text: object, name: str) -> bytes:
    try:
        return base64.b64decode(text if isinstance(text, str) else "", validate=True) or b"?"
    except (ValueError, binascii.Error):
        raise UserError(f"The {name} image is not base64.") from None


def _answer_json(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json", headers=HEADERS)
