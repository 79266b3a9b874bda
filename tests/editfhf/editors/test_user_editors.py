"""The user's own list of editors: names for editors with options."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from editfhf.editors.protocol import EditRequest
from editfhf.editors.registry import find_editor_entry, list_editors, load_editor
from mos.errors import UserError

COPY = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])"


@pytest.fixture
def own_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "editors.yaml"
    monkeypatch.setenv("EDITFHF_EDITORS", str(path))
    return path


def test_an_own_name_makes_an_editor_with_its_options(own_list: Path) -> None:
    script = own_list.with_name("copy.py")
    script.write_text(COPY)
    own_list.write_text(
        f"""
- name: mine
  like: command
  options: {{command: "{sys.executable} -I {script} {{source}} {{out}}", timeout: 60}}
- name: gentle
  like: match-colour
  options: {{strength: 0.5}}
""",
        encoding="utf-8",
    )
    assert list_editors()[-2:] == ["mine", "gentle"]
    assert find_editor_entry("mine").licence == find_editor_entry("command").licence
    source, current = np.random.default_rng(1).integers(0, 256, (2, 8, 9, 3), dtype=np.uint8)
    request = EditRequest(source, current, np.full((8, 9), 255, np.uint8), "x")
    answer = load_editor("mine").edit(request)
    assert answer.image is not None
    assert np.array_equal(answer.image, source)
    assert load_editor("gentle").edit(request).record.parameters["strength"] == 0.5


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[", "is not valid YAML"),
        ("{}", "has no entries"),
        ("[3]", "Entry 1 of"),
        ("[{name: a, like: restor}]", "Did you mean 'restore'?"),
        ("[{name: restore, like: restore}]", "which another editor has"),
        ("[{name: a, like: restore}, {name: a, like: restore}]", "Entry 2"),
        ("[{name: A b, like: restore}]", "wrong at name"),
        ("[{name: a, like: restore, place: 'os:system'}]", "wrong at place"),
    ],
)
def test_a_mistake_in_the_list_is_one_sentence(own_list: Path, text: str, sentence: str) -> None:
    own_list.write_text(text)
    with pytest.raises(UserError) as caught:
        list_editors()
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_list_that_is_not_there_is_one_sentence(own_list: Path) -> None:
    with pytest.raises(UserError, match="EDITFHF_EDITORS names"):
        list_editors()
