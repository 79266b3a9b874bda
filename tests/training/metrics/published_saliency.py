"""The metrics of published code, written as their authors wrote them: one threshold, one formula at a time.

MIT: github.com/cvzoya/saliency (AUC_Judd.m, NSS.m, CC.m, similarity.m, KLdiv.m). RichHF: metrics.py of
github.com/youweiliang/RichHF, in float64.
"""

from __future__ import annotations

import numpy as np

MATLAB_EPS = np.finfo(float).eps


def mit_auc_judd(
    saliency: np.ndarray, fixations: np.ndarray, jitter: np.random.Generator | None = None, counted_from: int = 1
) -> float:
    """AUC_Judd.m; `counted_from=0` is the variant of RichHF, whose loop counts positives from 0."""
    if jitter is not None:
        saliency = saliency + jitter.random(saliency.shape) / 10_000_000
    saliency = (saliency - saliency.min()) / (saliency.max() - saliency.min())
    values = saliency.ravel()
    at_fixations = values[fixations.ravel() > 0]
    count = len(at_fixations)
    tp, fp = np.zeros(count + 2), np.zeros(count + 2)
    tp[-1] = fp[-1] = 1
    for number, threshold in enumerate(np.sort(at_fixations)[::-1]):
        above = (values >= threshold).sum()
        tp[number + 1] = (number + 1) / count
        fp[number + 1] = (above - number - counted_from) / (len(values) - count)
    return float(np.trapezoid(tp, fp))


def mit_nss(saliency: np.ndarray, fixations: np.ndarray) -> float:
    scaled = (saliency - saliency.mean()) / saliency.std(ddof=1)
    return float(scaled[fixations > 0].mean())


def mit_cc(saliency: np.ndarray, truth: np.ndarray) -> float:
    first = (saliency - saliency.mean()) / saliency.std(ddof=1)
    second = (truth - truth.mean()) / truth.std(ddof=1)
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def mit_similarity(saliency: np.ndarray, truth: np.ndarray) -> float:
    first, second = ((each - each.min()) / (each.max() - each.min()) for each in (saliency, truth))
    return float(np.minimum(first / first.sum(), second / second.sum()).sum())


def mit_kld(saliency: np.ndarray, truth: np.ndarray) -> float:
    first = saliency / saliency.sum() if saliency.any() else saliency
    second = truth / truth.sum()
    return float((second * np.log(MATLAB_EPS + second / (first + MATLAB_EPS))).sum())


def richhf_metrics(pred: np.ndarray, gt: np.ndarray, eps: float = 1e-8) -> dict[str, float]:
    p, g = pred / (pred.sum() + eps), gt / (gt.sum() + eps)
    first, second = pred - pred.mean(), gt - gt.mean()
    scaled = first / (pred.std(ddof=1) + eps)
    return {
        "auc_judd": mit_auc_judd(pred, gt > 0, counted_from=0),
        "nss": float(np.where(gt <= 0, 0, scaled).sum() / (gt > 0).sum()),
        "cc": float((first * second).sum() / (np.sqrt((first**2).sum()) * np.sqrt((second**2).sum()) + 1e-8)),
        "sim": float(np.minimum(p, g).sum()),
        "kld": float((g * np.log(g / (p + eps) + eps)).sum()),
    }
