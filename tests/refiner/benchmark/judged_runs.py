"""Verdicts written by hand, for tests of means and gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from refiner.benchmark.suites import find_suite, list_questions
from refiner.benchmark.verdicts import JudgedRun, JudgedSample, Verdict

SOUND: dict[str, Any] = {
    "judge": "m", "source_digest": "s", "result_digest": "r", "prompt": "p", "transform": "t",
}  # fmt: skip


def judge_by_hand(
    benchmark: str,
    rows: Sequence[tuple[str, str, Mapping[str, float]]],
    failures: Mapping[tuple[str, str], str] | None = None,
) -> JudgedRun:
    """A run of rows (sample_id, group, scores by criterion); failures by (sample_id, question) are statuses."""
    suite = find_suite(benchmark)
    samples, verdicts = [], []
    for name, group, scores in rows:
        samples.append(JudgedSample(name, f"source-{name}", group))
        for question in list_questions(suite, group):
            status: Any = (failures or {}).get((name, question.name), "ok")
            given = {criterion: float(scores[criterion]) for criterion in question.criteria} if status == "ok" else {}
            verdicts.append(
                Verdict(sample_id=name, question=question.name, repeat=0, status=status, scores=given, **SOUND)
            )
    return JudgedRun({"benchmark": benchmark, "editor": "e"}, tuple(samples), tuple(verdicts))


def gedit_scores(semantics: float, quality: float) -> dict[str, float]:
    """Scores of GEdit whose lower ones are these."""
    return {"editing_success": semantics, "over_editing": 10, "naturalness": 10, "artifacts": quality}


def change_verdicts(run: JudgedRun, names: Sequence[str], score_change: float = 0.0, **facts: Any) -> JudgedRun:
    """The run with other facts, and scores changed by so much where there are scores, in the named samples."""

    def change(verdict: Verdict) -> Verdict:
        if verdict.sample_id not in names:
            return verdict
        scores = {name: score + score_change for name, score in verdict.scores.items()}
        return replace(verdict, scores=scores, **facts)

    return replace(run, verdicts=tuple(map(change, run.verdicts)))
