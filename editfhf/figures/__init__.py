"""Figures of a dataset as SVG: one identity of colours, readable in light and dark, the same bytes every time."""

from __future__ import annotations

from pathlib import Path

from annotation.tasks import groups as group_titles
from editfhf.figures import flaws, losses, scores
from editfhf.figures.drawing import Drawing, stylesheet
from editfhf.statistics.records import Statistics

__all__ = ["Drawing", "drawings", "stylesheet", "write"]


def drawings(statistics: Statistics) -> dict[str, Drawing]:
    """Every figure by name, in the order in which they tell the story; of raters only where something is counted."""
    counted = any(rater.outlier_share is not None for rater in statistics.raters)
    return {
        "stages": losses.stages(statistics),
        "score_distributions": scores.distributions(statistics),
        "scores_by_editor": scores.by_group("Scores by editor", statistics.editors),
        "scores_by_task_group": scores.by_group("Scores by task group", statistics.task_groups, group_titles()),
        "flaw_types": flaws.flaw_types(statistics),
        "regions_per_image": flaws.regions_per_image(statistics),
        "mean_saliency": flaws.saliency(statistics),
        **({"raters": losses.raters(statistics)} if counted else {}),
    }


def write(statistics: Statistics, folder: Path) -> list[str]:
    """Write every figure into `folder` (made when absent); the file names in order."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for name, drawing in drawings(statistics).items():
        (folder / f"{name}.svg").write_text(drawing.svg(standalone=True), encoding="utf-8", newline="\n")
        names.append(f"{name}.svg")
    return names
