"""The dataset card: README.md, with front matter for the Hub and a body for the person who opens it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import yaml

from annotation import flaws
from annotation.records import DIMENSIONS, KINDS
from annotation.tasks import groups, tasks
from editfhf import card_scoring
from editfhf.card_metadata import metadata, one_line
from editfhf.features import SPLITS, Feature, columns
from editfhf.manifest import MANIFEST, shards

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&$])")
_OPENS_A_BLOCK = re.compile(r"^(\d*)([.)](?=\s|$)|[-=+](?=[\s=-]|$))")
_LINK = re.compile(r"https?://[^\s<>\"`]+")
_FIGURE = re.compile(r"figures/[A-Za-z0-9_-]+\.(?:png|svg)")


def render(manifest: Mapping[str, Any]) -> str:
    """The text of README.md for the dataset that `manifest` describes.

    Names and texts of the corpus are shown as plain text: nothing in them can become markup or front matter.
    The same manifest gives the same bytes.
    """
    front = yaml.safe_dump(metadata(manifest), sort_keys=False, allow_unicode=True, width=10**6)
    sections = (_opening, _loading, _tables, _method, _counts, _raters, _figures, _limits, _terms, _provenance)
    body = "\n\n".join(text for section in sections if (text := section(manifest)))
    return f"---\n{front}---\n\n{body}\n"


def escape(text: object) -> str:
    """Text from outside as one line of literal Markdown.

    >>> escape("a|b <i>")
    'a\\\\|b \\\\<i\\\\>'
    """
    line = _SPECIAL.sub(r"\\\1", one_line(str(text)))
    return _OPENS_A_BLOCK.sub(r"\1\\\2", line)


@cache
def descriptions() -> dict[str, dict[str, str]]:
    """What each column means, per config; "region" describes the items of the region lists."""
    text = resources.files("editfhf").joinpath("columns.yaml").read_text(encoding="utf-8")
    described: dict[str, dict[str, str]] = yaml.safe_load(text)
    return described


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table of cells that are Markdown already."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _opening(manifest: Mapping[str, Any]) -> str:
    corpus = manifest["corpus"]
    version = f" {escape(corpus['version'])}" if corpus.get("version") else ""
    splits = manifest["splits"]
    pairs = sum(split["pairs"] for split in splits.values())
    sources = sum(split["sources"] for split in splits.values())
    parts = [f"# {escape(corpus.get('name') or 'editfhf dataset')}{version}"]
    if corpus.get("description"):
        parts.append(escape(corpus["description"]))
    if corpus.get("homepage"):
        homepage = str(corpus["homepage"]).strip()
        parts.append("Homepage: " + (f"<{homepage}>" if _LINK.fullmatch(homepage) else escape(homepage)))
    parts.append(
        f"Fine-grained human feedback on {pairs:,} edited images of {sources:,} sources: for every image two saliency "
        "maps (artifacts, and failures to follow the instruction), regions with a rationale, and mean opinion scores "
        "of " + ", ".join(name.replace("_", " ") for name in DIMENSIONS) + ". Every annotator's own marks and ratings "
        "come with it, so that every map and score can be computed again."
    )
    rows = [(name, f"{split['pairs']:,}", f"{split['sources']:,}") for name, split in splits.items()]
    parts.append(table(("split", "edited images", "sources"), rows))
    return "\n\n".join(parts)


def _loading(manifest: Mapping[str, Any]) -> str:
    split = next(iter(manifest["splits"]), "train")
    return f"""## Loading

```python
from datasets import load_dataset

pairs = load_dataset("PATH_OR_REPO", split="{split}")            # one row an edited image
ratings = load_dataset("PATH_OR_REPO", "ratings", split="train")  # every rating, with what became of it
marks = load_dataset("PATH_OR_REPO", "marks", split="train")      # every box and disk, before consensus
```

`PATH_OR_REPO` is this folder or its repository on the Hub; `streaming=True` reads without downloading everything.
With the package `editfhf` installed, `editfhf.load` does the same, and the maps can be drawn again from the points:

