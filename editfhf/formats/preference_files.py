"""Write preference pairs as Parquet files, with the card that `datasets.load_dataset` reads.

Images are plain binary columns, as in Pick-a-Pic. The card has two configs over the same files: "default" declares
the columns as images, which are decoded; "bytes" as encoded bytes, which code for Pick-a-Pic expects.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from editfhf.builder import parquet
from editfhf.card.metadata import find_licence_keys, find_size_category, to_one_line
from editfhf.card.page import escape_markdown, format_markdown_table
from editfhf.formats.folders import BuiltDataset, RowGroup
from editfhf.formats.preferences import PreferencePair, PreferencePlan, PreferencePrompt, ScoredEdit, pair_edits

PREFERENCE_TAGS = ("image-editing", "human-feedback", "preferences", "editfhf")


PREFERENCE_COLUMN_MEANINGS = {
    "are_different": "Whether the encoded images differ.",
    "best_image_uid": "The id of the preferred edit; null for a tie.",
    "caption": "The instruction of both edits.",
    "created_at": "Null: labels are computed.",
    "has_label": "Always true.",
    "image_0_uid": "The first edit, its `pair_id` in the dataset.",
    "image_0_url": "Null.",
    "image_1_uid": "The second edit. A digest of the two ids decides which edit is first.",
    "image_1_url": "Null.",
    "jpg_0": "The first edit in its original encoding (not always JPEG).",
    "jpg_1": "The second edit.",
    "label_0": "1: the first edit is preferred, 0: the second is, 0.5: a tie.",
    "label_1": "1 - `label_0`.",
    "model_0": "The editor that plan the first edit.",
    "model_1": "The editor that plan the second edit.",
    "ranking_id": "Number of the pair, independent of the exported splits.",
    "user_id": "Null: the label comes from several raters.",
    "num_example_per_prompt": "Number of rows with this source and instruction.",
    "source_id": "The source of both edits. This column and all below are not in Pick-a-Pic.",
    "jpg_source": "The source image in its original encoding.",
    "score_0": "The deciding score of the first edit.",
    "score_1": "The deciding score of the second edit.",
    "low_0": "Lower end of the 95 % interval of `score_0`; null if there is none.",
    "low_1": "Lower end of the interval of `score_1`.",
    "high_0": "Upper end of the interval of `score_0`.",
    "high_1": "Upper end of the interval of `score_1`.",
    "licence_0": "Licence of the images of the first edit.",
    "licence_1": "Licence of the images of the second edit.",
}


PREFERENCE_IMAGE_COLUMNS = ("jpg_0", "jpg_1", "jpg_source")


class WrittenSplit(NamedTuple):
    """Rows of one split, and bytes on disk."""

    rows: int
    bytes: int


def render_preferences_card(plan: PreferencePlan, written: Mapping[str, WrittenSplit], schema: pa.Schema) -> str:
    """The text of README.md. Texts of the dataset cannot become markup or front matter."""
    front = yaml.safe_dump(_make_front_matter(plan, written, schema), sort_keys=False, allow_unicode=True, width=10**6)
    sections = (
        _opening_section(plan),
        _loading_section(next(iter(written), "train")),
        _labels_section(plan),
        _columns_section(schema),
        _terms_section(plan),
    )
    body = "\n\n".join(sections)
    return f"---\n{front}---\n\n{body}\n"


def _make_front_matter(plan: PreferencePlan, written: Mapping[str, WrittenSplit], schema: pa.Schema) -> dict[str, Any]:
    corpus = plan.built.manifest["corpus"]
    files = [{"split": split, "path": f"data/{split}-*"} for split in written]
    size = sum(found.bytes for found in written.values())
    splits = [{"name": split, "num_bytes": found.bytes, "num_examples": found.rows} for split, found in written.items()]
    return {
        **find_licence_keys(corpus.get("licence")),
        "pretty_name": to_one_line(f"{corpus.get('name') or 'editfhf dataset'}: preferences"),
        "task_categories": ["image-to-image"],
        "size_categories": [find_size_category(sum(found.rows for found in written.values()))],
        "tags": list(PREFERENCE_TAGS),
        "configs": [
            {"config_name": "default", "data_files": files, "default": True},
            {"config_name": "bytes", "data_files": [dict(file) for file in files]},
        ],
        "dataset_info": [
            {
                "config_name": config,
                "features": [{"name": field.name, "dtype": _column_dtype(field, config)} for field in schema],
                "splits": [dict(split) for split in splits],
                "download_size": size,
                "dataset_size": size,
            }
            for config in ("bytes", "default")
        ],
    }


def _column_dtype(field: pa.Field, config: str) -> str:
    if field.name in PREFERENCE_IMAGE_COLUMNS and config == "default":
        return "image"
    return {"double": "float64"}.get(str(field.type), str(field.type))


def _opening_section(plan: PreferencePlan) -> str:
    corpus = plan.built.manifest["corpus"]
    counts = plan.summary()["splits"]
    rows = [
        (split, *(f"{found[name]:,}" for name in ("pairs", "decided", "ties", "prompts", "edits")))
        for split, found in counts.items()
    ]
    left_out = [(split, *(f"{count:,}" for count in found["left_out"].values())) for split, found in counts.items()]
    return "\n\n".join(
        (
            f"# {escape_markdown(corpus.get('name') or 'editfhf dataset')}: preferences",
            "Pairs of edits of the same source with the same instruction, labelled by mean opinion scores, with the "
            "columns of [Pick-a-Pic](https://huggingface.co/datasets/yuvalkirstain/pickapic_v1). It contains no data "
            "of Pick-a-Pic.",
            format_markdown_table(("split", "pairs", "decided", "ties", "sources with an instruction", "edits"), rows),
            "Edits that are in no pair:",
            format_markdown_table(("split", "no score", "no interval", "no other edit to compare with"), left_out),
        )
    )


def _loading_section(split: str) -> str:
    return f"""## Loading

