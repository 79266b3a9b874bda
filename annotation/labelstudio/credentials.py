"""Files with secrets, which only their owner can read, and the API key of a server."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mos.errors import UserError
from mos.files import NotRegularFileError, open_regular_file, replace_file

STUDIO_KEY_VARIABLE = "EDITFHF_STUDIO_KEY"
STUDIO_EMAIL_VARIABLE = "EDITFHF_STUDIO_EMAIL"
STUDIO_PASSWORD_VARIABLE = "EDITFHF_STUDIO_PASSWORD"
MAX_SECRET_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class StudioCredentials:
    """The first user of a server that we started: e-mail and password of the manager, and the key for programs."""

    email: str
    password: str = field(repr=False)
    api_key: str = field(repr=False)

    @classmethod
    def new(cls, email: str) -> StudioCredentials:
        """New random secrets; the key has 40 hexadecimal digits, as a token of Label Studio."""
        return cls(email, generate_password(), secrets.token_hex(20))

    def text(self) -> str:
        """The credentials as lines `NAME=value`, which a shell can source."""
        values = {
            STUDIO_EMAIL_VARIABLE: self.email,
            STUDIO_PASSWORD_VARIABLE: self.password,
            STUDIO_KEY_VARIABLE: self.api_key,
        }
        return "".join(f"{name}={value}\n" for name, value in values.items())


def generate_password() -> str:
    """A password of 16 characters of the URL alphabet: 96 random bits."""
    return secrets.token_urlsafe(12)


def read_credentials(path: Path) -> StudioCredentials:
    """The credentials in a file; `UserError` if others can read the file, or one of the three is missing."""
    values = _parse_assignments(read_secret(path))
    missing = [
        name for name in (STUDIO_EMAIL_VARIABLE, STUDIO_PASSWORD_VARIABLE, STUDIO_KEY_VARIABLE) if not values.get(name)
    ]
    if missing:
        raise UserError(f"{path} has no line {missing[0]}=...: expected the credentials of the first user. Restore it.")
    return StudioCredentials(
        values[STUDIO_EMAIL_VARIABLE], values[STUDIO_PASSWORD_VARIABLE], values[STUDIO_KEY_VARIABLE]
    )


def find_studio_key(environment: Mapping[str, str], file: Path | None = None) -> str:
    """Find the API key of a server.

    Parameters
    ----------
    environment
        Environment variables; the key is that of `STUDIO_KEY_VARIABLE`, unless a file is given.
    file
        File of mode 600: the `credentials` of a server that `editfhf annotate serve` started, or one with the key
        alone.

    Returns
    -------
    str
        The key.

    Raises
    ------
    UserError
        If there is no key, others can read the file, or the key is not one word.
    """
    if file is not None:
        text = read_secret(file)
        key = _parse_assignments(text).get(STUDIO_KEY_VARIABLE, text.strip())
        where = str(file)
    else:
        key = environment.get(STUDIO_KEY_VARIABLE, "").strip()
        where = f"the environment variable {STUDIO_KEY_VARIABLE}"
        if not key:
            raise UserError(
                "No key for the server. For one that editfhf annotate serve runs, name its folder with --data; for "
                f"another, set {STUDIO_KEY_VARIABLE} in the environment, or name a file of mode 600 with --key-file."
            )
    if not key or not key.isascii() or not key.isprintable() or any(character.isspace() for character in key):
        raise UserError(f"{where} holds no API key: expected one word. Copy the token from the server's account page.")
    return key


def read_secret(path: Path) -> str:
    """The text of a file with secrets; `UserError` if others may read or write it, or it is missing."""
    try:
        with open_regular_file(path) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UserError(f"{path} is not a regular file: expected a file with secrets.")
            if status.st_mode & 0o077:
                mode = f"{stat.S_IMODE(status.st_mode):03o}"
                raise UserError(f"{path} holds secrets but has mode {mode}: others can use it. Run: chmod 600 {path}")
            return stream.read(MAX_SECRET_BYTES).decode("utf-8")
    except (FileNotFoundError, NotRegularFileError):
        raise UserError(f"There is no file {path}: expected one with secrets. Check the path.") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text: expected a file with secrets. Check the path.") from None


def write_secret(path: Path, text: str) -> None:
    """Write a file of mode 600 atomically: a reader sees the old content or the new, never a part."""
    replace_file(path, text.encode(), mode=0o600)


def _parse_assignments(text: str) -> dict[str, str]:
    lines = (line.partition("=") for line in text.splitlines())
    return {name.strip(): value.strip() for name, mark, value in lines if mark and not name.startswith("#")}
