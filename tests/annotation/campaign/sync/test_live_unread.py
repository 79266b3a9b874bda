"""What the real Label Studio stores and cannot show keeps nobody else from working, and can be put right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest

from annotation.labelstudio.client import StudioClient
from annotation.labelstudio.connection import StudioUnavailableError
from tests.annotation.campaign.live_pilot import LivePilot
from tests.annotation.studio_server import Live

pytestmark = [pytest.mark.studio, pytest.mark.slow]

HALF = b'[{"id": "x", "from_name": "note", "to_name": "edited", "type": "textarea", "value": {"text": ["\\ud800"]}}]'
"""A text with half of a surrogate pair: JSON that the server stores and cannot write."""


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server answers 500 at once and always: the pauses between attempts would only be waited for."""
    monkeypatch.setattr("annotation.labelstudio.connection._backoff_wait", lambda _: 0.0)


def send(live: Live, name: str, method: str, path: str, body: bytes) -> None:
    """Somebody sends what the server stores, although it answers 500."""
    refresh = httpx2.post(f"{live.server.url}/api/token/refresh/", json={"refresh": live.person(name)[0]})
    headers = {"Authorization": f"Bearer {refresh.json()['access']}", "Content-Type": "application/json"}
    assert httpx2.request(method, f"{live.server.url}{path}", content=body, headers=headers).status_code == 500


def marked(live: Live, root: Path, campaign_id: str) -> tuple[LivePilot, list[str]]:
    """Two annotators of three pairs; the keys of the first one's tasks."""
    roles: dict[str, Sequence[str]] = {f"{campaign_id}-ann": ["regional"], f"{campaign_id}-bob": ["regional"]}
    pilot = LivePilot(live, root / "corpus", campaign_id, roles, pairs=3, steps=["regional"])
    assert pilot.sync().created == {"regional": 6}
    return pilot, [key for key in pilot.task_keys() if key.split("/")[2] == f"{campaign_id}-ann"]


def ids(pilot: LivePilot, keys: list[str]) -> list[int]:
    found = {task["data"]["key"]: task["id"] for task in pilot.tasks()}
    return [found[key] for key in keys]


def annotations(live: Live, project_id: int) -> dict[int, list[dict[str, Any]]]:
    with live.manager() as manager:
        counted = [task["id"] for task in manager.outline(project_id) if task["total_annotations"]]
        return {task["id"]: task["annotations"] for task in manager.tasks_of(project_id, counted)}


def test_an_answer_that_cannot_be_shown_is_set_aside_alone(live: Live, tmp_path: Path) -> None:
    pilot, [first, second, third] = marked(live, tmp_path, "half")
    bad, changed, _ = ids(pilot, [first, second, third])
    project = pilot.project("regional/half-ann").project_id
    with pilot.running() as running, pilot.wire() as manager:
        running.run()
        pilot.submit(second)
        others = [key for key in pilot.task_keys() if key.split("/")[2] == "half-bob"]
        assert running.run().filed == 1
        pilot.submit(third)
        pilot.submit(others[0])
        send(live, "half-ann", "POST", f"/api/tasks/{bad}/annotations/", b'{"result": %s}' % HALF)
        [before] = annotations(live, project)[changed]
        send(live, "half-bob", "PATCH", f"/api/annotations/{before['id']}/", b'{"result": %s}' % HALF)
        with (
            pytest.raises(StudioUnavailableError),
            StudioClient(live.server.url, live.server.api_key, attempts=1) as hasty,
        ):
            list(hasty.tasks(project))
        found = running.run()
        assert {(one.file, one.reason) for one in found.set_aside} == {(first, "unreadable"), (second, "unreadable")}
        assert found.filed == 4
        assert found.created == {"regional": 1}
        again = running.run()
        assert (again.filed, again.set_aside, again.notes) == (0, (), ())
    later = pilot.sync()
    assert (later.filed, later.created, later.set_aside) == (0, {}, ())
    with pilot.running() as running, pilot.wire() as manager:
        for own in annotations(live, project).values():
            for one in own:
                if "unreadable" in one:
                    manager.delete(f"/api/annotations/{one['id']}/")
        assert running.run().filed == 2
        pilot.work()
        assert running.run().steps == {"done": 3}
    assert before in [version.annotation for version in pilot.versions(second)]


def test_a_task_that_cannot_be_shown_is_named_and_made_again_once_it_is_deleted(live: Live, tmp_path: Path) -> None:
    pilot, keys = marked(live, tmp_path, "dark")
    everything = pilot.task_keys()
    [bad, _, _] = ids(pilot, keys)
    pilot.submit(keys[1])
    data = b'{"data": {"key": "%s", "instruction": "\\ud800"}}' % keys[0].encode()
    send(live, "dark-bob", "PATCH", f"/api/tasks/{bad}/", data)
    with pilot.running() as running, pilot.wire() as manager:
        found = running.run()
        assert (found.filed, found.created) == (1, {})
        [note] = found.notes
        assert f"tasks {bad} of the project of regional/dark-ann" in note
        assert running.run().notes == ()
        manager.delete(f"/api/tasks/{bad}/")
        assert running.run().created == {"regional": 1}
    assert pilot.task_keys() == everything
    pilot.work()
    assert pilot.sync().steps == {"done": 3}
