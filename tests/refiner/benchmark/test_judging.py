"""A benchmark from its folder to a mean: a real editor, a scripted judge over HTTP, stored verdicts."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from editfhf.cli import app
from refiner.benchmark.means import compute_mean
from refiner.benchmark.verdicts import read_judged_run
from tests.editfhf.chat import faulty_replies
from tests.editfhf.chat.fault_plan import Plan
from tests.editfhf.chat.fault_server import KEY, MODEL, FaultServer, running

REAL = Path(__file__).parents[3] / "examples" / "real"


def say_scores(body: dict[str, Any], digest: str) -> dict[str, Any]:
    """The scripted judge: fixed scores."""
    if "editing_success" in body["response_format"]["json_schema"]["schema"]["properties"]:
        return {"observations": "Seen.", "editing_success": 9, "over_editing": 4}
    return {"observations": "Seen.", "naturalness": 9, "artifacts": 10}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultServer]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(faulty_replies, "compose", say_scores)
    (tmp_path / "server").mkdir()
    with running(tmp_path / "server", Plan()) as started:
        yield started


@pytest.fixture
def benchmark(tmp_path: Path) -> Path:
    """Four real pairs, small, in the layout of GEdit-Bench."""
    folder = tmp_path / "bench"
    folder.mkdir()
    rows = [json.loads(line) for line in (REAL / "pairs.jsonl").read_text(encoding="utf-8").splitlines()]
    first = {row["source_id"]: row for row in rows}
    with (folder / "gedit.jsonl").open("w", encoding="utf-8") as stream:
        for place, row in enumerate(list(first.values())[:4]):
            image = Image.open(REAL / row["source"]).convert("RGB")
            image.thumbnail((96, 96))
            image.save(folder / f"{place}.png")
            line = {
                "task_type": "add" if place < 2 else "tone", "key": f"k{place}", "instruction": row["instruction"],
                "instruction_language": "en", "input_image": f"{place}.png", "Intersection_exist": place < 3,
            }  # fmt: skip
            stream.write(json.dumps(line) + "\n")
    return folder


def call(*words: object) -> str:
    result = CliRunner().invoke(app, ["benchmark", *map(str, words)])
    assert result.exit_code == 0, result.output
    return result.stdout


def judge(benchmark: Path, server: FaultServer, *words: object) -> Path:
    parent = benchmark.parent
    call("run", benchmark, "--editor", "denoise", "--out", parent / "results", "-q")
    call("judge", benchmark, parent / "results", "--out", parent / "verdicts", "--model", MODEL, "--base-url",
         server.url, "-q", *words)  # fmt: skip
    return parent / "verdicts"


def test_an_editor_gets_a_mean_with_interval_coverage_and_receipts(benchmark: Path, server: FaultServer) -> None:
    folder = judge(benchmark, server)
    run = read_judged_run(folder)
    mean = compute_mean(run)
    assert mean.value == pytest.approx(math.sqrt(4 * 9), abs=1e-9)
    assert [mean.coverage, mean.ci_low, mean.ci_high] == pytest.approx([1, 6, 6])
    assert len(run.verdicts) == 8
    for verdict in run.verdicts:
        assert len(verdict.source_digest) == len(verdict.result_digest) == 64
        assert verdict.prompt.startswith("v1-")
        assert verdict.request
        assert "1024" in verdict.transform
    shown = json.loads(call("report", folder, "--json", "--out", folder / "board"))
    assert "Mean by policy" in (folder / "board" / "benchmark-gedit.html").read_text(encoding="utf-8")
    cell = shown["rows"][0]["values"]["policy.exclude"]
    assert (cell["value"], cell["n"], shown["rows"][0]["coverage"]) == (pytest.approx(6), 4, 1.0)


def test_no_failure_becomes_a_score(benchmark: Path, server: FaultServer) -> None:
    server.plan.script = ["refusal", "content_filter"]
    run = read_judged_run(judge(benchmark, server))
    failed = [verdict for verdict in run.verdicts if verdict.status != "ok"]
    assert [verdict.status for verdict in failed] == ["refused", "refused"]
    assert all(not verdict.scores and verdict.detail for verdict in failed)
    whole = 4 - len({verdict.sample_id for verdict in failed})
    mean = compute_mean(run, "exclude", "samples")
    assert [mean.value, mean.count, mean.coverage] == pytest.approx([6, whole, whole / 4])


def test_a_missing_result_is_a_status_and_is_not_asked_about(benchmark: Path, server: FaultServer) -> None:
    parent = benchmark.parent
    call("run", benchmark, "--editor", "denoise", "--out", parent / "results", "-q")
    (parent / "results" / "fullset" / "tone" / "en" / "k3.png").unlink()
    call("judge", benchmark, parent / "results", "--out", parent / "verdicts", "--model", MODEL, "--base-url",
         server.url, "-q")  # fmt: skip
    run = read_judged_run(parent / "verdicts")
    assert [verdict.sample_id for verdict in run.verdicts if verdict.status == "missing"] == ["k3", "k3"]
    assert server.bill.total().requests == 6
    assert compute_mean(run).coverage == 0.75


def test_only_what_is_new_is_judged(benchmark: Path, server: FaultServer) -> None:
    folder = judge(benchmark, server)
    paid = server.bill.total().requests
    judge(benchmark, server)
    assert server.bill.total().requests == paid == 8
    image = benchmark.parent / "results" / "fullset" / "add" / "en" / "k0.png"
    Image.new("RGB", (96, 64), "red").save(image)
    judge(benchmark, server)
    assert server.bill.total().requests == 10
    assert len(read_judged_run(folder).verdicts) == 8


def test_verdicts_that_a_kill_lost_are_not_paid_again(benchmark: Path, server: FaultServer) -> None:
    folder = judge(benchmark, server)
    lines = (folder / "verdicts.jsonl").read_bytes().splitlines(keepends=True)
    for kept in range(0, 8, 2):  # what a kill at any moment leaves, with half a line
        (folder / "verdicts.jsonl").write_bytes(b"".join(lines[:kept]) + lines[kept][:20])
        judge(benchmark, server)
        assert compute_mean(read_judged_run(folder)).coverage == 1.0
    assert server.bill.total().requests == 8


def test_the_intersection_is_judged_alone_where_asked(benchmark: Path, server: FaultServer) -> None:
    assert len(read_judged_run(judge(benchmark, server, "--intersection")).samples) == 3


def test_a_repeat_is_a_request_of_its_own(benchmark: Path, server: FaultServer) -> None:
    run = read_judged_run(judge(benchmark, server, "--repeats", 2))
    assert len(run.verdicts) == server.bill.total().requests == 16
    assert len({verdict.request for verdict in run.verdicts}) == 16
