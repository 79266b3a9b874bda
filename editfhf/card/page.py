"""The dataset card: README.md, with front matter for the Hub and a body for the reader."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from annotation.records import DIMENSIONS, KINDS
from annotation.rules import OVERALL_WEIGHTS
from annotation.taxonomy import list_flaw_types, load_edit_tasks, load_task_groups
from editfhf.card.metadata import make_card_metadata, read_column_descriptions, to_one_line
from editfhf.card.scoring import describe_method, describe_score_limits, list_scoring_options, read_scoring_settings
from editfhf.features import DATASET_SPLITS, FeatureSpec, list_config_columns
from editfhf.manifest import MANIFEST_FILE, Manifest, ManifestStep, group_loadable_shards, group_shards, open_texts_of

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&$])")
_OPENS_A_BLOCK = re.compile(r"^(\d*)([.)](?=\s|$)|[-=+](?=[\s=-]|$))")
_LINK = re.compile(r"https?://[^\s<>\"`]+")
_FIGURE = re.compile(r"figures/[A-Za-z0-9_-]+\.(?:png|svg)")


def render_card(manifest: Manifest) -> str:
    """The text of README.md.

    Names and texts of the corpus are escaped: they cannot become markup or front matter. The same manifest gives the
    same bytes.

    Parameters
    ----------
    manifest
        Of the dataset.
    """
    front = yaml.safe_dump(make_card_metadata(manifest), sort_keys=False, allow_unicode=True, width=10**6)
    sections = (
        _opening_section,
        _loading_section,
        _tables_section,
        _method_section,
        _counts_section,
        _raters_section,
        _figures_section,
        _limits_section,
        _terms_section,
        _provenance_section,
    )
    body = "\n\n".join(text for section in sections if (text := section(manifest)))
    return f"---\n{front}---\n\n{body}\n"


def escape_markdown(text: object) -> str:
    """Any text as one line of literal Markdown.

    >>> escape_markdown("a|b <i>")
    'a\\\\|b \\\\<i\\\\>'
    """
    line = _SPECIAL.sub(r"\\\1", to_one_line(str(text)))
    return _OPENS_A_BLOCK.sub(r"\1\\\2", line)


def format_markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; header and cells are Markdown already."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _opening_section(manifest: Manifest) -> str:
    corpus = manifest.corpus
    version = f" {escape_markdown(corpus['version'])}" if corpus.get("version") else ""
    splits = manifest.splits
    pairs = sum(split.pairs for split in splits.values())
    sources = sum(split.sources for split in splits.values())
    parts = [f"# {escape_markdown(corpus.get('name') or 'editfhf dataset')}{version}"]
    if corpus.get("description"):
        parts.append(escape_markdown(corpus["description"]))
    if corpus.get("homepage"):
        homepage = str(corpus["homepage"]).strip()
        parts.append("Homepage: " + (f"<{homepage}>" if _LINK.fullmatch(homepage) else escape_markdown(homepage)))
    parts.append(
        f"Fine-grained human feedback on {pairs:,} edited images of {sources:,} sources: for every image two saliency "
        "maps (artifacts, and failures to follow the instruction), regions with a rationale, and mean opinion scores "
        "of " + ", ".join(name.replace("_", " ") for name in DIMENSIONS) + ". Every annotator's own marks and ratings "
        "come with it, so that every map and score can be computed again."
    )
    rows = [(name, f"{split.pairs:,}", f"{split.sources:,}") for name, split in splits.items()]
    parts.append(format_markdown_table(("split", "edited images", "sources"), rows))
    return "\n\n".join(parts)


def _loading_section(manifest: Manifest) -> str:
    split = next(iter(manifest.splits), "train")
    lines = {
        "default": f'pairs = load_dataset("PATH_OR_REPO", split="{split}")            # one row an edited image',
        "ratings": f"{_format_config_call('ratings')}  # every rating, with its status",
        "marks": f"{_format_config_call('marks')}      # every box and disk, before consensus",
    }
    loadable = group_loadable_shards(manifest)
    shown = "\n".join(line for config, line in lines.items() if config in loadable)
    maps = """pair_marks = [mark for mark in marks if mark["pair_id"] == pair["pair_id"]]
width, height = pair["edited_image"].size
maps = editfhf.render_maps(pair_marks, height, width, sigma=height / 40)  # {"artifact": float32 [H, W], ...}
"""
    return f"""## Loading

```python
from datasets import load_dataset

{shown}
```

`PATH_OR_REPO` is this folder or its repository on the Hub; `streaming=True` reads without downloading everything.
With the package `editfhf` installed, `editfhf.load` does the same, `editfhf.show` shows a pair, and the maps can be
rendered again from the disks:

