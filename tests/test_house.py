"""The house itself: its style, its types, and the one direction in which its packages know each other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("mos", "annotation", "editfhf", "training", "refiner")
LONGEST = 450
VAGUE = {"utils", "util", "helpers", "helper", "manager", "managers", "misc", "common", "stuff"}

MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def run(*command: str) -> None:
    """Run a tool of the environment in the repository; what it says is the message of the failure."""
    tool = Path(sys.executable).with_name(command[0])
    done = subprocess.run([tool, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
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
