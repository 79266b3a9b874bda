"""An OpenAI-compatible server that goes wrong as planned, checks what it is sent and keeps a bill.

    python -m tests.editfhf.chat.fault_server FOLDER [--port 0] [--key sk-test] [--model gpt-test] [--latency 0.0]
        [--plan '{"rates": {"429": 0.1}, "seed": 1}']

writes its address to FOLDER/url and its bill to FOLDER/bill.sqlite. A request that was billed is answered again under
the same Idempotency-Key without being billed again; the same key with another body is refused.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.editfhf.chat import faulty_replies, request_rules
from tests.editfhf.chat.batch_desk import Desk
from tests.editfhf.chat.fault_plan import Plan
from tests.editfhf.chat.request_rules import Refusal
from tests.editfhf.chat.server_bill import Bill

ROOT = Path(__file__).parents[3]
KEY = "sk-test-3f9Kq7VbX2mZrecognisable"
MODEL = "gpt-test"


class FaultServer:
    """The double. `highest` is the most requests that were alive at once; `bills_once`: whether it heeds the key."""

    def __init__(
        self, folder: Path, plan: Plan, key: str = KEY, models: Sequence[str] = (MODEL,), latency: float = 0
    ) -> None:
        self.bill, self.plan, self.latency, self.key = Bill(folder / "bill.sqlite"), plan, latency, key
        self.models = set(models)
        self.bills_once = True
        counter = request_rules.Counter()
        self.desk = Desk(self.bill, counter, plan, self.models)
        self.url, self.alive, self.highest = "", 0, 0
        self.idempotent_posts: dict[str, dict[str, Any]] = {}
        self._counter = counter

    def app(self) -> web.Application:
        """The routes, all under /v1."""
        made = web.Application(client_max_size=300_000_000, middlewares=[self._guard])
        made.add_routes(
            [
                web.post("/v1/chat/completions", self._complete),
                web.get("/v1/models", self._list_models),
                web.post("/v1/files", self._take_file),
                web.get("/v1/files/{id}", self._show_file),
                web.get("/v1/files/{id}/content", self._give_file),
                web.delete("/v1/files/{id}", self._drop_file),
                web.post("/v1/batches", self._open_batch),
                web.get("/v1/batches", self._list_batches),
                web.get("/v1/batches/{id}", self._show_batch),
                web.post("/v1/batches/{id}/cancel", self._cancel_batch),
            ]
        )
        return made

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """The key first; then one shape for every error."""
        sent = request.headers.get("Authorization", "")
        self.bill.visit(f"{request.method} {request.path}")
        try:
            if sent != f"Bearer {self.key}":  # the real server's message shows the key, so this one shows all of it
                raise Refusal(401, f"Incorrect API key provided: {sent}.", "invalid_api_key")
            return await handler(request)
        except Refusal as refusal:
            return web.json_response(refusal.body(), status=refusal.status)

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        self.alive += 1
        self.highest = max(self.highest, self.alive)
        try:
            return await self._answer(request)
        finally:
            self.alive -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            body = await request.json()
        except ValueError as error:
            raise Refusal(400, "We could not parse the JSON body of your request.") from error
        request_rules.check(body, self.models)
        key = request.headers.get("Idempotency-Key") if self.bills_once else None
        digest = request_rules.digest(body)
        kept = self.bill.kept(key) if key else None
        if kept is not None and kept[0] != digest:
            raise Refusal(400, "This Idempotency-Key was used for another request.", "idempotency_key_reused")
        fault = self.plan.next(digest, request_rules.text(body))
        self.bill.arrive(key, digest, fault, request.headers.get("x-stainless-retry-count"), time.time())
        name, _, argument = fault.partition(":")
        if (unpaid := await self._unpaid(request, name, argument)) is not None:
            return unpaid
        reply = kept[1] if kept else self._paid(body, key, digest, name)
        await asyncio.sleep(float(argument) if name == "timeout" else self.latency)
        if name == "cut":
            return await cut_short(request, reply)
        return web.Response(text=reply, content_type="application/json", headers={"x-request-id": f"req_{digest[:16]}"})

    def _paid(self, body: dict[str, Any], key: str | None, digest: str, fault: str) -> str:
        """Bill a request and keep its reply, before anything of it is sent."""
        used = self._counter.input(body)
        reply = json.dumps(faulty_replies.envelope(body, digest, fault, used))
        self.bill.charge("chat", key, digest, body["model"], used, fault)
        if key:
            self.bill.keep(key, digest, reply)
        return reply

    async def _unpaid(self, request: web.Request, name: str, argument: str) -> web.StreamResponse | None:
        """The faults that cost nothing: a status, a proxy's page, a connection that is closed."""
        if name == "reset":
            if request.transport is not None:
                request.transport.close()
            return web.Response()
        if name == "page":
            return web.Response(status=502, text="<html><h1>Bad Gateway</h1></html>", content_type="text/html")
        if name == "bomb":
            bomb = gzip.compress(bytes(200_000_000), compresslevel=1)
            return web.Response(body=bomb, headers={"Content-Encoding": "gzip"}, content_type="application/json")
        if name == "flood":
            return web.Response(body=bytes(70_000_000), content_type="application/json")
        status, _, kind = name.partition("-")
        if not status.isdigit():
            return None
        headers = {"x-request-id": "req_fault"}
        if kind == "date":
            headers["Retry-After"] = formatdate(time.time() + float(argument), usegmt=True)
        elif kind == "ms":
            headers["retry-after-ms"] = argument
        elif kind == "retry":
            headers["x-should-retry"] = argument
        elif status.startswith("3"):
            headers["Location"] = argument
        elif argument:
            headers["Retry-After"] = argument
        code = "insufficient_quota" if kind == "quota" else None
        error = {"error": {"message": f"Planned fault {status}.", "type": "planned", "param": None, "code": code}}
        return web.json_response(error, status=int(status), headers=headers)

    async def _list_models(self, _: web.Request) -> web.Response:
        rows = [{"id": name, "object": "model", "created": 1, "owned_by": "tests"} for name in sorted(self.models)]
        return web.json_response({"object": "list", "data": rows})

    async def _take_file(self, request: web.Request) -> web.Response:
        if (shown := self._posted_before(request)) is not None:
            return shown
        form = await request.post()
        sent = form.get("file")
        if form.get("purpose") != "batch" or not isinstance(sent, web.FileField):
            raise Refusal(400, "A file needs purpose 'batch' and a part 'file'.")
        return self._posted(request, self._file(self.desk.store(sent.file.read())))

    def _file(self, name: str) -> dict[str, Any]:
        size = len(self.desk.files[name])
        about = {"id": name, "object": "file", "bytes": size, "created_at": 1_770_000_000, "filename": "requests.jsonl"}
        return about | {"purpose": "batch", "status": "processed"}

    async def _show_file(self, request: web.Request) -> web.Response:
        return web.json_response(self._file(self._stored(request)))

    async def _give_file(self, request: web.Request) -> web.Response:
        return web.Response(body=self.desk.files[self._stored(request)], content_type="application/octet-stream")

    async def _drop_file(self, request: web.Request) -> web.Response:
        name = self._stored(request)
        self.desk.files[name] = b""
        return web.json_response({"id": name, "object": "file", "deleted": True})

    def _stored(self, request: web.Request) -> str:
        name = request.match_info["id"]
        if name not in self.desk.files:
            raise Refusal(404, "No such File object.")
        return name

    async def _open_batch(self, request: web.Request) -> web.Response:
        if (shown := self._posted_before(request)) is not None:
            return shown
        return self._posted(request, self.desk.submit(await request.json()).shown())

    def _posted_before(self, request: web.Request) -> web.Response | None:
        found = self.idempotent_posts.get(f"{request.path} {request.headers.get('Idempotency-Key')}")
        return None if found is None else web.json_response(found)

    def _posted(self, request: web.Request, made: dict[str, Any]) -> web.Response:
        if key := request.headers.get("Idempotency-Key"):
            self.idempotent_posts[f"{request.path} {key}"] = made
        return web.json_response(made)

    async def _list_batches(self, request: web.Request) -> web.Response:
        rows = [batch.shown() for batch in reversed(self.desk.batches.values())]
        start = next((n + 1 for n, row in enumerate(rows) if row["id"] == request.query.get("after")), 0)
        size = int(request.query.get("limit", 20))
        shown, more = rows[start : start + size], len(rows) > start + size
        return web.json_response({"object": "list", "data": shown, "has_more": more})

    async def _show_batch(self, request: web.Request) -> web.Response:
        batch = self.desk.batches.get(request.match_info["id"])
        if batch is None:
            raise Refusal(404, "No such Batch object.")
        return web.json_response(self.desk.look(batch).shown())

    async def _cancel_batch(self, request: web.Request) -> web.Response:
        batch = self.desk.batches[request.match_info["id"]]
        batch.status = "cancelling"
        return web.json_response(batch.shown())


