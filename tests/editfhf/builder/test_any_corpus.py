"""Whatever bytes a corpus holds, a build ends well or with a sentence; and no rating is ever lost on the way."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotation.records import DIMENSIONS
from mos.errors import UserError
from tests.editfhf.builder import building, corpora

FILES = ("corpus.yaml", "pairs.jsonl", "annotations/regions-0.json", "annotations/ratings.json")
COUNTED = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = corpora.corpus(sources=2, edits=1, raters=3)
    return made.write(tmp_path_factory.mktemp("pristine") / "corpus")


@contextmanager
def copy(pristine: Path) -> Iterator[tuple[Path, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(pristine, Path(folder) / "corpus")
        yield Path(folder) / "corpus", Path(folder) / "dataset"


def built(corpus: Path, dataset: Path) -> bool:
    """Whether a dataset came of it; anything but a `UserError` is a mistake of ours."""
    try:
        building.make(corpus, dataset, building.options(gallery=0))
    except UserError as error:
        assert "\n" not in str(error)
        assert not (dataset / "manifest.json").exists()
        return False
    return True


damage = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "insert", "repeat"]), st.floats(0, 1), st.integers(1, 40), st.binary(max_size=6)
    ),
    min_size=1,
    max_size=4,
)


@COUNTED
@given(name=st.sampled_from(FILES), how=damage)
def test_damaged_bytes_end_in_a_dataset_or_a_sentence(pristine: Path, name: str, how: list[Any]) -> None:
    with copy(pristine) as (corpus, dataset):
        data = bytearray((corpus / name).read_bytes())
        for kind, where, length, extra in how:
            at = int(where * len(data))
            piece = slice(at, at + length)
            if kind == "flip" and at < len(data):
                data[at] ^= 1 << (length % 8)
            elif kind == "cut":
                del data[piece]
            elif kind == "insert":
                data[at:at] = extra
            else:
                data[at:at] = data[piece]
        (corpus / name).write_bytes(data)
        built(corpus, dataset)


anything: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["p000", "p001", "\ud800", "artifact", "\0", " ", "../x", "1e999"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything inside a JSON value."""
    found = [path] if path else []
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in inside:
        found += places(inner, (*path, key))
    return found


def put(value: Any, path: tuple[Any, ...], new: Any) -> None:
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = new


@COUNTED
@given(data=st.data(), name=st.sampled_from(["regions-1.json", "ratings.json", "pairs"]))
def test_any_value_in_any_place_ends_in_a_dataset_or_a_sentence(pristine: Path, data: Any, name: str) -> None:
    with copy(pristine) as (corpus, dataset):
        path = corpus / "pairs.jsonl" if name == "pairs" else corpus / "annotations" / name
        text = path.read_text()
        value = [json.loads(line) for line in text.splitlines()] if name == "pairs" else json.loads(text)
        for _ in range(data.draw(st.integers(1, 3))):
            put(value, data.draw(st.sampled_from(places(value))), data.draw(anything))
        lines = [json.dumps(row) + "\n" for row in value] if name == "pairs" else [json.dumps(value)]
        path.write_text("".join(lines))
        built(corpus, dataset)


field = st.sampled_from(["p000", "p001", "p002", " p000 ", "", "11", "12", "x", "é", "perceptual_quality", "beauty"])
rating = st.tuples(
    st.sampled_from(["p000", "p001", "p404", " p001", "", "P000"]),
    st.sampled_from(["11", "12", "13", "new", " 11", ""]),
    st.sampled_from([*DIMENSIONS, "beauty", ""]),
    st.sampled_from(["1", "5", "3.5", "9", "0", "nan", "inf", "good", "", "1e0", " 2 ", "-1"]),
)


@COUNTED
@given(rows=st.lists(rating, max_size=12), more=st.lists(rating, max_size=4), spoilt=st.lists(field, max_size=3))
def test_every_rating_that_comes_in_is_a_row_or_a_line(
    pristine: Path, rows: list[tuple[str, ...]], more: list[tuple[str, ...]], spoilt: list[str]
) -> None:
    """Ratings in = rows of the config "ratings" + ratings in `rejected.jsonl`, whatever the rows say."""
    head = "pair_id,annotator_id,dimension,score"
    with copy(pristine) as (corpus, dataset):
        lines = [",".join(row) for row in rows]
        broken = [",".join(spoilt)] if any(spoilt) and len(spoilt) != 4 else []
        (corpus / "annotations/ratings-1.csv").write_text("\n".join([head, *lines, *broken, ""]))
        (corpus / "annotations/ratings_2.csv").write_text("\n".join([head, *(",".join(row) for row in more), ""]))
        assert built(corpus, dataset)
        came = 2 * 3 * len(DIMENSIONS) + len(lines) + len(broken) + len(more)
        kept = len(building.table(dataset, "ratings"))
        refused = sum(line["what"] == "rating" for line in building.rejected(dataset))
        assert kept + refused == came
        stage = next(stage for stage in building.manifest(dataset)["stages"] if stage["stage"] == "ratings")
        assert stage["out"] == kept
