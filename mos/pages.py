"""What every HTML page of the house shares: its templates are filled safely, and its looks are those of the others."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

# Control characters are no text, and a lone surrogate cannot be written; tab and line feed stay.
_CONTROL = dict.fromkeys((*range(9), 11, 12, *range(14, 32), *range(127, 160), *range(0xD800, 0xE000)), "\ufffd")


def environment(package: str, folder: str = ".") -> Environment:
    """The templates in a folder of a package.

    Every value is escaped, but for `Markup`; control characters in it are shown as what they are, no text; a name that
    nothing was given for is an error.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader(package, folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=printable,
    )


def printable(value: Any) -> Any:
    """Text without control characters; anything else, markup of ours too, passes as it is.

    >>> printable("a\\x07b")
    'a\ufffdb'
    """
    return value.translate(_CONTROL) if type(value) is str else value


def style(extra: str = "") -> Markup:
    """The style sheet of the pages, and what one of them adds."""
    from markupsafe import Markup

    return Markup(resources.files("mos.report").joinpath("page.css").read_text(encoding="utf-8") + extra)
