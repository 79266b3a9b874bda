"""A thousand questions and ten kills at random moments: none lost, none paid twice, and the ledger is the bill."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest

from tests.editfhf.chat.asking import PRICE
from tests.editfhf.chat.fault_server import KEY, ROOT, serving
from tests.editfhf.chat.server_bill import Bill

QUESTIONS = 1_000
KILLS = 10
FAULTS = {
    "429:0": 0.02, "500": 0.02, "cut": 0.02, "reset": 0.01, "bad_json": 0.02, "refusal": 0.01, "length": 0.01,
}  # fmt: skip


def begin(url: str, folder: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start to ask, in a process group of its own; what it says is added to a log."""
    command = [sys.executable, "-m", "tests.editfhf.chat.ask_many", url, str(folder), str(QUESTIONS)]
    environment = os.environ | {"OPENAI_API_KEY": KEY}
    with log.open("ab") as said:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=said, stderr=said, start_new_session=True)


def kill_after(process: subprocess.Popen[bytes], bill: Bill, arrivals: int, pause: float) -> None:
    """Kill the whole group when the server has seen so many requests, and a moment later."""
    while process.poll() is None and bill.arrived() < arrivals:
        time.sleep(0.005)
    time.sleep(pause)
    assert process.poll() is None, "ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_a_thousand_questions_survive_ten_kills(tmp_path: Path) -> None:
    rng = random.Random(5)
    moments = sorted(rng.sample(range(5, QUESTIONS - 50), KILLS))
    (tmp_path / "server").mkdir()
    plan = json.dumps({"rates": FAULTS, "seed": 5})
    with serving(tmp_path / "server", "--latency", "0.02", "--plan", plan) as url:
        bill = Bill(tmp_path / "server" / "bill.sqlite")
        for moment in moments:
            process = begin(url, tmp_path / "chat", tmp_path / "log")
            kill_after(process, bill, moment, rng.uniform(0, 0.05))
        last = begin(url, tmp_path / "chat", tmp_path / "log")
        last.wait(timeout=300)
        said = (tmp_path / "log").read_text().splitlines()
        assert last.returncode == 0, said[-20:]
        total, twice = bill.total(), bill.paid_twice()
        bill.close()
    found = json.loads(said[-1])
    assert sum(found["kinds"].values()) == QUESTIONS
    assert set(found["kinds"]) <= {"ModelAnswer", "ModelRefusal", "TruncatedReply", "InvalidReply"}
    assert twice == []
    assert (found["requests"], found["input"], found["cached"], found["output"]) == (
        total.requests, total.input, total.cached, total.output,
    )  # fmt: skip
    assert Decimal(found["cost"]) == PRICE.cost(total.input, total.cached, total.output)
    leaks = [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert leaks == []
