"""The virtual environment of the server, and the settings under which it sends nothing to anyone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from annotation.labelstudio.credentials import StudioCredentials
from mos.errors import UserError
from mos.files import replace_file

STUDIO_VERSION = "1.23.2"
"""The release of Label Studio with which everything here was tested."""

STUDIO_FOLDER = ".studio"
STUDIO_PROGRAM = "bin/label-studio"
TEMPLATE_DATABASE = "template/label_studio.sqlite3"
STUDIO_DATABASE = "label_studio.sqlite3"

SETTINGS_FOLDER = "settings"
SETTINGS_MODULE = "editfhf_settings"
SERVER_SETTINGS = """\
# Written by `editfhf annotate serve` at every start: Label Studio's own settings, changed in three places.
import os

# While they load, Label Studio's settings read themselves, by the name in this variable.
os.environ["DJANGO_SETTINGS_MODULE"] = "label_studio.core.settings.label_studio"
from label_studio.core.settings.label_studio import *

os.environ["DJANGO_SETTINGS_MODULE"] = __name__

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # By default, SQLite gives up after five seconds, and at once where a transaction began with reading and another
    # one wrote meanwhile. Label Studio then imports tasks without their predictions, and answers 500 at a log-in.
    DATABASES["default"]["OPTIONS"] |= {"timeout": 60, "transaction_mode": "IMMEDIATE"}

# Warnings of Django reach the log through the root logger too, which wrote each of them twice.
LOGGING["loggers"]["django"]["propagate"] = False
# One line for every request of every open page would be megabytes an hour; errors are written by "django.request".
LOGGING["loggers"]["django.server"] = {"handlers": ["console"], "level": "ERROR", "propagate": False}
"""
"""Settings of the server, as a Django module: what Label Studio reads from no environment variable."""

KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "LD_LIBRARY_PATH")
"""Variables that the server inherits. Of all, it would read USERNAME, HOST or DEBUG as its own settings."""

SILENT_SETTINGS = {
    "LABEL_STUDIO_COLLECT_ANALYTICS": "false",
    "LABEL_STUDIO_SENTRY_DSN": "",
    "LABEL_STUDIO_FRONTEND_SENTRY_DSN": "",
    "LABEL_STUDIO_LATEST_VERSION_CHECK": "false",
    "LABEL_STUDIO_FEATURE_FLAGS_OFFLINE": "true",
}

STRICT_SETTINGS = {
    "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
    "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
    "LABEL_STUDIO_ALLOWED_HOSTS": "127.0.0.1,localhost",
    "LABEL_STUDIO_CORS_ALLOW_ALL_ORIGINS": "false",
    # Webhooks may reach `sync` on the loopback interface; the server cannot reach any other internal network.
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


def find_studio_program(studio: Path | None = None) -> Path:
    """The program `label-studio` of a virtual environment, by default `.studio` in the working folder or checkout."""
    usual = (Path.cwd() / STUDIO_FOLDER, Path(__file__).resolve().parents[2] / STUDIO_FOLDER)
    folders = usual if studio is None else (studio,)
    for folder in folders:
        if (folder / STUDIO_PROGRAM).is_file():
            return folder.absolute() / STUDIO_PROGRAM
    if studio is not None:
        raise UserError(
            f"There is no {studio / STUDIO_PROGRAM}: expected a virtual environment with Label Studio {STUDIO_VERSION}."
        )
    raise UserError(
        f"Label Studio is not installed: expected it in {folders[0]}. Run make studio, or name its virtual environment "
        "with --studio."
    )


def build_server_environment(
    caller: Mapping[str, str],
    data: Path,
    url: str,
    credentials: StudioCredentials,
    served: Path | None,
    database_url: str | None,
) -> dict[str, str]:
    """Build the environment variables of the server.

    Parameters
    ----------
    caller
        Environment of the caller, of which `KEPT_VARIABLES` are kept.
    data
        Folder of the server.
    url
        Address at which browsers reach it.
    credentials
        First user of the server.
    served
        The only folder whose files the server shows; None shows none.
    database_url
        None for SQLite in `data`, or `postgresql://user:password@host:port/name`.

    Returns
    -------
    dict[str, str]
        All variables: no analytics, no look for updates, sign-up only by invitation, and the settings that
        `write_server_settings` writes.
    """
    variables = {name: caller[name] for name in KEPT_VARIABLES if name in caller}
    variables |= SILENT_SETTINGS | STRICT_SETTINGS | _build_database_settings(database_url)
    variables |= {
        "LABEL_STUDIO_BASE_DATA_DIR": str(data),
        "LABEL_STUDIO_HOST": url,
        "LABEL_STUDIO_USERNAME": credentials.email,
        "LABEL_STUDIO_PASSWORD": credentials.password,
        "LABEL_STUDIO_USER_TOKEN": credentials.api_key,
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "false",
        "DJANGO_SETTINGS_MODULE": SETTINGS_MODULE,
        "PYTHONPATH": str(data / SETTINGS_FOLDER),
    }
    if served is not None:
        variables["LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED"] = "true"
        variables["LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT"] = str(served)
    return variables


def write_server_settings(data: Path) -> None:
    """Write the settings of a server into its folder, where its interpreter finds nothing else of ours."""
    folder = data / SETTINGS_FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    replace_file(folder / f"{SETTINGS_MODULE}.py", SERVER_SETTINGS.encode(), mode=0o600)


def _build_database_settings(url: str | None) -> dict[str, str]:
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
        # The URL contains a password, so the message does not repeat it.
        raise UserError(f"Invalid database URL: {wanted}.")
    return {
        "LABEL_STUDIO_DJANGO_DB": "default",
        "LABEL_STUDIO_POSTGRE_USER": unquote(parts.username),
        "LABEL_STUDIO_POSTGRE_PASSWORD": unquote(parts.password or ""),
        "LABEL_STUDIO_POSTGRE_HOST": parts.hostname,
        "LABEL_STUDIO_POSTGRE_PORT": str(port),
        "LABEL_STUDIO_POSTGRE_NAME": name,
    }


def find_template_database(program: Path) -> Path | None:
    """The empty, migrated SQLite database that `make studio` prepares; None if there is none."""
    template = program.parents[1] / TEMPLATE_DATABASE
    return template if template.is_file() and os.access(template, os.R_OK) else None
