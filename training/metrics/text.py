"""Metrics of texts: ROUGE-1, ROUGE-2, ROUGE-L, METEOR, and the cosine of word vectors or sentence embeddings.

Backends are swappable and named in every result, because a cosine of one model says nothing about that of another.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mos.errors import UserError
from training.metrics.results import MetricResult
from training.metrics.text_backends import (
    SentenceEmbedder,
    WordVectors,
    load_sentence_embedder,
    load_word_vectors,
)

Stemmer = Literal["porter", "none"]
FindSynonyms = Callable[[str], Collection[str]]

TEXT_METRICS = ("rouge1", "rouge2", "rougeL", "meteor")

METEOR_ALPHA, METEOR_BETA, METEOR_GAMMA = 0.9, 3.0, 0.5

NO_CANDIDATE = "There is no text to compare."
EMPTY_REFERENCE = "The reference has no word."
UNKNOWN_WORDS = "No word of {side} has a vector."
NO_TEXTS = "There is no row with a text and a reference."

_SHORT_WORD = 3  # characters of the longest word that ROUGE does not stem


def text_metrics(
    candidates: Sequence[str | None],
    references: Sequence[str],
    *,
    stemmer: Stemmer = "porter",
    synonyms: FindSynonyms | None = None,
    word_vectors: WordVectors | str | None = None,
    sentences: SentenceEmbedder | str | None = None,
) -> MetricResult:
    """Compare texts with their references, and average over the rows.

    Parameters
    ----------
    candidates : sequence of str or None
        [N] texts of an agent; None where there is none (a status other than "ok").
    references : sequence of str
        [N] texts of the dataset.
    stemmer : {"porter", "none"}
        "porter" needs nltk.
    synonyms : callable, optional
        From a word to its synonyms, for METEOR, such as `load_wordnet_synonyms()`; none by default.
    word_vectors : WordVectors or str, optional
        Adds `similarity_<name>`; a name is one of `training.metrics.text_backends.WORD_VECTORS`.
    sentences : SentenceEmbedder or str, optional
        Adds `similarity_<name>`; a name is one of `training.metrics.text_backends.SENTENCE_EMBEDDERS`.

    Returns
    -------
    MetricResult
        `rouge1`, `rouge2`, `rougeL`, `meteor`, and the similarities: means over the rows with a candidate and a
        value. The settings have the number of rows, of rows without a candidate, and of rows behind each mean.

    Raises
    ------
    UserError
        For an unknown backend, or one that is not installed.
    ValueError
        If the two differ in length.

    Notes
    -----
    `compare_texts` gives the values of the single rows, for `summarise_metrics`.

    Examples
    --------
    >>> found = text_metrics(["the left hand is blurred", None], ["the hand is blurred", "a cat"], stemmer="none")
    >>> round(found["rouge1"], 4), round(found["rougeL"], 4), found.settings["without_candidate"]
    (0.8889, 0.8889, 1)
    """
    rows = compare_texts(
        candidates, references, stemmer=stemmer, synonyms=synonyms, word_vectors=word_vectors, sentences=sentences
    )
    settings: dict[str, Any] = {
        "rows": len(rows),
        "without_candidate": sum(candidate is None for candidate in candidates),
        "stemmer": stemmer,
        "synonyms": None if synonyms is None else getattr(synonyms, "__name__", type(synonyms).__name__),
    }
    names = rows[0] if rows else TEXT_METRICS
    values, reasons = {}, {}
    for name in names:
        known = [row[name] for row in rows if not math.isnan(row[name])]
        values[name] = math.fsum(known) / len(known) if known else math.nan
        settings[f"rows_{name}"] = len(known)
        if not known:
            reasons[name] = NO_TEXTS
    return MetricResult(values, settings, reasons)


def compare_texts(
    candidates: Sequence[str | None],
    references: Sequence[str],
    *,
    stemmer: Stemmer = "porter",
    synonyms: FindSynonyms | None = None,
    word_vectors: WordVectors | str | None = None,
    sentences: SentenceEmbedder | str | None = None,
) -> list[MetricResult]:
    """Compare each text with its reference; parameters and errors are those of `text_metrics`.

    Returns
    -------
    list of MetricResult
        One for each row; every value of a row without a candidate is NaN.
    """
    if len(candidates) != len(references):
        raise ValueError(f"Expected one reference for each text, but got {len(candidates)} and {len(references)}.")
    stem = _find_stemmer(stemmer)
    vectors = load_word_vectors(word_vectors) if isinstance(word_vectors, str) else word_vectors
    embedder = load_sentence_embedder(sentences) if isinstance(sentences, str) else sentences
    cosines = embed_pairs(candidates, references, embedder) if embedder is not None else None
    results = []
    for number, (candidate, reference) in enumerate(zip(candidates, references, strict=True)):
        values = _compare_words(candidate, reference, stem, synonyms)
        if vectors is not None:
            values[f"similarity_{vectors.name}"] = _compare_vectors(candidate, reference, vectors)
        if embedder is not None and cosines is not None:
            cosine = float(cosines[number])
            values[f"similarity_{embedder.name}"] = NO_CANDIDATE if math.isnan(cosine) else cosine
        reasons = {name: value for name, value in values.items() if isinstance(value, str)}
        numbers = {name: math.nan if isinstance(value, str) else value for name, value in values.items()}
        results.append(MetricResult(numbers, {"stemmer": stemmer}, reasons))
    return results


def split_words(text: str) -> list[str]:
    """Words of a text as the package rouge-score has them: lower case, letters a to z and digits.

    >>> split_words("The left hand's blurred (2x).")
    ['the', 'left', 'hand', 's', 'blurred', '2x']
    """
    return re.findall(r"[a-z0-9]+", text.lower())


def _compare_words(
    candidate: str | None, reference: str, stem: Callable[[str], str] | None, synonyms: FindSynonyms | None
) -> dict[str, float | str]:
    if candidate is None:
        return dict.fromkeys(TEXT_METRICS, NO_CANDIDATE)
    ours, theirs = split_words(candidate), split_words(reference)
    if not theirs:
        return dict.fromkeys(TEXT_METRICS, EMPTY_REFERENCE)
    values: dict[str, float | str] = {}
    our_stems, their_stems = (
        [stem(word) if stem is not None and len(word) > _SHORT_WORD else word for word in words]
        for words in (ours, theirs)
    )
    for size in (1, 2):
        values[f"rouge{size}"] = score_ngrams(our_stems, their_stems, size)
    values["rougeL"] = score_longest_subsequence(our_stems, their_stems)
    values["meteor"] = score_meteor(ours, theirs, stem, synonyms)
    return values


def score_ngrams(candidate: Sequence[str], reference: Sequence[str], size: int) -> float:
    """Compute ROUGE-N: the F1 of shared n-grams, 0 to 1.

    Parameters
    ----------
    candidate, reference : sequence of str
        Words.
    size : int
        Words of an n-gram.

    Notes
    -----
    Formula: F1 = 2 s / (n + m), with s shared n-grams (each as often as in the side with fewer of it), and n and m
    n-grams of the sides; 0 where neither side has one. Source: C.-Y. Lin, ROUGE, 2004, and the package rouge-score,
    whose F1 papers usually report. Limits: no order, no synonyms.

    Examples
    --------
    >>> score_ngrams(["a", "b", "b"], ["b", "a"], 1)
    0.8
    """
    ours, theirs = (
        Counter(tuple(words[at : at + size]) for at in range(len(words) - size + 1)) for words in (candidate, reference)
    )
    shared, total = (ours & theirs).total(), ours.total() + theirs.total()
    return 2 * shared / total if total else 0.0


def score_longest_subsequence(candidate: Sequence[str], reference: Sequence[str]) -> float:
    """Compute ROUGE-L: the F1 of the longest common subsequence of words, 0 to 1.

    Notes
    -----
    Formula: F1 = 2 l / (n + m), with l the length of the subsequence, and n and m words. Source: as of `score_ngrams`.
    The length is computed bit by bit for all positions of the candidate at once (H. Hyyro, 2004). Limits: one sentence
    with its parts swapped scores low.

    Examples
    --------
    >>> score_longest_subsequence(["a", "b", "c"], ["a", "x", "c"])
    0.6666666666666666
    """
    total = len(candidate) + len(reference)
    if not total:
        return 0.0
    places: dict[str, int] = defaultdict(int)
    for place, word in enumerate(candidate):
        places[word] |= 1 << place
    everywhere = (1 << len(candidate)) - 1
    free = everywhere
    for word in reference:
        hit = free & places.get(word, 0)
        free = ((free + hit) | (free - hit)) & everywhere
    return 2 * (len(candidate) - free.bit_count()) / total


def score_meteor(
    candidate: Sequence[str],
    reference: Sequence[str],
    stem: Callable[[str], str] | None = None,
    synonyms: FindSynonyms | None = None,
) -> float:
    """Compute METEOR, 0 to 1.

    Parameters
    ----------
    candidate, reference : sequence of str
        Words in lower case.
    stem : callable, optional
        From a word to its stem; without it only equal words match.
    synonyms : callable, optional
        From a word to its synonyms.

    Notes
    -----
    Formula: (1 - 0.5 (chunks / matches)^3) P R / (0.9 P + 0.1 R), with P and R the shares of matched words of the two
    sides, and chunks the runs of matches that are neighbours on both sides. Equal words are matched first, then equal
    stems, then synonyms, each from the end of the candidate to the last free word of the reference, as nltk does.
    Source: A. Lavie and A. Agarwal, 2007. Limits: not METEOR 1.5 (Java), which tunes its weights for each language.
    nltk looks for synonyms of stems instead of words, so it misses most; without synonyms the two agree.

    Examples
    --------
    >>> round(score_meteor(["a", "cat", "sat"], ["a", "cat", "sat"]), 6)
    0.981481
    """
    matches: list[tuple[int, int]] = []
    ours, theirs = dict(enumerate(candidate)), dict(enumerate(reference))
    rules: list[tuple[Callable[[str], str], FindSynonyms]] = [(_keep_word, _only_itself)]
    if stem is not None:
        rules.append((stem, _only_itself))
    if synonyms is not None:
        rules.append((_keep_word, lambda word: {word, *synonyms(word)}))
    for form, alternatives in rules:
        matches += _match_words(ours, theirs, form, alternatives)
    if not matches:
        return 0.0
    matches.sort()
    chunks = 1 + sum((left + 1, right + 1) != after for (left, right), after in pairwise(matches))
    precision, recall = len(matches) / len(candidate), len(matches) / len(reference)
    mean = precision * recall / (METEOR_ALPHA * precision + (1 - METEOR_ALPHA) * recall)
    return float((1 - METEOR_GAMMA * (chunks / len(matches)) ** METEOR_BETA) * mean)


def _keep_word(word: str) -> str:
    return word


def _only_itself(word: str) -> Collection[str]:
    return (word,)


def _match_words(
    ours: dict[int, str], theirs: dict[int, str], form: Callable[[str], str], alternatives: FindSynonyms
) -> list[tuple[int, int]]:
    """Match words by position, and remove those that are matched."""
    free: dict[str, list[int]] = defaultdict(list)
    for place, word in theirs.items():
        free[form(word)].append(place)
    matches = []
    for place in sorted(ours, reverse=True):
        found = max((free[word][-1] for word in alternatives(form(ours[place])) if free.get(word)), default=None)
        if found is not None:
            free[form(theirs[found])].pop()
            del ours[place], theirs[found]
            matches.append((place, found))
    return matches


@cache
def _find_stemmer(name: Stemmer) -> Callable[[str], str] | None:
    if name == "none":
        return None
    if name != "porter":
        raise UserError(f"Unknown stemmer {name!r}. Known: porter, none.")
    try:
        from nltk.stem.porter import PorterStemmer
    except ModuleNotFoundError:
        raise UserError(
            "The Porter stemmer needs nltk: run pip install 'editfhf[training]', or choose stemmer='none'."
        ) from None
    stem: Callable[[str], str] = cache(PorterStemmer().stem)
    return stem


def load_wordnet_synonyms() -> FindSynonyms:
    """Synonyms by WordNet, for METEOR.

    Raises
    ------
    UserError
        If nltk or its copy of WordNet is not installed.
    """
    try:
        from nltk.corpus import wordnet

        wordnet.ensure_loaded()
    except (ModuleNotFoundError, LookupError):
        raise UserError(
            "WordNet is not installed: run pip install 'editfhf[training]' and python -m nltk.downloader wordnet."
        ) from None

    @cache
    def wordnet_synonyms(word: str) -> Collection[str]:
        return frozenset(name for synset in wordnet.synsets(word) for name in synset.lemma_names() if "_" not in name)

    return wordnet_synonyms


def _compare_vectors(candidate: str | None, reference: str, vectors: WordVectors) -> float | str:
    """Cosine of the means of the words' vectors, -1 to 1."""
    if candidate is None:
        return NO_CANDIDATE
    means = []
    for side, text in (("the text", candidate), ("the reference", reference)):
        known = vectors.look_up_words(split_words(text))
        if not len(known):
            return UNKNOWN_WORDS.format(side=side)
        means.append(known.astype(np.float64).mean(axis=0))
    return float(cosine_of_rows(means[0][None], means[1][None])[0])


