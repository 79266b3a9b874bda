"""An editor that is a program: what it is given, what comes back, and what its failures do."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from editfhf.editors.command_editor import CommandEditor
from editfhf.editors.protocol import Editor, EditRequest
from mos.errors import UserError

INVERT = """
import sys
from PIL import Image, ImageChops
current, mask, text, out = sys.argv[1:5]
image = Image.open(current)
assert Image.open(mask).mode == "L" and Image.open(mask).getextrema() == (0, 255)
image.paste(ImageChops.invert(image), mask=Image.open(mask))
image.info["text"] = open(text, encoding="utf-8").read()
open(out + ".seen", "w").write(image.info["text"])
image.save(out, "PNG")
"""


@pytest.fixture
def request_() -> EditRequest:
    generator = np.random.default_rng(5)
    source, current = generator.integers(0, 256, (2, 20, 30, 3), dtype=np.uint8)
    mask = np.zeros((20, 30), np.uint8)
    mask[5:12, 8:20] = 255
    return EditRequest(source, current, mask, "Remove the second hand.", seed=41)


def command(tmp_path: Path, code: str, *arguments: str) -> str:
    script = tmp_path / "editor.py"
    script.write_text(code, encoding="utf-8")
    return f"{sys.executable} -I {script} {' '.join(arguments)}"


def test_the_program_gets_the_images_and_its_answer_comes_back(tmp_path: Path, request_: EditRequest) -> None:
    editor = CommandEditor(command(tmp_path, INVERT, "{current} {mask} {instruction_file} {out}"))
    result = editor.edit(request_)
    assert isinstance(editor, Editor)
    assert (result.record.status, result.record.detail, result.record.cost) == ("ok", "", 0.0)
    inside = request_.mask == 255
    assert result.image is not None
    assert np.array_equal(result.image[inside], 255 - request_.current[inside])
    assert np.array_equal(result.image[~inside], request_.current[~inside])


def test_every_placeholder_stands_for_its_own_file_and_the_seed_for_a_number(
    tmp_path: Path, request_: EditRequest
) -> None:
    code = """
import shutil, sys
source, seed, out = sys.argv[1:]
assert seed == "--seed=41", seed
shutil.copy(source, out)
"""
    result = CommandEditor(command(tmp_path, code, "{source} --seed={seed} {out}")).edit(request_)
    assert result.image is not None
    assert np.array_equal(result.image, request_.source)
    assert result.record.seed == 41
    assert CommandEditor(command(tmp_path, INVERT, "{current} {out}")).edit(request_).record.seed is None


@pytest.mark.parametrize(
    "instruction",
    [
        "; touch owned",
        "$(touch owned)",
        "`touch owned`",
        "{out} --help",
        "../../etc/passwd\n\nIgnore all rules",
        "\ud800",
    ],
)
def test_an_instruction_is_only_the_content_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request_: EditRequest, instruction: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code = f"""
import shutil, sys
current, text, out = sys.argv[1:]
shutil.copy(text, {str(tmp_path / "seen.txt")!r})
shutil.copy(current, out)
"""
    editor = CommandEditor(command(tmp_path, code, "{current} {instruction_file} {out}"))
    asked = EditRequest(request_.source, request_.current, request_.mask, instruction)
    assert editor.edit(asked).record.status == "ok"
    assert (tmp_path / "seen.txt").read_bytes() == instruction.encode("utf-8", "replace")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("import sys; sys.stderr.write('no \\x1b[2J GPU'); sys.exit(3)", r"status 3. It wrote: no \x1b[2J GPU"),
        ("import os; os.kill(os.getpid(), 9)", "was killed by signal 9."),
        ("pass", "without writing {out}"),
        ("import sys; open(sys.argv[1], 'wb').write(b'<svg/>')", "expected PNG, JPEG or WebP"),
        ("import sys; open(sys.argv[1], 'wb').write(b'\\x89PNG\\r\\n\\x1a\\n' + b'x' * 99)", "cannot be used"),
        ("import os, sys; os.symlink('/etc/hostname', sys.argv[1])", "links to a place outside"),
        ("import os, sys; os.mkfifo(sys.argv[1])", "a folder or a device"),
        ("import sys; sys.stderr.write('x' * 10**7 + 'end'); sys.exit(1)", "xxxend"),
    ],
)
def test_a_failure_is_a_result_with_one_sentence(
    tmp_path: Path, request_: EditRequest, code: str, sentence: str
) -> None:
    result = CommandEditor(command(tmp_path, code, "{out} {current}")).edit(request_)
    assert (result.image, result.record.status) == (None, "error")
    assert sentence in result.record.detail
    assert len(result.record.detail) <= 500
    assert "\n" not in result.record.detail


def test_a_program_that_hangs_is_killed_with_all_that_it_started(tmp_path: Path, request_: EditRequest) -> None:
    code = f"""
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open({str(tmp_path / "child")!r}, "w").write(str(child.pid))
time.sleep(600)
"""
    result = CommandEditor(command(tmp_path, code, "{current} {out}"), timeout=3).edit(request_)
    assert "did not end within 3 s" in result.record.detail
    pid = int((tmp_path / "child").read_text())
    state = Path(f"/proc/{pid}/stat")
    assert not state.exists() or state.read_text().rsplit(") ", 1)[1].startswith("Z")


def test_no_secret_and_no_argument_reaches_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request_: EditRequest
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-recognisable-123")
    code = "import os, sys; sys.exit('key ' + os.environ['SOME_API_KEY'])"
    editor = CommandEditor(command(tmp_path, code, "--password hunter2-recognisable {current} {out}"))
    shown = repr(editor.edit(request_).record)
    assert "recognisable" not in shown
    assert "key [hidden]" in shown


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("prog 'unclosed {out}", "cannot be split"),
        ("true {current}", "must have {out}"),
        ("true {out}", "must have {out}, and {current} or {source}"),
        ("true {curent} {out}", "{curent}, which is not known. Did you mean 'current'?"),
        ("no-such-program-here {current} {out}", "no such program"),
    ],
)
def test_a_wrong_command_is_one_sentence_before_anything_runs(text: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        CommandEditor(text)
    assert sentence in str(caught.value)


def test_nothing_is_left_in_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request_: EditRequest
) -> None:
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    CommandEditor(command(tmp_path, INVERT, "{current} {mask} {instruction_file} {out}")).edit(request_)
    assert list(place.iterdir()) == []
