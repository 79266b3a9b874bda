"""Stage shards: orders out, markers back; what an earlier run or an earlier dataset made is not made again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from annotation.records import Rejection
from editfhf.build import parquet
from editfhf.build.context import Context
from editfhf.build.plan import Planned
from editfhf.build.tally import Tally
from editfhf.build.worker import hear_shard, make_shard, marker_of
from editfhf.executors import Pool
from editfhf.manifest import is_inside


@dataclass(frozen=True)
class Shards:
    """The finished shards: files by their name in the dataset, what is known of each, and counts over all."""

    files: dict[str, Path]
    known: dict[str, dict[str, Any]]
    splits: dict[str, dict[str, int]]
    made: int
    kept: int


def write_orders(context: Context, planned: list[Planned], people: Mapping[str, str]) -> None:
    folder = context.space.orders
    (folder / "people.json").write_bytes(orjson.dumps(people))
    for shard in planned:
        order = {"key": shard.key, "rows": shard.rows, "options": context.options.as_dict()}
        (folder / f"{shard.key}.json").write_bytes(orjson.dumps(order))


def make_shards(
    context: Context, pool: Pool, planned: list[Planned], before: Mapping[str, Any] | None, tally: Tally
) -> Shards:
    """Every planned shard on the disk of the workspace, and its counts in the tally."""
    folder = context.space.shards
    markers = {shard.key: marker for shard in planned if (marker := _finished(folder, shard.key))}
    donors = _adopt(context, before, [shard for shard in planned if shard.key not in markers], markers)
    kept = len(markers)
    context.watcher.begin("Writing shards", sum(len(shard.rows) for shard in planned))
    for key in markers:
        context.watcher.advance(markers[key]["rows"])
    missing = [shard for shard in planned if shard.key not in markers]
    for marker in pool.run(make_shard, _calls(context, missing, donors)):
        markers[marker["key"]] = marker
        context.watcher.advance(marker["rows"])
    for shard in planned:
        tally.add(markers[shard.key])
        for rejection in markers[shard.key]["rejections"]:
            context.reject(Rejection(**rejection), named=True)
    return _named(folder, planned, markers, made=len(missing), kept=kept)


def hear_shards(context: Context, pool: Pool, planned: list[Planned], tally: Tally) -> None:
    """What people said of every planned pair, read and resolved, without making anything."""
    context.watcher.begin("Reading regions", sum(len(shard.rows) for shard in planned))
    orders, said = context.space.orders.absolute(), context.space.area.absolute() / "spool.sqlite"
    for heard in pool.run(hear_shard, ((str(orders / f"{shard.key}.json"), str(said)) for shard in planned)):
        tally.add(heard)
        for rejection in heard["rejections"]:
            context.reject(Rejection(**rejection), named=True)
        context.watcher.advance(heard["rows"])


def _calls(context: Context, missing: list[Planned], donors: Mapping[str, str]) -> Iterator[tuple[Any, ...]]:
    space = context.space
    area, corpus = space.area.absolute(), str(context.corpus.root.absolute())
    for shard in missing:
        order = str(space.orders.absolute() / f"{shard.key}.json")
        yield order, str(area / "spool.sqlite"), corpus, str(space.shards.absolute()), donors.get(shard.key, "")


def _finished(folder: Path, key: str) -> dict[str, Any] | None:
    """The marker of a shard that an earlier run finished and that is still whole."""
    try:
        marker: dict[str, Any] = orjson.loads((folder / f"{key}.json").read_bytes())
        for name, identity in marker["files"].items():
            path = folder / name
            if path.stat().st_size != identity["bytes"] or parquet.sha256(path) != identity["sha256"]:
                return None
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return marker


def _adopt(
    context: Context, before: Mapping[str, Any] | None, wanted: list[Planned], markers: dict[str, dict[str, Any]]
) -> dict[str, str]:
    """Take what the dataset that is being replaced has already: a whole shard, or one in which only scores differ.

    Whole shards get their marker; for the others the file of rows to copy from is returned by key.
    """
    old = {name: _couples(before, name) for name in ("key", "body")}
    donors: dict[str, str] = {}
    for shard in wanted:
        whole = old["key"].get(shard.key)
        couple = whole or old["body"].get(shard.body)
        if not couple or not all(_unchanged(context.space.dataset, entry) for entry in couple.values()):
            continue
        rows, marks = (context.space.shards / f"{shard.key}.{kind}.parquet" for kind in ("rows", "marks"))
        donor = context.space.dataset.absolute() / couple["rows"]["path"]
        share(context.space.dataset / couple["marks"]["path"], marks)
        if whole:
            share(donor, rows)
            markers[shard.key] = marker_of(shard.key, rows, marks, parquet.noted(rows))
        else:
            donors[shard.key] = str(donor)
    return donors


def _couples(before: Mapping[str, Any] | None, name: str) -> dict[str, dict[str, Mapping[str, Any]]]:
    """The rows file and the marks file of every shard of a dataset, by `name` (key or body)."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for entry in before["outputs"] if before else ():
        if name in entry:
            found.setdefault(entry[name], {})[entry["kind"]] = entry
    return {key: couple for key, couple in found.items() if set(couple) == {"rows", "marks"}}


def _unchanged(dataset: Path, entry: Mapping[str, Any]) -> bool:
    path = dataset / entry["path"]
    return is_inside(entry["path"]) and path.is_file() and parquet.sha256(path) == entry["sha256"]


def share(path: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)


def _named(folder: Path, planned: list[Planned], markers: Mapping[str, Any], made: int, kept: int) -> Shards:
    files: dict[str, Path] = {}
    known: dict[str, dict[str, Any]] = {}
    splits: dict[str, dict[str, int]] = {}
    of_split = {split: [shard for shard in planned if shard.split == split] for split in {s.split for s in planned}}
    for number, shard in enumerate(planned):
        peers, marker = of_split[shard.split], markers[shard.key]
        names = {
            "rows": f"data/{shard.split}-{peers.index(shard):05d}-of-{len(peers):05d}.parquet",
            "marks": f"marks/marks-{number:05d}-of-{len(planned):05d}.parquet",
        }
        for kind, name in names.items():
            path = folder / f"{shard.key}.{kind}.parquet"
            files[name] = path
            rows = marker["rows"] if kind == "rows" else marker["marks"]
            known[name] = {"key": shard.key, "body": shard.body, "kind": kind, "rows": rows}
            known[name] |= marker["files"][path.name]
        totals = splits.setdefault(shard.split, {"pairs": 0, "sources": 0, "shards": 0, "bytes": 0})
        totals["pairs"] += len(shard.rows)
        totals["sources"] += len({row["row"]["source_id"] for row in shard.rows})
        totals["shards"] += 1
        totals["bytes"] += known[names["rows"]]["bytes"]
    return Shards(files, known, splits, made, kept)
