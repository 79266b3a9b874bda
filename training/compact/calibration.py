"""Put the trained network on its absolute scale, by what it says of validation pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch

from training.compact.batches import PairBatch
from training.compact.model import CompactModel, combine_maps

LARGEST_SHIFT = 6.0
_LEAST_CLEAN = 5
_MARGIN = 1e-2  # rounding to float16 must not undo it


def calibrate_model(model: CompactModel, read: Callable[[], Iterable[PairBatch]], clean_share: float) -> None:
    """Set the shift of the maps' odds and the factor of the scores' standard deviations.

    Parameters
    ----------
    model : CompactModel
        Changed in place.
    read : callable
        Gives the validation batches.
    clean_share : float
        Share of clean images, for each kind, whose map must stay below 0.5 everywhere.

    Notes
    -----
    The shift is the largest one, between -6 and 6, with which the share holds, so that as many flaws as possible
    reach 0.5; with fewer than five clean images it stays 0. The factor makes the mean square of (truth - score) / sd
    one.
    """
    model.eval()
    peaks, clean, errors = [], [], []
    with torch.no_grad():
        for batch in read():
            found = model(batch.before, batch.after, batch.cues, batch.whole, batch.text)
            peaks.append(combine_maps(found.shape_logits, found.presence_logits).amax((2, 3)))
            clean.append(batch.has_flaw == 0)
            errors.append(((batch.scores - found.scores) / found.log_sd.exp()).square())
    peak, is_clean = torch.cat(peaks).double().clamp(1e-9, 1 - 1e-9).numpy(), torch.cat(clean).numpy()
    needed = np.log(1 - peak) - np.log(peak)  # the shift that brings each peak to one half
    for index in range(peak.shape[1]):
        rows = is_clean[:, index]
        if rows.sum() >= _LEAST_CLEAN:
            allowed = np.quantile(needed[rows, index], 1 - clean_share, method="lower") - _MARGIN
            model.map_shift[index] = float(np.clip(allowed, -LARGEST_SHIFT, LARGEST_SHIFT))
    square = torch.cat(errors).nanmean(0)
    model.sd_shift += torch.where(torch.isfinite(square), 0.5 * square.clamp_min(1e-4).log(), 0.0)
