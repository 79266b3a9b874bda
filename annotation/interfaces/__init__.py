"""Labelling configurations, one for each stage: what an annotator sees and can do in Label Studio.

A stage is a template (`STAGE.xml`) put together from `parts/`.  Control names are those by which `annotation.export`
reads (see `annotation.export.names.Names`).
"""

from __future__ import annotations

import re
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from annotation.flaws import definitions
from annotation.records import DIMENSIONS, SEVERITIES
from mos.errors import UserError

STAGES = ("qualification", "regional", "expert", "textual", "expert_text", "scoring", "prompt_check")

_FIELD = re.compile(r'"\$([a-z_]+)"')


def load(stage: str, **values: str) -> str:
    """The labelling configuration (XML) of a stage.

    values: `guidelines`, the campaign's own words to its annotators, shown above ours.
    """
    if stage not in STAGES:
        raise UserError(f"Expected a stage of {', '.join(STAGES)}, got {stage!r}.")
    unknown = sorted(values.keys() - {"guidelines"})
    if unknown:
        raise UserError(f"A labelling configuration takes guidelines alone, got {', '.join(unknown)}.")
    return (
        _environment()
        .get_template(f"{stage}.xml")
        .render(
            guidelines=values.get("guidelines", ""),
            flaws={name: text for kind in definitions().values() for name, text in kind.items()},
            severities=SEVERITIES,
            dimensions={name: name.replace("_", " ").capitalize() for name in DIMENSIONS},
            about="edited",
        )
    )


def data_fields(stage: str) -> tuple[str, ...]:
    """The fields that a task's data must have for a stage's configuration, `pair_id` among them."""
    return tuple(dict.fromkeys(("pair_id", *_FIELD.findall(load(stage)))))


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("annotation.interfaces", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
