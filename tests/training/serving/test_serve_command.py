"""`editfhf serve` as clients see it, friendly and hostile ones, over real connections."""

from __future__ import annotations

import os
import signal
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

import training
from tests.training.serving.server_process import KEY, RunningServer, as_item, encode, make_pair, running_server
from training.serving.reward_client import RewardClient

SOURCE, EDITED = make_pair()
ITEM = as_item(encode(SOURCE), encode(EDITED))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    words = ("--batch", "4", "--waiting", "8", "--max-body", "1")
    with running_server(tmp_path_factory.mktemp("serve"), *words) as running:
        yield running


def post(server: RunningServer, content: Any, route: str = "/score", key: str = KEY, **headers: str) -> httpx2.Response:
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    sent = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"} | headers
    return httpx2.post(f"{server.url}{route}", content=body, headers=sent, timeout=60)


def test_a_score_is_that_of_the_process(server: RunningServer) -> None:
    found = training.load_agent("evaluation", "compact").evaluate(SOURCE, EDITED, "Add a red box.")
    answer = post(server, ITEM).json()
    assert [row["value"] for row in answer["scores"]] == pytest.approx([score.value for score in found], abs=1e-6)
    assert [row["sd"] for row in answer["scores"]] == pytest.approx([score.sd for score in found], abs=1e-6)


def test_a_diagnosis_is_that_of_the_process(server: RunningServer) -> None:
    expected = training.diagnose(SOURCE, EDITED, "Add a red box.").as_dict()
    answer = post(server, ITEM, "/diagnose").json()
    assert {name: answer[name] for name in expected if name != "status"} == orjson.loads(orjson.dumps(expected))


def test_a_refinement_has_the_size_of_the_image(server: RunningServer) -> None:
    answer = post(server, ITEM | {"options": {"turns": 1}}, "/refine").json()
    assert answer["status"] == "ok" and answer["stop"] in ("clean", "no_gain", "max_turns")
    assert post(server, ITEM | {"options": {"turns": 99}}, "/refine").json()["code"] == 422


def test_each_pair_of_a_batch_has_its_own_result(server: RunningServer) -> None:
    broken = encode(SOURCE)[:300]
    items = [ITEM, as_item(broken, encode(EDITED)), ITEM | {"instruction": ""}, ITEM]
    response = post(server, {"items": items})
    assert response.status_code == 200
    assert [item["code"] for item in response.json()["items"]] == [200, 422, 422, 200]


@pytest.mark.parametrize("key", ["-", "wrong", KEY[:-1], KEY + "0"])
def test_a_wrong_key_gets_nothing(server: RunningServer, key: str) -> None:
    assert post(server, ITEM, key=key).status_code == 401
    assert httpx2.get(f"{server.url}/metrics", headers={"Authorization": f"Bearer {key}"}).status_code == 401


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[" * 100_000, 400),
        (b"[]", 422),
        (b'{"items": {}}', 422),
        (b'{"items": []}', 422),
        (b'{"items": [1, 2, 3, 4, 5]}', 413),
        (b'{"source": 1, "edited": null, "instruction": []}', 422),
        (orjson.dumps(ITEM | {"path": "/etc/passwd"}), 422),
        (orjson.dumps(ITEM | {"source": "../../etc/passwd"}), 422),
        (orjson.dumps(ITEM | {"source": "http://169.254.169.254/latest"}), 422),
        (orjson.dumps(ITEM | {"source": "file:///etc/passwd"}), 422),
        (orjson.dumps(ITEM | {"instruction": "x" * 10_001}), 422),
        (orjson.dumps(ITEM | {"options": {"weights": 1}}), 422),
        (b"[" + b"1," * 400_001 + b"1]", 413),
    ],
)
def test_a_body_that_is_no_pair_is_refused(server: RunningServer, body: bytes, code: int) -> None:
    response = post(server, body)
    assert response.status_code == code
    assert response.json()["reason"] and "Traceback" not in response.text and "passwd" not in response.text


def test_other_types_and_methods_are_refused(server: RunningServer) -> None:
    assert post(server, ITEM, **{"Content-Type": "text/plain"}).status_code == 415
    assert post(server, ITEM, route="/../../etc/passwd").status_code == 404
    assert httpx2.get(f"{server.url}/score").status_code == 405


