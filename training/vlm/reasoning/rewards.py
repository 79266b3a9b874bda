"""Rewards of replies: pure functions over ALL boxes of a question, matched by their numbers.

A reward is a mean over the boxes that were asked about, so that leaving out a box costs, and so does an entry about no
box. What games a likeness (long texts, text copied from the question, one text for all boxes) has a name, and earns
nothing, see `find_hacks`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from annotation.records import Kind, Region
from annotation.taxonomy import load_flaw_definitions
from editfhf.drafting.reply import ParsedReply
from training.metrics.text import cosine_of_rows, score_longest_subsequence, split_words
from training.metrics.text_backends import load_sentence_embedder
from training.vlm.reasoning.reply_text import read_reply

CompareTexts = Callable[[str, str], float]
"""Likeness of two texts, 0 to 1."""

PADDED, COPIED, REPEATED = "padded_text", "copied_question", "repeated_text"
"""Names of hacks."""

MOST_WORDS_FACTOR, FREE_WORDS = 2.0, 10
"""A text may have this many times the words of the true one, and some more."""

COPIED_SHARE, LEAST_COPIED = 0.8, 6
"""Share of a text's words that stand in this order in the question, and the shortest text of which this says much."""


@dataclass(frozen=True, slots=True)
class AskedRegions:
    """One question: its regions as people described them, and the instruction that it showed.

    Attributes
    ----------
    regions : mapping
        Complete regions by their numbers.
    instruction : str
    """

    regions: Mapping[int, Region]
    instruction: str

    @property
    def kinds(self) -> dict[int, Kind]:
        """The kind of each region."""
        return {number: region.kind for number, region in self.regions.items()}


def reward_format(text: str, asked: AskedRegions) -> float:
    """Share of boxes with exactly one valid entry, of all boxes and all entries about others; 0 for other forms."""
    parsed = read_reply(text, asked.kinds)
    return 0.0 if parsed is None else len(parsed.described) / (len(asked.regions) + parsed.strays)


def reward_types(text: str, asked: AskedRegions) -> float:
    """Share of boxes whose flaw type is that of people; a box without a valid entry is wrong."""
    parsed = read_reply(text, asked.kinds)
    if parsed is None:
        return 0.0
    right = sum(found.flaw_type == asked.regions[number].flaw_type for number, found in parsed.described.items())
    return right / len(asked.regions)


def reward_similarity(text: str, asked: AskedRegions, compare: CompareTexts) -> float:
    """Mean likeness of the texts to those of people over all boxes; 0 for a box without an entry, or with a hack."""
    parsed = read_reply(text, asked.kinds)
    if parsed is None:
        return 0.0
    hacks = find_hacks(parsed, asked)
    likeness = [
        compare(found.text, asked.regions[number].rationale or "")
        for number, found in parsed.described.items()
        if not hacks[number]
    ]
    return sum(likeness) / len(asked.regions)


def find_hacks(parsed: ParsedReply, asked: AskedRegions) -> dict[int, list[str]]:
    """What is wrong with the text of each described box.

    Returns
    -------
    dict
        For each number the names of its hacks: `padded_text`, more than twice the words of the true text and ten more;
        `copied_question`, four fifths of its words are those of the instruction or of a definition that the question
        shows, while the true text is no such copy; `repeated_text`, another box has the same words, while their true
        texts differ.
    """
    words = {number: split_words(found.text) for number, found in parsed.described.items()}
    true = {number: split_words(region.rationale or "") for number, region in asked.regions.items()}
    shown = _list_question_words(asked.instruction)
    found: dict[int, list[str]] = {}
    for number, given in words.items():
        hacks = []
        if len(given) > MOST_WORDS_FACTOR * len(true[number]) + FREE_WORDS:
            hacks.append(PADDED)
        if _is_copied(given, shown) and not _is_copied(true[number], shown):
            hacks.append(COPIED)
        if any(given == words[other] and true[number] != true[other] for other in words if other != number):
            hacks.append(REPEATED)
        found[number] = hacks
    return found


def compare_words(text: str, truth: str) -> float:
    """ROUGE-L of two texts.

    >>> compare_words("The hand has six fingers.", "The hand has six fingers.")
    1.0
    """
    return score_longest_subsequence(split_words(text), split_words(truth))


def make_comparison(name: str) -> CompareTexts:
    """The likeness of a recipe: `rouge`, or the cosine of sentence embeddings by the name of their backend.

    Raises
    ------
    UserError
        If the backend is not installed.
    """
    if name == "rouge":
        return compare_words
    embedder = load_sentence_embedder(name)

    def compare_meanings(text: str, truth: str) -> float:
        vectors = embedder.embed_sentences([text, truth])
        return max(0.0, float(cosine_of_rows(vectors[:1], vectors[1:])[0]))

    return compare_meanings


def _list_question_words(instruction: str) -> list[list[str]]:
    definitions = [text for listed in load_flaw_definitions().values() for text in listed.values()]
    return [split_words(text) for text in (instruction, *definitions)]


def _is_copied(words: Sequence[str], shown: Sequence[Sequence[str]]) -> bool:
    if len(words) < LEAST_COPIED:
        return False
    return any(_count_common(words, text) >= COPIED_SHARE * len(words) for text in shown)


def _count_common(words: Sequence[str], text: Sequence[str]) -> float:
    """Length of the longest common subsequence."""
    return score_longest_subsequence(words, text) * (len(words) + len(text)) / 2
