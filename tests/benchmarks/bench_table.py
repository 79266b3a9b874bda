"""Speed of reading and coding a table of ratings of the target size: 15,287 items x 15 raters x 3 dimensions.

    python tests/benchmarks/bench_table.py [--items 15287] [--rounds 15]

One JSON line a measure, as `bench_mos.py` writes them: ours and the peer take turns, the ratio is that of the medians.
Reading is held against Arrow's reader alone, which neither looks for columns nor numbers lines nor tells bad rows;
coding against what pandas needs for the same codes and checks, without the messages and the order.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
from bench_mos import RATERS, in_turns, peak_bytes, report, simulate

from mos.table import read_ratings_table, validate_ratings

POOL = 300


def from_pool(table: pa.Table, items: int, seed: int = 1) -> pa.Table:
    """The same table, the fifteen raters of each item drawn from a pool of 300."""
    random = np.random.default_rng(seed)
    drawn = np.argsort(random.random((items, POOL)), axis=1)[:, :RATERS]
    item, rater = (numbered(table[name].combine_chunks()) for name in ("item", "rater"))
    names = pa.array([f"rater_{number:03d}" for number in range(POOL)])
    return table.set_column(1, "rater", names.take(pa.array(drawn[item, rater])))


def numbered(labels: pa.StringArray) -> np.ndarray:
    """The numbers at the ends of labels such as "pair_000012"."""
    coded = labels.dictionary_encode()
    return np.array([int(label.rsplit("_")[-1]) for label in coded.dictionary.to_pylist()])[coded.indices.to_numpy()]


def pandas_codes(frame: pd.DataFrame) -> pd.DataFrame:
    """Codes, numbers, and no row that is blank, out of scale or there twice."""
    coded = pd.DataFrame({name: pd.factorize(frame[name], sort=True)[0] for name in ("item", "rater", "dimension")})
    coded["score"] = pd.to_numeric(frame["score"], errors="coerce")
    good = (coded[["item", "rater", "dimension"]] >= 0).all(axis=1) & coded["score"].between(1, 5)
    return coded[good & ~coded.duplicated(["item", "rater", "dimension"])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=15_287)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    table = simulate(options.items)
    with tempfile.TemporaryDirectory() as folder:
        for style in ("needed", "none"):
            path = Path(folder) / "ratings.csv"
            pacsv.write_csv(table, path, pacsv.WriteOptions(quoting_style=style))
            used = peak_bytes(lambda path=path: read_ratings_table(path))
            found = in_turns(
                options.rounds,
                {
                    "ours": (1, lambda path=path: read_ratings_table(path)),
                    "peer": (1, lambda path=path: pacsv.read_csv(path)),
                },
            )
            quotes = "text in quotes" if style == "needed" else "no quotes"
            note = f"{path.stat().st_size / 1e6:.0f} MB, {quotes}; peak {used / 1e6:.0f} MB"
            report("read CSV", found["ours"], "pyarrow.csv.read_csv", found["peer"], note)

    for name, rated in (("pool of 15", table), (f"pool of {POOL}", from_pool(table, options.items))):
        frame = rated.to_pandas()
        if len(validate_ratings(rated, (1, 5))[0]) != len(pandas_codes(frame)):
            raise SystemExit("pandas and mos count different ratings")
        used = peak_bytes(lambda rated=rated: validate_ratings(rated, (1, 5)))
        found = in_turns(
            options.rounds,
            {
                "ours": (1, lambda rated=rated: validate_ratings(rated, (1, 5))),
                "peer": (1, lambda frame=frame: pandas_codes(frame)),
            },
        )
        note = f"{len(rated)} ratings, {name}; peak {used / 1e6:.0f} MB"
        report("code text", found["ours"], "pandas factorize, to_numeric, duplicated", found["peer"], note)


if __name__ == "__main__":
    main()
