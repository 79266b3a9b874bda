"""A state in a file: a Parquet table of ratings like any other, with a word about how to score them.

Nothing in it is executed.  What it says is checked as the ratings of any table are, so that a file which was cut,
altered or made by somebody else is a sentence to the user, and never a state that could not have come about.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from decimal import Context, Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from mos.errors import UserError
from mos.incremental.state import State
from mos.methods import method

_KEY, _CHECKSUM = b"mos_state", b"mos_state_sha256"
_FORMAT = 1
_MAX_ROWS = 200_000_000  # more would not fit into memory, and a few bytes can claim any number


class _Word(BaseModel):
    """What the file says beside the ratings."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    format: int
    rows: int
    options: dict[str, Any]
    scale: tuple[float, float] | None
    dimensions: tuple[str, ...] | None


def save(state: State, path: Path) -> None:
    """Write a state whole or not at all, in place of an earlier one; the same state makes the same bytes.

    What a killed write leaves, a file .NAME.part beside it, is replaced by the next write.
    Raises UserError when the file cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        try:
            with part.open("wb") as file:
                file.write(encode(state))
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        _sync(path.absolute().parent)
    except OSError as error:
        raise UserError(f"{path}: the state cannot be written ({error.strerror or 'input/output error'}).") from error


def load(path: Path) -> State:
    """Read a state that `save` wrote; UserError when there is none, or it is not whole."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; check the path.") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or 'input/output error'}).") from error
    try:
        return decode(data)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def encode(state: State) -> bytes:
    """The file of a state."""
    word = {
        "format": _FORMAT,
        "rows": len(state),
        "options": state.options.model_dump(),
        "scale": state.scale,
        "dimensions": state.dimensions,
    }
    said = orjson.dumps(word, _written, orjson.OPT_SORT_KEYS)
    table = state.table().replace_schema_metadata({_KEY: said, _CHECKSUM: sha256(said).hexdigest()})
    sink = pa.BufferOutputStream()
    # Pages have checksums of their own in Parquet; its metadata have none.
    pq.write_table(table, sink, compression="snappy", write_statistics=False, write_page_checksum=True)
    return sink.getvalue().to_pybytes()


def decode(data: bytes) -> State:
    """The state of a file; UserError when it is not one."""
    table = _table(data)
    word = _word(table.schema.metadata or {})
    options = method(str(word.options.get("method"))).options.checked(word.options)
    state, problems = State.empty(options, word.scale, word.dimensions).add(table, "keep")
    if problems or not len(state) == table.num_rows == word.rows:
        raise UserError("the ratings are not as they were saved; load a copy of the file.")
    return state


def _table(data: bytes) -> pa.Table:
    try:
        with pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True) as file:
            if file.metadata.num_rows > _MAX_ROWS:
                raise UserError(f"expected at most {_MAX_ROWS} ratings, but the file claims {file.metadata.num_rows}.")
            table = file.read()
        table.validate(full=True)
        return table
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError("expected a saved state, but the file is cut off or something else; load a copy.") from error


def _word(metadata: Mapping[bytes, bytes]) -> _Word:
    if _KEY not in metadata:
        raise UserError("expected a saved state, but this is another table; add it to a state as ratings.")
    said = metadata[_KEY]
    try:
        if metadata.get(_CHECKSUM) != sha256(said).hexdigest().encode():
            raise UserError("the saved state was altered; load a copy of the file.")
        value = orjson.loads(said)
        if isinstance(value, dict) and value.get("format") != _FORMAT:
            raise UserError("the state was saved by another version; load it with that one, or score the ratings anew.")
        return _Word.model_validate_json(said)
    except (orjson.JSONDecodeError, ValidationError) as error:
        raise UserError(
            "the file does not say as a saved state does how its ratings are scored; load a copy."
        ) from error


def _written(value: Any) -> str:
    """A decimal as it was written, without zeros that say nothing."""
    if not isinstance(value, Decimal):
        raise TypeError
    return str(value.normalize(Context(prec=max(len(value.as_tuple().digits), 1))))


def _sync(folder: Path) -> None:
    """Bring the new name of a file onto the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
