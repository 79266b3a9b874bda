"""Simulate corpora with known truth: real photos, real edits, injected flaws, simulated participants.

`simulate_corpus` writes a corpus with the layout and the order of a real campaign: annotators mark regions, the
consensus (or an expert) accepts them, reviewers agree on texts, raters score and flag.  Two more files hold the truth:

`truth.parquet`, one row per pair
    pair_id, source_id, editor, task, width, height
    perceptual_quality, instruction_following, visual_consistency: true quality on the raters' scale of 1 to 5
    regions: every injected flaw: kind, box (float pixels, half-open), disks, flaw_type, severity, rationale;
        found_by (annotators who marked it), region_id (its accepted region; null when none overlaps it by 0.5), flags
    unfounded: accepted regions that show no flaw (an expert's mistake): kind, box, region_id, flags.  More than three
        raters flag them, so that a build discards them (with panels of at least four raters)
    expert: whether an expert reviewed; rationales_final: whether the reviewers agreed in the end.  A final text may be
        the true one with one more sentence

`truth_raters.parquet`, one row per rater of the pool
    annotator_id, careless, behaviour (honest, random, straight, inverted), bias and inconsistency (standard deviation)

Where a share of the pairs is rendered, `truth.parquet` has the column `rendering`: the seed of `render_as_editor`.
Where clean images are wanted, it has the column `clean`: the path of the edit without flaws, rendered with that seed.
`simulate_pairs` gives the same pairs in memory.

Limits: hands and bodies break only on the drawn toy figure, faces on it and on two photos; the tasks about
people and the type `other` do not occur.  Every random draw comes from a generator keyed by the seed and the index of a
source or pair, so that the bytes depend on the options alone.
"""

from annotation.simulate.corpus_writer import simulate_corpus
from annotation.simulate.known_pairs import KnownPair, simulate_pairs
from annotation.simulate.options import SimulationOptions
from annotation.simulate.rendering import RenderingOptions, render_as_editor

__all__ = [
    "KnownPair",
    "RenderingOptions",
    "SimulationOptions",
    "render_as_editor",
    "simulate_corpus",
    "simulate_pairs",
]
