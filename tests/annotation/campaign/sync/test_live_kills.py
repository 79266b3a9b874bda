"""The command itself as a process: killed, stopped, woken by webhooks, and with a server that dies under it."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from annotation.campaign.sync.webhooks import SECRET_HEADER
from tests.annotation.campaign.live_pilot import LivePilot
from tests.annotation.studio_server import Live

pytestmark = [pytest.mark.studio, pytest.mark.slow]

COMMAND = Path(sys.executable).with_name("editfhf")
KILLS = 20
EACH = 3
"""Kills before each turn of the people."""
PATIENCE = 60.0
ROLES = {
    "kim-ann": ["regional", "reviewer"],
    "kim-bob": ["regional", "rater"],
    "kim-dan": ["reviewer", "rater"],
    "kim-max": ["expert"],
}


@contextmanager
def begin(pilot: LivePilot, *words: str) -> Iterator[subprocess.Popen[str]]:
    """`editfhf annotate sync` as a process, which does not outlive the context."""
    command = [COMMAND, "annotate", "sync", pilot.corpus, "--data", pilot.live.server.data, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def at_work(process: subprocess.Popen[str], pilot: LivePilot) -> None:
    """Wait until the process has the campaign's lock, or ended."""
    lock = pilot.corpus / "campaign" / "lock"
    while process.poll() is None:
        try:
            if any(held.resolve() == lock for held in Path(f"/proc/{process.pid}/fd").iterdir()):
                return
        except OSError:
            pass
        time.sleep(0.005)


def to_its_end(pilot: LivePilot) -> float:
    """A whole sync; the seconds that it worked."""
    with begin(pilot) as process:
        at_work(process, pilot)
        begun = time.monotonic()
        said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    return time.monotonic() - begun


def kill_at(pilot: LivePilot, moment: float) -> bool:
    """Kill a sync some seconds after it began to work; whether it still worked."""
    with begin(pilot) as process:
        at_work(process, pilot)
        try:
            process.wait(moment)
            return False
        except subprocess.TimeoutExpired:
            process.kill()
            return True


def eventually(found: Callable[[], Any]) -> Any:
    """The first answer that says yes; the server's people would wait as long."""
    end = time.monotonic() + PATIENCE
    while not (answer := found()):
        assert time.monotonic() < end
        time.sleep(0.2)
    return answer


def test_killed_at_twenty_moments_and_with_a_server_killed_once_it_ends_as_if_nothing_had_been(
    live: Live, tmp_path: Path
) -> None:
    quiet = LivePilot(live, tmp_path / "quiet" / "corpus", "quiet", ROLES)
    with quiet.running() as running:
        running.run()
        while quiet.work():
            last = running.run()
    assert last.steps == {"done": 1}

    shot = LivePilot(live, tmp_path / "shot" / "corpus", "shot", ROLES)
    moments = random.Random(20)
    kills, seconds, working = 0, 1.0, True
    while working:
        for _ in range(min(EACH, KILLS - kills)):
            while not kill_at(shot, moments.uniform(0.0, 0.8 * seconds)):
                pass
            kills += 1
        if kills == 3 * EACH:
            with begin(shot) as process:
                at_work(process, shot)
                live.server.kill()
                live.restart()
                process.communicate(timeout=PATIENCE)
        seconds = to_its_end(shot)
        working = bool(shot.work())
    assert kills == KILLS
    assert shot.task_keys() == quiet.task_keys()
    assert shot.archived() == quiet.archived()
    assert not (shot.corpus / "campaign" / "set_aside.jsonl").exists()


def hooks(pilot: LivePilot) -> list[dict[str, Any]]:
    projects = {project.project_id for project in pilot.projects()}
    with pilot.wire() as wire:
        return [hook for hook in wire.get("/api/webhooks/") if hook["project"] in projects]


def test_a_sync_that_listens_goes_on_at_once_and_leaves_no_webhook(live: Live, tmp_path: Path) -> None:
    roles = {"hook-ann": ["regional"], "hook-bob": ["regional"], "hook-max": ["expert"]}
    pilot = LivePilot(live, tmp_path / "corpus", "hook", roles, steps=["regional", "expert"])
    with begin(pilot, "--watch", "600", "--listen", "127.0.0.1:0") as killed:
        left = eventually(lambda: len(found := hooks(pilot)) == 2 and found)
        killed.kill()
    with begin(pilot, "--watch", "600", "--listen", "127.0.0.1:0") as process:
        old = {hook["headers"][SECRET_HEADER] for hook in left}
        fresh = eventually(
            lambda: (
                len(found := hooks(pilot)) == 2
                and not old & {hook["headers"][SECRET_HEADER] for hook in found}
                and len({hook["url"] for hook in found}) == 1
                and found
            )
        )
        for key in pilot.task_keys():
            pilot.submit(key)
        # Ten minutes before the next look: only a webhook can have told of it.
        eventually(lambda: any(key.startswith("expert/") for key in pilot.task_keys()))
        eventually(lambda: len(hooks(pilot)) == 3)
        url, own = fresh[0]["url"], fresh[0]["headers"]
        before = pilot.task_keys()
        tell = {secret: httpx2.post(url, headers=own | secret_of(secret), trust_env=False) for secret in ("", "wrong")}
        assert [answer.status_code for answer in tell.values()] == [204, 403]
        pilot.work()
        eventually(lambda: len(pilot.archived()) == 3)
        assert pilot.task_keys() == before
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    assert own[SECRET_HEADER] not in said
    assert hooks(pilot) == []


def secret_of(word: str) -> dict[str, str]:
    return {SECRET_HEADER: f"{word}-secret-of-nobody"} if word else {}


def test_webhooks_that_never_come_are_made_good_by_looking(live: Live, tmp_path: Path) -> None:
    roles = {"deaf-ann": ["regional"], "deaf-bob": ["regional"]}
    pilot = LivePilot(live, tmp_path / "corpus", "deaf", roles, steps=["regional"])
    with begin(pilot, "--watch", "1", "--listen", "127.0.0.1:0") as process:
        for hook in eventually(lambda: len(found := hooks(pilot)) == 2 and found):
            with pilot.wire() as wire:
                wire.delete(f"/api/webhooks/{hook['id']}/")
        pilot.work()
        eventually(lambda: len(pilot.archived()) == 2)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
