"""The rules that turn submissions into regions, final texts and scores.  Each rule is written here and nowhere else.

A campaign keeps them in `campaign/campaign.yaml` under `rules:`, its export writes them to `annotations/rules.yaml`,
and a build of the corpus reads them from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from annotation.records import Dimension
from mos.errors import UserError
from mos.files import read_regular_file
from mos.plain_yaml import describe_wrong_value, describe_yaml_error, load_plain_yaml
from mos.words import did_you_mean

RULES_FILE = "rules.yaml"
MAX_RULES_BYTES = 1 << 20

OVERALL_WEIGHTS: dict[Dimension, float] = {
    "perceptual_quality": 0.3,
    "instruction_following": 0.4,
    "visual_consistency": 0.3,
}
"""Exponents of Eq. 5 of the paper, in the order in which it writes the scores."""

Submission = TypeVar("Submission")


def compute_overall(scores: Mapping[Dimension, float | None]) -> float | None:
    """The overall score (Eq. 5 of the paper): the weighted geometric mean of the three scores.

    Parameters
    ----------
    scores
        Score by dimension, in points from 0 to 100; negative scores count as 0.

    Returns
    -------
    float or None
        None if one of the scores is None.

    Examples
    --------
    >>> compute_overall({"perceptual_quality": 50.0, "instruction_following": 50.0, "visual_consistency": 50.0})
    50.0
    """
    product = 1.0
    for dimension, weight in OVERALL_WEIGHTS.items():
        score = scores.get(dimension)
        if score is None:
            return None
        product *= max(score, 0.0) ** weight
    return round(product, 9)


def split_latest(
    submissions: Iterable[Submission], person: Callable[[Submission], str], order: Callable[[Submission], Any]
) -> tuple[dict[str, Submission], list[Submission]]:
    """Split submissions into the latest one of each participant, which counts, and the earlier ones.

    Parameters
    ----------
    submissions : iterable
        All submissions about one thing.
    person : callable
        Gives the participant of a submission.
    order : callable
        Gives the sort key of a submission: its time, compared as text ("" for none), then values that break a tie.
        Of equal ones the later in `submissions` counts.

    Returns
    -------
    latest : dict
        The latest submission by participant.
    earlier : list
        All others.

    Notes
    -----
    `mos.table.validate_ratings` applies the same rule to rows of a table, with `duplicates="last"`.

    Examples
    --------
    >>> split_latest([("ann", "2026-02"), ("ann", "2026-01")], lambda pair: pair[0], lambda pair: pair[1])
    ({'ann': ('ann', '2026-02')}, [('ann', '2026-01')])
    """
    latest: dict[str, Submission] = {}
    earlier = []
    for submission in sorted(submissions, key=order):
        name = person(submission)
        if name in latest:
            earlier.append(latest[name])
        latest[name] = submission
    return latest, earlier


class RegionRules(BaseModel):
    """When a region is accepted, and when its text is final; see `AnnotationRules`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    min_support: int = Field(2, ge=1, le=100, description="Annotators who must have drawn a region.")
    iou: float = Field(0.5, gt=0, le=1, description="Overlap at which two boxes are the same region.")
    max_flags: int = Field(3, ge=0, description="A region flagged by MORE raters than this is discarded.")
    reviewers: int = Field(3, ge=1, le=100, description="Distinct reviewers who must agree on one identical text.")


class AnnotationRules(RegionRules):
    """When a region is accepted, when its text is final, and on which scale raters score.

    Parameters
    ----------
    min_support : int
        Annotators who must have drawn a region, from 1 to 100.
    iou : float
        Overlap (intersection over union) at which two boxes are the same region, above 0 to 1.
    max_flags : int
        A region that more raters than this flagged is discarded.
    reviewers : int
        Distinct reviewers who must agree on one identical text, from 1 to 100.
    scale : (float, float)
        Lowest and highest score.

    Examples
    --------
    >>> AnnotationRules(reviewers=2).model_dump()
    {'min_support': 2, 'iou': 0.5, 'max_flags': 3, 'reviewers': 2, 'scale': (1.0, 5.0)}
    """

    scale: tuple[float, float] = Field((1.0, 5.0), description="Lowest and highest score.")

    @field_validator("scale")
    @classmethod
    def _ascends(cls, scale: tuple[float, float]) -> tuple[float, float]:
        if scale[0] >= scale[1]:
            raise ValueError("expected the lowest score before the highest")
        return scale


RULE_NAMES = tuple(AnnotationRules.model_fields)


def format_rules(rules: AnnotationRules) -> str:
    """Format all rules as the YAML text that `read_rules` reads."""
    return yaml.safe_dump(rules.model_dump(mode="json"), sort_keys=False)


def read_rules(path: Path) -> AnnotationRules:
    """Read the rules in a YAML file; a rule that the file does not state has its default.

    Raises
    ------
    UserError
        The file cannot be read, is not YAML, or holds an unknown key or a value out of range.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise UserError(f"{path} is not a regular file. Expected a YAML file.")
        if path.stat().st_size > MAX_RULES_BYTES:
            raise UserError(f"{path} is larger than {MAX_RULES_BYTES:,} bytes: expected keys such as 'reviewers: 3'.")
        data = load_plain_yaml(read_regular_file(path).decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({error.__class__.__name__}). Expected a YAML file.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        where = describe_yaml_error(error)
        raise UserError(f"{path} is not valid YAML{where}. Expected keys such as 'reviewers: 3'.") from None
    if data is not None and not isinstance(data, dict):
        raise UserError(f"{path} must hold keys and values such as 'reviewers: 3', but holds {type(data).__name__}.")
    return parse_rules(data or {}, str(path))


def parse_rules(data: dict[Any, Any], file: str) -> AnnotationRules:
    """Validate rules given as keys and values; `UserError` names the file, the wrong key and the nearest valid one."""
    try:
        return AnnotationRules.model_validate(data)
    except ValidationError as error:
        raise UserError(f"{file}: {_describe_first_problem(error)}") from None


def _describe_first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in problem["loc"]) or "the rules"
    if problem["type"] in ("extra_forbidden", "invalid_key"):
        return f"unknown key {key[:80]!r}.{did_you_mean(key, RULE_NAMES)} Available: {', '.join(RULE_NAMES)}."
    return f"{key}: {describe_wrong_value(problem)}, but got {repr(problem['input'])[:80]}. Correct it."
