"""What people and administrators do to a campaign on the real Label Studio: nothing is lost, nothing is doubled."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from annotation import interfaces
from annotation.campaign.write_exports import export_campaign
from tests.annotation.campaign.live_pilot import LivePilot
from tests.annotation.campaign.people_at_work import nothing_seen, respond
from tests.annotation.campaign.pilot import SIZE
from tests.annotation.studio_server import Live

pytestmark = [pytest.mark.studio, pytest.mark.slow]

MOOD = """<Choices name="mood" toName="edited"><Choice value="good"/></Choices>"""
GOOD = {"id": "m", "from_name": "mood", "to_name": "edited", "type": "choices", "value": {"choices": ["good"]}}


def marked(live: Live, root: Path, campaign_id: str) -> LivePilot:
    """Two annotators of two pairs, whose tasks are there."""
    roles = {f"{campaign_id}-ann": ["regional"], f"{campaign_id}-bob": ["regional"]}
    pilot = LivePilot(live, root / "corpus", campaign_id, roles, pairs=2, steps=["regional"])
    assert pilot.sync().created == {"regional": 4}
    return pilot


def test_deleted_tasks_annotations_and_projects_are_made_again(live: Live, tmp_path: Path) -> None:
    pilot = marked(live, tmp_path, "del")
    keys = pilot.task_keys()
    undone, redone, kept = keys[0], keys[1], keys[2]
    with pilot.running() as running, pilot.wire() as manager:
        running.run()
        first = pilot.submit(redone)
        pilot.submit(kept)
        assert running.run().filed == 2
        manager.delete(f"/api/tasks/{pilot.task(undone)['id']}/")
        manager.delete(f"/api/annotations/{first}/")
        manager.delete(f"/api/tasks/{pilot.task(kept)['id']}/")
        found = running.run()
        assert (found.created, found.filed) == ({"regional": 1}, 1)
        assert pilot.task_keys() == sorted(set(keys) - {kept})
        assert [version.annotation is None for version in pilot.versions(redone)] == [False, True]
        manager.delete(f"/api/projects/{pilot.project('regional/del-ann').project_id}/")
        found = running.run()
        assert (found.projects, found.created) == (1, {"regional": 1})
        pilot.work()
        assert running.run().steps == {"done": 2}
        assert running.run().filed == 0
    assert pilot.sync().created == {}
    assert {key: len(said) for key, said in pilot.archived().items()} == {
        key: 3 if key == redone else 1 for key in keys
    }


def test_accounts_that_were_deleted_or_deactivated_keep_their_work(live: Live, tmp_path: Path) -> None:
    pilot = marked(live, tmp_path, "user")
    first, second, third, fourth = pilot.task_keys()
    pilot.submit(first)
    pilot.submit(second)
    with pilot.running() as running, pilot.wire() as manager:
        running.run()
        pilot.submit(third)
        with closing(sqlite3.connect(live.server.data / "label_studio.sqlite3", timeout=30)) as database, database:
            database.execute("UPDATE htx_user SET is_active = 0 WHERE email = 'user-bob@example.org'")
        manager.delete(f"/api/users/{live.person('user-ann')[1]}/")
        assert [one["completed_by"] for one in pilot.task(first)["annotations"]] == [None]
        found = running.run()
        assert found.filed == 1
        # Whose the later answer was, nobody saw while the account was there.
        assert [(one.file, one.reason) for one in found.set_aside] == [(third, "unknown_person")]
        assert found.people_without_account == ("user-ann",)
        assert found.created == {"regional": 1}
    again = pilot.sync()
    assert (again.filed, again.created, again.set_aside) == (0, {}, ())
    assert [version.author for version in pilot.versions(first)] == ["user-ann@example.org"]
    assert {key: len(said) for key, said in pilot.archived().items()} == {first: 1, second: 1, third: 1}
    assert pilot.task_keys() == [first, second, third, f"{third[:-1]}1", fourth]


def test_a_submitted_task_that_is_edited_has_both_versions_and_the_latest_is_exported(
    live: Live, tmp_path: Path
) -> None:
    pilot = marked(live, tmp_path, "edit")
    pilot.work()
    with pilot.running() as running:
        running.run()
        key = pilot.task_keys()[0]
        [annotation] = pilot.task(key)["annotations"]
        with pilot.wire(key.split("/")[2]) as owner:
            owner.patch(f"/api/annotations/{annotation['id']}/", {"result": nothing_seen()})
        assert (running.run().filed, running.run().filed) == (1, 0)
    assert [version.annotation["result"] for version in pilot.versions(key) if version.annotation] == [
        annotation["result"],
        nothing_seen(),
    ]
    export_campaign(pilot.corpus)
    exported = json.loads((pilot.corpus / "annotations" / "regions-edit.json").read_text())
    of_pair = [task for task in exported if task["data"]["pair_id"] == key.split("/")[1]]
    results = {one["completed_by"]["email"]: one["result"] for task in of_pair for one in task["annotations"]}
    assert results[key.split("/")[2]] == nothing_seen()
    assert len(results) == 2


def test_a_changed_interface_reaches_every_project_and_work_goes_on(live: Live, tmp_path: Path) -> None:
    pilot = marked(live, tmp_path, "new")
    pilot.submit(pilot.task_keys()[0])
    pilot.sync()

    def newer(stage: str, scale: tuple[float, float]) -> str:
        return interfaces.render_label_config(stage, scale=scale, guidelines="Look twice.")

    assert pilot.sync(newer).updated_projects == ("regional/new-ann", "regional/new-bob")
    assert {project.label_config for project in pilot.projects()} == {newer("regional", (1.0, 5.0))}
    again = pilot.sync(newer)
    assert (again.updated_projects, again.incompatible_projects, again.filed) == ((), (), 0)
    pilot.work()
    assert pilot.sync(newer).steps == {"done": 2}


def test_an_interface_changed_by_hand_loses_nothing(live: Live, tmp_path: Path) -> None:
    pilot = marked(live, tmp_path, "hand")
    keys = pilot.task_keys()
    project = pilot.project("regional/hand-ann")
    ours = project.label_config
    theirs = f"{MOOD}</View>".join(ours.rsplit("</View>", 1)).replace('name="severity"', 'name="gravity"')
    with pilot.wire() as manager:
        manager.patch(f"/api/projects/{project.project_id}/", {"label_config": theirs})
        key = keys[0]
        results = [
            item | {"from_name": "gravity"} if item.get("from_name") == "severity" else item
            for item in respond(pilot.task(key), SIZE)
        ]
        made = pilot.submit(key, [*results, GOOD])
        with pilot.running() as running:
            found = running.run()
            assert found.updated_projects == ()
            [said] = found.incompatible_projects
            assert "regional/hand-ann" in said
            assert "mood" in said
            assert {one.reason for one in found.set_aside} == {"unknown_control"}
            assert {one.item_id for one in found.set_aside} >= {"m"}
            assert pilot.archived()[key] == [[*results, GOOD]]
            assert running.run().incompatible_projects == ()
            manager.delete(f"/api/annotations/{made}/")
            assert running.run().updated_projects == ("regional/hand-ann",)
        assert pilot.project("regional/hand-ann").label_config == ours
    pilot.work()
    assert pilot.sync().steps == {"done": 2}
    assert pilot.archived()[key][0] == [*results, GOOD]


def test_of_tasks_that_are_there_twice_those_that_nobody_began_are_removed(live: Live, tmp_path: Path) -> None:
    pilot = marked(live, tmp_path, "twin")
    keys = pilot.task_keys()
    key = keys[0]
    project = pilot.project(f"regional/{key.split('/')[2]}").project_id
    with pilot.running() as running, live.manager() as manager, pilot.wire(key.split("/")[2]) as owner:
        running.run()
        data = pilot.task(key)["data"]
        first, second = manager.import_tasks(project, [{"data": data}, {"data": data}])
        owner.post(f"/api/tasks/{second}/drafts", {"result": nothing_seen()})
        for doubled in (1, 0):
            found = running.run()
            assert (found.duplicate_tasks, found.created) == (doubled, {})
        assert manager.delete_untouched(project, first)
        assert not manager.delete_untouched(project, second)
        assert pilot.task_keys() == sorted([*keys, key])
        [drawn] = manager.import_annotations(
            second, [{"result": nothing_seen(), "completed_by": live.person("twin-ann")[1]}]
        )
        assert running.run().duplicate_tasks == 1
        assert pilot.task_keys() == keys
        assert [one["id"] for one in pilot.task(key)["annotations"]] == [drawn]


def change(live: Live, statement: str) -> None:
    with closing(sqlite3.connect(live.server.data / "label_studio.sqlite3", timeout=60)) as database, database:
        database.execute(statement)


def test_an_answer_that_the_killed_server_did_not_count_is_filed(live: Live, tmp_path: Path) -> None:
    pilot = marked(live, tmp_path, "partial")
    pilot.sync()
    key, *_ = pilot.task_keys()
    pilot.submit(key)
    number = pilot.task(key)["id"]
    change(
        live,
        "UPDATE task SET total_annotations = 0, is_labeled = 0, updated_at = '2020-01-01 00:00:00' "
        f"WHERE id = {number}",
    )
    assert pilot.sync().filed == 1
    assert pilot.archived().keys() == {key}
    assert pilot.sync().filed == 0


def test_experts_tasks_without_their_predictions_are_made_again(live: Live, tmp_path: Path) -> None:
    roles = {name: ["regional"] for name in ("lost-ann", "lost-bob")} | {"lost-max": ["expert"]}
    pilot = LivePilot(live, tmp_path / "corpus", "lost", roles, pairs=2, steps=["regional", "expert"])
    with pilot.running() as running:
        running.run()
        pilot.work()
        assert running.run().created == {"expert": 2}
        first = next(key for key in pilot.task_keys() if key.startswith("expert/"))
        before = pilot.task(first)
        number = before["id"]
        change(live, f"DELETE FROM prediction WHERE task_id = {number}")
        change(live, f"UPDATE task SET total_predictions = 0 WHERE id = {number}")
    found = pilot.sync()
    assert (found.without_proposal, found.created) == (1, {"expert": 1})
    after = pilot.task(first)
    assert after["id"] != number
    assert [one["result"] for one in after["predictions"]] == [one["result"] for one in before["predictions"]]
    pilot.work()
    assert pilot.sync().steps == {"done": 2}
