"""The editor: a request to one HTTP request, and its answer to a result."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import platformdirs

from annotation.images import ImageError, RgbImage, decode_image
from editfhf.chat.budget import Limits, Usage
from editfhf.chat.costs import Prices, usage_bound
from editfhf.chat.http_client import ChatConnection, find_connection
from editfhf.chat.outcomes import ChatStopped, Exchange, FailedRequest, OverBudget
from editfhf.chat.replies import ModelReply
from editfhf.chat.request import MAX_REQUEST_NAME
from editfhf.chat.retry import RetryPolicy
from editfhf.editors.edit_attempts import EditDeclined, EditedImage, attempt_edit
from editfhf.editors.http_editors.canvas import Canvas, cut_answer
from editfhf.editors.http_editors.dialects import EDIT_DIALECTS
from editfhf.editors.http_editors.edit_dialect import EditDialect
from editfhf.editors.http_editors.result_urls import download_result
from editfhf.editors.http_editors.service import EditService
from editfhf.editors.http_editors.wire import WireRequest, decode_answer, unpack_text
from editfhf.editors.protocol import EditRequest, EditResult
from editfhf.editors.registry import find_editor_entry
from mos.errors import UserError, require_choice
from mos.files import read_regular_file, replace_file

IMAGE_PRICES_FILE = Path(__file__).with_name("image_prices.yaml")

MAX_PROMPT = 32_000
"""Characters of an instruction that services take."""


@cache
def default_image_prices() -> Prices:
    """Read the price table of models that edit images."""
    return Prices.read(IMAGE_PRICES_FILE)


class HttpEditor:
    """Edits by a service behind HTTP.

    An edit is known by the digest of all that is sent and its seed. Its answer is stored before it is returned, so the
    same edit is never sent or paid for twice, also after a crash.

    Parameters
    ----------
    name : str
        Name in the list of editors.
    dialect : str
        One of `EDIT_DIALECTS`.
    model : str
        Name of the model on the server.
    base_url : str, optional
        URL of the server (default: that of the service; for "openai", "vllm-omni" and "sglang" OPENAI_BASE_URL, else
        OpenAI).
    folder : Path, optional
        Folder of cache and ledger (default: in the user's cache folder). One process at a time.
    max_cost : Decimal, optional
        US dollars that everything in the folder's ledger may cost.
    prices : Path, optional
        Price table in the form of `editfhf/chat/prices.yaml` (default: `image_prices.yaml` beside this module).
    result_hosts : sequence of str
        Hosts from which an image is downloaded where a service gives an address instead; none by default.
    timeout : float
        Seconds that one attempt may take.
    attempts : int
        Attempts at one request, the first included.
    **parameters
        Parameters of the editor, as in its entry in `editors.yaml`. A request may set them too.

    Raises
    ------
    UserError
        An option is unknown or malformed, or the key is missing.
    """

    def __init__(
        self,
        name: str,
        *,
        dialect: str,
        model: str = "",
        base_url: str | None = None,
        folder: Path | None = None,
        max_cost: Decimal | None = None,
        prices: Path | None = None,
        result_hosts: Sequence[str] = (),
        timeout: float = 600.0,
        attempts: int = 6,
        **parameters: Any,
    ) -> None:
        require_choice("dialect", dialect, tuple(EDIT_DIALECTS))
        if not 0 < len(model) <= MAX_REQUEST_NAME or any(mark in model for mark in "?#%\\") or ".." in model:
            raise UserError(f"{name} needs --model: the name of a model on the server.")
        self._name = name
        self._entry = find_editor_entry(name)
        self._dialect = EDIT_DIALECTS[dialect]
        self._model = model
        self._given = self._entry.merge_parameters(parameters)
        self._connection = _find_service(self._dialect, base_url)
        self._folder = folder or _default_folder(name)
        self._limits = Limits(money=max_cost)
        self._prices = Prices.read(prices) if prices else default_image_prices()
        self._policy = RetryPolicy(attempts=attempts, timeout=timeout)
        self._result_hosts = tuple(result_hosts)
        self._service: EditService | None = None

    @property
    def name(self) -> str:
        return self._name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close connections and unlock the folder; the next edit opens them again."""
        if self._service is not None:
            self._service.close()
            self._service = None

    def estimate_cost(self, request: EditRequest) -> float | None:
        """Most US dollars that an edit may cost; None where the price of the model is not known. Nothing is sent."""
        parameters = self._entry.merge_parameters(self._given, request.parameters)
        _, wire = self._build_wire(request, parameters)
        cost = self._bound_usage(wire).cost
        return None if cost is None else float(cost)

    def edit(self, request: EditRequest) -> EditResult:
        """Ask the service once, unless it answered the same request before; `UserError` where every edit would fail."""
        parameters = self._entry.merge_parameters(self._given, request.parameters)
        recorded = {
            **parameters,
            "model": self._model,
            "dialect": self._dialect.name,
            "host": urlsplit(self._connection.url).hostname or "",
        }
        seed = request.seed if self._dialect.has_seed else None
        return attempt_edit(self._name, self._model, seed, recorded, lambda: self._ask_service(request, parameters))

    def _ask_service(self, request: EditRequest, parameters: Mapping[str, Any]) -> EditedImage:
        if len(request.instruction) > MAX_PROMPT:
            raise EditDeclined("error", f"The instruction has more than {MAX_PROMPT:,} characters.")
        canvas, wire = self._build_wire(request, parameters)
        # The seed is part of the key also where the service has none: another seed asks for another answer.
        key = wire.compute_digest(self._dialect.name, self._connection.url, str(request.seed))
        exchange = Exchange(key, 0, self._name, self._model, b"", self._bound_usage(wire))
        try:
            reply = self._open_service().ask(exchange, wire)
        except ChatStopped:
            raise EditDeclined("error", "It was interrupted before the request was sent.") from None
        if isinstance(reply, OverBudget):
            raise EditDeclined("error", f"Nothing was sent. {reply.message}")
        if isinstance(reply, FailedRequest):
            raise EditDeclined("error", reply.message)
        cost = float(reply.usage.cost or 0)
        try:
            image = self._read_image(reply, key)
        except EditDeclined as declined:
            raise EditDeclined(declined.status, declined.detail, cost) from None
        return EditedImage(cut_answer(image, canvas), reply.served_by or self._model, cost)

    def _read_image(self, reply: ModelReply, key: str) -> RgbImage:
        if reply.finish == "content_filter":
            raise EditDeclined("refused", "A content filter of the service blocked the edit.")
        if reply.text is None:
            raise EditDeclined("error", "The service answered without an image.")
        image, url = unpack_text(reply.text)
        try:
            return decode_answer(image) if image else decode_image(self._read_download(url, key))
        except ImageError as error:
            raise EditDeclined("error", f"The answer of the service cannot be used. {error}") from None

    def _read_download(self, url: str, key: str) -> bytes:
        """The image at an address, which is downloaded once: it expires, and the edit is paid for."""
        kept = self._folder / f"{key}.image"
        if not kept.exists():
            replace_file(kept, download_result(url, self._result_hosts, self._policy.timeout), 0o600)
        return read_regular_file(kept)

    def _build_wire(self, request: EditRequest, parameters: Mapping[str, Any]) -> tuple[Canvas, WireRequest]:
        canvas = self._dialect.plan(request, self._model, parameters)
        return canvas, self._dialect.build(request, canvas, self._model, parameters)

    def _bound_usage(self, wire: WireRequest) -> Usage:
        return usage_bound(self._model, wire.max_input_tokens, wire.max_output_tokens, self._prices, Decimal(1))

    def _open_service(self) -> EditService:
        if self._service is None:
            self._service = EditService(
                self._dialect, self._connection, self._folder, self._limits, self._prices, self._policy
            )
        return self._service


def _find_service(dialect: EditDialect, base_url: str | None) -> ChatConnection:
    return find_connection(os.environ, base_url or dialect.base_url or None, key_variable=dialect.key_variable)


def _default_folder(name: str) -> Path:
    root = os.environ.get("EDITFHF_CACHE") or platformdirs.user_cache_dir("editfhf", appauthor=False)
    return Path(root) / "edits" / name
