"""`editfhf draft`, `draft check` and `draft report` at the command line, against a server that answers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from annotation.region_list import list_regions
from editfhf.builder import BuildOptions
from editfhf.chat import BatchOptions, Limits, Usage, default_prices, find_connection, format_cost
from editfhf.commands.draft import draft_app
from editfhf.drafting.plan import RunChoice
from editfhf.drafting.prompt import read_prompt
from editfhf.drafting.requests import DraftRequestOptions
from editfhf.drafting.run import DraftServer, draft_corpus
from mos.console import show_progress
from mos.errors import UserError
from tests.annotation.campaign.fake_studio import FakeStudio
from tests.annotation.campaign.pilot import ROLES, corpus_of, everybody_works, sync
from tests.editfhf.builder import campaign
from tests.editfhf.chat.fault_plan import Plan
from tests.editfhf.chat.fault_server import KEY, FaultServer, running


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FaultServer]:
    (tmp_path / "server").mkdir()
    with running(tmp_path / "server", Plan(), models=("gpt-5",)) as started:
        yield started


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return campaign.campaign().write(tmp_path / "corpus")


def call(*words: object) -> Result:
    done = CliRunner(env={"OPENAI_API_KEY": KEY}).invoke(draft_app, [str(word) for word in words])
    if done.exception and not isinstance(done.exception, SystemExit | UserError):
        raise done.exception
    return done


def draft(corpus: Path, server: FaultServer, *words: object) -> dict[str, Any]:
    done = call(corpus, "--base-url", server.url, "--json", "--quiet", *words)
    assert done.exit_code == 0, done.exception
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def lines(corpus: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (corpus / "drafts.jsonl").read_text("utf-8").splitlines()]


def test_help_is_there_without_the_heavy_packages() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from editfhf.commands.draft import draft_app\n"
        "for words in (['--help'], ['corpus', '--help'], ['report', '--help']):\n"
        "    done = CliRunner().invoke(draft_app, words); assert done.exit_code == 0 and 'CORPUS' in done.stdout\n"
        "print([name for name in ('openai', 'numpy', 'PIL', 'pyarrow', 'jinja2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_an_option_may_come_before_the_corpus(corpus: Path) -> None:
    assert json.loads(call("--dry-run", "--json", "--quiet", corpus).stdout)["regions"] > 0


@pytest.mark.parametrize("words", [["corpus"], ["corpus", "corpus"], ["./corpus"], ["corpus", "--limit", "90"]])
def test_a_folder_called_as_the_sub_command(corpus: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    monkeypatch.chdir(corpus.parent)
    assert json.loads(call(*words, "--dry-run", "--json", "--quiet").stdout)["regions"] > 0
    assert "CORPUS" in call("corpus", "--help").stdout


def test_no_folder_called_as_the_sub_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "Usage" in call("corpus").output
    done = call("corpus", "--dry-run")
    assert isinstance(done.exception, UserError) and "No corpus at corpus" in str(done.exception)


def test_a_dry_run_needs_no_key_and_leaves_nothing_behind(corpus: Path) -> None:
    before = sorted(corpus.rglob("*"))
    done = CliRunner(env={"OPENAI_API_KEY": ""}).invoke(draft_app, [str(corpus), "--dry-run"])
    assert done.exit_code == 0 and "At most" in done.stdout and "Typically" in done.stdout and "$" in done.stdout
    assert sorted(corpus.rglob("*")) == before


def test_what_a_dry_run_calls_the_most_is_not_passed(corpus: Path, server: FaultServer) -> None:
    told = json.loads(call(corpus, "--dry-run", "--json", "--quiet").stdout)
    done = draft(corpus, server)
    assert done["drafted"] == told["regions"] and done["usage"]["requests"] == told["requests"]
    assert float(done["usage"]["cost"]) <= float(told["most"]["cost"])
    assert done["usage"]["input_tokens"] <= told["most"]["input_tokens"]


def test_regions_with_the_experts_text_are_not_drafted(corpus: Path, server: FaultServer) -> None:
    draft(corpus, server)
    assert ("p002", "e2") not in {(line["pair_id"], line["region_id"]) for line in lines(corpus)}


def test_a_redo_asks_once_more_and_the_later_line_counts(corpus: Path, server: FaultServer) -> None:
    first = draft(corpus, server, "--limit", "2")
    again = draft(corpus, server, "--redo", "all")
    assert again["drafted"] == first["drafted"] and again["usage"]["requests"] == 2 * first["usage"]["requests"]
    assert [line["attempt"] for line in lines(corpus)] == [1] * first["drafted"] + [2] * first["drafted"]
    assert not (corpus / "drafting" / "redo.json").exists()


def test_a_redo_of_what_failed_leaves_the_rest(corpus: Path, server: FaultServer) -> None:
    server.plan.script = ["refusal"]
    first = draft(corpus, server, "--concurrency", "1")
    assert first["set_aside"]["refused"] > 0 and draft(corpus, server)["drafted"] == 0
    again = draft(corpus, server, "--redo", "failed")
    assert again["drafted"] == first["set_aside"]["refused"]
    assert draft(corpus, server, "--redo", "failed")["drafted"] == 0


def test_check_shows_doubtful_drafts_and_a_redo_asks_for_them(corpus: Path, server: FaultServer) -> None:
    draft(corpus, server)
    found = json.loads(call("check", corpus, "--json").stdout)
    doubtful = {(issue["pair_id"], issue["region_id"]) for issue in found["issues"]}
    assert found["drafts"] == len(lines(corpus)) and doubtful
    assert "doubtful" in call("check", corpus).stdout
    assert draft(corpus, server, "--redo", "low-quality")["drafted"] == len(doubtful)


def test_check_names_the_lines_that_nobody_uses(corpus: Path) -> None:
    region = next(iter(list_regions(corpus)))
    good = {"pair_id": region.pair_id, "region_id": region.region_id, "text": "The wheel is bent."}
    wrong: list[dict[str, Any]] = [good | {"text": ""}, good | {"pair_id": "p-none"}, good | {"region_id": "x"}, {}]
    (corpus / "drafts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [good, *wrong]))
    found = json.loads(call("check", corpus, "--json").stdout)
    reasons = [(line["row"], line["reason"]) for line in found["unused"]]
    assert reasons == [(2, "empty_draft"), (3, "unknown_pair"), (4, "unknown_region"), (5, "bad_draft")]
    assert "drafts.jsonl, line 4: " in call("check", corpus).stderr


def test_a_batch_gives_the_same_drafts_also_of_what_is_asked_for_twice(
    corpus: Path, server: FaultServer, tmp_path: Path
) -> None:
    whole = Path(shutil.copytree(corpus, tmp_path / "whole"))
    draft(whole, server)
    server.plan.script = ["missing_ids"]
    connection = find_connection({"OPENAI_API_KEY": KEY}, server.url)
    through = BatchOptions(interval=0.02)
    to = DraftServer(connection, default_prices(), Limits(), batch=through)
    asking = DraftRequestOptions("gpt-5", read_prompt())
    with show_progress(quiet=True) as watcher:
        done = draft_corpus(corpus, BuildOptions(), RunChoice(), asking, to, watcher)
    assert done.tally.second_requests == 1 and done.tally.complete
    said = [{(line["pair_id"], line["region_id"]) for line in lines(root)} for root in (corpus, whole)]
    assert said[0] == said[1] and done.tally.drafted == len(said[0])
    paid = sum(Decimal(line["usage"]["cost"]) for line in lines(corpus))
    assert paid == done.usage.cost and paid < sum(Decimal(line["usage"]["cost"]) for line in lines(whole))


def test_drafts_of_a_campaign_are_reported_against_its_final_texts(tmp_path: Path, server: FaultServer) -> None:
    studio, corpus = FakeStudio(f"{name}@x.org" for name in ROLES), corpus_of(tmp_path / "corpus")
    for _ in range(2):
        sync(studio, corpus)
        everybody_works(studio)
    sync(studio, corpus)
    assert draft(corpus, server)["drafted"] == 2
    assert json.loads(call("report", corpus, "--json").stdout)["whole"]["decided"] == 0
    for _ in range(8):
        sync(studio, corpus)
        everybody_works(studio)
    done = call("report", corpus, "--json", "--page", tmp_path / "page.html")
    whole = json.loads(done.stdout)["whole"]
    assert (whole["decided"], whole["accepted"]["count"]) == (2, 0) and whole["mean_distance"] > 0.5
    assert "Changed most" in (tmp_path / "page.html").read_text("utf-8")
    assert "accepted" in call("report", corpus).stdout


@pytest.mark.parametrize(("words", "word"), [
    (["report"], "no drafts"),
    (["report", "--page", "/nowhere/page.html"], "page cannot be written"),
    (["--prompt", "v11"], "Did you mean 'v1'"),
    (["--parameter", "x"], "NAME=VALUE"),
    (["--max-money", "NaN"], "limit on money"),
    (["--prices", "nowhere.yaml"], "price table"),
])  # fmt: skip
def test_a_mistake_is_one_sentence(corpus: Path, words: list[str], word: str) -> None:
    at = 1 if words[0] == "report" else 0
    done = call(*words[:at], corpus, *words[at:])
    assert isinstance(done.exception, UserError) and word in str(done.exception)


def test_the_bar_shows_what_was_spent(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress() as progress:
        progress.begin("Regions", 4)
        progress.advance(4)
        progress.show_note(f"{format_cost(Usage())} spent")
    told = capsys.readouterr()
    assert told.out == "" and "4/4" in told.err and "$0.00 spent" in told.err


def test_a_second_interruption_leaves_at_once_and_what_was_sent_is_remembered(
    corpus: Path, server: FaultServer
) -> None:
    server.latency = 3
    words = [Path(sys.executable).with_name("editfhf"), "draft", corpus, "--base-url", server.url, "--quiet"]
    with subprocess.Popen(words, env=os.environ | {"OPENAI_API_KEY": KEY}, stderr=subprocess.PIPE) as process:
        while server.bill.arrived() < 1:
            time.sleep(0.02)
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.3)
        assert process.wait(2) == 130
        said = process.stderr.read().decode() if process.stderr else ""
    assert "Traceback" not in said and "Interrupted" in said
    server.latency = 0
    draft(corpus, server)
    assert server.bill.paid_twice() == []
    # What the server still works on is of nobody any more.
    time.sleep(3)
