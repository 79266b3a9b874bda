"""The hand-written schemas are what `datasets` itself would write."""

from __future__ import annotations

import json

import datasets
import pytest

from editfhf.card.metadata import read_column_descriptions
from editfhf.dataset import make_dataset_features
from editfhf.features import DATASET_CONFIGS, list_config_columns, make_arrow_schema


@pytest.mark.parametrize("config", DATASET_CONFIGS)
def test_schema_is_the_librarys_own(config: str) -> None:
    assert make_dataset_features(config).arrow_schema.equals(make_arrow_schema(config), check_metadata=True)


@pytest.mark.parametrize("config", DATASET_CONFIGS)
def test_the_library_reads_the_features_back_from_the_schema(config: str) -> None:
    assert datasets.Features.from_arrow_schema(make_arrow_schema(config)) == make_dataset_features(config)
    stored = json.loads(make_arrow_schema(config).metadata[b"huggingface"])
    assert stored["info"]["features"] == make_dataset_features(config).to_dict()


def test_regions_are_lists_of_records_not_records_of_lists() -> None:
    region = make_dataset_features()["artifact_regions"]
    assert isinstance(region, datasets.List)
    assert isinstance(region.feature, dict)


@pytest.mark.parametrize("config", DATASET_CONFIGS)
def test_every_column_is_described_and_nothing_else(config: str) -> None:
    assert list(read_column_descriptions()[config]) == list(list_config_columns(config))


def test_every_key_of_a_region_is_described() -> None:
    assert list(read_column_descriptions()["region"]) == list(
        list_config_columns("default")["artifact_regions"]["feature"]
    )
