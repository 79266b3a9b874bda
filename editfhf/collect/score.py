"""Step 4: a score for every result, by any plain function. A failure is a status, never a number."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import orjson

from annotation.images import RgbImage, decode_image, read_image_bytes
from annotation.json_lines import read_json_lines, write_json_lines
from annotation.records import DIMENSIONS
from editfhf.chat import Prices, Usage
from editfhf.chat.costs import max_usage
from editfhf.collect.edit import PlannedEdit, read_outcome
from editfhf.collect.folder import (
    EDITS_FOLDER,
    PROMPTS_FILE,
    SCORES_FILE,
    finish_step,
    lock_collection,
    read_table,
)
from editfhf.collect.judge import build_judge_request
from mos.console import Progress
from mos.errors import UserError
from mos.files import append_lines

Scorer = Callable[[RgbImage, RgbImage, str], Mapping[str, float]]
"""From source, edited image and instruction to a score in [0, 100] by dimension; a missing dimension has no score."""


def load_scorer(name: str) -> Scorer:
    """The function that `module:function` names; `UserError` when there is none."""
    module, _, function = name.partition(":")
    try:
        return cast(Scorer, getattr(import_module(module), function))
    except (ImportError, AttributeError, ValueError):
        raise UserError(f"No function {name!r}: expected MODULE:FUNCTION of an installed module.") from None


def list_results(root: Path) -> list[PlannedEdit]:
    """Edits with an image, in the order of the instances and then of the names of the editors."""
    found = []
    for row in read_table(root, PROMPTS_FILE, "prompts"):
        for path in sorted((root / EDITS_FOLDER / row["instance_id"]).glob("*.json")):
            planned = PlannedEdit(row, path.stem)
            outcome = read_outcome(root, planned)
            # An edit of an instruction that a person has corrected since is no result.
            if outcome["status"] == "ok" and outcome["instruction"] == row["instruction"]:
                found.append(planned)
    return found


def collect_scores(root: Path, name: str, scorer: Scorer, progress: Progress) -> dict[str, int]:
    """Score the results that have no score by this scorer yet, and write `scores.jsonl`.

    Parameters
    ----------
    root : Path
        Folder of the collection.
    name : str
        Name of the scorer, which every line of the table has.
    scorer : callable
        See `Scorer`.
    progress : Progress
        Counts results.

    Returns
    -------
    dict
        Counts in and out; a result without all dimensions is rejected.
    """
    with lock_collection(root):
        results = list_results(root)
        known = _read_scores(root, name)
        progress.begin("Scores", len(results))
        for one in results:
            digest = hashlib.sha256(read_image_bytes(root, f"{one.path}.png")).hexdigest()
            if one.path not in known or known[one.path]["digest"] != digest:
                known[one.path] = _score_result(root, one, name, scorer) | {"digest": digest}
                append_lines(root / SCORES_FILE, [orjson.dumps(known[one.path]) + b"\n"], sync=False)
            progress.advance()
        rows = [known[one.path] for one in results]
        write_json_lines(root / SCORES_FILE, rows)
        failed = [row for row in rows if row["status"] != "ok"]
        rejected = [
            {"item": row["result"], "reason": "not_scored", "message": "A dimension has no score."} for row in failed
        ]
        return finish_step(root, "score", len(rows), len(rows) - len(failed), rejected)


def _read_scores(root: Path, name: str) -> dict[str, dict[str, Any]]:
    if not (root / SCORES_FILE).is_file():
        return {}
    # The last line may be cut by a kill; it is made again.
    rows = (row for _, row in read_json_lines(root / SCORES_FILE, SCORES_FILE, lambda _: None))
    # A result without a score is asked about again: the judge may have been out of money or unreachable.
    return {row["result"]: row for row in rows if row.get("scorer") == name and row.get("status") == "ok"}


def _score_result(root: Path, planned: PlannedEdit, name: str, scorer: Scorer) -> dict[str, Any]:
    source = decode_image(read_image_bytes(root, planned.instance["image"]))
    edited = decode_image(read_image_bytes(root, f"{planned.path}.png"))
    values = scorer(source, edited, planned.instance["instruction"])
    scores = {key: float(values[key]) if _is_score(values.get(key)) else None for key in DIMENSIONS}
    status = "ok" if None not in scores.values() else "unscored"
    return {"result": planned.path, "scorer": name, "status": status, "scores": scores}


def _is_score(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 100


def estimate_judge(root: Path, model: str, prices: Prices) -> Usage:
    """Largest usage of a judge that scores every result; nothing is sent."""
    total = Usage()
    for one in list_results(root):
        source = decode_image(read_image_bytes(root, one.instance["image"]))
        edited = decode_image(read_image_bytes(root, f"{one.path}.png"))
        total += max_usage(build_judge_request(model, source, edited, one.instance["instruction"]), prices)
    return total
