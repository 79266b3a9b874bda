"""Throughput of the chat client against the bare `AsyncOpenAI`, its memory, and how often a picture is encoded.

    python tests/benchmarks/bench_chat.py [--requests 640] [--concurrency 32] [--latency 0.1] [--rounds 3] [--many 5000]

One JSON line a measure, with the machine's load beside it. A server in a process of its own checks each request, waits
and answers by the schema. Ours and the peer take turns; the ratio is that of the medians, 1 is as fast as the peer. The
peer keeps nothing, counts nothing and retries nothing; ours writes ledger and cache to the disk before it answers.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image
from pydantic import SecretStr

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # for the server of the tests

from editfhf.chat import Chat, ChatConnection, EncodedImage, Limits, ModelAnswer, ModelRequest  # noqa: E402
from editfhf.chat.request import schema_name, strict_schema  # noqa: E402
from tests.editfhf.chat.asking import PRICES, Flaws, question  # noqa: E402
from tests.editfhf.chat.fault_server import KEY, MODEL, serving  # noqa: E402

NUMBERS = count()
TARGET = 0.9


def photo(seed: int, side: int = 512) -> bytes:
    """About 60 kB of JPEG that no other seed gives."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(file, "JPEG", quality=95)
    return file.getvalue()


PHOTOS = [photo(seed) for seed in range(16)]


def requests(number: int, pictures: int, fresh: bool = False) -> Iterator[ModelRequest]:
    """Questions that were never asked before; `fresh` pictures are objects of their own, as from a corpus."""
    shared = [EncodedImage(data, "image/jpeg") for data in PHOTOS]
    for _ in range(number):
        place = next(NUMBERS)
        chosen = [(place + offset) % len(PHOTOS) for offset in range(pictures)]
        seen = [EncodedImage(PHOTOS[one], "image/jpeg") if fresh else shared[one] for one in chosen]
        yield question(place, parts=(f"Pair {os.getpid()}-{place}.", *seen))


async def ours(url: str, asked: Iterator[ModelRequest], concurrency: int) -> None:
    """Every request through our client, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        connection = ChatConnection(url, SecretStr(KEY))
        async with Chat(connection, Path(folder), Limits(), concurrency=concurrency, prices=PRICES) as chat:
            async for request, outcome in chat.ask_all(asked):
                if not isinstance(outcome, ModelAnswer):
                    raise SystemExit(f"{request.name} got {outcome}")


async def bare(url: str, asked: Iterator[ModelRequest], concurrency: int) -> None:
    """The same through the package, parsed with pydantic; workers share one iterator."""
    from openai import AsyncOpenAI

    schema = {"name": schema_name(Flaws), "schema": strict_schema(Flaws), "strict": True}
    wanted: Any = {"type": "json_schema", "json_schema": schema}

    async with AsyncOpenAI(base_url=url, api_key=KEY, max_retries=0) as client:

        async def work() -> None:
            for request in asked:
                reply = await client.chat.completions.create(
                    model=MODEL,
                    messages=cast(Any, request.messages()),
                    max_completion_tokens=300,
                    response_format=wanted,
                )
                Flaws.model_validate_json(reply.choices[0].message.content or "")

        await asyncio.gather(*(work() for _ in range(concurrency)))


def throughput(url: str, given: argparse.Namespace) -> None:
    """Ours and the peer in turns, with one and two pictures a request."""
    for pictures in (1, 2):
        times: dict[str, list[float]] = {"ours": [], "bare": []}
        busy: dict[str, list[float]] = {"ours": [], "bare": []}
        for _ in range(given.rounds + 1):
            for name, run in (("ours", ours), ("bare", bare)):
                start, before = time.perf_counter(), time.process_time()
                asyncio.run(run(url, requests(given.requests, pictures), given.concurrency))
                times[name].append(time.perf_counter() - start)
                busy[name].append(time.process_time() - before)
        mine, peer = (statistics.median(times[name][1:]) for name in ("ours", "bare"))
        say(
            name=f"{given.requests} requests, {pictures} pictures each, concurrency {given.concurrency}",
            ours_per_s=round(given.requests / mine, 1),
            peer="AsyncOpenAI.chat.completions.create + pydantic",
            peer_per_s=round(given.requests / peer, 1),
            ratio=round(peer / mine, 3),
            ours_cpu_s=round(statistics.median(busy["ours"][1:]), 3),
            peer_cpu_s=round(statistics.median(busy["bare"][1:]), 3),
            note=f"server latency {given.latency} s; target {TARGET}",
        )


def memory(url: str, given: argparse.Namespace) -> None:
    """Peak memory of a process for few and many requests, each with two pictures of its own."""
    peaks = {}
    for number in (given.many // 10, given.many):
        command = [sys.executable, __file__, "--alone", url, "--requests", str(number)]
        done = subprocess.run([*command, "--concurrency", str(given.concurrency)], capture_output=True, check=True)
        peaks[number] = json.loads(done.stdout)["peak_mb"]
    few, many = peaks.values()
    names = " and ".join(str(number) for number in peaks)
    say(name=f"peak memory for {names} requests, 2 pictures each", few_mb=few, many_mb=many, ratio=round(many / few, 3))


def alone(given: argparse.Namespace) -> None:
    """What `memory` runs in a process of its own."""
    asyncio.run(ours(given.alone, requests(given.requests, 2, fresh=True), given.concurrency))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps({"peak_mb": round(peak, 1)}) + "\n")


def encodings(url: str, given: argparse.Namespace) -> None:
    """How often base64 is made when 16 pictures go into many requests, two each."""
    made, plain = 0, base64.b64encode

    def counted(data: bytes) -> bytes:
        nonlocal made
        made += 1
        return plain(data)

    base64.b64encode = counted  # type: ignore[assignment]
    try:
        asyncio.run(ours(url, requests(given.requests, 2), given.concurrency))
    finally:
        base64.b64encode = plain
    say(name=f"base64 of {len(PHOTOS)} pictures in {given.requests} requests", encoded=made, expected=len(PHOTOS))


def say(**measure: object) -> None:
    load = [round(value, 1) for value in os.getloadavg()]
    sys.stdout.write(json.dumps(measure | {"load": load}) + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=640)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--latency", type=float, default=0.1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--many", type=int, default=5_000)
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.alone:
        alone(given)
        return
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), "--latency", str(given.latency)) as url:
        throughput(url, given)
        encodings(url, given)
        memory(url, given)


if __name__ == "__main__":
    main()
