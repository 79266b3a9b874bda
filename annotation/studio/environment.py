"""What the server needs to run: its own virtual environment, and settings under which it talks to nobody."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from annotation.studio.credentials import Credentials
from mos.errors import UserError

VERSION = "1.23.2"
"""The release of Label Studio that all of this was tried with."""

FOLDER = ".studio"
PROGRAM = "bin/label-studio"
TEMPLATE = "template/label_studio.sqlite3"
DATABASE = "label_studio.sqlite3"

KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "LD_LIBRARY_PATH")
"""All that the server sees of the caller's environment: it would take a plain USERNAME, HOST or DEBUG for its own."""

SILENT = {
    "LABEL_STUDIO_COLLECT_ANALYTICS": "false",
    "LABEL_STUDIO_SENTRY_DSN": "",
    "LABEL_STUDIO_FRONTEND_SENTRY_DSN": "",
    "LABEL_STUDIO_LATEST_VERSION_CHECK": "false",
    "LABEL_STUDIO_FEATURE_FLAGS_OFFLINE": "true",
}

STRICT = {
    "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
    "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
    "LABEL_STUDIO_ALLOWED_HOSTS": "127.0.0.1,localhost",
    "LABEL_STUDIO_CORS_ALLOW_ALL_ORIGINS": "false",
    # `sync` listens for webhooks on the loopback interface; every other inner network stays out of the server's reach.
    "LABEL_STUDIO_USE_DEFAULT_BANNED_SUBNETS": "false",
    "LABEL_STUDIO_USER_ADDITIONAL_BANNED_SUBNETS": ",".join(
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
            *("192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4"),
            *("::ffff:0:0/96", "64:ff9b::/96", "fc00::/7", "fe80::/10", "ff00::/8"),
        )
    ),
    "LABEL_STUDIO_WEBHOOK_TIMEOUT": "2",
    "LOG_LEVEL": "WARNING",
}


def find_program(studio: Path | None = None) -> Path:
    """The program `label-studio` of a virtual environment, by default of `.studio` here or beside the packages."""
    usual = (Path.cwd() / FOLDER, Path(__file__).resolve().parents[2] / FOLDER)
    folders = usual if studio is None else (studio,)
    for folder in folders:
        if (folder / PROGRAM).is_file():
            return folder.absolute() / PROGRAM
    if studio is not None:
        raise UserError(f"There is no {studio / PROGRAM}: expected a virtual environment with Label Studio {VERSION}.")
    raise UserError(
        f"Label Studio is not installed: expected it in {folders[0]}. Run make studio, or name its virtual environment "
        "with --studio."
    )


def server_environment(
    caller: Mapping[str, str],
    data: Path,
    url: str,
    credentials: Credentials,
    served: Path | None,
    database_url: str | None,
) -> dict[str, str]:
    """Environment variables of the server: silent, its data under `data`, and files of `served` alone to be seen.

    `database_url` is None for SQLite in `data`, or `postgresql://user:password@host:port/name`.
    """
    variables = {name: caller[name] for name in KEPT if name in caller}
    variables |= SILENT | STRICT | _database(database_url)
    variables |= {
        "LABEL_STUDIO_BASE_DATA_DIR": str(data),
        "LABEL_STUDIO_HOST": url,
        "LABEL_STUDIO_USERNAME": credentials.email,
        "LABEL_STUDIO_PASSWORD": credentials.password,
        "LABEL_STUDIO_USER_TOKEN": credentials.api_key,
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "false",
    }
    if served is not None:
        variables["LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED"] = "true"
        variables["LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT"] = str(served)
    return variables


def _database(url: str | None) -> dict[str, str]:
    if url is None:
        return {"LABEL_STUDIO_DJANGO_DB": "sqlite"}
    wanted = "expected postgresql://user:password@host:port/name"
    try:
        parts = urlsplit(url)
        port = parts.port or 5432
    except ValueError:
        raise UserError(f"The database URL cannot be read: {wanted}.") from None
    name = unquote(parts.path.removeprefix("/"))
    if parts.scheme not in ("postgresql", "postgres") or not parts.username or not parts.hostname or not name:
        # The URL holds a password, so it is not repeated.
        raise UserError(f"The database URL is not that of a PostgreSQL database: {wanted}.")
    return {
        "LABEL_STUDIO_DJANGO_DB": "default",
        "LABEL_STUDIO_POSTGRE_USER": unquote(parts.username),
        "LABEL_STUDIO_POSTGRE_PASSWORD": unquote(parts.password or ""),
        "LABEL_STUDIO_POSTGRE_HOST": parts.hostname,
        "LABEL_STUDIO_POSTGRE_PORT": str(port),
        "LABEL_STUDIO_POSTGRE_NAME": name,
    }


def quick_database(program: Path) -> Path | None:
    """A migrated, empty SQLite database that `make studio` left in the server's environment, if it did."""
    template = program.parents[1] / TEMPLATE
    return template if template.is_file() and os.access(template, os.R_OK) else None
