"""Simulated editing models: how often and how badly each of them errs, by group of tasks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from annotation.records import Severity
from annotation.tasks import groups
from editfhf.simulate.settings import EDITORS, Settings

NAMES = (
    "alder-edit", "birch-v2", "cedar-flow", "dogwood", "elm-instruct", "fir-turbo", "gingko-xl",
    "hazel-1.5", "iris-edit", "juniper", "kapok-mini", "larch-pro", "maple-dit",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Editor:
    """A simulated model. skill: by task group, in [0, 1]; 1 never errs much."""

    name: str
    skill: dict[str, float]


def editors(settings: Settings) -> tuple[Editor, ...]:
    """Thirteen editors from weak to strong, each with its own strong and weak task groups."""
    rng = settings.rng(EDITORS)
    base = np.linspace(0.3, 0.92, len(NAMES))[rng.permutation(len(NAMES))]
    return tuple(
        Editor(name, {group: float(np.clip(level + rng.normal(0, 0.1), 0.08, 0.97)) for group in groups()})
        for name, level in zip(NAMES, base, strict=True)
    )


def severity(rng: np.random.Generator, skill: float) -> Severity:
    """How bad one flaw of an editor of this skill is."""
    share = (0.25 + 0.4 * skill, 0.4, 0.35 - 0.25 * skill)
    at = rng.random() * sum(share)
    if at < share[0]:
        return "minor"
    return "moderate" if at < share[0] + share[1] else "severe"
