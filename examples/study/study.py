"""The simulation study of docs/methods.md; `python examples/study/study.py` gives the same figures every time.

Writes study.json (every figure), docs/figures/study-*.svg, and the figures and tables within docs/methods.md.
Takes about six minutes of one processor. With `--page` it only draws and writes from study.json.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mos._arrow import column_values, null_mask, text_array
from mos.methods import METHODS, score_ratings
from mos.ratings import Ratings
from mos.scoring.result import ScoringResult

FIGURES = Path(__file__).with_name("study.json")

SEED = 2026
SCALE = (1.0, 5.0)
WORLDS = ("likert", "slider")
SIZES = (3, 5, 15, 30)
CARELESS = (
    ("none", 0.0),
    *((f"{kind}{round(100 * share)}", share) for kind in ("random", "shuffled") for share in (0.1, 0.2, 0.3)),
)
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "paper_10": ("paper", {"max_outlier_share": 0.1}),
    "bt500_literal": ("bt500", {"zero_variance": "literal"}),
    "correlation_others": ("correlation", {"leave_one_out": True}),
    "p913_bt500": ("p913", {"screening": "bt500"}),
    "p910_letter": ("p910", {"guard": False}),
    "p910_weights": ("p910", {"standard_error": "weights"}),
}
PLAIN: dict[str, tuple[str, dict[str, Any]]] = {name: (name, {}) for name in METHODS}


class Size(NamedTuple):
    """How much is simulated.

    items: of a study; item_sets: how many sets of items the studies take turns with; large: raters of the panel that
    a method's own truth comes from; studies: repetitions of each cell; pool_studies, bootstrap_studies: the same of
    those tables; resamples: of each bootstrap
    """

    items: int = 60
    item_sets: int = 10
    large: int = 2000
    studies: int = 200
    pool_studies: int = 100
    bootstrap_studies: int = 60
    resamples: int = 200


class Latent(NamedTuple):
    """Raters before anything is rounded; all [items, raters], of one set of items.

    honest: what they would answer on an unbounded scale; uniform: 0..1, what a random clicker draws;
    shuffled: the honest answers of a rater, each put beside another item
    """

    honest: np.ndarray
    uniform: np.ndarray
    shuffled: np.ndarray


class Measured(NamedTuple):
    """Of one study by one method; NaN where there is none.

    covered, covered_shift: share of the items whose interval holds the method's own truth, as it is and after all
    scores of the study are shifted by one number; width: mean half width of the intervals, in points of quality
    rmse, srcc: of the scores against the quality, the former after the best linear map; no_score: share of the items
    honest_excluded, found: shares of the careful and the careless raters who are excluded; expected: share of the
    raters whom the tool expects to exclude by chance
    """

    covered: float
    covered_shift: float
    width: float
    rmse: float
    srcc: float
    no_score: float
    honest_excluded: float
    found: float
    expected: float


def qualities(items: int, number: int) -> np.ndarray:
    """[items] the quality of the items of set `number`: uniform from 1.5 to 4.5."""
    return np.random.default_rng([SEED, 0, number]).uniform(1.5, 4.5, items)


def latent(quality: np.ndarray, raters: int, random: np.random.Generator) -> Latent:
    """Raters who differ in bias (SD 0.3), use of the scale (0.7 to 1.2) and inconsistency (median 0.65, 0.36 to 1.17).

    A rater answers 3 + use (quality - 3) + bias + inconsistency times a normal error.
    """
    bias, use = random.normal(0, 0.3, raters), random.uniform(0.7, 1.2, raters)
    inconsistency = 0.65 * np.exp(random.normal(0, 0.3, raters))
    shape = len(quality), raters
    honest = 3 + use * (quality[:, None] - 3) + bias + inconsistency * random.normal(size=shape)
    uniform = random.random(shape)
    return Latent(honest, uniform, random.permuted(honest, axis=0))


def answers(panel: Latent, world: str, careless: str, number: int) -> np.ndarray:
    """[items, raters] ratings; the first `number` raters are careless, in the way that `careless` begins with.

    Likert: rounded to 1, 2, 3, 4, 5; slider: rounded to hundredths.  Both end at 1 and 5.
    """
    steps = 1 if world == "likert" else 100
    found = np.clip(np.rint(panel.honest * steps), 1 * steps, 5 * steps)
    if careless.startswith("random"):
        found[:, :number] = np.floor(steps + panel.uniform[:, :number] * (4 * steps + 1))
    elif careless.startswith("shuffled"):
        found[:, :number] = np.clip(np.rint(panel.shuffled[:, :number] * steps), 1 * steps, 5 * steps)
    return found / steps


def number_of_careless(share: float, raters: int, random: np.random.Generator) -> int:
    """share * raters, rounded up or down at random so that the share is right on average."""
    whole, rest = divmod(share * raters + 1e-9, 1)
    return int(whole) + int(random.random() < rest - 1e-9)


@cache
def names(prefix: str, size: int) -> Any:
    return text_array([f"{prefix}{number:04d}" for number in range(size)])


def ratings(matrix: np.ndarray) -> Ratings:
    """Coded ratings from [items, raters]; NaN where there is none."""
    item, rater = np.nonzero(~np.isnan(matrix))
    return Ratings(
        items=names("item", matrix.shape[0]),
        raters=names("rater", matrix.shape[1]),
        dimensions=text_array(["quality"]),
        item=item.astype(np.int32),
        rater=rater.astype(np.int32),
        dimension=np.zeros(len(item), np.int16),
        score=matrix[item, rater],
        index=np.arange(len(item)),
        scale=SCALE,
    )


def column(result: ScoringResult, name: str) -> np.ndarray:
    """[items] a column of the scores, NaN where it is null."""
    return np.where(null_mask(result.scores[name]), np.nan, column_values(result.scores[name]))


@cache
def truth(method: str, options: str, world: str, number: int, items: int, large: int) -> np.ndarray:
    """[items] what the method says, asked about a very large panel of careful raters; options: as JSON."""
    random = np.random.default_rng([SEED, 1, number])
    panel = latent(qualities(items, number), large, random)
    return column(score_ratings(ratings(answers(panel, world, "none", 0)), method, json.loads(options)), "mos")


def recovery(scores: np.ndarray, quality: np.ndarray) -> tuple[float, float, float]:
    """RMSE after the best linear map from scores to quality, SRCC, and the slope of the map; NaN for constants."""
    from scipy.stats import rankdata

    known = ~np.isnan(scores)
    x, y = scores[known], quality[known]
    if len(x) < 3 or np.ptp(x) < 1e-9:
        return np.nan, np.nan, np.nan
    slope, shift = np.polyfit(x, y, 1)
    ranks = np.corrcoef(rankdata(np.round(x, 9)), rankdata(y))[0, 1]
    return float(np.sqrt(np.mean((slope * x + shift - y) ** 2))), float(ranks), float(slope)


def coverage(result: ScoringResult, target: np.ndarray) -> tuple[float, float, float]:
    """Shares of the intervals that hold `target` [items], as it is and after one shift, and mean half width."""
    low, high, scores = (column(result, name) for name in ("ci_low", "ci_high", "mos"))
    known = ~np.isnan(low)
    if not known.any():
        return np.nan, np.nan, np.nan
    low, high, off = low[known], high[known], target[known]
    shift = float(np.mean(scores[known] - off))
    slack = 1e-9
    held = (low - slack <= off) & (off <= high + slack)
    shifted = (low - slack <= off + shift) & (off + shift <= high + slack)
    return float(held.mean()), float(shifted.mean()), float((high - low).mean() / 2)


def measure(result: ScoringResult, quality: np.ndarray, target: np.ndarray, careless: np.ndarray) -> Measured:
    """careless: [raters] bool."""
    scores = column(result, "mos")
    rmse, srcc, slope = recovery(scores, quality)
    covered, shifted, half = coverage(result, target)
    excluded = column_values(result.raters["excluded"].cast("uint8")).astype(bool)
    expected = result.summary["expected_false_exclusions"]
    return Measured(
        covered=covered,
        covered_shift=shifted,
        width=half * abs(slope),
        rmse=rmse,
        srcc=srcc,
        no_score=float(np.isnan(scores).mean()),
        honest_excluded=float(excluded[~careless].mean()) if not careless.all() else np.nan,
        found=float(excluded[careless].mean()) if careless.any() else np.nan,
        expected=np.nan if expected is None else expected / len(careless),
    )


def summarised(studies: np.ndarray, base: np.ndarray, honest: np.ndarray, careless: np.ndarray) -> dict[str, Any]:
    """The figures of a cell.

    studies, base: [studies, fields of Measured] of a method and of the plain mean; honest, careless: [studies] raters
    """
    of = {name: studies[:, at] for at, name in enumerate(Measured._fields)}
    plain_of = {name: base[:, at] for at, name in enumerate(Measured._fields)}
    known = ~np.isnan(of["rmse"])
    figures = {
        "coverage": _mean(of["covered"]),
        "coverage_se": _error(of["covered"]),
        "coverage_shift": _mean(of["covered_shift"]),
        "width": _mean(of["width"]),
        "width_ratio": _mean(of["width"]) / _mean(plain_of["width"]),
        "rmse": _root(of["rmse"][known]),
        "rmse_ratio": _root(of["rmse"][known]) / _root(plain_of["rmse"][known]),
        "srcc": _mean(of["srcc"]),
        "srcc_gain": _mean(of["srcc"] - plain_of["srcc"]),
        "no_score": _mean(of["no_score"]),
        "honest_excluded": _mean(of["honest_excluded"], honest),
        "found": _mean(of["found"], careless),
        "expected": _mean(of["expected"]),
    }
    return {name: None if np.isnan(value) else round(float(value), 4) for name, value in figures.items()}


def _mean(values: np.ndarray, weights: np.ndarray | None = None) -> float:
    known = ~np.isnan(values)
    return (
        float(np.average(values[known], weights=None if weights is None else weights[known])) if known.any() else np.nan
    )


def _error(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.std(ddof=1) / np.sqrt(len(known))) if len(known) > 1 else np.nan


def _root(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2))) if len(values) else np.nan


def cell(
    world: str, raters: int, careless: str, methods: Mapping[str, tuple[str, dict[str, Any]]], size: Size
) -> dict[str, Any]:
    """The figures of each of `methods` (names with a method and its options) in one cell of the complete designs.

    The same studies whatever the world, the careless and the methods: differences between cells are not chance.
    """
    asked = {"mos": PLAIN["mos"], **methods}
    found: dict[str, list[Measured]] = {name: [] for name in asked}
    number = []
    for study in range(size.studies):
        chosen = study % size.item_sets
        quality = qualities(size.items, chosen)
        random = np.random.default_rng([SEED, 2, raters, study])
        panel = latent(quality, raters, random)
        number.append(number_of_careless(dict(CARELESS)[careless], raters, random))
        matrix = answers(panel, world, careless, number[-1])
        out = np.arange(raters) < number[-1]
        for name, (method, options) in asked.items():
            target = truth(method, json.dumps(options), world, chosen, size.items, size.large)
            found[name].append(measure(score_ratings(ratings(matrix), method, options), quality, target, out))
    bad = np.array(number, float)
    base = np.array(found["mos"])
    return {name: summarised(np.array(found[name]), base, raters - bad, bad) for name in methods}


def bootstrapped(raters: int, careless: str, method: str, size: Size) -> dict[str, Any]:
    """Coverage and mean half width of the intervals by t and by the bootstrap, in the Likert world."""
    found = []
    for study in range(size.bootstrap_studies):
        chosen = study % size.item_sets
        random = np.random.default_rng([SEED, 2, raters, study])
        panel = latent(qualities(size.items, chosen), raters, random)
        number = number_of_careless(dict(CARELESS)[careless], raters, random)
        rated = ratings(answers(panel, "likert", careless, number))
        target = truth(method, "{}", "likert", chosen, size.items, size.large)
        boot = {"interval": "bootstrap", "resamples": size.resamples}
        found.append(
            [*coverage(score_ratings(rated, method), target), *coverage(score_ratings(rated, method, boot), target)]
        )
    held, _, half, boot_held, _, boot_half = np.nanmean(found, axis=0)
    figures = {"t": held, "bootstrap": boot_held, "bootstrap_se": _error(np.array(found)[:, 3])}
    return {name: round(float(value), 4) for name, value in (figures | {"width_ratio": boot_half / half}).items()}


def one_pool(items: int) -> Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]:
    """60 raters; every item is rated by 15 of them, drawn at random but so that all rate about as many items."""

    def draw(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        rated = np.zeros((items, 60), bool)
        for start in range(0, items, 4):  # four items deal out all sixty raters
            order = random.permutation(60)
            for at in range(start, min(start + 4, items)):
                rated[at, order[15 * (at - start) : 15 * (at - start) + 15]] = True
        return random.uniform(1.5, 4.5, items), rated

    return draw


def two_groups(apart: float) -> Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]:
    """30 items by 15 raters, 30 others by 15 other raters; the second items are better by `apart` on average."""

    def draw(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        middle = np.repeat([3 - apart / 2, 3 + apart / 2], 30)
        rated = np.repeat(np.repeat(np.eye(2, dtype=bool), 30, axis=0), 15, axis=1)
        return middle + random.uniform(apart / 2 - 1.5, 1.5 - apart / 2, 60), rated

    return draw


POOLS = {
    "pool_60": one_pool(60),
    "pool_240": one_pool(240),
    "groups_alike": two_groups(0),
    "groups_apart": two_groups(1),
}


def pooled(design: str, careless: str, size: Size) -> dict[str, Any]:
    """SRCC and RMSE against the quality of every method in a design where raters rated different items."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in METHODS}
    for study in range(size.pool_studies):
        random = np.random.default_rng([SEED, 3, list(POOLS).index(design), study])
        quality, rated = POOLS[design](random)
        panel = latent(quality, rated.shape[1], random)
        matrix = answers(panel, "likert", careless, 0)
        if careless != "none":
            out = random.permutation(rated.shape[1])[: round(dict(CARELESS)[careless] * rated.shape[1])]
            matrix[:, out] = answers(panel, "likert", careless, rated.shape[1])[:, out]
        matrix[~rated] = np.nan
        for name in METHODS:
            found[name].append(recovery(column(score_ratings(ratings(matrix), name), "mos"), quality)[:2])
    base = np.array(found["mos"])
    figures = {}
    for name in METHODS:
        rmse, srcc = np.array(found[name]).T
        ratio = _root(rmse[~np.isnan(rmse)]) / _root(base[~np.isnan(rmse), 0])
        figures[name] = {"srcc": round(_mean(srcc), 4), "rmse_ratio": round(ratio, 4)}
    return figures


