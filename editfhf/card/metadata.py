"""Metadata of a dataset for machines: the YAML front matter of the card, in the form that the Hub and `datasets`
read, and the description in Croissant 1.1 (JSON-LD of MLCommons).

Both are made from `editfhf.features` without importing `datasets`; a test compares them with what the library writes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from importlib import resources
from typing import Any

import yaml

from annotation.records import KINDS
from editfhf.features import FeatureSpec, list_config_columns
from editfhf.manifest import CONFIG_FOLDERS, Manifest, ShardFiles, group_loadable_shards


@cache
def read_column_descriptions() -> dict[str, dict[str, str]]:
    """The meaning of each column by config; "region" describes the items of the region lists."""
    text = resources.files("editfhf").joinpath("columns.yaml").read_text(encoding="utf-8")
    described: dict[str, dict[str, str]] = yaml.safe_load(text)
    return described


HUB_TASK_CATEGORIES = ("image-to-image", "image-text-to-text")


DATASET_TAGS = ("image-editing", "human-feedback", "image-quality-assessment", "saliency", "editfhf")


# The part of the Hub's list of licence ids that fits data; every other licence is `other` with its name.
_LICENCES = """
    afl-3.0 apache-2.0 artistic-2.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc0-1.0
    cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0
    cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cdla-permissive-1.0
    cdla-permissive-2.0 cdla-sharing-1.0 etalab-2.0 eupl-1.1 eupl-1.2 gfdl gpl gpl-2.0 gpl-3.0 agpl-3.0 lgpl lgpl-3.0
    isc mit mpl-2.0 odbl odc-by openrail pddl unlicense wtfpl
"""


HUB_LICENCES = frozenset(_LICENCES.split())


_SHORT = {"cc0": "cc0-1.0", "apache": "apache-2.0", "odbl-1.0": "odbl", "odc-by-1.0": "odc-by", "pddl-1.0": "pddl"}


_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))


def make_card_metadata(manifest: Manifest) -> dict[str, Any]:
    """The front matter of the card (between its two `---` lines), in the order in which it is written."""
    corpus = manifest.corpus
    tables = group_loadable_shards(manifest)
    pairs = sum(table.rows for table in tables.get("default", {}).values())
    return {
        **find_licence_keys(corpus.get("licence")),
        "pretty_name": to_one_line(corpus.get("name") or "editfhf dataset"),
        "task_categories": list(HUB_TASK_CATEGORIES),
        "size_categories": [find_size_category(pairs)],
        "tags": list(DATASET_TAGS),
        "configs": [_config_entry(config, splits) for config, splits in tables.items()],
        "dataset_info": [_dataset_info(config, tables[config]) for config in sorted(tables)],
    }


def find_licence_keys(text: str | None) -> dict[str, str]:
    """The card's keys for a licence: the id that the Hub gives it, else `other` and the name as given.

    >>> find_licence_keys("CC BY 4.0")
    {'license': 'cc-by-4.0'}
    >>> find_licence_keys("Our Terms, v2")
    {'license': 'other', 'license_name': 'our-terms-v2'}
    """
    if not text or not text.strip():
        return {"license": "unknown"}
    words = re.findall(r"[a-z0-9.+]+", text.lower())
    known = "-".join(word for word in words if word not in ("license", "licence", "the"))
    known = _SHORT.get(known, known)
    if known in HUB_LICENCES:
        return {"license": known}
    if re.fullmatch(r"https?://[^\s<>\"]+", text.strip()):
        return {"license": "other", "license_name": "see-link", "license_link": text.strip()}
    return {"license": "other", "license_name": "-".join(words)[:100] or "unnamed"}


def find_size_category(rows: int) -> str:
    """The Hub's size category of a dataset with this many rows."""
    return next((name for limit, name in _SIZES if rows < limit), "n>10M")


def to_one_line(text: str) -> str:
    """Text of a corpus with every run of blanks and control characters replaced by one space."""
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]+", " ", str(text)).strip()


def list_yaml_features(config: str) -> list[dict[str, Any]]:
    """The features of one config in the YAML form of `datasets`."""
    return [{"name": name, **_yaml_column(feature)} for name, feature in list_config_columns(config).items()]


def _yaml_column(feature: FeatureSpec) -> dict[str, Any]:
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
    return {"list": _yaml_item(inner), **length}


def _yaml_item(feature: FeatureSpec) -> Any:
    if "_type" not in feature:
        return [{"name": name, **_yaml_column(inner)} for name, inner in feature.items()]
    column = _yaml_column(feature)
    return column["dtype"] if set(column) == {"dtype"} else column


def _config_entry(config: str, splits: Mapping[str, ShardFiles]) -> dict[str, Any]:
    files = [{"split": split, "path": f"{CONFIG_FOLDERS[config]}/{_shard_stem(config, split)}-*"} for split in splits]
    default = {"default": True} if config == "default" else {}
    return {"config_name": config, "data_files": files, **default}


def _shard_stem(config: str, split: str) -> str:
    return split if config == "default" else config


def _dataset_info(config: str, splits: Mapping[str, ShardFiles]) -> dict[str, Any]:
    size = sum(table.bytes for table in splits.values())
    return {
        "config_name": config,
        "features": list_yaml_features(config),
        "splits": [
            {"name": split, "num_bytes": table.bytes, "num_examples": table.rows} for split, table in splits.items()
        ],
        "download_size": size,
        "dataset_size": size,
    }


