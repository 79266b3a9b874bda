"""A corpus without a usable pair: every command says the reasons where they can be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from editfhf.builder import preview_build
from editfhf.cli import app
from editfhf.validation import validate_folder
from mos.errors import UserError
from tests.editfhf.builder import building


def make_gifs(root: Path) -> set[str]:
    for path in (root / "images").iterdir():
        path.write_bytes(b"GIF89a")
    return {"unknown_format"}


def remove_images(root: Path) -> set[str]:
    for path in (root / "images").iterdir():
        path.unlink()
    return {"missing_file"}


def write_an_array(root: Path) -> set[str]:
    lines = (root / "pairs.jsonl").read_text().splitlines()
    (root / "pairs.jsonl").write_text(f"[{','.join(lines)}]")
    return {"not_an_object"}


def print_prettily(root: Path) -> set[str]:
    lines = map(json.loads, (root / "pairs.jsonl").read_text().splitlines())
    (root / "pairs.jsonl").write_text("\n".join(json.dumps(line, indent=2) for line in lines))
    return {"broken_json"}


def write_numbers(root: Path) -> set[str]:
    text = (root / "pairs.jsonl").read_text()
    (root / "pairs.jsonl").write_text(text.replace('"p000"', "0").replace('"p001"', "1"))
    return {"bad_field"}


def write_ids_twice(root: Path) -> set[str]:
    text = (root / "pairs.jsonl").read_text()
    (root / "pairs.jsonl").write_text(text.replace("{", '{"pair_id":"other",'))
    return {"double_key"}


CHANGES = [make_gifs, remove_images, write_an_array, print_prettily, write_numbers, write_ids_twice]


@pytest.mark.parametrize("change", CHANGES)
def test_the_reasons_have_their_rows(tiny: Path, change: object) -> None:
    reasons = change(tiny)  # type: ignore[operator]
    preview = preview_build(tiny)
    assert preview.problem is not None and preview.problem.startswith("No usable pair is left")
    assert reasons <= {rejection.reason for rejection in preview.rejections}
    found = validate_folder(tiny)
    assert not found.ok
    assert all(any(f"[{reason}]" in finding.message for finding in found.findings) for reason in reasons)
    assert any(finding.where == "pairs.jsonl row 1" for finding in found.findings)
    assert found.findings[-1].message == preview.problem
    assert ".editfhf" not in preview.problem


def test_the_commands_say_them(tiny: Path, tmp_path: Path) -> None:
    make_gifs(tiny)
    listed = CliRunner().invoke(app, ["validate", str(tiny), "--json"])
    assert listed.exit_code == 1
    assert any("[unknown_format]" in finding["message"] for finding in json.loads(listed.stdout))
    dry = building.command("build", tiny, tmp_path / "dataset", "--dry-run", "--quiet", "--workers", "1")
    assert dry.returncode == 1
    assert "pairs.jsonl, row 1: The file seems to be GIF" in dry.stdout
    assert "No usable pair is left of 2" in dry.stderr and "Traceback" not in dry.stderr


def test_a_build_keeps_them_in_its_folder(tiny: Path, tmp_path: Path) -> None:
    make_gifs(tiny)
    with pytest.raises(UserError) as caught:
        building.make(tiny, tmp_path / "dataset")
    kept = tmp_path / "dataset" / ".editfhf" / "rejected.jsonl"
    assert str(kept) in str(caught.value) and kept.read_text().count("unknown_format") == 4
