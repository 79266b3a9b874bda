"""EditFHF outside of its repository: a user's folder that hides a package of ours, and an installed wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("editfhf")


def run_python(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.mark.parametrize("name", ["annotation", "mos", "training", "refiner"])
def test_a_folder_that_hides_a_package_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("", encoding="utf-8")
    sentence = (
        f"A folder {name!r} at {tmp_path / name} hides EditFHF's package {name!r}. "
        "Rename it, or run from another folder."
    )
    imported = run_python(tmp_path, "-c", "import editfhf")
    assert imported.returncode == 1
    assert imported.stderr.splitlines()[-1] == f"ImportError: {sentence}"
    called = run_python(tmp_path, str(COMMAND), "--version", PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert called.returncode == 1
    assert called.stderr == f"editfhf: {sentence}\n"


def test_a_file_that_hides_a_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "mos.py").write_text("", encoding="utf-8")
    imported = run_python(tmp_path, "-c", "import editfhf")
    assert f"A file 'mos.py' at {tmp_path / 'mos.py'} hides EditFHF's package 'mos'." in imported.stderr


def test_a_folder_of_data_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "annotation").mkdir()
    assert run_python(tmp_path, "-c", "import editfhf, annotation.records").returncode == 0


@pytest.mark.slow
def test_a_wheel_works_outside_of_the_repository(tmp_path: Path) -> None:
    source, wheels, target = tmp_path / "source", tmp_path / "wheels", tmp_path / "target"
    source.mkdir()
    # pip builds in the folder that it is given: a copy of what git tracks.
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if not name.startswith("tests/") and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    pip = ("-m", "pip", "--quiet", "--disable-pip-version-check")
    made = run_python(source, *pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), ".")
    assert made.returncode == 0, made.stderr
    (wheel,) = wheels.glob("*.whl")
    installed = run_python(tmp_path, *pip, "install", "--no-deps", "--target", str(target), str(wheel))
    assert installed.returncode == 0, installed.stderr
    script = (
        "import editfhf, mos, annotation\n"
        f"assert all(module.__file__.startswith({str(target)!r}) for module in (editfhf, mos, annotation))\n"
        "print(editfhf.simulate('corpus', pairs=4, height=64, raters=4))\n"
        "print(editfhf.build('corpus', 'dataset', workers=1))\n"
        "print(editfhf.validate('dataset'))\n"
    )
    work = tmp_path / "work"
    work.mkdir()
    done = run_python(work, "-c", script, PYTHONPATH=str(target))
    assert done.returncode == 0, done.stderr
    assert "0 errors" in done.stdout
    assert {path.name for path in (work / "dataset").iterdir()} >= {"README.md", "report.html", "manifest.json"}
