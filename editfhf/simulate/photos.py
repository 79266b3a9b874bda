"""Real photographs with clear licences: those that installed packages carry, or a folder of the user's own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path

import numpy as np

from annotation.records import Box
from editfhf.simulate.canvas import Image, clipped, resized
from mos.errors import UserError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")
ASPECTS = (1.0, 4 / 3, 3 / 2, 5 / 4)


@dataclass(frozen=True, slots=True)
class Photo:
    """One photograph: where its pixels are, what it shows, whose it is.

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
class Crop:
    """A view of a photo at working size, and where its subject went (None when it is not wholly inside)."""

    image: Image
    photo: Photo
    focus: Box | None


PACKAGED = (
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


def packaged() -> tuple[Photo, ...]:
    """The photos in scikit-image and scikit-learn.  Raises ModuleNotFoundError when either is not installed."""
    import_module("skimage")
    import_module("sklearn")
    return PACKAGED


def folder(root: Path) -> tuple[Photo, ...]:
    """Every picture under a folder, in the order of its relative path.  Raises UserError when there is none."""
    if not root.is_dir():
        raise UserError(f"--photos expects a folder of pictures, but {root} is not a folder.")
    paths = sorted(p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise UserError(f"No picture found under {root}: expected files ending in {', '.join(SUFFIXES)}.")
    return tuple(
        Photo(
            name=path.relative_to(root).as_posix(),
            scene="the scene",
            subject="the main subject",
            licence="unknown",
            origin=path.relative_to(root).as_posix(),
            path=str(path),
        )
        for path in paths
    )


@lru_cache(maxsize=16)
def pixels(photo: Photo) -> Image:
    """The photo's pixels, uint8 RGB [H, W, 3].  Raises UserError for a file that is no usable picture."""
    if photo.path is not None:
        return _read(Path(photo.path))
    if photo.name.endswith(".jpg"):
        image = import_module("sklearn.datasets").load_sample_image(photo.name)
    else:
        image = getattr(import_module("skimage.data"), photo.name)()
    return np.ascontiguousarray(image[..., :3], np.uint8)


def _read(path: Path) -> Image:
    from annotation.images import ImageError, decode

    try:
        return decode(path.read_bytes())
    except ImageError as error:
        raise UserError(f"{path} is no usable picture: {error} Remove it from the folder of --photos.") from error


def crop(photo: Photo, rng: np.random.Generator, height: int) -> Crop:
    """A random view of a photo `height` pixels high: crop, flip, gain per channel and gamma, all mild."""
    image = pixels(photo)
    full_height, full_width = image.shape[:2]
    aspect = float(rng.choice(ASPECTS))
    side = min(full_height, full_width / aspect) * rng.uniform(0.75, 1.0)
    width = max(32, round(aspect * height))
    x0, y0 = rng.uniform(0, full_width - side * aspect), rng.uniform(0, full_height - side)
    view = Box(np.floor(x0), np.floor(y0), np.floor(x0) + max(8, int(side * aspect)), np.floor(y0) + max(8, int(side)))
    part = resized(image[int(view.y0) : int(view.y1), int(view.x0) : int(view.x1)], width, height)
    flip = bool(rng.random() < 0.5)
    if flip:
        part = np.ascontiguousarray(part[:, ::-1])
    gain = rng.uniform(0.92, 1.08, 3).astype(np.float32)
    gamma = rng.uniform(0.88, 1.14)
    toned = clipped(255 * (part.astype(np.float32) / 255) ** gamma * gain)
    return Crop(toned, photo, _focus(photo, view, (full_height, full_width), (height, width), flip))


def _focus(photo: Photo, view: Box, full: tuple[int, int], size: tuple[int, int], flip: bool) -> Box | None:
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
