"""Metrics of a predicted saliency map: AUC-Judd, NSS, CC, SIM and KLD, and what a clean image allows.

Published implementations differ in details that change numbers more than the models do (the positives, the constant
in KLD, min-max before SIM). A preset fixes them all, and every result records them.

Source of the metrics: Z. Bylinskii, T. Judd, A. Oliva, A. Torralba, F. Durand, "What do different evaluation metrics
tell us about saliency models?", IEEE TPAMI 41(3), 2019, and its code, the MIT saliency benchmark.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mos.errors import UserError
from mos.words import did_you_mean
from training.metrics._kernels import (
    MapProducts,
    MapRange,
    centred_products,
    scan_map,
    shared_mass,
    sum_over_mass,
)
from training.metrics.maps import (
    CONSTANT_DENSITY,
    CONSTANT_PREDICTION,
    EMPTY_DENSITY,
    EMPTY_PREDICTION,
    NEGATIVE_VALUES,
    NO_POSITIVES,
    NOT_FINITE,
    flatten_maps,
    make_map_result,
    mark_given,
)
from training.metrics.results import MetricResult
from training.metrics.roc_area import AucRule, compute_auc

SALIENCY_METRICS = ("auc_judd", "nss", "cc", "sim", "kld")

MATLAB_EPS = 2.0**-52
"""`eps` of MATLAB, which the code of the MIT benchmark adds in KLD."""

DEFAULT_POSITIVE_DENSITY = 0.5


@dataclass(frozen=True, slots=True)
class SaliencyPreset:
    """The details in which implementations differ.

    Attributes
    ----------
    name : str
    auc : {"exact", "mit", "richhf"}
        See `auc_judd`.
    positives : {"given", "density > 0"}
        Where the positives come from.
    ddof : {0, 1}
        The standard deviation of NSS divides by pixels - ddof.
    guard_eps : float
        Added to every divisor: the standard deviation of NSS, the root of CC, the sums of SIM and KLD.
    stretch : bool
        Whether SIM maps each map to [0, 1] before its sum is made 1.
    kld_eps : float
        Added twice in KLD, see `kl_divergence`.
    kld_truth : {"density", "positives"}
        What KLD compares the prediction with.
    source : str
        The code or definition that the preset follows.
    """

    name: str
    auc: AucRule
    positives: Literal["given", "density > 0"]
    ddof: Literal[0, 1]
    guard_eps: float
    stretch: bool
    kld_eps: float
    kld_truth: Literal["density", "positives"]
    source: str


SALIENCY_PRESETS = {
    preset.name: preset
    for preset in (
        SaliencyPreset("mit", "mit", "given", 1, 0.0, True, MATLAB_EPS, "density", "github.com/cvzoya/saliency"),
        SaliencyPreset("exact", "exact", "given", 0, 0.0, False, 0.0, "density", "the formulas of the paper"),
        SaliencyPreset(
            "richhf", "richhf", "density > 0", 1, 1e-8, False, 1e-8, "density", "github.com/youweiliang/RichHF"
        ),
        SaliencyPreset("sjtu", "mit", "given", 1, 0.0, True, MATLAB_EPS, "positives", "run_all_metrics.m of H. Duan"),
    )
}


def find_saliency_preset(name: str) -> SaliencyPreset:
    """Find a preset by its name, one of `SALIENCY_PRESETS`.

    Raises
    ------
    UserError
        For an unknown name.
    """
    if name not in SALIENCY_PRESETS:
        hint = did_you_mean(str(name), SALIENCY_PRESETS)
        raise UserError(f"Unknown preset {name!r}.{hint} Known: {', '.join(SALIENCY_PRESETS)}.")
    return SALIENCY_PRESETS[name]


def saliency_metrics(
    prediction: NDArray[Any],
    density: NDArray[Any],
    positives: NDArray[Any] | None = None,
    preset: str = "mit",
    *,
    sigma: float | None = None,
) -> MetricResult:
    """Compute AUC-Judd, NSS, CC, SIM and KLD of one predicted map.

    Parameters
    ----------
    prediction : ndarray
        [H, W] predicted map; the dataset's scale is [0, 1], but any real numbers are allowed.
    density : ndarray
        [H, W] true map, 0 or more.
    positives : ndarray, optional
        [H, W], true or above 0 at the pixels that should be found, see `mark_positives`. Default: a density of at
        least 0.5. The preset "richhf" always takes the pixels with a density above 0 instead, as its code does.
    preset : {"mit", "exact", "richhf", "sjtu"}
        See `SALIENCY_PRESETS`.
    sigma : float, optional
        Standard deviation in pixels of the Gaussian that made the density. It is only recorded.

    Returns
    -------
    MetricResult
        `auc_judd`, `nss`, `cc`, `sim`, `kld`; NaN with a reason where one is not defined. The settings record the
        preset with all its details, the positives and sigma.

    Raises
    ------
    UserError
        For an unknown preset.
    ValueError
        If shapes differ, or the density has a value that is negative or not finite.

    Notes
    -----
    A clean image has no positive and no density: all five values are NaN, and `clean_image_metrics` measures it.
    No map is resized. The code of RichHF resizes both maps to 384 x 384 first, which moves CC by less than 0.001.

    Examples
    --------
    >>> density = np.array([[0.0, 0.0], [0.5, 1.0]])
    >>> found = saliency_metrics(density, density, density >= 0.5, "exact")
    >>> {name: round(value, 6) for name, value in found.items()}
    {'auc_judd': 1.0, 'nss': 0.904534, 'cc': 1.0, 'sim': 1.0, 'kld': 0.0}
    """
    rules = find_saliency_preset(preset)
    p, g = flatten_maps(prediction, density)
    where, origin = _find_positives(p, g, density, positives, rules)
    settings = {
        "preset": rules.name,
        "source": rules.source,
        "auc_rule": rules.auc,
        "positives": origin,
        "positive_pixels": len(where),
        "pixels": len(p),
        "sigma": sigma,
        "ddof": rules.ddof,
        "guard_eps": rules.guard_eps,
        "sim_stretch": rules.stretch,
        "kld_eps": rules.kld_eps,
        "kld_truth": rules.kld_truth,
    }
    p_range, g_range = scan_map(p), scan_map(g)
    if not (math.isfinite(p_range.low) and math.isfinite(p_range.high)):
        values: dict[str, float | str] = dict.fromkeys(SALIENCY_METRICS, NOT_FINITE)
    else:
        products = centred_products(p, g, p_range.total / len(p), g_range.total / len(g))
        values = {
            "auc_judd": compute_auc(p, where, p_range, rules.auc),
            "nss": _nss_value(p, where, p_range, products.pp, rules),
            "cc": _cc_value(p_range, g_range, products, rules.guard_eps),
            "sim": _sim_value(p, g, p_range, g_range, rules),
            "kld": _kld_value(p, g, p_range, g_range, where, rules),
        }
    return make_map_result(values, settings)


def _nss_value(
    p: NDArray[Any], where: NDArray[Any], scanned: MapRange, squares: float, rules: SaliencyPreset
) -> float | str:
    """NSS = mean over positives of (p - mean(p)) / sd(p); Bylinskii et al. 2019, from R. J. Peters et al., 2005."""
    if not len(where):
        return NO_POSITIVES
    if _is_flat(scanned, squares):
        return CONSTANT_PREDICTION
    spread = math.sqrt(squares / (len(p) - rules.ddof))
    at_positives = float(np.add.reduce(p.take(where), dtype=np.float64)) / len(where)
    return (at_positives - scanned.total / len(p)) / (spread + rules.guard_eps)


def _cc_value(p_range: MapRange, g_range: MapRange, products: MapProducts, guard_eps: float) -> float | str:
    """CC = Pearson's correlation of the two maps."""
    if _is_flat(p_range, products.pp):
        return CONSTANT_PREDICTION
    if _is_flat(g_range, products.gg):
        return EMPTY_DENSITY if g_range.high <= 0 else CONSTANT_DENSITY
    value = products.pg / (math.sqrt(products.pp) * math.sqrt(products.gg) + guard_eps)
    return max(-1.0, min(1.0, value))


