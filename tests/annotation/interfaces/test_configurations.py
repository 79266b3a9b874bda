"""Labelling configurations: valid, and with the names by which exports are read."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from label_studio_sdk.label_interface import LabelInterface

from annotation import interfaces
from annotation.export import Names
from annotation.records import DIMENSIONS
from mos.errors import UserError

CONTROLS = {
    "qualification": {
        *("box", "disk", "flaw_type", "severity", "no_flaw", "note"),
        *("perceptual_quality", "instruction_following", "visual_consistency"),
    },
    "regional": {"box", "disk", "flaw_type", "severity", "no_flaw", "note"},
    "expert": {"box", "disk", "flaw_type", "severity", "no_flaw", "note"},
    "textual": {"box", "flaw_type", "severity", "rationale", "verdict", "note"},
    "expert_text": {"box", "flaw_type", "severity", "rationale", "note"},
    "scoring": {"box", "perceptual_quality", "instruction_following", "visual_consistency", "flagged", "note"},
    "prompt_check": {"verdict", "note"},
}


@pytest.fixture(params=interfaces.STAGES)
def stage(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_sdk_takes_every_configuration(stage: str) -> None:
    LabelInterface(interfaces.load(stage)).validate()


def test_controls_have_the_names_and_types_that_exports_are_read_by(stage: str) -> None:
    controls = {tag.name: tag.tag.lower() for tag in LabelInterface(interfaces.load(stage)).controls}
    assert controls.keys() >= CONTROLS[stage]
    assert controls.items() <= Names().types.items()


def test_no_field_of_the_data_is_called_source(stage: str) -> None:
    fields = interfaces.data_fields(stage)
    assert {"pair_id", "instruction", "source_image"} <= set(fields)
    assert "source" not in fields


def test_a_misspelt_stage_is_one_sentence() -> None:
    with pytest.raises(UserError, match="Expected a stage of qualification"):
        interfaces.load("scorring")


@pytest.mark.parametrize("stage", ["scoring", "qualification"])
@pytest.mark.parametrize(
    ("scale", "step", "marks"),
    [
        ((1.0, 5.0), 0.01, ["1 bad", "2 poor", "3 fair", "4 good", "5 excellent"]),
        ((0.0, 100.0), 0.25, ["0 bad", "25 poor", "50 fair", "75 good", "100 excellent"]),
        ((-1.0, 1.0), 0.005, ["-1 bad", "-0.5 poor", "0 fair", "0.5 good", "1 excellent"]),
    ],
)
def test_scores_are_given_and_explained_on_the_scale(
    stage: str, scale: tuple[float, float], step: float, marks: list[str]
) -> None:
    config = interfaces.load(stage, scale=scale)
    LabelInterface(config).validate()
    tree = ElementTree.fromstring(config)
    lines = [tag.attrib for tag in tree.iter("Number")]
    assert [tag["name"] for tag in lines] == list(DIMENSIONS)
    assert {(float(tag["min"]), float(tag["max"]), float(tag["step"])) for tag in lines} == {(*scale, step)}
    words = [tag.attrib["value"] for tag in tree.iter("Header")]
    assert [word for word in words if word in marks] == marks * len(DIMENSIONS)
    assert sum(f"from {scale[0]:g} (bad) to {scale[1]:g} (excellent)" in word for word in words) == 1


def test_the_campaigns_own_words_are_text_and_never_markup() -> None:
    ElementTree.fromstring(interfaces.load("regional", guidelines='<b a="1">&'))
