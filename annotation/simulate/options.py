"""Options of a simulated corpus, and its random streams.  Every option decides bytes of the corpus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

CarelessBehaviour = Literal["random", "straight", "inverted"]
ImageEncoding = Literal["jpeg", "png", "webp", "mixed"]
SimulationProfile = Literal["demo", "paper"]

# First number of every spawn key: the part of the simulation that draws.
SOURCE_STREAM, EDIT_STREAM, PAIR_STREAM, CAMPAIGN_STREAM, EDITOR_STREAM, RATER_STREAM, RENDERING_STREAM = range(7)


@dataclass(frozen=True, slots=True)
class SimulationOptions:
    """Options of a simulated corpus.

    Parameters
    ----------
    pairs : int
        Number of pairs.
    raters : int
        Ratings per pair and dimension.
    pool : int
        Raters in all, at least `raters`.
    annotators : int
        Annotators per pair.
    careless : int
        Careless raters in the pool.
    careless_behaviour : {"random", "straight", "inverted"}
        How careless raters score.
    missing : float
        Fraction of missing ratings, in [0, 1).
    height : int
        Height of the images in pixels.
    edits_per_source : int
        Pairs that share a source, at most 13.
    seed : int
        Seed of every random draw.
    format : {"jpeg", "png", "webp", "mixed"}
        Encoding of the images.
    annotator_error : float
        Scale of the annotators' noise; up to 1 every flaw can be recovered.
    expert : float
        Fraction of pairs that an expert reviews.
    exports : bool
        Whether ratings are written as Label Studio exports, else as a table.
    profile : {"demo", "paper"}
        "demo": a few large flaws, easily seen.  "paper": the density of the published data set, about 9 regions a pair
        and many pairs with none; small and subtle flaws; whole-image edits that fail in places; several things edited
        at once; one `source_id` for all crops of a photo, so that a build keeps a photo in one split.
    rendered : float
        Fraction of pairs whose edited image is rendered as a generative editor does (`rendering.render_as_editor`).
        Above 0, `truth.parquet` has the column `rendering`: the seed, null for a pair that was not rendered.
    clean_images : bool
        Whether the edit of each pair without its flaws is written to `truth/PAIR_ID.png`, rendered with the same seed
        as the edited image; `truth.parquet` then has the column `clean`.
    """

    pairs: int = 48
    raters: int = 15
    pool: int = 15
    annotators: int = 3
    careless: int = 1
    careless_behaviour: CarelessBehaviour = "random"
    missing: float = 0.02
    height: int = 512
    edits_per_source: int = 6
    seed: int = 0
    format: ImageEncoding = "jpeg"
    annotator_error: float = 1.0
    expert: float = 0.25
    exports: bool = True
    profile: SimulationProfile = "demo"
    rendered: float = 0.0
    clean_images: bool = False

    @property
    def sources(self) -> int:
        """Number of source images."""
        return -(-self.pairs // self.edits_per_source)

    def rng(self, *key: int) -> np.random.Generator:
        """An independent generator for one part of the simulation, the same for any order or number of workers."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))
