"""The server's edge against the real Label Studio."""

from __future__ import annotations

import json
import shutil
import sqlite3
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import httpx2
import pytest
from label_studio_sdk import LabelStudio
from PIL import Image

from annotation.labelstudio.accounts import can_log_in, create_personal_token, ensure_user
from annotation.labelstudio.client import StudioClient
from annotation.labelstudio.connection import StudioConnection, StudioUnavailableError
from annotation.labelstudio.image_urls import ImageUrls
from annotation.labelstudio.server import find_studio_server, start_studio_server
from mos.errors import UserError
from tests.annotation.studio_server import LABEL_CONFIG, PASSWORD, Live, box, task

pytestmark = pytest.mark.studio


@pytest.fixture
def manager(live: Live) -> Iterator[StudioClient]:
    with live.manager() as studio:
        yield studio


@pytest.fixture
def project(manager: StudioClient, request: pytest.FixtureRequest) -> int:
    """A fresh project, named after the test."""
    name = request.node.name
    return manager.create_project(name[:50], f"Of a test.\neditfhf:test/{name}/ann", LABEL_CONFIG).project_id


def annotate(live: Live, name: str, task_id: int, result: list[dict[str, Any]], skipped: bool = False) -> int:
    """A person submits or skips a task; the annotation's id."""
    key, _ = live.person(name)
    with StudioClient(live.server.url, key) as person:
        submitted = {"result": result, "lead_time": 12.5, "was_cancelled": skipped}
        return person.import_annotations(task_id, [submitted])[0]


def test_the_first_user_is_the_manager_and_the_release_is_the_tried_one(manager: StudioClient) -> None:
    assert manager.whoami().email == "manager@localhost"
    assert manager.describe_version_gap() is None


def test_another_program_finds_the_server_by_its_folder(live: Live) -> None:
    found = find_studio_server(live.server.data)
    assert (found.url, found.api_key) == (live.server.url, live.server.api_key)


def test_secrets_are_for_the_owner_and_never_in_the_log(live: Live) -> None:
    credentials = live.server.credentials
    log = (live.server.data / "server.log").read_text()
    assert credentials.api_key not in log
    assert credentials.password not in log
    for name in ("credentials", "server.log", "label_studio.sqlite3"):
        assert stat.S_IMODE((live.server.data / name).stat().st_mode) == 0o600


def test_a_folder_has_one_server(live: Live) -> None:
    with pytest.raises(UserError, match=f"A server already runs on .*{live.server.url}"):
        start_studio_server(live.server.data)


def test_a_wrong_key_is_one_sentence_that_does_not_show_it(live: Live) -> None:
    with (
        StudioClient(live.server.url, "0123456789" * 4) as studio,
        pytest.raises(UserError, match="does not know the key") as said,
    ):
        studio.whoami()
    assert "0123456789" not in str(said.value)


def test_a_personal_token_is_as_good_as_a_key_and_a_forged_one_is_not(live: Live) -> None:
    key, user_id = live.person("anna")
    with StudioClient(live.server.url, key) as studio:
        assert studio.whoami().user_id == user_id
    with (
        StudioClient(live.server.url, key[:-4] + "AAAA") as studio,
        pytest.raises(UserError, match="does not know the key"),
    ):
        studio.whoami()


def test_many_people_log_in_at_the_same_moment(live: Live, manager: StudioClient) -> None:
    emails = [f"queue-{number}@example.org" for number in range(12)]
    for email in emails:
        ensure_user(manager, email, PASSWORD)
    with ThreadPoolExecutor(12) as pool:
        tokens = list(pool.map(lambda email: create_personal_token(live.server.url, email, PASSWORD), emails))
    assert len(set(tokens)) == 12


def test_a_personal_token_is_made_once(live: Live) -> None:
    live.person("anna")
    with pytest.raises(UserError, match="has a personal token already"):
        create_personal_token(live.server.url, "anna@example.org", PASSWORD)


def test_users_are_made_once_and_listed(live: Live, manager: StudioClient) -> None:
    first = ensure_user(manager, "Twice@Example.org", PASSWORD)
    assert ensure_user(manager, "twice@example.org", "another password") == first
    assert [user.user_id for user in manager.users() if user.email == "twice@example.org"] == [first]
    assert can_log_in(live.server.url, "twice@example.org", PASSWORD)
    assert not can_log_in(live.server.url, "twice@example.org", "another password")


