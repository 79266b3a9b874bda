"""The dataset described in Croissant 1.1 (JSON-LD of MLCommons): what a data search engine and `mlcroissant` read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from annotation.records import KINDS
from editfhf.card import descriptions
from editfhf.card_metadata import LICENCES, TAGS, licence, one_line
from editfhf.features import Feature, columns
from editfhf.manifest import FOLDERS, shards

CONFORMS_TO = "http://mlcommons.org/croissant/1.1"

# Standard context of the specification (https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html).
_CROISSANT_TERMS = (
    "arrayShape citeAs column containedIn equivalentProperty extract field fileProperty fileObject fileSet format "
    "includes isArray isLiveDataset jsonPath key md5 parentField path recordSet references regex repeated replace "
    "samplingRate separator source subField transform"
)
CONTEXT: dict[str, Any] = {
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
_TYPES = {
    "string": "sc:Text",
    "int32": "cr:Int32",
    "float32": "cr:Float32",
    "float64": "cr:Float64",
    "bool": "sc:Boolean",
}


def render(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The content of `croissant.json`, to lie beside README.md: every table as a record set, every column a field.

    A column of regions becomes a field with sub-fields; the split is a field read from the shard's name.
    """
    corpus = manifest["corpus"]
    tables = shards(manifest)
    said = {
        "description": one_line(corpus.get("description") or "Fine-grained human feedback on edited images."),
        "license": _licence(corpus.get("licence")),
        "url": corpus.get("homepage"),
        "version": _version(corpus.get("version")),
        "citeAs": one_line(corpus.get("citation") or ""),
    }
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": one_line(corpus.get("name") or "editfhf dataset"),
        **{key: value for key, value in said.items() if value},
        "keywords": list(TAGS),
        "distribution": [_files(config) for config in tables],
        "recordSet": [_records(config) for config in tables],
    }


def _licence(text: str | None) -> str | None:
    found = licence(text)
    if found["license"] in LICENCES:
        return f"https://spdx.org/licenses/{_SPDX.get(found['license'], found['license'].upper())}"
    return found.get("license_link") or (one_line(text) if text else None)


_SPDX = {"apache-2.0": "Apache-2.0", "odbl": "ODbL-1.0", "odc-by": "ODC-By-1.0", "unlicense": "Unlicense"}


def _version(text: object) -> str | None:
    """The version as `major.minor.patch`, as the specification asks; None when it cannot be read so."""
    found = re.fullmatch(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?", str(text or "").strip())
    return ".".join(part or "0" for part in found.groups()) if found else None


def _files(config: str) -> dict[str, Any]:
    folder = FOLDERS[config]
    return {
        "@type": "cr:FileSet",
        "@id": f"{config}-shards",
        "description": f"Parquet shards of the table {config!r}.",
        "encodingFormat": "application/x-parquet",
        "includes": f"{folder}/*.parquet",
    }


def _records(config: str) -> dict[str, Any]:
    fields = [_field(config, config, name, feature, ()) for name, feature in columns(config).items()]
    if config == "default":
        fields.append(_split())
    key = {"default": "pair_id", "annotators": "annotator_id"}.get(config)
    return {
        "@type": "cr:RecordSet",
        "@id": config,
        "description": f"The table {config!r}, one record a row.",
        **({"key": {"@id": f"{config}/{key}"}} if key else {}),
        "field": fields,
    }


def _split() -> dict[str, Any]:
    extract = {"fileSet": {"@id": "default-shards"}, "extract": {"fileProperty": "fullpath"}}
    return {
        "@type": "cr:Field",
        "@id": "default/split",
        "description": "The split, from the name of the shard.",
        "dataType": "sc:Text",
        "source": {**extract, "transform": {"regex": r"data/([a-z]+)-\d+-of-\d+\.parquet"}},
    }


def _field(config: str, parent: str, name: str, feature: Feature, path: tuple[str, ...]) -> dict[str, Any]:
    about = descriptions()["region" if path else config].get(name, name)
    field: dict[str, Any] = {"@type": "cr:Field", "@id": f"{parent}/{name}", "description": about.replace("`", "")}
    if name in {f"{kind}_regions" for kind in KINDS}:
        items = feature["feature"].items()
        subfields = [_field(config, f"{parent}/{name}", key, inner, (*path, name)) for key, inner in items]
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


def _data_type(leaf: Feature) -> str:
    match leaf["_type"]:
        case "Image":
            return "sc:ImageObject"
        case "ClassLabel":
            return "cr:Int64"
        case _:
            return _TYPES[leaf["dtype"]]