```python
from datasets import load_dataset

pairs = load_dataset("PATH_OR_REPO", split="{split}")             # images decoded
encoded = load_dataset("PATH_OR_REPO", "bytes", split="{split}")  # images as bytes, as in Pick-a-Pic
```"""


def _labels_section(plan: PreferencePlan) -> str:
    ties = {
        "interval": "The 95 % intervals of their scores overlap (a shared end counts), or the scores are equal.",
        "none": "The scores are equal. Intervals are not used.",
    }
    options = [
        ("by", plan.by, f"The edit with the higher `{plan.by}` is preferred."),
        ("ties", plan.ties, f"{ties[plan.ties]} Both labels are then 0.5."),
    ]
    overall = (
        "The interval of `overall`, a weighted geometric mean of three scores, runs from the value at the lower ends "
        "of their intervals to the value at the upper ends. It assumes nothing about the dependence of the three, and "
        "is too wide rather than too narrow."
    )
    return "\n\n".join(
        (
            "## How the labels were made",
            format_markdown_table(("option", "value", "meaning"), options),
            *([overall] if plan.by == "overall" else []),
            "No rater compared two edits side by side. A tie means that the ratings do not separate the two edits, not "
            "that raters found them equal. Pairs of one source are not independent: n edits give n (n - 1) / 2 pairs.",
            "Splits are those of the dataset: no source is in two splits.",
        )
    )


def _columns_section(schema: pa.Schema) -> str:
    cells = [
        (f"`{field.name}`", _column_dtype(field, "default"), PREFERENCE_COLUMN_MEANINGS[field.name]) for field in schema
    ]
    return "## Columns\n\n" + format_markdown_table(("column", "type", "meaning"), cells)


def _terms_section(plan: PreferencePlan) -> str:
    corpus, versions = plan.built.manifest["corpus"], plan.built.manifest.get("versions") or {}
    named = ", ".join(f"{escape_markdown(name)} {escape_markdown(version)}" for name, version in versions.items())
    version = f" {escape_markdown(corpus['version'])}" if corpus.get("version") else ""
    return (
        f"## Licence and provenance\n\nThe labels: {escape_markdown(corpus.get('licence') or 'not stated')}. The "
        "images keep their own licences, see `licence_0` and `licence_1`.\n\nWritten by `editfhf export --format "
        f"preferences` from {escape_markdown(corpus.get('name') or 'a dataset')}{version} (built with {named}), whose "
        f"manifest.json has the sha256 `{plan.built.manifest_sha256}`. The same dataset and options give the same "
        "bytes."
    )


PREFERENCE_SCHEMA = pa.schema(
    {
        "are_different": pa.bool_(),
        "best_image_uid": pa.string(),
        "caption": pa.string(),
        "created_at": pa.timestamp("ns"),
        "has_label": pa.bool_(),
        "image_0_uid": pa.string(),
        "image_0_url": pa.string(),
        "image_1_uid": pa.string(),
        "image_1_url": pa.string(),
        "jpg_0": pa.binary(),
        "jpg_1": pa.binary(),
        "label_0": pa.float64(),
        "label_1": pa.float64(),
        "model_0": pa.string(),
        "model_1": pa.string(),
        "ranking_id": pa.int64(),
        "user_id": pa.int64(),
        "num_example_per_prompt": pa.int64(),
        "source_id": pa.string(),
        "jpg_source": pa.binary(),
        "score_0": pa.float64(),
        "score_1": pa.float64(),
        "low_0": pa.float64(),
        "low_1": pa.float64(),
        "high_0": pa.float64(),
        "high_1": pa.float64(),
        "licence_0": pa.string(),
        "licence_1": pa.string(),
    }
)


PREFERENCE_ROW_GROUP = 25


PREFERENCE_GROUP_BYTES = 64 << 20


PREFERENCE_SHARD_BYTES = 512 << 20


class EditImages(NamedTuple):
    """The encoded images of one edit."""

    source: bytes
    edited: bytes


def write_preferences(plan: PreferencePlan, folder: Path, advance: Callable[[int], None] = lambda count: None) -> None:
    """Write the chosen splits and the card.

    Parameters
    ----------
    plan : PreferencePlan
        Plan from `plan_preferences`.
    folder : Path
        Empty folder to write to.
    advance : callable
        Called with the number of pairs written since the last call.

    Notes
    -----
    The edits of one prompt, one row group that is read and one that is written are in memory.
    """
    written = {}
    (folder / "data").mkdir()
    for split in plan.chosen:
        if plan.prompts[split]:
            with _PreferenceShardWriter(folder / "data", split) as shards:
                reader = _EditImageReader(plan.built)
                for prompt in plan.prompts[split]:
                    for row in _make_pair_rows(prompt, plan, reader):
                        shards.add_row(row)
                        advance(1)
            written[split] = WrittenSplit(shards.rows, shards.bytes)
    card = render_preferences_card(plan, written, PREFERENCE_SCHEMA)
    (folder / "README.md").write_text(card, encoding="utf-8")


def _make_pair_rows(
    prompt: PreferencePrompt, plan: PreferencePlan, reader: _EditImageReader
) -> Iterator[dict[str, Any]]:
    encoded_images = {edit.pair_id: reader.read_images(edit) for edit in prompt.edits}
    digests = {pair_id: hashlib.sha256(found.edited).digest() for pair_id, found in encoded_images.items()}
    for number, pair in enumerate(pair_edits(prompt.edits, plan.ties)):
        first, second = pair.first, pair.second
        yield {
            **_make_side_columns(first, 0, encoded_images),
            **_make_side_columns(second, 1, encoded_images),
            "are_different": digests[first.pair_id] != digests[second.pair_id],
            "best_image_uid": _find_preferred_id(pair),
            "caption": prompt.instruction,
            "has_label": True,
            "label_0": pair.label,
            "label_1": 1 - pair.label,
            "ranking_id": prompt.first_id + number,
            "num_example_per_prompt": prompt.pairs,
            "source_id": prompt.source_id,
            "jpg_source": encoded_images[first.pair_id].source,
        }


def _make_side_columns(edit: ScoredEdit, side: int, encoded_images: dict[str, EditImages]) -> dict[str, Any]:
    return {
        f"image_{side}_uid": edit.pair_id,
        f"jpg_{side}": encoded_images[edit.pair_id].edited,
        f"model_{side}": edit.editor,
        f"score_{side}": edit.score,
        f"low_{side}": edit.low,
        f"high_{side}": edit.high,
        f"licence_{side}": edit.licence,
    }


def _find_preferred_id(pair: PreferencePair) -> str | None:
    if pair.label == 0.5:
        return None
    return pair.first.pair_id if pair.label == 1 else pair.second.pair_id


class _EditImageReader:
    """Reads the images of edits with one row group in memory: a build writes the edits of a prompt together."""

    def __init__(self, built: BuiltDataset) -> None:
        self._built = built
        self._group: RowGroup | None = None
        self._table = pa.table({})

    def read_images(self, edit: ScoredEdit) -> EditImages:
        if edit.group != self._group:
            self._table = self._built.read_columns(edit.group, ("source_image", "edited_image"))
            self._group = edit.group
        source, _ = self._built.read_image(edit.group, self._table, "source_image", edit.row)
        edited, _ = self._built.read_image(edit.group, self._table, "edited_image", edit.row)
        return EditImages(source, edited)


class _PreferenceShardWriter:
    """Writes the files of one split, each of about PREFERENCE_SHARD_BYTES; they get their names at the end."""

    def __init__(self, folder: Path, split: str) -> None:
        self.rows = self.bytes = 0
        self._folder, self._split = folder, split
        self._paths: list[Path] = []
        self._open = ExitStack()
        self._parquet: pq.ParquetWriter | None = None
        self._waiting: list[dict[str, Any]] = []
        self._waiting_bytes = self._shard_bytes = 0

    def __enter__(self) -> _PreferenceShardWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._open.close()
            return
        self._write_group()
        self._open.close()
        for number, path in enumerate(self._paths):
            self.bytes += path.stat().st_size
            path.rename(self._folder / f"{self._split}-{number:05d}-of-{len(self._paths):05d}.parquet")

    def add_row(self, row: dict[str, Any]) -> None:
        """Add one pair; full row groups are written."""
        self._waiting.append(row)
        self._waiting_bytes += sum(len(row[name]) for name in ("jpg_0", "jpg_1", "jpg_source"))
        if len(self._waiting) >= PREFERENCE_ROW_GROUP or self._waiting_bytes >= PREFERENCE_GROUP_BYTES:
            self._write_group()

    def _write_group(self) -> None:
        if not self._waiting:
            return
        if self._parquet is None or self._shard_bytes >= PREFERENCE_SHARD_BYTES:
            self._parquet = self._open_shard()
        self._parquet.write_table(pa.Table.from_pylist(self._waiting, schema=PREFERENCE_SCHEMA))
        self.rows += len(self._waiting)
        self._shard_bytes += self._waiting_bytes
        self._waiting, self._waiting_bytes = [], 0

    def _open_shard(self) -> pq.ParquetWriter:
        self._open.close()
        path = self._folder / f"{self._split}-{len(self._paths):05d}.part"
        self._paths.append(path)
        self._shard_bytes = 0
        return self._open.enter_context(parquet.open_parquet_writer(path, PREFERENCE_SCHEMA))
