"""All statistics of a dataset in one pass over its small columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from annotation.records import KINDS
from annotation.tasks import groups as group_titles
from editfhf.features import SPLITS
from editfhf.statistics import boxes, ledger, regions, scores
from editfhf.statistics.records import SCORES, Group, Split, Statistics
from editfhf.statistics.tables import Tables, codes, load, manifest_of, numbers, rejections


def compute(dataset: Path, manifest: Mapping[str, Any] | None = None) -> Statistics:
    """Statistics of the dataset in a folder.

    manifest: what manifest.json will say, given by a build that has not written it yet; read from the folder when
    None.  No image is read.  UserError when the folder holds no finished dataset or a file of it is broken.
    """
    tables = load(dataset)
    told = manifest_of(dataset) if manifest is None else manifest
    lengths: dict[str, Any] = {kind: regions.per_image(tables, kind) for kind in KINDS}
    values = {score: numbers(tables.pairs[score]) for score in SCORES}
    return Statistics(
        corpus=dict(told.get("corpus", {})),
        versions=dict(told.get("versions", {})),
        splits=_splits(tables),
        clean=int(np.count_nonzero(sum(lengths.values(), np.zeros(len(tables.pairs), dtype=np.int64)) == 0)),
        regions=tuple(regions.count(tables, kind) for kind in KINDS),
        scores=tuple(scores.distribution(score, values[score]) for score in SCORES),
        correlations=scores.correlations(values),
        editors=_groups(tables, "editor", values, lengths),
        tasks=_groups(tables, "task", values, lengths),
        task_groups=_groups(tables, "task_group", values, lengths),
        ratings=ledger.by_status(tables.ratings),
        raters=ledger.raters(tables.annotators),
        box_agreement=tuple(boxes.agree(tables.marks, kind) for kind in KINDS),
        rater_agreement=ledger.agreement(tables.ratings),
        stages=ledger.stages(told),
        rejected=ledger.rejected(rejections(dataset)),
        scoring=dict(told.get("scores", {})),
    )


def _splits(tables: Tables) -> tuple[Split, ...]:
    """Counts per split that has pairs, then those of the whole."""
    pairs = tables.pairs
    parts = [(split, pairs.filter(pc.equal(pairs["split"], split))) for split in SPLITS]
    return tuple(
        Split(
            split=split,
            pairs=len(part),
            sources=pc.count_distinct(part["source_id"]).as_py(),
            editors=pc.count_distinct(part["editor"]).as_py(),
            tasks=pc.count_distinct(part["task"]).as_py(),
        )
        for split, part in [*parts, ("all", pairs)]
        if len(part) or split == "all"
    )


def _groups(tables: Tables, column: str, values: Mapping[str, Any], lengths: Mapping[str, Any]) -> tuple[Group, ...]:
    code, names = codes(tables.pairs[column])
    match column:
        case "task":
            above = scores.first_of(code, len(names), tables.pairs["task_group"])
        case "task_group":
            above = [group_titles().get(name, name) for name in names]
        case _:
            above = [""] * len(names)
    return scores.groups(code, names, above, values, lengths)
