"""The house itself: its style, its types, and the one direction in which its packages know each other."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import annotation
import editfhf
import mos
import refiner
import training
from tests.house_figures import count_upward_arrows, measure_names, parse_packages

ROOT = Path(__file__).parents[1]
PACKAGES = ("mos", "annotation", "editfhf", "training", "refiner")
LONGEST = 450
# Folders that pytest, black, isort or stock ignore files skip, whatever is in them.
SKIPPED_FOLDERS = {"build", "dist", "venv", "env", "node_modules", "lib", "target", "out", "_darcs", "CVS"}
VAGUE = {"utils", "util", "helpers", "helper", "manager", "managers", "misc", "common", "stuff"}

MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def run(*command: str) -> None:
    """Run a tool of the environment in the repository; what it says is the message of the failure."""
    tool = Path(sys.executable).with_name(command[0])
    done = subprocess.run([tool, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False, timeout=1200)
    if done.returncode:
        pytest.fail(f"{' '.join(command)}\n{done.stdout}{done.stderr}", pytrace=False)


def test_the_packages_are_where_they_are_looked_for() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in MODULES} == set(PACKAGES)


def test_code_is_formatted() -> None:
    run("ruff", "format", "--check", ".")


def test_code_has_no_lint() -> None:
    run("ruff", "check", ".")


def test_types_hold() -> None:
    run("mypy", *(f"--package={package}" for package in PACKAGES))


def test_each_package_knows_only_those_before_it() -> None:
    run("lint-imports")


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_tell_others_that_they_are_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


def test_modules_fit_a_reader() -> None:
    lengths = {path.relative_to(ROOT): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {path: length for path, length in lengths.items() if length > LONGEST} == {}


def test_file_names_say_what_is_inside() -> None:
    vague = [path for path in [*MODULES, *TESTS] if VAGUE & set(path.stem.removeprefix("test_").split("_"))]
    assert vague == []


def test_only_the_console_prints() -> None:
    """Elsewhere control characters in a name would reach the terminal."""
    allowed = {ROOT / "mos/console.py", ROOT / "mos/safe_console.py"}
    printing = {"typer.echo", "typer.secho", "print", "Console"}
    found = []
    for path in set(MODULES) - allowed:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in printing:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [Path(name) for name in listed.stdout.split("\0") if name]


def test_every_test_file_is_collected() -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-qq"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=1200)
    collected = {line.split("::")[0].rsplit(": ", 1)[0] for line in listed.stdout.splitlines() if line}
    expected = {path.as_posix() for path in tracked_files() if path.name.startswith("test_") and path.suffix == ".py"}
    assert expected - collected == set()


def test_no_folder_bears_a_name_that_common_tools_skip() -> None:
    assert [path for path in tracked_files() if SKIPPED_FOLDERS & set(path.parts[:-1])] == []


def test_fast_tests_are_there() -> None:
    listed = (ROOT / "tests" / "fast.txt").read_text(encoding="utf-8").split()
    assert [name for name in listed if not (ROOT / name).is_file()] == []
    assert {Path(name).parts[1] for name in listed} >= {"mos", "annotation", "editfhf"}


def test_names_say_what_they_do_and_mean_one_thing() -> None:
    figures = measure_names(parse_packages(ROOT))
    assert figures["one_word_share"] <= 0.40
    assert figures["shared_public_share"] <= 0.05
    assert figures["renaming_imports"] == 0


def test_the_campaign_has_no_arrow_up() -> None:
    assert count_upward_arrows(parse_packages(ROOT)) == 0


@pytest.mark.parametrize("package", [mos, annotation, editfhf, training, refiner])
def test_every_public_name_is_on_the_api_page(package: ModuleType) -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8").splitlines()
    listed = {line.removeprefix("::: ") for line in page if line.startswith(f"::: {package.__name__}.")}
    expected = {f"{package.__name__}.{name}" for name in package.__all__ if not name.startswith("__")}
    # The one class of errors is documented once.
    assert listed | {f"{package.__name__}.UserError"} == expected | {f"{package.__name__}.UserError"}
