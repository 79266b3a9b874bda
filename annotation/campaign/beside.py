"""The record of a campaign without a server, and beside a running sync."""

from __future__ import annotations

from pathlib import Path

from annotation.campaign.answers import SetAside
from annotation.campaign.options import read_options
from annotation.campaign.planning.planner import Record
from annotation.campaign.record import RecordReader
from annotation.campaign.status.looking import archive_copy


def record_beside(corpus: Path) -> tuple[Record, list[SetAside]]:
    """The record of the campaign in a corpus as the last sync left it, and what does not count.

    Without the tasks that exist, which the server alone knows.
    """
    options = read_options(corpus)
    with archive_copy(corpus) as archive:
        return RecordReader(corpus, archive).read(options)
