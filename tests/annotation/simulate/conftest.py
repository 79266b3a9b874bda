from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from annotation.corpus import Corpus
from annotation.labelstudio.read_export import read_export_tasks
from annotation.labelstudio.read_marks import read_regional_annotations
from annotation.labelstudio.read_ratings import read_export_ratings
from annotation.labelstudio.read_rationales import read_rationales
from annotation.records import Flag, Place, Rating, Rationale, RegionalAnnotation, Rejection
from annotation.simulate import SimulationOptions, simulate_corpus
from annotation.simulate.photos import list_packaged_photos

pytest.importorskip("skimage")
pytest.importorskip("sklearn")


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
            for number, task in read_export_tasks(root / file, file, rejected.append):
                pair = truth[task["data"]["pair_id"]]
                place, size = Place(file, number), (pair["width"], pair["height"])
                match content:
                    case "regions":
                        found.regions += read_regional_annotations(task, place, size, rejected.append)
                    case "expert":
                        found.expert += read_regional_annotations(task, place, size, rejected.append)
                    case "rationales":
                        found.rationales += read_rationales(task, place, size, rejected.append)
                    case _:
                        scores, flags = read_export_ratings(task, place, rejected.append)
                        found.ratings += scores
                        found.flags += flags
    return found


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Read:
    """180 small pairs from lossless pictures, one of 15 raters careless."""
    root = tmp_path_factory.mktemp("simulated") / "corpus"
    settings = SimulationOptions(pairs=180, height=96, format="png", seed=5)
    simulate_corpus(settings, list_packaged_photos(), root, 1, lambda _: None)
    return read(root)