def embed_pairs(
    candidates: Sequence[str | None], references: Sequence[str], embedder: SentenceEmbedder
) -> NDArray[np.float64]:
    """Cosine of each text with its reference, float64 [N]; NaN where there is no text. Equal texts are embedded once.

    Notes
    -----
    Limits: embeddings of opposites ("add", "remove") are similar, so a high value is no sign that a text is right.
    """
    pairs = [(str(candidate), reference) for candidate, reference in zip(candidates, references, strict=True)]
    given = np.array([candidate is not None for candidate in candidates], bool)
    texts = list(dict.fromkeys(text for pair, known in zip(pairs, given, strict=True) if known for text in pair))
    cosines = np.full(len(pairs), np.nan)
    if texts:
        numbers: Mapping[str, int] = {text: number for number, text in enumerate(texts)}
        embedded = np.asarray(embedder.embed_sentences(texts), np.float64)
        first, second = (
            embedded[[numbers[pair[side]] for pair, known in zip(pairs, given, strict=True) if known]]
            for side in (0, 1)
        )
        cosines[given] = cosine_of_rows(first, second)
    return cosines


def cosine_of_rows(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
    """Cosine of each row of one array [N, D] with that of another, float64 [N]; NaN for a row of zeros.

    >>> cosine_of_rows(np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([[1.0, 0.0], [1.0, -1.0]])).tolist()
    [1.0, 0.0]
    """
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    products = np.einsum("nd,nd->n", first, second)
    cosines = np.divide(products, lengths, out=np.full(len(lengths), np.nan), where=lengths > 0)
    return np.asarray(np.clip(cosines, -1.0, 1.0), np.float64)