```python
import editfhf
from editfhf.dataset import render_maps

pair = editfhf.load("PATH_OR_REPO", split="{split}")[0]
own = [mark for mark in marks if mark["pair_id"] == pair["pair_id"]]
width, height = pair["edited_image"].size
maps = render_maps(own, height, width, sigma=height / 40)         # {{"artifact": float32 [H, W], "failure": ...}}
```"""


def _tables(manifest: Mapping[str, Any]) -> str:
    parts = ["## Tables and columns"]
    for config, splits in shards(manifest).items():
        rows = sum(split.rows for split in splits.values())
        size = sum(split.bytes for split in splits.values())
        parts.append(f"### `{config}`\n\n{rows:,} rows, {_bytes(size)}.")
        about = descriptions()[config]
        cells = [(f"`{name}`", _type(feature), about.get(name, "")) for name, feature in columns(config).items()]
        parts.append(table(("column", "type", "meaning"), cells))
        if config == "default":
            region = columns("default")["artifact_regions"]["feature"]
            about = descriptions()["region"]
            parts.append("Each item of `artifact_regions` and `failure_regions`:")
            parts.append(
                table(("key", "type", "meaning"), [(f"`{k}`", _type(f), about.get(k, "")) for k, f in region.items()])
            )
    parts.append(_closed_lists())
    return "\n\n".join(parts)


def _type(feature: Feature) -> str:
    match feature.get("_type"):
        case "Value":
            return f"{feature['dtype']}"
        case "Image":
            return "image" + (", mode L" if feature.get("mode") == "L" else "")
        case "ClassLabel":
            return f"class label, {len(feature['names'])} names"
        case "List":
            count = f" of {feature['length']}" if "length" in feature else ""
            return f"list{count}: {_type(feature['feature'])}"
        case _:
            return "record"


def _closed_lists() -> str:
    by_group: dict[str, list[str]] = {}
    for task in tasks().values():
        by_group.setdefault(task.group, []).append(f"`{task.task_id}`")
    lines = [f"- {escape(groups()[group])}: {', '.join(names)}" for group, names in by_group.items()]
    types = [f"- {kind}: " + ", ".join(f"`{name}`" for name in flaws.flaw_types(kind)) for kind in KINDS]
    return "Tasks:\n\n" + "\n".join(lines) + "\n\nFlaw types:\n\n" + "\n".join(types)


def _method(manifest: Mapping[str, Any]) -> str:
    options = manifest.get("options", {})
    saliency, regions = options.get("saliency", {}), options.get("regions", {})
    split, made = options.get("split", {}), card_scoring.scoring(options.get("mos", {}))
    scores = "\n".join(f"- **{title}.** {text}" for title, text in card_scoring.how(made).items())
    shares = " : ".join(f"{split[name]:g}" if name in split else "?" for name in SPLITS)
    return f"""## How it was built

With the options of `{MANIFEST}`; H is the height of the edited image in pixels.