def make_png_bomb(side: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1 << 20)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [5_000, 60_000, 2**31 - 1])
def test_a_bomb_is_refused_by_its_header(server: RunningServer, side: int) -> None:
    began = time.monotonic()
    assert post(server, as_item(make_png_bomb(side), encode(EDITED))).status_code in (413, 422)
    assert time.monotonic() - began < 2


def test_a_huge_body_is_refused_before_it_is_read(server: RunningServer) -> None:
    head = f"POST /score HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(f"{head}Content-Length: 99999999999\r\n\r\n".encode())
        assert client.recv(100).startswith(b"HTTP/1.1 413")
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        client.sendall(piece * 17)
        assert client.recv(100).startswith(b"HTTP/1.1 413")


def test_a_flood_is_told_to_come_back_and_the_rest_is_answered(server: RunningServer) -> None:
    body = orjson.dumps({"items": [as_item(encode(s), encode(e)) for s, e in (make_pair(96, n) for n in range(4))]})
    with ThreadPoolExecutor(24) as threads:
        found = list(threads.map(lambda _: post(server, body), range(72)))
    codes = [response.status_code for response in found]
    assert set(codes) == {200, 429}
    assert all(int(response.headers["retry-after"]) >= 1 for response in found if response.status_code == 429)
    assert all(
        item["code"] == 200 for response in found if response.status_code == 200 for item in response.json()["items"]
    )
    assert post(server, ITEM).status_code == 200


def find_workers(server: RunningServer) -> list[int]:
    threads = Path(f"/proc/{server.process.pid}/task").iterdir()  # a child belongs to the thread that started it
    children = [child for thread in threads for child in (thread / "children").read_text().split()]
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def test_a_killed_worker_is_replaced(server: RunningServer) -> None:
    (worker,) = find_workers(server)
    os.kill(worker, signal.SIGKILL)
    assert post(server, ITEM).status_code == 200
    (replaced,) = find_workers(server)
    assert replaced != worker


def test_a_worker_killed_at_work_costs_its_pair_alone(server: RunningServer) -> None:
    (worker,) = find_workers(server)
    os.kill(worker, signal.SIGSTOP)  # it takes the pair, and answers never
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(post, server, ITEM)
        time.sleep(0.5)
        os.kill(worker, signal.SIGKILL)
        lost = waiting.result()
    assert lost.status_code == 503 and lost.json()["reason"] == "worker_lost" and "retry-after" in lost.headers
    assert post(server, ITEM).status_code == 200


def test_the_client_sends_again_what_a_lost_worker_had(server: RunningServer) -> None:
    (worker,) = find_workers(server)
    os.kill(worker, signal.SIGSTOP)
    with closing(RewardClient(server.url, KEY)) as client, ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(client.score, [(SOURCE, EDITED, "Add a red box.")])
        time.sleep(0.5)
        os.kill(worker, signal.SIGKILL)
        assert waiting.result()[0].values["overall"] is not None


def test_counters_and_limits_are_shown_and_logs_hold_no_secret(server: RunningServer) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    about = httpx2.get(f"{server.url}/", headers=headers).json()
    assert about["limits"]["batch"] == 4 and about["coverage"]["/score"]["ok"] <= about["coverage"]["/score"]["of"]
    assert "editfhf_worker_restarts_total" in httpx2.get(f"{server.url}/metrics", headers=headers).text
    assert httpx2.get(f"{server.url}/health").json() == {"status": "ok"}
    log = server.log.read_text()
    assert all({"time", "route", "code"} <= set(orjson.loads(line)) for line in log.splitlines())
    assert KEY not in log and ITEM["source"][:40] not in log and "Add a red box" not in log


@pytest.mark.slow
def test_a_slow_pair_is_given_up_and_work_goes_on(tmp_path: Path) -> None:
    with running_server(tmp_path, "--item-time", "3", key=None) as server:
        (worker,) = find_workers(server)
        os.kill(worker, signal.SIGSTOP)
        assert post(server, ITEM).json()["reason"] == "timeout"
        ends = time.monotonic() + 30  # the new worker loads its agents
        while (found := post(server, ITEM)).status_code != 200:
            assert found.json()["reason"] == "waited_too_long" and time.monotonic() < ends
