"""The HTTP side of the server: who may ask, how much, and what each answer looks like."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from dataclasses import asdict
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from mos.console import print_line
from training.serving.pair_items import PairBytes, RefusedItem, ServeLimits, read_pair_items
from training.serving.workers import WorkerPool

RETRY_SECONDS = 1
"""What a client that is refused for a full queue is told to wait."""

HELD_BODIES = 4
"""Bodies of the largest size that are held at one time."""

OPEN_ROUTES = ("health",)
"""Routes without a key: they say nothing about the work."""


class ServerState:
    """What the routes share: the pool, the limits, and the counters."""

    def __init__(self, pool: WorkerPool, routes: Sequence[str], limits: ServeLimits, key: str | None) -> None:
        self.pool = pool
        self.routes = tuple(routes)
        self.limits = limits
        self.answers: Counter[tuple[str, int]] = Counter()
        self.items: Counter[tuple[str, int]] = Counter()
        self.waiting = 0
        self.held_bytes = 0
        self._key = None if key is None else _digest(key)

    def check_key(self, request: Request) -> None:
        """RefusedItem for a wrong key; the time does not tell how much of it was right."""
        given = request.headers.get("authorization", "").partition(" ")[2].strip()
        if self._key is not None and not hmac.compare_digest(_digest(given), self._key):
            raise RefusedItem(
                401, "wrong_key", "Expected the header 'Authorization: Bearer KEY' with the server's key."
            )


def make_app(state: ServerState) -> Starlette:
    """The application: a POST route for each kind of work, and GET /, /health and /metrics."""

    def wrap(name: str, answer: Callable[[ServerState, Request, str], Awaitable[_Answer]]) -> Callable[..., Any]:
        async def handle(request: Request) -> Response:
            return await _answer_request(state, request, name, answer)

        return handle

    routes = [Route(f"/{name}", wrap(name, _work), methods=["POST"]) for name in state.routes]
    routes += [
        Route("/", wrap("about", _about), methods=["GET"]),
        Route("/health", wrap("health", _health), methods=["GET"]),
        Route("/metrics", wrap("metrics", _metrics), methods=["GET"]),
    ]
    return Starlette(routes=routes)


class _Answer:
    def __init__(self, content: dict[str, Any] | str, code: int = 200, items: int = 0, failed: int = 0) -> None:
        self.content, self.code, self.items, self.failed = content, code, items, failed


async def _answer_request(
    state: ServerState,
    request: Request,
    name: str,
    answer: Callable[[ServerState, Request, str], Awaitable[_Answer]],
) -> Response:
    began = time.monotonic()
    try:
        if name not in OPEN_ROUTES:
            state.check_key(request)
        found = await answer(state, request, name)
    except RefusedItem as refused:
        found = _Answer(refused.as_dict(), refused.code)
    except ClientDisconnect:
        found = _Answer({"status": "error", "code": 400, "reason": "disconnected", "message": ""}, 400)
    state.answers[name, found.code] += 1
    if name not in ("health", "metrics"):
        _log(route=name, code=found.code, items=found.items, failed=found.failed, seconds=time.monotonic() - began)
    headers = {"Retry-After": str(RETRY_SECONDS)} if found.code in (429, 503) else {}
    if found.code in (400, 401, 408, 413, 415, 429):
        headers["Connection"] = "close"  # the rest of the body is not read
    if isinstance(found.content, str):
        return Response(found.content, found.code, headers, "text/plain; version=0.0.4")
    return Response(orjson.dumps(found.content), found.code, headers, "application/json")


async def _work(state: ServerState, request: Request, name: str) -> _Answer:
    held = 0
    try:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise RefusedItem(415, "wrong_type", "Expected the content type application/json.")
        held = _reserve_body(state, request)
        body = await _read_body(request, held, state.limits.body_seconds)
        items, batch = await asyncio.to_thread(read_pair_items, body, state.limits)
        del body
        results = await _work_on_items(state, name, items)
    finally:
        state.held_bytes -= held
    failed = sum(result["status"] != "ok" for result in results)
    if batch:
        return _Answer({"items": results}, 200, len(results), failed)
    return _Answer(results[0], results[0]["code"], 1, failed)


async def _work_on_items(state: ServerState, name: str, items: list[PairBytes | RefusedItem]) -> list[dict[str, Any]]:
    good = [item for item in items if isinstance(item, PairBytes)]
    if state.waiting + len(good) > state.limits.waiting:
        raise RefusedItem(429, "busy", "Too many pairs are waiting. Ask again later.")
    state.waiting += len(good)
    futures = [state.pool.submit(name, item) for item in good]
    for future in futures:
        wrapped = asyncio.wrap_future(future)
        wrapped.add_done_callback(lambda done: _leave(state, done))
    answers = iter(await asyncio.gather(*map(_await_result, futures)))
    results = [next(answers) if isinstance(item, PairBytes) else item.as_dict() for item in items]
    for result in results:
        state.items[name, result["code"]] += 1
    return results


def _leave(state: ServerState, done: asyncio.Future[dict[str, Any]]) -> None:
    state.waiting -= 1
    if not done.cancelled():
        done.exception()  # retrieved, so that asyncio does not warn


async def _await_result(future: Future[dict[str, Any]]) -> dict[str, Any]:
    try:
        found = await asyncio.wrap_future(future)
    except RefusedItem as refused:
        return refused.as_dict()
    return {"status": "ok", "code": 200} | found


def _reserve_body(state: ServerState, request: Request) -> int:
    """Bytes that the body may have; they count as held until the request is answered."""
    limit = state.limits.body_bytes
    declared = request.headers.get("content-length")
    size = int(declared) if declared is not None and declared.isdecimal() and len(declared) < 20 else limit
    if size > limit:
        raise RefusedItem(413, "too_large", f"The body has {size:,} bytes: at most {limit:,}.")
    if state.held_bytes + size > HELD_BODIES * limit:
        raise RefusedItem(429, "busy", "Too many bodies are being read. Ask again later.")
    state.held_bytes += size
    return size


async def _read_body(request: Request, limit: int, seconds: float) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise RefusedItem(413, "too_large", f"The body has more than {limit:,} bytes.")
                parts.append(part)
    except TimeoutError:
        raise RefusedItem(408, "slow_body", f"The body did not arrive within {seconds:g} s.") from None
    return b"".join(parts)


async def _about(state: ServerState, request: Request, name: str) -> _Answer:
    from editfhf import __version__

    coverage = {
        f"/{route}": {"ok": state.items[route, 200], "of": _count_items(state, route)} for route in state.routes
    }
    return _Answer({"editfhf": __version__, "coverage": coverage, "limits": asdict(state.limits)})


def _count_items(state: ServerState, route: str) -> int:
    return sum(count for (name, _), count in state.items.items() if name == route)


async def _health(state: ServerState, request: Request, name: str) -> _Answer:
    return _Answer({"status": "ok"})


async def _metrics(state: ServerState, request: Request, name: str) -> _Answer:
    lines = [f'editfhf_requests_total{{route="{r}",code="{c}"}} {n}' for (r, c), n in sorted(state.answers.items())]
    lines += [f'editfhf_items_total{{route="{r}",code="{c}"}} {n}' for (r, c), n in sorted(state.items.items())]
    lines += [f"editfhf_worker_restarts_total {state.pool.restarts}", f"editfhf_items_waiting {state.waiting}", ""]
    return _Answer("\n".join(lines))


def _log(**values: Any) -> None:
    """One JSON line on stderr: no header, no address, no text of the client."""
    values["seconds"] = round(values["seconds"], 4)
    print_line(orjson.dumps({"time": round(time.time(), 3)} | values).decode(), to_stderr=True)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
