from __future__ import annotations

from pathlib import Path

import pytest

from tests.editfhf.builder import building, corpora
from tests.warm_commands import WarmCommands


@pytest.fixture
def commands() -> WarmCommands:
    """`editfhf build` without the seconds in which Python imports it."""
    return building.warm_commands()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known good pictures are remembered for one test only."""
    monkeypatch.setenv("EDITFHF_CACHE", str(tmp_path / "cache-of-pictures"))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Twelve pairs of six sources, without a fault."""
    return corpora.corpus().write(tmp_path / "corpus")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Two pairs of two sources, without a fault."""
    return corpora.corpus(sources=2, edits=1, raters=3).write(tmp_path / "corpus")
