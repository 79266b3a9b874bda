"""The outputs of a build beside the shards: the tables "ratings" and "annotators", and the manifest's entries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL
import pyarrow as pa
import pyarrow.compute as pc

from editfhf import __version__, features
from editfhf.builder import parquet
from editfhf.builder.ratings import ScoredRatings
from editfhf.builder.steps import BuildCounts
from editfhf.manifest import ManifestOutput

CONFIG_ROW_GROUP = 100_000
ANNOTATOR_COUNTS = ("regional_annotations", "boxes", "boxes_accepted", "disks", "rationales", "flags")
SCREENING_COLUMNS = ("share", "expected_share", "reason", "excluded_in")
DECISION_COLUMNS = ("rule", "statistic", "threshold")


def collect_versions() -> dict[str, str]:
    """Versions of everything that decides a byte of the dataset."""
    return {
        "editfhf": __version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "pillow": PIL.__version__,
        "pyarrow": pa.__version__,
        "scipy": version("scipy"),
        "zlib-ng": version("zlib-ng"),
    }


def write_config_table(folder: Path, config: str, pieces: Iterable[pa.Table]) -> dict[str, Path]:
    """Write the one Parquet file of a config that is not sharded; returns its path by its name in the dataset."""
    name = f"{config}/{config}-00000-of-00001.parquet"
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_parquet_table(path, pieces, features.make_arrow_schema(config), CONFIG_ROW_GROUP)
    return {name: path}


def make_annotators_table(scored: ScoredRatings, tally: BuildCounts, people: Mapping[str, str]) -> pa.Table:
    """The table "annotators": one row per participant.

    Parameters
    ----------
    scored
        The scored ratings.
    tally
        Counts over all shards, by pseudonym.
    people
        Pseudonym by id, of every participant.
    """
    raters = {row["rater"]: row for row in scored.result.raters.to_pylist()}
    decisions = _find_rater_decisions(scored)
    counted = 0 if scored.result.summary["outlier_share"] is not None else None
    unrated = {"n": 0, "outliers": counted, "excluded": False, **dict.fromkeys(SCREENING_COLUMNS)}
    rows = []
    for person in sorted(people, key=lambda person: people[person]):
        done, rater = tally.people.get(people[person], Counter()), raters.get(person, unrated)
        decision = decisions.get(person, {})
        rows.append(
            {
                "annotator_id": people[person],
                **{name: done[name] for name in ANNOTATOR_COUNTS},
                "ratings": rater["n"],
                "outliers": rater["outliers"],
                "outlier_share": rater["share"],
                "expected_share": rater["expected_share"],
                "excluded": rater["excluded"],
                "reason": rater["reason"] if rater["n"] > 0 else None,
                "excluded_in": rater["excluded_in"],
                **{name: decision.get(name) for name in DECISION_COLUMNS},
            }
        )
    return pa.Table.from_pylist(rows, schema=features.make_arrow_schema("annotators"))


def _find_rater_decisions(scored: ScoredRatings) -> dict[str, dict[str, Any]]:
    """The first line of the ledger about each rater, by rater."""
    ledger = scored.result.ledger()
    lines = ledger.filter(pc.equal(ledger["what"], "rater")).to_pylist()
    return {line["rater"]: line for line in reversed(lines)}


def list_outputs(files: Mapping[str, Path], known: Mapping[str, ManifestOutput]) -> list[ManifestOutput]:
    """The manifest's entry of every output, in the order of names.

    Parameters
    ----------
    files
        Path of every output by its name in the dataset.
    known
        Entries that are known already, in full or (without `sha256`) in part.
    """
    entries = []
    for name, path in sorted(files.items()):
        entry = known.get(name) or ManifestOutput(path=name, bytes=path.stat().st_size)
        digest = entry.sha256 or parquet.compute_file_sha256(path)
        entries.append(entry.model_copy(update={"bytes": path.stat().st_size, "sha256": digest}))
    return entries
