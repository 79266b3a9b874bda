"""Secrets lie in files that only their owner can read."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from annotation.labelstudio.accounts import keep_password, read_passwords
from annotation.labelstudio.credentials import (
    STUDIO_KEY_VARIABLE,
    StudioCredentials,
    find_studio_key,
    read_credentials,
    read_secret,
    write_secret,
)
from mos.errors import UserError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_credentials_come_back_and_do_not_show_in_their_repr(tmp_path: Path) -> None:
    made = StudioCredentials.new("manager@localhost")
    write_secret(tmp_path / "credentials", made.text())
    assert read_credentials(tmp_path / "credentials") == made
    assert re.fullmatch("[0-9a-f]{40}", made.api_key)
    assert made.api_key not in repr(made)
    assert made.password not in repr(made)


def test_no_two_credentials_are_alike() -> None:
    assert len({StudioCredentials.new("a@b").api_key for _ in range(100)}) == 100


def test_a_secret_is_written_for_its_owner_alone_whatever_was_there(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    write_secret(path, "new")
    assert (mode(path), path.read_text()) == (0o600, "new")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("loose", [0o640, 0o604, 0o644, 0o660, 0o601])
def test_a_secret_that_others_can_use_is_refused(tmp_path: Path, loose: int) -> None:
    path = tmp_path / "secret"
    write_secret(path, "x")
    path.chmod(loose)
    with pytest.raises(UserError, match=f"has mode {loose:03o}: .* chmod 600"):
        read_secret(path)


@pytest.mark.parametrize("name", ["absent", "folder"])
def test_a_secret_that_is_no_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="There is no file"):
        read_secret(tmp_path / name)


def test_damaged_credentials_are_refused(tmp_path: Path) -> None:
    write_secret(tmp_path / "credentials", "EDITFHF_STUDIO_EMAIL=a@b\n")
    with pytest.raises(UserError, match="no line EDITFHF_STUDIO_PASSWORD"):
        read_credentials(tmp_path / "credentials")


def test_the_key_is_in_a_file_or_in_the_environment(tmp_path: Path) -> None:
    made = StudioCredentials.new("a@b")
    write_secret(tmp_path / "credentials", made.text())
    write_secret(tmp_path / "bare", "abc123\n")
    environment = {STUDIO_KEY_VARIABLE: "fromthere"}
    assert find_studio_key(environment) == "fromthere"
    assert find_studio_key(environment, tmp_path / "bare") == "abc123"
    assert find_studio_key({}, tmp_path / "credentials") == made.api_key


@pytest.mark.parametrize("value", ["two words", "ünïcode", "a\x00b"])
def test_what_is_no_key_is_refused_without_being_shown(value: str) -> None:
    with pytest.raises(UserError, match="holds no API key") as said:
        find_studio_key({STUDIO_KEY_VARIABLE: value})
    assert value not in str(said.value)


def test_a_missing_key_says_where_it_is_looked_for() -> None:
    with pytest.raises(UserError, match=STUDIO_KEY_VARIABLE):
        find_studio_key({})


def test_a_password_is_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "passwords.csv"
    first = keep_password(path, "a,b@example.org")
    second = keep_password(path, "c@example.org")
    assert keep_password(path, "a,b@example.org") == first
    assert read_passwords(path) == {"a,b@example.org": first, "c@example.org": second}
    assert mode(path) == 0o600
    assert len(first) >= 16
    path.chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        keep_password(path, "d@example.org")


def test_another_table_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "passwords.csv"
    write_secret(path, "a,b,c\n1,2,3\n")
    with pytest.raises(UserError, match="no table of passwords"):
        keep_password(path, "a@example.org")
    assert path.read_text() == "a,b,c\n1,2,3\n"
