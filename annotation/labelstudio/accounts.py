"""Accounts of the participants of a campaign, created through the invitation link, and their passwords."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from annotation.labelstudio.client import StudioClient
from annotation.labelstudio.connection import StudioUnavailableError
from annotation.labelstudio.credentials import generate_password, read_secret, write_secret
from mos.errors import UserError

SIGN_UP_PATH, LOG_IN_PATH, TOKENS_PATH = "/user/signup/", "/user/login/", "/api/token/"
BROWSER_TIMEOUT = 60.0
CONFLICT_STATUS = 409
MAX_FORM_ERROR = 200

_FORM_ERRORS = re.compile(r'class="field_errors">(.*?)</ul>', re.DOTALL)
_HTML_TAGS = re.compile(r"<[^>]*>")


def ensure_user(studio: StudioClient, email: str, password: str) -> int:
    """Find the user with an e-mail address, or create an account for it.

    Parameters
    ----------
    studio
        Client with the key of an administrator.
    email
        Address of the user; the server compares it in lower case.
    password
        Password of a new account, at least 8 characters; not used if the account exists.

    Returns
    -------
    int
        Id of the user.

    Raises
    ------
    UserError
        If the server refuses the account: the address is invalid, the password is too short, or the user was deleted
        from the server (an address cannot be used again).
    """
    user_id = _find_user_id(studio, email)
    if user_id is not None:
        return user_id
    with _open_browser(studio.url) as browser:
        form = {"email": email, "password": password, "allow_newsletters": "false"}
        answer = _submit_form(browser, f"{SIGN_UP_PATH}?token={studio.fetch_invite_token()}", form)
    if not answer.is_redirect:
        raise UserError(f"The server refuses an account for {email}: {_format_form_errors(answer)}")
    user_id = _find_user_id(studio, email)
    if user_id is None:
        raise UserError(f"The server accepted the account of {email} but does not list it. Check its list of users.")
    return user_id


def can_log_in(url: str, email: str, password: str) -> bool:
    """Whether a user can log in: not if the account is deactivated or deleted, or the password is another."""
    with _open_browser(url) as browser:
        return _submit_form(browser, LOG_IN_PATH, {"email": email, "password": password}).is_redirect


def create_personal_token(url: str, email: str, password: str) -> str:
    """Create a personal access token for a user who has none; the server shows it only once.

    Raises
    ------
    UserError
        If the user cannot log in with the password, or already has a token.
    """
    with _open_browser(url) as browser:
        if not _submit_form(browser, LOG_IN_PATH, {"email": email, "password": password}).is_redirect:
            raise UserError(f"{email} cannot log in at {url}: the password is wrong, or the account is deactivated.")
        headers = {"X-CSRFToken": browser.cookies["csrftoken"], "Referer": f"{url}/"}
        answer = browser.post(TOKENS_PATH, headers=headers)
        if answer.status_code == CONFLICT_STATUS:
            raise UserError(
                f"{email} has a personal token already; the server does not show it again. Use or revoke it."
            )
        return str(answer.json()["token"])


def keep_password(path: Path, email: str) -> str:
    """Find the password of a user in a file, or generate one and add it.

    Parameters
    ----------
    path
        CSV file of mode 600 with the columns `email,password`; created if missing. It must not lie in a folder that is
        published.
    email
        Address of the user.

    Returns
    -------
    str
        The password. It is on the disk when this returns: create the account afterwards, so that no interruption
        leaves an account without its password.
    """
    passwords = read_passwords(path) if path.exists() else {}
    if email not in passwords:
        passwords[email] = generate_password()
        table = io.StringIO()
        csv.writer(table, lineterminator="\n").writerows([("email", "password"), *passwords.items()])
        write_secret(path, table.getvalue())
    return passwords[email]


def read_passwords(path: Path) -> dict[str, str]:
    """Passwords by e-mail address; `UserError` if others can read the file, or it is not such a table."""
    try:
        rows = list(csv.reader(io.StringIO(read_secret(path))))
    except csv.Error:
        rows = []
    if not rows or rows[0] != ["email", "password"] or any(len(row) != 2 for row in rows):
        raise UserError(f"{path} is no table of passwords: expected the columns email, password. Restore or remove it.")
    return dict(rows[1:])


def _find_user_id(studio: StudioClient, email: str) -> int | None:
    # The server stores addresses in lower case.
    return next((user.user_id for user in studio.users() if user.email == email.lower()), None)


@contextmanager
def _open_browser(url: str) -> Iterator[httpx.Client]:
    """A session with its own cookies, as a browser has."""
    try:
        with httpx.Client(base_url=url, timeout=BROWSER_TIMEOUT, trust_env=False) as browser:
            yield browser
    except httpx.TransportError as error:
        raise StudioUnavailableError(
            f"Label Studio at {url} did not answer ({error.__class__.__name__}). Check its log."
        ) from None
    except (KeyError, IndexError, ValueError):
        raise UserError(f"The server at {url} has no log-in page of Label Studio. Check the address.") from None


def _submit_form(browser: httpx.Client, path: str, form: dict[str, str]) -> httpx.Response:
    browser.get(path)
    token = browser.cookies["csrftoken"]
    return browser.post(
        path, data=form | {"csrfmiddlewaretoken": token}, headers={"Referer": str(browser.base_url.join(path))}
    )


def _format_form_errors(answer: httpx.Response) -> str:
    errors = " ".join(
        " ".join(html.unescape(_HTML_TAGS.sub(" ", part)).split()) for part in _FORM_ERRORS.findall(answer.text)
    )
    return errors.strip()[:MAX_FORM_ERROR] or f"it answers {answer.status_code}."
