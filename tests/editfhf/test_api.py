"""The public functions of `editfhf`: what they return, how it is shown, and one sentence for every mistake."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest

import editfhf
from editfhf.validation import ValidationFinding
from mos.errors import UserError

FUNCTIONS = ("build", "load", "push", "render_maps", "show", "simulate", "validate")
SECONDS_ALLOWED = 0.05


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("api") / "corpus"
    summary = editfhf.simulate(folder, pairs=4, height=64, raters=4, photos=None)
    assert re.fullmatch(
        rf"SimulationSummary\('{folder}': 4 pairs of 1 sources, \d+ true regions, \d+ ratings, \d+ flags\)",
        repr(summary),
    )
    return folder


@pytest.fixture(scope="module")
def dataset(corpus: Path) -> Path:
    folder = corpus.with_name("dataset")
    summary = editfhf.build(str(corpus), str(folder), options={"gallery": 2}, workers=1)
    assert repr(summary).startswith(f"BuildSummary('{folder}': 4 pairs (")
    assert "<th>step</th>" in summary._repr_html_()
    assert sum(split["pairs"] for split in summary.splits.values()) == 4
    return folder


def test_every_public_name_is_listed_found_and_typed() -> None:
    assert dir(editfhf) == sorted(editfhf.__all__)
    for name in editfhf.__all__:
        assert getattr(editfhf, name) is not None
    source = ast.parse(Path(editfhf.__file__).read_text(encoding="utf-8"))
    typed = {
        alias.asname: statement.module
        for block in source.body
        if isinstance(block, ast.If)
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert typed == editfhf._MODULE_OF_NAME
    assert set(editfhf.__all__) == {*typed, "__version__"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_public_functions_are_documented_with_parameters_and_an_example(name: str) -> None:
    function = getattr(editfhf, name)
    text = inspect.getdoc(function) or ""
    for heading in ("Parameters\n----------", "Returns\n-------", "Examples\n--------"):
        assert heading in text
    for parameter in inspect.signature(function).parameters.values():
        assert re.search(rf"^{parameter.name}\b|, {parameter.name}\b", text, re.MULTILINE), parameter.name
        assert parameter.annotation is not inspect.Parameter.empty


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'editfhf' has no attribute 'lode'"):
        _ = editfhf.lode  # type: ignore[attr-defined]


def test_the_import_is_quick() -> None:
    code = "from time import perf_counter\nstart = perf_counter()\nimport editfhf\nprint(perf_counter() - start)"
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(5)
    ]
    assert min(times) < SECONDS_ALLOWED


def test_a_built_dataset_is_valid_and_loads(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = editfhf.validate(dataset, deep=True)
    assert report.ok
    assert repr(report) == f"ValidationReport('{dataset}': 0 errors, 0 warnings)"
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    datasets.disable_progress_bars()
    assert sum(len(table) for table in editfhf.load(dataset).values()) == 4


def test_a_second_build_says_that_nothing_was_to_do(corpus: Path, dataset: Path) -> None:
    again = editfhf.build(corpus, dataset, options={"gallery": 2}, workers=1)
    assert again.up_to_date
    assert repr(again).endswith("up to date)")


def test_options_come_from_a_mapping_or_a_file(corpus: Path, dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "build.yaml").write_text("gallery: 2\n", encoding="utf-8")
    assert editfhf.build(corpus, dataset, options=tmp_path / "build.yaml", workers=1).up_to_date
    with pytest.raises(UserError, match="the options changed since it was built"):
        editfhf.build(corpus, dataset, options={"gallery": 3}, workers=1)


def test_a_corpus_is_validated_as_a_build_would_read_it(corpus: Path) -> None:
    report = editfhf.validate(corpus)
    assert report.ok
    assert all(finding.severity == "warning" for finding in report.findings)


def test_findings_are_shown_escaped(dataset: Path) -> None:
    finding = ValidationFinding("error", "<b>.parquet", "expected & found")
    report = editfhf.ValidationReport(dataset, (finding,))
    assert not report.ok
    assert report.errors == (finding,)
    assert "&lt;b&gt;.parquet" in report._repr_html_()
    assert "expected &amp; found" in report._repr_html_()


def test_a_script_without_a_main_guard_builds_once(corpus: Path, tmp_path: Path) -> None:
    script = tmp_path / "study.py"
    script.write_text(
        f"import editfhf\nprint('begins')\nprint(editfhf.build({str(corpus)!r}, 'dataset', workers=2))\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "begins"
    assert done.stdout.count("begins") == 1
    assert "4 pairs" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"pairs": 0}, "pairs must be from 1 to 99,999, but got 0."),
        ({"careless": 16}, "careless must be from 0 to 15, but got 16."),
        ({"height": 8}, "height must be from 64 to 4,096, but got 8."),
        ({"encoding": "gif"}, "encoding must be one of jpeg, png, webp, mixed"),
        ({"careless_behaviour": "lazy"}, "careless_behaviour must be one of random, straight, inverted"),
        ({"photos": "/no/such/folder"}, "/no/such/folder is not a folder"),
    ],
)
def test_a_wrong_value_for_simulate_is_one_sentence(
    tmp_path: Path, arguments: dict[str, object], sentence: str
) -> None:
    with pytest.raises(UserError, match=re.escape(sentence)):
        editfhf.simulate(tmp_path / "corpus", **arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "corpus").exists()


def test_mistakes_of_build_validate_and_push_are_one_sentence(corpus: Path, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the options: unknown key 'galery'. Did you mean 'gallery'\?"):
        editfhf.build(corpus, tmp_path / "dataset", options={"galery": 3})
    with pytest.raises(UserError, match="is neither a corpus nor a dataset"):
        editfhf.validate(tmp_path)
    copied = tmp_path / "damaged"
    copied.mkdir()
    (copied / "manifest.json").write_bytes((dataset / "manifest.json").read_bytes())
    with pytest.raises(UserError, match=r"is not as it was built: .* Nothing was sent\. Run `editfhf validate"):
        editfhf.push(copied, "me/edits")


@pytest.mark.parametrize(
    "call",
    [
        lambda path, folder: editfhf.simulate(path),
        lambda path, folder: editfhf.simulate(folder / "new", photos=path),
        lambda path, folder: editfhf.build(path, folder / "new", workers=1),
        lambda path, folder: editfhf.build(folder, path, workers=1),
        lambda path, folder: editfhf.build(folder, folder / "new", options=path, workers=1),
        lambda path, folder: editfhf.validate(path),
        lambda path, folder: editfhf.load(path),
        lambda path, folder: editfhf.push(path, "me/edits"),
    ],
)
def test_a_path_with_a_null_character_is_one_sentence(call: Callable[[str, Path], object], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="null character"):
        call(str(tmp_path / "a\0b"), tmp_path)
    assert list(tmp_path.iterdir()) == []
