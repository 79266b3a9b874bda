"""The typed results of agents.

A result names its agent. What an agent could not say is a result with a status, never a number and never a guess.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from annotation.records import DIMENSIONS, KINDS, SEVERITIES, Box, Dimension, Kind, Severity
from annotation.rules import compute_overall
from annotation.taxonomy import list_flaw_types

ResultStatus = Literal["ok", "unparsed", "refused", "error"]
"""`unparsed`: the agent answered, but not in its format. `refused`: it declined. `error`: it could not be asked."""

RESULT_STATUSES: tuple[ResultStatus, ...] = get_args(ResultStatus)

HIGHEST_SCORE = 100.0


class AgentFailure(Exception):
    """An agent has no answer about one pair, or its answer keeps no contract; it may answer about the next pair.

    Attributes
    ----------
    status : {"unparsed", "refused", "error"}
    """

    def __init__(self, message: str, status: ResultStatus = "error") -> None:
        super().__init__(message)
        self.status: ResultStatus = status


@dataclass(frozen=True, slots=True)
class AgentIdentity:
    """Which agent gave a result.

    Attributes
    ----------
    family : str
        What the agent is made of, such as "baseline", "compact", "local" or "served".
    name : str
        Name of the agent in its family, such as "difference".
    version : str
        Version of the code or of the release.
    digest : str
        SHA-256 of the weights, or the name of the model at a server; "" for an agent without weights.
    prompt_version : str
        Version of the prompt; "" for an agent without a prompt.

    Examples
    --------
    >>> str(AgentIdentity("baseline", "centre", "1"))
    'baseline/centre 1'
    """

    family: str
    name: str
    version: str
    digest: str = ""
    prompt_version: str = ""

    def __str__(self) -> str:
        prompt = f", prompt {self.prompt_version}" if self.prompt_version else ""
        digest = f" ({self.digest[:12]})" if self.digest else ""
        return f"{self.family}/{self.name} {self.version}{digest}{prompt}"


@dataclass(frozen=True, slots=True, eq=False)
class PerceivedMaps:
    """The two saliency maps of one image, on an absolute scale.

    Near 1 at the peak of a flaw, near 0 everywhere on a clean image: a map is never stretched to its own maximum.

    Attributes
    ----------
    artifact, failure : ndarray
        float32 [H, W] in [0, 1], of the size of the current image.
    agent : AgentIdentity

    Raises
    ------
    ValueError
        For another type, shape or range.
    """

    artifact: NDArray[np.float32]
    failure: NDArray[np.float32]
    agent: AgentIdentity

    def __post_init__(self) -> None:
        for kind in KINDS:
            values = self.by_kind(kind)
            if not isinstance(values, np.ndarray) or values.dtype != np.float32 or values.ndim != 2 or not values.size:
                found = f"{getattr(values, 'dtype', type(values).__name__)} {getattr(values, 'shape', '')}".strip()
                raise ValueError(f"The {kind} map of {self.agent} must be a float32 array [H, W], but got {found}.")
            low, high = float(values.min()), float(values.max())
            if not (low >= 0 and high <= 1):
                raise ValueError(f"The {kind} map of {self.agent} must lie in [0, 1], but got {low:g} to {high:g}.")
        if self.artifact.shape != self.failure.shape:
            raise ValueError(
                f"Both maps of {self.agent} must have one size, but got {self.artifact.shape} and {self.failure.shape}."
            )

    def by_kind(self, kind: Kind) -> NDArray[np.float32]:
        """The map of one kind, float32 [H, W]."""
        return self.artifact if kind == "artifact" else self.failure


@dataclass(frozen=True, slots=True)
class Finding:
    """What a reasoning agent says about one box.

    Attributes
    ----------
    kind : {"artifact", "failure"}
    box : Box
        The box that was asked about, in pixels of the current image.
    status : {"ok", "unparsed", "refused", "error"}
    agent : AgentIdentity
    flaw_type : str or None
        One of `annotation.taxonomy.list_flaw_types(kind)`; None unless the status is "ok".
    severity : {"minor", "moderate", "severe"} or None
        None where the agent gives none.
    rationale : str
        What is wrong and why; "" unless the status is "ok".
    confidence : float or None
        In [0, 1]; None where the agent gives none.
    detail : str
        One sentence why there is no finding; "" if there is one.

    Raises
    ------
    ValueError
        For a value outside of its list or range, or for a content without the status "ok".
    """

    kind: Kind
    box: Box
    status: ResultStatus
    agent: AgentIdentity
    flaw_type: str | None = None
    severity: Severity | None = None
    rationale: str = ""
    confidence: float | None = None
    detail: str = ""

    def __post_init__(self) -> None:
        _require_member("kind", self.kind, KINDS)
        _require_member("status", self.status, RESULT_STATUSES)
        if self.status != "ok":
            if self.flaw_type is not None or self.severity is not None or self.rationale or self.confidence is not None:
                raise ValueError(f"A finding with the status {self.status!r} has no content.")
            return
        _require_member("flaw_type", self.flaw_type, list_flaw_types(self.kind))
        if self.severity is not None:
            _require_member("severity", self.severity, SEVERITIES)
        if self.confidence is not None and not 0 <= self.confidence <= 1:
            raise ValueError(f"confidence must lie in [0, 1], but got {self.confidence}.")


@dataclass(frozen=True, slots=True)
class Score:
    """What an evaluation agent says about one dimension.

    Attributes
    ----------
    dimension : {"perceptual_quality", "instruction_following", "visual_consistency"}
    value : float or None
        In MOS points, 0 to 100; None unless the status is "ok".
    sd : float or None
        Standard deviation of the value in MOS points; None where the agent gives none.
    status : {"ok", "unparsed", "refused", "error"}
    agent : AgentIdentity
    detail : str
        One sentence why there is no value; "" if there is one.

    Raises
    ------
    ValueError
        For a value outside of its range, or for a value without the status "ok".
    """

    dimension: Dimension
    value: float | None
    sd: float | None
    status: ResultStatus
    agent: AgentIdentity
    detail: str = ""

    def __post_init__(self) -> None:
        _require_member("dimension", self.dimension, DIMENSIONS)
        _require_member("status", self.status, RESULT_STATUSES)
        if self.status != "ok":
            if self.value is not None or self.sd is not None:
                raise ValueError(f"A score with the status {self.status!r} has no value, but got {self.value}.")
            return
        if self.value is None or not 0 <= self.value <= HIGHEST_SCORE:
            raise ValueError(f"The value of a score must lie in [0, 100], but got {self.value}.")
        if self.sd is not None and not (math.isfinite(self.sd) and self.sd >= 0):
            raise ValueError(f"sd must be 0 or more, but got {self.sd}.")

    @property
    def digest(self) -> str:
        """Digest of the agent's weights, or the name of its model."""
        return self.agent.digest


