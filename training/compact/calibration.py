"""Put the trained network on its absolute scale, by what it says of validation pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch

from training.compact.batches import PairBatch
from training.compact.model import CompactModel, combine_maps
from training.runs.absolute_scale import find_map_shift, find_sd_factor


def calibrate_model(model: CompactModel, read: Callable[[], Iterable[PairBatch]], clean_share: float) -> None:
    """Set the shift of the maps' odds and the factor of the scores' standard deviations.

    Parameters
    ----------
    model : CompactModel
        Changed in place.
    read : callable
        Gives the validation batches.
    clean_share : float
        See `find_map_shift`.
    """
    model.eval()
    peaks, clean, errors = [], [], []
    with torch.no_grad():
        for batch in read():
            found = model(batch.before, batch.after, batch.cues, batch.whole, batch.text)
            peaks.append(combine_maps(found.shape_logits, found.presence_logits).amax((2, 3)))
            clean.append(batch.has_flaw == 0)
            errors.append((batch.scores - found.scores) / found.log_sd.exp())
    shift = find_map_shift(torch.cat(peaks).numpy(), torch.cat(clean).numpy(), clean_share)
    model.map_shift.copy_(torch.from_numpy(shift))
    model.sd_shift += torch.from_numpy(np.log(find_sd_factor(torch.cat(errors).numpy()))).float()
