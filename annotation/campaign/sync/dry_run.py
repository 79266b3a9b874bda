"""What a sync would do: it reads the server, and neither the server nor a file of the campaign changes."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from annotation.campaign.archive import ARCHIVE_FILE
from annotation.campaign.options import CAMPAIGN_FOLDER
from annotation.campaign.state_files import CAMPAIGN_ID_FILE, CAMPAIGN_REJECTIONS_FILE, TASK_TIMES_FILE
from annotation.campaign.sync.read_server import CampaignServer
from annotation.labelstudio.client import StudioProject, StudioUser
from annotation.labelstudio.read_tasks import StudioTask
from mos.files import open_scratch_folder

WRITTEN_FILES = (ARCHIVE_FILE, CAMPAIGN_REJECTIONS_FILE, TASK_TIMES_FILE, CAMPAIGN_ID_FILE)
"""Files of a campaign on which a sync builds and which it writes."""


@contextmanager
def copy_campaign_state(corpus: Path) -> Iterator[Path]:
    """A temporary folder with copies of the files that a sync writes, for `CampaignSync`."""
    with open_scratch_folder() as folder:
        for file in WRITTEN_FILES:
            if (corpus / CAMPAIGN_FOLDER / file).is_file():
                shutil.copyfile(corpus / CAMPAIGN_FOLDER / file, folder / file)
        yield folder


class ReadOnlyServer:
    """A server that is read, and that answers everything else as if it had done it.

    `delete_untouched` says yes without a look at drafts, which it alone could see.
    """

    def __init__(self, server: CampaignServer) -> None:
        self._server = server
        # Numbers that no project and no task of the server has.
        self._numbers = count(-1, -1)

    def whoami(self) -> StudioUser:
        return self._server.whoami()

    def users(self) -> list[StudioUser]:
        return self._server.users()

    def projects(self) -> Iterator[StudioProject]:
        return self._server.projects()

    def tasks(self, project_id: int, since: str | None = None) -> Iterator[StudioTask]:
        return self._server.tasks(project_id, since)

    def outline(self, project_id: int) -> Iterator[StudioTask]:
        return self._server.outline(project_id)

    def tasks_of(self, project_id: int, ids: Iterable[int]) -> Iterator[StudioTask]:
        return self._server.tasks_of(project_id, ids)

    def create_project(
        self, title: str, description: str, label_config: str, instruction: str = "", allow_empty: bool = True
    ) -> StudioProject:
        return StudioProject(next(self._numbers), title, description, label_config)

    def update_label_config(self, project_id: int, label_config: str) -> None:
        return

    def serve_images(self, project_id: int, folder: Path) -> None:
        return

    def import_tasks(self, project_id: int, tasks: Iterable[Mapping[str, Any]]) -> list[int]:
        return [next(self._numbers) for _ in tasks]

    def delete_untouched(self, project_id: int, task_id: int) -> bool:
        return True