def combine_scores(scores: Iterable[Score]) -> float | None:
    """Compute the overall score: the weighted geometric mean of the three dimensions, equation 5 of the paper.

    Parameters
    ----------
    scores : iterable of Score
        One of each dimension, in any order.

    Returns
    -------
    float or None
        0 to 100; None if a dimension has no value.

    Raises
    ------
    ValueError
        If a dimension occurs twice.

    Examples
    --------
    >>> agent = AgentIdentity("baseline", "mean", "1")
    >>> round(combine_scores(Score(name, 50.0, None, "ok", agent) for name in DIMENSIONS), 9)
    50.0
    """
    values: dict[Dimension, float | None] = {}
    for score in scores:
        if score.dimension in values:
            raise ValueError(f"Expected one score of each dimension, but got two of {score.dimension}.")
        values[score.dimension] = score.value
    return compute_overall(values)


def _require_member(name: str, value: Any, known: Iterable[str]) -> None:
    if value not in (known := tuple(known)):
        raise ValueError(f"{name} must be one of {', '.join(known)}, but got {value!r}.")


def mean_with_count(scores: Iterable[Score]) -> tuple[float, int, Mapping[str, int]]:
    """Average the scores that have a value, and count all of them by status.

    Returns
    -------
    mean : float
        NaN without any value.
    count : int
        Over how many values the mean was taken.
    by_status : mapping from str to int
        Number of scores of each status that occurs.

    Examples
    --------
    >>> agent = AgentIdentity("served", "judge", "1")
    >>> found = [Score("perceptual_quality", 40.0, None, "ok", agent),
    ...          Score("perceptual_quality", None, None, "refused", agent)]
    >>> mean_with_count(found)
    (40.0, 1, {'ok': 1, 'refused': 1})
    """
    values, by_status = [], dict.fromkeys(RESULT_STATUSES, 0)
    for score in scores:
        by_status[score.status] += 1
        if score.value is not None:
            values.append(score.value)
    mean = math.fsum(values) / len(values) if values else math.nan
    return mean, len(values), {status: count for status, count in by_status.items() if count}
