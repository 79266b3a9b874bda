"""Read a built dataset row group by row group, and create the folder of an export in one step.

The dataset is untrusted input. The manifest lists the files, and its paths are checked. A value that a build never
writes raises a `UserError` that names the row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from annotation import images
from annotation.images import MAX_IMAGE_PIXELS, ImageError, ImageInfo
from editfhf.builder.workspace import read_built_manifest
from editfhf.features import DATASET_SPLITS, make_arrow_schema
from editfhf.manifest import MANIFEST_FILE, group_shards, read_manifest
from editfhf.report.read_tables import open_parquet_file, read_task_names
from mos.errors import UserError
from mos.files import read_regular_file

DatasetRow = dict[str, Any]


IMAGE_SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp"}


class RowGroup(NamedTuple):
    """One row group of one file."""

    path: Path
    number: int


@dataclass(frozen=True, slots=True)
class BuiltDataset:
    """A dataset that `editfhf build` wrote.

    Attributes
    ----------
    root : Path
        Folder of the dataset.
    manifest : mapping
        Content of its manifest.json.
    manifest_sha256 : str
        SHA-256 of manifest.json: identifies the build.
    splits : mapping
        Data files of every split, in the order of `DATASET_SPLITS`.
    """

    root: Path
    manifest: Mapping[str, Any]
    manifest_sha256: str
    splits: Mapping[str, tuple[Path, ...]]

    @property
    def max_pixels(self) -> int:
        """Largest number of pixels that an image of this dataset may have."""
        return int(self.manifest.get("options", {}).get("images", {}).get("max_pixels", MAX_IMAGE_PIXELS))

    def choose_splits(self, wanted: Collection[str]) -> tuple[str, ...]:
        """The wanted splits in the order of the dataset; all splits when none is wanted.

        Raises UserError for a split that the dataset does not have.
        """
        for name in wanted:
            if name not in self.splits:
                raise UserError(f"{self.root} has no split {name!r}. Available: {', '.join(self.splits)}.")
        return tuple(name for name in self.splits if not wanted or name in wanted)

    def iterate_row_groups(self, split: str) -> Iterator[RowGroup]:
        """The row groups of one split, in order."""
        for path in self.splits[split]:
            with open_parquet_file(path) as file:
                count = file.num_row_groups
            yield from (RowGroup(path, number) for number in range(count))

    def read_columns(self, group: RowGroup, columns: Sequence[str]) -> pa.Table:
        """Some columns of one row group. UserError if the file is broken or has other columns than this version."""
        with open_parquet_file(group.path) as file:
            for name in columns:
                at = file.schema_arrow.get_field_index(name)
                if at < 0 or file.schema_arrow.field(at).type != make_arrow_schema("default").field(name).type:
                    raise UserError(
                        f"{group.path} has no column {name!r} as this version writes it. Build the dataset again."
                    )
            try:
                return file.read_row_group(group.number, columns=list(columns))
            except (pa.ArrowException, OSError) as error:
                raise UserError(
                    f"{group.path} cannot be read ({error.__class__.__name__}). See `editfhf validate {self.root}`."
                ) from None

    def make_row_error(self, group: RowGroup, row: int, what: str) -> UserError:
        """An error about an invalid row, with its file and place."""
        file = group.path.relative_to(self.root)
        return UserError(
            f"{file}, row {row + 1} of row group {group.number}: {what}. See `editfhf validate {self.root}`."
        )

    def decode_rows(self, group: RowGroup, table: pa.Table) -> list[DatasetRow]:
        """The rows of a table from `read_columns` (without image columns), with the task as its name."""
        names = read_task_names(table.schema)
        try:
            rows: list[DatasetRow] = table.to_pylist()
        except UnicodeDecodeError:
            raise self.make_row_error(group, 0, "a text in this row or a later one is not UTF-8") from None
        for number, row in enumerate(rows):
            if "task" in row:
                if row["task"] is None or not 0 <= row["task"] < len(names):
                    raise self.make_row_error(group, number, f"the task {row['task']} is not one of {len(names)}")
                row["task"] = names[row["task"]]
        return rows

    def read_image(self, group: RowGroup, table: pa.Table, column: str, row: int) -> tuple[bytes, ImageInfo]:
        """One encoded image as stored, and the facts of its header."""
        data = (table[column][row].as_py() or {}).get("bytes")
        try:
            if not data:
                raise ImageError("empty_file", "It is empty.")
            return data, images.inspect_image(data, max_pixels=self.max_pixels)
        except ImageError as error:
            raise self.make_row_error(group, row, f"{column} cannot be used: {str(error).rstrip('.')}") from None


def open_built_dataset(root: Path) -> BuiltDataset:
    """Open the dataset in a folder.

    Parameters
    ----------
    root : Path
        Folder that `editfhf build` wrote.

    Returns
    -------
    BuiltDataset

    Raises
    ------
    UserError
        The folder has no dataset, its manifest was changed, or it has no pair.
    """
    read_manifest(root)
    manifest = read_built_manifest(root)
    if manifest is None:
        raise UserError(f"{root / MANIFEST_FILE} is not a manifest that a build wrote. Build the dataset again.")
    shards = group_shards(manifest).get("default", {})
    splits = {name: tuple(root / file for file in shards[name].files) for name in DATASET_SPLITS if name in shards}
    if not splits:
        raise UserError(f"{root} has no pair, so there is nothing to export. Build it from a corpus with pairs.")
    return BuiltDataset(
        root, manifest.as_dict(), hashlib.sha256(read_regular_file(root / MANIFEST_FILE)).hexdigest(), splits
    )


def check_export_folder(out: Path, dataset: Path) -> None:
    """Raise UserError unless `out` is a new or empty folder outside the dataset."""
    inner, outer = out.resolve(), dataset.resolve()
    if inner.is_relative_to(outer) or outer.is_relative_to(inner):
        raise UserError(f"{out} is inside the dataset {dataset}, or contains it. Choose an --out outside the dataset.")
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UserError(f"{out} is a file or a link: expected a new or empty folder. Choose another --out.")
    if out.exists() and any(out.iterdir()):
        raise UserError(f"{out} is not empty, and an export overwrites nothing. Remove it or choose another --out.")
