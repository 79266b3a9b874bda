"""The one error class a user ever sees.

It lives in the lowest package so that every room of the house can raise it and the command line can turn it
into one sentence and exit status 1, without a traceback.
"""

from __future__ import annotations


class UserError(Exception):
    """A mistake in the user's data or environment.

    The message is the whole story: what was expected, what came, in which file and row, and what to do.
    """
