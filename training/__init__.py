"""The agents: what they take and give, how they are measured, and the samples that they are trained on.

>>> import training                                                          # doctest: +SKIP
>>> training.saliency_metrics(prediction, density, positives)["cc"]          # doctest: +SKIP
0.71

The names below are imported when they are first used; none needs torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mos.lazy_names import make_lazy_names

if TYPE_CHECKING:
    from training.agents.protocols import Evaluation, Perception, Reasoning
    from training.agents.registry import list_agents, load_agent
    from training.agents.results import AgentIdentity, Finding, PerceivedMaps, Score
    from training.diagnosis.diagnose_pair import diagnose
    from training.diagnosis.result import Diagnosis
    from training.diagnosis.score_pair import score_pair
    from training.metrics.correlation import correlation_metrics
    from training.metrics.maps import clean_image_metrics
    from training.metrics.regions import box_metrics, flaw_type_metrics
    from training.metrics.results import MetricResult, MetricSummary, summarise_metrics
    from training.metrics.saliency import saliency_metrics
    from training.metrics.text import text_metrics
    from training.samples.pair_sample import PairSample
    from training.samples.read_samples import SampleSize, read_samples
    from training.samples.transforms import SampleVariation
    from training.tables.evaluation_table import measure_evaluation
    from training.tables.perception_table import measure_perception
    from training.tables.reasoning_table import measure_reasoning
    from training.tables.result_table import ResultTable

_MODULES = {
    "training.agents.protocols": (
        "Evaluation",
        "Perception",
        "Reasoning",
    ),
    "training.agents.registry": (
        "list_agents",
        "load_agent",
    ),
    "training.agents.results": (
        "AgentIdentity",
        "Finding",
        "PerceivedMaps",
        "Score",
    ),
    "training.diagnosis.diagnose_pair": ("diagnose",),
    "training.diagnosis.result": ("Diagnosis",),
    "training.diagnosis.score_pair": ("score_pair",),
    "training.metrics.correlation": ("correlation_metrics",),
    "training.metrics.maps": ("clean_image_metrics",),
    "training.metrics.regions": (
        "box_metrics",
        "flaw_type_metrics",
    ),
    "training.metrics.results": (
        "MetricResult",
        "MetricSummary",
        "summarise_metrics",
    ),
    "training.metrics.saliency": ("saliency_metrics",),
    "training.metrics.text": ("text_metrics",),
    "training.samples.pair_sample": ("PairSample",),
    "training.samples.read_samples": (
        "SampleSize",
        "read_samples",
    ),
    "training.samples.transforms": ("SampleVariation",),
    "training.tables.evaluation_table": ("measure_evaluation",),
    "training.tables.perception_table": ("measure_perception",),
    "training.tables.reasoning_table": ("measure_reasoning",),
    "training.tables.result_table": ("ResultTable",),
}

__all__ = [
    "AgentIdentity",
    "Diagnosis",
    "Evaluation",
    "Finding",
    "MetricResult",
    "MetricSummary",
    "PairSample",
    "PerceivedMaps",
    "Perception",
    "Reasoning",
    "ResultTable",
    "SampleSize",
    "SampleVariation",
    "Score",
    "box_metrics",
    "clean_image_metrics",
    "correlation_metrics",
    "diagnose",
    "flaw_type_metrics",
    "list_agents",
    "load_agent",
    "measure_evaluation",
    "measure_perception",
    "measure_reasoning",
    "read_samples",
    "saliency_metrics",
    "score_pair",
    "summarise_metrics",
    "text_metrics",
]


if not TYPE_CHECKING:  # a type checker would take this for "every name exists"
    __getattr__, __dir__ = make_lazy_names(__name__, _MODULES)
