"""One split of a dataset, as tables need it: its rows, its digest, and how its maps were made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from annotation.rules import AnnotationRules
from editfhf.dataset import load
from editfhf.manifest import MANIFEST_FILE
from editfhf.saliency import DEFAULT_SIGMA, SaliencySigma, parse_sigma
from mos.errors import UserError
from mos.files import read_regular_file
from mos.words import format_quantity

DEFAULT_SPLIT = "test"


@dataclass(frozen=True, slots=True, eq=False)
class DatasetSplit:
    """One split of a dataset.

    Attributes
    ----------
    name : str
        Folder or repository.
    split : str
    rows : datasets.Dataset
        Rows of the table "default", images as they are stored.
    pair_ids, source_ids : tuple of str
        Of all rows, in their order.
    digest : str
        SHA-256 of the dataset's manifest.
    corpus : str
        Name and version of the corpus.
    sigma : SaliencySigma
        Width of the Gaussians of the maps.
    rules : AnnotationRules
        Support and overlap of accepted regions.
    """

    name: str
    split: str
    rows: Any
    pair_ids: tuple[str, ...]
    source_ids: tuple[str, ...]
    digest: str
    corpus: str
    sigma: SaliencySigma
    rules: AnnotationRules

    def __len__(self) -> int:
        return len(self.pair_ids)

    def select_pairs(self, wanted: frozenset[str]) -> Any:
        """The rows of some pairs, in the order of the split."""
        return self.rows.select([place for place, pair_id in enumerate(self.pair_ids) if pair_id in wanted])

    @property
    def source_of(self) -> dict[str, str]:
        """Source of each pair."""
        return dict(zip(self.pair_ids, self.source_ids, strict=True))

    def describe(self, unreadable: int) -> dict[str, Any]:
        """What a table says about where its numbers come from; `unreadable`: pairs that could not be read."""
        return {
            "dataset": self.name,
            "corpus": self.corpus,
            "manifest_sha256": self.digest,
            "split": self.split,
            "pairs": len(self),
            "sources": len(set(self.source_ids)),
            "unreadable_pairs": unreadable,
        }

    @property
    def lead(self) -> str:
        """What was measured, as the sentence above a table."""
        pairs = f"{format_quantity(len(self), 'pair')} of {format_quantity(len(set(self.source_ids)), 'source')}"
        return f"{self.corpus}, split {self.split}: {pairs}."

    def load_table(self, config: str) -> Iterator[Mapping[str, Any]]:
        """Rows of the table "marks" or "ratings" that belong to pairs of this split."""
        wanted = frozenset(self.pair_ids)
        try:
            rows = load(self.name, config, "train")
        except UserError:  # a dataset without scoring has no table of ratings
            return
        for row in rows:
            if row["pair_id"] in wanted:
                yield row


def open_dataset_split(dataset: str | Path, split: str = DEFAULT_SPLIT, limit: int | None = None) -> DatasetSplit:
    """Open one split of a dataset.

    Parameters
    ----------
    dataset : str or Path
        A folder that `editfhf build` wrote, or a repository on the Hub.
    split : str
        "train", "validation" or "test".
    limit : int, optional
        Use the first pairs only.

    Raises
    ------
    UserError
        If there is no such dataset or split, or the split has no pair.
    """
    import datasets

    rows = load(dataset, split=split)
    for column in [name for name, feature in rows.features.items() if isinstance(feature, datasets.Image)]:
        rows = rows.cast_column(column, datasets.Image(decode=False))
    if limit is not None:
        rows = rows.select(range(min(limit, len(rows))))
    if not len(rows):
        raise UserError(f"The split {split!r} of {dataset} has no pair to evaluate.")
    content = _read_manifest_bytes(dataset)
    manifest = orjson.loads(content)
    options = manifest.get("options", {})
    corpus = manifest.get("corpus", {})
    sigma = options.get("saliency", {}).get("sigma")
    rules = {name: value for name, value in options.get("regions", {}).items() if name in AnnotationRules.model_fields}
    return DatasetSplit(
        name=str(dataset),
        split=split,
        rows=rows,
        pair_ids=tuple(rows["pair_id"]),
        source_ids=tuple(rows["source_id"]),
        digest=hashlib.sha256(content).hexdigest(),
        corpus=" ".join(str(corpus[key]) for key in ("name", "version") if corpus.get(key)),
        sigma=parse_sigma(sigma) if sigma else DEFAULT_SIGMA,
        rules=AnnotationRules(**rules),
    )


def _read_manifest_bytes(dataset: str | Path) -> bytes:
    folder = Path(dataset)
    if folder.is_dir():
        return read_regular_file(folder / MANIFEST_FILE)
    from huggingface_hub import hf_hub_download

    return read_regular_file(Path(hf_hub_download(str(dataset), MANIFEST_FILE, repo_type="dataset")))
