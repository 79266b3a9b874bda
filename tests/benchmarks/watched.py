"""A process and what it costs: wall time, and the largest memory of itself and of a server that it speaks with."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

LOOK_EVERY = 0.05
KILOBYTE = 1 << 10
RESET_PEAK = "5"
"""What makes Linux forget the peak of a process so far (proc(5), clear_refs)."""


@dataclass(frozen=True)
class Cost:
    """Wall seconds, peak resident bytes of the process and of the server, and what the process printed."""

    seconds: float
    memory: int
    server_memory: int
    output: str


def run(command: list[str], server: int, environment: Mapping[str, str]) -> Cost:
    """Run a command to its end; `server` is the number of the server's process."""
    for member in family(server):
        Path(f"/proc/{member}/clear_refs").write_text(RESET_PEAK)
    begun = time.perf_counter()
    process = subprocess.Popen(command, env=dict(environment), stdout=subprocess.PIPE, text=True)
    memory = 0
    while process.poll() is None:
        memory = max(memory, peak(process.pid))
        time.sleep(LOOK_EVERY)
    seconds = time.perf_counter() - begun
    output = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return Cost(seconds, memory, sum(map(peak, family(server))), output)


def family(number: int) -> list[int]:
    """A process and all that it started."""
    process = psutil.Process(number)
    return [number, *(child.pid for child in process.children(recursive=True))]


def peak(number: int) -> int:
    """The largest resident memory of a process since it was last forgotten, in bytes; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{number}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * KILOBYTE for line in lines if line.startswith("VmHWM:")), 0)
