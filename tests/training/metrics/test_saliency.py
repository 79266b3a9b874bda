"""Saliency metrics against scikit-learn, SciPy, hand calculation and the published algorithms."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import mean_squared_error as sklearn_mse
from sklearn.metrics import roc_auc_score

from editfhf.saliency import render_saliency
from mos.errors import UserError
from tests.training.metrics.published_saliency import (
    mit_auc_judd,
    mit_cc,
    mit_kld,
    mit_nss,
    mit_similarity,
    richhf_metrics,
)
from training.metrics.maps import clean_image_metrics, mark_positives, mean_squared_error
from training.metrics.roc_area import auc_judd
from training.metrics.saliency import SALIENCY_METRICS, kl_divergence, saliency_metrics

HEIGHT, WIDTH = 40, 56
DISKS = [[12.0, 9.5], [40.2, 30.0], [15.0, 11.0]]
CLOSE = {"rel": 1e-9, "abs": 1e-9}


def truth() -> tuple[np.ndarray, np.ndarray]:
    return render_saliency(DISKS, HEIGHT, WIDTH, sigma=4.0)[0], mark_positives(DISKS, HEIGHT, WIDTH)


def predictions() -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    density, positives = truth()
    noise = random.random((HEIGHT, WIDTH))
    return {
        "noise": noise,
        "float32": noise.astype(np.float32),
        "truth": density,
        "truth and noise": density + 0.3 * noise,
        "8 bits": np.rint(255 * (0.5 * density + 0.5 * noise)).astype(np.uint8),
        "few levels": np.floor(4 * noise) / 4,
        "a box": np.pad(np.ones((20, 20)), ((0, HEIGHT - 20), (0, WIDTH - 20))),
        "misses all": np.where(positives, 0.0, noise + 0.1),
        "far from 0": 1e5 + noise,
        "strided": np.repeat(noise, 2, axis=1)[:, ::2],
        "bool": noise > 0.5,
    }


@pytest.mark.parametrize("name", predictions())
def test_exact_auc_is_that_of_scikit_learn(name: str) -> None:
    prediction, positives = predictions()[name], truth()[1]
    expected = roc_auc_score(positives.ravel(), prediction.ravel())
    assert auc_judd(prediction, positives)["auc_judd"] == pytest.approx(expected, **CLOSE)


@given(st.integers(2, 60), st.integers(1, 7), st.integers(0, 2**32 - 1))
def test_exact_auc_with_any_ties(pixels: int, levels: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    prediction = random.integers(0, levels, (1, pixels)) / levels
    positives = random.permutation(np.arange(pixels) < random.integers(1, pixels))[None]
    expected = roc_auc_score(positives[0], prediction[0])
    assert auc_judd(prediction, positives)["auc_judd"] == pytest.approx(expected, **CLOSE)


@pytest.mark.parametrize("name", ["noise", "float32", "truth and noise", "misses all"])
@pytest.mark.parametrize(("rule", "counted_from"), [("mit", 1), ("richhf", 0)])
def test_auc_of_published_code_without_ties(name: str, rule: str, counted_from: int) -> None:
    prediction, positives = predictions()[name].astype(float), truth()[1]
    if name == "misses all":
        prediction = prediction + np.arange(prediction.size).reshape(prediction.shape) * 1e-9
    expected = mit_auc_judd(prediction, positives, counted_from=counted_from)
    assert auc_judd(prediction, positives, rule)["auc_judd"] == pytest.approx(expected, **CLOSE)  # type: ignore[arg-type]


def test_one_positive_shows_the_bias_of_the_published_curve() -> None:
    prediction = np.arange(20.0).reshape(4, 5)
    positives = prediction == 14  # five of the 19 negatives are above
    assert auc_judd(prediction, positives)["auc_judd"] == pytest.approx(14 / 19, **CLOSE)
    assert auc_judd(prediction, positives, "mit")["auc_judd"] == pytest.approx(14 / 19 + 5 / 38, **CLOSE)
    assert mit_auc_judd(prediction, positives) == pytest.approx(14 / 19 + 5 / 38, **CLOSE)


@pytest.mark.parametrize("name", ["few levels", "a box", "8 bits", "truth"])
def test_ties_are_the_mean_over_the_jitter_of_the_published_code(name: str) -> None:
    prediction = predictions()[name].astype(float)
    positives = mark_positives(DISKS, HEIGHT, WIDTH, "centres")
    random = np.random.default_rng(0)
    drawn = [mit_auc_judd(prediction, positives, jitter=random) for _ in range(400)]
    expected = auc_judd(prediction, positives, "mit")["auc_judd"]
    assert expected == pytest.approx(np.mean(drawn), abs=5 * np.std(drawn) / 20 + 1e-9)


def test_jitter_with_a_seed_is_the_published_jitter() -> None:
    prediction, positives = predictions()["a box"], truth()[1]
    expected = mit_auc_judd(prediction, positives, jitter=np.random.default_rng(7))
    found = auc_judd(prediction, positives, "mit", jitter_seed=7)
    assert found["auc_judd"] == pytest.approx(expected, **CLOSE)
    assert found.settings["jitter_seed"] == 7
    assert found == auc_judd(prediction, positives, "mit", jitter_seed=7)


@pytest.mark.parametrize("name", ["noise", "float32", "truth and noise", "misses all", "truth"])
def test_the_preset_mit_is_the_published_code(name: str) -> None:
    prediction, (density, positives) = predictions()[name], truth()
    p, g = prediction.astype(float), density.astype(float)
    found = saliency_metrics(prediction, density, positives, preset="mit")
    assert list(found) == list(SALIENCY_METRICS)
    assert found["nss"] == pytest.approx(mit_nss(p, positives), **CLOSE)
    assert found["cc"] == pytest.approx(mit_cc(p, g), **CLOSE)
    assert found["sim"] == pytest.approx(mit_similarity(p, g), **CLOSE)
    assert found["kld"] == pytest.approx(mit_kld(p, g), **CLOSE)
    assert saliency_metrics(prediction, density, positives, "sjtu")["kld"] == pytest.approx(
        mit_kld(p, positives.astype(float)), **CLOSE
    )


@pytest.mark.parametrize("name", ["noise", "float32", "truth and noise"])
def test_the_preset_richhf_is_the_published_code(name: str) -> None:
    prediction, (density, positives) = predictions()[name], truth()
    density = np.where(density > 0.2, density, 0)  # as an 8-bit map, zero far from disks
    found = saliency_metrics(prediction, density, positives, preset="richhf")
    assert found == pytest.approx(richhf_metrics(prediction.astype(float), density.astype(float)), **CLOSE)
    assert found.settings["positives"] == "density > 0"


@pytest.mark.parametrize("name", sorted(set(predictions()) - {"bool", "a box"}))
def test_the_preset_exact_is_scikit_learn_and_scipy(name: str) -> None:
    prediction, (density, positives) = predictions()[name], truth()
    p, g = prediction.astype(float).ravel(), density.astype(float).ravel()
    found = saliency_metrics(prediction, density, positives, preset="exact")
    # 1e5 + noise has eleven digits left below the point, and its spread fewer.
    close = {"rel": 1e-8} if name == "far from 0" else CLOSE
    assert found["auc_judd"] == pytest.approx(roc_auc_score(positives.ravel(), p), **CLOSE)
    assert found["nss"] == pytest.approx(stats.zscore(p)[positives.ravel()].mean(), **close)
    assert found["cc"] == pytest.approx(stats.pearsonr(p, g).statistic, **close)
    assert found["sim"] == pytest.approx(np.minimum(p / p.sum(), g / g.sum()).sum(), **CLOSE)
    assert found["kld"] == pytest.approx(stats.entropy(g, p), **CLOSE)


def test_all_five_by_hand() -> None:
    prediction = np.array([[1.0, 0.0, 2.0, 1.0]])
    density = np.array([[0.0, 0.0, 3.0, 1.0]])
    found = saliency_metrics(prediction, density, np.array([[0, 0, 1, 0]]), "mit")
    assert found["auc_judd"] == 1.0
    assert found["nss"] == pytest.approx(math.sqrt(3 / 2))  # mean 1, variance 2/3
    assert found["cc"] == pytest.approx(3 / math.sqrt(2 * 6))
    assert found["sim"] == pytest.approx(0.75)  # (.25, 0, .5, .25) and (0, 0, .75, .25)
    assert found["kld"] == pytest.approx(0.75 * math.log(1.5))


def test_infinite_divergence_stays_infinite_without_a_constant() -> None:
    prediction, density = np.array([[0.0, 1.0]]), np.array([[1.0, 1.0]])
    assert kl_divergence(prediction, density, eps=0)["kld"] == stats.entropy([1, 1], [0, 1]) == math.inf
    found = kl_divergence(prediction, density)
    assert found["kld"] == pytest.approx(mit_kld(prediction, density), **CLOSE)
    record = saliency_metrics(prediction, density, preset="exact").as_record()
    assert record["values"]["kld"] is None
    assert record["reasons"]["kld"] == "The value is infinite."
    json.dumps(record, allow_nan=False)


DEGENERATE: dict[str, tuple[Callable[[], tuple[np.ndarray, np.ndarray, np.ndarray]], dict[str, str]]] = {
    "clean image": (
        lambda: (np.eye(4), np.zeros((4, 4)), np.zeros((4, 4), bool)),
        dict.fromkeys(SALIENCY_METRICS, "truth is empty"),
    ),
    "constant prediction": (
        lambda: (np.full((4, 4), 0.1, np.float32), np.eye(4), np.eye(4)),
        dict.fromkeys(("auc_judd", "nss", "cc", "sim"), "prediction is constant"),
    ),
    "zero prediction": (
        lambda: (np.zeros((4, 4)), np.eye(4), np.eye(4)),
        dict.fromkeys(("auc_judd", "nss", "cc", "sim"), "prediction is constant"),
    ),
    "NaN in the prediction": (
        lambda: (np.where(np.eye(4), np.nan, 0.5), np.eye(4), np.eye(4)),
        dict.fromkeys(SALIENCY_METRICS, "not finite"),
    ),
    "infinite prediction": (
        lambda: (np.where(np.eye(4), -np.inf, 0.5), np.eye(4), np.eye(4)),
        dict.fromkeys(SALIENCY_METRICS, "not finite"),
    ),
    "negative prediction": (lambda: (np.arange(16.0).reshape(4, 4) - 3, np.eye(4), np.eye(4)), {"kld": "negative"}),
    "every pixel positive": (
        lambda: (np.arange(16.0).reshape(4, 4), np.eye(4), np.ones((4, 4))),
        {"auc_judd": "nothing to tell apart"},
    ),
    "constant density": (
        lambda: (np.arange(16.0).reshape(4, 4), np.ones((4, 4)), np.eye(4)),
        dict.fromkeys(("cc", "sim"), "density is constant"),
    ),
    "one pixel": (
        lambda: (np.ones((1, 1)), np.ones((1, 1)), np.ones((1, 1))),
        {"auc_judd": "nothing", "nss": "constant", "cc": "constant", "sim": "constant"},
    ),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_what_is_not_defined_is_nan_with_its_reason(name: str) -> None:
    make, expected = DEGENERATE[name]
    prediction, density, positives = make()
    found = saliency_metrics(prediction, density, positives, "mit")
    assert {metric for metric, value in found.items() if math.isnan(value)} == set(expected) == set(found.reasons)
    for metric, words in expected.items():
        assert words in found.reasons[metric]


def test_an_empty_prediction_has_a_divergence_by_its_constant() -> None:
    found = saliency_metrics(np.zeros((4, 4)), np.eye(4), np.eye(4), "mit")
    assert found["kld"] == pytest.approx(mit_kld(np.zeros((4, 4)), np.eye(4)), **CLOSE)
    assert "zero everywhere" in saliency_metrics(np.zeros((4, 4)), np.eye(4), np.eye(4), "exact").reasons["kld"]


def test_a_constant_prediction_is_chance_by_the_exact_rule() -> None:
    positives = np.eye(4)
    expected = roc_auc_score(positives.ravel(), np.ones(16))
    assert saliency_metrics(np.ones((4, 4)), np.eye(4), positives, "exact")["auc_judd"] == expected == 0.5


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100), st.floats(-50, 50))
def test_scale_and_offset_of_a_prediction_do_not_matter_to_the_order(seed: int, scale: float, offset: float) -> None:
    random = np.random.default_rng(seed)
    prediction = random.integers(0, 20, (6, 7)).astype(float)
    density = random.random((6, 7))
    positives = density > 0.6
    if not positives.any() or prediction.min() == prediction.max():
        return
    plain, moved = (saliency_metrics(each, density, positives) for each in (prediction, prediction * scale + offset))
    for name in ("auc_judd", "nss", "cc", "sim"):
        assert moved[name] == pytest.approx(plain[name], rel=1e-6, abs=1e-9)


def test_metrics_do_not_change_their_input() -> None:
    prediction, (density, positives) = predictions()["float32"], truth()
    kept = [each.copy() for each in (prediction, density, positives)]
    first = saliency_metrics(prediction, density, positives)
    assert first == saliency_metrics(prediction, density, positives)
    assert all(np.array_equal(a, b) for a, b in zip(kept, (prediction, density, positives), strict=True))


def test_results_record_how_they_were_computed() -> None:
    density, positives = truth()
    found = saliency_metrics(density, density, positives, "mit", sigma=4.0)
    assert found.settings["preset"] == "mit"
    assert found.settings["positives"] == "given"
    assert found.settings["positive_pixels"] == positives.sum()
    assert found.settings["sigma"] == 4.0
    assert found.settings["kld_eps"] == np.finfo(float).eps
    assert saliency_metrics(density, density).settings["positives"] == "density >= 0.5"


def test_an_unknown_preset_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"Unknown preset 'richf'\. Did you mean 'richhf'"):
        saliency_metrics(np.eye(2), np.eye(2), np.eye(2), "richf")


@pytest.mark.parametrize(
    ("prediction", "density", "positives", "words"),
    [
        (np.eye(3), np.eye(4), np.eye(4), r"size of the density \(4, 4\), but got \(3, 3\)"),
        (np.eye(4), np.eye(4), np.eye(3), r"positives must have the size"),
        (np.ones(4), np.ones(4), np.ones(4), r"array \[H, W\], but got shape \(4,\)"),
        (np.eye(4), np.eye(4) - 1, np.eye(4), "density must be finite and 0 or more"),
        (np.eye(4), np.where(np.eye(4), np.nan, 0), np.eye(4), "density must be finite"),
        (np.zeros((0, 4)), np.zeros((0, 4)), np.zeros((0, 4)), r"array \[H, W\]"),
    ],
)
def test_maps_that_do_not_fit_are_refused(
    prediction: np.ndarray, density: np.ndarray, positives: np.ndarray, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        saliency_metrics(prediction, density, positives)


@pytest.mark.parametrize("mode", ["disks", "centres"])
def test_positives_of_disks_pixel_by_pixel(mode: str) -> None:
    disks = [[0.0, 0.0], [30.3, 20.7], [55.9, 39.99], [70.0, 20.0], [-1.0, 39.0], [30.3, 20.7]]
    expected = np.zeros((HEIGHT, WIDTH), bool)
    for x, y in disks:
        for row in range(HEIGHT):
            for column in range(WIDTH):
                if mode == "disks":
                    expected[row, column] |= math.hypot(column + 0.5 - x, row + 0.5 - y) <= HEIGHT / 20
                else:
                    expected[row, column] |= (math.floor(x), math.floor(y)) == (column, row)
    assert np.array_equal(mark_positives(disks, HEIGHT, WIDTH, mode), expected)  # type: ignore[arg-type]


def test_no_disks_are_no_positives() -> None:
    assert not mark_positives([], 5, 7).any()
    assert not mark_positives([], 5, 7, "centres").any()


def test_mse_is_that_of_scikit_learn() -> None:
    prediction, density = predictions()["float32"], truth()[0]
    expected = sklearn_mse(density.astype(float).ravel(), prediction.astype(float).ravel())
    assert mean_squared_error(prediction, density)["mse"] == pytest.approx(expected, **CLOSE)
    assert clean_image_metrics(prediction)["mse"] == pytest.approx((prediction.astype(float) ** 2).mean(), **CLOSE)


def test_a_quiet_map_raises_no_alarm() -> None:
    quiet = clean_image_metrics(np.full((8, 8), 0.499))
    assert (quiet["alarm"], quiet["alarm_area"], quiet["peak"]) == (0.0, 0.0, 0.499)
    assert clean_image_metrics(np.full((8, 8), np.nan)).reasons["alarm"]
