"""From the answers of an editor to verdicts: what changed where, and what happened to the rest of the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage
from editfhf.editors.colour_fit import convert_to_lab, fit_colour_transform
from editfhf.editors.conformance.card import ProbeName, ProbeResult
from editfhf.editors.conformance.probe_images import ProbeImages
from editfhf.editors.paste_back import fit_answer_size
from editfhf.editors.registration import align_image

LIMITS: dict[ProbeName, float] = {
    "mask_ignored": 0.5,
    "mask_inverted": 2.0,
    "shift": 0.25,
    "zoom": 0.0015,
    "colour_drift": 1.0,
    "no_op": 1.0,
    "seed_ignored": 0.1,
    "wrong_size": 0.0,
    "lossy": 0.05,
    "second_image_ignored": 0.5,
}
"""From where on each probe finds a fault.

- mask_ignored: change of the other flawed region as a share of the change in the mask; half is far from both, since an
  editor that ignores the mask treats the two alike and one that honours it leaves the other as it is.
- mask_inverted: change of the other region, or of the rest, as a multiple of the change in the mask.
- shift: pixels; twice the largest error of the measurement. Paste-back undoes it from 0.1 pixels on.
- zoom: a third of a pixel at the border of the probe.
- colour_drift: mean difference in CIE Lab outside of the mask that a smooth transform explains; about what a person
  sees side by side.
- no_op: mean difference in CIE Lab in the mask below which nothing was done; the flaws there differ by more than 10.
- seed_ignored: mean difference in CIE Lab in the mask between two seeds, below which they gave the same.
- wrong_size: pixels by which a side differs.
- lossy: share of the pixels outside of both regions that are off by two grey levels or more once place and colours are
  undone. JPEG at quality 95 is above, rounding is below.
