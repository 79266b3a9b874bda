"""One tiny random Qwen3-VL for all tests of the agents, and pairs of unequal sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from tests.training.compact.tiny_pairs import encode_png, make_rows
from training.vlm.tiny_backbone import write_tiny_backbone

SIZES = ((80, 96), (48, 112), (128, 64), (72, 72))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:  # libraries warn each other
        if "tests/training/vlm" in str(item.path):
            item.add_marker(pytest.mark.filterwarnings("ignore::FutureWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::UserWarning"))


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backbone")
    write_tiny_backbone(folder)
    return folder


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # the matrices are too small to share


def make_unequal_pairs(count: int = 4, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray, str]]:
    """Pairs of random images that differ in size, also within a pair, and instructions that differ in length."""
    random = np.random.default_rng(seed)
    pairs = []
    for place in range(count):
        shapes = SIZES[place % len(SIZES)], SIZES[(place + 1) % len(SIZES)]
        source, edited = (random.integers(0, 255, (*shape, 3), dtype=np.uint8) for shape in shapes)
        pairs.append((source, edited, "Add a hat. " * (place + 1)))
    return pairs


def make_unequal_rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    """The rows of `make_rows`, in each of whose sizes another width is."""
    rows = make_rows(count, start)
    for place, row in enumerate(rows):
        if place % 2:
            for name in ("source_image", "edited_image", "artifact_saliency", "failure_saliency"):
                pixels = cv2.imdecode(np.frombuffer(row[name]["bytes"], np.uint8), cv2.IMREAD_UNCHANGED)
                pixels = pixels[:, :-16]
                row[name] = encode_png(pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
    return rows
