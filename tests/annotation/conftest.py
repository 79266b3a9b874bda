"""What the tests of annotation share: the real Label Studio, started once in a session and only if a test asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.annotation.studio_server import Live


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    from tests.annotation import studio_server

    running = studio_server.begin(tmp_path_factory.mktemp("live"))
    try:
        yield running
    finally:
        running.server.stop()


@pytest.fixture
def live_postgresql(tmp_path: Path) -> Iterator[Live]:
    """A Label Studio of the test's own, on PostgreSQL; its database takes the better part of a minute to prepare."""
    from tests.annotation import postgresql, studio_server

    with postgresql.running() as database_url:
        running = studio_server.begin(tmp_path / "postgresql", database_url)
        try:
            yield running
        finally:
            running.server.stop()
