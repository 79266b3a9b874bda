from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from annotation.corpus import Corpus
from annotation.export import ratings, rationales, read_tasks, regional
from annotation.records import Flag, Place, Rating, Rationale, RegionalAnnotation, Rejection

pytest.importorskip("skimage")
pytest.importorskip("sklearn")

from editfhf.simulate import Settings, simulate
from editfhf.simulate.photos import packaged


@dataclass
class Read:
    """A simulated corpus as the readers of real corpora see it, and its truth."""

    root: Path
    pairs: list[Any]
    regions: list[RegionalAnnotation]
    expert: list[RegionalAnnotation]
    rationales: list[Rationale]
    ratings: list[Rating]
    flags: list[Flag]
    rejected: list[Rejection]
    truth: dict[str, dict[str, Any]]
    raters: dict[str, dict[str, Any]]


def read(root: Path) -> Read:
    rejected: list[Rejection] = []
    corpus = Corpus.open(root)
    truth = {row["pair_id"]: row for row in pq.read_table(root / "truth.parquet").to_pylist()}
    raters = {row["annotator_id"]: row for row in pq.read_table(root / "truth_raters.parquet").to_pylist()}
    found = Read(root, list(corpus.pairs(rejected.append)), [], [], [], [], [], rejected, truth, raters)
    for content, files in corpus.files(rejected.append).items():
        for file in (name for name in files if name.endswith(".json")):
            for number, task in read_tasks(root / file, file, rejected.append):
                pair = truth[task["data"]["pair_id"]]
                place, size = Place(file, number), (pair["width"], pair["height"])
                match content:
                    case "regions":
                        found.regions += regional(task, place, size, rejected.append)
                    case "expert":
                        found.expert += regional(task, place, size, rejected.append)
                    case "rationales":
                        found.rationales += rationales(task, place, size, rejected.append)
                    case _:
                        scores, flags = ratings(task, place, rejected.append)
                        found.ratings += scores
                        found.flags += flags
    return found


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Read:
    """180 small pairs from lossless pictures, one of 15 raters careless."""
    root = tmp_path_factory.mktemp("simulated") / "corpus"
    settings = Settings(pairs=180, height=96, format="png", seed=5)
    simulate(settings, packaged(), root, 1, lambda _: None)
    return read(root)
