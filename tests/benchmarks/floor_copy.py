"""The floor: the pictures of a corpus copied into one Parquet file, nothing looked at, nothing computed."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SCHEMA = pa.schema([("pair_id", pa.string()), ("source", pa.binary()), ("edited", pa.binary())])


def copy(corpus: Path, target: Path) -> None:
    rows = [json.loads(line) for line in (corpus / "pairs.jsonl").read_bytes().splitlines()]
    with pq.ParquetWriter(target, SCHEMA, compression="none", use_dictionary=False) as writer:
        for start in range(0, len(rows), 100):
            part = rows[start : start + 100]
            columns = {"pair_id": [row["pair_id"] for row in part]}
            pictures = {name: [(corpus / row[name]).read_bytes() for row in part] for name in ("source", "edited")}
            writer.write_table(pa.table(columns | pictures, schema=SCHEMA))
    descriptor = os.open(target, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


if __name__ == "__main__":
    copy(Path(sys.argv[1]), Path(sys.argv[2]))
