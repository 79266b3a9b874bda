"""Pairs a second of POST /score beside the same agent in this process, one JSON line a measure.

    python tests/benchmarks/bench_serve.py [--pairs 16] [--side 512] [--workers 1] [--repeats 3]

Every pair is another image, so that no answer is kept. Server and process take turns; the best of the repeats counts.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import orjson
from PIL import Image

from annotation.images import decode_image
from mos.console import print_line
from training.agents.registry import load_agent
from training.serving.reward_client import RewardClient

Pair = tuple[bytes, bytes, str]


def make_pairs(count: int, side: int) -> list[Pair]:
    """Smooth noise as JPEG, which is about as large as a photo."""
    random = np.random.default_rng(0)

    def encode() -> bytes:
        small = Image.fromarray(random.integers(0, 256, (side // 16, side // 16, 3), dtype=np.uint8))
        stream = io.BytesIO()
        small.resize((side, side), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=92)
        return stream.getvalue()

    return [(encode(), encode(), f"Change number {number}.") for number in range(count)]


def measure(work: Callable[[], object], pairs: int) -> float:
    began = time.perf_counter()
    work()
    return pairs / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    pairs = make_pairs(options.pairs, options.side)
    agent = load_agent("evaluation", "compact")

    def score_here() -> list[float]:
        found = []
        for source, edited, instruction in pairs:
            scores = agent.evaluate(decode_image(source), decode_image(edited), instruction)
            found += [score.value for score in scores]
        return found

    command = [sys.executable, "-m", "editfhf.cli", "serve", "--port", "0", "--workers", str(options.workers)]
    environment = {name: value for name, value in os.environ.items() if name != "EDITFHF_SERVE_KEY"}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().split()[-1]
        clients = {batch: RewardClient(url, batch=batch) for batch in (1, 8)}
        expected = score_here()
        best = {"in process": 0.0} | {f"batch {batch}": 0.0 for batch in clients}
        for _ in range(options.repeats):
            best["in process"] = max(best["in process"], measure(score_here, len(pairs)))
            for batch, client in clients.items():
                speed = measure(lambda client=client: client.score(pairs), len(pairs))
                best[f"batch {batch}"] = max(best[f"batch {batch}"], speed)
        served = clients[8].score(pairs)
        values = [value for each in served for name, value in each.values.items() if name != "overall"]
    finally:
        server.terminate()
        server.wait()
    largest = float(np.abs(np.array(values) - np.array(expected)).max())
    sent = sum(len(orjson.dumps(base64.b64encode(each).decode())) for pair in pairs for each in pair[:2]) / len(pairs)
    common = {"workers": options.workers, "pairs": len(pairs), "side": options.side, "bytes_a_pair": round(sent)}
    for name, speed in best.items():
        ratio = round(speed / best["in process"], 3)
        print_line(json.dumps({"measure": name, "pairs_per_s": round(speed, 1), "ratio": ratio} | common))
    print_line(json.dumps({"measure": "largest difference", "points": largest} | common))


if __name__ == "__main__":
    main()
