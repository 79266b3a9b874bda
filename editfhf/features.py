"""The columns of a dataset: one Arrow schema per config, carrying the `datasets` features in its metadata.

The schemas are written by hand, without importing `datasets` (about a second), because every build worker needs them;
a test holds them equal to what `datasets.Features` itself would write.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pyarrow as pa

from annotation.records import DIMENSIONS, KINDS
from annotation.tasks import tasks

CONFIGS = ("default", "ratings", "annotators", "marks")
SPLITS = ("train", "validation", "test")

Feature = dict[str, Any]


def _value(dtype: str) -> Feature:
    return {"dtype": dtype, "_type": "Value"}


def _list(feature: Feature, length: int = -1) -> Feature:
    fixed = {} if length == -1 else {"length": length}
    return {"feature": feature, **fixed, "_type": "List"}


STRING, INT, FLOAT, DOUBLE, BOOL = (_value(t) for t in ("string", "int32", "float32", "float64", "bool"))
IMAGE: Feature = {"_type": "Image"}
GREY: Feature = {"mode": "L", "_type": "Image"}
BOX = _list(FLOAT, 4)
DISKS = _list(_list(FLOAT, 2))


def _default() -> dict[str, Feature]:
    region = {
        "region_id": STRING,
        "box": BOX,
        "disks": DISKS,
        "flaw_type": STRING,
        "severity": STRING,
        "rationale": STRING,
        "annotators": _list(STRING),
    }
    columns: dict[str, Feature] = {
        "pair_id": STRING,
        "source_id": STRING,
        "source_image": IMAGE,
        "edited_image": IMAGE,
        "instruction": STRING,
        "task": {"names": list(tasks()), "_type": "ClassLabel"},
        "task_group": STRING,
        "editor": STRING,
    }
    columns |= {f"{kind}_saliency": GREY for kind in KINDS}
    columns |= {f"{kind}_peak": FLOAT for kind in KINDS}
    columns |= {f"{kind}_regions": _list(region) for kind in KINDS}
    for dimension in DIMENSIONS:
        columns |= {dimension: FLOAT, f"{dimension}_ci95": FLOAT, f"{dimension}_n": INT}
    return columns | {"overall": FLOAT, "licence": STRING}


def _ratings() -> dict[str, Feature]:
    return {
        "pair_id": STRING,
        "annotator_id": STRING,
        "dimension": STRING,
        "score": DOUBLE,
        "rated_at": STRING,
        "status": STRING,
        "rule": STRING,
        "statistic": DOUBLE,
        "threshold": DOUBLE,
        "z": DOUBLE,
        "split": STRING,
        "file": STRING,
        "row": INT,
    }


def _annotators() -> dict[str, Feature]:
    return {
        "annotator_id": STRING,
        "regional_annotations": INT,
        "boxes": INT,
        "boxes_accepted": INT,
        "disks": INT,
        "rationales": INT,
        "flags": INT,
        "ratings": INT,
        "outliers": INT,
        "outlier_share": DOUBLE,
        "expected_share": DOUBLE,
        "excluded": BOOL,
        "reason": STRING,
        "excluded_in": STRING,
        "rule": STRING,
        "statistic": DOUBLE,
        "threshold": DOUBLE,
    }


def _marks() -> dict[str, Feature]:
    return {
        "pair_id": STRING,
        "annotator_id": STRING,
        "mark_id": STRING,
        "kind": STRING,
        "box": BOX,
        "disks": DISKS,
        "flaw_type": STRING,
        "severity": STRING,
        "status": STRING,
        "region_id": STRING,
        "width": INT,
        "height": INT,
        "split": STRING,
        "file": STRING,
        "row": INT,
    }


def columns(config: str) -> dict[str, Feature]:
    """Column name to feature (in the JSON form of `datasets`) of one config."""
    return {"default": _default, "ratings": _ratings, "annotators": _annotators, "marks": _marks}[config]()


def arrow_type(feature: Feature | dict[str, Feature]) -> pa.DataType:
    """The Arrow storage type that `datasets` gives a feature."""
    match feature.get("_type"):
        case "Value":
            return pa.type_for_alias(feature["dtype"])
        case "Image":
            return pa.struct({"bytes": pa.binary(), "path": pa.string()})
        case "ClassLabel":
            return pa.int64()
        case "List" if "length" in feature:
            return pa.list_(arrow_type(feature["feature"]), feature["length"])
        case "List":
            return pa.list_(arrow_type(feature["feature"]))
        case _:
            return pa.struct({name: arrow_type(inner) for name, inner in feature.items()})


@cache
def schema(config: str) -> pa.Schema:
    """The Arrow schema of one config, with the metadata from which `datasets` restores its features."""
    features = columns(config)
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.schema([(name, arrow_type(feature)) for name, feature in features.items()], metadata=metadata)
