"""Check one row of the table "default": its values, its encoded images, and its saliency maps against its disks."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotation import images
from annotation.images import ImageError, ImageInfo
from annotation.records import DIMENSIONS, KINDS, SEVERITIES, Kind
from annotation.rules import OVERALL_WEIGHTS
from annotation.taxonomy import list_flaw_types, load_edit_tasks
from editfhf import saliency
from editfhf.dataset import AcceptedDisks, select_accepted_disks

PairRow = Mapping[str, Any]


def check_row(row: PairRow) -> Iterator[str]:
    """One sentence for everything that is wrong with ids, task, scores and regions; `check_geometry` checks sizes."""
    for name in ("pair_id", "source_id", "instruction", "editor"):
        if not row[name]:
            yield f"{name} is empty"
    yield from _check_task(row)
    for kind in KINDS:
        yield from _check_regions(row, kind)
    for dimension in DIMENSIONS:
        yield from _check_score(row, dimension)
    yield from _check_overall(row)


def _check_task(row: PairRow) -> Iterator[str]:
    names = list(load_edit_tasks())
    task = row["task"]
    if task is None or not 0 <= task < len(names):
        yield f"task is {task}: expected a class from 0 to {len(names) - 1}"
    elif row["task_group"] != load_edit_tasks()[names[task]].group:
        group = load_edit_tasks()[names[task]].group
        yield f"task_group is {row['task_group']!r}, but {names[task]!r} belongs to {group!r}"


def _check_regions(row: PairRow, kind: Kind) -> Iterator[str]:
    regions = row[f"{kind}_regions"]
    if regions is None:
        yield f"{kind}_regions is null: expected a list"
        return
    ids = [region["region_id"] for region in regions]
    if len(set(ids)) != len(ids):
        yield f"{kind}_regions names a region twice"
    for region in regions:
        name = f"{kind} region {region['region_id']!r}"
        if not region["disks"]:
            yield f"{name} has no disk: expected at least one"
        if region["flaw_type"] not in (None, *list_flaw_types(kind)):
            yield f"{name} has the flaw type {region['flaw_type']!r}, which is not in the closed list"
        if region["severity"] not in (None, *SEVERITIES):
            yield f"{name} has the severity {region['severity']!r}: expected one of {', '.join(SEVERITIES)}"
        if not region["annotators"]:
            yield f"{name} has no annotator: expected at least one"


def check_geometry(row: PairRow, width: int, height: int) -> Iterator[str]:
    """The boxes of all regions are inside the image and not empty, their disks are inside the image."""
    for kind in KINDS:
        for region in row[f"{kind}_regions"] or ():
            yield from check_places(f"{kind} region {region['region_id']!r}", region, width, height)


def check_places(name: str, marked: PairRow, width: int, height: int) -> Iterator[str]:
    """The box and the disks of one region or mark are inside an image of width x height pixels.

    The centre of a disk may be on the border.
    """
    x0, y0, x1, y1 = marked["box"]
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        yield f"{name} has the box {[x0, y0, x1, y1]}, which is empty or not inside the {width} x {height} image"
    for x, y in marked["disks"]:
        if not (0 <= x <= width and 0 <= y <= height):
            yield f"{name} has a disk at {[x, y]}, outside of the {width} x {height} image"


def _check_score(row: PairRow, dimension: str) -> Iterator[str]:
    score, half, count = row[dimension], row[f"{dimension}_ci95"], row[f"{dimension}_n"]
    if count is None or count < 0:
        yield f"{dimension}_n is {count}: expected a count"
    elif score is not None and count == 0:
        yield f"{dimension} is {score}, but it has no rating"
    if score is not None and not math.isfinite(score):
        yield f"{dimension} is {score}: expected a number or null"
    if half is not None and not 0 <= half < math.inf:
        yield f"{dimension}_ci95 is {half}: expected a half-width or null"
    if half is not None and score is None:
        yield f"{dimension} is null, but its interval is not"


def compute_expected_overall(scores: list[float | None]) -> float | None:
    """Eq. 5 of the paper: the weighted geometric mean of the scores (in the order of DIMENSIONS), negative ones as 0.

    Written without `annotation.rules.compute_overall`, so that the validation checks it.

    >>> compute_expected_overall([1.0, 1.0, 1.0]), compute_expected_overall([-1.0, 50.0, 50.0])
    (1.0, 0.0)
    """
    if any(score is None for score in scores):
        return None
    weights = (OVERALL_WEIGHTS[dimension] for dimension in DIMENSIONS)
    overall: float = math.prod(max(0.0, score or 0.0) ** weight for score, weight in zip(scores, weights, strict=True))
    return overall


def _check_overall(row: PairRow) -> Iterator[str]:
    expected = compute_expected_overall([row[dimension] for dimension in DIMENSIONS])
    found = row["overall"]
    if (found is None) != (expected is None):
        yield f"overall is {found}, but the three scores give {expected}"
    # All four are stored as float32, with a relative error of 6e-8.
    elif found is not None and expected is not None and not math.isclose(found, expected, rel_tol=1e-5, abs_tol=1e-6):
        yield f"overall is {found:.6g}, but the three scores give {expected:.6g} (Eq. 5)"


# Another version of OpenCV or NumPy may round to the next grey level.
LEVEL_TOLERANCE = 1


@dataclass
class ImageChecker:
    """Checks the images of rows.

    Attributes
    ----------
    deep : bool
        Decode every image; otherwise only its header is read.
    max_pixels : int
        Largest width x height.
    sigma, profile
        How the saliency maps were rendered.
    good : set of str
        SHA-256 of images that were decoded already.
    """

    deep: bool
    max_pixels: int
    sigma: saliency.SaliencySigma
    profile: saliency.SaliencyProfile
    good: set[str] = field(default_factory=set)

    def read_image(self, name: str, stored: dict[str, Any] | None) -> ImageInfo | str:
        """The facts of one encoded image, or a sentence that says what is wrong with it."""
        data = (stored or {}).get("bytes")
        if not data:
            return f"{name} is empty"
        try:
            info = images.inspect_image(data, max_pixels=self.max_pixels)
            # The edits of one source share it: each content is decoded once.
            if self.deep and info.sha256 not in self.good:
                images.verify_image(data, max_pixels=self.max_pixels)
                self.good.add(info.sha256)
        except ImageError as error:
            return f"{name} cannot be used: {error}"
        return info


def check_maps(row: PairRow, marks: list[dict[str, Any]], edited: ImageInfo, checker: ImageChecker) -> Iterator[str]:
    """Both maps: mode L, the size of the edited image, and the pixels that the marks of the row's regions give."""
    regions = {region["region_id"] for kind in KINDS for region in row[f"{kind}_regions"] or ()}
    points = select_accepted_disks(marks, regions)
    for kind in KINDS:
        info = checker.read_image(f"{kind}_saliency", row[f"{kind}_saliency"])
        if isinstance(info, str):
            yield info
        elif (info.mode, info.width, info.height) != ("L", edited.width, edited.height):
            yield (
                f"{kind}_saliency is {info.mode} {info.width} x {info.height}: expected L, and the size of the edited "
                f"image, {edited.width} x {edited.height}"
            )
        else:
            yield from _check_map(row, kind, points[kind], info, checker)


