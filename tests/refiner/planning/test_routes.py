"""The table of routes: every flaw type has one, and the editors come in its order."""

from __future__ import annotations

import pytest

from annotation.records import KINDS, Kind
from annotation.taxonomy import list_flaw_types
from refiner.planning.routes import choose_editors, find_route, read_routes


@pytest.mark.parametrize(("kind", "flaw"), [(kind, flaw) for kind in KINDS for flaw in list_flaw_types(kind)])
def test_every_flaw_type_has_one_route_with_a_reason(kind: Kind, flaw: str) -> None:
    routes = [route for route in read_routes()[kind] if flaw in route.flaws]
    assert len(routes) == 1 and routes[0] is find_route(kind, flaw)
    assert routes[0].editors and routes[0].task and routes[0].reason.endswith(".")


def test_what_should_not_have_changed_comes_from_the_source() -> None:
    assert choose_editors(find_route("failure", "unintended_change"), ["inpaint", "restore"]) == ("restore",)


def test_what_was_not_done_is_never_restored() -> None:
    """The source is what the instruction wanted to change."""
    everything = [name for kind in KINDS for route in read_routes()[kind] for name in route.editors]
    assert choose_editors(find_route("failure", "not_executed"), everything) == ()
    assert choose_editors(find_route("failure", "not_executed"), [*everything, "flux"], ["flux"]) == ("flux",)


def test_an_unknown_flaw_type_has_the_route_of_other() -> None:
    for kind in KINDS:
        assert find_route(kind, None) is find_route(kind, "other")


def test_an_editor_chosen_by_name_is_tried_for_every_flaw() -> None:
    for kind in KINDS:
        for route in read_routes()[kind]:
            assert "deblur" in choose_editors(route, ["deblur"], ["deblur"])
