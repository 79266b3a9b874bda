"""Secrets at rest: small files that only their owner can read, and where the key of a server comes from."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mos.errors import UserError

KEY_VARIABLE = "EDITFHF_STUDIO_KEY"
EMAIL_VARIABLE = "EDITFHF_STUDIO_EMAIL"
PASSWORD_VARIABLE = "EDITFHF_STUDIO_PASSWORD"
MAX_SECRET = 1 << 20


@dataclass(frozen=True, slots=True)
class Credentials:
    """The first user of a server that we started: how the manager logs in, and the key that programs use."""

    email: str
    password: str = field(repr=False)
    api_key: str = field(repr=False)

    @classmethod
    def new(cls, email: str) -> Credentials:
        """Fresh random secrets; the key has the 40 hexadecimal digits of a Label Studio token."""
        return cls(email, new_password(), secrets.token_hex(20))

    def text(self) -> str:
        """Lines `NAME=value` that a shell can source."""
        values = {EMAIL_VARIABLE: self.email, PASSWORD_VARIABLE: self.password, KEY_VARIABLE: self.api_key}
        return "".join(f"{name}={value}\n" for name, value in values.items())


def new_password() -> str:
    """16 characters of the URL alphabet, 96 random bits."""
    return secrets.token_urlsafe(12)


def read_credentials(path: Path) -> Credentials:
    """The credentials that `Credentials.text` wrote; `UserError` when others can use the file or one is missing."""
    values = _assignments(read_secret(path))
    missing = [name for name in (EMAIL_VARIABLE, PASSWORD_VARIABLE, KEY_VARIABLE) if not values.get(name)]
    if missing:
        raise UserError(f"{path} has no line {missing[0]}=...: expected the credentials of the first user. Restore it.")
    return Credentials(values[EMAIL_VARIABLE], values[PASSWORD_VARIABLE], values[KEY_VARIABLE])


def find_key(environment: Mapping[str, str], file: Path | None = None) -> str:
    """The API key of a server, from a file if one is named, else from the environment variable of `KEY_VARIABLE`.

    The file is the `credentials` of a server that `editfhf annotate serve` started, or holds the key and nothing else.
    """
    if file is not None:
        text = read_secret(file)
        key = _assignments(text).get(KEY_VARIABLE, text.strip())
        where = str(file)
    else:
        key = environment.get(KEY_VARIABLE, "").strip()
        where = f"the environment variable {KEY_VARIABLE}"
        if not key:
            raise UserError(
                f"No key for the server: expected it in {KEY_VARIABLE} in the environment, or in a file of mode 600."
            )
    if not key or not key.isascii() or not key.isprintable() or any(character.isspace() for character in key):
        raise UserError(f"{where} holds no API key: expected one word. Copy the token from the server's account page.")
    return key


def read_secret(path: Path) -> str:
    """The text of a file of which others cannot read a byte; `UserError` when they can."""
    try:
        with path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UserError(f"{path} is no regular file: expected a file that holds secrets.")
            if status.st_mode & 0o077:
                mode = f"{stat.S_IMODE(status.st_mode):03o}"
                raise UserError(f"{path} holds secrets but has mode {mode}: others can use it. Run: chmod 600 {path}")
            return stream.read(MAX_SECRET).decode("utf-8")
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"There is no file {path}: expected one that holds secrets. Check the path.") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text: expected a file that holds secrets. Check the path.") from None


def write_secret(path: Path, text: str) -> None:
    """Put a text into a file of mode 600, in one step: a reader sees the old content or the new, never a part."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _assignments(text: str) -> dict[str, str]:
    lines = (line.partition("=") for line in text.splitlines())
    return {name.strip(): value.strip() for name, mark, value in lines if mark and not name.startswith("#")}
