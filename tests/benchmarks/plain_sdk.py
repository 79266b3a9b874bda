"""The same work by plain calls of label-studio-sdk, and the floor: the same requests with nothing around them.

    python plain_sdk.py import|raw-import|export|list|raw-export URL FOLDER [PROJECT ...]

FOLDER holds config.xml and tasks.json; projects that are made are printed, one id a line.  The key is in the
environment, STUDIO_KEY.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

PROJECTS = 3
CHUNK = 1000
PAGE = 500
PATIENCE = 600
BLOCK = 1 << 20


def sdk(url: str) -> LabelStudio:
    from label_studio_sdk import LabelStudio

    return LabelStudio(base_url=url, api_key=os.environ["STUDIO_KEY"], timeout=PATIENCE)


def raw(url: str) -> httpx2.Client:
    return httpx2.Client(
        base_url=url, headers={"Authorization": f"Token {os.environ['STUDIO_KEY']}"}, timeout=PATIENCE, trust_env=False
    )


def sdk_import(url: str, folder: Path) -> None:
    client = sdk(url)
    tasks = json.loads((folder / "tasks.json").read_bytes())
    for number in range(PROJECTS):
        project = client.projects.create(
            title=f"Plain {number}", label_config=(folder / "config.xml").read_text(), maximum_annotations=1
        )
        for start in range(0, len(tasks), CHUNK):
            client.projects.import_tasks(id=project.id, request=tasks[start : start + CHUNK], return_task_ids=True)
        sys.stdout.write(f"{project.id}\n")


def raw_import(url: str, folder: Path) -> None:
    tasks = json.loads((folder / "tasks.json").read_bytes())
    bodies = [json.dumps(tasks[start : start + CHUNK]).encode() for start in range(0, len(tasks), CHUNK)]
    with raw(url) as client:
        for number in range(PROJECTS):
            config = (folder / "config.xml").read_text()
            made = client.post("/api/projects/", json={"title": f"Raw {number}", "label_config": config})
            project = made.raise_for_status().json()["id"]
            for body in bodies:
                client.post(
                    f"/api/projects/{project}/import?return_task_ids=true",
                    content=body,
                    headers={"Content-Type": "application/json"},
                ).raise_for_status()
            sys.stdout.write(f"{project}\n")


def sdk_export(url: str, folder: Path, projects: list[int]) -> None:
    """The export as one JSON of all, as the SDK's own `as_json` reads it, written to a file."""
    client = sdk(url)
    for project in projects:
        parts = client.projects.exports.download_sync(project, export_type="JSON", download_all_tasks=True)
        tasks = json.loads(b"".join(parts))
        (folder / f"sdk-{project}.json").write_text(json.dumps(tasks))


def sdk_list(url: str, folder: Path, projects: list[int]) -> None:
    client = sdk(url)
    for project in projects:
        listed = client.tasks.list(project=project, fields="all", page_size=PAGE)
        tasks: list[dict[str, Any]] = [task.model_dump(mode="json") for task in listed]
        (folder / f"listed-{project}.json").write_text(json.dumps(tasks))


def raw_export(url: str, folder: Path, projects: list[int]) -> None:
    with raw(url) as client:
        for project in projects:
            path = f"/api/projects/{project}/export?exportType=JSON&download_all_tasks=true"
            with client.stream("GET", path) as answer, (folder / f"raw-{project}.json").open("wb") as stream:
                answer.raise_for_status()
                for block in answer.iter_bytes(BLOCK):
                    stream.write(block)


def main() -> None:
    what, url, folder, *projects = sys.argv[1:]
    match what:
        case "import":
            sdk_import(url, Path(folder))
        case "raw-import":
            raw_import(url, Path(folder))
        case _:
            reading = {"export": sdk_export, "list": sdk_list, "raw-export": raw_export}[what]
            reading(url, Path(folder), [int(project) for project in projects])


if __name__ == "__main__":
    main()
