"""Labelling configurations of Label Studio, one for each stage.

Each stage has a template, `STAGE.xml`, which includes files of `parts/`.  Control names are the defaults of
`annotation.labelstudio.submissions.ControlNames`.  Labels and choices with an `alias` are exported under
it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from annotation.interfaces.guidance import (
    DISK_COLOURS,
    DRAWING_INSTRUCTIONS,
    HOT_KEYS,
    KIND_COLOURS,
    STAGE_GUIDANCE,
    encode_flaw_drawing,
)
from annotation.records import DIMENSIONS, DISK_RADIUS_PER_HEIGHT, SEVERITIES, Region
from annotation.taxonomy import load_flaw_definitions
from mos.errors import UserError

INTERFACE_STAGES = ("qualification", "regional", "expert", "textual", "expert_text", "scoring", "prompt_check")
DIMENSION_QUESTIONS = {
    "perceptual_quality": "How good does the edited image look by itself: free of defects, natural, sharp?",
    "instruction_following": "How well was the instruction carried out: completely and correctly?",
    "visual_consistency": "How well does everything that the instruction does not name stay as in the source?",
}
SCORE_WORDS = ("bad", "poor", "fair", "good", "excellent")
"""Words for the marks on the line of a score, from the lowest to the highest score."""
SCALE_STEPS = 400
SLIDER_WIDTH = 2 + 2 / SCALE_STEPS
"""Length of the line of a score, in lengths of the part of it that is seen.

A browser puts an input without a value at its middle, and a click on the place where it is changes nothing.  The
hidden left part of the line is two steps longer than the scale, so that the middle is one step below the lowest score,
and every score can be set by one click.  The lowest score is at the left edge of what is seen, so that no click gives
less; a click on the knob of a line without a value would be lost too, so it is two pixels wide, with a shadow.
"""
CANNOT_JUDGE = "I cannot judge this pair (say why in the note)"
DECLINABLE_INTERFACES = ("regional", "expert", "scoring")
"""Interfaces with the choice `cannot_judge`."""
WINDOW_REST = 420
"""Pixels of the height of a window that the images leave to everything else."""
LEAST_IMAGE_HEIGHT = 260

_FIELD_PATTERN = re.compile(r'"\$([a-z_]+)"')


def render_label_config(
    stage: str, *, scale: tuple[float, float] = (1.0, 5.0), guidelines: str = "", disk_height: int = 480
) -> str:
    """Render the labelling configuration of a stage.

    Parameters
    ----------
    stage
        One of `INTERFACE_STAGES`.
    scale
        Lowest and highest score.
    guidelines
        Text of the campaign for its annotators, shown above our own guidance.
    disk_height
        Height of a displayed image, in pixels of the screen, at which a new disk is displayed in its size; images are
        as high as the window allows, and Label Studio draws every new disk alike.

    Returns
    -------
    str
        XML for Label Studio.

    Raises
    ------
    UserError
        If the stage is unknown.
    """
    if stage not in INTERFACE_STAGES:
        raise UserError(f"Expected a stage of {', '.join(INTERFACE_STAGES)}, got {stage!r}.")
    low, high = scale
    marks = [_format_number(low + (high - low) * part / (len(SCORE_WORDS) - 1)) for part in range(len(SCORE_WORDS))]
    return (
        _template_environment()
        .get_template(f"{stage}.xml")
        .render(
            guidelines=guidelines,
            image_limit=f"max({LEAST_IMAGE_HEIGHT}px, 100vh - {WINDOW_REST}px)",
            disk_stroke=round(disk_height * DISK_RADIUS_PER_HEIGHT / 1.5),
            declinable=stage in DECLINABLE_INTERFACES,
            cannot_judge=CANNOT_JUDGE,
            flaws=load_flaw_definitions(),
            severities=SEVERITIES,
            dimensions={
                name: {"title": name.replace("_", " ").capitalize(), "text": DIMENSION_QUESTIONS[name]}
                for name in DIMENSIONS
            },
            keys=HOT_KEYS,
            colours=KIND_COLOURS,
            rings=DISK_COLOURS,
            about="edited",
            drawing=encode_flaw_drawing,
            asked=DRAWING_INSTRUCTIONS,
            steps=tuple(line.format(low=marks[0], high=marks[-1]) for line in STAGE_GUIDANCE[stage]),
            ends=list(zip(marks, SCORE_WORDS, strict=True)),
            step=_format_number((high - low) / SCALE_STEPS),
            slider_start=_format_number(high - (high - low) * SLIDER_WIDTH),
            slider_width=SLIDER_WIDTH,
            slider_hidden=SLIDER_WIDTH - 1,
            titles={"artifact": "Artifacts, with drawings", "failure": "Failures, with drawings"},
            plain="font-weight: normal; font-size: 14px; margin: 3px 0",
            bold="font-size: 14px; margin: 3px 0",
        )
    )


@cache
def list_data_fields(stage: str) -> tuple[str, ...]:
    """List the fields that the data of a task must have.

    Parameters
    ----------
    stage
        One of `INTERFACE_STAGES`.

    Returns
    -------
    tuple[str, ...]
        `pair_id` and all fields that the configuration of the stage displays.
    """
    return tuple(dict.fromkeys(("pair_id", *_FIELD_PATTERN.findall(render_label_config(stage)))))


def build_region_choices(regions: Sequence[Region]) -> list[dict[str, str]]:
    """Build the field `region_choices` of a scoring task: the regions that a rater can flag.

    Parameters
    ----------
    regions
        Regions in the order in which Label Studio numbers their boxes.

    Returns
    -------
    list[dict[str, str]]
        For each region its id as `alias`, which is exported, and its description as `value`, which is displayed.

    Notes
    -----
    Descriptions contain texts of annotators, so `html`, which Label Studio would render, is never set.
    """
    return [
        {"alias": region.region_id, "value": f"{number}. {_describe_region(region)}"}
        for number, region in enumerate(regions, 1)
    ]


def _format_number(value: float) -> str:
    """The number with up to ten digits, without trailing zeros."""
    return f"{value:.10g}"


def _describe_region(region: Region) -> str:
    """Kind, flaw type, severity and text of a region, as one line."""
    words = [region.kind, *((word or "").replace("_", " ") for word in (region.flaw_type, region.severity))]
    text = f"{', '.join(word for word in words if word)}: {region.rationale or 'without a text'}"
    # Label Studio replaces $name by a field of the task; an invisible joiner after the sign prevents it.
    return text.replace("$", "$\u2060")


@cache
def _template_environment() -> Environment:
    """The Jinja environment of the templates, with XML escaping."""
    return Environment(
        loader=PackageLoader("annotation.interfaces", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
