"""Labelling configurations, one for each stage: what an annotator sees and can do in Label Studio.

A stage is a template (`STAGE.xml`) put together from `parts/`.  Control names are those by which `annotation.export`
reads (see `annotation.export.names.Names`); labels and choices are exported under their `alias` where they have one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from annotation.flaws import definitions
from annotation.interfaces.examples import ASKED, drawing
from annotation.interfaces.keys import COLOURS, KEYS, RINGS
from annotation.interfaces.steps import STEPS
from annotation.records import DIMENSIONS, DISK_RADIUS_PER_HEIGHT, SEVERITIES, Region
from mos.errors import UserError

STAGES = ("qualification", "regional", "expert", "textual", "expert_text", "scoring", "prompt_check")
QUESTIONS = {
    "perceptual_quality": "How good does the edited picture look by itself: free of defects, natural, sharp?",
    "instruction_following": "How well was the instruction carried out: all of it, and rightly?",
    "visual_consistency": "How well was all that the instruction does not name kept as in the source?",
}
WORDS = ("bad", "poor", "fair", "good", "excellent")
"""What the marks on the line of a score mean, from its lowest to its highest."""
STEPS_OF_A_SCALE = 400

_FIELD = re.compile(r'"\$([a-z_]+)"')


def load(
    stage: str, *, scale: tuple[float, float] = (1.0, 5.0), guidelines: str = "", picture_height: int = 480
) -> str:
    """The labelling configuration (XML) of a stage.

    scale: the lowest and the highest score, which the lines for scores begin and end with.
    guidelines: the campaign's own words to its annotators, shown above ours.
    picture_height: screen pixels that a picture is shown at at most (it is at most 4/3 times as wide).  480 suits
    windows from 1440 pixels, 600 those from 1920.  A disk that is set by hand is drawn with a fixed radius on the
    screen, so this height decides it.
    """
    if stage not in STAGES:
        raise UserError(f"Expected a stage of {', '.join(STAGES)}, got {stage!r}.")
    low, high = scale
    marks = [_number(low + (high - low) * part / (len(WORDS) - 1)) for part in range(len(WORDS))]
    return (
        _environment()
        .get_template(f"{stage}.xml")
        .render(
            guidelines=guidelines,
            picture_height=picture_height,
            disk_stroke=round(picture_height * DISK_RADIUS_PER_HEIGHT / 1.5),
            flaws=definitions(),
            severities=SEVERITIES,
            dimensions={
                name: {"title": name.replace("_", " ").capitalize(), "text": QUESTIONS[name]} for name in DIMENSIONS
            },
            keys=KEYS,
            colours=COLOURS,
            rings=RINGS,
            about="edited",
            drawing=drawing,
            asked=ASKED,
            steps=tuple(line.format(low=marks[0], high=marks[-1]) for line in STEPS[stage]),
            ends=list(zip(marks, WORDS, strict=True)),
            step=_number((high - low) / STEPS_OF_A_SCALE),
            titles={"artifact": "Artifacts, with drawings", "failure": "Failures, with drawings"},
            plain="font-weight: normal; font-size: 14px; margin: 3px 0",
            bold="font-size: 14px; margin: 3px 0",
        )
    )


@cache
def data_fields(stage: str) -> tuple[str, ...]:
    """The fields that a task's data must have for a stage's configuration, `pair_id` among them."""
    return tuple(dict.fromkeys(("pair_id", *_FIELD.findall(load(stage)))))


def region_choices(regions: Sequence[Region]) -> list[dict[str, str]]:
    """The field `region_choices` of a scoring task: what a rater can flag, numbered as Label Studio numbers the boxes.

    A choice is exported as its region's id.  Its words are `value`, which is shown as text; `html` is never given,
    because texts come from people.
    """
    return [
        {"alias": region.region_id, "value": f"{number}. {_described(region)}"}
        for number, region in enumerate(regions, 1)
    ]


def _number(value: float) -> str:
    return f"{value:.10g}"


def _described(region: Region) -> str:
    words = [region.kind, *((word or "").replace("_", " ") for word in (region.flaw_type, region.severity))]
    text = f"{', '.join(word for word in words if word)}: {region.rationale or 'without a text'}"
    # Label Studio puts the task's own data for $name here; a joiner that cannot be seen keeps the sign a sign.
    return text.replace("$", "$\u2060")


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("annotation.interfaces", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
