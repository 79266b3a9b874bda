"""Labelling configurations: valid, and with the names by which exports are read."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from label_studio_sdk.label_interface import LabelInterface

from annotation import interfaces
from annotation.labelstudio.submissions import ControlNames
from annotation.records import DIMENSIONS
from mos.errors import UserError

CONTROLS = {
    "qualification": {
        *("box", "disk", "flaw_type", "severity", "no_flaw", "note"),
        *("perceptual_quality", "instruction_following", "visual_consistency"),
    },
    "regional": {"box", "disk", "flaw_type", "severity", "no_flaw", "note", "cannot_judge"},
    "expert": {"box", "disk", "flaw_type", "severity", "no_flaw", "note", "cannot_judge"},
    "textual": {"box", "flaw_type", "severity", "rationale", "text_read", "verdict", "note"},
    "expert_text": {"box", "flaw_type", "severity", "rationale", "note"},
    "scoring": {
        *("box", "perceptual_quality", "instruction_following", "visual_consistency"),
        *("flagged", "note", "cannot_judge"),
    },
    "prompt_check": {"verdict", "note"},
}


@pytest.fixture(params=interfaces.INTERFACE_STAGES)
def stage(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_sdk_takes_every_configuration(stage: str) -> None:
    LabelInterface(interfaces.render_label_config(stage)).validate()


def test_controls_have_the_names_and_types_that_exports_are_read_by(stage: str) -> None:
    controls = {tag.name: tag.tag.lower() for tag in LabelInterface(interfaces.render_label_config(stage)).controls}
    assert controls.keys() >= CONTROLS[stage]
    assert controls.items() <= ControlNames().types.items()


def test_no_field_of_the_data_is_called_source(stage: str) -> None:
    fields = interfaces.list_data_fields(stage)
    assert {"pair_id", "instruction", "source_image"} <= set(fields)
    assert "source" not in fields


def test_a_misspelt_stage_is_one_sentence() -> None:
    with pytest.raises(UserError, match="Expected a stage of qualification"):
        interfaces.render_label_config("scorring")


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
    config = interfaces.render_label_config(stage, scale=scale)
    LabelInterface(config).validate()
    tree = ElementTree.fromstring(config)
    lines = [tag.attrib for tag in tree.iter("Number")]
    assert [tag["name"] for tag in lines] == list(DIMENSIONS)
    assert {(float(tag["max"]), float(tag["step"])) for tag in lines} == {(scale[1], step)}
    # A browser puts an input without a value at its middle: one step below the scale, where nobody can click.
    middles = {(float(tag["min"]) + float(tag["max"])) / 2 for tag in lines}
    assert list(middles) == [pytest.approx(scale[0] - step, abs=1e-9)]
    words = [tag.attrib["value"] for tag in tree.iter("Header")]
    assert [word for word in words if word in marks] == marks * len(DIMENSIONS)
    assert sum(f"from {scale[0]:g} (bad) to {scale[1]:g} (excellent)" in word for word in words) == 1


def test_the_campaigns_own_words_are_text_and_never_markup() -> None:
    ElementTree.fromstring(interfaces.render_label_config("regional", guidelines='<b a="1">&'))
