"""A small campaign of a test: its people, its corpus, and how it goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from annotation.campaign.options import CampaignOptions, parse_campaign_options, write_campaign_options
from annotation.campaign.sync.run_sync import SyncSummary, sync_campaign_once
from tests.annotation.campaign.fake_studio import FakeStudio, any_interface
from tests.annotation.campaign.people_at_work import respond

SIZE = (64, 40)
ROLES = {
    "ann": ("regional", "reviewer"),
    "bob": ("regional", "rater"),
    "cat": ("regional", "rater"),
    "dan": ("reviewer", "rater"),
    "eve": ("reviewer",),
    "max": ("expert",),
}
NUMBER = {name: number for number, name in enumerate(ROLES, start=2)}


def pilot(**fields: Any) -> CampaignOptions:
    people = [
        {"person_id": name, "email": f"{name}@x.org", "name": name.title(), "roles": roles}
        for name, roles in ROLES.items()
    ]
    return parse_campaign_options(
        {"campaign_id": "pilot", "name": "Pilot", "raters": 2, "people": people} | fields, "test"
    )


def corpus_of(root: Path, pairs: int = 2, **fields: Any) -> Path:
    (root / "images").mkdir(parents=True)
    (root / "corpus.yaml").write_text("name: test\n")
    Image.new("RGB", SIZE, "teal").save(root / "images" / "a.png")
    lines = [
        {
            "pair_id": f"p{number}",
            "source_id": f"s{number}",
            "source": "images/a.png",
            "edited": "images/a.png",
            "instruction": "<script>alert(1)</script> {{x}}",
            "task": "scene_background",
            "editor": "e",
        }
        for number in range(pairs)
    ]
    (root / "pairs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_campaign_options(root, pilot(**fields))
    return root


def sync(studio: FakeStudio, corpus: Path) -> SyncSummary:
    return sync_campaign_once(studio, corpus, any_interface, Path("/served/images"))


def everybody_works(studio: FakeStudio) -> int:
    """Each task that is open is done by its owner; how many that were."""
    waiting = [task for task in studio.everything() if not task["annotations"]]
    for task in waiting:
        studio.submit(task, owner(task), respond(task, SIZE))
    return len(waiting)


def owner(task: dict[str, Any]) -> int:
    return NUMBER[task["data"]["key"].split("/")[2]]


def to_the_end(studio: FakeStudio, step: Callable[[], SyncSummary]) -> SyncSummary:
    for _ in range(30):
        found = step()
        if not everybody_works(studio):
            return found
    raise AssertionError("the campaign does not end")
