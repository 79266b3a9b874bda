"""The columns of a dataset: one Arrow schema per config, with the features of `datasets` in its metadata.

The schemas do not import `datasets` (about a second), because every build worker needs them; a test compares them with
what `datasets.Features` would write.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from annotation.records import DIMENSIONS, KINDS
from annotation.taxonomy import load_edit_tasks

DATASET_CONFIGS = ("default", "ratings", "annotators", "marks")
DATASET_SPLITS = ("train", "validation", "test")

FeatureSpec = dict[str, Any]


def _value_feature(dtype: str) -> FeatureSpec:
    return {"dtype": dtype, "_type": "Value"}


def _list_feature(feature: FeatureSpec, length: int = -1) -> FeatureSpec:
    fixed = {} if length == -1 else {"length": length}
    return {"feature": feature, **fixed, "_type": "List"}


STRING_FEATURE, INT_FEATURE, FLOAT_FEATURE, DOUBLE_FEATURE, BOOL_FEATURE = (
    _value_feature(t) for t in ("string", "int32", "float32", "float64", "bool")
)
IMAGE_FEATURE: FeatureSpec = {"_type": "Image"}
GREY_FEATURE: FeatureSpec = {"mode": "L", "_type": "Image"}
BOX_FEATURE = _list_feature(FLOAT_FEATURE, 4)
DISKS_FEATURE = _list_feature(_list_feature(FLOAT_FEATURE, 2))


def _pair_columns() -> dict[str, FeatureSpec]:
    region = {
        "region_id": STRING_FEATURE,
        "box": BOX_FEATURE,
        "disks": DISKS_FEATURE,
        "flaw_type": STRING_FEATURE,
        "severity": STRING_FEATURE,
        "rationale": STRING_FEATURE,
        "annotators": _list_feature(STRING_FEATURE),
    }
    columns: dict[str, FeatureSpec] = {
        "pair_id": STRING_FEATURE,
        "source_id": STRING_FEATURE,
        "source_image": IMAGE_FEATURE,
        "edited_image": IMAGE_FEATURE,
        "instruction": STRING_FEATURE,
        "task": {"names": list(load_edit_tasks()), "_type": "ClassLabel"},
        "task_group": STRING_FEATURE,
        "editor": STRING_FEATURE,
    }
    columns |= {f"{kind}_saliency": GREY_FEATURE for kind in KINDS}
    columns |= {f"{kind}_peak": FLOAT_FEATURE for kind in KINDS}
    columns |= {f"{kind}_regions": _list_feature(region) for kind in KINDS}
    for dimension in DIMENSIONS:
        columns |= {dimension: FLOAT_FEATURE, f"{dimension}_ci95": FLOAT_FEATURE, f"{dimension}_n": INT_FEATURE}
    return columns | {"overall": FLOAT_FEATURE, "licence": STRING_FEATURE}


def _rating_columns() -> dict[str, FeatureSpec]:
    return {
        "pair_id": STRING_FEATURE,
        "annotator_id": STRING_FEATURE,
        "dimension": STRING_FEATURE,
        "score": DOUBLE_FEATURE,
        "rated_at": STRING_FEATURE,
        "status": STRING_FEATURE,
        "rule": STRING_FEATURE,
        "statistic": DOUBLE_FEATURE,
        "threshold": DOUBLE_FEATURE,
        "z": DOUBLE_FEATURE,
        "split": STRING_FEATURE,
        "file": STRING_FEATURE,
        "row": INT_FEATURE,
    }


def _annotator_columns() -> dict[str, FeatureSpec]:
    return {
        "annotator_id": STRING_FEATURE,
        "regional_annotations": INT_FEATURE,
        "boxes": INT_FEATURE,
        "boxes_accepted": INT_FEATURE,
        "disks": INT_FEATURE,
        "rationales": INT_FEATURE,
        "flags": INT_FEATURE,
        "ratings": INT_FEATURE,
        "outliers": INT_FEATURE,
        "outlier_share": DOUBLE_FEATURE,
        "expected_share": DOUBLE_FEATURE,
        "excluded": BOOL_FEATURE,
        "reason": STRING_FEATURE,
        "excluded_in": STRING_FEATURE,
        "rule": STRING_FEATURE,
        "statistic": DOUBLE_FEATURE,
        "threshold": DOUBLE_FEATURE,
    }


def _mark_columns() -> dict[str, FeatureSpec]:
    return {
        "pair_id": STRING_FEATURE,
        "annotator_id": STRING_FEATURE,
        "mark_id": STRING_FEATURE,
        "kind": STRING_FEATURE,
        "box": BOX_FEATURE,
        "disks": DISKS_FEATURE,
        "flaw_type": STRING_FEATURE,
        "severity": STRING_FEATURE,
        "status": STRING_FEATURE,
        "region_id": STRING_FEATURE,
        "width": INT_FEATURE,
        "height": INT_FEATURE,
        "split": STRING_FEATURE,
        "file": STRING_FEATURE,
        "row": INT_FEATURE,
    }


def list_config_columns(config: str) -> dict[str, FeatureSpec]:
    """The columns of one config.

    Parameters
    ----------
    config
        One of `DATASET_CONFIGS`.

    Returns
    -------
    dict
        Feature by name of the column, in the JSON form of `datasets`.

    Examples
    --------
    >>> list_config_columns("marks")["kind"]
    {'dtype': 'string', '_type': 'Value'}
    """
    return {
        "default": _pair_columns,
        "ratings": _rating_columns,
        "annotators": _annotator_columns,
        "marks": _mark_columns,
    }[config]()


def to_arrow_type(feature: FeatureSpec | dict[str, FeatureSpec]) -> pa.DataType:
    """The Arrow type in which `datasets` stores a feature."""
    match feature.get("_type"):
        case "Value":
            return pa.type_for_alias(feature["dtype"])
        case "Image":
            return pa.struct({"bytes": pa.binary(), "path": pa.string()})
        case "ClassLabel":
            return pa.int64()
        case "List" if "length" in feature:
            return pa.list_(to_arrow_type(feature["feature"]), feature["length"])
        case "List":
            return pa.list_(to_arrow_type(feature["feature"]))
        case _:
            return pa.struct({name: to_arrow_type(inner) for name, inner in feature.items()})


@cache
def make_arrow_schema(config: str) -> pa.Schema:
    """The Arrow schema of one config, with the metadata from which `datasets` restores its features.

    Parameters
    ----------
    config
        One of `DATASET_CONFIGS`.
    """
    features = list_config_columns(config)
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.schema([(name, to_arrow_type(feature)) for name, feature in features.items()], metadata=metadata)


def has_empty_row_group(shard: pq.FileMetaData) -> bool:
    """Whether a row group of a Parquet file has no rows: `datasets` reads as many rows at a time as the first has."""
    return any(shard.row_group(number).num_rows == 0 for number in range(shard.num_row_groups))
