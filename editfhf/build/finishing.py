"""Stages card and report: the tables beside the shards, the pages, the manifest, and the publication of it all.

Everything is laid out in the workspace as it will lie in the dataset, read back from there by the same functions
that serve a finished dataset, and only then published.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from annotation.records import DIMENSIONS
from editfhf import card, croissant, figures, report, statistics
from editfhf.build import outputs, parquet, stages
from editfhf.build.context import ROUTINE, Context, Summary
from editfhf.build.preparing import Prepared
from editfhf.build.ratings import Scored, ratings_table
from editfhf.build.sharding import Shards, share
from editfhf.build.tally import Tally
from editfhf.report.pictures import Shown
from mos.errors import UserError


@dataclass(frozen=True)
class Work:
    """What the stages before left: enough to write everything but the shards."""

    inputs: list[dict[str, Any]]
    images: dict[str, Any]
    prepared: Prepared
    shards: Shards


def finish(context: Context, work: Work) -> Summary:
    """Write the tables, the pages and the manifest, and publish the dataset."""
    context.watcher.begin("Writing tables and report", None)
    staged, prepared = context.space.staged, work.prepared
    files = _lay_out(staged, work.shards.files)
    outputs.write_rejected(staged / outputs.REJECTED, context.log, prepared.people)
    files[outputs.REJECTED] = staged / outputs.REJECTED
    _check_rejected(context, staged / outputs.REJECTED)
    # The gallery reads and shrinks pictures outside the interpreter's lock, while tables and statistics are made.
    with ThreadPoolExecutor(1) as aside:
        shown = aside.submit(report.pictures.read, staged, context.options.gallery)
        manifest = _write(context, work, files, shown)
    context.space.publish(files, outputs.manifest_bytes(manifest))
    return Summary(
        dataset=context.space.dataset,
        up_to_date=False,
        stages=manifest["stages"],
        splits=work.shards.splits,
        rejected=manifest["rejected"],
        shards_made=work.shards.made,
        shards_kept=work.shards.kept,
        warnings=manifest["scores"]["warnings"],
    )


def _write(context: Context, work: Work, files: dict[str, Path], shown: Future[list[Shown]]) -> dict[str, Any]:
    """Write what lies beside the shards, add it to `files`, and give the manifest of everything."""
    staged, prepared = context.space.staged, work.prepared
    known = dict(work.shards.known)
    ratings = ratings_table(prepared.scored, prepared.people, prepared.split, outputs.ROW_GROUP)
    annotators = outputs.annotators_table(prepared.scored, prepared.reading.tally, prepared.people)
    for config, pieces in (("ratings", ratings), ("annotators", [annotators])):
        for name, path in outputs.write_config(staged, config, pieces).items():
            files[name] = path
            known[name] = {"rows": parquet.rows(path)}
    manifest = _manifest(context, work, outputs.listed(files, known))
    files |= _pages(staged, manifest, shown)
    manifest["outputs"] = outputs.listed(files, {entry["path"]: entry for entry in manifest["outputs"]})
    return manifest


def _lay_out(staged: Path, shards: Mapping[str, Path]) -> dict[str, Path]:
    files = {}
    for name, path in shards.items():
        files[name] = staged / name
        files[name].parent.mkdir(exist_ok=True)
        share(path, files[name])
    return files


def _check_rejected(context: Context, path: Path) -> None:
    allowed = context.running.max_rejected
    if allowed is None:
        return
    bad = sum(1 for _ in faults(path))
    if bad > allowed:
        kept = context.space.area / outputs.REJECTED
        path.replace(kept)
        raise UserError(f"{bad} things were set aside, more than --max-rejected {allowed}. Every reason is in {kept}.")


def faults(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a `rejected.jsonl` that are somebody's mistake, and were not repaired."""
    with path.open("rb") as lines:
        for line in lines:
            entry: dict[str, Any] = orjson.loads(line)
            if not entry["repaired"] and entry["reason"] not in ROUTINE:
                yield entry


def _manifest(context: Context, work: Work, listed: list[dict[str, Any]]) -> dict[str, Any]:
    rejected, scored = context.log.counts(), work.prepared.scored
    return {
        "format": outputs.FORMAT,
        "corpus": context.corpus.meta.model_dump(mode="json"),
        "versions": outputs.versions(),
        "options": context.options.as_dict(),
        "inputs": work.inputs,
        "images": work.images,
        "stages": stages.table(stage_counts(len(work.inputs), work.prepared.reading.tally, scored), rejected),
        "splits": work.shards.splits,
        "scores": {"options": scored.result.options, **scored.result.summary},
        "rejected": outputs.summary_of(rejected),
        "outputs": listed,
    }


def stage_counts(files: int, tally: Tally, scored: Scored) -> list[tuple[str, int, int]]:
    """(stage, in, out) of every stage, in order."""
    counts = tally.counts
    kept = int((scored.result.status == 0).sum())
    scores = scored.scores["mos"]
    return [
        ("files", files, files),
        ("pairs", counts["pairs_read"] + counts["pairs_refused"], counts["pairs_read"]),
        ("pictures", counts["pictures"], counts["pictures_good"]),
        ("pairs with pictures", counts["pairs_read"], counts["pairs_usable"]),
        ("annotations", counts["regions_in"] + counts["expert_in"], counts["regions_read"] + counts["expert_read"]),
        ("boxes", counts["boxes"], counts["boxes_accepted"]),
        ("regions", counts["regions"] + counts["regions_flagged"], counts["regions"]),
        ("rationales", counts["regions"], counts["rationales_final"]),
        ("flags", counts["flags"], counts["flags"]),
        ("ratings", len(scored.table), len(scored.ratings)),
        ("ratings behind scores", int(scored.usable.sum()), kept),
        ("scores", counts["pairs_usable"] * len(DIMENSIONS), len(scores) - scores.null_count),
    ]


def _pages(staged: Path, manifest: dict[str, Any], shown: Future[list[Shown]]) -> dict[str, Path]:
    found = statistics.compute(staged, manifest)
    (staged / "figures").mkdir(exist_ok=True)
    names = [f"figures/{Path(name).name}" for name in figures.write(found, staged / "figures")]
    manifest["outputs"] = [*manifest["outputs"], *({"path": name} for name in names)]
    (staged / "report.html").write_text(report.render(found, shown.result()), encoding="utf-8", newline="\n")
    (staged / "README.md").write_text(card.render(manifest), encoding="utf-8")
    (staged / "croissant.json").write_bytes(orjson.dumps(croissant.render(manifest), option=orjson.OPT_INDENT_2))
    return {name: staged / name for name in (*names, "report.html", "README.md", "croissant.json")}
