"""The small dataset of the tests of the statistics serves here too."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_path = Path(__file__).parents[1] / "statistics" / "conftest.py"
_spec = importlib.util.spec_from_file_location("small_dataset", _path)
assert _spec is not None and _spec.loader is not None
_small = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_small)

make_dataset, dataset = _small.make_dataset, _small.dataset