@pytest.mark.parametrize(("email", "password"), [("no address", PASSWORD), ("short@example.org", "short")])
def test_a_refused_account_says_why(manager: StudioClient, email: str, password: str) -> None:
    with pytest.raises(UserError, match=r"refuses an account for .*: \w+"):
        ensure_user(manager, email, password)


def test_an_address_whose_user_was_deleted_is_gone_from_the_list(live: Live, manager: StudioClient) -> None:
    user_id = ensure_user(manager, "leaver@example.org", PASSWORD)
    with StudioConnection(live.server.url, live.server.api_key) as wire:
        wire.delete(f"/api/users/{user_id}/")
    assert "leaver@example.org" not in {user.email for user in manager.users()}
    assert not can_log_in(live.server.url, "leaver@example.org", PASSWORD)
    with pytest.raises(UserError, match="cannot log in"):
        create_personal_token(live.server.url, "leaver@example.org", PASSWORD)


def test_whose_account_was_deactivated_does_not_get_in(live: Live, manager: StudioClient) -> None:
    ensure_user(manager, "resting@example.org", PASSWORD)
    assert can_log_in(live.server.url, "resting@example.org", PASSWORD)
    # Label Studio has no button for it: administrators do it in Django's own pages, which set this flag.
    with closing(sqlite3.connect(live.server.data / "label_studio.sqlite3", timeout=30)) as database, database:
        database.execute("UPDATE htx_user SET is_active = 0 WHERE email = 'resting@example.org'")
    assert not can_log_in(live.server.url, "resting@example.org", PASSWORD)
    with pytest.raises(UserError, match="the account is deactivated"):
        create_personal_token(live.server.url, "resting@example.org", PASSWORD)


def test_a_user_who_was_removed_from_the_organization_is_noticed(live: Live, manager: StudioClient) -> None:
    user_id = ensure_user(manager, "removed@example.org", PASSWORD)
    with StudioConnection(live.server.url, live.server.api_key) as wire:
        wire.delete(f"/api/organizations/1/memberships/{user_id}")
    assert "removed@example.org" not in {user.email for user in manager.users()}


def test_a_project_is_found_by_its_marker(manager: StudioClient, project: int) -> None:
    found = manager.find_project("editfhf:test/test_a_project_is_found_by_its_marker/ann")
    assert found is not None
    assert found.project_id == project
    assert manager.find_project("editfhf:test/test_a_project_is_found") is None


def test_all_pages_of_projects_are_read(manager: StudioClient, project: int, monkeypatch: pytest.MonkeyPatch) -> None:
    manager.create_project("A second one", "", LABEL_CONFIG)
    whole = list(manager.projects())
    monkeypatch.setattr("annotation.labelstudio.client.PROJECT_PAGE_SIZE", 1)
    assert list(manager.projects()) == whole
    assert len(whole) > 1


def test_a_configuration_that_work_does_not_fit_is_refused_and_one_that_it_fits_is_taken(
    live: Live, manager: StudioClient, project: int
) -> None:
    [task_id] = manager.import_tasks(project, [task(1)])
    annotate(live, "anna", task_id, [box("r0", 1.0, "failure")])
    with pytest.raises(UserError, match=r"refuses POST .*failure"):
        manager.update_label_config(project, LABEL_CONFIG.replace('<Label value="failure"/>', ""))
    wider = LABEL_CONFIG.replace("<View>", '<View><Header value="New"/>', 1)
    manager.update_label_config(project, wider)
    assert [found.label_config for found in manager.projects() if found.project_id == project] == [wider]


