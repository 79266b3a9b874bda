"""Make the shards in workers, and reuse those that an earlier run or an earlier dataset made.

A worker gets a small JSON file (`ShardSpec`) with everything about a shard but images and annotations; it reads these
from the corpus and the spool, checks them against the digests in the file, and returns a `ShardResult`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ValidationError

from annotation import images
from editfhf import features
from editfhf.builder import parquet
from editfhf.builder.context import BuildContext
from editfhf.builder.options import BuildOptions
from editfhf.builder.rows import BuiltPair, build_pair_rows
from editfhf.builder.shard_plan import SCORE_COLUMNS, PlannedShard, PlannedSource, ShardRow, ShardSpec
from editfhf.builder.spool import SPOOL_FILE, open_spool
from editfhf.builder.steps import PREVIEW_PHASE, SHARDS_PHASE, BuildCounts, ShardCounts
from editfhf.builder.workspace import refuse_link
from editfhf.executors import BoundedPool
from editfhf.manifest import Manifest, ManifestOutput, ManifestSplit, is_dataset_path
from mos.errors import UserError
from mos.files import read_regular_file

# At its first conversion pyarrow imports pandas, where that is installed: once here, before workers are forked.
pa.array([None])


# The Hub's viewer refuses row groups above 286 MB; this keeps one, with its maps, well below.
ROW_GROUP_BYTES = 96 << 20


MARKS_ROW_GROUP = 10_000
PSEUDONYMS_FILE = "people.json"


class FileIdentity(BaseModel):
    """Digest and size of a file."""

    sha256: str
    bytes: int


class ShardResult(ShardCounts):
    """A finished shard: its two files by name, the rows of each, and its counts and rejections.

    It is kept as JSON beside the files: with it, a later run reuses the shard.
    """

    key: str
    files: dict[str, FileIdentity]
    rows: int
    marks: int


def make_shard(spec_path: str, spool_path: str, corpus: str, folder: str, donor: str) -> ShardResult:
    """Make the two Parquet files of a shard (rows and marks) and the file of its result; runs in a worker.

    Parameters
    ----------
    spec_path
        File of the `ShardSpec`; the pseudonyms are beside it.
    spool_path
        The finished annotation spool.
    corpus, folder
        Folders of the corpus and of the finished shards.
    donor
        A file of rows that differs from the wanted one in the scores only, or ""; its marks are in `folder`.
    """
    refuse_link(Path(folder))  # the area was checked when it was claimed, perhaps hours ago
    spec, pseudonyms = ShardSpec.read(Path(spec_path)), _read_pseudonyms(Path(spec_path).parent)
    rows_path, marks_path = (Path(folder) / f"{spec.key}.{name}.parquet" for name in ("rows", "marks"))
    if donor:
        counts = rescore_shard(Path(donor), rows_path, spec.rows)
    else:
        tally = BuildCounts()
        with open_spool(Path(spool_path)) as spool:
            pairs = build_pair_rows(spec.rows, spool, spec.options, pseudonyms, tally)
            marks, counts = _write_pair_rows(
                rows_path, pairs, Path(corpus), spec.options, lambda: tally.summarise(pseudonyms)
            )
        table = pa.Table.from_pylist(marks, schema=features.make_arrow_schema("marks"))
        parquet.write_parquet_table(marks_path, [table], table.schema, row_group=MARKS_ROW_GROUP)
    result = describe_shard(spec.key, rows_path, marks_path, counts)
    temporary = Path(folder) / f".{spec.key}.json.tmp"
    temporary.write_bytes(orjson.dumps(result.model_dump()))
    parquet.publish_file(temporary, Path(folder) / f"{spec.key}.json")
    return result


def describe_shard(key: str, rows_path: Path, marks_path: Path, counts: ShardCounts) -> ShardResult:
    """The result of a shard whose files are complete."""
    files = {
        path.name: FileIdentity(sha256=parquet.compute_file_sha256(path), bytes=path.stat().st_size)
        for path in (rows_path, marks_path)
    }
    rows, marks = parquet.count_parquet_rows(rows_path), parquet.count_parquet_rows(marks_path)
    return ShardResult(key=key, files=files, rows=rows, marks=marks, **counts.model_dump())


def rescore_shard(donor: Path, path: Path, rows: list[ShardRow]) -> ShardCounts:
    """Copy a file of rows with other scores; images, maps and all other columns stay.

    Returns
    -------
    ShardCounts
        The counts that the donor keeps in its footer.
    """
    schema = features.make_arrow_schema("default")
    counts = ShardCounts.model_validate(parquet.read_footer_note(donor))
    done = 0
    with pq.ParquetFile(donor) as file, parquet.open_parquet_writer(path, schema) as writer:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            group_rows = rows[done : done + len(table)]
            done += len(table)
            for name in sorted(SCORE_COLUMNS):
                field = schema.field(name)
                values = pa.array([row.row[name] for row in group_rows], field.type)
                table = table.set_column(schema.get_field_index(name), field, values)
            writer.write_table(table.cast(schema), row_group_size=len(table))
        parquet.write_footer_note(writer, counts.model_dump())
    return counts


def preview_shard(spec_path: str, spool_path: str) -> tuple[int, ShardCounts]:
    """Number of rows and the counts of a shard, without making it; runs in a worker."""
    spec, pseudonyms = ShardSpec.read(Path(spec_path)), _read_pseudonyms(Path(spec_path).parent)
    tally = BuildCounts()
    with open_spool(Path(spool_path)) as spool:
        for _ in build_pair_rows(spec.rows, spool, spec.options, pseudonyms, tally, render=False):
            pass
    return len(spec.rows), tally.summarise(pseudonyms)


def _read_pseudonyms(folder: Path) -> dict[str, str]:
    pseudonyms: dict[str, str] = orjson.loads((folder / PSEUDONYMS_FILE).read_bytes())
    return pseudonyms


def _write_pair_rows(
    path: Path,
    pairs: Iterator[BuiltPair],
    corpus: Path,
    options: BuildOptions,
    summarise: Callable[[], ShardCounts],
) -> tuple[list[dict[str, Any]], ShardCounts]:
    """Write the rows with their images, and the counts (known after the last row) into the footer.

    Returns the rows of "marks", and the counts.
    """
    schema = features.make_arrow_schema("default")
    marks: list[dict[str, Any]] = []
    group: list[dict[str, Any]] = []
    size = 0
    source: tuple[str, bytes] = ("", b"")
    with parquet.open_parquet_writer(path, schema) as writer:
        for pair in pairs:
            planned = pair.planned
            if planned.source.sha256 != source[0]:
                source = (planned.source.sha256, _read_image_bytes(corpus, planned.source, options))
            edited = _read_image_bytes(corpus, planned.edited, options)
            row = pair.row | {
                "source_image": {"bytes": source[1], "path": Path(planned.source.path).name},
                "edited_image": {"bytes": edited, "path": Path(planned.edited.path).name},
            }
            if group and (len(group) == options.shards.row_group or size > ROW_GROUP_BYTES):
                _write_row_group(writer, group, schema)
                group, size = [], 0
            group.append(row)
            marks.extend(pair.marks)
            size += len(source[1]) + len(edited)
        _write_row_group(writer, group, schema)
        counts = summarise()
        parquet.write_footer_note(writer, counts.model_dump())
    return marks, counts


def _write_row_group(writer: Any, group: list[dict[str, Any]], schema: pa.Schema) -> None:
    writer.write_table(pa.Table.from_pylist(group, schema=schema), row_group_size=len(group))


def _read_image_bytes(corpus: Path, image: PlannedSource, options: BuildOptions) -> bytes:
    data = images.read_image_bytes(corpus, image.path, max_bytes=options.images.max_bytes)
    if hashlib.sha256(data).hexdigest() != image.sha256:
        raise UserError(f"{image.path} changed while the build was running. Run the same command again.")
    return data


@dataclass(frozen=True)
class FinishedShards:
    """All shards of a dataset.

    Attributes
    ----------
    files : dict
        Path of every file by its name in the dataset.
    outputs : dict
        The manifest's entry of every file, by the same name.
    splits : dict
        Counts by split.
    made, kept : int
        Shards that were made now, and shards that were reused.
    """

    files: dict[str, Path]
    outputs: dict[str, ManifestOutput]
    splits: dict[str, ManifestSplit]
    made: int
    kept: int


def write_shard_specs(context: BuildContext, planned: list[PlannedShard], pseudonyms: Mapping[str, str]) -> None:
    """Write what the workers read: one file per shard, and the pseudonyms."""
    folder = context.space.orders
    (folder / PSEUDONYMS_FILE).write_bytes(orjson.dumps(pseudonyms))
    for shard in planned:
        spec = ShardSpec(key=shard.key, rows=shard.rows, options=context.options)
        (folder / f"{shard.key}.json").write_bytes(spec.encode())


def make_shards(
    context: BuildContext,
    pool: BoundedPool,
    planned: list[PlannedShard],
    before: Manifest | None,
    tally: BuildCounts,
) -> FinishedShards:
    """Make every planned shard that no earlier run or dataset has, and add the counts of all to the tally.

    Parameters
    ----------
    before
        Manifest of the dataset that is being replaced.
    """
    folder = context.space.shards
    results = {shard.key: result for shard in planned if (result := _read_finished_result(folder, shard.key))}
    donors = _reuse_shards(context, before, [shard for shard in planned if shard.key not in results], results)
    kept = len(results)
    context.progress.begin(SHARDS_PHASE, sum(len(shard.rows) for shard in planned))
    for result in results.values():
        context.progress.advance(result.rows)
    missing = [shard for shard in planned if shard.key not in results]
    for result in pool.run(make_shard, _list_shard_calls(context, missing, donors)):
        results[result.key] = result
        context.progress.advance(result.rows)
    for shard in planned:
        _add_counts(context, results[shard.key], tally)
    return _name_shards(folder, planned, results, made=len(missing), kept=kept)


def preview_shards(context: BuildContext, pool: BoundedPool, planned: list[PlannedShard], tally: BuildCounts) -> None:
    """Resolve the submissions about every planned pair and add the counts to the tally, without making a shard."""
    context.progress.begin(PREVIEW_PHASE, sum(len(shard.rows) for shard in planned))
    specs, spool = context.space.orders.absolute(), context.space.area.absolute() / SPOOL_FILE
    for rows, counts in pool.run(preview_shard, ((str(specs / f"{shard.key}.json"), str(spool)) for shard in planned)):
        _add_counts(context, counts, tally)
        context.progress.advance(rows)


def _add_counts(context: BuildContext, counts: ShardCounts, tally: BuildCounts) -> None:
    tally.add(counts)
    for rejection in counts.list_rejections():
        context.reject(rejection, named=True)


def _list_shard_calls(
    context: BuildContext, missing: list[PlannedShard], donors: Mapping[str, str]
) -> Iterator[tuple[str, ...]]:
    """The arguments of `make_shard` for every missing shard."""
    space = context.space
    area, corpus = space.area.absolute(), str(context.corpus.root.absolute())
    for shard in missing:
        spec = str(space.orders.absolute() / f"{shard.key}.json")
        yield spec, str(area / SPOOL_FILE), corpus, str(space.shards.absolute()), donors.get(shard.key, "")


def _read_finished_result(folder: Path, key: str) -> ShardResult | None:
    """The result of a shard that an earlier run finished, if its files are unchanged."""
    try:
        result = ShardResult.model_validate(orjson.loads(read_regular_file(folder / f"{key}.json")))
        for name, identity in result.files.items():
            path = folder / name
            if path.stat().st_size != identity.bytes or parquet.compute_file_sha256(path) != identity.sha256:
                return None
            if features.has_empty_row_group(pq.read_metadata(path)):
                return None
    except (OSError, orjson.JSONDecodeError, ValidationError):
        return None
    return result


def _reuse_shards(
    context: BuildContext,
    before: Manifest | None,
    wanted: list[PlannedShard],
    results: dict[str, ShardResult],
) -> dict[str, str]:
    """Reuse the shards of the dataset that is being replaced: unchanged ones, and those with other scores only.

    Unchanged shards are added to `results`; of the others the file of rows to copy from is returned, by key.
    """
    by_key, by_body = (_group_shard_files(before, name) for name in ("key", "body"))
    donors: dict[str, str] = {}
    for shard in wanted:
        unchanged = by_key.get(shard.key)
        files = unchanged or by_body.get(shard.body)
        if not files or not all(_is_unchanged_file(context.space.dataset, output) for output in files.values()):
            continue
        rows_path, marks_path = (context.space.shards / f"{shard.key}.{kind}.parquet" for kind in ("rows", "marks"))
        donor = context.space.dataset.absolute() / files["rows"].path
        link_or_copy(context.space.dataset / files["marks"].path, marks_path)
        if unchanged:
            link_or_copy(donor, rows_path)
            counts = ShardCounts.model_validate(parquet.read_footer_note(rows_path))
            results[shard.key] = describe_shard(shard.key, rows_path, marks_path, counts)
        else:
            donors[shard.key] = str(donor)
    return donors


def _group_shard_files(before: Manifest | None, name: Literal["key", "body"]) -> dict[str, dict[str, ManifestOutput]]:
    """The files of every complete shard of a dataset, by `name` of the shard and by kind (rows, marks)."""
    found: dict[str, dict[str, ManifestOutput]] = {}
    for output in before.outputs if before else ():
        shard, kind = getattr(output, name), output.kind
        if shard is not None and kind is not None:
            found.setdefault(shard, {})[kind] = output
    return {shard: files for shard, files in found.items() if set(files) == {"rows", "marks"}}


def _is_unchanged_file(dataset: Path, output: ManifestOutput) -> bool:
    path = dataset / output.path
    return (
        is_dataset_path(output.path)
        and path.is_file()
        and parquet.compute_file_sha256(path) == output.sha256
        # Earlier versions wrote them; `datasets` fails at them.
        and not features.has_empty_row_group(pq.read_metadata(path))
    )


def link_or_copy(path: Path, target: Path) -> None:
    """Give a file a second name; copy it where the file system has no hard links."""
    target.unlink(missing_ok=True)
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)


def _name_shards(
    folder: Path, planned: list[PlannedShard], results: Mapping[str, ShardResult], made: int, kept: int
) -> FinishedShards:
    files: dict[str, Path] = {}
    outputs: dict[str, ManifestOutput] = {}
    splits: dict[str, ManifestSplit] = {}
    of_split = {split: [shard for shard in planned if shard.split == split] for split in {s.split for s in planned}}
    for number, shard in enumerate(planned):
        peers, result = of_split[shard.split], results[shard.key]
        names: dict[Literal["rows", "marks"], str] = {
            "rows": f"data/{shard.split}-{peers.index(shard):05d}-of-{len(peers):05d}.parquet",
            "marks": f"marks/marks-{number:05d}-of-{len(planned):05d}.parquet",
        }
        for kind, name in names.items():
            path = folder / f"{shard.key}.{kind}.parquet"
            files[name] = path
            outputs[name] = ManifestOutput(
                path=name,
                key=shard.key,
                body=shard.body,
                kind=kind,
                rows=result.rows if kind == "rows" else result.marks,
                **result.files[path.name].model_dump(),
            )
        totals = splits.setdefault(shard.split, ManifestSplit(pairs=0, sources=0, shards=0, bytes=0))
        totals.pairs += len(shard.rows)
        totals.sources += len({row.row["source_id"] for row in shard.rows})
        totals.shards += 1
        totals.bytes += outputs[names["rows"]].bytes
    return FinishedShards(files, outputs, splits, made, kept)
