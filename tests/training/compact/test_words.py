"""Instructions as vectors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.compact.words import HASH_BUCKETS, TEXT_SIZE, VECTOR_SIZE, encode_instruction


def cosine(first: str, second: str) -> float:
    one, other = (encode_instruction(text)[:VECTOR_SIZE].astype(float) for text in (first, second))
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@given(st.text(max_size=300))
def test_any_text_has_a_finite_vector(text: str) -> None:
    vector = encode_instruction(text)
    assert vector.shape == (TEXT_SIZE,) and np.isfinite(vector).all()
    assert np.array_equal(vector, encode_instruction(text))


@pytest.mark.parametrize("text", ["ab " * 3400, "把天空变成红色", "أضف قبعة حمراء", "\ud800", "!!!"])
def test_long_texts_and_other_scripts(text: str) -> None:
    assert np.isfinite(encode_instruction(text)).all()
    assert bool(encode_instruction(text)[-HASH_BUCKETS:].any()) is any(sign.isalnum() for sign in text)


def test_words_that_mean_alike_are_near() -> None:
    assert cosine("dog", "cat") > cosine("dog", "mug")
    assert cosine("red", "blue") > cosine("red", "remove")


def test_the_order_of_words_counts() -> None:
    first, second = encode_instruction("replace the dog with a cat"), encode_instruction("replace the cat with a dog")
    assert not np.array_equal(first, second)