```python
import editfhf

pair = editfhf.load("PATH_OR_REPO", split="{split}")[0]
editfhf.show(pair).save("pair.png")
{maps if "marks" in loadable else ""}```"""


def _format_config_call(config: str) -> str:
    return f'{config} = load_dataset("PATH_OR_REPO", "{config}", split="train")'


def _tables_section(manifest: Manifest) -> str:
    parts = ["## Tables and columns"]
    for config, splits in group_shards(manifest).items():
        rows = sum(split.rows for split in splits.values())
        size = sum(split.bytes for split in splits.values())
        counted = f"{rows:,} rows, {_format_bytes(size)}." if rows else "No rows: `load_dataset` does not know it."
        parts.append(f"### `{config}`\n\n{counted}")
        meanings = read_column_descriptions()[config]
        cells = [
            (f"`{name}`", _format_feature_type(feature), meanings.get(name, ""))
            for name, feature in list_config_columns(config).items()
        ]
        parts.append(format_markdown_table(("column", "type", "meaning"), cells))
        if config == "default":
            region = list_config_columns("default")["artifact_regions"]["feature"]
            meanings = read_column_descriptions()["region"]
            parts.append("Each item of `artifact_regions` and `failure_regions`:")
            parts.append(
                format_markdown_table(
                    ("key", "type", "meaning"),
                    [(f"`{k}`", _format_feature_type(f), meanings.get(k, "")) for k, f in region.items()],
                )
            )
    parts.append(_format_closed_lists())
    return "\n\n".join(parts)


def _format_feature_type(feature: FeatureSpec) -> str:
    match feature.get("_type"):
        case "Value":
            return f"{feature['dtype']}"
        case "Image":
            return "image" + (", mode L" if feature.get("mode") == "L" else "")
        case "ClassLabel":
            return f"class label, {len(feature['names'])} names"
        case "List":
            count = f" of {feature['length']}" if "length" in feature else ""
            return f"list{count}: {_format_feature_type(feature['feature'])}"
        case _:
            return "record"


def _format_closed_lists() -> str:
    by_group: dict[str, list[str]] = {}
    for task in load_edit_tasks().values():
        by_group.setdefault(task.group, []).append(f"`{task.task_id}`")
    lines = [f"- {escape_markdown(load_task_groups()[group])}: {', '.join(names)}" for group, names in by_group.items()]
    types = [f"- {kind}: " + ", ".join(f"`{name}`" for name in list_flaw_types(kind)) for kind in KINDS]
    return "Tasks:\n\n" + "\n".join(lines) + "\n\nFlaw types:\n\n" + "\n".join(types)


def _method_section(manifest: Manifest) -> str:
    saliency, regions, split = (manifest.section(name) for name in ("saliency", "regions", "split"))
    sigma, profile = escape_markdown(saliency.get("sigma", "?")), saliency.get("profile", "?")
    settings = read_scoring_settings(manifest.section("mos"))
    shares = " : ".join(f"{split[name]:g}" if name in split else "?" for name in DATASET_SPLITS)
    text = f"""## How it was built

With the options of `{MANIFEST_FILE}`; H is the height of the edited image in pixels.

