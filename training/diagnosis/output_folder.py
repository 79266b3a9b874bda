"""What a folder of diagnoses already holds: what may be replaced, and what need not be done again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from mos.errors import UserError
from mos.files import read_regular_file
from training.diagnosis.result import DIAGNOSIS_FILE, DIAGNOSIS_FILES, Diagnosis

_LARGEST_FILE = 64 << 20


def require_output_folder(folder: Path, diagnosis: Diagnosis, overwrite: bool) -> None:
    """Check that saving replaces nothing but an earlier diagnosis of the same pair.

    Raises
    ------
    UserError
        The folder has files of these names that are of another diagnosis, and `overwrite` is off.
    """
    present = [name for name in DIAGNOSIS_FILES if (folder / name).exists()]
    if not present or overwrite:
        return
    known = read_saved_diagnosis(folder)
    if known is None or known.get("inputs") != diagnosis.inputs:
        raise UserError(
            f"{folder} has {present[-1]} of another diagnosis: choose another folder, or replace it with --overwrite."
        )


def read_saved_diagnosis(folder: Path) -> dict[str, Any] | None:
    """The content of `diagnosis.json` in a folder that has all files of a diagnosis; None otherwise."""
    try:
        # A power failure can leave an empty file; nothing else leaves a part of one.
        if not all((folder / name).is_file() and (folder / name).stat().st_size for name in DIAGNOSIS_FILES):
            return None
        path = folder / DIAGNOSIS_FILE
        if path.stat().st_size > _LARGEST_FILE:
            return None
        value = orjson.loads(read_regular_file(path))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
