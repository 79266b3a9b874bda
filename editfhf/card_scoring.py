"""How ratings became scores, in the words of the card: every method with the options that it was given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mos.errors import UserError
from mos.methods import method
from mos.methods.bt500 import KurtosisOptions
from mos.methods.correlation import CorrelationOptions
from mos.methods.p910 import P910Options
from mos.methods.p913 import P913Options
from mos.methods.paper import PaperOptions
from mos.methods.zscore import ZscoreOptions
from mos.scoring.normalising import NormalisingOptions
from mos.scoring.options import Options

Words = Mapping[str, str]

_DIVISOR = {1: "sample standard deviation (n - 1)", 0: "population standard deviation (n)"}
_NOBODY = "Nobody was screened."
_LEFT = "the ratings of the raters who are left"
_PANEL = "A score is the opinion of the raters of this study on the scale that they were given"


class Scoring(NamedTuple):
    """The options of the method that made the scores, and the scale of its ratings, lowest and highest."""

    options: Options
    scale: tuple[float, float]


def scoring(told: Mapping[str, Any]) -> Scoring | None:
    """What a manifest tells of `mos`; None where it does not name a method, or names options that are none."""
    try:
        low, high = told["scale"]
        options = method(str(told["method"])).options.checked({k: v for k, v in told.items() if k != "scale"})
        return Scoring(options, (float(low), float(high)))
    except (KeyError, TypeError, ValueError, UserError):
        return None


def how(made: Scoring | None) -> Words:
    """What was done, by the title of its paragraph."""
    if made is None:
        return {"Scores": "The manifest does not tell by which method ratings became scores."}
    options = made.options
    match options:
        case PaperOptions():
            told = _paper(options)
        case ZscoreOptions():
            told = {"Screening of ratings": _NOBODY, "Scores": _z(options, "A rater's ratings s")}
        case P913Options():
            told = _p913(options, made.scale)
        case KurtosisOptions():
            told = {"Screening of ratings": _kurtosis(options, "rating"), "Scores": _mean(_LEFT, made.scale)}
        case CorrelationOptions():
            told = {"Screening of ratings": _correlation(options), "Scores": _mean(_LEFT, made.scale)}
        case P910Options():
            told = {"Screening of ratings": _NOBODY, "Scores": _p910(options, made.scale)}
        case _:
            told = {"Screening of ratings": _NOBODY, "Scores": _mean("all ratings", made.scale)}
    scores = f"Method `{options.method}`. {told['Scores']} {_range(options)} {_few(options)}"
    return {**told, "Scores": scores, "Intervals": _intervals(options)}


def limits(made: Scoring | None, outside: int) -> str:
    """What a score can and cannot be compared with.  outside: scores that lay outside 0 to 100."""
    cut = made is not None and made.options.clip
    beyond = f"can lie below 0 or above 100 ({outside:,} here {'did, and were cut to that range' if cut else 'do'})"
    match made:
        case None:
            return f"A score {beyond}; how scores of two datasets compare, their methods decide."
        case Scoring(options=NormalisingOptions()):
            return (
                "A score is relative to the raters and the images of this study (z-scores): scores of two datasets "
                f"are not on one scale, and a score {beyond}."
            )
        case Scoring(options=P913Options() | P910Options()):
            return (
                f"{_PANEL}, less what is known of their biases: another panel has another zero, and a score {beyond}."
            )
        case _:
            return f"{_PANEL}: another panel may be more severe or milder."


def _paper(options: PaperOptions) -> Words:
    return {"Screening of ratings": _outliers(options), "Scores": _z(options, _counted(options))}


def _outliers(options: PaperOptions) -> str:
    among = {"item": "Per image and dimension", "rater": "Per rater and dimension", "all": "Per dimension"}
    sigma, deviation = f"{options.outlier_sigma:g}", _DIVISOR[options.outlier_ddof]
    far = f"further than {sigma} times" if options.strict else f"as far as or further than {sigma} times"
    fate = "is left out" if options.remove_outliers else "counts against its rater, but stays in the score"
    text = [f"{among[options.outlier_by]}, a rating {far} the {deviation} from the mean is an outlier and {fate}."]
    if options.max_passes > 1:
        text.append(f"Outliers are looked for again among what is left, up to {options.max_passes} times in all.")
    share = _percent(options.max_outlier_share)
    if options.exclusion_scope == "pooled":
        text.append(f"A rater with more than {share} outliers over all dimensions is left out altogether.")
    else:
        text.append(f"A rater with more than {share} outliers in a dimension is left out of that dimension.")
    if options.reflag_after_exclusion:
        text.append("The outliers of raters who stay are then found again, among the ratings of these alone.")
    return " ".join(text)


def _counted(options: PaperOptions) -> str:
    return (
        "A rater's retained ratings s" if options.moments_from == "retained" else "A rater's ratings s, outliers too,"
    )


def _z(options: NormalisingOptions, ratings: str) -> str:
    scope = "of one dimension" if options.normalise_scope == "dimension" else "of all dimensions together"
    constant = {
        "drop": "A rater with a single one, or whose ratings there are all equal, has no z and is left out.",
        "zero": "Ratings that are all equal count as z = 0; a rater with a single one has no z and is left out.",
        "error": "No rater gave equal ratings only; one with a single rating there has no z and is left out.",
    }
    return (
        f"{ratings} {scope} give the mean and the {_DIVISOR[options.z_ddof]} in z = (s - mean) / standard deviation; "
        "an image's z is the mean over its ratings that are left, its score 100 (z + 3) / 6 (Eq. 1 of the paper). "
        f"{constant[options.on_constant]}"
    )


def _kurtosis(options: KurtosisOptions, what: str) -> str:
    agreed = {
        "skip": "images on which all agree count for nothing",
        "literal": "on images on which all agree every rating counts to both, by the letter of the rule",
    }
    number = {"own": "the rater's own ratings", "all": "all images"}
    where = {"dimension": "of that dimension, each being screened on its own", "pooled": "of all dimensions"}
    rest = " Where that would leave nobody, nobody is left out." if options.keep_if_all else ""
    return (
        f"Raters by the kurtosis rule of ITU-R BT.500. Per image and dimension, a {what} at least 2 times the "
        f"{_DIVISOR[options.ddof]} above the mean counts to P of its rater, one as far below to Q; the square root of "
        "20 instead of 2 where the kurtosis of the image's ratings is not between 2 and 4; "
        f"{agreed[options.zero_variance]}. A rater whose (P + Q) / n is more than {_percent(options.max_share)}, n "
        f"being {number[options.denominator]}, and whose |P - Q| / (P + Q) is less than {options.max_balance:g}, is "
        f"left out {where[options.exclusion_scope]}.{rest}"
    )


def _correlation(options: CorrelationOptions) -> str:
    names = {
        "pearson": "Pearson correlation",
        "spearman": "Spearman correlation",
        "min": "Pearson or Spearman correlation, whichever is lower,",
    }
    means = "mean of the others" if options.leave_one_out else "mean of all"
    return (
        f"Raters by their {names[options.statistic]} with the {means}, over images, dimension by dimension "
        "(ITU-R BT.500-14). Who is not above the mean of these correlations less their standard deviation, nor above "
        f"{options.max_threshold:g}, is left out of the dimension, and so is who gave every image the same rating. A "
        f"rater of fewer than {options.min_items} images is not judged."
    )


def _p913(options: P913Options, scale: tuple[float, float]) -> Words:
    screened = options.screening == "bt500"
    return {
        "Screening of ratings": _kurtosis(options, "rating, less its rater's bias,") if screened else _NOBODY,
        "Scores": "A rater's bias in a dimension is the mean of the rater's ratings less the means of their images "
        "(ITU-T P.913, 12.4). " + _mean(f"{_LEFT if screened else 'all ratings'}, each less its rater's bias", scale),
    }


def _p910(options: P910Options, scale: tuple[float, float]) -> str:
    guard = (
        "A floor under the inconsistencies keeps one of few raters from taking over."
        if options.guard
        else "No floor is put under the inconsistencies: one of few raters can take over."
    )
    return (
        "The images' quality and each rater's bias and inconsistency in a dimension are estimated together, in turns "
        f"until they settle (ITU-T P.910, Annex E). {guard} "
        + _mean("all ratings, each less its rater's bias and weighted by 1 / inconsistency²", scale)
    )


def _mean(what: str, scale: tuple[float, float]) -> str:
    low, high = scale
    return (
        f"An image's score is the mean of {what}, brought linearly from the scale of the ratings, {low:g} to {high:g}, "
        "to 0 to 100."
    )


def _range(options: Options) -> str:
    return "Scores and the ends of their intervals are cut to 0 to 100." if options.clip else "Scores are not clipped."


def _few(options: Options) -> str:
    few = f"fewer than {options.min_ratings} ratings left in a dimension"
    return {
        "null": f"An image with {few} has no score there.",
        "fallback": f"An image with {few} has the mean of all its ratings there, left out or not.",
        "raise": f"No rated image has {few}.",
    }[options.on_too_few]


def _intervals(options: Options) -> str:
    if options.interval == "bootstrap":
        return (
            f"Half of the distance between the 2.5th and the 97.5th percentile of the scores in {options.resamples:,} "
            "resamples of the raters, each with the whole method done again, screening included (seed "
            f"{options.seed})."
        )
    error = "the standard deviation of its ratings as they entered the mean / √n"
    if isinstance(options, P910Options):
        error = {
            "residual": "the population standard deviation of its ratings' residuals / √n",
            "weights": "1 / √ of the sum of the weights of its ratings",
        }[options.standard_error]
    by = {"t": "the quantile of Student's t with n - 1 degrees of freedom", "normal": "1.96"}[options.interval]
    loss = " It does not know of what was removed as outlying and is too narrow for it." if _trims(options) else ""
    return f"95 %: {by} times the standard error of an image's score, {error}.{loss}"


def _trims(options: Options) -> bool:
    return isinstance(options, PaperOptions) and options.remove_outliers


def _percent(share: Any) -> str:
    return f"{float(share) * 100:g} %"
