"""Corpora and datasets as a user of the commands meets them: files, JSON, and rows of `datasets.load_dataset`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq

COMMAND = Path(sys.executable).with_name("editfhf")
IMAGES = ("source_image", "edited_image", "artifact_saliency", "failure_saliency")

Row = dict[str, Any]


def command(*words: str | Path) -> str:
    """stdout of `editfhf WORDS`, which must succeed."""
    done = subprocess.run([COMMAND, *map(str, words)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr or done.stdout
    return done.stdout


@dataclass
class Built:
    """A corpus and what was built from it."""

    corpus: Path
    dataset: Path

    def load(self, config: str = "default") -> datasets.DatasetDict:
        return datasets.load_dataset(str(self.dataset), config)

    @cached_property
    def pairs(self) -> dict[str, Row]:
        """Lines of pairs.jsonl by pair."""
        lines = (self.corpus / "pairs.jsonl").read_text(encoding="utf-8").splitlines()
        return {row["pair_id"]: row for row in map(json.loads, lines)}

    @cached_property
    def rows(self) -> dict[str, Row]:
        """Rows of all splits by pair, with their split; images as they are stored."""
        found = {}
        for split, table in self.load().items():
            stored = dict.fromkeys(IMAGES, datasets.Image(decode=False))
            for row in table.cast(datasets.Features(table.features | stored)):
                found[row["pair_id"]] = row | {"split": split}
        return found

    @cached_property
    def marks(self) -> list[Row]:
        return list(self.load("marks")["train"])

    @cached_property
    def ratings(self) -> list[Row]:
        return list(self.load("ratings")["train"])

    @cached_property
    def rejected(self) -> list[Row]:
        return [json.loads(line) for line in (self.dataset / "rejected.jsonl").read_text("utf-8").splitlines()]

    @cached_property
    def statistics(self) -> Row:
        found: Row = json.loads(command("stats", self.dataset, "--json"))
        return found

    def exported(self) -> Iterator[Row]:
        """Every number that a rater gave in the exports of stage 3, with its file and task."""
        for path in sorted((self.corpus / "annotations").glob("ratings*.json")):
            for row, task in enumerate(json.loads(path.read_bytes()), start=1):
                for annotation in task["annotations"]:
                    for item in annotation["result"]:
                        if item["type"] == "number":
                            yield {
                                "pair_id": task["data"]["pair_id"],
                                "annotator_id": str(annotation["completed_by"]),
                                "dimension": item["from_name"],
                                "score": item["value"]["number"],
                                "file": f"annotations/{path.name}",
                                "row": row,
                            }

    def picture(self, name: str) -> bytes:
        return (self.corpus / name).read_bytes()


@dataclass
class Simulated(Built):
    """A simulated corpus, and what only the simulation knows."""

    @cached_property
    def truth(self) -> dict[str, Row]:
        return {row["pair_id"]: row for row in pq.read_table(self.corpus / "truth.parquet").to_pylist()}

    @cached_property
    def careless(self) -> set[str]:
        people = pq.read_table(self.corpus / "truth_raters.parquet").to_pylist()
        return {row["annotator_id"] for row in people if row["careless"]}
