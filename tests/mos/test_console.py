"""What commands print on a terminal and in a pipe."""

from __future__ import annotations

import io
import json
import os
import signal
import sys

import pytest
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from mos.console import (
    PIPE_WIDTH,
    interrupt_on_sigterm,
    make_console,
    make_progress,
    prepare_standard_streams,
    print_json,
    print_line,
    print_notices,
    table_console,
)


def test_table_is_not_cut_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("sentence")
    table.add_row("word " * 30)
    table_console().print(table)
    assert ("word " * 30).strip() in capsys.readouterr().out
    assert table_console().width == PIPE_WIDTH


def test_progress_is_on_stderr_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    with make_progress("spent") as progress:
        progress.add_task("drafts", total=2, completed=1, spent="$0.10")
    out, err = capsys.readouterr()
    assert out == ""
    for text in ("drafts", "1/2", "$0.10"):
        assert text in err


def test_json_is_indented_and_notices_cannot_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": [1]})
    print_notices(["first\x1b[2J", "second"])
    out, err = capsys.readouterr()
    assert json.loads(out) == {"a": [1]}
    assert out.startswith("{\n  ")
    assert err == "first\\x1b[2J\nsecond\n"


def test_sigterm_interrupts_only_within_the_context() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), interrupt_on_sigterm():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


EVIL = [
    ("\x1b[2J", r"\x1b[2J"),  # clears the screen
    ("\x9b2J", r"\x9b2J"),  # the same in one character
    ("\r", r"\x0d"),
    ("\b", r"\x08"),
    ("\x07", r"\x07"),
    ("\u202e", r"\u202e"),  # turns the direction of what follows
    ("\u2028", r"\u2028"),
    ("\udce9", r"\xe9"),  # a byte of a file name that is not UTF-8
    ("\ud800", r"\ud800"),
]


@pytest.mark.parametrize(("text", "shown"), EVIL)
def test_what_could_steer_the_terminal_is_visible(capsys: pytest.CaptureFixture[str], text: str, shown: str) -> None:
    print_line(f"a{text}b")
    print_line(f"a{text}b", to_stderr=True)
    print_notices([f"a{text}b"])
    assert capsys.readouterr() == (f"a{shown}b\n", f"a{shown}b\n" * 2)


@pytest.mark.parametrize("text", ["naïve", "猫", "👩\u200d🚀", "\u06cc\u200c\u062e", "1\u00a0%", "a\tb", "a\nb"])
def test_other_texts_stay_as_they_are(capsys: pytest.CaptureFixture[str], text: str) -> None:
    print_line(text)
    assert capsys.readouterr().out == f"{text}\n"


def test_a_notice_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_notices(["a\nb\tc"])
    assert capsys.readouterr().err == "a\\nb\\tc\n"


@pytest.mark.parametrize(("text", "shown"), [pair for pair in EVIL if pair[0] not in "\r\b\x07"])
def test_tables_and_bars_show_it_too_and_keep_their_own_codes(
    monkeypatch: pytest.MonkeyPatch, text: str, shown: str
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("TERM", "xterm")
    console = make_console(width=60)
    console._force_terminal = True
    table = Table("a name that leaves room")
    table.add_row(Text(f"a{text}b", "red"))
    console.print(table)
    with Progress(console=console) as bars:
        bars.add_task("bar", total=2)
    printed = stream.getvalue()
    assert f"a{shown}b" in printed
    console.print(f"c{text}d")
    assert f"c{shown}d" in stream.getvalue()
    assert text not in printed.replace("\x1b[2K", "")
    assert "\x1b[?25l" in printed  # rich hides the cursor while a bar moves


@pytest.mark.parametrize("value", ["é–\x85\u202e", "\udce9", "𝄞"])
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_can_be_read_back_whatever_the_encoding(
    monkeypatch: pytest.MonkeyPatch, value: str, encoding: str
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding))
    print_json({"name": [value]})
    printed = raw.getvalue().decode(encoding)
    assert json.loads(printed) == {"name": [value if value != "\udce9" else r"\xe9"]}
    assert "\x85" not in printed
    assert "\u202e" not in printed


def test_a_stream_without_unicode_gets_stand_ins_and_never_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "ascii"))
    prepare_standard_streams()
    print_line("3–5 −1\u00a0% é 猫")
    assert raw.getvalue() == rb"3-5 -1 % \xe9 \u732b" + b"\n"


def test_a_closed_stream_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    print_line("a")
    print_notices(["a"])
    print_json([1])
    make_console().print("a")
