"""Source photographs with clear licences: those of installed packages, or a folder of the user."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path

import numpy as np

from annotation.records import Box
from annotation.simulate.pixels import RgbImage, clip_pixels, resize_image
from annotation.text import is_unicode
from mos.errors import UserError
from mos.files import read_regular_file

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")
CROP_ASPECTS = (1.0, 4 / 3, 3 / 2, 5 / 4)


@dataclass(frozen=True, slots=True)
class Photo:
    """One photograph: its pixels, subject, licence and origin.

    focus: box of the subject as fractions of width and height, or None; `face` says that it is a face.
    """

    name: str
    scene: str
    subject: str
    licence: str
    origin: str
    path: str | None = None
    focus: tuple[float, float, float, float] | None = None
    face: bool = False
    outdoors: bool = False


@dataclass(frozen=True, slots=True)
class PhotoCrop:
    """A view of a photo at working size, with the box of its subject (None unless all of it is inside)."""

    image: RgbImage
    photo: Photo
    focus: Box | None


PACKAGED_PHOTOS = (
    Photo(
        "astronaut",
        "an astronaut in an orange suit",
        "the astronaut",
        "Public domain",
        "NASA, portrait of Eileen Collins (scikit-image)",
        focus=(0.36, 0.12, 0.545, 0.37),
        face=True,
    ),
    Photo(
        "chelsea",
        "a tabby cat",
        "the cat",
        "CC0-1.0",
        "Stefan van der Walt, Chelsea the cat (scikit-image)",
        focus=(0.27, 0.22, 0.79, 0.92),
        face=True,
    ),
    Photo(
        "coffee",
        "a cup of coffee on a table",
        "the cup",
        "CC0-1.0",
        "Rachel Michetti, Pikolo Espresso Bar (scikit-image)",
        focus=(0.28, 0.04, 0.7, 0.75),
    ),
    Photo(
        "rocket",
        "a rocket launch",
        "the rocket",
        "Public domain",
        "SpaceX, launch of DSCOVR on Falcon 9 (scikit-image)",
        focus=(0.46, 0.28, 0.56, 0.98),
        outdoors=True,
    ),
    Photo(
        "hubble_deep_field",
        "distant galaxies",
        "the brightest galaxy",
        "Public domain",
        "NASA, Hubble eXtreme Deep Field (scikit-image)",
    ),
    Photo(
        "retina", "the back of an eye", "the retina", "CC0-1.0", "Mikael Häggström, fundus of a left eye (scikit-image)"
    ),
    Photo(
        "china.jpg",
        "a Chinese palace",
        "the palace",
        "CC-BY-2.0",
        "danielbuechele, flickr.com/photos/danielbuechele/6061409035 (scikit-learn)",
        focus=(0.12, 0.06, 0.6, 0.95),
        outdoors=True,
    ),
    Photo(
        "flower.jpg",
        "a flower",
        "the flower",
        "CC-BY-2.0",
        "vultilion, flickr.com/photos/vultilion/6056698931 (scikit-learn)",
        focus=(0.26, 0.2, 0.7, 0.82),
        outdoors=True,
    ),
)


def list_packaged_photos() -> tuple[Photo, ...]:
    """The photos in scikit-image and scikit-learn; `ModuleNotFoundError` when one is not installed."""
    import_module("skimage")
    import_module("sklearn")
    return PACKAGED_PHOTOS


PHOTO_TABLE = "metadata.csv"
"""Optional table beside photos: columns `file`, `licence`, `author`, `source_url`, `subject`."""


def list_folder_photos(root: Path) -> tuple[Photo, ...]:
    """Every photo under a folder, sorted by relative path; `UserError` when there is none.

    Licence, author, address and subject of a photo come from `metadata.csv` in its folder, where there is one.
    """
    if not root.is_dir():
        raise UserError(f"--photos expects a folder of photos, but {root} is not a folder.")
    paths = sorted(p for p in root.rglob("*") if p.suffix.lower() in PHOTO_SUFFIXES and p.is_file())
    if not paths:
        raise UserError(f"No photo found under {root}: expected files ending in {', '.join(PHOTO_SUFFIXES)}.")
    for path in paths:
        if not is_unicode(str(path)):
            raise UserError(f"The name of the photo {path} is not UTF-8, and the corpus states it. Rename the file.")
    tables = {folder: _read_photo_table(folder / PHOTO_TABLE) for folder in {path.parent for path in paths}}
    return tuple(_describe_photo(path, root, tables[path.parent].get(path.name, {})) for path in paths)


def _describe_photo(path: Path, root: Path, row: dict[str, str]) -> Photo:
    name = path.relative_to(root).as_posix()
    origin = ", ".join(row[key] for key in ("author", "source_url") if row.get(key))
    return Photo(
        name=name,
        scene="the scene",
        subject=row.get("subject") or "the main subject",
        licence=row.get("licence") or "unknown",
        origin=f"{name}: {origin}" if origin else name,
        path=str(path),
    )


def _read_photo_table(path: Path) -> dict[str, dict[str, str]]:
    """Rows of a table of photos by file name; nothing when there is no table."""
    if not path.exists():
        return {}
    try:
        rows = list(csv.DictReader(read_regular_file(path).decode("utf-8-sig").splitlines()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not a CSV table in UTF-8: {error}. Correct it, or rename it.") from error
    if rows and "file" not in rows[0]:
        columns = ", ".join(map(str, rows[0]))
        raise UserError(f"{path} has no column 'file'; it has {columns}. Add it, or rename the table.")
    texts = ({key: value.strip() for key, value in row.items() if key and isinstance(value, str)} for row in rows)
    return {row["file"]: row for row in texts if "file" in row}


@lru_cache(maxsize=16)
def load_photo_pixels(photo: Photo) -> RgbImage:
    """The pixels of a photo, uint8 RGB [H, W, 3]; `UserError` for a file that is not a usable image."""
    if photo.path is not None:
        return _read_photo(Path(photo.path))
    if photo.name.endswith(".jpg"):
        image = import_module("sklearn.datasets").load_sample_image(photo.name)
    else:
        image = getattr(import_module("skimage.data"), photo.name)()
    return np.ascontiguousarray(image[..., :3], np.uint8)


def _read_photo(path: Path) -> RgbImage:
    from annotation.images import ImageError, decode_image

    try:
        return decode_image(read_regular_file(path))
    except ImageError as error:
        raise UserError(f"{path} is not a usable image: {error} Remove it from the folder of --photos.") from error


def crop_photo(photo: Photo, rng: np.random.Generator, height: int) -> PhotoCrop:
    """A random view of a photo `height` pixels high: crop, flip, gain per channel and gamma, all mild."""
    image = load_photo_pixels(photo)
    full_height, full_width = image.shape[:2]
    aspect = float(rng.choice(CROP_ASPECTS))
    side = min(full_height, full_width / aspect) * rng.uniform(0.75, 1.0)
    width = max(32, round(aspect * height))
    x0, y0 = rng.uniform(0, full_width - side * aspect), rng.uniform(0, full_height - side)
    view = Box(np.floor(x0), np.floor(y0), np.floor(x0) + max(8, int(side * aspect)), np.floor(y0) + max(8, int(side)))
    part = resize_image(image[int(view.y0) : int(view.y1), int(view.x0) : int(view.x1)], width, height)
    flip = bool(rng.random() < 0.5)
    if flip:
        part = np.ascontiguousarray(part[:, ::-1])
    gain = rng.uniform(0.92, 1.08, 3).astype(np.float32)
    gamma = rng.uniform(0.88, 1.14)
    toned = clip_pixels(255 * (part.astype(np.float32) / 255) ** gamma * gain)
    return PhotoCrop(toned, photo, _crop_focus_box(photo, view, (full_height, full_width), (height, width), flip))


def _crop_focus_box(photo: Photo, view: Box, full: tuple[int, int], size: tuple[int, int], flip: bool) -> Box | None:
    if photo.focus is None:
        return None
    left, top, right, bottom = photo.focus
    sx, sy = size[1] / (view.x1 - view.x0), size[0] / (view.y1 - view.y0)
    x0, x1 = ((edge * full[1] - view.x0) * sx for edge in (left, right))
    y0, y1 = ((edge * full[0] - view.y0) * sy for edge in (top, bottom))
    if x0 < 0 or y0 < 0 or x1 > size[1] or y1 > size[0]:
        return None
    if flip:
        x0, x1 = size[1] - x1, size[1] - x0
    return Box(float(x0), float(y0), float(x1), float(y1))
