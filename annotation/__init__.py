"""The raw side of EditFHF: corpora, their annotations, the campaigns that collect these, and simulated corpora.

The names below are imported when they are first used, so that `import annotation` takes no time::

    from pathlib import Path

    import annotation

    corpus = annotation.Corpus.open(Path("corpus"))
    for pair, consensus in annotation.accepted_regions(corpus):
        print(pair.pair_id, len(consensus.regions))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mos.lazy_names import make_lazy_names

if TYPE_CHECKING:
    from annotation.consensus import PairConsensus, ResolvedMark, resolve_regions
    from annotation.corpus import Corpus
    from annotation.labelstudio.read_export import read_export_tasks
    from annotation.ratings_table import read_export_table
    from annotation.records import (
        Box,
        Disk,
        Flag,
        Mark,
        Pair,
        PairSubmissions,
        Place,
        Rating,
        Rationale,
        Region,
        RegionalAnnotation,
        Rejection,
    )
    from annotation.region_list import ListedRegion, list_regions
    from annotation.regions import accepted_regions
    from annotation.rules import AnnotationRules, read_rules
    from annotation.simulate.corpus_writer import simulate_corpus
    from annotation.simulate.options import SimulationOptions

_MODULES = {
    "annotation.consensus": ("PairConsensus", "ResolvedMark", "resolve_regions"),
    "annotation.corpus": ("Corpus",),
    "annotation.labelstudio.read_export": ("read_export_tasks",),
    "annotation.ratings_table": ("read_export_table",),
    "annotation.records": (
        "Box",
        "Disk",
        "Flag",
        "Mark",
        "Pair",
        "PairSubmissions",
        "Place",
        "Rating",
        "Rationale",
        "Region",
        "RegionalAnnotation",
        "Rejection",
    ),
    "annotation.region_list": ("ListedRegion", "list_regions"),
    "annotation.regions": ("accepted_regions",),
    "annotation.rules": ("AnnotationRules", "read_rules"),
    "annotation.simulate.corpus_writer": ("simulate_corpus",),
    "annotation.simulate.options": ("SimulationOptions",),
}

__all__ = [
    "AnnotationRules",
    "Box",
    "Corpus",
    "Disk",
    "Flag",
    "ListedRegion",
    "Mark",
    "Pair",
    "PairConsensus",
    "PairSubmissions",
    "Place",
    "Rating",
    "Rationale",
    "Region",
    "RegionalAnnotation",
    "Rejection",
    "ResolvedMark",
    "SimulationOptions",
    "accepted_regions",
    "list_regions",
    "read_export_table",
    "read_export_tasks",
    "read_rules",
    "resolve_regions",
    "simulate_corpus",
]


if not TYPE_CHECKING:  # a type checker would take this for "every name exists"
    __getattr__, __dir__ = make_lazy_names(__name__, _MODULES)
