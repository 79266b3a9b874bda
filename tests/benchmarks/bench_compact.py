"""Quality of the compact agents on a dataset beside perception agents without weights, one JSON line a measure.

    python tests/benchmarks/bench_compact.py DATASET [--split train] [--weights DIR] [--agents difference,centre]
        [--corpus CORPUS] [--limit N]

Intervals are over the sources; with --corpus over the photos, of which several sources are crops.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import orjson

import editfhf
from annotation.records import DIMENSIONS, KINDS
from editfhf.saliency import parse_sigma
from mos.console import print_line
from training.agents.registry import load_agent
from training.metrics.correlation import correlation_metrics
from training.metrics.regions import flaw_type_metrics
from training.metrics.results import MetricResult, summarise_metrics
from training.samples.read_samples import read_samples
from training.tables.perception_records import measure_maps


def as_result(record: dict[str, Any]) -> MetricResult:
    values = {name: math.nan if value is None else value for name, value in record["values"].items()}
    return MetricResult(values, {}, {name: "missing" for name, value in values.items() if math.isnan(value)})


def report(**values: Any) -> None:
    print_line(json.dumps(values, default=lambda value: round(float(value), 4)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--agents", default="difference,centre")
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--limit", type=int)
    given = parser.parse_args()
    rows = editfhf.load(given.dataset, split=given.split)
    rows = rows.select(range(min(len(rows), given.limit or len(rows))))
    own = {"weights": given.weights} if given.weights else {}
    perception = {"compact": load_agent("perception", "compact", **own)}
    perception |= {name: load_agent("perception", name) for name in given.agents.split(",") if name}
    reasoning, evaluation = (load_agent(role, "compact", **own) for role in ("reasoning", "evaluation"))
    groups: dict[str, str] = {}
    if given.corpus:
        lines = (given.corpus / "pairs.jsonl").read_bytes().splitlines()
        groups = {row["pair_id"]: row["origin"] for row in map(orjson.loads, lines)}
    sigma = parse_sigma("H/40")
    maps: dict[str, list[Any]] = {name: [] for name in perception}
    sources, scores, truths, flaws, seconds = [], [], [], [], []
    for sample in read_samples(rows):
        sources.append(groups.get(sample.pair_id, sample.source_id))
        start = time.process_time()
        scores.append([s.value for s in evaluation.evaluate(sample.source, sample.edited, sample.instruction)])
        seconds.append(time.process_time() - start)
        truths.append([sample.scores[name] if sample.scores[name] is not None else math.nan for name in DIMENSIONS])
        for name, agent in perception.items():
            maps[name].append(measure_maps(agent, sample, "mit", sigma)["kinds"])
        boxes = [(region.kind, region.box) for region in sample.regions]
        found = reasoning.diagnose_boxes(sample.source, sample.edited, sample.instruction, boxes)
        flaws += [
            (region.kind, region.flaw_type, finding.flaw_type, region.severity, finding.severity)
            for region, finding in zip(sample.regions, found, strict=True)
        ]
    for kind in KINDS:
        for name, records in maps.items():
            flawed = [row[kind] for row in records if not row[kind]["clean"]]
            of = [source for source, row in zip(sources, records, strict=True) if not row[kind]["clean"]]
            summary = summarise_metrics([as_result(row) for row in flawed], of)
            report(
                kind=kind, agent=name, pairs=len(flawed),
                **{metric: [found.mean, found.ci_low, found.ci_high] for metric, found in summary.items()},
            )  # fmt: skip
            clean = [row[kind]["values"]["peak"] for row in records if row[kind]["clean"]]
            report(kind=kind, agent=name, clean=len(clean), below_half=np.mean(np.array(clean) < 0.5))
    for index, dimension in enumerate(DIMENSIONS):
        pairs = [(s[index], t[index]) for s, t in zip(scores, truths, strict=True) if not math.isnan(t[index])]
        report(dimension=dimension, **correlation_metrics(*np.array(pairs).T))
    for kind in (*KINDS, "both"):
        some = [row for row in flaws if kind in (row[0], "both") and row[1] is not None]
        result = flaw_type_metrics([row[2] for row in some], [row[1] for row in some])
        severity = np.mean([row[3] == row[4] for row in some])
        report(kind=kind, boxes=len(some), severity=severity, **result)
    report(cpu_seconds_a_pair=np.median(seconds))


if __name__ == "__main__":
    main()
