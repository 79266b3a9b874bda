"""Learn from photos what the hand-crafted baselines need: the basis of AIM, and the full strength of every model.

    python -m training.baselines.learn_constants PHOTOS

writes `aim_basis.npz` beside this file and prints each `FULL_STRENGTH`. What ships was learnt from 65 photos of CQ100
(M. E. Celebi, M.-L. Perez-Delgado, 2023), the same that the simulation of corpora can start from.

Patches of 21 x 21 pixels are drawn from each photo at three sizes, reduced to their principal components, and rotated
to independent components by FastICA. The same photos and versions of the packages give the same basis.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage
from annotation.simulate.photos import list_folder_photos, load_photo_pixels
from mos.console import print_json
from mos.files import replace_file
from training.baselines.fixed_scale import measure_full_strength, shrink_image

PATCH_SIDE = 21
COMPONENTS = 25
PATCHES = 30_000
SIZES = (128, 192, 288)
"""Longest sides in pixels at which patches are drawn, so that the basis fits more than one scale."""


def learn_aim_basis(photos: Sequence[RgbImage], seed: int = 0) -> NDArray[np.float32]:
    """Learn filters of independent components.

    Parameters
    ----------
    photos : sequence of ndarray
        uint8 [H, W, 3].
    seed : int

    Returns
    -------
    ndarray
        float32 [25, 21, 21, 3]. Each filter has no mean, and its response to the patches has the deviation 1.
    """
    from sklearn.decomposition import PCA, FastICA

    random = np.random.default_rng(seed)
    patches = _draw_patches(photos, random)
    patches -= patches.mean(axis=1, keepdims=True)
    pca = PCA(COMPONENTS, svd_solver="randomized", random_state=seed).fit(patches)
    reduced = pca.transform(patches)
    ica = FastICA(COMPONENTS, whiten="unit-variance", random_state=seed, max_iter=1000, tol=1e-3).fit(reduced)
    filters = ica.components_ @ pca.components_
    filters -= filters.mean(axis=1, keepdims=True)
    filters /= (patches @ filters.T).std(axis=0)[:, None]
    return np.asarray(filters.reshape(COMPONENTS, PATCH_SIDE, PATCH_SIDE, 3), np.float32)


def _draw_patches(photos: Sequence[RgbImage], random: np.random.Generator) -> NDArray[Any]:
    """[PATCHES, 1323] patches as colours in [0, 1], as many of each photo and size."""
    each = PATCHES // (len(photos) * len(SIZES))
    drawn = []
    for photo in photos:
        for longest in SIZES:
            small = shrink_image(photo, longest).astype(np.float32) / np.float32(255)
            view: Any = np.lib.stride_tricks.sliding_window_view  # its types know one axis only
            windows = view(small, (PATCH_SIDE, PATCH_SIDE), axis=(0, 1))
            rows, columns = windows.shape[:2]
            places = random.integers(0, rows, each), random.integers(0, columns, each)
            drawn.append(windows[places].transpose(0, 2, 3, 1).reshape(each, -1))
    return np.asarray(np.concatenate(drawn), np.float64)


def write_aim_basis(path: Path, photos: Sequence[RgbImage]) -> None:
    """Learn the basis and write it in one step."""
    stream = io.BytesIO()
    np.savez_compressed(stream, basis=learn_aim_basis(photos).astype(np.float16))
    replace_file(path, stream.getvalue())


def measure_full_strengths(photos: Sequence[RgbImage]) -> dict[str, float]:
    """The full strength of each model by the name of its agent."""
    from training.baselines.aim import compute_aim_strength
    from training.baselines.context_aware import compute_context_strength
    from training.baselines.itti import compute_itti_strength
    from training.baselines.swd import compute_swd_strength

    models: dict[str, Callable[[RgbImage], NDArray[Any]]] = {
        "aim": compute_aim_strength,
        "ca": compute_context_strength,
        "itti": compute_itti_strength,
        "swd": compute_swd_strength,
    }
    return {name: measure_full_strength(compute, photos) for name, compute in models.items()}


if __name__ == "__main__":
    from training.baselines.aim import BASIS_FILE

    found = [load_photo_pixels(photo) for photo in list_folder_photos(Path(sys.argv[1]))]
    write_aim_basis(Path(__file__).with_name(BASIS_FILE), found)
    print_json(measure_full_strengths(found))