def _sim_value(
    p: NDArray[Any], g: NDArray[Any], p_range: MapRange, g_range: MapRange, rules: SaliencyPreset
) -> float | str:
    """SIM = sum of min(p', g'), each map divided by its sum, after min-max if the preset stretches."""
    if g_range.high <= 0:
        return EMPTY_DENSITY
    if rules.stretch and p_range.low == p_range.high:
        return CONSTANT_PREDICTION
    if rules.stretch and g_range.low == g_range.high:
        return CONSTANT_DENSITY
    p_low, g_low = (p_range.low, g_range.low) if rules.stretch else (0.0, 0.0)
    if p_range.low < p_low:
        return NEGATIVE_VALUES
    p_mass, g_mass = p_range.total - p_low * len(p), g_range.total - g_low * len(g)
    if p_mass <= 0:
        return EMPTY_PREDICTION
    p_mass, g_mass = p_mass + rules.guard_eps, g_mass + rules.guard_eps
    return shared_mass(p, g, p_low, g_low, p_mass / g_mass) / p_mass


def _kld_value(
    p: NDArray[Any],
    g: NDArray[Any],
    p_range: MapRange,
    g_range: MapRange,
    where: NDArray[Any],
    rules: SaliencyPreset,
) -> float | str:
    if rules.kld_truth == "positives":
        if not len(where):
            return NO_POSITIVES
        g = np.zeros(len(p), np.float32)
        g[where] = 1
        g_range = MapRange(0.0, 1.0, float(len(where)))
    if g_range.high <= 0:
        return EMPTY_DENSITY
    if p_range.low < 0:
        return NEGATIVE_VALUES
    if p_range.total <= 0 and not rules.kld_eps:
        return EMPTY_PREDICTION
    p_mass, g_mass = p_range.total + rules.guard_eps, g_range.total + rules.guard_eps
    value = sum_over_mass(p, g, _kld_term(p_mass, g_mass, rules.kld_eps))
    return value if rules.kld_eps else max(0.0, value)  # equal maps can leave -1e-17


