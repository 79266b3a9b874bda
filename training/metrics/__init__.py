"""Metrics of agents: pure functions of arrays and texts, one entry for each family.

Every entry gives a `MetricResult`: a dict of numbers that also says how each was computed, and why one is missing. The
names below are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mos.lazy_names import make_lazy_names

if TYPE_CHECKING:
    from training.metrics.correlation import correlation_metrics, fit_logistic
    from training.metrics.maps import clean_image_metrics, mark_positives, mean_squared_error
    from training.metrics.regions import box_metrics, flaw_type_metrics
    from training.metrics.results import MetricResult, MetricSummary, bootstrap_over_sources, summarise_metrics
    from training.metrics.roc_area import auc_judd
    from training.metrics.saliency import SALIENCY_PRESETS, kl_divergence, saliency_metrics
    from training.metrics.text import compare_texts, load_wordnet_synonyms, text_metrics

_MODULES = {
    "training.metrics.correlation": (
        "correlation_metrics",
        "fit_logistic",
    ),
    "training.metrics.maps": (
        "clean_image_metrics",
        "mark_positives",
        "mean_squared_error",
    ),
    "training.metrics.regions": (
        "box_metrics",
        "flaw_type_metrics",
    ),
    "training.metrics.results": (
        "MetricResult",
        "MetricSummary",
        "bootstrap_over_sources",
        "summarise_metrics",
    ),
    "training.metrics.roc_area": ("auc_judd",),
    "training.metrics.saliency": (
        "SALIENCY_PRESETS",
        "kl_divergence",
        "saliency_metrics",
    ),
    "training.metrics.text": (
        "compare_texts",
        "load_wordnet_synonyms",
        "text_metrics",
    ),
}

__all__ = [
    "SALIENCY_PRESETS",
    "MetricResult",
    "MetricSummary",
    "auc_judd",
    "bootstrap_over_sources",
    "box_metrics",
    "clean_image_metrics",
    "compare_texts",
    "correlation_metrics",
    "fit_logistic",
    "flaw_type_metrics",
    "kl_divergence",
    "load_wordnet_synonyms",
    "mark_positives",
    "mean_squared_error",
    "saliency_metrics",
    "summarise_metrics",
    "text_metrics",
]


if not TYPE_CHECKING:  # a type checker would take this for "every name exists"
    __getattr__, __dir__ = make_lazy_names(__name__, _MODULES)