CROISSANT_CONFORMS_TO = "http://mlcommons.org/croissant/1.1"


# Standard context of the specification (https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html).
_CROISSANT_TERMS = (
    "arrayShape citeAs column containedIn equivalentProperty extract field fileProperty fileObject fileSet format "
    "includes isArray isLiveDataset jsonPath key md5 parentField path recordSet references regex repeated replace "
    "samplingRate separator source subField transform"
)


CROISSANT_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{term: f"cr:{term}" for term in _CROISSANT_TERMS.split()},
}


_CROISSANT_TYPES = {
    "string": "sc:Text",
    "int32": "cr:Int32",
    "float32": "cr:Float32",
    "float64": "cr:Float64",
    "bool": "sc:Boolean",
}


def render_croissant(manifest: Manifest) -> dict[str, Any]:
    """The content of `croissant.json` as JSON values: every table is a record set, every column a field.

    A column of regions is a field with sub-fields; the split is a field that is read from the name of the shard.

    Parameters
    ----------
    manifest
        Of the dataset.
    """
    corpus = manifest.corpus
    tables = group_loadable_shards(manifest)
    known = {
        "description": to_one_line(corpus.get("description") or "Fine-grained human feedback on edited images."),
        "license": _licence_url(corpus.get("licence")),
        "url": corpus.get("homepage"),
        "version": _semantic_version(corpus.get("version")),
        "citeAs": to_one_line(corpus.get("citation") or ""),
    }
    return {
        "@context": deepcopy(CROISSANT_CONTEXT),  # mlcroissant writes into the context that it is given
        "@type": "sc:Dataset",
        "conformsTo": CROISSANT_CONFORMS_TO,
        "name": to_one_line(corpus.get("name") or "editfhf dataset"),
        **{key: value for key, value in known.items() if value},
        "keywords": list(DATASET_TAGS),
        "distribution": [_file_set(config) for config in tables],
        "recordSet": [_record_set(config) for config in tables],
    }


def _licence_url(text: str | None) -> str | None:
    found = find_licence_keys(text)
    if found["license"] in HUB_LICENCES:
        return f"https://spdx.org/licenses/{_SPDX.get(found['license'], found['license'].upper())}"
    return found.get("license_link") or (to_one_line(text) if text else None)


_SPDX = {"apache-2.0": "Apache-2.0", "odbl": "ODbL-1.0", "odc-by": "ODC-By-1.0", "unlicense": "Unlicense"}


def _semantic_version(text: object) -> str | None:
    """The version as `major.minor.patch`, which the specification requires; None if it has another form."""
    found = re.fullmatch(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?", str(text or "").strip())
    return ".".join(part or "0" for part in found.groups()) if found else None


def _file_set(config: str) -> dict[str, Any]:
    folder = CONFIG_FOLDERS[config]
    return {
        "@type": "cr:FileSet",
        "@id": f"{config}-shards",
        "description": f"Parquet shards of the table {config!r}.",
        "encodingFormat": "application/x-parquet",
        "includes": f"{folder}/*.parquet",
    }


def _record_set(config: str) -> dict[str, Any]:
    fields = [_column_field(config, config, name, feature, ()) for name, feature in list_config_columns(config).items()]
    if config == "default":
        fields.append(_split_field())
    key = {"default": "pair_id", "annotators": "annotator_id"}.get(config)
    return {
        "@type": "cr:RecordSet",
        "@id": config,
        "description": f"The table {config!r}, one record a row.",
        **({"key": {"@id": f"{config}/{key}"}} if key else {}),
        "field": fields,
    }


def _split_field() -> dict[str, Any]:
    extract = {"fileSet": {"@id": "default-shards"}, "extract": {"fileProperty": "fullpath"}}
    return {
        "@type": "cr:Field",
        "@id": "default/split",
        "description": "The split, from the name of the shard.",
        "dataType": "sc:Text",
        "source": {**extract, "transform": {"regex": r"data/([a-z]+)-\d+-of-\d+\.parquet"}},
    }


def _column_field(config: str, parent: str, name: str, feature: FeatureSpec, path: tuple[str, ...]) -> dict[str, Any]:
    about = read_column_descriptions()["region" if path else config].get(name, name)
    field: dict[str, Any] = {"@type": "cr:Field", "@id": f"{parent}/{name}", "description": about.replace("`", "")}
    if name in {f"{kind}_regions" for kind in KINDS}:
        items = feature["feature"].items()
        subfields = [_column_field(config, f"{parent}/{name}", key, inner, (*path, name)) for key, inner in items]
        return {**field, "isArray": True, "arrayShape": "-1", "subField": subfields}
    leaf, shape = feature, []
    while leaf.get("_type") == "List":
        shape.append(str(leaf.get("length", -1)))
        leaf = leaf["feature"]
    steps = [*path, name]
    source: dict[str, Any] = {"fileSet": {"@id": f"{config}-shards"}, "extract": {"column": steps[0]}}
    inside = "bytes" if leaf["_type"] == "Image" else ".".join(steps[1:])
    if inside:
        source["transform"] = {"jsonPath": inside}
    array = {"isArray": True, "arrayShape": ",".join(shape)} if shape else {}
    return {**field, "dataType": _data_type(leaf), **array, "source": source}


def _data_type(leaf: FeatureSpec) -> str:
    match leaf["_type"]:
        case "Image":
            return "sc:ImageObject"
        case "ClassLabel":
            return "cr:Int64"
        case _:
            return _CROISSANT_TYPES[leaf["dtype"]]