def test_tasks_come_back_whole_and_in_order(
    manager: StudioClient, project: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = "<script>alert(1)</script> {{ x }} ${y} \u05d0\u05d1 \U0001f98a & \"quoted\" 'too'\nand a second line"
    given = [task(number, odd) for number in range(7)]
    ids = manager.import_tasks(project, given, chunk=3)
    monkeypatch.setattr("annotation.labelstudio.read_tasks.TASK_PAGE_SIZE", 2)
    read = list(manager.tasks(project))
    assert [item["id"] for item in read] == ids
    assert [item["data"] for item in read] == [item["data"] for item in given]
    for item, wanted in zip(read, given, strict=True):
        assert [prediction["result"] for prediction in item["predictions"]] == [wanted["predictions"][0]["result"]]


def test_everybody_works_in_a_project_of_their_own_and_all_of_it_is_read(live: Live, manager: StudioClient) -> None:
    done = {}
    for name in ("berta", "carl"):
        _, user_id = live.person(name)
        mine = manager.create_project(f"Regions, {name}", f"editfhf:own/regional/{name}", LABEL_CONFIG).project_id
        [task_id] = manager.import_tasks(mine, [task(1)])
        result = [box("r0", 1.0), box(f"of-{name}", 33.3333333333)]
        annotation_id = annotate(live, name, task_id, result)
        done[mine] = (user_id, annotation_id, result)
    for mine, (user_id, annotation_id, result) in done.items():
        [read] = manager.tasks(mine)
        [annotation] = read["annotations"]
        assert (annotation["completed_by"], annotation["id"]) == (user_id, annotation_id)
        assert annotation["result"] == result
        assert annotation["lead_time"] == 12.5


def test_what_is_read_twice_is_the_same(live: Live, manager: StudioClient, project: int) -> None:
    [task_id] = manager.import_tasks(project, [task(1)])
    annotate(live, "anna", task_id, [box("r0", 1.0)])
    assert list(manager.tasks(project)) == list(manager.tasks(project))


def test_the_sdk_reads_the_same_work(live: Live, manager: StudioClient, project: int) -> None:
    [task_id] = manager.import_tasks(project, [task(1)])
    _, user_id = live.person("anna")
    annotate(live, "anna", task_id, [box("r0", 1.0)])
    [ours] = manager.tasks(project)
    sdk = LabelStudio(base_url=live.server.url, api_key=live.server.api_key)
    [theirs] = sdk.projects.exports.as_json(project)
    same = (
        "id",
        "result",
        "completed_by",
        "created_at",
        "updated_at",
        "lead_time",
        "was_cancelled",
        "parent_prediction",
    )
    assert theirs["data"] == ours["data"]
    assert [{key: item[key] for key in same} for item in theirs["annotations"]] == [
        {key: item[key] for key in same} for item in ours["annotations"]
    ]
    assert user_id == theirs["annotations"][0]["completed_by"]
    sdk._client_wrapper.httpx_client.httpx_client.close()


def test_an_outline_says_when_tasks_changed_and_how_many_annotations_they_have(
    manager: StudioClient, live: Live, project: int
) -> None:
    ids = manager.import_tasks(project, [task(number) for number in range(3)])
    first = annotate(live, "anna", ids[1], [box("r0", 1.0)])
    annotate(live, "bert", ids[1], [], skipped=True)
    names = {"id", "data", "updated_at", "total_annotations", "cancelled_annotations"}
    outline, whole = list(manager.outline(project)), list(manager.tasks(project))
    assert outline == [{name: item[name] for name in names} for item in whole]
    assert [(item["total_annotations"], item["cancelled_annotations"]) for item in outline] == [(0, 0), (1, 1), (0, 0)]
    with StudioConnection(live.server.url, live.server.api_key) as wire:
        wire.delete(f"/api/annotations/{first}/")
    after = list(manager.outline(project))[1]
    assert (after["total_annotations"], after["cancelled_annotations"]) == (0, 1)
    assert after["updated_at"] > outline[1]["updated_at"]


def test_chosen_tasks_are_as_in_the_list_of_all(manager: StudioClient, live: Live, project: int) -> None:
    ids = manager.import_tasks(project, [task(number) for number in range(450)])
    annotate(live, "anna", ids[1], [box("r0", 1.0)])
    manager.delete_task(ids[2])
    whole = {item["id"]: item for item in manager.tasks(project)}
    chosen = {item["id"]: item for item in manager.tasks_of(project, [*ids[:3], *ids[5:]])}
    assert chosen == {number: whole[number] for number in [*ids[:2], *ids[5:]]}


def by_id(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(items, key=lambda item: item["id"])


def test_every_kind_of_change_shows_in_a_reading_since(
    live: Live, manager: StudioClient, project: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("annotation.labelstudio.read_tasks.CHANGE_OVERLAP", timedelta(0))
    first, second, third = manager.import_tasks(project, [task(number) for number in range(3)])
    made = annotate(live, "anna", second, [box("r0", 1.0)])

    def since(mark: str) -> tuple[list[int], str]:
        read = list(manager.tasks(project, mark))
        return [item["id"] for item in read], max([mark, *(item["updated_at"] for item in read)])

    mark = max(item["updated_at"] for item in manager.tasks(project))
    with StudioConnection(live.server.url, live.server.api_key) as wire:
        annotate(live, "anna", first, [box("r1", 2.0)])
        changed, mark = since(mark)
        assert first in changed
        assert third not in changed
        wire.patch(f"/api/annotations/{made}/", {"result": []})
        changed, mark = since(mark)
        assert second in changed
        wire.delete(f"/api/annotations/{made}/")
        changed, mark = since(mark)
        assert second in changed
        changed, mark = since(mark)
        assert changed == [second]  # the last change itself is asked for again: none can fall between two readings


def test_the_manager_restores_work_in_the_name_of_others(live: Live, manager: StudioClient, project: int) -> None:
    _, user_id = live.person("anna")
    [task_id] = manager.import_tasks(project, [task(1)])
    manager.import_annotations(task_id, [{"result": [box("r0", 1.0)], "completed_by": user_id, "ground_truth": True}])
    [read] = manager.tasks(project)
    assert [(item["completed_by"], item["ground_truth"]) for item in read["annotations"]] == [(user_id, True)]


def test_a_task_is_deleted_once_or_twice(manager: StudioClient, project: int) -> None:
    first, second = manager.import_tasks(project, [task(1), task(2)])
    manager.delete_task(first)
    manager.delete_task(first)
    assert [item["id"] for item in manager.tasks(project)] == [second]


def test_a_webhook_is_there_once_and_as_asked_for(live: Live, manager: StudioClient, project: int) -> None:
    url = "http://127.0.0.1:9/hook"
    with StudioConnection(live.server.url, live.server.api_key) as wire:
        for _ in range(2):
            wire.post("/api/webhooks/", {"project": project, "url": url, "send_for_all_actions": True})
        for _ in range(2):
            manager.ensure_webhook(project, url, {"X-EditFHF": "secret"})
            [hook] = wire.get("/api/webhooks/", project=project)
            assert (hook["headers"], hook["send_payload"], hook["send_for_all_actions"]) == (
                {"X-EditFHF": "secret"},
                False,
                False,
            )
            assert "ANNOTATION_UPDATED" in hook["actions"]
        manager.remove_webhooks([project], "X-Other")
        manager.remove_webhooks([0], "X-EditFHF")
        assert len(wire.get("/api/webhooks/", project=project)) == 1
        manager.remove_webhooks([project], "X-EditFHF")
        assert wire.get("/api/webhooks/", project=project) == []


def test_work_is_told_to_a_webhook_on_this_machine_with_its_secret(
    live: Live, manager: StudioClient, project: int
) -> None:
    [task_id] = manager.import_tasks(project, [task(1)])
    with listening() as (url, heard):
        manager.ensure_webhook(project, url, {"X-EditFHF": "secret"})
        annotate(live, "anna", task_id, [box("r0", 1.0)])
        secret, told = heard.get(timeout=30)
    assert secret == "secret"
    assert told["action"] == "ANNOTATION_CREATED"


def test_inner_networks_stay_out_of_the_server_s_reach(manager: StudioClient, project: int) -> None:
    with pytest.raises(UserError, match="does not let this account do POST /api/webhooks/"):
        manager.ensure_webhook(project, "http://169.254.169.254/latest", {})


@contextmanager
def listening() -> Iterator[tuple[str, Queue[tuple[str | None, Any]]]]:
    """A place on the loopback interface that hears webhooks: its address, and what it heard with which secret."""
    heard: Queue[tuple[str | None, Any]] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            heard.put((self.headers["x-editfhf"], json.loads(body)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


ODD = [
    "plain.png",
    "with space.png",
    "ünïcode-图.png",
    "100%.png",
    "a#b?c&d=e.png",
    "plus+semi;colon.png",
    "deep/er/it's.png",
]


@pytest.mark.parametrize("name", ODD)
def test_a_picture_of_any_name_is_served_as_it_is(live: Live, manager: StudioClient, project: int, name: str) -> None:
    picture = live.corpus / "images" / name
    picture.parent.mkdir(parents=True, exist_ok=True)
    if name != "plain.png":
        shutil.copy(live.corpus / "images" / "plain.png", picture)
    url = ImageUrls(live.corpus).url(f"images/{name}")
    for _ in range(2):
        manager.serve_images(project, find_studio_server(live.server.data).images or Path("nowhere"))
    [task_id] = manager.import_tasks(project, [{"data": {"instruction": "", "edited_image": url}}])
    [read] = manager.tasks(project)
    assert get(live, read["data"]["edited_image"]).content == picture.read_bytes()
    # The labelling interface takes the address from this answer.
    with StudioConnection(live.server.url, live.server.api_key) as wire:
        shown = wire.get(f"/api/tasks/{task_id}/")["data"]["edited_image"]
    assert get(live, shown).content == picture.read_bytes()


def get(live: Live, url: str, key: str | None = None) -> httpx2.Response:
    headers = {"Authorization": f"Token {live.server.api_key}"} if key is None else {}
    return httpx2.get(live.server.url + url.removeprefix(live.server.url), headers=headers, trust_env=False)


def test_a_picture_with_exif_rotation_is_served_untouched(live: Live, manager: StudioClient, project: int) -> None:
    picture = live.corpus / "images" / "rotated.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 40), "teal").save(picture, exif=exif)
    manager.serve_images(project, find_studio_server(live.server.data).images or Path("nowhere"))
    answer = get(live, ImageUrls(live.corpus).url("images/rotated.jpg"))
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.content == picture.read_bytes()


@pytest.mark.parametrize(
    "asked",
    [
        "../credentials",
        "images/../../credentials",
        "%2e%2e/credentials",
        "images/%2e%2e/%2e%2e/server.log",
        "/etc/passwd",
        "images/../../../corpus/pairs.jsonl",
        "....//credentials",
        "images",
        "",
    ],
)
def test_nothing_but_pictures_is_served(live: Live, manager: StudioClient, project: int, asked: str) -> None:
    (live.corpus / "pairs.jsonl").write_text("{}")
    manager.serve_images(project, find_studio_server(live.server.data).images or Path("nowhere"))
    answer = get(live, f"/data/local-files/?d={asked}")
    assert not answer.is_success
    for secret in (live.server.api_key, "root:", "{}"):
        assert secret not in answer.text


def test_pictures_are_for_those_who_logged_in(live: Live, manager: StudioClient, project: int) -> None:
    manager.serve_images(project, find_studio_server(live.server.data).images or Path("nowhere"))
    assert get(live, "/data/local-files/?d=images/plain.png", key="").status_code == 401


@pytest.mark.parametrize("folder", ["", "..", "images/../..", "/"])
def test_no_other_folder_becomes_a_source_of_pictures(
    live: Live, manager: StudioClient, project: int, folder: str
) -> None:
    with pytest.raises(UserError, match="refuses POST"):
        manager.serve_images(project, live.server.data / "served" / folder)


def test_a_killed_server_starts_again_with_everything(live: Live, manager: StudioClient, project: int) -> None:
    ids = manager.import_tasks(project, [task(number) for number in range(20)])
    annotate(live, "anna", ids[0], [box("r0", 1.0)])
    before = list(manager.tasks(project))
    key = live.server.api_key
    live.server.kill()
    with (
        StudioClient(live.server.url, key, attempts=2) as studio,
        pytest.raises(StudioUnavailableError, match="No server answers"),
    ):
        studio.whoami()
    live.restart()
    assert live.server.api_key == key
    assert list(manager.tasks(project)) == before
    assert not (live.server.data / "label_studio.sqlite3-journal").exists()
    assert (live.server.data / "served" / "images").is_symlink()
