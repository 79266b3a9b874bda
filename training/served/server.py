"""One model server for all served agents of a process: its options, and a client that waits for answers."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from editfhf.chat import (
    Chat,
    ChatStopped,
    FilteredReply,
    InvalidReply,
    JsonValue,
    Limits,
    ModelAnswer,
    ModelRefusal,
    ModelRequest,
    OverBudget,
    Prices,
    RequestOutcome,
    TruncatedReply,
    Usage,
    default_prices,
    find_connection,
)
from editfhf.drafting.pair_images import DraftImageFormat
from mos.errors import UserError
from training.agents.results import ResultStatus
from training.prompts.agent_messages import CoordinateSpace

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ServedOptions:
    """How the served agents ask.

    Attributes
    ----------
    model : str
        Name of the model on the server.
    folder : Path
        Folder of the answers, and of the ledger and budget of all runs with it. One process may use it at a time.
    base_url : str or None
        OpenAI-compatible server; None for OPENAI_BASE_URL, else OpenAI.
    key_file : Path or None
        File of mode 600 with the API key; None for OPENAI_API_KEY.
    max_requests, max_tokens : int or None
    max_money : Decimal or None
        Budget of all runs with this folder; money in US dollars.
    prices : Path or None
        Price table; None for that of the package.
    concurrency : int
        Requests at one time.
    max_side : int
        Longer side of the images that are sent, in pixels.
    picture_format : {"jpeg", "png"}
    max_output_tokens : int
        Limit of one reply, reasoning included.
    coordinates : {"thousandths", "pixels"}
        How the model writes boxes: 0 to 1000 (Qwen3-VL, Gemini, GPT), or pixels of the image that is sent
        (Qwen2.5-VL).
    parameters : tuple of (name, value)
        Other parameters of the server, such as ("temperature", 0).
    """

    model: str
    folder: Path
    base_url: str | None = None
    key_file: Path | None = None
    max_requests: int | None = None
    max_tokens: int | None = None
    max_money: Decimal | None = None
    prices: Path | None = None
    concurrency: int = 8
    max_side: int = 1024
    picture_format: DraftImageFormat = "jpeg"
    max_output_tokens: int = 4000
    coordinates: CoordinateSpace = "thousandths"
    parameters: tuple[tuple[str, JsonValue], ...] = ()


MODEL_VARIABLE = "EDITFHF_SERVED_MODEL"
FOLDER_VARIABLE = "EDITFHF_SERVED_FOLDER"


def find_served_options(environ: Mapping[str, str], **options: Any) -> ServedOptions:
    """The options that are given; model and folder from the environment where they are not.

    Raises
    ------
    UserError
        Model or folder are given nowhere.
    """
    for name, variable in (("model", MODEL_VARIABLE), ("folder", FOLDER_VARIABLE)):
        if not options.get(name) and not environ.get(variable):
            raise UserError(f"Served agents need a {name}: give the option {name}, or set {variable}.")
        options[name] = options.get(name) or environ[variable]
    return ServedOptions(**options | {"folder": Path(options["folder"])})


class ModelServer:
    """A client of one server that any thread may ask; close it in the end."""

    def __init__(self, options: ServedOptions) -> None:
        self.options = options
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="model server", daemon=True)
        self._thread.start()
        self._closed = False
        try:
            self._chat = self._run(self._open())
        except BaseException:
            self._stop_loop()
            raise

    def ask(self, request: ModelRequest) -> RequestOutcome:
        """The outcome of a request, which is sent unless it was answered before.

        Raises
        ------
        UserError
            An error that every other request would get too (wrong key, unknown model, no server), or a limit of the
            budget.
        """
        try:
            outcome = self._run(self._chat.ask(request))
        except ChatStopped:
            raise UserError("The client of the model server is closed.") from None
        if isinstance(outcome, OverBudget):
            raise UserError(f"Stopped by the budget: {outcome.message} Raise the limit and run the command again.")
        return outcome

    @property
    def usage(self) -> Usage:
        """Usage of all runs with the folder."""
        return self._chat.usage

    def close(self) -> None:
        """Wait for requests in flight, which are billed, and unlock the folder."""
        if self._closed:
            return
        self._closed = True
        try:
            self._run(self._chat.close())
        finally:
            self._stop_loop()

    async def _open(self) -> Chat:
        options = self.options
        prices = Prices.read(options.prices) if options.prices else default_prices()
        return Chat(
            find_connection(os.environ, options.base_url, options.key_file),
            options.folder,
            Limits(options.max_requests, options.max_tokens, options.max_money),
            options.concurrency,
            prices,
        )

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _stop_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


_open_servers: dict[str, ModelServer] = {}
_lock = threading.Lock()


def open_model_server(options: ServedOptions) -> ModelServer:
    """The server with these options, opened once in a process, so that three agents share its budget and folder."""
    key = repr(options)
    with _lock:
        server = _open_servers.get(key)
        if server is None or server._closed:
            server = _open_servers[key] = ModelServer(options)
        return server


@atexit.register
def close_model_servers() -> None:
    """Close every server that `open_model_server` opened."""
    with _lock:
        while _open_servers:
            _open_servers.popitem()[1].close()


def find_outcome_status(outcome: RequestOutcome) -> tuple[ResultStatus, str]:
    """The status of a result that rests on an outcome, and one sentence why there is no content; "" for an answer."""
    if isinstance(outcome, ModelAnswer):
        return "ok", ""
    if isinstance(outcome, ModelRefusal | FilteredReply):
        return "refused", outcome.message
    if isinstance(outcome, InvalidReply | TruncatedReply):
        return "unparsed", outcome.message
    return "error", outcome.message
