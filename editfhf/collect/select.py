"""Step 5: the best results of every instance as a corpus that `editfhf annotate` and `editfhf build` read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml

from annotation.corpus import META_FILE, PAIRS_FILE
from annotation.images import decode_image, read_image_bytes
from annotation.json_lines import write_json_lines
from annotation.rules import compute_overall
from editfhf.collect.folder import (
    EDITS_FOLDER,
    PROMPTS_FILE,
    SCORES_FILE,
    SOURCES_FILE,
    finish_step,
    lock_collection,
    read_counts,
    read_table,
)
from editfhf.collect.quality import convert_to_grey, count_different_bits, hash_image
from editfhf.collect.sources import ATTRIBUTION_FILE, write_attribution
from mos.errors import UserError
from mos.files import open_folder_replacement

COLLECTION_FILE = "collection.json"
"""File of the corpus with the counts of every step."""


@dataclass(frozen=True, slots=True)
class SelectionRules:
    """Rules of the selection.

    Attributes
    ----------
    top : int
        Results of each instance at most.
    least : float
        Overall score, in [0, 100], below which no result is used.
    max_distance : int
        Bits, of 64, in which the hashes of near-duplicate results differ at most; -1 keeps duplicates.
    """

    top: int = 3
    least: float = 0.0
    max_distance: int = -1


@dataclass(frozen=True, slots=True)
class ScoredResult:
    """A result with its overall score and the hash of its image."""

    result: str
    overall: float
    hash: int


def choose_results(
    results: Sequence[ScoredResult], rules: SelectionRules
) -> tuple[list[ScoredResult], dict[str, tuple[str, str]]]:
    """Choose among the results of one instance; ties are decided by the name of the result.

    Returns
    -------
    list of ScoredResult
        The best first.
    dict
        Reason and message of every other result.
    """
    chosen: list[ScoredResult] = []
    left: dict[str, tuple[str, str]] = {}
    for one in sorted(results, key=lambda one: (-one.overall, one.result)):
        twin = next((best for best in chosen if count_different_bits(best.hash, one.hash) <= rules.max_distance), None)
        if one.overall < rules.least:
            left[one.result] = ("below_threshold", f"Overall {one.overall:.2f}: at least {rules.least:g}.")
        elif twin is not None:
            left[one.result] = ("near_duplicate", f"It looks like {twin.result}, which is better.")
        elif len(chosen) == rules.top:
            left[one.result] = ("not_among_the_best", f"{rules.top} results of this instance are better.")
        else:
            chosen.append(one)
    return chosen, left


def select_pairs(root: Path, corpus: Path, name: str, rules: SelectionRules) -> dict[str, int]:
    """Write the chosen results as a corpus with the counts of every step; returns the counts of this one.

    Raises
    ------
    UserError
        The corpus exists, or the steps before were not run.
    """
    if corpus.exists():
        raise UserError(f"{corpus} exists: expected the name of a new folder. Choose another name, or move it away.")
    with lock_collection(root):
        scored = [row for row in read_table(root, SCORES_FILE, "score") if row["status"] == "ok"]
        instances = {row["instance_id"]: row for row in read_table(root, PROMPTS_FILE, "prompts")}
        groups: dict[str, list[ScoredResult]] = defaultdict(list)
        for row in scored:
            grey = convert_to_grey(decode_image(read_image_bytes(root, f"{row['result']}.png")))
            result = ScoredResult(row["result"], compute_overall(row["scores"]) or 0.0, hash_image(grey))
            groups[_instance_of(row["result"])].append(result)
        chosen: list[ScoredResult] = []
        rejected = []
        for key in instances:
            best, left = choose_results(groups[key], rules)
            chosen += best
            rejected += [
                {"item": item, "reason": reason, "message": message} for item, (reason, message) in left.items()
            ]
        counts = finish_step(root, "select", len(scored), len(chosen), rejected)
        _write_corpus(root, corpus, name, chosen, instances)
        return counts


def _instance_of(result: str) -> str:
    return result.removeprefix(f"{EDITS_FOLDER}/").partition("/")[0]


def _write_corpus(
    root: Path, corpus: Path, name: str, chosen: Sequence[ScoredResult], instances: Mapping[str, Mapping[str, Any]]
) -> None:
    pairs = []
    with open_folder_replacement(corpus) as work:
        (work / "images").mkdir()
        for one in chosen:
            row = instances[_instance_of(one.result)]
            editor = Path(one.result).name
            pair_id = f"{row['instance_id']}-{editor}"
            edited = f"images/{pair_id}.png"
            (work / edited).write_bytes(read_image_bytes(root, f"{one.result}.png"))
            (work / row["image"]).write_bytes(read_image_bytes(root, row["image"]))
            shared = {key: row[key] for key in ("source_id", "instruction", "task", "licence", "origin")}
            pairs.append({"pair_id": pair_id, "source": row["image"], "edited": edited, "editor": editor, **shared})
        write_json_lines(work / PAIRS_FILE, pairs)
        (work / META_FILE).write_text(yaml.safe_dump({"name": name}, allow_unicode=True), encoding="utf-8")
        used = {pair["source_id"] for pair in pairs}
        sources = [row for row in read_table(root, SOURCES_FILE, "sources") if row["source_id"] in used]
        (work / ATTRIBUTION_FILE).write_bytes(write_attribution(sources))
        record = {"steps": read_counts(root), "pairs": len(pairs), "sources": len(sources)}
        (work / COLLECTION_FILE).write_bytes(orjson.dumps(record, option=orjson.OPT_INDENT_2))
