"""The one renderer of all HTML pages: templates filled safely, one style sheet, one set of colours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mos.files import replace_file
from mos.words import format_count, format_decimal, format_identifier, format_percent, replace_control_characters

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


NUMBER_FILTERS: Mapping[str, Callable[..., str]] = MappingProxyType(
    {"count": format_count, "decimal": format_decimal, "percent": format_percent, "words": format_identifier}
)
"""Filters that every template has."""


def render_page(
    package: str, template: str, *, filters: Mapping[str, Callable[..., Any]] = MappingProxyType({}), **values: object
) -> str:
    """Fill a template of a package.

    Parameters
    ----------
    package : str
        Package whose folder holds the template, e.g. ``"mos.report"``.
    template : str
        File name of the template.
    filters : mapping
        Filters of this package's templates, added to `NUMBER_FILTERS`. They must be the same in every call.
    **values
        Values of the template. Each is escaped, except `Markup`; control characters become U+FFFD.

    Returns
    -------
    str
        Text of the page.

    Raises
    ------
    jinja2.UndefinedError
        The template uses a name that has no value.
    """
    environment = template_environment(package)
    environment.filters |= filters
    return environment.get_template(template).render(values)


def write_page(path: Path, html: str) -> None:
    """Write a page in one step: a browser that loads it meanwhile gets the old page or the new one.

    Parameters
    ----------
    path : Path
        File to write. Its folder must exist.
    html : str
        Text of the page.
    """
    replace_file(path, html.encode())


@cache
def template_environment(package: str) -> Environment:
    """The Jinja environment of the templates in a package: values are escaped, a missing value is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(package, "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=replace_control_characters,
    )
    environment.filters |= NUMBER_FILTERS
    return environment


@cache
def read_theme() -> str:
    """The colours of all pages and figures as CSS variables, light and dark."""
    return resources.files("mos.report").joinpath("theme.css").read_text(encoding="utf-8")


def page_style(extra: str = "") -> Markup:
    """The style sheet of the pages, followed by the rules of one page.

    Parameters
    ----------
    extra : str
        CSS rules of the page itself.
    """
    from markupsafe import Markup

    return Markup(read_theme() + resources.files("mos.report").joinpath("page.css").read_text(encoding="utf-8") + extra)