async def cut_short(request: web.Request, reply: str) -> web.StreamResponse:
    """Half of a reply, then a closed connection."""
    plain = reply.encode()
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(plain))})
    await response.prepare(request)
    await response.write(plain[: len(plain) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


async def _serve(server: FaultServer, port: int, started: Any) -> None:
    runner = web.AppRunner(server.app(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        await started(server.url)
    finally:
        await runner.cleanup()


@contextmanager
def running(folder: Path, plan: Plan | None = None, **options: Any) -> Iterator[FaultServer]:
    """The server in a thread of this process."""
    server = FaultServer(folder, plan or Plan(), **options)
    ready, loop, stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def wait(_: str) -> None:
        ready.set()
        await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=[_serve(server, 0, wait)])
    thread.start()
    try:
        if not ready.wait(20):
            raise TimeoutError("the fault server did not start")
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
        server.bill.close()


@contextmanager
def serving(folder: Path, *options: str, key: str = KEY) -> Iterator[str]:
    """The server in a process of its own; gives its address. The bill is in `folder`."""
    command = [sys.executable, "-m", "tests.editfhf.chat.fault_server", str(folder), "--key", key, *options]
    address = folder / "url"
    with (
        (folder / "server.log").open("wb") as log,  # what a killed client leaves behind
        subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log) as process,
    ):
        try:
            deadline = time.monotonic() + 30
            while not address.is_file():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise TimeoutError("the fault server did not start")
                time.sleep(0.05)
            yield address.read_text()
        finally:
            process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key", default=KEY)
    parser.add_argument("--model", action="append")
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--plan", type=json.loads, default={})
    given = parser.parse_args()
    models = tuple(given.model or (MODEL,))
    server = FaultServer(given.folder, Plan.from_json(given.plan), given.key, models, given.latency)

    async def wait(url: str) -> None:
        unfinished = given.folder / "url.part"
        unfinished.write_text(url)
        unfinished.rename(given.folder / "url")
        await asyncio.Event().wait()

    asyncio.run(_serve(server, given.port, wait))


if __name__ == "__main__":
    main()
