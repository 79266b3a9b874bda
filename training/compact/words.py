"""An instruction as numbers: means of word vectors, and counts of hashed words and pairs of words.

The word vectors carry over to words that no training instruction had; the counts tell what the templates of an
instruction say exactly. A word that training never saw has a count whose weight stayed zero.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

VECTOR_SIZE = 50
HASH_BUCKETS = 2048
TEXT_SIZE = 2 * VECTOR_SIZE + HASH_BUCKETS
"""Length of the vector of an instruction."""

MOST_WORDS = 64
"""Words of an instruction that are read; edit instructions are shorter, and a longer text must not cost more time."""

_MOST_CHARACTERS = 1000
_WORD = re.compile(r"\w+")
WORD_TABLE = "weights/words.npz"


def list_instruction_words(instruction: str) -> list[str]:
    """The first words of an instruction, in lower case and normal form.

    >>> list_instruction_words("Replace the DOG, with 2 cats!")
    ['replace', 'the', 'dog', 'with', '2', 'cats']
    """
    text = unicodedata.normalize("NFKC", instruction[:_MOST_CHARACTERS]).casefold()
    return _WORD.findall(text)[:MOST_WORDS]


def encode_instruction(instruction: str) -> NDArray[np.float32]:
    """Compute the vector of an instruction.

    Parameters
    ----------
    instruction : str
        Any text; its first 64 words count.

    Returns
    -------
    ndarray
        float32 [TEXT_SIZE]: mean and largest values of the known words' vectors, then counts of hashed words and pairs
        of words, divided by the root of their number. All zeros for a text without words.

    Examples
    --------
    >>> bool(encode_instruction("").any()), encode_instruction("add a red mug").shape
    (False, (2148,))
    """
    words = list_instruction_words(instruction)
    vector = np.zeros(TEXT_SIZE, np.float32)
    rows, table = load_word_table()
    known = [rows[word] for word in words if word in rows]
    if known:
        found = table[known]
        vector[:VECTOR_SIZE] = found.mean(axis=0)
        vector[VECTOR_SIZE : 2 * VECTOR_SIZE] = found.max(axis=0)
    terms = words + [f"{first} {second}" for first, second in pairwise(words)]
    for term in terms:
        bucket = zlib.crc32(term.encode("utf-8", "surrogatepass")) % HASH_BUCKETS
        vector[2 * VECTOR_SIZE + bucket] += 1
    vector[2 * VECTOR_SIZE :] /= np.sqrt(max(1, len(terms)))
    return vector


@cache
def load_word_table() -> tuple[dict[str, int], NDArray[np.float32]]:
    """The shipped word vectors: row of each word, and float32 [words, 50] of about unit variance."""
    with (
        resources.as_file(resources.files(__package__) / WORD_TABLE) as path,
        np.load(path, allow_pickle=False) as file,
    ):
        words = bytes(file["words"]).decode("ascii").split("\n")
        table: NDArray[np.float32] = file["vectors"].astype(np.float32) * file["scale"].astype(np.float32)
    return {word: row for row, word in enumerate(words)}, table


def make_word_table(words: list[str], vectors: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Arrays of a word table of 8-bit vectors, as `weights/words.npz` has them.

    Parameters
    ----------
    words : list of str
        ASCII words without line feeds.
    vectors : ndarray
        float [words, 50].
    """
    spread = vectors.std(axis=0)
    scaled = np.clip(vectors / spread, -4, 4)
    return {
        "words": np.frombuffer("\n".join(words).encode("ascii"), np.uint8),
        "vectors": np.rint(scaled * (127 / 4)).astype(np.int8),
        "scale": np.full(vectors.shape[1], 4 / 127, np.float32),
    }
