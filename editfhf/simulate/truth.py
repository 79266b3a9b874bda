"""The truth tables: what a simulated corpus knows and a real one does not."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from annotation.records import DIMENSIONS

REGION = pa.struct(
    [
        ("kind", pa.string()),
        ("box", pa.list_(pa.float32(), 4)),
        ("disks", pa.list_(pa.list_(pa.float32()))),
        ("flaw_type", pa.string()),
        ("severity", pa.string()),
        ("rationale", pa.string()),
        ("found_by", pa.int32()),
        ("region_id", pa.string()),
        ("flags", pa.int32()),
    ]
)
UNFOUNDED = pa.struct(
    [
        ("kind", pa.string()),
        ("box", pa.list_(pa.float32(), 4)),
        ("region_id", pa.string()),
        ("flags", pa.int32()),
    ]
)
PAIRS = pa.schema(
    [
        ("pair_id", pa.string()),
        ("source_id", pa.string()),
        ("editor", pa.string()),
        ("task", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        *((dimension, pa.float64()) for dimension in DIMENSIONS),
        ("regions", pa.list_(REGION)),
        ("unfounded", pa.list_(UNFOUNDED)),
        ("expert", pa.bool_()),
        ("rationales_final", pa.bool_()),
    ]
)
RATERS = pa.schema(
    [
        ("annotator_id", pa.string()),
        ("careless", pa.bool_()),
        ("behaviour", pa.string()),
        ("bias", pa.float64()),
        ("inconsistency", pa.float64()),
    ]
)

Row = dict[str, Any]
