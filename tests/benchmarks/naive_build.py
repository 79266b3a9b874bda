"""The naive way to the same columns: `Dataset.from_generator`, SciPy's blur of a picture of points, Pillow's PNG.

Regions are not resolved and ratings not screened: the maps alone are made as a first script would make them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, Features, Image, Value
from PIL import Image as Pillow
from scipy.ndimage import gaussian_filter

FEATURES = Features(
    {
        "pair_id": Value("string"),
        "source_image": Image(),
        "edited_image": Image(),
        "artifact_saliency": Image(),
        "failure_saliency": Image(),
    }
)


def rows(corpus: Path, count: int) -> Iterator[dict[str, Any]]:
    exports = [json.loads(path.read_text()) for path in sorted((corpus / "annotations").glob("regions-*.json"))]
    pairs = [json.loads(line) for line in (corpus / "pairs.jsonl").read_text().splitlines()]
    for number, pair in enumerate(pairs[:count]):
        results = [item for tasks in exports for item in tasks[number]["annotations"][0]["result"]]
        maps = {f"{kind}_saliency": {"bytes": drawn(results, kind), "path": None} for kind in ("artifact", "failure")}
        pictures = {
            f"{name}_image": {"bytes": (corpus / pair[name]).read_bytes(), "path": None}
            for name in ("source", "edited")
        }
        yield {"pair_id": pair["pair_id"], **pictures, **maps}


def drawn(results: list[dict[str, Any]], kind: str) -> bytes:
    points = [item for item in results if item.get("value", {}).get("keypointlabels") == [kind]]
    size = next((item["original_height"], item["original_width"]) for item in results if "original_height" in item)
    saliency = np.zeros(size)
    for item in points:
        x, y = (int(item["value"][axis] / 100 * length) for axis, length in zip("xy", size[::-1], strict=True))
        saliency[min(y, size[0] - 1), min(x, size[1] - 1)] += 1
    saliency = gaussian_filter(saliency, size[0] / 40)
    if saliency.max() > 0:
        saliency /= saliency.max()
    buffer = BytesIO()
    Pillow.fromarray(np.rint(saliency * 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


if __name__ == "__main__":
    made = Dataset.from_generator(
        rows,
        features=FEATURES,
        gen_kwargs={"corpus": Path(sys.argv[1]), "count": int(sys.argv[3])},
        cache_dir=f"{sys.argv[2]}-cache",
    )
    made.to_parquet(f"{sys.argv[2]}.parquet")
