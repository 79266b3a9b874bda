"""Files that survive a crash: replaced whole or not at all, lines never joined, one process at a time."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mos.errors import UserError
from mos.files import (
    NotRegularFileError,
    append_lines,
    open_regular_file,
    open_replacement,
    read_regular_file,
    repair_last_line,
    replace_file,
    require_regular_file,
    try_lock,
)

JSON_LINES = st.lists(st.dictionaries(st.text(max_size=5), st.integers(), max_size=3), max_size=5)


def test_a_replacement_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    replace_file(path, b"old")
    with open_replacement(path) as stream:
        stream.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_replacement_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    replace_file(path, b"old")
    with pytest.raises(ZeroDivisionError), open_replacement(path) as stream:
        stream.write(b"half")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_no_obstacle_and_no_link_is_followed(tmp_path: Path) -> None:
    path, victim = tmp_path / "a.json", tmp_path / "victim"
    victim.write_bytes(b"keep")
    (tmp_path / ".a.json.part").symlink_to(victim)
    replace_file(path, b"new")
    assert (path.read_bytes(), victim.read_bytes()) == (b"new", b"keep")
    assert not path.is_symlink()


def test_a_secret_is_for_its_owner_alone_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    with open_replacement(path, mode=0o600) as stream:
        assert os.fstat(stream.fileno()).st_mode & 0o777 == 0o600
        stream.write(b"x")
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("before", [b"", b"1\n", b"1\n2"])
def test_an_appended_line_never_joins_another(tmp_path: Path, before: bytes) -> None:
    path = tmp_path / "lines"
    path.write_bytes(before)
    append_lines(path, [b"3\n", b"4\n"])
    assert path.read_bytes().splitlines() == [*before.splitlines(), b"3", b"4"]


def test_no_lines_make_no_file(tmp_path: Path) -> None:
    append_lines(tmp_path / "lines", [])
    assert not (tmp_path / "lines").exists()


@given(JSON_LINES, st.integers(0, 200))
def test_a_cut_file_loses_at_most_its_last_line(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, int]], cut: int
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    whole = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    content = whole[: max(0, len(whole) - cut)]
    path = folder / "lines"
    path.write_bytes(content)
    with path.open("r+b") as stream:
        dropped = repair_last_line(stream, keep=folder / "torn")
    kept = path.read_bytes()
    assert not kept or kept.endswith(b"\n")
    assert whole.startswith(kept)
    assert kept.removesuffix(b"\n") + (b"\n" if kept and dropped else b"") + dropped in (
        content,
        content.removesuffix(b"\n"),
    )
    assert (folder / "torn").exists() == bool(dropped)
    assert not dropped or (folder / "torn").read_bytes() == dropped + b"\n"


def test_a_line_longer_than_a_read_is_found(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"1\n" + b"[" * (3 << 20))
    with path.open("r+b") as stream:
        assert len(repair_last_line(stream)) == 3 << 20
    assert path.read_bytes() == b"1\n"


def test_megabytes_without_a_line_feed_are_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"1\n" + b"[1," * (6 << 20))
    with path.open("r+b") as stream, pytest.raises(UserError, match="its last line is longer than 16 MiB"):
        repair_last_line(stream)
    assert path.stat().st_size == 2 + 3 * (6 << 20)


def test_one_process_holds_a_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = "import sys; from mos.files import try_lock; sys.exit(0 if try_lock(open(sys.argv[1], 'ab')) else 3)"
    with path.open("ab") as stream:
        assert try_lock(stream)
        assert subprocess.run([sys.executable, "-c", code, path], check=False).returncode == 3
    assert subprocess.run([sys.executable, "-c", code, path], check=False).returncode == 0


def test_a_folder_that_cannot_be_read_takes_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "drop"
    folder.mkdir(mode=0o300)
    replace_file(folder / "a", b"new")
    folder.chmod(0o700)
    assert (folder / "a").read_bytes() == b"new"


def test_two_writers_of_one_file_wait_for_each_other(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    code = (
        "import sys; from pathlib import Path; from mos.files import open_replacement\n"
        "for _ in range(200):\n"
        "    with open_replacement(Path(sys.argv[1])) as stream:\n"
        "        for _ in range(5): stream.write(sys.argv[2].encode() * 1000); stream.flush()\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, path, letter]) for letter in "ab"]
    while any(writer.poll() is None for writer in writers):
        if path.exists():
            assert path.read_bytes() in (b"a" * 5000, b"b" * 5000)
    assert [writer.returncode for writer in writers] == [0, 0]
    assert list(tmp_path.iterdir()) == [path]


def test_a_left_temporary_file_that_others_may_read_is_not_used_for_a_secret(tmp_path: Path) -> None:
    path, part = tmp_path / "secret", tmp_path / ".secret.part"
    part.write_bytes(b"left")
    part.chmod(0o644)
    with part.open("rb") as reader:
        replace_file(path, b"secret", mode=0o600)
        assert reader.read() == b"left"
    assert path.stat().st_mode & 0o777 == 0o600


@contextmanager
def not_longer_than(seconds: float) -> Iterator[None]:
    """Fail what waits for the other end of a pipe."""

    def fail(number: int, frame: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, fail)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.fixture(params=["folder", "pipe", "socket", "device", "link to a pipe"])
def odd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Something that is not a regular file, and what it is called."""
    path = tmp_path / "odd"
    if request.param == "folder":
        path.mkdir()
        yield path, "a folder"
    elif request.param == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
            yield path, "a socket"
    elif request.param == "device":
        yield Path("/dev/zero"), "a device"
    else:
        os.mkfifo(path)
        (tmp_path / "link").symlink_to(path)
        yield (path if request.param == "pipe" else tmp_path / "link"), "a pipe"


