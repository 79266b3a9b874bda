"""What must have come of the campaign on a real server: who qualified, how the texts came about, the dataset's rows."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

import datasets
import pytest
from typer import Typer
from typer.testing import CliRunner

from annotation.commands import annotate_app
from annotation.records import DIMENSIONS, KINDS
from editfhf.cli import app
from tests.annotation.campaign import live_example
from tests.annotation.campaign.live_answers import (
    BOWL,
    CARELESS,
    CAT,
    CLEAN,
    CONTESTED,
    FLAGS,
    HIDDEN,
    KLEIN,
    MAGE,
    OTHER_HAND,
    OTHER_HAND_TEXT,
    PAIRS,
    PEARL,
    PLANET,
    REVISED,
    REVISION,
    SETTLED,
    SLIP,
    TONGS,
    score,
    stubborn,
)
from tests.annotation.campaign.live_people import CAMPAIGN, PASS, RATERS, REVIEWERS, Crowd


class Expected(NamedTuple):
    """A region of the dataset. `seen_by` are annotators; the disks are theirs, or the expert's who drew it again."""

    region_id: str
    flaw_type: str
    severity: str
    seen_by: str
    disks: int


ROWS: dict[str, list[Expected]] = {
    BOWL: [
        Expected("a-08ecf1d1", "light_shadow", "severe", "ann bob cat", 7),
        Expected("f-7a519739", "wrong_position", "severe", "ann bob cat", 7),
    ],
    CAT: [
        Expected("a-ff0d57c3", "hand_foot", "severe", "ann bob", 4),
        Expected("f-d69b1336", "identity_loss", "moderate", "ann cat", 4),
    ],
    PEARL: [Expected("f-c1e78fbd", "unintended_change", "minor", "ann cat", 2)],
    KLEIN: [
        Expected("a-c6b026dc", "garbled_text", "minor", "ann cat", 3),
        Expected("f-98c5670a", "wrong_content", "severe", "ann bob cat", 3),
    ],
    MAGE: [Expected("f-6528a452", "wrong_content", "severe", "ann bob cat", 3)],
    TONGS: [
        Expected("a-591882e7", "hand_foot", "severe", "ann bob cat", 6),
        Expected(OTHER_HAND, "hand_foot", "minor", "bob", 1),
    ],
    PLANET: [
        Expected("f-10cf3534", "unintended_change", "moderate", "ann bob cat", 4),
        Expected("f-02a41ef7", "wrong_content", "moderate", "ann bob cat", 3),
    ],
    CLEAN: [],
}
SPLITS = {"train": {PLANET, CLEAN, KLEIN, MAGE, PEARL}, "validation": {CAT}, "test": {BOWL, TONGS}}
FLAGGED = next(name for name, raters in FLAGS.items() if len(raters) > 3)


