"""The rules of each benchmark: what a judge is asked, on which scale, and how its scores become one value a sample.

Sources: GEdit-Bench of Step1X-Edit (Apache-2.0), KRIS-Bench (Apache-2.0), ImgEdit-Bench, and Eq. 5 of the paper. Only
the rules are theirs; the wording of our questions is in `prompts/v1.yaml`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from annotation.records import DIMENSIONS
from annotation.rules import compute_overall
from mos.errors import UserError
from mos.words import did_you_mean

SuiteName = Literal["gedit", "kris", "imgedit", "editfhf"]


@dataclass(frozen=True, slots=True)
class Question:
    """One request to a judge about one sample.

    Attributes
    ----------
    name : str
        As in `prompts/v1.yaml` and in every verdict.
    criteria : tuple of str
        What is scored.
    shows_source : bool
        Whether the judge sees the source, too.
    """

    name: str
    criteria: tuple[str, ...]
    shows_source: bool = True


@dataclass(frozen=True, slots=True)
class Suite:
    """One benchmark.

    Attributes
    ----------
    name : str
    title : str
    low, high : int
        Ends of the scale of every score.
    best : float
        The highest value of a sample; the lowest is 0, or 1 for ImgEdit.
    questions : tuple of Question
    by_group : bool
        Whether the official mean is the unweighted mean of the means of the groups.
    """

    name: SuiteName
    title: str
    low: int
    high: int
    best: float
    questions: tuple[Question, ...]
    by_group: bool


SUITES: Mapping[str, Suite] = {
    suite.name: suite
    for suite in (
        Suite(
            "gedit",
            "GEdit-Bench",
            0,
            10,
            10.0,
            (
                Question("gedit_semantics", ("editing_success", "over_editing")),
                Question("gedit_quality", ("naturalness", "artifacts"), shows_source=False),
            ),
            by_group=True,
        ),
        Suite(
            "kris",
            "KRIS-Bench",
            1,
            5,
            100.0,
            (
                Question("kris_consistency", ("consistency",)),
                Question("kris_instruction", ("instruction_following",)),
                Question("kris_knowledge", ("knowledge_plausibility",)),
                Question("kris_quality", ("image_quality",), shows_source=False),
            ),
            by_group=False,
        ),
        Suite(
            "imgedit",
            "ImgEdit-Bench",
            1,
            5,
            5.0,
            (Question("imgedit", ("instruction_adherence", "editing_quality", "detail_preservation")),),
            by_group=True,
        ),
        Suite("editfhf", "EditFHF", 0, 100, 100.0, (Question("editfhf", DIMENSIONS),), by_group=False),
    )
}

KRIS_KNOWLEDGE = frozenset(
    {"abstract_reasoning", "rule-based_reasoning", "practical_knowledge", "humanities", "biology", "chemistry",
     "geography", "mathematics", "medicine", "physics"}
)  # fmt: skip
"""Categories of KRIS-Bench in which knowledge is scored, too."""

KRIS_GROUPS: Mapping[str, tuple[str, ...]] = {
    "factual": ("count_change", "color_change", "size_adjustment", "part_completion", "anomaly_correction",
                "position_movement", "viewpoint_change", "temporal_prediction"),
    "conceptual": ("practical_knowledge", "humanities", "biology", "chemistry", "geography", "mathematics",
                   "medicine", "physics"),
    "procedural": ("abstract_reasoning", "rule-based_reasoning", "multi-instruction_execution",
                   "multi-element_composition"),
}  # fmt: skip
"""The three kinds of knowledge of KRIS-Bench, which are the columns of table 1 of the paper."""


def find_suite(name: str) -> Suite:
    """The rules of a benchmark.

    Raises
    ------
    UserError
        For an unknown name.
    """
    if name not in SUITES:
        raise UserError(f"Unknown benchmark {name!r}.{did_you_mean(name, SUITES)} Known: {', '.join(SUITES)}.")
    return SUITES[name]


def list_questions(suite: Suite, group: str) -> tuple[Question, ...]:
    """The questions about a sample of a group: KRIS-Bench asks about knowledge in some categories only."""
    if suite.name != "kris" or group in KRIS_KNOWLEDGE:
        return suite.questions
    return tuple(question for question in suite.questions if question.name != "kris_knowledge")


def name_column(suite: Suite, group: str) -> str:
    """The column of a group in a table: the kind of knowledge for KRIS-Bench, else the group.

    >>> name_column(SUITES["kris"], "physics"), name_column(SUITES["gedit"], "ps_human")
    ('conceptual', 'ps_human')
    """
    if suite.name == "kris":
        return next((kind for kind, groups in KRIS_GROUPS.items() if group in groups), group)
    return group


def compute_values(suite: Suite, scores: Mapping[str, float], *, caps: bool = True) -> list[float]:
    """The values of a sample of which some criteria are scored.

    Parameters
    ----------
    suite : Suite
    scores : mapping from str to float
        By criterion, on the scale of the suite; a criterion may be missing.
    caps : bool
        ImgEdit: whether the second and third score are at most the first.

    Returns
    -------
    list of float
        One value, or for KRIS-Bench one for each score; none where a score is missing that the value needs.

    Notes
    -----
    GEdit: sqrt(SC PQ), SC and PQ the lowest of their two scores. KRIS: 25 (score - 1). ImgEdit: the mean of three
    scores. EditFHF: Eq. 5.

    Examples
    --------
    >>> compute_values(SUITES["gedit"], {"editing_success": 9, "over_editing": 8, "naturalness": 2, "artifacts": 7})
    [4.0]
    >>> compute_values(SUITES["kris"], {"consistency": 5, "image_quality": 2})
    [100.0, 25.0]
    >>> compute_values(SUITES["imgedit"],
    ...     {"instruction_adherence": 2, "editing_quality": 5, "detail_preservation": 1})
    [1.6666666666666667]
    """
    if suite.name == "kris":
        return [25.0 * (score - 1) for score in scores.values()]
    needed = [criterion for question in suite.questions for criterion in question.criteria]
    if any(criterion not in scores for criterion in needed):
        return []
    given = [float(scores[criterion]) for criterion in needed]
    if suite.name == "gedit":
        return [math.sqrt(min(given[:2]) * min(given[2:]))]
    if suite.name == "imgedit":
        capped = [given[0], *(min(score, given[0]) if caps else score for score in given[1:])]
        return [math.fsum(capped) / 3]
    overall = compute_overall({dimension: float(scores[dimension]) for dimension in DIMENSIONS})
    return [] if overall is None else [overall]
