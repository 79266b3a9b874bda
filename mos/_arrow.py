"""Arrow columns from and to numpy arrays and text, by their buffers.

pyarrow's own converters (`pa.array`, `to_numpy`, every scalar argument) first ask whether a value is a pandas object,
and import pandas, a third of a second, in order to know.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


def number_array(values: NDArray[Any], valid: NDArray[Any] | None = None) -> pa.Array:
    """An Arrow array over `values` [N] of any integer or float dtype; null where `valid` [N] bool is False."""
    bitmap = None if valid is None or valid.all() else _pack_bits(valid)
    data = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [bitmap, data])


def bool_array(values: NDArray[Any]) -> pa.BooleanArray:
    """An Arrow array of `values` [N] bool."""
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, _pack_bits(values)])


def text_array(values: Sequence[str]) -> pa.StringArray:
    """An Arrow array of strings, less than 2 GiB in UTF-8 together."""
    encoded = [value.encode() for value in values]
    ends = np.zeros(len(encoded) + 1, np.int32)
    np.cumsum([len(value) for value in encoded], out=ends[1:])
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))


def take_labels(labels: pa.StringArray, position: NDArray[Any]) -> pa.StringArray:
    """labels[position], null where the position [N] is negative."""
    return labels.take(number_array(position, position >= 0))


def repeat_text(value: str, size: int) -> pa.StringArray:
    return text_array([value]).take(number_array(np.zeros(size, np.int32)))


def column_values(column: pa.ChunkedArray | pa.Array) -> NDArray[Any]:
    """The numbers of a column [N] in its own dtype, read-only; anything where it is null."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    dtype = np.dtype(column.type.to_pandas_dtype())
    parts = [np.frombuffer(c.buffers()[1], dtype, c.offset + len(c))[c.offset :] for c in chunks if len(c)]
    return parts[0] if len(parts) == 1 else np.concatenate([*parts, np.empty(0, dtype)])


def null_mask(column: pa.ChunkedArray | pa.Array) -> NDArray[Any]:
    """[N] bool, where a column is null."""
    return column_values(pc.cast(pc.is_null(column), pa.uint8())).view(bool)


def _pack_bits(values: NDArray[Any]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(values, bitorder="little"))