def command(*words: str | Path, of: Typer = annotate_app) -> str:
    """What a command says; it must succeed."""
    done = CliRunner().invoke(of, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout if "--json" in words else done.output


def midway(corpus: Path, page: Path) -> None:
    """Everything waits for drafts, but for the pair without a region."""
    found = json.loads(command("status", corpus, "--page", page, "--json"))
    assert {row["stage"]: (row["done"], row["assigned"]) for row in found["stages"]} == {
        "qualification": (18, 18),
        "regional": (34, 34),
        "expert": (8, 8),
        "scoring": (21, 21),
    }
    assert (found["finished"], found["pairs"], found["set_aside"]) == (1, 8, {"wrong_person": 1})
    assert found["to_come"] == {"scoring": 7 * 15}
    failed, waits = found["notes"]
    assert failed.startswith("Did not qualify, ") and "tour-zoe" in failed
    assert waits.startswith("7 pairs wait until each of their regions has a draft in drafts.jsonl: editreward-bowl-1, ")
    assert waits.endswith(" and 2 more.")
    assert "tour-max" in page.read_text()


def people(crowd: Crowd, corpus: Path) -> None:
    """Who qualified works, who failed has no work; everybody met all hidden gold, which gives one rater away."""
    found = json.loads(command("qualify", corpus, "--json"))
    standings = {one["person_id"]: (one["phase"], one["attempt"]) for one in found["candidates"]}
    assert standings == {"tour-kim": ("passed", 0), "tour-cat": ("passed", 1), "tour-zoe": ("failed", 1)}
    projects = crowd.projects()
    assert projects["tour-zoe"].keys() == {"qualification"}
    assert projects["tour-cat"].keys() == {"qualification", "regional", "scoring"}
    gold = {(one["stage"], one["person_id"]): (one["agreed"], one["n"], one["flagged"]) for one in found["gold"]}
    right = dict.fromkeys([("regional", name) for name in PASS] + [("scoring", name) for name in RATERS], (3, 3, False))
    assert gold == right | {("scoring", CARELESS): (0, 3, True)}
    done = json.loads(command("status", corpus, "--json"))
    assert (done["finished"], done["total"]["left"]) == (8, 0)
    assert {row["stage"]: row["done"] for row in done["stages"]}["scoring"] == 15 * (8 + 3)
    aside = [json.loads(line) for line in (corpus / "campaign" / "set_aside.jsonl").read_text().splitlines()]
    assert [one["reason"] for one in aside] == ["wrong_person"]


def texts(crowd: Crowd, corpus: Path) -> None:
    """Drafts were shown, agreed with or revised; what nobody agreed on, the expert saw with its whole history."""
    drafts = {
        name: region.text for pair_id in PAIRS for name, region in live_example.regions().get(pair_id, {}).items()
    }
    tasks = [task for name in REVIEWERS for task in crowd.tasks(name, "textual")]
    assert len(tasks) == 26
    first = [task for task in tasks if task["data"]["key"].endswith("/0")]
    assert {name: text for task in first for name, text in task["data"]["seen"].items()} == drafts
    shown = {
        item["id"]: item["value"]["text"]
        for task in first
        for item in task["predictions"][-1]["result"]
        if item["from_name"] == "rationale"
    }
    assert shown == {name: [text] for name, text in drafts.items()}
    said = spoken(corpus)
    assert said.keys() == drafts.keys()
    for name, words in said.items():
        if name == CONTESTED:
            assert sorted(words) == sorted(2 * [(person, stubborn(person)) for person in REVIEWERS])
            continue
        last = dict(words[-3:])
        assert last == dict.fromkeys(REVIEWERS, REVISION if name in REVISED else drafts[name])
        assert (("tour-eve", REVISION) in words) == (name in REVISED)
    [settled] = crowd.tasks("tour-max", "expert_text")
    history = settled["data"]["history"].splitlines()
    assert history[0].startswith("1. failure, ")
    assert history[1] == f"draft: {drafts[CONTESTED]}"
    assert [line.partition(": ")[2] for line in history[2:]] == [text for _, text in said[CONTESTED]]


def spoken(corpus: Path) -> dict[str, list[tuple[str, str]]]:
    """What the export has of each region: who stood by which text, in their order."""
    found: dict[str, list[tuple[str, str]]] = {}
    for task in json.loads((corpus / "annotations" / f"rationales-{CAMPAIGN}.json").read_text()):
        for annotation in task["annotations"]:
            person = annotation["completed_by"]["email"]
            for item in annotation["result"]:
                if item["from_name"] == "rationale":
                    found.setdefault(item["id"], []).append((person, item["value"]["text"][0]))
    return found


def dataset(corpus: Path, folder: Path) -> None:
    """The dataset has what people said, and nothing of gold."""
    config = corpus.parent / "build.yaml"
    config.write_text("pseudonyms: false\n")
    command("build", corpus, folder, "--config", config, "--workers", "1", "--quiet", of=app)
    rejected = [json.loads(line) for line in (folder / "rejected.jsonl").read_text().splitlines()]
    assert [(one["reason"], one["pair_id"], one["item_id"]) for one in rejected] == [("flagged", PEARL, FLAGGED)]
    splits = datasets.load_dataset(str(folder))
    assert {name: set(split["pair_id"]) for name, split in splits.items()} == SPLITS
    rows = {row["pair_id"]: row for split in splits.values() for row in split}
    assert len(rows) == sum(split.num_rows for split in splits.values()) == len(PAIRS)
    for pair_id, row in rows.items():
        regions(pair_id, row)
        assert row["instruction"] == live_example.lines()[pair_id]["instruction"]
    pictures(splits)
    ratings(folder, rows)
    marks(folder)


def regions(pair_id: str, row: dict[str, Any]) -> None:
    """The regions of one row, in any order."""
    drafts = live_example.regions().get(pair_id, {})
    found = {region["region_id"]: (kind, region) for kind in KINDS for region in row[f"{kind}_regions"]}
    assert found.keys() == {one.region_id for one in ROWS[pair_id]}
    for one in ROWS[pair_id]:
        kind, region = found[one.region_id]
        assert (region["flaw_type"], region["severity"], len(region["disks"])) == one[1:3] + one[4:]
        assert region["annotators"] == sorted(f"tour-{name}" for name in [*one.seen_by.split(), "max"])
        if one.region_id == OTHER_HAND:
            assert (kind, region["rationale"]) == ("artifact", OTHER_HAND_TEXT)
            continue
        draft = drafts[one.region_id]
        text = REVISION if one.region_id in REVISED else SETTLED if one.region_id == CONTESTED else draft.text
        assert (kind, region["rationale"]) == (draft.kind, text)
        assert region["box"] == pytest.approx(draft.box, abs=0.01)
    for kind in KINDS:
        assert (row[f"{kind}_peak"] > 0) == bool(row[f"{kind}_regions"])
        assert row[f"{kind}_saliency"].size == row["edited_image"].size


def pictures(splits: datasets.DatasetDict) -> None:
    """The pictures are the example's to the byte."""
    for split in splits.values():
        raw = split.cast_column("edited_image", datasets.Image(decode=False)).select_columns(
            ["pair_id", "edited_image"]
        )
        for row in raw:
            file = live_example.EXAMPLE / live_example.lines()[row["pair_id"]]["edited"]
            assert row["edited_image"]["bytes"] == file.read_bytes()


def ratings(folder: Path, rows: dict[str, dict[str, Any]]) -> None:
    """Every rating with its fate, the careless rater left out, and the scores of those who remain (paper, 3.3)."""
    table = datasets.load_dataset(str(folder), "ratings", split="train")
    status = {(row["annotator_id"], row["pair_id"], row["dimension"]): row["status"] for row in table}
    given = {
        (name, pair_id, dimension): score(name, pair_id, dimension)
        for name in RATERS
        for pair_id in PAIRS
        for dimension in DIMENSIONS
    }
    assert {(row["annotator_id"], row["pair_id"], row["dimension"]): row["score"] for row in table} == given
    assert table.num_rows == len(given) == 360
    outliers = far_off(given)
    assert {cell for cell in outliers if cell[0] != CARELESS} == {SLIP}
    assert status == {
        cell: "outlier" if cell in outliers else "rater_excluded" if cell[0] == CARELESS else "kept" for cell in given
    }
    raters = datasets.load_dataset(str(folder), "annotators", split="train")
    assert [(row["annotator_id"], row["reason"]) for row in raters if row["excluded"]] == [(CARELESS, "outlier_share")]
    assert {row["annotator_id"]: row["ratings"] for row in raters if row["ratings"]} == dict.fromkeys(RATERS, 24)
    seen = {row["annotator_id"]: row["regional_annotations"] for row in raters if row["regional_annotations"]}
    assert seen == dict.fromkeys([*PASS, "tour-max"], len(PAIRS))
    assert {"tour-zoe", *HIDDEN}.isdisjoint([*raters["annotator_id"], *table["pair_id"]])
    kept = {cell: value for cell, value in given.items() if cell not in outliers and cell[0] != CARELESS}
    for pair_id, row in rows.items():
        for dimension in DIMENSIONS:
            count, mean = mean_opinion(kept, pair_id, dimension)
            assert row[f"{dimension}_n"] == count
            assert row[dimension] == pytest.approx(mean, abs=0.001)


Given = dict[tuple[str, str, str], float]


def far_off(given: Given) -> set[tuple[str, str, str]]:
    """Ratings more than two standard deviations from the mean of their pair and dimension."""
    found = set()
    for pair_id in PAIRS:
        for dimension in DIMENSIONS:
            values = [given[name, pair_id, dimension] for name in RATERS]
            middle, spread = fmean(values), stdev(values)
            found |= {
                (name, pair_id, dimension)
                for name, value in zip(RATERS, values, strict=True)
                if abs(value - middle) > 2 * spread
            }
    return found


def mean_opinion(kept: Given, pair_id: str, dimension: str) -> tuple[int, float]:
    """How many ratings of a pair are kept, and the mean of their z-scores on a scale of 0 to 100."""
    scores = []
    for name in RATERS:
        if (name, pair_id, dimension) in kept:
            own = [value for (who, _, what), value in kept.items() if (who, what) == (name, dimension)]
            scores.append((kept[name, pair_id, dimension] - fmean(own)) / stdev(own))
    return len(scores), 100 * (fmean(scores) + 3) / 6


def marks(folder: Path) -> None:
    """Of what was drawn, what the expert did not take up and what raters flagged stays on record."""
    table = datasets.load_dataset(str(folder), "marks", split="train")
    fates = {(row["pair_id"], row["mark_id"]): row["status"] for row in table if row["status"] != "superseded"}
    flagged = {mark for mark, status in fates.items() if status == "flagged"}
    assert flagged == {(PEARL, name) for name in (FLAGGED, "earring-1", "earring-2", "earring-3")}
    assert {mark for mark, status in fates.items() if status == "overruled"} == {
        (BOWL, "beak-3"),
        (CAT, "light-2"),
        (CLEAN, "soft-2"),
        (KLEIN, "card-2"),
        (MAGE, "card-2"),
        (PEARL, "ear-2"),
        (TONGS, "badge-1"),
    }
    assert fates[TONGS, "hand2-2"] == "accepted"
