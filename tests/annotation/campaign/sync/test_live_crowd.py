"""Six people who submit at the same moment, on SQLite: no task loses its proposal, and every answer is filed.

`EDITFHF_CROWD="67 7" pytest tests/annotation/campaign/sync/test_live_crowd.py` does it with 67 pairs and seven kills of
the server and of the sync; by default, they are few.  What was counted is in `crowd.jsonl` of the test's folder.
"""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from annotation.campaign.archive import AnswerArchive
from annotation.labelstudio.accounts import can_log_in
from annotation.labelstudio.connection import StudioConnection
from mos.errors import UserError
from tests.annotation.campaign.live_pilot import LivePilot
from tests.annotation.campaign.people_at_work import nothing_seen, respond
from tests.annotation.campaign.pilot import SIZE
from tests.annotation.campaign.sync.test_live_kills import begin
from tests.annotation.studio_server import PASSWORD, Live

pytestmark = [pytest.mark.studio, pytest.mark.slow]

PAIRS, KILLS = map(int, os.environ.get("EDITFHF_CROWD", "4 1").split())
PEOPLE = 6
PAUSE = 0.2
"""Seconds in which a person looks at a task."""
PATIENCE = 300.0 + 20.0 * PAIRS


class Worker(threading.Thread):
    """A person with a browser: gets the next task of a project, saves a draft, submits what is there."""

    def __init__(self, pilot: LivePilot, name: str, over: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self._pilot = pilot
        self._over = over
        self.key = pilot.live.person(name)[0]
        self.submitted = 0
        self.empty: list[str] = []

    def run(self) -> None:
        while not self._over.is_set():
            with StudioConnection(self._pilot.live.server.url, self.key, attempts=2) as wire:
                for project_id in self._own_projects():
                    # Nothing to do at the moment, or no server.
                    with suppress(UserError):
                        self._work(wire, project_id)
            self._over.wait(0.5)

    def _own_projects(self) -> list[int]:
        return [number for number, name in read_projects(self._pilot).items() if name.endswith(f"/{self.name}")]

    def _work(self, wire: StudioConnection, project_id: int) -> None:
        while not self._over.is_set():
            task = wire.get(f"/api/projects/{project_id}/next")
            key = task["data"]["key"]
            shown = bool(task["predictions"]) or key.startswith("regional/")
            result = respond(task, SIZE) if shown else nothing_seen()
            wire.post(f"/api/tasks/{task['id']}/drafts", {"result": result, "lead_time": PAUSE})
            self._over.wait(PAUSE)
            wire.post(f"/api/tasks/{task['id']}/annotations/", {"result": result, "lead_time": PAUSE})
            self.submitted += 1
            self.empty += [] if shown else [key]


def query(pilot: LivePilot, statement: str) -> list[Any]:
    """Rows of the server's database."""
    path = pilot.live.server.data / "label_studio.sqlite3"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)) as database:
        return database.execute(statement).fetchall()


def read_projects(pilot: LivePilot) -> dict[int, str]:
    """The campaign's projects, `stage/person_id` by their number."""
    mark = f"editfhf:{pilot.campaign_id}/"
    rows = query(pilot, f"SELECT id, description FROM project WHERE description LIKE '%{mark}%'")
    return {number: text.splitlines()[-1].removeprefix(mark) for number, text in rows}


def read_answers(pilot: LivePilot, stage: str = "") -> dict[int, int]:
    """The number of the task of every answer in the database, by its own number."""
    projects = [number for number, name in read_projects(pilot).items() if name.startswith(stage)]
    chosen = ",".join(map(str, projects)) or "0"
    return dict(query(pilot, f"SELECT id, task_id FROM task_completion WHERE project_id IN ({chosen})"))


def count_proposals(pilot: LivePilot) -> Counter[int]:
    """How many tasks of experts have how many predictions."""
    projects = ",".join(str(number) for number, name in read_projects(pilot).items() if name.startswith("expert/"))
    rows = query(
        pilot,
        "SELECT count(p.id) FROM task t LEFT JOIN prediction p ON p.task_id = t.id "
        f"WHERE t.project_id IN ({projects}) GROUP BY t.id",
    )
    return Counter(number for (number,) in rows)


