"""The hand-written schemas are what `datasets` itself would write."""

from __future__ import annotations

import json

import datasets
import pytest

from editfhf.card import descriptions
from editfhf.dataset import features
from editfhf.features import CONFIGS, columns, schema


@pytest.mark.parametrize("config", CONFIGS)
def test_schema_is_the_librarys_own(config: str) -> None:
    assert features(config).arrow_schema.equals(schema(config), check_metadata=True)


@pytest.mark.parametrize("config", CONFIGS)
def test_the_library_reads_the_features_back_from_the_schema(config: str) -> None:
    assert datasets.Features.from_arrow_schema(schema(config)) == features(config)
    stored = json.loads(schema(config).metadata[b"huggingface"])
    assert stored["info"]["features"] == features(config).to_dict()


def test_regions_are_lists_of_records_not_records_of_lists() -> None:
    region = features()["artifact_regions"]
    assert isinstance(region, datasets.List)
    assert isinstance(region.feature, dict)


@pytest.mark.parametrize("config", CONFIGS)
def test_every_column_is_described_and_nothing_else(config: str) -> None:
    assert list(descriptions()[config]) == list(columns(config))


def test_every_key_of_a_region_is_described() -> None:
    assert list(descriptions()["region"]) == list(columns("default")["artifact_regions"]["feature"])
