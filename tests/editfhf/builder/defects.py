"""A corpus with one of every defect, and what a build must say of each: file, row and reason."""

from __future__ import annotations

import os
import struct
import zlib
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tests.editfhf.builder.corpora import Made, corpus, task

Line = tuple[str, str, str, int]

PAIRS = 24
REGIONS, RATINGS, TABLE = "annotations/regions-0.json", "annotations/ratings.json", "annotations/ratings_late.csv"

# One line each: what, reason, file, row.
SAID: list[Line] = [
    ("image", "missing_file", "pairs.jsonl", 2),
    ("image", "broken_image", "pairs.jsonl", 3),
    ("image", "too_large", "pairs.jsonl", 4),
    ("image", "path_leaves_corpus", "pairs.jsonl", 5),
    ("image", "path_leaves_corpus", "pairs.jsonl", 6),
    ("image", "unknown_format", "pairs.jsonl", 7),
    ("image", "not_a_file", "pairs.jsonl", 8),
    ("image", "empty_file", "pairs.jsonl", 9),
    ("pair", "unknown_task", "pairs.jsonl", 10),
    ("pair", "duplicate_pair", "pairs.jsonl", 25),
    ("file", "broken_json", "pairs.jsonl", 26),
    ("file", "not_utf8", "pairs.jsonl", 27),
    ("file", "byte_order_mark", "pairs.jsonl", 0),
    ("annotation", "wrong_size", REGIONS, 11),
    ("disk", "outside_picture", REGIONS, 12),
    ("box", "box_without_disk", REGIONS, 14),
    ("box", "unknown_label", REGIONS, 15),
    ("annotation", "no_annotator", REGIONS, 18),
    ("annotation", "cancelled", REGIONS, 20),
    ("annotation", "unknown_pair", REGIONS, 25),
    ("file", "broken_json", "annotations/regions-cut.json", 2),
    ("file", "broken_json", "annotations/regions-nan.json", 2),
    ("file", "empty_file", "annotations/regions-empty.json", 0),
    ("file", "unknown_file", "annotations/notes.txt", 0),
    ("rating", "out_of_scale", RATINGS, 1),
    ("rating", "duplicate_rating", TABLE, 2),
    ("rating", "wrong_number_of_fields", TABLE, 3),
    ("rating", "unknown_pair", TABLE, 4),
    ("rating", "nan_score", TABLE, 5),
    ("file", "broken_table", "annotations/ratings-short.csv", 1),
    ("file", "broken_table", "annotations/ratings-fake.parquet", 1),
]

REFUSED = range(1, 10)
"""Numbers of the pairs that cannot be used."""

# A defect that takes others with it says so on a line for each of these.
FOLLOWING: list[Line] = [
    # What three annotators said of each of nine pairs that were set aside is not used.
    *(
        ("annotation", "pair_rejected", f"annotations/regions-{slot}.json", number + 1)
        for slot in range(3)
        for number in REFUSED
    ),
    # The relation of a disk that was set aside leads nowhere.
    ("result", "bad_relation", REGIONS, 12),
    # The two disks of a box that was set aside are left alone, and their relations lead nowhere.
    ("disk", "disk_without_box", REGIONS, 15),
    ("disk", "disk_without_box", REGIONS, 15),
    ("result", "bad_relation", REGIONS, 15),
    ("result", "bad_relation", REGIONS, 15),
]


def expected() -> Counter[Line]:
    return Counter([*SAID, *FOLLOWING])


def spoilt(root: Path) -> Path:
    """The corpus, written to `root`."""
    made = corpus(sources=12)
    lines = _spoil_pairs(made)
    _spoil_regions(made)
    _item(made, "ratings.json", 0, 0)["result"][0]["value"]["number"] = 9.0
    made.write(root)
    (root / "pairs.jsonl").write_bytes(b"\xef\xbb\xbf" + (root / "pairs.jsonl").read_bytes() + b"".join(lines))
    _spoil_files(root, made)
    return root


def _spoil_pairs(made: Made) -> list[bytes]:
    pairs = {int(pair["pair_id"][1:]): pair for pair in made.pairs}
    edited = {number: pair["edited"] for number, pair in pairs.items()}
    del made.images[edited[1]]
    made.images[edited[2]] = _jpeg()[:-900]
    made.images[edited[3]] = _bomb(50_000, 50_000)
    pairs[4]["edited"] = "../elsewhere.png"
    for number in (5, 7):  # a link and a pipe, made when the corpus is written
        del made.images[edited[number]]
    made.images[edited[6]] = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    made.images[edited[8]] = b""
    pairs[9]["task"] = "object_ad"
    made.pairs.append(dict(pairs[0]))
    return [b'{"pair_id": "p500", "source_id": \n', b'{"pair_id": "\xff\xfe"}\n']


def _spoil_regions(made: Made) -> None:
    def results(number: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = _item(made, "regions-0.json", number, 0)["result"]
        return found

    for result in results(10):
        if "original_width" in result:
            result["original_width"] = 12
    next(result for result in results(11) if result.get("from_name") == "disk")["value"]["x"] = 101.0
    alone = "f13"
    _item(made, "regions-0.json", 13, 0)["result"] = [
        result
        for result in results(13)
        if result.get("to_id") != alone and not str(result.get("id")).startswith(f"{alone}-d")
    ]
    next(result for result in results(14) if result.get("from_name") == "box")["value"]["rectanglelabels"] = ["flaw"]
    _item(made, "regions-0.json", 17, 0)["completed_by"] = None
    _item(made, "regions-0.json", 19, 0)["was_cancelled"] = True
    made.exports["regions-0.json"].append(task(99, made.pairs[0] | {"pair_id": "p999"}, {1: []}))


def _spoil_files(root: Path, made: Made) -> None:
    (root / "images/e005.png").symlink_to("/etc/hostname")
    os.mkfifo(root / "images/e007.png")
    folder = root / "annotations"
    whole = orjson.dumps([task(0, made.pairs[0], {4: []}), task(3, made.pairs[3], {4: []})])
    (folder / "regions-cut.json").write_bytes(whole[: len(whole) * 3 // 4])
    (folder / "regions-nan.json").write_bytes(whole[:-2] + b', "x": NaN}]')
    (folder / "regions-empty.json").write_bytes(b"")
    (folder / "notes.txt").write_text("who is who")
    (folder / "ratings_late.csv").write_text(
        "pair_id,annotator_id,dimension,score\n"
        "p000,12,perceptual_quality,3\n"
        "p000,12\n"
        "p998,12,perceptual_quality,3\n"
        "p000,99,perceptual_quality,nan\n"
    )
    (folder / "ratings-short.csv").write_text("pair_id,dimension,score\np000,perceptual_quality,3\n")
    (folder / "ratings-fake.parquet").write_bytes(b"PAR1 or so they said")


def _item(made: Made, file: str, number: int, annotation: int) -> dict[str, Any]:
    found: dict[str, Any] = made.exports[file][number]["annotations"][annotation]
    return found


def _jpeg() -> bytes:
    buffer = BytesIO()
    Image.effect_noise((96, 80), 60).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


def _bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is enormous."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def parquet(root: Path, columns: dict[str, Any]) -> Path:
    """Add a Parquet table of ratings to a corpus."""
    path = root / "annotations/ratings-more.parquet"
    pq.write_table(pa.table(columns), path)
    return path
