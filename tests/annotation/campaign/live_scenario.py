"""A whole campaign by the commands, with real accounts and two real pairs, on any running Label Studio."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

from annotation import images, interfaces
from annotation.commands import app
from annotation.predictions import rating_results
from annotation.records import DIMENSIONS
from annotation.studio import Studio, personal_token, read_passwords
from editfhf.build import Running, Silent, build, read_options
from editfhf.dataset import load
from tests.annotation.campaign.people_at_work import respond
from tests.annotation.studio_server import Live

EXAMPLES = Path(__file__).parents[3] / "examples" / "real"
TURNS = [["revise"], ["revise"], ["agree"], ["agree"]]
ROLES = {
    "tour-ann": ["regional", "reviewer"],
    "tour-bob": ["regional", "rater"],
    "tour-cat": ["regional", "rater"],
    "tour-dan": ["reviewer", "rater"],
    "tour-eve": ["reviewer", "rater"],
    "tour-max": ["expert"],
}


def two_pairs(live: Live, root: Path) -> Path:
    """A corpus of two pairs of the example, whose pictures the server shows as well."""
    lines = [json.loads(line) for line in (EXAMPLES / "pairs.jsonl").read_text().splitlines()]
    chosen = [lines[0], next(line for line in lines if line["source_id"] != lines[0]["source_id"])]
    (root / "images").mkdir(parents=True)
    shutil.copy(EXAMPLES / "corpus.yaml", root)
    (root / "pairs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in chosen))
    for line in chosen:
        for name in (line["source"], line["edited"]):
            shutil.copy(EXAMPLES / name, root / "images")
            shutil.copy(EXAMPLES / name, live.corpus / "images")
    return root


def command(*words: str | Path) -> str:
    """What a command says; it must succeed."""
    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def sizes(corpus: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for line in map(json.loads, (corpus / "pairs.jsonl").read_text().splitlines()):
        info = images.inspect(images.read(corpus, line["edited"]))
        found[line["pair_id"]] = (info.width, info.height)
    return found


def answer(task: dict[str, Any], size: tuple[int, int]) -> list[dict[str, Any]]:
    stage, _, person, _ = task["data"]["key"].split("/")
    if stage != "scoring":
        return respond(task, size)
    best = 3.0 + sorted(ROLES).index(person) / 4
    scores = {name: best - place / 3 for place, name in enumerate(DIMENSIONS)}
    flagged = [choice["alias"] for choice in task["data"]["region_choices"]]
    shift = -1.5 if "editeval" in task["data"]["pair_id"] else 0.0
    return rating_results(
        {name: score + shift for name, score in scores.items()}, flagged if person == "tour-eve" else []
    )


def everybody_works(live: Live, corpus: Path, keys: dict[str, str]) -> int:
    """Each person opens their own projects and submits what is open; how many tasks that were."""
    done = 0
    size = sizes(corpus)
    for name, key in keys.items():
        with Studio(live.server.url, key) as person:
            user_id = person.whoami().user_id
            mine = [found for found in person.projects() if is_of(found.description, name)]
            for task in [task for project in mine for task in person.tasks(project.project_id)]:
                assert set(interfaces.data_fields(task["data"]["key"].split("/")[0])) <= task["data"].keys()
                if not any(one["completed_by"] == user_id for one in task["annotations"]):
                    results = answer(task, size[task["data"]["pair_id"]])
                    person.import_annotations(task["id"], [{"result": results, "lead_time": 10.0}])
                    done += 1
    return done


def is_of(description: str, name: str) -> bool:
    marker = description.splitlines()[-1] if description else ""
    return marker.startswith("editfhf:tour/") and marker.endswith(f"/{name}")


def meddle(live: Live, key: str, corpus: Path) -> None:
    """Somebody submits, in the first task of tour-ann, what is not theirs to say."""
    with Studio(live.server.url, key) as person:
        project = person.find_project("editfhf:tour/regional/tour-ann")
        assert project is not None
        task = next(person.tasks(project.project_id))
        results = answer(task, sizes(corpus)[task["data"]["pair_id"]])
        person.import_annotations(task["id"], [{"result": results}])


def from_an_empty_server_to_the_rows_of_a_dataset(live: Live, folder: Path) -> None:
    """A campaign from nothing to its dataset; the server, which is killed on the way, knows none of its people yet.

    folder: is filled with the corpus, its dataset, and what the manager writes.
    """
    corpus = two_pairs(live, folder / "corpus")
    people = [
        {"person_id": name, "email": f"{name}@example.org", "name": name.title(), "roles": roles}
        for name, roles in ROLES.items()
    ]
    config, passwords = folder / "config.yaml", folder / "passwords.csv"
    config.write_text(yaml.safe_dump({"campaign_id": "tour", "name": "A tour", "raters": 4, "people": people}))
    assert "raters: 4" in command("create", corpus, "--config", config, "--dry-run")
    assert not (corpus / "campaign").exists()
    command("create", corpus, "--config", config)
    words = ("sync", corpus, "--data", live.server.data, "--passwords", passwords)
    said = command(*words)
    assert "6 regional" in said
    assert said.count("Made an account for") == len(ROLES)
    assert passwords.stat().st_mode & 0o777 == 0o600
    keys = {
        email.partition("@")[0]: personal_token(live.server.url, email, password)
        for email, password in read_passwords(passwords).items()
    }
    meddle(live, keys["tour-bob"], corpus)
    assert "wrong_person" in command(*words)
    assert "wrong_person" not in command(*words)
    for turn in range(20):
        if not everybody_works(live, corpus, keys):
            break
        if turn == 1:
            live.server.kill()
            live.restart()
        command(*words)
    said = command("export", corpus)
    assert "2 of 2 pairs went through every step" in said
    check_rows(corpus, folder / "dataset")


def check_rows(corpus: Path, dataset: Path) -> None:
    build(corpus, dataset, read_options(None), Running(workers=1), Silent())
    rejected = [json.loads(line) for line in (dataset / "rejected.jsonl").read_text().splitlines()]
    assert [one for one in rejected if one["what"] not in ("score", "rating", "rater")] == []
    rows = [row for split in load(dataset).values() for row in split]
    assert len(rows) == 2
    for row in rows:
        [region] = row["artifact_regions"]
        assert (region["rationale"], region["flaw_type"], region["severity"]) == ("Text 1 <b>א🦊", "face", "minor")
        assert len(region["disks"]) == 4
        assert len(region["annotators"]) == 4
        assert row["edited_image"].size == row["artifact_saliency"].size
        assert row["artifact_peak"] > 0
    ratings = [row for split in load(dataset, "ratings").values() for row in split]
    assert len(ratings) == 2 * 4 * len(DIMENSIONS)
    said = json.loads((corpus / "annotations" / "rationales-tour.json").read_text())
    assert all([one["result"][-1]["value"]["choices"] for one in task["annotations"]] == TURNS for task in said)
