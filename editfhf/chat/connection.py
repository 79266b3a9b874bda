"""Which server is asked, and with which key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from annotation.studio.credentials import read_secret
from mos.errors import UserError

KEY_VARIABLE = "OPENAI_API_KEY"
URL_VARIABLE = "OPENAI_BASE_URL"
OPENAI = "https://api.openai.com/v1"
NO_KEY = "none"
"""What a server that asks for no key is sent."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Connection:
    """base_url: of an OpenAI-compatible server, with its `/v1`; None is OpenAI.  The key is never shown."""

    base_url: str | None
    api_key: SecretStr

    @property
    def url(self) -> str:
        """The address without a slash at its end; `UserError` when it is none, or holds a password."""
        return _checked(self.base_url or OPENAI)

    @property
    def is_openai(self) -> bool:
        return urlsplit(self.url).hostname == urlsplit(OPENAI).hostname


def find_connection(
    environ: Mapping[str, str], base_url: str | None = None, key_file: Path | None = None
) -> Connection:
    """The server that was named, else that of OPENAI_BASE_URL, else OpenAI; the key of a file, else OPENAI_API_KEY.

    The file holds the key and nothing else, or a line `OPENAI_API_KEY=...`, and is readable by its owner alone.  A
    server on this machine may be asked without a key.  `UserError` says what is missing or wrong.
    """
    connection = Connection(base_url or environ.get(URL_VARIABLE) or None, SecretStr(NO_KEY))
    host = urlsplit(connection.url).hostname
    if key_file is not None:
        text = read_secret(key_file)
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        key = (lines[0] if len(lines) == 1 else "").strip().removeprefix(f"{KEY_VARIABLE}=")
        where = str(key_file)
    else:
        key, where = environ.get(KEY_VARIABLE, "").strip(), f"the environment variable {KEY_VARIABLE}"
        if not key and host in LOOPBACK:
            return connection
        if not key:
            raise UserError(
                f"No key for {connection.url}: expected it in {KEY_VARIABLE}, or in a file of mode 600 (--key-file)."
            )
    if not key or not key.isascii() or not key.isprintable() or any(character.isspace() for character in key):
        raise UserError(f"{where} holds no API key: expected one word. Copy the key from your account's page.")
    return Connection(connection.base_url, SecretStr(key))


def _checked(url: str) -> str:
    # What is no address is not shown: it may be a key, or hold a password.
    try:
        parts = urlsplit(url.strip())
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
        _ = parts.port
    except ValueError:
        valid = False
    if not valid:
        raise UserError(
            "What was given for the model server is no address of a server: expected one such as http://127.0.0.1:8000/v1."
        )
    if parts.username or parts.password:
        raise UserError("The address of the model server holds a user or a password: expected http(s)://host:port/v1.")
    return url.strip().rstrip("/")
