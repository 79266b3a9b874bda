"""A corpus in which everything happens that a campaign knows, each thing once, so that its outcome is known."""

from __future__ import annotations

from typing import Any

from annotation.labelstudio.results import build_annotation_json, rating_results, rationale_results, regional_results
from annotation.records import DIMENSIONS, Box, Region
from tests.editfhf.builder.corpora import AT, HEIGHT, WIDTH, Made, corpus, flaw, task

# Pairs whose number is divisible by three are clean (see `corpora.corpus`).
CLEAN = ("p000", "p003", "p006", "p009")
REVIEWED, EXPLAINED, DISCARDED, DISPUTED, DOUBTED, ALONE, AGAIN = "p002", "p004", "p005", "p007", "p008", "p010", "p011"
OUTLYING_RATER, CARELESS_RATER = 11, 12
OUTLYING_PAIR = "p011"
TEXT = "The hand has six fingers."


def campaign() -> Made:
    made = corpus(raters=15)
    pairs = {pair["pair_id"]: pair for pair in made.pairs}
    _review(made, pairs)
    _explain(made, pairs)
    _flag(made, DISCARDED, "f5", 4)
    _flag(made, DISPUTED, "f7", 3)
    for slot in (1, 2):
        _of(made, f"regions-{slot}.json", ALONE)["annotations"][0]["result"] = []
    _draw_again(made)
    _rate_badly(made)
    return made


def _of(made: Made, file: str, pair_id: str) -> dict[str, Any]:
    return next(item for item in made.exports[file] if item["data"]["pair_id"] == pair_id)


def _review(made: Made, pairs: dict[str, dict[str, Any]]) -> None:
    """The expert sees the artifact only, five pixels wider than the annotators drew it."""
    artifact, _ = flaw(2)
    box = artifact.box._replace(x1=artifact.box.x1 + 5)
    mark = type(artifact)("e2", "artifact", box, artifact.disks[:1], "hand_foot", "severe", "Two left hands.")
    results = regional_results([mark], WIDTH, HEIGHT)
    made.exports["expert.json"] = [task(2, pairs[REVIEWED], {9: results})]


def _explain(made: Made, pairs: dict[str, dict[str, Any]]) -> None:
    """Three reviewers of one region: a text, an agreement, an agreement.  Of another region only one says anything."""
    artifact, failure = flaw(4)
    drafts = [
        _draft("r4", "artifact", artifact.box, TEXT),
        _draft("r4f", "failure", failure.box, "Not what was asked."),
    ]
    rounds = {31: (drafts, "revise"), 32: (drafts[:1], "agree"), 33: (drafts[:1], "agree")}
    statements = []
    for minute, (who, (regions, verdict)) in enumerate(rounds.items()):
        results = {who: rationale_results(regions, verdict, WIDTH, HEIGHT)}
        statement = task(4, pairs[EXPLAINED], results)
        statement["annotations"][0]["updated_at"] = f"2026-01-02T00:0{minute}:00Z"
        statements.append(statement)
    made.exports["rationales.json"] = statements


def _draft(region_id: str, kind: Any, box: Box, text: str) -> Region:
    flaw_type = "hand_foot" if kind == "artifact" else "not_executed"
    return Region(region_id, kind, box, (), flaw_type, "moderate", text, ())


def _flag(made: Made, pair_id: str, region_id: str, times: int) -> None:
    for annotation in _of(made, "ratings.json", pair_id)["annotations"][:times]:
        annotation["result"] += rating_results({}, [region_id])


def _draw_again(made: Made) -> None:
    """An annotator submits a second time and takes the failure back."""
    artifact, _ = flaw(11, -1.0)
    again = regional_results([artifact], WIDTH, HEIGHT)
    at = AT.replace("2026-01-01", "2026-01-03")
    _of(made, "regions-0.json", AGAIN)["annotations"].append(build_annotation_json(99, 11, 1, 1, again, at, 5.0))


def _rate_badly(made: Made) -> None:
    """One rater is far off once; another is far off every time."""
    for item in made.exports["ratings.json"]:
        number = int(item["data"]["pair_id"][1:])
        for annotation in item["annotations"]:
            if annotation["completed_by"] == CARELESS_RATER:
                _score(annotation, dict.fromkeys(DIMENSIONS, 5.0 if number < 6 else 1.0 + number / 100))
            if annotation["completed_by"] == OUTLYING_RATER and item["data"]["pair_id"] == OUTLYING_PAIR:
                _score(annotation, {"perceptual_quality": 1.0})


def _score(annotation: dict[str, Any], scores: dict[str, float]) -> None:
    for result in annotation["result"]:
        if result["from_name"] in scores:
            result["value"]["number"] = scores[result["from_name"]]
