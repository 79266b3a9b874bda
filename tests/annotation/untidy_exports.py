"""Tasks of exports as a server may give them: any number of people and rounds, deleted users, and much that is odd."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from annotation.records import DIMENSIONS, KINDS, SEVERITIES
from annotation.taxonomy import list_flaw_types
from annotation.text import MAX_ID_LENGTH, MAX_TEXT_LENGTH

SIZES = st.tuples(st.integers(1, 12_000), st.integers(1, 12_000))
NAMES = st.one_of(
    st.sampled_from(["b1", "b2", "b1-d0", "b2-d0", "d1", "verdict", "no_flaw"]),
    st.text(min_size=1, max_size=4),
    st.sampled_from(["é" * MAX_ID_LENGTH, "x" * (MAX_ID_LENGTH - 1), "<img src=x>", "{{x}}", "א\u202e", "e\u0301"]),
)
PIECES = st.sampled_from(
    [
        "Five legs. ",
        "<script>",
        "{{x}}",
        "$y",
        "אב\u202e",
        "🦊",
        "e\u0301",
        "\u0958",
        "\ufb2c",
        "\n",
        "\t",
        "\x00",
        "\ud800",
    ]
)
TEXTS = st.one_of(
    st.lists(PIECES, max_size=6).map("".join),
    st.text(max_size=20),
    st.sampled_from(["\u0958" * (MAX_TEXT_LENGTH // 2), "\u0958" * (MAX_TEXT_LENGTH - 1), "x" * (MAX_TEXT_LENGTH + 1)]),
)
PER_CENT = st.one_of(
    st.floats(0, 100), st.integers(0, 100), st.floats(-20, 120), st.sampled_from([0, 100, 1 / 3, 100 / 3])
)
# Sides of a millionth of the picture and more: what no eye sees is not drawn.
# Nor are negative sides: a box flipped over the edge of the image may leave such a sliver of itself.
SIDE = st.one_of(st.floats(1e-4, 100), st.sampled_from([0, -0.0, float("inf"), None, "3"]))
TIMES = st.one_of(
    st.sampled_from(
        ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678901+05:30", "2026-01-02 03:04", "yesterday", None, 7]
    ),
    st.datetimes().map(str),
)
PEOPLE = st.one_of(
    st.integers(1, 4),
    st.integers(1, 4).map(lambda number: {"id": number, "email": "a@x.org", "first_name": "A"}),
    st.sampled_from([{"email": "b@x.org"}, {"email": "3"}, None, {"id": None}, True]),
)
MORE = st.dictionaries(st.sampled_from(["unheard_of", "score", "meta", "hidden", "locked"]), st.integers(0, 3))
"""Keys that nobody reads."""


def mostly(draw: st.DrawFn, usual: Any, odd: Any) -> Any:
    """`usual`, or once in eight times something of `odd`."""
    return draw(odd) if draw(st.integers(0, 7)) == 7 else usual


@st.composite
def drawn(draw: st.DrawFn, size: tuple[int, int]) -> list[dict[str, Any]]:
    """Boxes, disks, relations and what is said of boxes."""
    results: list[dict[str, Any]] = []
    names = draw(st.lists(NAMES, max_size=4, unique=draw(st.booleans())))
    for name in names:
        results += flawed(draw, name, size)
    for name in draw(st.lists(NAMES, max_size=1)):
        results.append(point(draw, name, draw(st.sampled_from(KINDS)), draw(PER_CENT), draw(PER_CENT), size))
    return [one | draw(MORE) for one in mostly(draw, results, st.permutations(results))]


def flawed(draw: st.DrawFn, name: str, size: tuple[int, int]) -> list[dict[str, Any]]:
    """A box, disks in it or related to it, and what is said of it."""
    kind = draw(st.sampled_from(KINDS))
    x, y = draw(st.floats(0, 90)), draw(st.floats(0, 90))
    w, h = draw(st.floats(1e-4, 100 - x)), draw(st.floats(1e-4, 100 - y))
    place = {"x": mostly(draw, x, PER_CENT), "y": mostly(draw, y, PER_CENT)}
    place |= {"width": mostly(draw, w, SIDE), "height": mostly(draw, h, SIDE)}
    place |= {"rotation": mostly(draw, 0, st.just(12)), "rectanglelabels": [kind]}
    results = [item(name, "box", "rectanglelabels", place, size), *said(draw, name, kind)]
    for number in range(draw(st.integers(0, 3))):
        own = mostly(draw, f"{name}-{draw(st.sampled_from('dk'))}{number}"[-MAX_ID_LENGTH:], NAMES)
        related = draw(st.booleans())
        inside = x + draw(st.floats(0, 1)) * w, y + draw(st.floats(0, 1)) * h
        px, py = inside if not related else (draw(PER_CENT), draw(PER_CENT))
        results.append(point(draw, own, mostly(draw, kind, st.sampled_from(KINDS)), px, py, size))
        if related:
            labels = mostly(draw, ["disk_of"], st.sampled_from([[], None, ["other"]]))
            ends = {"from_id": own, "to_id": mostly(draw, name, NAMES)}
            results.append(ends | {"type": "relation", "direction": "right", "labels": labels})
    return results


def point(draw: st.DrawFn, name: str, kind: str, x: Any, y: Any, size: tuple[int, int]) -> dict[str, Any]:
    """A disk's keypoint."""
    value = {"x": x, "y": y, "width": draw(st.floats(0, 9)), "keypointlabels": [kind]}
    return item(name, "disk", "keypointlabels", value, size)


