"""Opening a built dataset: its features, its tables, and its saliency maps drawn again from the raw points."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotation.records import KINDS, Kind
from editfhf.features import CONFIGS, SPLITS, columns
from editfhf.manifest import read_manifest
from mos.errors import UserError

if TYPE_CHECKING:
    import datasets

    from editfhf.saliency import Profile

ACCEPTED = "accepted"


def features(config: str = "default") -> datasets.Features:
    """The `datasets` features of one config ("default", "ratings", "annotators" or "marks")."""
    import datasets

    return datasets.Features.from_dict(columns(_known(config, CONFIGS, "config")))


def load(
    path_or_repo: str | Path,
    config: str = "default",
    split: str | None = None,
    streaming: bool = False,
    revision: str | None = None,
) -> Any:
    """One table of a dataset, from a folder that `editfhf build` wrote or from the Hub ("user/name").

    Args:
        path_or_repo: a folder; when there is no such folder, a dataset repository on the Hub.
        config: "default" (pairs), "ratings", "annotators" or "marks".
        split: "train", "validation" or "test", also with a slice ("train[:10]"); all of them when None.
        streaming: read rows as they come, without preparing the whole table first.
        revision: branch, tag or commit of the repository.

    Returns:
        What `datasets.load_dataset` returns: a Dataset, a DatasetDict, or their iterable forms.

    Raises:
        UserError: an unknown config or split, a folder that is no dataset, a repository that cannot be found.
    """
    import datasets

    _known(config, CONFIGS, "config")
    where = Path(path_or_repo)
    if where.is_dir():
        present = read_manifest(where)["splits"]
        if revision is not None:
            raise UserError(f"A revision belongs to a repository on the Hub, but {where} is a folder. Leave it out.")
    elif isinstance(path_or_repo, Path) or where.is_absolute() or str(path_or_repo).startswith("."):
        raise UserError(f"There is no folder {where}. Give a folder that `editfhf build` wrote, or a Hub repository.")
    else:
        present = SPLITS
    if split is not None and "+" not in split:
        known = [name for name in SPLITS if name in present] if config == "default" else ["train"]
        _known(split.partition("[")[0], known, f"split of config {config!r}")
    with _one_sentence(str(path_or_repo), revision):
        return datasets.load_dataset(str(path_or_repo), config, split=split, streaming=streaming, revision=revision)


@contextmanager
def _one_sentence(where: str, revision: str | None) -> Iterator[None]:
    """What a user can do something about, as one sentence."""
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
        raise UserError(
            f"{where!r}{at} is no dataset that editfhf built, or lacks this table or split: {error}"
        ) from None


def _known(word: str, known: Collection[str], what: str) -> str:
    if word not in known:
        from editfhf.cli import suggestion

        raise UserError(f"Unknown {what} {word!r}.{suggestion(word, list(known))} Available: {', '.join(known)}.")
    return word


class Points(NamedTuple):
    """The accepted disks of one kind on one pair, float32 [K, 2] (x, y in pixels), and who placed each."""

    disks: NDArray[np.float32]
    groups: list[int]

    def groups_for(self, profile: Profile) -> list[int] | None:
        """The groups that the builder draws with: Gaussians add up over everybody, only a union is taken by person."""
        return self.groups if profile == "union+blur" else None


def render_maps(
    marks: Iterable[Mapping[str, Any]],
    height: int,
    width: int,
    *,
    regions: Collection[str] | None = None,
    sigma: float | None = None,
    profile: Profile = "gaussian",
) -> dict[Kind, NDArray[np.float32]]:
    """The two saliency maps of one pair, drawn again from its rows of the config "marks".

    Only accepted marks are drawn, and of those only the ones of `regions` (region ids) when it is given.  Change
    sigma or profile to see what another choice would have made of the same points.

    Args:
        marks: rows of one pair.
        height, width: size of the edited image in pixels (its marks carry them too).
        sigma: standard deviation in pixels; H/40 when None.
        profile: as in `editfhf.saliency.render`.

    Returns:
        Per kind ("artifact", "failure") a float32 [H, W] map in [0, 1], its maximum 1 unless there is no disk.
    """
    from editfhf.saliency import render

    maps: dict[Kind, NDArray[np.float32]] = {}
    for kind, points in accepted_points(marks, regions).items():
        groups = points.groups_for(profile)
        maps[kind], _ = render(points.disks, height, width, sigma=sigma, profile=profile, groups=groups)
    return maps


def accepted_points(marks: Iterable[Mapping[str, Any]], regions: Collection[str] | None = None) -> dict[Kind, Points]:
    """Disks of the accepted marks per kind, in the order of the rows, and their annotators numbered from 0."""
    used = [mark for mark in marks if mark["status"] == ACCEPTED and (regions is None or mark["region_id"] in regions)]
    points: dict[Kind, Points] = {}
    for kind in KINDS:
        own = [mark for mark in used if mark["kind"] == kind]
        names = {name: index for index, name in enumerate(sorted({mark["annotator_id"] for mark in own}))}
        disks = [disk for mark in own for disk in mark["disks"]]
        groups = [names[mark["annotator_id"]] for mark in own for _ in mark["disks"]]
        points[kind] = Points(np.array(disks, np.float32).reshape(-1, 2), groups)
    return points