def _check_map(
    row: PairRow, kind: Kind, points: AcceptedDisks, info: ImageInfo, checker: ImageChecker
) -> Iterator[str]:
    rendered, peak = saliency.render_saliency_png(
        points.disks,
        info.height,
        info.width,
        sigma=checker.sigma.pixels(info.height),
        profile=checker.profile,
        groups=points.groups_for(checker.profile),
    )
    stored = row[f"{kind}_saliency"]["bytes"]
    # The bytes can differ if another version of OpenCV wrote them: then the pixels decide.
    if stored != rendered:
        yield from _compare_maps(f"{kind}_saliency", stored, rendered)
    found = row[f"{kind}_peak"]
    if found is None or not math.isclose(found, peak, rel_tol=1e-5, abs_tol=1e-6):
        yield f"{kind}_peak is {found}, but the disks give {peak:.6g}"


def _compare_maps(name: str, stored: bytes, rendered: bytes) -> Iterator[str]:
    try:
        largest = int(np.abs(_decode_grey_levels(stored) - _decode_grey_levels(rendered)).max(initial=0))
    except (OSError, SyntaxError, ValueError) as error:
        yield f"{name} cannot be decoded as PNG ({error.__class__.__name__})"
        return
    if largest > LEVEL_TOLERANCE:
        yield f"{name} is not the map of its disks: rendered again, it differs by up to {largest} of 255 levels"


def _decode_grey_levels(png: bytes) -> NDArray[np.int16]:
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        return np.asarray(image, np.int16)
