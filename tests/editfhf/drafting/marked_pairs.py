"""Small marked pairs, chunks and replies for tests of drafting."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from PIL import Image

from annotation.records import Box, Disk, Kind, Pair, Place, Region
from annotation.taxonomy import list_flaw_types
from editfhf.chat import ModelAnswer, ModelRequest, RequestOutcome, Usage
from editfhf.drafting.prompt import read_prompt
from editfhf.drafting.requests import DraftRequestOptions
from editfhf.drafting.selection import MarkedPair, SkippedPairs

SIZE = (200, 100)
TEXT = "The left hand of the woman has six fingers, and two of them melt into the handle of the red cup she holds."
PAID = Usage(1, 0, 1000, 100, 77, Decimal("0.01"))


def pair(name: str = "p1", instruction: str = "Replace the dog with a black cat.") -> Pair:
    place = Place("pairs.jsonl", 1)
    return Pair(name, f"s-{name}", "images/a.png", "images/b.png", instruction, "t", "e", "CC0", "", place)


def region(name: str, kind: Kind = "artifact", x: float = 20, **fields: Any) -> Region:
    known: dict[str, Any] = {"flaw_type": None, "severity": None, "rationale": None, "annotators": ("a", "b")}
    return Region(name, kind, Box(x, 20, x + 15, 50), (Disk(x + 5, 30),), **(known | fields))


def marked(name: str = "p1", count: int = 3, instruction: str = "Replace the dog with a black cat.") -> MarkedPair:
    """A pair with regions a-1, f-2, a-3 and so on."""
    regions = [region(f"{'fa'[n % 2]}-{n}", "artifact" if n % 2 else "failure", 16 * n) for n in range(1, count + 1)]
    return MarkedPair(pair(name, instruction), SIZE, tuple(regions), {})


def corpus(root: Path) -> Path:
    """A folder with the pictures of the pairs."""
    (root / "images").mkdir(parents=True)
    Image.new("RGB", SIZE, "teal").save(root / "images" / "a.png")
    Image.new("RGB", SIZE, "gold").save(root / "images" / "b.png")
    return root


def asking(**fields: Any) -> DraftRequestOptions:
    return DraftRequestOptions("gpt-5", read_prompt(), **fields)


class Pairs:
    """A selection of what is given."""

    def __init__(self, *pairs: MarkedPair) -> None:
        self._pairs = pairs

    def iter_pairs(self, skipped: SkippedPairs) -> Iterable[MarkedPair]:
        return iter(self._pairs)


def entry(number: int, kind: Kind, text: str = "") -> dict[str, Any]:
    words = {
        "flaw_type": list_flaw_types(kind)[0],
        "severity": "minor",
        "reasoning": text or f"{TEXT} Number {number}.",
    }
    return {"number": number} | words


def entries(request: ModelRequest) -> list[dict[str, Any]]:
    """A right entry for every region that a request asks about."""
    items = request.reply.model_json_schema()["properties"]["regions"]["items"]
    found = []
    for one in items.get("anyOf", [items]):
        properties = one["properties"]
        kind: Kind = "artifact" if "hand_foot" in properties["flaw_type"]["enum"] else "failure"
        found += [entry(number, kind) for number in properties["number"]["enum"]]
    return sorted(found, key=lambda one: int(one["number"]))


def answer(request: ModelRequest, said: list[Any]) -> ModelAnswer:
    value = request.reply.model_validate({"regions": said})
    return ModelAnswer(key=request.key, usage=PAID, value=value, text="", cached=False)


class Model:
    """Stands for a server: answers each request as `behave` says, and keeps what it was asked."""

    def __init__(self, behave: Callable[[ModelRequest], RequestOutcome] | None = None) -> None:
        self.asked: list[ModelRequest] = []
        self._behave = behave or (lambda request: answer(request, entries(request)))

    async def ask(self, requests: Iterable[ModelRequest]) -> AsyncIterator[tuple[ModelRequest, RequestOutcome]]:
        for request in requests:
            self.asked.append(request)
            yield request, self._behave(request)


class Nobody:
    """Watches nothing, and counts."""

    def __init__(self) -> None:
        self.regions = 0

    def advance(self, regions: int) -> None:
        self.regions += regions