- **Regions.** The expert's, where an expert reviewed the image; elsewhere boxes that at least \
{regions.get("min_support", "?")} annotators drew with an overlap (IoU) of at least {regions.get("iou", "?")}, the box \
being the coordinate-wise median. A region that more than {regions.get("max_flags", "?")} raters called unreasonable \
is discarded, with its disks.
- **Rationales.** A text is final when {regions.get("reviewers", "?")} distinct reviewers agreed on it, word for word.
- **Saliency maps.** The disks (radius H/20) of the accepted regions, from every supporting annotator. Each disk at \
(x_k, y_k) adds exp(-((x - x_k)² + (y - y_k)²) / (2 sigma²)) at pixel centres (integer + 0.5), with sigma = \
{escape(saliency.get("sigma", "?"))} and profile `{saliency.get("profile", "?")}`; the sum is divided by its maximum, \
which is kept as the peak. Without a disk the map is zero everywhere.
{scores}
- **Overall.** `overall` = perceptual_quality^0.3 · instruction_following^0.4 · visual_consistency^0.3 (Eq. 5 of the \
paper), a negative score counting as 0.
- **Splits.** Whole sources, train : validation : test = {shares}, balanced over tasks and editors, seed \
{split.get("seed", "?")}. No source is in two splits."""


def _counts(manifest: Mapping[str, Any]) -> str:
    stages = manifest.get("stages", [])
    if not stages:
        return ""
    rows = [
        (escape(stage["stage"]), f"{stage['in']:,}", f"{stage['out']:,}", f"{stage['set_aside']:,}", _reasons(stage))
        for stage in stages
    ]
    total = manifest.get("rejected", {}).get("total", 0)
    return (
        "## What came in, and what was set aside\n\n"
        + table(("stage", "in", "out", "set aside", "why"), rows)
        + f"\n\nEach of the {total:,} things that were set aside or repaired is a line of "
        "[rejected.jsonl](rejected.jsonl): which file, which row, and why."
    )


def _reasons(stage: Mapping[str, Any]) -> str:
    reasons = sorted(stage.get("reasons", {}).items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{escape(code)} {count:,}" for code, count in reasons)


def _raters(manifest: Mapping[str, Any]) -> str:
    scores = manifest.get("scores") or {}
    if not scores.get("ratings"):
        return ""
    fates = ", ".join(f"{escape(name)} {count:,}" for name, count in scores["ratings_by_status"].items() if count)
    reasons = ", ".join(f"{escape(name)} {count:,}" for name, count in sorted(scores["raters_by_reason"].items()))
    text = (
        f"## Raters\n\n{scores['raters']:,} raters gave {scores['ratings']:,} ratings ({fates}). {_outliers(scores)}"
        f"{scores['raters_excluded']:,} raters were left out altogether" + (f" ({reasons})" if reasons else "") + ". "
        "To be left out is no proof of carelessness: every rating and its fate is in the table `ratings`, every rater "
        "in `annotators`."
    )
    warnings = "\n".join(f"- {escape(warning)}" for warning in scores.get("warnings", []))
    return f"{text}\n\n{warnings}" if warnings else text


def _outliers(scores: Mapping[str, Any]) -> str:
    share, expected = scores.get("outlier_share"), scores.get("expected_outlier_share")
    if share is None:
        return ""
    alike = (
        ""
        if expected is None
        else f"; raters who were all alike, with normally distributed disagreement, would have {expected:.1%} by "
        "chance alone"
    )
    return f"{share:.1%} of the ratings are outliers, which count against their raters{alike}. "


def _figures(manifest: Mapping[str, Any]) -> str:
    images = sorted(out["path"] for out in manifest["outputs"] if _FIGURE.fullmatch(out["path"]))
    shown = [f"![{path[8:-4].replace('_', ' ').replace('-', ' ')}]({path})" for path in images]
    return "\n\n".join(["## Figures", *shown, "More of them, and a gallery, are in `report.html`."])


def _limits(manifest: Mapping[str, Any]) -> str:
    made = card_scoring.scoring(manifest.get("options", {}).get("mos", {}))
    comparable = card_scoring.limits(made, (manifest.get("scores") or {}).get("scores_out_of_range", 0))
    return f"""## Limits

- {comparable}
- A saliency map is divided by its own maximum, so that two maps compare only after multiplying by their peaks; the \
stored map has 256 levels.
- An image without a region is one in which the annotators agreed on no flaw, which is less than having none.
- Flaw types, tasks and dimensions are closed lists of this study; the text of a rationale is what people agreed on, \
not a measurement.
- The split keeps sources apart. It does not keep editors apart: every editor can be in every split."""


def _terms(manifest: Mapping[str, Any]) -> str:
    corpus = manifest["corpus"]
    text = (
        f"## Licence and citation\n\nThe annotations: {escape(corpus.get('licence') or 'not stated')}. "
        "The images keep their own licences, named row by row in the column `licence`."
    )
    citation = str(corpus.get("citation") or "").strip()
    return f"{text}\n\n{_block(citation)}" if citation else text


def _block(text: str) -> str:
    lines = [re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]", " ", line).rstrip() for line in text.split("\n")]
    return "\n".join("    " + line.expandtabs(4) for line in lines)


def _provenance(manifest: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{escape(name)} {escape(version)}" for name, version in manifest["versions"].items())
    return (
        f"## Provenance\n\nBuilt by `editfhf build` ({versions}). The same corpus, options and versions give the same "
        f"bytes. [{MANIFEST}]({MANIFEST}) holds the digest of every input and output and all options; "
        "`editfhf validate` checks them."
    )


def _bytes(count: int) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count = count / 1000  # type: ignore[assignment]
    return f"{count:.1f} GB"
