"""Building 1,000 pairs at 1024 x 1024 against a bare copy of the same bytes, and against the naive way.

Every figure is the wall time of a whole process, start-up included, in one run on one machine.  Prints one JSON line a
measure: {"name", "ours_s", "peer", "peer_s", "ratio", "note"}.

    python tests/benchmarks/bench_build.py [--pairs 1000] [--size 1024] [--repeat 3] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from big_corpus import make

HERE = Path(__file__).parent
EDITFHF = Path(sys.executable).with_name("editfhf")
NAIVE_PAIRS = 24
MEGABYTE = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None, help="where to work; a temporary folder by default")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="editfhf-bench-", dir=given.folder) as folder:
        Bench(Path(folder), given.pairs, given.size, given.repeat).run()


class Bench:
    def __init__(self, folder: Path, pairs: int, size: int, repeat: int) -> None:
        self.folder, self.pairs, self.size, self.repeat = folder, pairs, size, repeat
        self.corpus, self.dataset, self.cache = folder / "corpus", folder / "dataset", folder / "cache"

    def run(self) -> None:
        make(self.corpus, self.pairs, self.size)
        times: dict[str, list[float]] = {}
        for _ in range(self.repeat):
            for name, seconds in self.once().items():
                times.setdefault(name, []).append(seconds)
        median = {name: statistics.median(values) for name, values in times.items()}
        floor = median.pop("floor")
        for name, seconds in median.items():
            report(name, seconds, "bare copy into Parquet by pyarrow", floor, seconds / floor, "ours / floor")
        naive = self.naive()
        first = median["first build, every picture checked"]
        report("first build", first, "from_generator + scipy + Pillow", naive, naive / first, "times faster; see docs")
        peak = self.memory() / MEGABYTE
        report("peak memory, MiB", peak, "limit", 1024, peak / 1024, "all processes; a run of its own, not timed")

    def once(self) -> dict[str, float]:
        """One round, floor and ours in turn, so that a slow moment of the machine meets both."""
        script, target = str(HERE / "floor_copy.py"), self.folder / "floor.parquet"
        found = {"floor": self.timed([sys.executable, script, str(self.corpus), str(target)])}
        target.unlink()
        shutil.rmtree(self.cache, ignore_errors=True)
        shutil.rmtree(self.dataset, ignore_errors=True)
        found["first build, every picture checked"] = self.build()
        shutil.rmtree(self.dataset)
        found["new folder, pictures known good"] = self.build()
        self.change_a_rating()
        found["--update after a rating changed"] = self.build("--update")
        found["nothing changed"] = self.build()
        return found

    def build(self, *options: str) -> float:
        return self.timed(self.command(*options))

    def command(self, *options: str) -> list[str]:
        return [str(EDITFHF), "build", str(self.corpus), str(self.dataset), "-q", *options]

    def environment(self) -> dict[str, str]:
        return os.environ | {"EDITFHF_CACHE": str(self.cache)}

    def timed(self, command: list[str]) -> float:
        """Wall seconds of a process, start-up included."""
        begun = time.perf_counter()
        subprocess.run(
            command, env=self.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True
        )
        return time.perf_counter() - begun

    def memory(self) -> int:
        """The largest memory of a first build and its workers together, in bytes."""
        shutil.rmtree(self.dataset)
        shutil.rmtree(self.cache)
        peak = 0
        process = psutil.Popen(self.command(), env=self.environment(), stdout=subprocess.DEVNULL)
        while process.poll() is None:
            peak = max(peak, memory(process))
            time.sleep(0.2)
        return peak

    def change_a_rating(self) -> None:
        path = self.corpus / "annotations" / "ratings.csv"
        lines = path.read_text().splitlines()
        pair, rater, dimension, score = lines[1].split(",")
        lines[1] = f"{pair},{rater},{dimension},{5.0 if float(score) < 3 else 1.0}"
        path.write_text("\n".join(lines) + "\n")

    def naive(self) -> float:
        """Seconds for all pairs, measured on a few: the naive way costs the same for every pair."""
        script = str(HERE / "naive_build.py")
        few, twice = (
            self.timed([sys.executable, script, str(self.corpus), str(self.folder / f"naive{count}"), str(count)])
            for count in (NAIVE_PAIRS, 2 * NAIVE_PAIRS)
        )
        per_pair = max(twice - few, 0.0) / NAIVE_PAIRS
        return few + per_pair * (self.pairs - NAIVE_PAIRS)


def memory(process: psutil.Process) -> int:
    """Proportional memory of a process and its children, in bytes: pages that they share count once."""
    total = 0
    for member in [process, *process.children(recursive=True)]:
        try:
            total += member.memory_full_info().pss
        except psutil.Error:
            continue
    return total


def report(name: str, ours: float, peer: str, other: float, ratio: float, note: str) -> None:
    line = {"name": name, "ours_s": round(ours, 3), "peer": peer, "peer_s": round(other, 3)}
    sys.stdout.write(json.dumps(line | {"ratio": round(ratio, 2), "note": note}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
