"""The YAML front matter of a dataset card, in the form that the Hub and `datasets` read.

Written from `editfhf.features` without importing `datasets`; a test holds it equal to what the library writes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from editfhf.features import Feature, columns
from editfhf.manifest import FOLDERS, Shards, shards

TASK_CATEGORIES = ("image-to-image", "image-text-to-text")
TAGS = ("image-editing", "human-feedback", "image-quality-assessment", "saliency", "editfhf")

# The part of the Hub's list of licence ids that fits data; every other licence is `other` with its name.
_LICENCES = """
    afl-3.0 apache-2.0 artistic-2.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc0-1.0
    cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0
    cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cdla-permissive-1.0
    cdla-permissive-2.0 cdla-sharing-1.0 etalab-2.0 eupl-1.1 eupl-1.2 gfdl gpl gpl-2.0 gpl-3.0 agpl-3.0 lgpl lgpl-3.0
    isc mit mpl-2.0 odbl odc-by openrail pddl unlicense wtfpl
"""
LICENCES = frozenset(_LICENCES.split())
_SHORT = {"cc0": "cc0-1.0", "apache": "apache-2.0", "odbl-1.0": "odbl", "odc-by-1.0": "odc-by", "pddl-1.0": "pddl"}
_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))


def metadata(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Everything between the two `---` lines of the card, as plain values in the order in which it is written."""
    corpus = manifest["corpus"]
    tables = shards(manifest)
    pairs = sum(table.rows for table in tables.get("default", {}).values())
    return {
        **licence(corpus.get("licence")),
        "pretty_name": one_line(corpus.get("name") or "editfhf dataset"),
        "task_categories": list(TASK_CATEGORIES),
        "size_categories": [size_category(pairs)],
        "tags": list(TAGS),
        "configs": [_config(config, splits) for config, splits in tables.items()],
        "dataset_info": [_info(config, tables[config]) for config in sorted(tables)],
    }


def licence(text: str | None) -> dict[str, str]:
    """The card's licence keys: the Hub's own id where there is one, else `other` and the name as given.

    >>> licence("CC BY 4.0")
    {'license': 'cc-by-4.0'}
    >>> licence("Our Terms, v2")
    {'license': 'other', 'license_name': 'our-terms-v2'}
    """
    if not text or not text.strip():
        return {"license": "unknown"}
    words = re.findall(r"[a-z0-9.+]+", text.lower())
    known = "-".join(word for word in words if word not in ("license", "licence", "the"))
    known = _SHORT.get(known, known)
    if known in LICENCES:
        return {"license": known}
    if re.fullmatch(r"https?://[^\s<>\"]+", text.strip()):
        return {"license": "other", "license_name": "see-link", "license_link": text.strip()}
    return {"license": "other", "license_name": "-".join(words)[:100] or "unnamed"}


def size_category(rows: int) -> str:
    """The Hub's size category of a dataset with this many rows."""
    return next((name for limit, name in _SIZES if rows < limit), "n>10M")


def one_line(text: str) -> str:
    """Text from outside with every run of blanks and control characters made one space."""
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]+", " ", str(text)).strip()


def yaml_features(config: str) -> list[dict[str, Any]]:
    """The features of one config in the YAML form of `datasets`."""
    return [{"name": name, **_column(feature)} for name, feature in columns(config).items()]


def _column(feature: Feature) -> dict[str, Any]:
    kind = feature.get("_type")
    if kind == "Value":
        return {"dtype": feature["dtype"]}
    if kind == "Image":
        mode = {"mode": feature["mode"]} if "mode" in feature else {}
        return {"dtype": {"image": mode} if mode else "image"}
    if kind == "ClassLabel":
        names = {str(index): name for index, name in enumerate(feature["names"])}
        return {"dtype": {"class_label": {"names": names}}}
    inner = feature["feature"]
    length = {"length": feature["length"]} if "length" in feature else {}
    return {"list": _item(inner), **length}


def _item(feature: Feature) -> Any:
    if "_type" not in feature:
        return [{"name": name, **_column(inner)} for name, inner in feature.items()]
    column = _column(feature)
    return column["dtype"] if set(column) == {"dtype"} else column


def _config(config: str, splits: Mapping[str, Shards]) -> dict[str, Any]:
    files = [{"split": split, "path": f"{FOLDERS[config]}/{_stem(config, split)}-*"} for split in splits]
    default = {"default": True} if config == "default" else {}
    return {"config_name": config, "data_files": files, **default}


def _stem(config: str, split: str) -> str:
    return split if config == "default" else config


def _info(config: str, splits: Mapping[str, Shards]) -> dict[str, Any]:
    size = sum(table.bytes for table in splits.values())
    return {
        "config_name": config,
        "features": yaml_features(config),
        "splits": [
            {"name": split, "num_bytes": table.bytes, "num_examples": table.rows} for split, table in splits.items()
        ],
        "download_size": size,
        "dataset_size": size,
    }
