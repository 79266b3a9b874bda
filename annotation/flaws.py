"""The closed lists of flaw types per kind of region (`flaws.yaml`)."""

from __future__ import annotations

from functools import cache
from importlib import resources

import yaml

from annotation.records import KINDS, Kind


@cache
def definitions() -> dict[Kind, dict[str, str]]:
    """Definition of every flaw type by kind and id; `other` belongs to both kinds."""
    data = yaml.safe_load(resources.files(__package__).joinpath("flaws.yaml").read_text(encoding="utf-8"))
    return {kind: {row["id"]: row["def"] for row in [*data[kind], *data["other"]]} for kind in KINDS}


def flaw_types(kind: Kind) -> tuple[str, ...]:
    """Ids of the flaw types that a region of this kind may have."""
    return tuple(definitions()[kind])
