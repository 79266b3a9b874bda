"""A whole campaign by the commands, on the real Label Studio."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.annotation.campaign.live_scenario import from_an_empty_server_to_the_rows_of_a_dataset
from tests.annotation.studio_server import Live

pytestmark = [pytest.mark.studio, pytest.mark.slow]


def test_from_an_empty_server_to_the_rows_of_a_dataset(live: Live, tmp_path: Path) -> None:
    from_an_empty_server_to_the_rows_of_a_dataset(live, tmp_path)


def test_the_same_on_postgresql(live_postgresql: Live, tmp_path: Path) -> None:
    from_an_empty_server_to_the_rows_of_a_dataset(live_postgresql, tmp_path)
    assert not (live_postgresql.server.data / "label_studio.sqlite3").exists()
