"""One saliency map from disks to PNG bytes, against SciPy's Gaussian filter and Pillow's PNG at default settings.

Run `python tests/benchmarks/bench_saliency.py`; one JSON object a line, seconds are medians in one process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from editfhf import saliency

HEIGHT = WIDTH = 1024
COUNT = 12
TARGET = 35


def layouts() -> dict[str, np.ndarray]:
    """Twelve disks anywhere (the hardest), in three regions, and one disk alone."""
    random = np.random.default_rng(0)
    regions = [random.normal(centre, HEIGHT / 40, (COUNT // 3, 2)) for centre in ((300, 300), (700, 500), (600, 800))]
    return {
        "scattered": random.uniform(0, HEIGHT, (COUNT, 2)),
        "regions": np.concatenate(regions),
        "one": np.array([[512.5, 512.5]]),
    }


def theirs(disks: np.ndarray) -> bytes:
    """Points rounded to pixels, filtered, scaled to 8 bits, saved."""
    points = np.zeros((HEIGHT, WIDTH), np.float32)
    columns, rows = disks.astype(int).clip(0, HEIGHT - 1).T
    np.add.at(points, (rows, columns), 1)
    blurred = gaussian_filter(points, HEIGHT / 40, truncate=4, mode="constant")
    file = BytesIO()
    Image.fromarray((blurred / blurred.max() * 255 + 0.5).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def measure_seconds(call: Callable[[], object], runs: int) -> float:
    """The median over `runs`, after one call to warm up."""
    call()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Print one line per layout of disks."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    for name, disks in layouts().items():
        ours = measure_seconds(lambda disks=disks: saliency.render_saliency_png(disks, HEIGHT, WIDTH), 40)  # type: ignore[misc]
        peer = measure_seconds(lambda disks=disks: theirs(disks), 15)  # type: ignore[misc]
        size, peer_size = len(saliency.render_saliency_png(disks, HEIGHT, WIDTH)[0]), len(theirs(disks))
        row = {
            "name": f"saliency map {HEIGHT}x{WIDTH}, {len(disks)} disks, {name}",
            "ours_s": round(ours, 6),
            "peer": "scipy.ndimage.gaussian_filter + Pillow PNG",
            "peer_s": round(peer, 6),
            "ratio": round(peer / ours, 1),
            "note": f"render, quantise, encode; {size} against {peer_size} bytes; target {TARGET}x",
        }
        sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