- **Regions.** The expert's, where an expert reviewed the image; elsewhere boxes that at least \
{regions.get("min_support", "?")} annotators drew with an overlap (IoU) of at least {regions.get("iou", "?")}; the box \
is the coordinate-wise median. A region that more than {regions.get("max_flags", "?")} raters called unreasonable \
is discarded, with its disks.
- **Rationales.** A text is final when {regions.get("reviewers", "?")} distinct reviewers agreed on it, word for word.
- **Saliency maps.** The disks (radius H/20) of the accepted regions, from every supporting annotator. Each disk at \
(x_k, y_k) adds exp(-((x - x_k)² + (y - y_k)²) / (2 sigma²)) at pixel centres (integer + 0.5), with sigma = \
{sigma} and profile `{profile}`; the sum is divided by its maximum, which is kept as the peak. Without a disk the map \
is zero everywhere.
- **Scores.** {describe_method(settings)}
- **Overall.** `overall` = {_format_overall_formula()} (Eq. 5 of the paper); a negative score counts as 0.
- **Splits.** Whole sources, train : validation : test = {shares}, balanced over tasks and editors, seed \
{split.get("seed", "?")}. No source is in two splits."""
    if settings is None:
        return text
    rows = [
        (f"`{row.option}`", f"`{row.value}`", escape_markdown(row.meaning)) for row in list_scoring_options(settings)
    ]
    table = format_markdown_table(("option", "value", "meaning"), rows)
    return f"{text}\n\nOptions of the scoring method `{settings.options.method}`:\n\n{table}"


def _format_overall_formula() -> str:
    """The right side of Eq. 5."""
    return " · ".join(f"{dimension}^{weight:g}" for dimension, weight in OVERALL_WEIGHTS.items())


def _counts_section(manifest: Manifest) -> str:
    if not manifest.stages:
        return ""
    rows = [
        (
            escape_markdown(step.stage),
            f"{step.entered:,}",
            f"{step.left:,}",
            f"{step.set_aside:,}",
            _format_step_reasons(step),
        )
        for step in manifest.stages
    ]
    total = manifest.rejected.total or 0
    return (
        "## Steps and rejections\n\n"
        + format_markdown_table(("step", "in", "out", "rejected", "reasons"), rows)
        + f"\n\nEach of the {total:,} inputs that were rejected or repaired is a line of "
        "[rejected.jsonl](rejected.jsonl) with its file, row and reason."
        + "".join(f"\n\n{warning}" for warning in open_texts_of(manifest))
    )


def _format_step_reasons(step: ManifestStep) -> str:
    reasons = sorted(step.reasons.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{escape_markdown(code)} {count:,}" for code, count in reasons)


def _raters_section(manifest: Manifest) -> str:
    scores = manifest.scores
    if not scores.get("ratings"):
        return ""
    statuses = ", ".join(
        f"{escape_markdown(name)} {count:,}" for name, count in scores["ratings_by_status"].items() if count
    )
    reasons = ", ".join(
        f"{escape_markdown(name)} {count:,}" for name, count in sorted(scores["raters_by_reason"].items())
    )
    text = (
        f"## Raters\n\n{scores['raters']:,} raters gave {scores['ratings']:,} ratings ({statuses}). "
        f"{_describe_outlier_share(scores)}"
        f"{scores['raters_excluded']:,} raters were excluded from all dimensions"
        + (f" ({reasons})" if reasons else "")
        + ". An exclusion by itself does not show carelessness: every rating and its status is in the table `ratings`, "
        "every rater in `annotators`."
    )
    warnings = "\n".join(f"- {escape_markdown(warning)}" for warning in scores.get("warnings", []))
    return f"{text}\n\n{warnings}" if warnings else text


def _describe_outlier_share(scores: Mapping[str, Any]) -> str:
    share, expected = scores.get("outlier_share"), scores.get("expected_outlier_share")
    if share is None:
        return ""
    by_chance = (
        ""
        if expected is None
        else f"; equally careful raters, with normally distributed disagreement, would have {expected:.1%} by chance"
    )
    return f"{share:.1%} of the ratings are outliers, which count against their raters{by_chance}. "


def _figures_section(manifest: Manifest) -> str:
    images = sorted(output.path for output in manifest.outputs if _FIGURE.fullmatch(str(output.path)))
    shown = [f"![{path[8:-4].replace('_', ' ').replace('-', ' ')}]({path})" for path in images]
    return "\n\n".join(["## Figures", *shown, "`report.html` has more figures and a gallery."])


def _limits_section(manifest: Manifest) -> str:
    settings = read_scoring_settings(manifest.section("mos"))
    comparable = describe_score_limits(settings, manifest.scores.get("scores_out_of_range", 0))
    return f"""## Limits

- {comparable}
- A saliency map is divided by its own maximum: multiply two maps by their peaks before you compare them. The stored \
map has 256 levels.
- An image without a region is one in which the annotators did not agree on a flaw; it can have flaws.
- Flaw types, tasks and dimensions are closed lists of this study; the text of a rationale is what reviewers agreed \
on, not a measurement.
- The split separates sources. It does not separate editors: every editor can be in every split."""


def _terms_section(manifest: Manifest) -> str:
    corpus = manifest.corpus
    text = (
        f"## Licence and citation\n\nThe annotations: {escape_markdown(corpus.get('licence') or 'not stated')}. "
        "The images keep their own licences, named row by row in the column `licence`."
    )
    citation = str(corpus.get("citation") or "").strip()
    return f"{text}\n\n{_indent_code_block(citation)}" if citation else text


def _indent_code_block(text: str) -> str:
    lines = [re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]", " ", line).rstrip() for line in text.split("\n")]
    return "\n".join("    " + line.expandtabs(4) for line in lines)


def _provenance_section(manifest: Manifest) -> str:
    versions = ", ".join(
        f"{escape_markdown(name)} {escape_markdown(version)}" for name, version in manifest.versions.items()
    )
    return (
        f"## Provenance\n\nBuilt by `editfhf build` ({versions}). The same corpus, options and versions give the same "
        f"bytes. [{MANIFEST_FILE}]({MANIFEST_FILE}) holds the digest of every input and output and all options; "
        "`editfhf validate` checks them."
    )


def _format_bytes(count: int) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count = count / 1000  # type: ignore[assignment]
    return f"{count:.1f} GB"
