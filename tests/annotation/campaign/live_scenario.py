"""A whole campaign by the commands, with real accounts and real pairs, on any running Label Studio.

Candidates qualify, three annotators mark, an expert reviews, drafts come, reviewers take turns, fifteen raters score,
gold is hidden among the tasks, somebody meddles, and the server is killed on the way.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from tests.annotation.campaign import live_answers, live_checks, live_example
from tests.annotation.campaign.live_answers import PAIRS, answer
from tests.annotation.campaign.live_checks import command
from tests.annotation.campaign.live_people import CAMPAIGN, ROLES, Crowd, table
from tests.annotation.studio_server import Live

OPTIONS: dict[str, Any] = {
    "campaign_id": CAMPAIGN,
    "name": "A tour",
    "rounds": 2,
    "wait_for_drafts": True,
    "qualification": {"min_tasks": 3},
    "gold": {"rate": 0.375},
}
"""With 8 tasks of somebody go 3 of hidden gold."""


def from_an_empty_server_to_the_rows_of_a_dataset(live: Live, folder: Path) -> None:
    """A campaign from nothing to its dataset; the server, which is killed on the way, knows none of its people yet.

    folder: is filled with the corpus, its dataset, and what the manager writes.
    """
    corpus = live_example.write_corpus(folder / "corpus", PAIRS, live_answers.GOLD, live.corpus / "images")
    config, passwords = folder / "config.yaml", folder / "passwords.csv"
    config.write_text(yaml.safe_dump(OPTIONS | {"people": table()}))
    assert "raters: 15" in command("create", corpus, "--config", config, "--dry-run")
    assert not (corpus / "campaign").exists()
    command("create", corpus, "--config", config)
    sync = ("sync", corpus, "--data", live.server.data, "--passwords", passwords)
    said = command(*sync)
    assert "3 qualification" in said
    assert said.count("Created an account for") == len(ROLES)
    assert passwords.stat().st_mode & 0o777 == 0o600
    crowd = Crowd(live, passwords)
    meddle(crowd)
    assert "wrong_person" in command(*sync)
    assert "wrong_person" not in command(*sync)
    until_nobody_has_work(live, crowd, sync, killed=1)
    live_checks.midway(corpus, folder / "status.html")
    drafts_come(corpus)
    until_nobody_has_work(live, crowd, sync)
    assert "8 of 8 pairs finished all stages" in command("export", corpus)
    live_checks.people(crowd, corpus)
    live_checks.texts(crowd, corpus)
    live_checks.dataset(corpus, folder / "dataset")


def until_nobody_has_work(live: Live, crowd: Crowd, sync: tuple[str | Path, ...], killed: int | None = None) -> None:
    """Everybody works and the manager syncs, in turn; in the turn `killed` the server dies in between."""
    for turn in range(20):
        said = command(*sync)
        worked = crowd.work(answer)
        if not worked:
            return
        if turn == killed:
            live.server.kill()
            live.restart()
    raise AssertionError(f"the campaign does not end: {said}")


def meddle(crowd: Crowd) -> None:
    """Bob submits, in ann's first task, what is not his to say."""
    first = crowd.tasks("tour-ann", "regional")[0]
    with crowd.studio("tour-bob") as bob:
        bob.import_annotations(first["id"], [{"result": answer("tour-bob", first)}])


def drafts_come(corpus: Path) -> None:
    """Once the expert has reviewed everything, the reviewers wait for drafts, which are written then."""
    command("export", corpus)
    reviews = json.loads((corpus / "annotations" / f"expert-{CAMPAIGN}.json").read_text())
    regions = {
        (task["data"]["pair_id"], item["id"])
        for task in reviews
        for item in task["annotations"][0]["result"]
        if item.get("from_name") == "box" and item["id"] != live_answers.OTHER_HAND
    }
    live_example.write_drafts(corpus, PAIRS)
    drafts = [json.loads(line) for line in (corpus / "drafts.jsonl").read_text().splitlines()]
    assert {(draft["pair_id"], draft["region_id"]) for draft in drafts} == regions