@pytest.mark.parametrize("mode", ["rb", "r+b", "ab", "a+b"])
def test_what_is_not_a_regular_file_is_not_opened(odd: tuple[Path, str], mode: str) -> None:
    path, kind = odd
    with not_longer_than(5), pytest.raises(NotRegularFileError) as refused:
        open_regular_file(path, mode)  # type: ignore[arg-type]
    assert refused.value.filename == str(path)
    assert refused.value.strerror == f"{kind}, not a regular file"
    with pytest.raises(NotRegularFileError):
        require_regular_file(path)


def test_what_is_not_a_regular_file_is_neither_replaced_nor_appended_to(odd: tuple[Path, str]) -> None:
    path, _ = odd
    before = path.stat()
    with not_longer_than(5), pytest.raises(NotRegularFileError):
        replace_file(path, b"new")
    with not_longer_than(5), pytest.raises(NotRegularFileError):
        append_lines(path, [b"new\n"])
    assert os.path.samestat(before, path.stat())
    assert not list(path.parent.glob(".*.part"))


def test_a_pipe_in_place_of_the_temporary_file_is_removed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".a.json.part")
    with not_longer_than(5):
        replace_file(tmp_path / "a.json", b"new")
    assert (tmp_path / "a.json").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("mode", ["rb", "r+b"])
def test_an_absent_file_is_absent(tmp_path: Path, mode: str) -> None:
    with pytest.raises(FileNotFoundError):
        open_regular_file(tmp_path / "absent", mode)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", ["ab", "a+b"])
def test_a_mode_that_appends_makes_the_file(tmp_path: Path, mode: str) -> None:
    with open_regular_file(tmp_path / "new", mode) as stream:  # type: ignore[arg-type]
        stream.write(b"1")
    with open_regular_file(tmp_path / "new", mode) as stream:  # type: ignore[arg-type]
        stream.write(b"2")
    assert read_regular_file(tmp_path / "new") == b"12"


def test_a_link_to_a_regular_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"text")
    (tmp_path / "link").symlink_to("file")
    assert read_regular_file(tmp_path / "link") == b"text"
