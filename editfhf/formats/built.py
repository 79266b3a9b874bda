"""Reading a built dataset row group by row group: texts and numbers first, pictures one at a time.

The folder may come from anybody.  Files are found by the manifest, whose paths are checked; whatever a file holds
that a build never writes is a `UserError` that names the row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from annotation import images
from annotation.images import MAX_PIXELS, ImageError, ImageInfo
from editfhf.build.workspace import built_before
from editfhf.features import SPLITS, schema
from editfhf.manifest import MANIFEST, read_manifest, shards
from editfhf.statistics.tables import open_parquet, task_names
from mos.errors import UserError

Row = dict[str, Any]
SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp"}


class Group(NamedTuple):
    """One row group of one file."""

    path: Path
    number: int


@dataclass(frozen=True, slots=True)
class Built:
    """A dataset that `editfhf build` wrote.

    splits: the files of every split that it has, in the order of `SPLITS`; manifest_sha256: which build it is.
    """

    root: Path
    manifest: Mapping[str, Any]
    manifest_sha256: str
    splits: Mapping[str, tuple[Path, ...]]

    @property
    def max_pixels(self) -> int:
        return int(self.manifest.get("options", {}).get("images", {}).get("max_pixels", MAX_PIXELS))

    def chosen(self, wanted: Collection[str]) -> tuple[str, ...]:
        """The splits asked for, in the order of the dataset; all of them when nothing is asked for.

        Raises UserError for a split that the dataset does not have.
        """
        for name in wanted:
            if name not in self.splits:
                raise UserError(f"{self.root} has no split {name!r}. Available: {', '.join(self.splits)}.")
        return tuple(name for name in self.splits if not wanted or name in wanted)

    def groups(self, split: str) -> Iterator[Group]:
        for path in self.splits[split]:
            with open_parquet(path) as file:
                count = file.num_row_groups
            yield from (Group(path, number) for number in range(count))

    def read(self, group: Group, columns: Sequence[str]) -> pa.Table:
        """The columns of one row group.  UserError when the file is broken or not a table of this version."""
        with open_parquet(group.path) as file:
            for name in columns:
                at = file.schema_arrow.get_field_index(name)
                if at < 0 or file.schema_arrow.field(at).type != schema("default").field(name).type:
                    raise UserError(
                        f"{group.path} has no column {name!r} as this version writes it. Build the dataset again."
                    )
            try:
                return file.read_row_group(group.number, columns=list(columns))
            except (pa.ArrowException, OSError) as error:
                raise UserError(
                    f"{group.path} cannot be read ({error.__class__.__name__}). See `editfhf validate {self.root}`."
                ) from None

    def fault(self, group: Group, row: int, what: str) -> UserError:
        """The sentence about a row that no build writes."""
        file = group.path.relative_to(self.root)
        return UserError(
            f"{file}, row {row + 1} of row group {group.number}: {what}. See `editfhf validate {self.root}`."
        )

    def rows(self, group: Group, table: pa.Table) -> list[Row]:
        """The rows of a table of `read`, the task as its name.  For columns without pictures."""
        names = task_names(table.schema)
        try:
            rows: list[Row] = table.to_pylist()
        except UnicodeDecodeError:
            raise self.fault(group, 0, "a text at or after it is not UTF-8") from None
        for number, row in enumerate(rows):
            if "task" in row:
                if row["task"] is None or not 0 <= row["task"] < len(names):
                    raise self.fault(group, number, f"the task {row['task']} is not one of {len(names)}")
                row["task"] = names[row["task"]]
        return rows

    def picture(self, group: Group, table: pa.Table, column: str, row: int) -> tuple[bytes, ImageInfo]:
        """One encoded picture as it is stored, and what its header says."""
        data = (table[column][row].as_py() or {}).get("bytes")
        try:
            if not data:
                raise ImageError("empty_file", "It is empty.")
            return data, images.inspect(data, max_pixels=self.max_pixels)
        except ImageError as error:
            raise self.fault(group, row, f"{column} cannot be used: {str(error).rstrip('.')}") from None


def open_built(root: Path) -> Built:
    """The dataset in `root`.

    Raises:
        UserError: the folder holds none, its manifest was altered, or there is no pair in it.
    """
    read_manifest(root)
    manifest = built_before(root)
    if manifest is None:
        raise UserError(f"{root / MANIFEST} is not what a build writes. Build the dataset again.")
    found = shards(manifest).get("default", {})
    splits = {name: tuple(root / file for file in found[name].files) for name in SPLITS if name in found}
    if not splits:
        raise UserError(f"{root} holds no pair, so there is nothing to export. Build it from a corpus that has some.")
    return Built(root, manifest, hashlib.sha256((root / MANIFEST).read_bytes()).hexdigest(), splits)
