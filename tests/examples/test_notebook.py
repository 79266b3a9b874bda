"""The notebook in `examples/` runs, and its stored outputs are those of today's code."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
STORED = nbformat.read(EXAMPLES / "ratings-and-dataset.ipynb", as_version=4)


def load_writer() -> Any:
    """The script that writes the notebook, as a module."""
    spec = importlib.util.spec_from_file_location("write_notebook", Path(__file__).with_name("write_notebook.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def describe_outputs(cell: Any) -> list[tuple[str, tuple[str, ...]]]:
    """The kind of every output: its type and its formats, such as HTML and text."""
    return [(output.output_type, tuple(sorted(output.get("data", {})))) for output in cell.get("outputs", [])]


def text_of(cell: Any) -> str:
    return "".join(output.get("text", "") or output["data"].get("text/plain", "") for output in cell["outputs"])


@pytest.mark.filterwarnings("default")
@pytest.mark.slow
def test_the_notebook_runs_and_gives_what_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    monkeypatch.setenv("EDITFHF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES.parent))
    shutil.copytree(EXAMPLES / "real", tmp_path / "real")
    writer = load_writer()
    notebook = writer.build_notebook()
    writer.execute_notebook(notebook, tmp_path)
    assert [cell.source for cell in notebook.cells] == [cell.source for cell in STORED.cells], (
        "The notebook changed: run `python tests/examples/write_notebook.py`."
    )
    for cell, stored in zip(notebook.cells, STORED.cells, strict=True):
        assert describe_outputs(cell) == describe_outputs(stored), cell.source
        if cell.cell_type == "code" and "plot" not in cell.source:
            assert text_of(cell) == text_of(stored)
    assert {path.name for path in tmp_path.iterdir()} <= {"real", "huggingface", "cache"}


def test_stored_outputs_are_small_and_hold_no_error_and_no_path() -> None:
    outputs = [output for cell in STORED.cells for output in cell.get("outputs", [])]
    assert {output.output_type for output in outputs} <= {"execute_result", "stream"}
    assert sum(len(str(output)) for output in outputs) < 250_000
    texts = [str(output) for output in outputs]
    assert not [text for text in texts if re.search(r"/(?:home|root|tmp|work|Users)/", text)]