def said(draw: st.DrawFn, name: str, kind: Any) -> list[dict[str, Any]]:
    """Some of what can be said of a box."""
    flaw = mostly(draw, draw(st.sampled_from(list_flaw_types(kind))), st.just("no such flaw"))
    everything = [
        item(name, "flaw_type", "choices", {"choices": [flaw]}),
        item(name, "severity", "choices", {"choices": [draw(st.sampled_from([*SEVERITIES, "?"]))]}),
        item(name, "rationale", "textarea", {"text": draw(st.lists(TEXTS, max_size=2) | TEXTS)}),
    ]
    return [one for one in everything if draw(st.booleans())]


@st.composite
def reviewed(draw: st.DrawFn, size: tuple[int, int]) -> list[dict[str, Any]]:
    """What a reviewer says of regions, drawn again or named alone, and a verdict."""
    results = draw(drawn(size))
    for name in draw(st.lists(NAMES, max_size=2)):
        results += said(draw, name, draw(st.sampled_from(KINDS)))
    verdict = mostly(draw, draw(st.sampled_from(["agree", "revise"])), st.sampled_from(["?", None]))
    return results + ([item("v", "verdict", "choices", {"choices": [verdict]})] if verdict else [])


@st.composite
def scored(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Numbers, some of which are none, and flags."""
    odd = st.sampled_from([float("nan"), "3", None, True, 10**400])
    results = [
        item(name, name, "number", {"number": mostly(draw, draw(st.floats(1, 5) | st.integers(1, 5)), odd)})
        for name in mostly(draw, DIMENSIONS, st.lists(st.sampled_from(DIMENSIONS), max_size=4))
    ]
    flags = draw(st.lists(NAMES, max_size=3))
    return results + ([item("flagged", "flagged", "choices", {"choices": flags})] if flags else [])


def item(name: str, control: str, kind: str, value: dict[str, Any], size: tuple[int, int] | None = None) -> Any:
    about = {"original_width": size[0], "original_height": size[1], "image_rotation": 0} if size else {}
    return about | {"id": name, "from_name": control, "to_name": "edited", "type": kind, "value": value}


@st.composite
def tasks(draw: st.DrawFn, results: st.SearchStrategy[Any]) -> dict[str, Any]:
    """A task with the submissions of any number of people, some of whom come again."""
    annotations = []
    for number in range(mostly(draw, draw(st.integers(1, 5)), st.just(0))):
        times = {"created_at": draw(TIMES), "updated_at": draw(TIMES)}
        cancelled = mostly(draw, False, st.just(True))
        by = {"id": number, "completed_by": mostly(draw, draw(st.integers(1, 4)), PEOPLE), "was_cancelled": cancelled}
        annotations.append(by | times | {"result": draw(results)} | draw(MORE))
    pair_id = draw(st.sampled_from(["p1", "a/b", "<b>", "é🦊"]))
    return {"id": 1, "data": {"pair_id": pair_id, "more": [1]}, "annotations": annotations, "predictions": []}
