"""Load a built dataset: its features, its tables, and its saliency maps rendered again from the disks."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotation.records import KINDS, Kind
from editfhf.features import DATASET_CONFIGS, DATASET_SPLITS, list_config_columns
from editfhf.manifest import group_loadable_shards, read_manifest
from mos.errors import UserError
from mos.files import require_path
from mos.words import did_you_mean

if TYPE_CHECKING:
    import datasets

    from editfhf.saliency import SaliencyProfile


ACCEPTED_STATUS = "accepted"


def make_dataset_features(config: str = "default") -> datasets.Features:
    """The features of one config in the form of the library `datasets`.

    Parameters
    ----------
    config
        "default", "ratings", "annotators" or "marks".

    Raises
    ------
    UserError
        Unknown config.

    Examples
    --------
    >>> make_dataset_features("marks")["kind"].dtype
    'string'
    """
    import datasets

    return datasets.Features.from_dict(list_config_columns(_require_known_name(config, DATASET_CONFIGS, "config")))


def load(
    path_or_repo: str | Path,
    config: str = "default",
    split: str | None = None,
    streaming: bool = False,
    revision: str | None = None,
) -> Any:
    """Load one table of a dataset from a folder that `editfhf build` wrote, or from the Hub ("user/name").

    Parameters
    ----------
    path_or_repo
        A folder; if there is no such folder, a dataset repository on the Hub.
    config
        "default" (pairs), "ratings", "annotators" or "marks".
    split
        "train", "validation" or "test", also with a slice ("train[:10]"); all splits when None.
    streaming
        Read rows one by one, without preparing the whole table first.
    revision
        Branch, tag or commit of the repository.

    Returns
    -------
    datasets.Dataset or datasets.DatasetDict
        What `datasets.load_dataset` returns; the iterable forms when streaming.

    Raises
    ------
    UserError
        Unknown config or split, a folder that is not a dataset, or a repository that cannot be found.

    Examples
    --------
    >>> editfhf.load("dataset", split="train")[0]["instruction"]     # doctest: +SKIP
    'Remove the hat.'
    """
    import datasets

    _require_known_name(config, DATASET_CONFIGS, "config")
    where = require_path(path_or_repo)
    if where.is_dir():
        manifest = read_manifest(where)
        present = list(manifest.splits)
        if config not in group_loadable_shards(manifest):
            raise UserError(f"{where} has no rows in its table {config!r}, and `datasets` cannot load an empty table.")
        if _looks_like_pattern(where):
            raise UserError(f"{where} cannot be loaded: {describe_loading(where)}.")
        if revision is not None:
            raise UserError(f"A revision belongs to a repository on the Hub, but {where} is a folder. Leave it out.")
    elif isinstance(path_or_repo, Path) or where.is_absolute() or str(path_or_repo).startswith("."):
        raise UserError(f"There is no folder {where}. Give a folder that `editfhf build` wrote, or a Hub repository.")
    else:
        present = list(DATASET_SPLITS)
    if split is not None and "+" not in split:
        known = [name for name in DATASET_SPLITS if name in present] if config == "default" else ["train"]
        _require_known_name(split.partition("[")[0], known, f"split of config {config!r}")
    with _explain_load_errors(str(path_or_repo), revision):
        return datasets.load_dataset(str(path_or_repo), config, split=split, streaming=streaming, revision=revision)


def describe_loading(dataset: Path) -> str:
    """The call of `datasets` that loads a dataset from its folder, or what has to be done first."""
    if not _looks_like_pattern(dataset):
        return f"datasets.load_dataset({str(dataset)!r})"
    return (
        "first rename or move its folder: `datasets` takes [ ] in a path for a pattern and does not find "
        f"{str(dataset.resolve())!r}"
    )


def _looks_like_pattern(folder: Path) -> bool:
    """Whether `datasets`, which resolves the path, takes brackets in it for a set of characters."""
    return re.search(r"\[[^/]*\]", str(folder.resolve())) is not None


@contextmanager
def _explain_load_errors(where: str, revision: str | None) -> Iterator[None]:
    """Turn the errors that a user can correct into UserError."""
    from datasets.exceptions import DatasetNotFoundError
    from huggingface_hub.errors import HFValidationError

    at = f" at revision {revision!r}" if revision else ""
    try:
        yield
    except (DatasetNotFoundError, HFValidationError):
        raise UserError(
            f"No dataset {where!r}{at}: there is no such folder, and no such repository that this account may read on "
            "the Hub. Check the name, or log in with `hf auth login`."
        ) from None
    except (ConnectionError, TimeoutError):
        raise UserError(
            f"No folder {where!r}, and the Hub cannot be reached to look for a repository of this name. Check the name "
            "and the network."
        ) from None
    except ValueError as error:
        if not str(error).startswith(("BuilderConfig", "Unknown split")):
            raise
        raise UserError(f"{where!r}{at} is not a dataset of editfhf, or lacks this table or split: {error}") from None


def _require_known_name(word: str, known: Collection[str], what: str) -> str:
    if word not in known:
        raise UserError(f"Unknown {what} {word!r}.{did_you_mean(word, known)} Available: {', '.join(known)}.")
    return word


class AcceptedDisks(NamedTuple):
    """The accepted disks of one kind on one pair.

    Attributes
    ----------
    disks : NDArray
        float32 [K, 2], centres (x, y) in pixels.
    groups : list of int
        Number of the annotator who placed each disk.
    """

    disks: NDArray[np.float32]
    groups: list[int]

    def groups_for(self, profile: SaliencyProfile) -> list[int] | None:
        """The groups that the builder renders with: only a union is taken per annotator, Gaussians all add up."""
        return self.groups if profile == "union+blur" else None


def render_maps(
    marks: Iterable[Mapping[str, Any]],
    height: int,
    width: int,
    *,
    regions: Collection[str] | None = None,
    sigma: float | None = None,
    profile: SaliencyProfile = "gaussian",
) -> dict[Kind, NDArray[np.float32]]:
    """Render the two saliency maps of one pair from its rows of the table "marks".

    Only accepted marks are used. Another `sigma` or `profile` shows the maps that it would give for the same disks.

    Parameters
    ----------
    marks
        Rows of one pair.
    height, width
        Size of the edited image in pixels (every mark holds it too).
    regions
        Ids of the regions to use; all regions when None.
    sigma
        Standard deviation in pixels; H/40 when None.
    profile
        "gaussian", "disk*gaussian" or "union+blur", as in `editfhf.saliency.render_saliency`.

    Returns
    -------
    dict
        Per kind ("artifact", "failure") a float32 array [H, W] in [0, 1]; its maximum is 1 unless there is no disk.

    Examples
    --------
    >>> mark = {"status": "accepted", "kind": "artifact", "region_id": "r1", "annotator_id": "A001"}
    >>> maps = render_maps([mark | {"disks": [[20.0, 10.0]]}], height=40, width=60)
    >>> maps["artifact"].shape, float(maps["artifact"].max()), float(maps["failure"].max())
    ((40, 60), 1.0, 0.0)
    """
    from editfhf.saliency import render_saliency

    maps: dict[Kind, NDArray[np.float32]] = {}
    for kind, points in select_accepted_disks(marks, regions).items():
        groups = points.groups_for(profile)
        maps[kind], _ = render_saliency(points.disks, height, width, sigma=sigma, profile=profile, groups=groups)
    return maps


def select_accepted_disks(
    marks: Iterable[Mapping[str, Any]], regions: Collection[str] | None = None
) -> dict[Kind, AcceptedDisks]:
    """Disks of the accepted marks per kind, in the order of the rows; annotators are numbered from 0 in each kind.

    Parameters
    ----------
    marks
        Rows of one pair.
    regions
        Ids of the regions to use; all regions when None.
    """
    accepted = [
        mark
        for mark in marks
        if mark["status"] == ACCEPTED_STATUS and (regions is None or mark["region_id"] in regions)
    ]
    points: dict[Kind, AcceptedDisks] = {}
    for kind in KINDS:
        of_kind = [mark for mark in accepted if mark["kind"] == kind]
        numbers = {name: index for index, name in enumerate(sorted({mark["annotator_id"] for mark in of_kind}))}
        disks = [disk for mark in of_kind for disk in mark["disks"]]
        groups = [numbers[mark["annotator_id"]] for mark in of_kind for _ in mark["disks"]]
        points[kind] = AcceptedDisks(np.array(disks, np.float32).reshape(-1, 2), groups)
    return points