- second_image_ignored: mean difference in CIE Lab in the mask between two sources that have nothing in common there.
"""

_MASK_PROBES: tuple[ProbeName, ProbeName] = ("mask_ignored", "mask_inverted")
_BORDER = 16  # px; what a shift brings in from beyond the image is not judged
_VISIBLE_LEVELS = 2


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredAnswer:
    """One answer: mean changes in CIE Lab in the mask, in the other flawed region and in the rest, and what else.

    `colours` is the answer in CIE Lab at the place and in the colours of the current image.
    """

    colours: NDArray[np.float32]
    own: float
    other: float
    rest: float
    shift: float
    zoom: float
    is_registered: bool
    colour_drift: float
    lossy_share: float
    off_size: int


def measure_answer(
    probe: ProbeImages, answer: RgbImage, mask: NDArray[np.uint8], other_mask: NDArray[np.uint8]
) -> MeasuredAnswer:
    """Measure an answer to `probe.current` with `mask`, where the second flawed region is `other_mask`."""
    height, width = mask.shape
    flawed = mask | other_mask
    sized, registration = fit_answer_size(probe.current, answer, flawed)
    aligned = align_image(probe.current, sized, flawed, registration)
    rest = flawed == 0
    rest[:_BORDER] = rest[-_BORDER:] = False
    rest[:, :_BORDER] = rest[:, -_BORDER:] = False
    before = convert_to_lab(probe.current)
    transform = fit_colour_transform(aligned.image, probe.current, rest)
    matched = transform.apply(aligned.image)
    colours = convert_to_lab(matched)
    raw = convert_to_lab(aligned.image)
    # What was left alone beside a rest that changed its colours must not count as changed, nor a change of all colours.
    change = np.minimum(np.linalg.norm(colours - before, axis=2), np.linalg.norm(raw - before, axis=2))
    drift = np.linalg.norm(colours - raw, axis=2)
    levels = np.abs(matched.astype(np.int16) - probe.current).max(axis=2)
    return MeasuredAnswer(
        colours=colours,
        own=float(change[mask > 0].mean()),
        other=float(change[other_mask > 0].mean()),
        rest=float(change[rest].mean()),
        shift=float(np.hypot(registration.shift_x, registration.shift_y)),
        zoom=abs(registration.scale - 1),
        is_registered=aligned.is_registered,
        colour_drift=float(drift[rest].mean()),
        lossy_share=float((levels[rest] >= _VISIBLE_LEVELS).mean()),
        off_size=max(abs(answer.shape[0] - height), abs(answer.shape[1] - width)),
    )


def judge_mask(one: MeasuredAnswer, two: MeasuredAnswer, takes_mask: bool) -> dict[ProbeName, ProbeResult]:
    """Whether the mask is ignored or inverted, and whether anything was done, from answers to two masks."""
    own, other, rest = (one.own + two.own) / 2, (one.other + two.other) / 2, (one.rest + two.rest) / 2
    elsewhere = max(other, rest)
    inverted = elsewhere >= max(LIMITS["no_op"], LIMITS["mask_inverted"] * own)
    nothing = own < LIMITS["no_op"] and not inverted
    found: dict[ProbeName, ProbeResult] = {
        "no_op": _judge(
            "no_op", own, nothing, f"In the mask the image changed by {own:.2g} in CIE Lab.", "Nothing was changed."
        )
    }
    share, factor = other / max(own, 1e-6), elsewhere / max(own, 1e-6)
    where = f"change in the mask {own:.2g}, in another flawed region {other:.2g}, elsewhere {rest:.2g} (CIE Lab)"
    if not takes_mask:
        found["mask_ignored"] = _skip("mask_ignored", "The editor takes no mask.")
        found["mask_inverted"] = _skip("mask_inverted", "The editor takes no mask.")
    elif nothing:
        sentence = "Nothing was changed, in the mask or beside."
        for name in _MASK_PROBES:
            found[name] = ProbeResult(verdict="unknown", value=None, limit=LIMITS[name], sentence=sentence)
    else:
        ignored = not inverted and share >= LIMITS["mask_ignored"]
        found["mask_ignored"] = _judge(
            "mask_ignored", share, ignored, f"The mask is honoured: {where}.", f"The mask is ignored: {where}."
        )
        found["mask_inverted"] = _judge(
            "mask_inverted", factor, inverted, f"The mask is not inverted: {where}.", f"The mask is inverted: {where}."
        )
    return found


def judge_rest(answer: MeasuredAnswer) -> dict[ProbeName, ProbeResult]:
    """What happened to size, place, colours and detail of the whole image."""
    found: dict[ProbeName, ProbeResult] = {}
    off = answer.off_size
    found["wrong_size"] = _judge(
        "wrong_size", off, off > 0, "The answer has the size of the image.", f"A side is off by {off} pixels."
    )
    places: dict[ProbeName, tuple[float, str]] = {
        "shift": (answer.shift, f"The content is beside by {answer.shift:.2f} pixels."),
        "zoom": (answer.zoom, f"The content is zoomed by {1000 * answer.zoom:.1f} per mille."),
    }
    for name, (value, text) in places.items():
        if answer.is_registered:
            found[name] = _judge(name, value, value >= LIMITS[name], text, text)
        else:
            sentence = "The answer does not show the content of the image, so its place is not known."
            found[name] = ProbeResult(verdict="unknown", value=None, limit=LIMITS[name], sentence=sentence)
    drift, share = answer.colour_drift, answer.lossy_share
    text = f"The colours of the whole image changed by {drift:.2g} in CIE Lab."
    found["colour_drift"] = _judge("colour_drift", drift, drift >= LIMITS["colour_drift"], text, text)
    text = f"{100 * share:.1f} % of the pixels outside of the mask are off by two grey levels or more."
    found["lossy"] = _judge("lossy", share, share >= LIMITS["lossy"], text, text)
    return found


def judge_seed(
    one: MeasuredAnswer | None, again: MeasuredAnswer | None, other: MeasuredAnswer | None, mask: NDArray[np.uint8]
) -> ProbeResult:
    """Whether the seed decides the answer: one seed twice, and another; None where the editor takes no seed."""
    if one is None or again is None or other is None:
        return _skip("seed_ignored", "The editor takes no seed.")
    difference, noise = _difference(one, other, mask), _difference(one, again, mask)
    if noise > LIMITS["seed_ignored"]:
        text = f"One seed gave two answers, which differ by {noise:.2g} in CIE Lab."
        return _judge("seed_ignored", noise, True, "", text)
    text = f"Two seeds gave answers that differ by {difference:.2g} in CIE Lab."
    return _judge("seed_ignored", difference, difference < LIMITS["seed_ignored"], text, text)


def judge_source(one: MeasuredAnswer, other: MeasuredAnswer | None, mask: NDArray[np.uint8]) -> ProbeResult:
    """Whether the source decides the answer; None where the editor takes no second image."""
    if other is None:
        return _skip("second_image_ignored", "The editor takes no second image.")
    difference = _difference(one, other, mask)
    text = f"Two sources gave answers that differ by {difference:.2g} in CIE Lab."
    return _judge("second_image_ignored", difference, difference < LIMITS["second_image_ignored"], text, text)


def accept_refused_source(detail: str) -> ProbeResult:
    """Who refuses to work with another source has looked at it."""
    sentence = f"Another source was refused. {detail}"
    return ProbeResult(verdict="ok", value=None, limit=LIMITS["second_image_ignored"], sentence=sentence)


def _difference(one: MeasuredAnswer, other: MeasuredAnswer, mask: NDArray[np.uint8]) -> float:
    return float(np.linalg.norm(one.colours - other.colours, axis=2)[mask > 0].mean())


def _judge(name: ProbeName, value: float, is_fault: bool, good: str, bad: str) -> ProbeResult:
    verdict = "fault" if is_fault else "ok"
    return ProbeResult(verdict=verdict, value=round(value, 4), limit=LIMITS[name], sentence=bad if is_fault else good)


def _skip(name: ProbeName, sentence: str) -> ProbeResult:
    return ProbeResult(verdict="does not apply", value=None, limit=LIMITS[name], sentence=sentence)
