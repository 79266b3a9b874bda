"""Step 1: read images with their licences, check them, and copy the accepted ones under names of our own."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from annotation.images import ImageError, decode_image, inspect_image, read_image_bytes
from annotation.json_lines import read_json_lines, write_json_lines
from annotation.records import Rejection
from annotation.text import is_unicode
from editfhf.collect.folder import SOURCES_FILE, finish_step, lock_collection
from editfhf.collect.quality import QualityLimits, count_different_bits, diagnose_source, measure_quality
from mos.console import Progress
from mos.errors import UserError
from mos.files import read_regular_file, replace_file

IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp"))
LIST_SUFFIXES = (".csv", ".jsonl", ".parquet")
TEXT_FIELDS = ("licence", "licence_url", "author", "origin")
ATTRIBUTION_FILE = "ATTRIBUTION.csv"
_OTHER_NAMES = {"licence": "license", "licence_url": "license_url", "origin": "source_url"}
_MAX_TEXT = 2_000


@dataclass(frozen=True, slots=True)
class _AcceptedSource:
    row: dict[str, Any]
    data: bytes


def collect_sources(
    root: Path, places: Sequence[Path], allowed: Sequence[str], limits: QualityLimits, progress: Progress
) -> dict[str, int]:
    """Read, check and copy sources; write `sources.jsonl`, `images/` and the attribution file.

    Parameters
    ----------
    root : Path
        Folder of the collection.
    places : sequence of Path
        Folders of images, or lists (CSV, JSON lines, Parquet) with `file` (relative to the list) and `licence`,
        `licence_url`, `author`, `origin`.
    allowed : sequence of str
        Licences that are accepted, upper or lower case; empty accepts all of them.
    limits : QualityLimits
        What an image must be like.
    progress : Progress
        Counts images.

    Returns
    -------
    dict
        Counts in and out.

    Raises
    ------
    UserError
        A place is no folder or list, or another process uses the collection.
    """
    entries = [entry for place in places for entry in _read_entries(place)]
    wanted = {name.casefold() for name in allowed}
    accepted: dict[str, dict[str, Any]] = {}
    rejected = []
    with lock_collection(root):
        (root / "images").mkdir(exist_ok=True)
        progress.begin("Sources", len(entries))
        for folder, entry in entries:
            item = f"{folder.name}/{entry['file']}"
            result = _check_entry(folder, entry, wanted, limits, accepted)
            if isinstance(result, tuple):
                rejected.append({"item": item, "reason": result[0], "message": result[1]})
            else:
                replace_file(root / result.row["image"], result.data, sync=False)
                accepted[result.row["source_id"]] = result.row
            progress.advance()
        rows = [accepted[key] for key in sorted(accepted)]
        write_json_lines(root / SOURCES_FILE, rows)
        replace_file(root / ATTRIBUTION_FILE, write_attribution(rows))
        return finish_step(root, "sources", len(entries), len(rows), rejected)


def write_attribution(rows: Sequence[dict[str, Any]]) -> bytes:
    """A CSV file that names licence, author and origin of every image."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ("source_id", *TEXT_FIELDS), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _disarm_cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue().encode()


def _disarm_cell(value: Any) -> Any:
    """A spreadsheet runs a cell that begins like a formula: a quote in front makes it a text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value


def _check_entry(
    folder: Path, entry: dict[str, Any], allowed: set[str], limits: QualityLimits, accepted: dict[str, dict[str, Any]]
) -> tuple[str, str] | _AcceptedSource:
    licence = entry["licence"] or "unknown"
    if allowed and licence.casefold() not in allowed:
        return "licence", f"The licence {licence!r} is none of --allow-licence."
    try:
        data = read_image_bytes(folder, entry["file"])
        info = inspect_image(data)
        quality = measure_quality(decode_image(data))
    except ImageError as error:
        return "bad_image", str(error)
    problem = diagnose_source(info.width, info.height, quality, limits)
    if problem is not None:
        return problem
    source_id = info.sha256[:16]
    for other, row in accepted.items():
        distance = count_different_bits(int(row["hash"], 16), quality.hash)
        if distance <= limits.max_distance:
            return "near_duplicate", f"{distance} of 64 bits differ from the source {other}."
    measures = {key: round(value, 3) for key, value in asdict(quality).items() if key != "hash"}
    name = f"images/{source_id}.{info.format.lower()}"
    row = {"source_id": source_id, "image": name, "width": info.width, "height": info.height}
    row |= {key: entry[key] for key in TEXT_FIELDS}
    return _AcceptedSource(row | {"licence": licence, "hash": f"{quality.hash:016x}"} | measures, data)


def _read_entries(place: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    if place.is_dir():
        for path in sorted(place.rglob("*")):
            if path.suffix.lower() in IMAGE_SUFFIXES and is_unicode(str(path)):
                yield place, {"file": path.relative_to(place).as_posix(), **dict.fromkeys(TEXT_FIELDS, "")}
        return
    if not place.is_file() or place.suffix.lower() not in LIST_SUFFIXES:
        raise UserError(f"{place} is no folder of images and no list: expected a file {', '.join(LIST_SUFFIXES)}.")
    for number, row in enumerate(_read_list(place), start=1):
        file = row.get("file") or row.get("path")
        if not isinstance(file, str) or not file:
            raise UserError(f"{place}, row {number}: expected the path of an image in the column 'file'.")
        texts = {key: row.get(key) or row.get(_OTHER_NAMES.get(key, key)) or "" for key in TEXT_FIELDS}
        yield place.parent, {"file": file, **{key: _clean_text(value) for key, value in texts.items()}}


def _clean_text(value: object) -> str:
    return "".join(char if char.isprintable() else " " for char in str(value)[:_MAX_TEXT]).strip()


def _read_list(place: Path) -> Iterator[dict[str, Any]]:
    if place.suffix.lower() == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            yield from pq.read_table(place).to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"{place} cannot be read ({type(error).__name__}): expected a Parquet file.") from None
    elif place.suffix.lower() == ".jsonl":

        def refuse(rejection: Rejection) -> None:
            raise UserError(f"{place}, line {rejection.row}: {rejection.message}")

        yield from (row for _, row in read_json_lines(place, place.name, refuse))
    else:
        try:
            yield from csv.DictReader(io.StringIO(read_regular_file(place).decode("utf-8-sig"), newline=""))
        except (UnicodeDecodeError, csv.Error):
            raise UserError(f"{place} cannot be read: expected a CSV file in UTF-8.") from None
