"""Accounts of the people of a campaign, made by the server's invitation link, and the passwords handed out to them."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from annotation.studio.client import Studio
from annotation.studio.connection import NotReady
from annotation.studio.credentials import new_password, read_secret, write_secret
from mos.errors import UserError

SIGN_UP, LOG_IN, TOKENS = "/user/signup/", "/user/login/", "/api/token/"
TIMEOUT = 60.0
CONFLICT = 409
EXCERPT = 200

_FAULTS = re.compile(r'class="field_errors">(.*?)</ul>', re.DOTALL)
_TAGS = re.compile(r"<[^>]*>")


def ensure_user(studio: Studio, email: str, password: str) -> int:
    """The id of the user with an e-mail, who is signed up with the password if there is none yet.

    `UserError` when the server refuses the account: the address is none, the password has less than 8 characters, or
    the user was removed from the server (an address cannot be used again).
    """
    found = _id(studio, email)
    if found is not None:
        return found
    with _browser(studio.url) as browser:
        form = {"email": email, "password": password, "allow_newsletters": "false"}
        answer = _submit(browser, f"{SIGN_UP}?token={studio.invitation()}", form)
    if not answer.is_redirect:
        raise UserError(f"The server refuses an account for {email}: {_fault(answer)}")
    made = _id(studio, email)
    if made is None:
        raise UserError(f"The server took the account of {email} but does not show it. Look at its list of people.")
    return made


def can_log_in(url: str, email: str, password: str) -> bool:
    """Whether a person gets in: not after the account was deactivated or deleted, or the password changed."""
    with _browser(url) as browser:
        return _submit(browser, LOG_IN, {"email": email, "password": password}).is_redirect


def personal_token(url: str, email: str, password: str) -> str:
    """A personal access token for a user who has none; the server shows it this once.

    `UserError` when the password does not log in, or the user has a token already.
    """
    with _browser(url) as browser:
        if not _submit(browser, LOG_IN, {"email": email, "password": password}).is_redirect:
            raise UserError(f"{email} cannot log in at {url}: the password is another, or the account is deactivated.")
        headers = {"X-CSRFToken": browser.cookies["csrftoken"], "Referer": f"{url}/"}
        answer = browser.post(TOKENS, headers=headers)
        if answer.status_code == CONFLICT:
            raise UserError(f"{email} has a personal token already, which is not shown again. Use it, or revoke it.")
        return str(answer.json()["token"])


def keep_password(path: Path, email: str) -> str:
    """The password of a person in a file of mode 600 (`email,password`), made and added if there is none yet.

    It is in the file before the account is made, so that no interruption leaves an account without its password.  The
    manager hands the passwords out; where the file lies is the caller's choice, but no folder that is published.
    """
    known = read_passwords(path) if path.exists() else {}
    if email not in known:
        known[email] = new_password()
        table = io.StringIO()
        csv.writer(table, lineterminator="\n").writerows([("email", "password"), *known.items()])
        write_secret(path, table.getvalue())
    return known[email]


def read_passwords(path: Path) -> dict[str, str]:
    """Passwords by e-mail; `UserError` when others can read the file, or it is not such a table."""
    rows = list(csv.reader(io.StringIO(read_secret(path))))
    if not rows or rows[0] != ["email", "password"] or any(len(row) != 2 for row in rows):
        raise UserError(f"{path} is no table of passwords: expected the columns email, password. Restore or remove it.")
    return dict(rows[1:])


def _id(studio: Studio, email: str) -> int | None:
    # The server keeps addresses in small letters.
    return next((user.user_id for user in studio.users() if user.email == email.lower()), None)


@contextmanager
def _browser(url: str) -> Iterator[httpx2.Client]:
    """A session with cookies of its own, as a person's browser has."""
    try:
        with httpx2.Client(base_url=url, timeout=TIMEOUT, trust_env=False) as browser:
            yield browser
    except httpx2.TransportError as error:
        raise NotReady(f"Label Studio at {url} did not answer ({error.__class__.__name__}). Look at its log.") from None
    except (KeyError, IndexError, ValueError):
        raise UserError(f"What answers at {url} has no log-in of Label Studio. Check the address.") from None


def _submit(browser: httpx2.Client, path: str, form: dict[str, str]) -> httpx2.Response:
    browser.get(path)
    token = browser.cookies["csrftoken"]
    return browser.post(
        path, data=form | {"csrfmiddlewaretoken": token}, headers={"Referer": str(browser.base_url.join(path))}
    )


def _fault(answer: httpx2.Response) -> str:
    found = " ".join(" ".join(html.unescape(_TAGS.sub(" ", part)).split()) for part in _FAULTS.findall(answer.text))
    return found.strip()[:EXCERPT] or f"it answers {answer.status_code}."
