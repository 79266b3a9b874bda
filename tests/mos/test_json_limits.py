"""What is too large to be parsed, against what the standard library parses out of it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from mos.json_limits import MAX_JSON_LENGTH, MAX_JSON_NESTING, describe_json_excess, is_nested_too_deeply


@pytest.mark.parametrize(
    "text", ["", "[", "[[1, 2], {}]", '"' + "x" * (MAX_JSON_LENGTH - 2) + '"', " " * MAX_JSON_LENGTH]
)
def test_what_is_within_the_limits(text: str) -> None:
    assert describe_json_excess(text) is None
    assert describe_json_excess(text.encode()) is None


@pytest.mark.parametrize("start", [0, 5])
@pytest.mark.parametrize(
    ("text", "excess"),
    [
        (" " * (MAX_JSON_LENGTH + 1), "is larger than 16 MiB"),
        ("[" + "1," * 2_000_000, "holds more than 2,000,000 values"),
        ("[]" * 2_000_001, "holds more than 2,000,000 values"),
        ('{"a":' * 2_000_001, "holds more than 2,000,000 values"),
    ],
)
def test_what_is_beyond_them(text: str, excess: str, start: int) -> None:
    assert describe_json_excess(" " * start + text, start) == excess
    assert describe_json_excess(b" " * start + text.encode(), start) == excess


def test_the_start_of_the_text_does_not_count() -> None:
    assert describe_json_excess("[" * 3_000_000 + "1", 3_000_000) is None


@pytest.mark.parametrize("open_level", ["[", '{"a": '])
@pytest.mark.parametrize(("levels", "too_deep"), [(1, False), (MAX_JSON_NESTING, False), (MAX_JSON_NESTING + 1, True)])
def test_levels(open_level: str, levels: int, too_deep: bool) -> None:
    close = "]" if open_level == "[" else "}"
    value = json.loads(open_level * (levels - 1) + open_level.replace(": ", ": 1") + close * levels)
    assert is_nested_too_deeply(value) == too_deep


@pytest.mark.parametrize("value", [None, 1, "a", [], {}, [[]] * 5_000])
def test_what_is_flat(value: object) -> None:
    assert not is_nested_too_deeply(value)


@pytest.mark.parametrize("pattern", ["{},", '{"a":1},', "[[]],", "1.5,", '"",'])
def test_what_is_within_the_limits_fits_into_memory(pattern: str) -> None:
    """The densest text of each pattern, parsed by the standard library in a process of its own."""
    code = (
        "import json\n"
        "from mos.json_limits import describe_json_excess\n"
        f"pattern = {pattern!r}\n"
        "marks = sum(map(pattern.count, ',[{'))\n"
        "text = '[' + pattern * min(1_999_990 // marks, (16 << 20) // len(pattern) - 2) + '0]'\n"
        "assert describe_json_excess(text) is None\n"
        "value = json.loads(text)\n"
        # Not getrusage: its peak begins with that of the process that started this one.
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
    )
    kilobytes = int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout)
    assert kilobytes < 400 << 10