@contextmanager
def crowd(pilot: LivePilot) -> Iterator[list[Worker]]:
    """Everybody of the campaign, at work."""
    over = threading.Event()
    workers = [Worker(pilot, name, over) for name in pilot.people]
    for worker in workers:
        worker.start()
    try:
        yield workers
    finally:
        over.set()
        for worker in workers:
            worker.join(60)


def begin_pilot(live: Live, root: Path, campaign_id: str) -> LivePilot:
    roles = {f"{campaign_id}-{number}": ["regional", "expert"] for number in range(PEOPLE)}
    return LivePilot(live, root / "corpus", campaign_id, roles, PAIRS, steps=["regional", "expert"], annotators=3)


def wait_until_done(pilot: LivePilot, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + PATIENCE
    while len(set(read_answers(pilot, "expert/").values())) < PAIRS:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end, pilot.live.server.data
        time.sleep(1)


def check_all_is_filed(pilot: LivePilot) -> None:
    for _ in range(3):
        steps = pilot.sync().steps
    with AnswerArchive(pilot.corpus / "campaign" / "answers.jsonl") as archive:
        filed = [number for key in archive.known_keys() for number in archive.versions(key)]
    found = read_answers(pilot)
    counted = {"stored": len(found), "filed": len(filed), "experts": dict(count_proposals(pilot)), "pairs": PAIRS}
    (pilot.corpus.parent / "crowd.jsonl").write_text(f"{counted}\n")
    assert sorted(filed) == sorted(found)
    assert steps == {"done": PAIRS}


def test_six_people_at_once_on_sqlite_keep_every_proposal(live: Live, tmp_path: Path) -> None:
    pilot = begin_pilot(live, tmp_path, "crowd")
    with begin(pilot, "--watch", "2") as process, crowd(pilot) as workers:
        wait_until_done(pilot, process)
        process.terminate()
        said, _ = process.communicate(timeout=60)
    assert sum(worker.submitted for worker in workers) == 4 * PAIRS
    check_all_is_filed(pilot)
    assert [key for worker in workers for key in worker.empty] == []
    assert set(count_proposals(pilot)) == {2}
    assert "no_proposal" not in said
    assert not (pilot.corpus / "campaign" / "set_aside.jsonl").exists()


def test_killed_again_and_again_under_six_people_every_answer_is_filed(live: Live, tmp_path: Path) -> None:
    pilot = begin_pilot(live, tmp_path, "shots")
    pilot.sync()
    moments = random.Random(7)
    with crowd(pilot):
        for _ in range(KILLS):
            with begin(pilot, "--watch", "2"):
                time.sleep(moments.uniform(4, 10))
                live.server.kill()
            live.restart()
        with begin(pilot, "--watch", "2") as process:
            wait_until_done(pilot, process)
    check_all_is_filed(pilot)


def test_twelve_people_log_in_while_the_database_is_busy_and_an_import_keeps_its_predictions(
    live: Live, tmp_path: Path
) -> None:
    pilot = begin_pilot(live, tmp_path, "busy")
    pilot.sync()
    project, _ = next(iter(read_projects(pilot).items()))
    prediction = {"model_version": "agreed", "result": nothing_seen()}
    given = [{"data": pilot.tasks()[0]["data"] | {"key": ""}, "predictions": [prediction]}] * 3
    found: list[Any] = []
    people = [*pilot.people] * 2

    def log_in(name: str) -> None:
        found.append(can_log_in(live.server.url, f"{name}@example.org", PASSWORD))

    def bring_in() -> None:
        with live.manager() as manager:
            found.extend(manager.import_tasks(project, given))

    threads = [threading.Thread(target=bring_in), *(threading.Thread(target=log_in, args=(name,)) for name in people)]
    with closing(sqlite3.connect(live.server.data / "label_studio.sqlite3", isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        for thread in threads:
            thread.start()
        # Longer than the five seconds after which SQLite gives up by default.
        time.sleep(7)
        database.execute("COMMIT")
    for thread in threads:
        thread.join(120)
    assert found.count(True) >= len(people)
    ids = [number for number in found if number is not True]
    rows = query(pilot, f"SELECT count(*) FROM prediction WHERE task_id IN ({','.join(map(str, ids))})")
    assert (len(ids), rows) == (3, [(3,)])
    assert "database is locked" not in (live.server.data / "server.log").read_text()
