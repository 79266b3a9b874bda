"""A small campaign of a test with gold: for training, two attempts, and hidden among the tasks."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from annotation.campaign.options import write_campaign_options
from tests.annotation.campaign.people_at_work import gold_scores, mark
from tests.annotation.campaign.pilot import SIZE, corpus_of, pilot

TRAINING = ("t0", "t1")
ATTEMPTS = tuple(tuple(f"g{attempt}{number}" for number in range(5)) for attempt in range(2))
HIDDEN = tuple(f"p{number}" for number in range(900, 906))


def gold_line(pair_id: str, part: str, **fields: Any) -> dict[str, Any]:
    """A line of gold.jsonl about a pair that is not in pairs.jsonl."""
    truth = asdict(mark("gold", SIZE)) | {"rationale": "A seam."}
    del truth["mark_id"]
    pair = {"pair_id": pair_id, "source": "images/a.png", "edited": "images/a.png", "instruction": "Do it."}
    scores = gold_scores("4") if part == "hidden" else gold_scores(pair_id)
    return pair | {"set": part, "marks": [truth], "scores": scores} | fields


def gold_lines() -> list[dict[str, Any]]:
    lines = [gold_line(pair_id, "training", explanation="See the seam.") for pair_id in TRAINING]
    for attempt, names in enumerate(ATTEMPTS):
        lines += [gold_line(pair_id, "attempt", attempt=attempt) for pair_id in names]
    return lines + [gold_line(pair_id, "hidden") for pair_id in HIDDEN]


def write_gold(root: Path, lines: list[dict[str, Any]]) -> None:
    (root / "gold.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def gold_corpus(root: Path, pairs: int = 2, **fields: Any) -> Path:
    """A corpus of `pilot` with gold, whose campaign has the options `fields`."""
    corpus_of(root, pairs)
    write_gold(root, gold_lines())
    write_campaign_options(root, pilot(**fields), force=True)
    return root


def people(*candidates: str, **roles: list[str]) -> list[dict[str, Any]]:
    """The people of `pilot`, some of them candidates, and others besides."""
    found = [person.model_dump(mode="json") for person in pilot().people]
    for person in found:
        if person["person_id"] in candidates:
            person["roles"] = ["candidate", *person["roles"]]
    return found + [
        {"person_id": name, "email": f"{name}@x.org", "name": name.title(), "roles": own} for name, own in roles.items()
    ]
