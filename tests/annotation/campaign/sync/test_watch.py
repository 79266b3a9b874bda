"""A sync that goes on waits for a hint or for its time, and leaves no webhook behind."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping

import httpx2
import pytest

from annotation.campaign.sync.webhooks import SECRET_HEADER, WebhookHints
from annotation.labelstudio.connection import StudioUnavailableError
from mos.errors import UserError


class Sender:
    """A server that takes webhooks: of each project, the address and the headers."""

    def __init__(self) -> None:
        self.hooks: dict[int, tuple[str, dict[str, str]]] = {}
        self.failure: UserError | None = None
        self.asked = 0

    def ensure_webhook(self, project_id: int, url: str, headers: Mapping[str, str]) -> None:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        self.hooks[project_id] = url, dict(headers)

    def remove_webhooks(self, project_ids: Collection[int], header: str) -> None:
        if self.failure is not None:
            raise self.failure
        self.hooks = {
            number: hook for number, hook in self.hooks.items() if number not in project_ids or header not in hook[1]
        }

    def tell(self, project_id: int, **headers: str) -> int:
        """Send the webhook of a project; the status of the answer."""
        url, own = self.hooks[project_id]
        return httpx2.post(url, headers=own | headers, json={"action": "X"}, trust_env=False).status_code


@pytest.fixture
def sender() -> Sender:
    return Sender()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def hints(sender: Sender, said: list[str]) -> Iterator[WebhookHints]:
    with WebhookHints(sender, "127.0.0.1:0", None, said.append) as hints:
        hints.cover([1, 2])
        yield hints


def test_what_was_heard_is_told_at_once_and_once(sender: Sender, hints: WebhookHints) -> None:
    begun = time.monotonic()
    for _ in range(2):
        assert sender.tell(2) == 204
    assert hints.wait(60) == {2}
    assert sender.tell(1) == 204
    assert hints.wait(60) == {1}
    assert time.monotonic() - begun < 30


def test_a_stranger_is_refused_and_changes_nothing(sender: Sender, hints: WebhookHints) -> None:
    assert sender.tell(2, **{SECRET_HEADER: "a-secret-that-is-none"}) == 403
    assert hints.wait(0.6) is None


def test_hints_do_not_put_off_the_look_at_everything(sender: Sender, hints: WebhookHints) -> None:
    end = time.monotonic() + 30
    found: list[frozenset[int] | None] = []
    while None not in found and time.monotonic() < end:
        sender.tell(1)
        found.append(hints.wait(1.0))
    assert found[-1] is None


def test_a_project_that_is_new_is_covered_too(sender: Sender, hints: WebhookHints) -> None:
    hints.cover([1, 2, 7])
    hints.cover([1, 2, 7])
    assert sorted(sender.hooks) == [1, 2, 7]
    assert sender.asked == 3
    assert {url for url, _ in sender.hooks.values()} == {hints.url}


def test_what_a_killed_sync_left_is_removed_and_what_others_made_is_not(sender: Sender, said: list[str]) -> None:
    sender.hooks = {1: ("http://old/hint", {SECRET_HEADER: "old"}), 3: ("http://mine/", {"X-Mine": "x"})}
    with WebhookHints(sender, "127.0.0.1:0", "https://manager.example.org/hint", said.append) as hints:
        hints.cover([1, 3])
        assert sender.hooks[1][0] == "https://manager.example.org/hint"
        sender.hooks[3] = ("http://mine/", {"X-Mine": "x"})
    assert list(sender.hooks) == [3]
    assert said == []


def test_a_server_that_takes_no_webhooks_is_looked_at_from_time_to_time(sender: Sender, said: list[str]) -> None:
    with WebhookHints(sender, "127.0.0.1:0", None, said.append) as hints:
        sender.failure = UserError("It does not let this account do that.")
        for _ in range(2):
            hints.cover([1])
        assert len(said) == 1
        assert "without webhooks" in said[0]
        assert hints.wait(0.1) is None


def test_a_server_that_is_away_is_asked_again(sender: Sender, said: list[str]) -> None:
    with WebhookHints(sender, "127.0.0.1:0", None, said.append) as hints:
        sender.failure = StudioUnavailableError("No server answers.")
        with pytest.raises(StudioUnavailableError):
            hints.cover([1])
        sender.failure = None
        hints.cover([1])
        assert sorted(sender.hooks) == [1]
        sender.failure = StudioUnavailableError("No server answers.")
    assert "stay on the server" in said[0]


@pytest.mark.parametrize("where", ["8090", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000", "::1:8090"])
def test_a_place_is_a_host_and_a_port(sender: Sender, where: str) -> None:
    with pytest.raises(UserError, match="expected HOST:PORT"):
        WebhookHints(sender, where, None, print)


def test_an_address_that_nobody_can_send_to_is_asked_for(sender: Sender) -> None:
    with pytest.raises(UserError, match="Give the URL of this listener with --listen-url"):
        WebhookHints(sender, "0.0.0.0:0", None, print)
    with pytest.raises(UserError, match="Invalid webhook URL"):
        WebhookHints(sender, "0.0.0.0:0", "manager.example.org", print)
