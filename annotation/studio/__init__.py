"""The edge to Label Studio: a local server, a client for any server, people's accounts, and pictures in browsers.

Nothing here knows of stages, assignment or consensus.
"""

from annotation.studio.accounts import can_log_in, ensure_user, keep_password, personal_token, read_passwords
from annotation.studio.client import Project, Studio, User
from annotation.studio.connection import Gone, NotReady
from annotation.studio.credentials import KEY_VARIABLE, find_key
from annotation.studio.pictures import Pictures
from annotation.studio.server import Found, Server, find, start

__all__ = [
    "KEY_VARIABLE",
    "Found",
    "Gone",
    "NotReady",
    "Pictures",
    "Project",
    "Server",
    "Studio",
    "User",
    "can_log_in",
    "ensure_user",
    "find",
    "find_key",
    "keep_password",
    "personal_token",
    "read_passwords",
    "start",
]
