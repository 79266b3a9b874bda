"""Prices, and the most that a request can cost."""

from __future__ import annotations

from decimal import Decimal
from math import ceil, sqrt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editfhf.chat import EncodedImage, Prices, default_prices
from editfhf.chat.costs import ImageTokenRule, Price, max_image_tokens, max_text_tokens, max_usage
from mos.errors import UserError
from tests.editfhf.chat.asking import PRICES, picture, question

TILES = ImageTokenRule(tiles=(85, 170))
PATCHES = ImageTokenRule(patches=(Decimal(1), 1536))
sides = st.integers(1, 12_000)


def sized(width: int, height: int) -> EncodedImage:
    hull = picture().without_data()
    hull.__dict__.update(width=width, height=height)
    return hull


def test_money_is_exact() -> None:
    price = Price(input=Decimal("1.25"), cached=Decimal("0.125"), output=Decimal(10))
    assert price.cost(1_000_003, 1, 7) == Decimal("1.250002625") + Decimal("0.00007") + Decimal(0)


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**7))
def test_nothing_costs_more_than_the_most(fresh: int, cached: int, made: int) -> None:
    for price in default_prices().models.values():
        assert price.cost(fresh + cached, cached, made) <= price.max_cost(fresh + cached, made)


def test_a_date_at_the_end_of_a_name_makes_no_difference() -> None:
    assert default_prices().find_price("gpt-5-2025-08-07") is default_prices().find_price("gpt-5") is not None
    assert default_prices().find_price("gpt-5-2025") is None and default_prices().find_price("llama") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: {m: {input: 1, cached: 1}}", "models.m.output"),
        ("models: {m: {input: -1, cached: 1, output: 1}}", "models.m.input"),
        ("models: {m: {input: .nan, cached: 1, output: 1}}", "models.m.input"),
        ("models: {m: {input: true, cached: 1, output: 1}}", "models.m.input"),
        ("models: {m: {input: 1, cached: 1, output: 1, picture: {}}}", "models.m.picture"),
        ("models: {}\nbatch_factor: 2", "batch_factor"),
        ("- 1", "the file"),
        ("a: [", "not valid YAML"),
        ("!!python/object:os.system x", "not valid YAML"),
    ],
)
def test_a_wrong_table_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        Prices.read(path)


def test_a_table_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        Prices.read(tmp_path / "none.yaml")


@pytest.mark.parametrize(("width", "height", "tokens"), [(1024, 1024, 765), (2048, 4096, 1105), (4096, 8192, 1105)])
def test_tiles_are_those_of_openais_examples(width: int, height: int, tokens: int) -> None:
    """https://developers.openai.com/api/docs/guides/images-vision#calculating-costs"""
    assert tokens <= max_image_tokens(sized(width, height), TILES) <= tokens + 16


@pytest.mark.parametrize(("width", "height", "tokens"), [(1024, 1024, 1024), (1800, 2400, 1452)])
def test_patches_bound_those_of_openais_examples(width: int, height: int, tokens: int) -> None:
    assert tokens <= max_image_tokens(sized(width, height), PATCHES) <= 1536 + 16


@given(sides, sides)
def test_the_bound_of_tiles_is_never_below_the_published_rule(width: int, height: int) -> None:
    shrink = min(1.0, 2048 / max(width, height))
    scale = shrink * min(1.0, 768 / (min(width, height) * shrink))
    tiles = ceil(width * scale / 512 - 1e-9) * ceil(height * scale / 512 - 1e-9)
    assert max_image_tokens(sized(width, height), TILES) >= 85 + 170 * tiles


@given(sides, sides)
def test_a_picture_of_an_unknown_model_is_never_below_openais_dearest_patches(width: int, height: int) -> None:
    squares = min(1536, ceil(width / 32) * ceil(height / 32))
    assert max_image_tokens(sized(width, height), None) >= 2.46 * squares or squares < 3072 / 2.46
    assert max_image_tokens(sized(width, height), None) >= sqrt(width * height) / 14


@given(st.text())
def test_a_text_has_no_more_tokens_than_bytes(text: str) -> None:
    assert max_text_tokens(text) >= len(text.encode())


def test_the_worst_case_is_one_request_with_all_its_output_at_the_price_of_the_channel() -> None:
    request = question(1, pictures=2)
    full, half = max_usage(request, PRICES), max_usage(request, PRICES, Decimal("0.5"))
    assert (full.requests, full.output_tokens) == (1, 300) and full.cost is not None
    assert half.cost == full.cost / 2
    assert max_usage(question(1, model="unknown"), PRICES).cost is None