def kl_divergence(prediction: NDArray[Any], density: NDArray[Any], eps: float = MATLAB_EPS) -> MetricResult:
    """Compute the Kullback-Leibler divergence of the prediction from the density, in nats.

    Parameters
    ----------
    prediction, density : ndarray
        [H, W], 0 or more.
    eps : float
        The constant of the MIT code; 0 for the divergence itself.

    Returns
    -------
    MetricResult
        `kld`, 0 or more; infinite if `eps` is 0 and the prediction is 0 where the density is not.

    Notes
    -----
    Formula: sum of g log(eps + g / (p + eps)), with p and g divided by their sums. Source: KLdiv.m of the MIT
    benchmark. Limits: where the prediction is 0 the value is a choice of `eps`: compare values of one `eps` only.

    Examples
    --------
    >>> round(kl_divergence(np.array([[1.0, 1.0]]), np.array([[1.0, 0.0]]), eps=0)["kld"], 6)
    0.693147
    """
    p, g = flatten_maps(prediction, density)
    rules = SaliencyPreset("", "exact", "given", 0, 0.0, False, eps, "density", "")
    value = _kld_value(p, g, scan_map(p), scan_map(g), np.empty(0, np.int64), rules)
    return make_map_result({"kld": value}, {"kld_eps": eps})


def _kld_term(p_total: float, g_total: float, eps: float) -> Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]:
    def term(p: NDArray[Any], g: NDArray[Any]) -> NDArray[Any]:
        g /= g_total
        if p_total > 0:  # a prediction without mass stays as it is
            p /= p_total
        p += eps
        with np.errstate(divide="ignore"):
            ratio: NDArray[Any] = np.divide(g, p, out=p)
        ratio += eps
        np.log(ratio, out=ratio)
        ratio *= g
        return ratio

    return term


def _is_flat(scanned: MapRange, squares: float) -> bool:
    """Whether a map has no spread but what rounding makes."""
    return scanned.low == scanned.high or squares <= 0


def _find_positives(
    p: NDArray[Any], g: NDArray[Any], density: NDArray[Any], positives: NDArray[Any] | None, rules: SaliencyPreset
) -> tuple[NDArray[Any], str]:
    """Positions of the positive pixels, and where they come from."""
    if rules.positives != "given":
        return np.flatnonzero(g > 0), rules.positives
    if positives is None:
        return np.flatnonzero(g >= DEFAULT_POSITIVE_DENSITY), f"density >= {DEFAULT_POSITIVE_DENSITY}"
    return np.flatnonzero(mark_given(positives, np.shape(density))), "given"
