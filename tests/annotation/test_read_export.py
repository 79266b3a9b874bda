"""Tasks out of an export file: the forms in which they come, and what becomes of a broken one."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotation.labelstudio import read_export
from annotation.labelstudio.read_export import EXPORT_CHUNK, read_export_tasks
from annotation.records import Rejection
from mos import json_limits

REAL_ANSWERS = Path(__file__).parents[1] / "data" / "labelstudio"


def read(path: Path) -> tuple[list[tuple[int, dict]], list[Rejection]]:
    rejected: list[Rejection] = []
    return list(read_export_tasks(path, "export.json", rejected.append)), rejected


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "export.json"


@pytest.fixture(params=[8, 64, EXPORT_CHUNK])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """The reader must not care where its chunks end."""
    monkeypatch.setattr(read_export, "EXPORT_CHUNK", request.param)
    return request.param


TASKS = [
    {"id": 1, "annotations": [{"id": 4, "result": []}], "data": {"text": 'a "quoted" }, { brace'}},
    {"id": 2, "data": {"text": '"annotations" \\" é 😀'}, "annotations": []},
    {"id": 3, "annotations": [], "meta": {"annotations": [{}]}},
    {},
]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_an_array_of_tasks(path: Path, chunk: int, indent: int | None, ascii_only: bool) -> None:
    path.write_text(json.dumps(TASKS, indent=indent, ensure_ascii=ascii_only), encoding="utf-8")
    assert read(path) == (list(enumerate(TASKS, start=1)), [])


def test_tasks_line_by_line(path: Path, chunk: int) -> None:
    path.write_text("\n".join(json.dumps(task) for task in TASKS) + "\n", encoding="utf-8")
    assert read(path) == (list(enumerate(TASKS, start=1)), [])


def test_one_task_alone(path: Path, chunk: int) -> None:
    path.write_text(json.dumps(TASKS[0], indent=2) + "\n", encoding="utf-8")
    assert read(path) == ([(1, TASKS[0])], [])


def test_no_tasks(path: Path, chunk: int) -> None:
    path.write_text(" [ ]\n", encoding="utf-8")
    assert read(path) == ([], [])


@pytest.mark.parametrize("content", ["", " \n "])
def test_an_empty_file(path: Path, content: str) -> None:
    path.write_text(content, encoding="utf-8")
    tasks, [empty] = read(path)
    assert tasks == []
    assert (empty.what, empty.reason) == ("file", "empty_file")


def test_a_byte_order_mark(path: Path, chunk: int) -> None:
    path.write_text("\ufeff" + json.dumps(TASKS), encoding="utf-8")
    tasks, [mark] = read(path)
    assert [task for _, task in tasks] == TASKS
    assert (mark.reason, mark.repaired) == ("byte_order_mark", True)


@pytest.mark.parametrize("element", ["1", "null", '"text"', "[]", "true"])
def test_what_is_no_task_is_passed_over(path: Path, chunk: int, element: str) -> None:
    path.write_text('[{"id": 1}, ' + element + ', {"id": 3}]', encoding="utf-8")
    tasks, [rejection] = read(path)
    assert tasks == [(1, {"id": 1}), (3, {"id": 3})]
    assert (rejection.row, rejection.reason) == (2, "not_a_task")


def test_strange_values_beside_a_task_are_named_up_to_a_limit(path: Path, chunk: int) -> None:
    path.write_text('[1, {"id": 1}, ' + "2, " * 2_500 + '{"id": 2}]')
    tasks, rejected = read(path)
    assert tasks == [(2, {"id": 1})]
    assert len(rejected) == 2 * read_export.MAX_STRANGE_VALUES + 1
    assert (rejected[0].row, rejected[-1].reason) == (1, "not_an_export")
    assert [one.row for one in rejected] == sorted(one.row for one in rejected)


@pytest.mark.parametrize(
    "rest",
    [
        '{"id": ',
        '{"id": NaN}]',
        '{"id": -Infinity}]',
        '{"id": 2 "x": 3}, {"id": 3}]',
        '{"id": "a\nb"}]',
        '{"id": "\\u12"}]',
        '{"id": 01}]',
        "{'id': 1}]",
        '{"id": 2}; {"id": 3}]',
        '{"id": ' + "[" * 100_000,
        '{"id": ' + "9" * 5_000 + "}]",
        "]",
    ],
)
def test_a_break_in_the_middle_keeps_the_tasks_before_it(path: Path, chunk: int, rest: str) -> None:
    path.write_text('[{"id": 1, "annotations": []}, ' + rest, encoding="utf-8")
    tasks, [rejection] = read(path)
    assert tasks[0] == (1, {"id": 1, "annotations": []})
    assert (rejection.what, rejection.reason, rejection.repaired) == ("file", "broken_json", False)
    assert rejection.row == len(tasks) + 1
    assert "character" in rejection.message


def test_the_place_of_a_break_is_counted_from_the_start_of_the_file(path: Path, chunk: int) -> None:
    good = '[{"id": 1, "annotations": []}, '
    path.write_text(good * 1 + "{!", encoding="utf-8")
    [rejection] = read(path)[1]
    assert f"character {len(good) + 1}:" in rejection.message


@pytest.mark.parametrize("ending", ["", ","])
def test_an_array_that_is_cut_off_keeps_its_tasks(path: Path, chunk: int, ending: str) -> None:
    path.write_text(json.dumps(TASKS)[:-1] + ending, encoding="utf-8")
    tasks, [rejection] = read(path)
    assert [task for _, task in tasks] == TASKS
    assert (rejection.reason, rejection.row) == ("broken_json", len(TASKS) + 1)


def test_what_follows_the_array_is_reported(path: Path, chunk: int) -> None:
    path.write_text('[{"id": 1}] {"id": 2}', encoding="utf-8")
    tasks, [rejection] = read(path)
    assert tasks == [(1, {"id": 1})]
    assert rejection.reason == "broken_json"


@pytest.mark.parametrize("bad", [b"\xff", b"\xe9", b"\xf0\x9f"])
def test_bytes_that_are_not_utf8(path: Path, chunk: int, bad: bytes) -> None:
    path.write_bytes(b'[{"id": 1}, {"id": "' + bad + b'"}, {"id": 3}]')
    tasks, [rejection] = read(path)
    assert tasks == [(1, {"id": 1})]
    assert (rejection.row, rejection.reason) == (2, "not_utf8")


def test_utf16_is_not_utf8(path: Path) -> None:
    path.write_text(json.dumps(TASKS), encoding="utf-16")
    tasks, [rejection] = read(path)
    assert tasks == []
    assert rejection.reason == "not_utf8"


def test_a_task_beyond_the_limit_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_export, "EXPORT_CHUNK", 64)
    monkeypatch.setattr(json_limits, "MAX_JSON_LENGTH", 1_000)
    path.write_text(json.dumps([{"id": 1}, {"id": "x" * 5_000}]), encoding="utf-8")
    tasks, [rejection] = read(path)
    assert tasks == [(1, {"id": 1})]
    assert (rejection.row, rejection.reason) == (2, "too_large")


BOMBS = {
    "an object that never closes": ('[{"a": [', "1,"),
    "objects in one that never closes": ('[{"a": [', "{},"),
    "keys of one object": ("[{", '"a":1,'),
    "a text that never ends": ('[{"a": "', "x"),
    "a text of wide characters": ('[{"a": "', "😀"),
    "lists within lists": ("[", "["),
    "objects within objects": ("", '{"a":'),
    "integers": ("[", "1,"),
    "integers in a row": ("", "1 "),
    "one integer": ("[", "1"),
    "texts": ("[", '"",'),
    "empty lists": ("[", "[],"),
    "blanks": ("[", " "),
    "keys that open a task": ('[{"a": ', '"annotations"'),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_file_of_one_pattern_ends_soon_and_in_little_memory(path: Path, name: str) -> None:
    before, pattern = BOMBS[name]
    with path.open("w", encoding="utf-8") as stream:
        stream.write(before)
        for _ in range(24):
            stream.write(pattern * ((1 << 20) // len(pattern.encode())))
    started = time.process_time()
    rejected: list[Rejection] = []
    assert sum(1 for _ in read_export_tasks(path, "export.json", rejected.append)) == 0
    assert time.process_time() - started < 10
    [rejection] = rejected
    assert rejection.reason in {"broken_json", "too_large", "not_an_export"}


def test_values_before_a_key_cost_no_search_each(path: Path) -> None:
    """Very many small objects before each opening key, so that every guess at a task fails late."""
    part = "{}," * 150_000 + '{"annotations":[]},'
    path.write_text("[" + part * 2 + "{}]")
    started = time.process_time()
    tasks, rejected = read(path)
    assert (len(tasks), rejected) == (2 * 150_001 + 1, [])
    assert time.process_time() - started < 10


def test_a_task_of_very_many_values_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_export, "EXPORT_CHUNK", 64)
    monkeypatch.setattr(json_limits, "MAX_JSON_VALUES", 1_000)
    path.write_text('[{"id": 1}, {"id": [' + "0," * 2_000 + "0]}]")
    tasks, [rejection] = read(path)
    assert tasks == [(1, {"id": 1})]
    assert (rejection.row, rejection.reason) == (2, "too_large")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.just("annotations"), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    tasks=st.lists(st.dictionaries(st.sampled_from(["id", "annotations", "data"]), JSON), max_size=5),
    size=st.integers(4, 200),
    indent=st.sampled_from([None, 0, 2]),
)
def test_any_tasks_come_back_as_the_standard_library_reads_them(
    path: Path, tasks: list[dict], size: int, indent: int | None
) -> None:
    path.write_text(text := json.dumps(tasks, indent=indent), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read_export, "EXPORT_CHUNK", size)
        found, rejected = read(path)
    assert [task for _, task in found] == json.loads(text)
    assert rejected == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.binary(max_size=60) | st.text('[]{},:"\\ 0ae-', max_size=60).map(str.encode), size=st.integers(4, 70))
def test_any_bytes_are_read_or_rejected(path: Path, data: bytes, size: int) -> None:
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read_export, "EXPORT_CHUNK", size)
        found, rejected = read(path)
    try:
        whole = json.loads(data.decode("utf-8-sig"), parse_constant=lambda _: 1 / 0)
    except (ValueError, ZeroDivisionError):
        return
    elements = whole if isinstance(whole, list) else [whole]
    assert [task for _, task in found] == [element for element in elements if isinstance(element, dict)]
    assert {one.reason for one in rejected} <= {"not_a_task", "byte_order_mark"}


@pytest.mark.parametrize(("name", "count"), [("regional_task_from_browser.json", 1), ("textual_snapshot.json", 3)])
def test_real_answers_are_read(name: str, count: int) -> None:
    tasks, rejected = read(REAL_ANSWERS / name)
    assert len(tasks) == count
    assert rejected == []
