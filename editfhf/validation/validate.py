"""Validate a corpus or a dataset: all checks in order, from the files to the pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from annotation.corpus import PAIRS_FILE
from annotation.images import MAX_IMAGE_PIXELS
from editfhf import saliency
from editfhf.display import format_html_table
from editfhf.manifest import MANIFEST_FILE, Manifest, ShardFiles, group_shards, read_manifest
from editfhf.validation import files, tables
from editfhf.validation.files import ValidationFinding, report_error, report_warning
from editfhf.validation.rows import ImageChecker, check_geometry, check_maps, check_row
from mos.errors import UserError

MAX_FINDINGS_SHOWN = 50
CHECKED_BATCH_ROWS = 25


def check_dataset_files(root: Path) -> list[ValidationFinding]:
    """Check the files of a dataset against its manifest and its card, without reading a row.

    Parameters
    ----------
    root
        Folder of the dataset.

    Returns
    -------
    list of ValidationFinding
        Empty if nothing is wrong.
    """
    try:
        manifest = read_manifest(root)
    except UserError as error:
        return [report_error(MANIFEST_FILE, str(error))]
    return [
        *files.check_outputs(root, manifest),
        *files.check_card(root, manifest),
        *files.check_table_files(root, manifest),
        *files.check_rejections_file(root, manifest)[0],
    ]


def validate_dataset(
    root: Path, *, deep: bool = False, progress: Callable[[int], None] = lambda rows: None
) -> list[ValidationFinding]:
    """Check a dataset: its files, every row against the other tables, and every saliency map.

    The maps are rendered again from the marks and compared with the stored ones. Rows are checked only if no file has
    an error.

    Parameters
    ----------
    root
        Folder of the dataset.
    deep
        Decode every image as well.
    progress
        Called with the number of rows that were checked since the last call.

    Returns
    -------
    list of ValidationFinding
        Empty if nothing is wrong.
    """
    findings = check_dataset_files(root)
    if any(finding.severity == "error" for finding in findings):
        return findings
    manifest = read_manifest(root)
    _, without_score = files.check_rejections_file(root, manifest)
    shards = group_shards(manifest)
    around = tables.read_surrounding_tables(root, shards, without_score, manifest.section("mos"))
    checker = _make_image_checker(manifest, deep)
    for split, listed in shards["default"].items():
        findings += _check_split(root, split, listed, around, checker, progress)
    return [
        *findings,
        *tables.check_marks_table(around),
        *tables.check_annotators(around),
        *tables.check_rating_splits(around),
    ]


@dataclass(frozen=True)
class ValidationReport:
    """All findings about one corpus or dataset.

    Attributes
    ----------
    path : Path
        The folder that was checked.
    findings : tuple of ValidationFinding
        Errors and warnings, in the order in which they were found.
    """

    path: Path
    findings: tuple[ValidationFinding, ...]

    @property
    def errors(self) -> tuple[ValidationFinding, ...]:
        """The findings that are errors."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def ok(self) -> bool:
        """Whether there is no error; warnings are allowed."""
        return not self.errors

    def __repr__(self) -> str:
        errors = len(self.errors)
        return f"ValidationReport({str(self.path)!r}: {errors} errors, {len(self.findings) - errors} warnings)"

    def _repr_html_(self) -> str:
        more = len(self.findings) - MAX_FINDINGS_SHOWN
        table = format_html_table(("severity", "where", "message"), self.findings[:MAX_FINDINGS_SHOWN])
        return f"<p>{escape(repr(self))}</p>{table if self.findings else ''}" + (
            f"<p>... and {more} more in .findings</p>" if more > 0 else ""
        )


def validate_folder(
    path: Path, *, deep: bool = False, progress: Callable[[int], None] = lambda rows: None
) -> ValidationReport:
    """Check a dataset with `validate_dataset`; check a corpus by everything that a build would reject.

    Raises
    ------
    UserError
        The folder is neither.
    """
    if (path / MANIFEST_FILE).is_file():
        return ValidationReport(path, tuple(validate_dataset(path, deep=deep, progress=progress)))
    if any((path / name).is_file() for name in ("corpus.yaml", "pairs.jsonl")):
        return ValidationReport(path, tuple(_check_corpus(path)))
    raise UserError(
        f"{path} is neither a corpus nor a dataset: expected corpus.yaml and pairs.jsonl, or manifest.json, in it."
    )


def _check_corpus(path: Path) -> Iterator[ValidationFinding]:
    # The builder imports everything that a build needs; a dataset is checked without it.
    from editfhf.builder import preview_build
    from editfhf.builder.rejections import ROUTINE_REASONS, UNFINISHED

    preview = preview_build(path)
    for rejection in preview.rejections:
        harmless = rejection.repaired or rejection.reason in ROUTINE_REASONS | UNFINISHED
        report = report_warning if harmless else report_error
        yield report(f"{rejection.file} row {rejection.row}", f"{rejection.message} [{rejection.reason}]")
    if preview.problem is not None:
        yield report_error(PAIRS_FILE, preview.problem)


def require_intact_dataset(root: Path, consequence: str) -> None:
    """Check the files of a dataset before it is published or converted.

    Parameters
    ----------
    root
        A folder that `editfhf build` wrote.
    consequence
        Sentence for the error, such as "Nothing was sent."

    Raises
    ------
    UserError
        A file is missing or changed; the sentence names the first one.
    """
    errors = [finding for finding in check_dataset_files(root) if finding.severity == "error"]
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise UserError(
            f"{root} is not as it was built: {errors[0].where}: {errors[0].message}{more}. {consequence} "
            f"Run `editfhf validate {root}` for details, or build it again."
        )


def _make_image_checker(manifest: Manifest, deep: bool) -> ImageChecker:
    maps = manifest.section("saliency")
    return ImageChecker(
        deep=deep,
        max_pixels=manifest.section("images").get("max_pixels", MAX_IMAGE_PIXELS),
        sigma=saliency.parse_sigma(maps.get("sigma", "H/40")),
        profile=maps.get("profile", "gaussian"),
    )


def _check_split(
    root: Path,
    split: str,
    listed: ShardFiles,
    around: tables.SurroundingTables,
    checker: ImageChecker,
    progress: Callable[[int], None],
) -> Iterator[ValidationFinding]:
    for path in listed.files:
        number = 0
        try:
            for batch in pq.ParquetFile(root / path).iter_batches(CHECKED_BATCH_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    where = f"{path} row {number} (pair {row['pair_id']})"
                    yield from (report_error(where, message) for message in _check_pair(row, split, around, checker))
                progress(batch.num_rows)
        except (OSError, pa.ArrowException) as error:
            yield report_error(path, f"cannot be read after row {number} ({error.__class__.__name__})")


def _check_pair(
    row: dict[str, Any], split: str, around: tables.SurroundingTables, checker: ImageChecker
) -> Iterator[str]:
    marks = around.marks_of(row["pair_id"])
    yield from check_row(row)
    yield from tables.check_row_relations(row, split, around, marks)
    source = checker.read_image("source_image", row["source_image"])
    if isinstance(source, str):
        yield source
    edited = checker.read_image("edited_image", row["edited_image"])
    if isinstance(edited, str):
        yield edited
        return
    if any((mark["width"], mark["height"]) != (edited.width, edited.height) for mark in marks):
        yield f"the marks of the pair have another size than the edited image, {edited.width} x {edited.height}"
    yield from check_geometry(row, edited.width, edited.height)
    yield from check_maps(row, marks, edited, checker)
