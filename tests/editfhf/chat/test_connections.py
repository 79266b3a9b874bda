"""Which server is asked, and with which key."""

from __future__ import annotations

from pathlib import Path

import pytest

from editfhf.chat import ChatConnection, find_connection
from mos.errors import UserError

KEY = "sk-abc123"


def key_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "key"
    path.write_text(text)
    path.chmod(mode)
    return path


def key_of(connection: ChatConnection) -> str:
    return connection.api_key.get_secret_value()


def test_the_environment_names_server_and_key() -> None:
    found = find_connection({"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "http://h:1/v1/"})
    assert (found.url, key_of(found), found.is_openai) == ("http://h:1/v1", KEY, False)


def test_without_an_address_it_is_openai() -> None:
    found = find_connection({"OPENAI_API_KEY": KEY})
    assert found.url == "https://api.openai.com/v1" and found.is_openai


def test_what_is_given_comes_before_the_environment(tmp_path: Path) -> None:
    environment = {"OPENAI_API_KEY": "other", "OPENAI_BASE_URL": "http://other/v1"}
    found = find_connection(environment, "http://h/v1", key_file(tmp_path, f"{KEY}\n"))
    assert (found.url, key_of(found)) == ("http://h/v1", KEY)


@pytest.mark.parametrize("text", [KEY, f"OPENAI_API_KEY={KEY}\n", f"# mine\n\n{KEY}\n"])
def test_a_file_holds_the_key_or_an_assignment(tmp_path: Path, text: str) -> None:
    assert key_of(find_connection({}, None, key_file(tmp_path, text))) == KEY


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_a_server_on_this_machine_needs_no_key(host: str) -> None:
    assert key_of(find_connection({}, f"http://{host}:8000/v1")) == "none"


def test_a_missing_key_is_one_sentence() -> None:
    with pytest.raises(UserError, match=r"No API key for https://api\.openai\.com/v1"):
        find_connection({})


@pytest.mark.parametrize("text", ["", "a b", "one\ntwo", "schlüssel"])
def test_what_is_no_key_is_one_sentence_without_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match="holds no API key") as caught:
        find_connection({}, None, key_file(tmp_path, text))
    assert not text or text not in str(caught.value)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="chmod 600"):
        find_connection({}, None, key_file(tmp_path, KEY, 0o644))


@pytest.mark.parametrize(
    "url", ["h/v1", "ftp://h/v1", "http://", "http://h:x/v1", "http://h/v1?key=1", "http://u:p@h/v1"]
)
def test_what_is_no_address_is_one_sentence(url: str) -> None:
    with pytest.raises(UserError):
        find_connection({"OPENAI_API_KEY": KEY}, url)
