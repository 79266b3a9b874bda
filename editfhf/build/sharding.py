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
from editfhf.build.executors import Pool
from editfhf.build.plan import Planned
from editfhf.build.tally import Tally
from editfhf.build.worker import hear_shard, make_shard


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
    kept = len(markers)
    adopted = _adopt(context, before, {shard.key for shard in planned} - set(markers))
    context.watcher.begin("Writing shards", sum(len(shard.rows) for shard in planned))
    for key in markers:
        context.watcher.advance(markers[key]["rows"])
    missing = [shard for shard in planned if shard.key not in markers]
    for marker in pool.run(make_shard, _calls(context, missing, adopted)):
        markers[marker["key"]] = marker
        context.watcher.advance(marker["rows"])
    for shard in planned:
        tally.add(markers[shard.key])
        for rejection in markers[shard.key]["rejections"]:
            context.reject(Rejection(**rejection))
    return _named(folder, planned, markers, made=len(missing) - len(adopted), kept=kept + len(adopted))


def hear_shards(context: Context, pool: Pool, planned: list[Planned], tally: Tally) -> None:
    """What people said of every planned pair, read and resolved, without making anything."""
    context.watcher.begin("Reading regions", sum(len(shard.rows) for shard in planned))
    orders, said = context.space.orders.absolute(), context.space.area.absolute() / "spool.sqlite"
    for heard in pool.run(hear_shard, ((str(orders / f"{shard.key}.json"), str(said)) for shard in planned)):
        tally.add(heard)
        for rejection in heard["rejections"]:
            context.reject(Rejection(**rejection))
        context.watcher.advance(heard["rows"])


def _calls(context: Context, missing: list[Planned], adopted: set[str]) -> Iterator[tuple[Any, ...]]:
    space = context.space
    area, corpus = space.area.absolute(), str(context.corpus.root.absolute())
    for shard in missing:
        order = str(space.orders.absolute() / f"{shard.key}.json")
        yield order, str(area / "spool.sqlite"), corpus, str(space.shards.absolute()), shard.key in adopted


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


def _adopt(context: Context, before: Mapping[str, Any] | None, wanted: set[str]) -> set[str]:
    """Keys of wanted shards whose two files the dataset that is being replaced holds unchanged."""
    entries: dict[str, list[Mapping[str, Any]]] = {}
    for entry in before["outputs"] if before else ():
        if entry.get("key") in wanted:
            entries.setdefault(entry["key"], []).append(entry)
    adopted = set()
    for key, pair in entries.items():
        sources = {entry["kind"]: (context.space.dataset / entry["path"], entry["sha256"]) for entry in pair}
        if set(sources) != {"rows", "marks"}:
            continue
        if all(path.is_file() and parquet.sha256(path) == digest for path, digest in sources.values()):
            for kind, (path, _) in sources.items():
                share(path, context.space.shards / f"{key}.{kind}.parquet")
            adopted.add(key)
    return adopted


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
            known[name] = {"key": shard.key, "kind": kind, "rows": rows, **marker["files"][path.name]}
        totals = splits.setdefault(shard.split, {"pairs": 0, "sources": 0, "shards": 0, "bytes": 0})
        totals["pairs"] += len(shard.rows)
        totals["sources"] += len({row["row"]["source_id"] for row in shard.rows})
        totals["shards"] += 1
        totals["bytes"] += known[names["rows"]]["bytes"]
    return Shards(files, known, splits, made, kept)
