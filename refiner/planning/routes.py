"""The table of routes: from the kind and type of a flaw to the editors that may repair it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from annotation.records import KINDS, Kind
from annotation.taxonomy import list_flaw_types
from mos.plain_yaml import load_plain_yaml

GENERATIVE = "generative"
"""Stands in a route for the editors that the user chose and that no route names."""


@dataclass(frozen=True, slots=True)
class RepairRoute:
    """How flaws of some types are repaired.

    Attributes
    ----------
    kind : {"artifact", "failure"}
    flaws : tuple of str
        Flaw types of this kind.
    editors : tuple of str
        Names in the order in which they are tried; `GENERATIVE` stands for the user's own.
    task : str
        What an editor is told to do, without a full stop.
    reason : str
        Why these editors, in this order.
    """

    kind: Kind
    flaws: tuple[str, ...]
    editors: tuple[str, ...]
    task: str
    reason: str


@cache
def read_routes() -> dict[Kind, tuple[RepairRoute, ...]]:
    """The routes of `routes.yaml` by kind.

    Raises
    ------
    ValueError
        If the table forgets a flaw type or names one twice.
    """
    data = load_plain_yaml(resources.files(__package__).joinpath("routes.yaml").read_text(encoding="utf-8"))
    routes: dict[Kind, tuple[RepairRoute, ...]] = {}
    for kind in KINDS:
        routes[kind] = tuple(
            RepairRoute(kind, tuple(row["flaws"]), tuple(row["editors"]), row["task"], row["reason"])
            for row in data[kind]
        )
        named = sorted(flaw for route in routes[kind] for flaw in route.flaws)
        if named != sorted(list_flaw_types(kind)):
            raise ValueError(f"The routes of the kind {kind} must name every flaw type once, but name {named}.")
    return routes


def find_route(kind: Kind, flaw_type: str | None) -> RepairRoute:
    """The route of a flaw; that of "other" where the type is not known."""
    wanted = "other" if flaw_type is None else flaw_type
    return next(route for route in read_routes()[kind] if wanted in route.flaws)


def choose_editors(route: RepairRoute, available: Collection[str], preferred: Sequence[str] = ()) -> tuple[str, ...]:
    """Names of the editors that may repair a flaw, in the order in which they are tried.

    Parameters
    ----------
    route : RepairRoute
    available : collection of str
        Names of all editors of the run.
    preferred : sequence of str
        Those that the user chose by name, in this order. They are used for every flaw: in the place that the route
        gives them, else in that of `GENERATIVE`, else last.

    Examples
    --------
    >>> route = find_route("failure", "unintended_change")
    >>> choose_editors(route, ["inpaint", "restore"])
    ('restore',)
    >>> choose_editors(route, ["restore", "flux"], ["flux"])
    ('restore', 'flux')
    >>> choose_editors(route, ["inpaint"], ["inpaint"])
    ('inpaint',)
    """
    named = {name for routes in read_routes().values() for one in routes for name in one.editors}
    chosen: list[str] = []
    for name in route.editors:
        chosen += [one for one in preferred if one not in named] if name == GENERATIVE else [name]
    chosen += [name for name in preferred if name not in chosen]
    return tuple(name for name in dict.fromkeys(chosen) if name in available)
