"""The files beside the shards: ratings, annotators, what was set aside, and the manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import orjson
import PIL
import pyarrow as pa
import pyarrow.compute as pc

from annotation.records import Rejection
from editfhf import __version__, features
from editfhf.build import parquet
from editfhf.build.ratings import Scored
from editfhf.build.tally import Tally
from editfhf.manifest import FORMAT

ROW_GROUP = 100_000
REJECTED = "rejected.jsonl"


def versions() -> dict[str, str]:
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


def write_config(folder: Path, config: str, pieces: Iterable[pa.Table]) -> dict[str, Path]:
    """One Parquet file of a config that is not sharded."""
    name = f"{config}/{config}-00000-of-00001.parquet"
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(path, pieces, features.schema(config), ROW_GROUP)
    return {name: path}


def annotators_table(scored: Scored, tally: Tally, people: Mapping[str, str]) -> pa.Table:
    """The config "annotators": one row a person, whatever they did."""
    raters = {row["rater"]: row for row in scored.result.raters.to_pylist()}
    decisions = _decisions(scored)
    counted = 0 if scored.result.summary["outlier_share"] is not None else None
    unrated = {"n": 0, "outliers": counted, "excluded": False, **dict.fromkeys(JUDGED)}
    rows = []
    for person in sorted(people, key=lambda person: people[person]):
        done, rater = tally.people.get(people[person], Counter()), raters.get(person, unrated)
        decision = decisions.get(person, {})
        rows.append(
            {
                "annotator_id": people[person],
                **{name: done[name] for name in PERSON_COUNTS},
                "ratings": rater["n"],
                "outliers": rater["outliers"],
                "outlier_share": rater["share"],
                "expected_share": rater["expected_share"],
                "excluded": rater["excluded"],
                "reason": rater["reason"] if rater["n"] > 0 else None,
                "excluded_in": rater["excluded_in"],
                **{name: decision.get(name) for name in DECISION},
            }
        )
    return pa.Table.from_pylist(rows, schema=features.schema("annotators"))


PERSON_COUNTS = ("regional_annotations", "boxes", "boxes_accepted", "disks", "rationales", "flags")
JUDGED = ("share", "expected_share", "reason", "excluded_in")
DECISION = ("rule", "statistic", "threshold")


def _decisions(scored: Scored) -> dict[str, dict[str, Any]]:
    """The first line of the ledger about each rater who has one."""
    ledger = scored.result.ledger()
    lines = ledger.filter(pc.equal(ledger["what"], "rater")).to_pylist()
    return {line["rater"]: line for line in reversed(lines)}


def under_pseudonyms(rejections: Iterable[tuple[Rejection, bool]], people: Mapping[str, str]) -> Iterator[Rejection]:
    """The rejections of a log, everybody called as in the dataset; nobody is named whom it does not know."""
    for rejection, named in rejections:
        yield rejection if named else replace(rejection, annotator_id=people.get(rejection.annotator_id or ""))


def write_rejected(path: Path, rejections: Iterable[tuple[Rejection, bool]], people: Mapping[str, str]) -> None:
    """`rejected.jsonl`: one line for each thing set aside."""
    with path.open("wb") as handle:
        for rejection in under_pseudonyms(rejections, people):
            handle.write(orjson.dumps(rejection, option=orjson.OPT_APPEND_NEWLINE))


def summary_of(rejected: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    """Totals for the manifest from counts by (what, reason)."""
    by_reason: Counter[str] = Counter()
    for (_, reason), count in rejected.items():
        by_reason[reason] += count
    return {"total": sum(by_reason.values()), "by_reason": dict(sorted(by_reason.items()))}


def manifest_bytes(manifest: Mapping[str, Any]) -> bytes:
    return orjson.dumps(
        {"format": FORMAT, **manifest},
        option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
    )


def listed(files: Mapping[str, Path], known: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Name, digest, size (and what is known beyond that) of every output, in order of name."""
    entries = []
    for name, path in sorted(files.items()):
        extra = known.get(name, {})
        digest = extra.get("sha256") or parquet.sha256(path)
        entries.append({"path": name, "bytes": path.stat().st_size, **extra, "sha256": digest})
    return entries
