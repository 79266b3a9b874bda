"""Diagnosis of one pair: inputs in every form, honest results, files of the format, and agents that break contracts."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from PIL import Image
from skimage import data

import training
from annotation.records import DIMENSIONS, Box, Kind
from mos.errors import UserError
from training.agents.map_regions import find_map_regions
from training.agents.results import AgentFailure, AgentIdentity, Finding, PerceivedMaps, Score
from training.diagnosis.result import DIAGNOSIS_FILES, Diagnosis

SOURCE = np.ascontiguousarray(data.astronaut()[:160:1, :200])
EDITED = SOURCE.copy()
EDITED[40:90, 60:140] = (20, 220, 40)
WHO = AgentIdentity("test", "planted", "7", "abc")


class PlantedAgents:
    """All three roles: one artifact at a known place, and what the tests want of findings and scores."""

    identity = WHO

    def __init__(self, **changes: Any) -> None:
        self.changes = changes

    def perceive(self, source: np.ndarray, current: np.ndarray, instruction: str) -> PerceivedMaps:
        artifact = np.zeros(current.shape[:2], np.float32)
        artifact[20:50, 100:140] = 0.8
        return PerceivedMaps(artifact, np.zeros_like(artifact), WHO)

    def diagnose_boxes(
        self, source: np.ndarray, current: np.ndarray, instruction: str, boxes: Sequence[tuple[Kind, Box]]
    ) -> list[Finding]:
        text = self.changes.get("rationale", "The hand has six fingers.")
        return [Finding(kind, box, "ok", WHO, "hand_foot", "severe", text, 0.9) for kind, box in boxes]

    def evaluate(self, source: np.ndarray, current: np.ndarray, instruction: str) -> list[Score]:
        return [Score(name, value, 2.0, "ok", WHO) for name, value in zip(DIMENSIONS, (40, 60, 80), strict=True)]


def diagnose_planted(agents: PlantedAgents | None = None, **options: Any) -> Diagnosis:
    agents = agents or PlantedAgents()
    roles = {"perception": agents, "reasoning": agents, "evaluation": agents} | options
    return training.diagnose(SOURCE, EDITED, "Add a hand.", **roles)


def encode(pixels: Any, form: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(stream, form, **options)
    return stream.getvalue()


def test_every_form_of_an_image_gives_the_same_diagnosis(tmp_path: Path) -> None:
    path = tmp_path / "edited image.png"
    path.write_bytes(encode(EDITED))
    link = tmp_path / "link.png"
    link.symlink_to(path)
    forms = [EDITED, path, str(path), link, path.read_bytes(), Image.fromarray(EDITED)]
    forms += [np.dstack([EDITED, np.full(EDITED.shape[:2], 255, np.uint8)]), np.asfortranarray(EDITED)]
    found = {training.diagnose(encode(SOURCE), form, "Add a box.", perception="difference").inputs for form in forms}
    assert len(found) == 1


def test_the_map_decides_the_regions_and_each_gets_its_finding() -> None:
    found = diagnose_planted()
    (label, finding), *others = found.labelled_findings()
    assert (label, finding.box, finding.flaw_type, others) == ("A1", Box(100, 20, 140, 50), "hand_foot", [])
    assert found.overall == pytest.approx(40**0.3 * 60**0.4 * 80**0.3)  # equation 5 of the paper
    assert not found.is_clean and found.is_complete


def test_without_agents_findings_and_scores_have_a_status_and_no_content() -> None:
    found = diagnose_planted(reasoning="none", evaluation="none")
    assert [(each.status, each.flaw_type, each.rationale) for each in found.findings] == [("error", None, "")]
    assert {(each.status, each.value) for each in found.scores} == {("error", None)}
    assert found.overall is None
    assert found.is_complete, "who asked for no agent lacks nothing"


def test_an_unchanged_image_is_clean(tmp_path: Path) -> None:
    found = training.diagnose(SOURCE, SOURCE, "Change nothing.", perception="difference")
    assert found.is_clean and found.findings == ()
    content = orjson.loads((found.save(tmp_path) / "diagnosis.json").read_bytes())
    assert (content["clean"], content["findings"]) == (True, [])
    assert not np.asarray(Image.open(tmp_path / "artifact.png")).any()


def test_the_files_hold_what_the_diagnosis_says(tmp_path: Path) -> None:
    found = diagnose_planted()
    folder = found.save(tmp_path / "new" / "folder")
    assert sorted(path.name for path in folder.iterdir()) == sorted(DIAGNOSIS_FILES)
    with Image.open(folder / "artifact.png") as image:
        assert (image.mode, image.size) == ("L", (200, 160))
        assert np.array_equal(np.asarray(image), np.rint(255 * found.maps.artifact))
        boxes = [region.box for region in find_map_regions(np.asarray(image).astype(np.float32) / np.float32(255))]
    content = orjson.loads((folder / "diagnosis.json").read_bytes())
    assert [finding["box"] for finding in content["findings"]] == [list(box) for box in boxes]
    assert (
        content["findings"][0] | {"label": "A1", "flaw_type": "hand_foot", "peak": 0.8, "area": 1200}
        == (content["findings"][0])
    )
    assert [score["value"] for score in content["scores"]] == [40, 60, 80]
    assert content["agents"]["evaluation"]["digest"] == "abc"
    before = {name: (folder / name).read_bytes() for name in DIAGNOSIS_FILES}
    diagnose_planted().save(folder)
    assert {name: (folder / name).read_bytes() for name in DIAGNOSIS_FILES} == before


def test_the_picture_marks_the_region_and_shows_the_rest_as_it_is() -> None:
    picture = np.asarray(diagnose_planted().render_overlay())
    scale = picture.shape[1] / 200
    image = picture[: round(160 * scale)].astype(int)
    outside = image[round(120 * scale) :, : round(60 * scale)]
    shown = np.asarray(
        Image.fromarray(EDITED).resize((picture.shape[1], round(160 * scale)), Image.Resampling.BILINEAR)
    )
    assert np.abs(outside - shown[round(120 * scale) :, : round(60 * scale)].astype(int)).mean() < 4
    orange = (np.abs(image - (225, 84, 14)).sum(axis=2) < 12).nonzero()
    assert orange[1].min() / scale == pytest.approx(100, abs=2) and orange[0].max() / scale == pytest.approx(50, abs=2)


@pytest.mark.parametrize(
    ("source", "edited"),
    [
        (SOURCE, EDITED[:100, :90]),  # another size and shape
        (SOURCE, EDITED[:1, :1]),
        (SOURCE[:1, :1], EDITED),
        (SOURCE[:, :3], EDITED[:3]),
        (encode(Image.fromarray(SOURCE).convert("L")), EDITED),
        (encode(Image.fromarray(SOURCE).convert("CMYK"), "JPEG"), EDITED),
        (encode(Image.fromarray(SOURCE).convert("P")), Image.fromarray(EDITED).convert("RGBA")),
        (encode(SOURCE[..., 0].astype(np.uint16) << 8), EDITED),
        (np.zeros((40, 900, 4), np.uint8), EDITED),
    ],
)
def test_odd_images_are_diagnosed(source: Any, edited: Any, tmp_path: Path) -> None:
    found = training.diagnose(source, edited, "Überall Schnee, 雪を追加, أضف الثلج.", perception="difference")
    found.save(tmp_path)
    with Image.open(tmp_path / "failure.png") as image:
        assert image.size == found.edited.shape[1::-1]
    assert orjson.loads((tmp_path / "diagnosis.json").read_bytes())["instruction"].startswith("Überall")


@pytest.mark.parametrize(
    ("edited", "message"),
    [
        ("missing.png", "missing.png: there is no such file"),
        (b"GIF89a" + bytes(30), "expected PNG, JPEG or WebP"),
        (encode(EDITED)[:400], "broken or cut short"),
        (EDITED.astype(np.float32), "expected a uint8 array"),
        (EDITED[:0], "0 pixels"),
        (EDITED[..., :2], "expected a uint8 array"),
        (Image.new("F", (4, 4)), "mode F"),
        (7, "is a int: expected a path"),
        ("a\0b.png", "null character"),
    ],
)
def test_an_image_that_cannot_be_read_is_one_sentence(edited: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        training.diagnose(SOURCE, edited, "Add a box.", perception="difference")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("instruction", "message"),
    [("", "is empty"), ("  \n", "is empty"), ("a" * 10_001, "10,001 characters"), ("\ud800", "not valid Unicode")],
)
def test_an_instruction_that_is_none_is_one_sentence(instruction: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        training.diagnose(SOURCE, EDITED, instruction, perception="difference")


def test_agents_that_break_their_contract_are_named() -> None:
    class Crashes(PlantedAgents):
        def perceive(self, *_: Any) -> PerceivedMaps:
            raise ZeroDivisionError("no pixels")

    class Shrinks(PlantedAgents):
        def perceive(self, source: np.ndarray, current: np.ndarray, instruction: str) -> PerceivedMaps:
            return super().perceive(source, current[:80], instruction)

    class Forgets(PlantedAgents):
        def diagnose_boxes(self, *_: Any) -> list[Finding]:
            return []

    class Moves(PlantedAgents):
        def diagnose_boxes(self, *given: Any) -> list[Finding]:
            return [replace(each, box=Box(0, 0, 5, 5)) for each in super().diagnose_boxes(*given)]

    class Repeats(PlantedAgents):
        def evaluate(self, *given: Any) -> list[Score]:
            return super().evaluate(*given)[:1] * 3

    for agents, message in (
        (Crashes(), "test/planted 7 .*ZeroDivisionError"),
        (Shrinks(), r"maps of \(80, 200\)"),
        (Forgets(), "one finding for each box"),
        (Moves(), "one finding for each box"),
        (Repeats(), "each dimension once"),
    ):
        with pytest.raises(AgentFailure, match=message):
            diagnose_planted(agents)
    with pytest.raises(UserError, match="Did you mean 'difference'"):
        training.diagnose(SOURCE, EDITED, "Add a box.", perception="diference")
    with pytest.raises(UserError, match="perception agent is a int"):
        training.diagnose(SOURCE, EDITED, "Add a box.", perception=3)  # type: ignore[arg-type]


def test_a_notebook_shows_texts_of_a_model_as_texts() -> None:
    found = diagnose_planted(PlantedAgents(rationale="<script>alert(1)</script>"))
    html = found._repr_html_()
    assert "&lt;script&gt;" in html and "<script>" not in html
    assert found._repr_png_().startswith(b"\x89PNG")
    assert repr(found) == "Diagnosis(200 x 160: 1 artifact, 0 failure regions, overall 57.9)"
