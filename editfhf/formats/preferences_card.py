"""The card of exported pairs: how `datasets` opens them, what each column means, and how the labels were made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa
import yaml

from editfhf.card import escape, table
from editfhf.card_metadata import licence, one_line, size_category
from editfhf.formats.preferences import Plan

TAGS = ("image-editing", "human-feedback", "preferences", "editfhf")

MEANINGS = {
    "are_different": "Whether the two pictures differ in a byte.",
    "best_image_uid": "The id of the preferred edit; null for a tie.",
    "caption": "The instruction of both edits.",
    "created_at": "Null: labels are computed, not clicked.",
    "has_label": "True in every row.",
    "image_0_uid": "The first edit, its `pair_id` in the dataset.",
    "image_0_url": "Null.",
    "image_1_uid": "The second edit, likewise. Which of two is first is decided by a digest of their ids.",
    "image_1_url": "Null.",
    "jpg_0": "The first edit in its original encoding, which need not be JPEG.",
    "jpg_1": "The second edit, likewise.",
    "label_0": "1: the first edit is preferred, 0: the second is, 0.5: a tie.",
    "label_1": "1 - `label_0`.",
    "model_0": "The editor that made the first edit.",
    "model_1": "The editor that made the second edit.",
    "ranking_id": "The number of the pair, the same whichever splits are exported.",
    "user_id": "Null: the label is not one person's.",
    "num_example_per_prompt": "Rows with this source and instruction.",
    "source_id": "The source of both edits (not in Pick-a-Pic, like all that follow).",
    "jpg_source": "The picture before the edit, in its original encoding.",
    "score_0": "The score of the first edit that decided.",
    "score_1": "The score of the second edit.",
    "low_0": "Lower end of its 95 % interval; null where there is none.",
    "low_1": "The same of the second edit.",
    "high_0": "Upper end of the interval of the first edit.",
    "high_1": "The same of the second edit.",
    "licence_0": "Licence of the pictures of the first edit.",
    "licence_1": "Licence of the pictures of the second edit.",
}
PICTURES = ("jpg_0", "jpg_1", "jpg_source")


class Written(NamedTuple):
    """Rows of one split, and bytes on disk."""

    rows: int
    bytes: int


def render(made: Plan, written: Mapping[str, Written], schema: pa.Schema) -> str:
    """The text of README.md.  Nothing in a text of the dataset can become markup or front matter."""
    front = yaml.safe_dump(_metadata(made, written, schema), sort_keys=False, allow_unicode=True, width=10**6)
    sections = (_opening(made), _loading(next(iter(written), "train")), _labels(made), _columns(schema), _terms(made))
    body = "\n\n".join(sections)
    return f"---\n{front}---\n\n{body}\n"


def _metadata(made: Plan, written: Mapping[str, Written], schema: pa.Schema) -> dict[str, Any]:
    corpus = made.built.manifest["corpus"]
    files = [{"split": split, "path": f"data/{split}-*"} for split in written]
    size = sum(found.bytes for found in written.values())
    splits = [{"name": split, "num_bytes": found.bytes, "num_examples": found.rows} for split, found in written.items()]
    return {
        **licence(corpus.get("licence")),
        "pretty_name": one_line(f"{corpus.get('name') or 'editfhf dataset'}: preferences"),
        "task_categories": ["image-to-image"],
        "size_categories": [size_category(sum(found.rows for found in written.values()))],
        "tags": list(TAGS),
        "configs": [
            {"config_name": "default", "data_files": files, "default": True},
            {"config_name": "bytes", "data_files": [dict(file) for file in files]},
        ],
        "dataset_info": [
            {
                "config_name": config,
                "features": [{"name": field.name, "dtype": _dtype(field, config)} for field in schema],
                "splits": [dict(split) for split in splits],
                "download_size": size,
                "dataset_size": size,
            }
            for config in ("bytes", "default")
        ],
    }


def _dtype(field: pa.Field, config: str) -> str:
    if field.name in PICTURES and config == "default":
        return "image"
    return {"double": "float64"}.get(str(field.type), str(field.type))


def _opening(made: Plan) -> str:
    corpus = made.built.manifest["corpus"]
    counts = made.summary()["splits"]
    rows = [
        (split, *(f"{found[name]:,}" for name in ("pairs", "decided", "ties", "prompts", "edits")))
        for split, found in counts.items()
    ]
    left_out = [(split, *(f"{count:,}" for count in found["left_out"].values())) for split, found in counts.items()]
    return "\n\n".join(
        (
            f"# {escape(corpus.get('name') or 'editfhf dataset')}: preferences",
            "Pairs of edits of the same source with the same instruction, labelled by mean opinion scores, with the "
            "columns of [Pick-a-Pic](https://huggingface.co/datasets/yuvalkirstain/pickapic_v1). Nothing of Pick-a-Pic "
            "itself is in here.",
            table(("split", "pairs", "decided", "ties", "sources with an instruction", "edits"), rows),
            "Edits in no pair:",
            table(("split", "no score", "no interval", "no other edit to be compared with"), left_out),
        )
    )


def _loading(split: str) -> str:
    return f"""## Loading

```python
from datasets import load_dataset

pairs = load_dataset("PATH_OR_REPO", split="{split}")             # pictures decoded
encoded = load_dataset("PATH_OR_REPO", "bytes", split="{split}")  # the same rows, pictures as bytes, as in Pick-a-Pic
```"""


def _labels(made: Plan) -> str:
    score = f"`{made.by}`"
    rule = (
        f"The edit with the higher {score} is preferred. Two edits tie when the 95 % confidence intervals of their "
        "scores overlap (a shared end counts), and where the scores are equal; both labels are then 0.5."
        if made.ties == "interval"
        else f"The edit with the higher {score} is preferred, by however little; both labels are 0.5 only where the "
        "scores are equal. Intervals were not looked at."
    )
    overall = (
        " The interval of `overall`, a weighted geometric mean of three scores, runs from the value at the lower ends "
        "of their three intervals to the value at the upper ends: it supposes nothing about how the three go together, "
        "and is rather too wide than too narrow."
        if made.by == "overall"
        else ""
    )
    return (
        f"## How the labels were made\n\nNobody was shown two edits side by side. {rule}{overall} A tie says that the "
        "ratings do not tell the two apart, not that people found them equal; and where intervals do not overlap, the "
        "scores still differ only on average over raters. The pairs of one source are not independent of one another: "
        "n edits give n (n - 1) / 2 of them.\n\nSplits are those of the dataset: no source is in two."
    )


def _columns(schema: pa.Schema) -> str:
    cells = [(f"`{field.name}`", _dtype(field, "default"), MEANINGS[field.name]) for field in schema]
    return "## Columns\n\n" + table(("column", "type", "meaning"), cells)


def _terms(made: Plan) -> str:
    corpus, versions = made.built.manifest["corpus"], made.built.manifest.get("versions") or {}
    named = ", ".join(f"{escape(name)} {escape(version)}" for name, version in versions.items())
    version = f" {escape(corpus['version'])}" if corpus.get("version") else ""
    return (
        f"## Licence and provenance\n\nThe labels: {escape(corpus.get('licence') or 'not stated')}. The pictures keep "
        "their own licences, named row by row in `licence_0` and `licence_1`.\n\nWritten by `editfhf export --format "
        f"preferences` from {escape(corpus.get('name') or 'a dataset')}{version} (built with {named}), whose "
        f"manifest.json has the sha256 `{made.built.manifest_sha256}`. The same dataset and options give the same "
        "bytes."
    )
