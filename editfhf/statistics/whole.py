"""All statistics of a dataset in one pass over its small columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from annotation.records import KINDS
from annotation.tasks import groups as group_titles
from editfhf.features import SPLITS
from editfhf.manifest import read_manifest
from editfhf.statistics import boxes, ledger, regions, scores
from editfhf.statistics.records import SCORES, Group, Split, Statistics
from editfhf.statistics.tables import Tables, codes, load, numbers, rejections, texts


def compute(dataset: Path, manifest: Mapping[str, Any] | None = None) -> Statistics:
    """Statistics of the dataset in a folder.

    manifest: what manifest.json will say, given by a build that has not written it yet; read from the folder when
    None.  No image is read.  UserError when the folder holds no finished dataset or a file of it is broken.
    """
    tables = load(dataset)
    told = read_manifest(dataset) if manifest is None else manifest
    lengths: dict[str, Any] = {kind: regions.per_image(tables, kind) for kind in KINDS}
    values = {score: numbers(tables.pairs[score]) for score in SCORES}
    scoring = dict(told.get("scores", {}))
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
        outlier_limit=ledger.outlier_limit(scoring),
        expected_exclusions=ledger.expected_exclusions(scoring),
        box_agreement=tuple(boxes.agree(tables.marks, kind) for kind in KINDS),
        rater_agreement=ledger.agreement(tables.ratings),
        stages=ledger.stages(told),
        rejected=ledger.rejected(rejections(dataset)),
        scoring=scoring,
    )


def _splits(tables: Tables) -> tuple[Split, ...]:
    """Counts per split that has pairs, then those of the whole."""
    told = [
        codes(values)[0] for values in (texts(tables.pairs["source_id"]), texts(tables.pairs["editor"]), tables.tasks)
    ]
    rows = {split: np.flatnonzero(tables.splits == split) for split in SPLITS if split in tables.splits}
    return tuple(
        Split(split, len(found), *(len(np.unique(code[found])) for code in told))
        for split, found in {**rows, "all": np.arange(len(tables.pairs))}.items()
    )


def _groups(tables: Tables, column: str, values: Mapping[str, Any], lengths: Mapping[str, Any]) -> tuple[Group, ...]:
    code, names = codes(tables.tasks if column == "task" else texts(tables.pairs[column]))
    match column:
        case "task":
            _, first = np.unique(code, return_index=True)
            above = [str(group) for group in texts(tables.pairs["task_group"])[first]]
        case "task_group":
            above = [group_titles().get(name, name) for name in names]
        case _:
            above = [""] * len(names)
    return scores.groups(code, names, above, values, lengths)