def study(size: Size, progress: Callable[[str], None]) -> dict[str, Any]:
    """Every figure, as JSON values; progress: called with the name of each part that is begun."""
    found: dict[str, Any] = {"settings": {"seed": SEED, **size._asdict()}}

    def table(name: str, *axes: Iterable[Any]) -> Iterator[tuple[dict[str, Any], tuple[Any, ...]]]:
        for keys in product(*axes):
            progress(f"{name} {' '.join(map(str, keys))}")
            place = found.setdefault(name, {})
            for key in keys[:-1]:
                place = place.setdefault(str(key), {})
            yield place, keys

    for place, (world, raters, careless) in table("complete", WORLDS, SIZES, dict(CARELESS)):
        place[careless] = cell(world, raters, careless, PLAIN, size)
    for place, (raters, careless) in table("variants", (3, 15, 30), ("none", "random20")):
        place[careless] = cell("likert", raters, careless, VARIANTS, size)
    for place, (raters, careless, name) in table("bootstrap", (5, 15, 30), ("none", "random20"), ("mos", "paper")):
        place[name] = bootstrapped(raters, careless, name, size)
    for place, (design, careless) in table("pools", POOLS, ("none", "random20")):
        place[careless] = pooled(design, careless, size)
    for place, (items, raters, careless) in table("items", (10, 30), (5, 15), ("none", "random20")):
        place[careless] = cell("likert", raters, careless, PLAIN, size._replace(items=items))
    return found


def main() -> None:
    from study_page import write

    start = time.monotonic()

    def tell(part: str) -> None:
        sys.stderr.write(f"{time.monotonic() - start:6.0f} s  {part}\n")

    if "--page" not in sys.argv[1:]:
        FIGURES.write_text(json.dumps(study(Size(), tell), indent=1) + "\n", encoding="utf-8")
    write(json.loads(FIGURES.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
