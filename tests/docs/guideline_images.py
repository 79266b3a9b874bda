"""The pictures of flaw types that annotators are shown: `python tests/docs/guideline_images.py` draws them again.

Each is a small drawing of our own, before and after; what is wrong is in a box.  They are made of the things that
`editfhf simulate` draws, without photos, and written to annotation/interfaces/guidelines/FLAW_TYPE.png.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from annotation.interfaces.guidance import KIND_COLOURS
from annotation.records import Box
from annotation.simulate.flaws.painters import (
    paint_colour_cast,
    paint_garbled_label,
    paint_watermark,
    paste_shifted_piece,
    tile_texture,
    warp_structure,
)
from annotation.simulate.pixels import (
    RgbImage,
    blend_images,
    blur_image,
    box_view,
    clip_pixels,
    ellipse_mask,
    rectangle_mask,
)
from annotation.simulate.scene import Prop, image_with_prop
from annotation.simulate.sprites import render_lettering

FOLDER = Path(__file__).parents[2] / "annotation/interfaces/guidelines"
WIDTH, HEIGHT, SHRINK = 320, 240, 2
FIGURE = Prop("toy figure", "red", 128, 52, 170)
MUG = Prop("mug", "orange", 24, 132, 84)
BALLOON = Prop("balloon", "purple", 30, 8, 80)

Drawing = tuple[RgbImage, RgbImage, Box]


def room(*props: Prop) -> RgbImage:
    """A wall with a window, a floor, and things from back to front."""
    canvas = Pillow.new("RGB", (WIDTH, HEIGHT), (232, 224, 208))
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((0, 176, WIDTH, HEIGHT), fill=(186, 146, 106))
    for x in range(-160, 480, 40):
        draw.line((160 + (x - 160) * 0.75, 176, x, HEIGHT), fill=(160, 122, 86), width=2)
    draw.rectangle((116, 16, 204, 96), fill=(150, 196, 232), outline=(250, 250, 246), width=5)
    draw.line((160, 16, 160, 96), fill=(250, 250, 246), width=4)
    image = np.array(canvas)
    for prop in props:
        image = image_with_prop(image, prop)
    return image


def moved(prop: Prop, **changes: object) -> Prop:
    return Prop(**({name: getattr(prop, name) for name in Prop.__slots__} | changes))


def lettered(text: str) -> RgbImage:
    image = room(FIGURE)
    place = Box(16, 108, 124, 150)
    plate = box_view(image, place)
    ink = render_lettering(text, plate.shape[1], plate.shape[0])[..., None] / 255
    plate[:] = clip_pixels(np.array((244, 240, 226)) * (1 - ink) + np.array((30, 40, 70)) * ink)
    return image


def stranger(image: RgbImage) -> RgbImage:
    """Another hair, a beard and dark glasses for the figure."""
    canvas = Pillow.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    draw.pieslice((180, 44, 246, 112), 180, 360, fill=(232, 196, 70))
    draw.rectangle((180, 74, 190, 118), fill=(232, 196, 70))
    draw.rectangle((236, 74, 246, 118), fill=(232, 196, 70))
    draw.pieslice((190, 76, 236, 124), 0, 180, fill=(120, 120, 124))
    draw.rounded_rectangle((192, 80, 211, 92), 4, fill=(20, 20, 24))
    draw.rounded_rectangle((215, 80, 234, 92), 4, fill=(20, 20, 24))
    return np.array(canvas)


def artifacts(rng: np.random.Generator) -> dict[str, Drawing]:
    """Before, after and the box of what is wrong, for each type of artifact."""
    plain, both = room(FIGURE), room(MUG, FIGURE)
    around = Box(166, 50, 262, 222)
    ghost = blend_images(
        both, np.roll(both, 36, axis=1), rectangle_mask(HEIGHT, WIDTH, Box(56, 128, 150, 222), 4) * 0.75
    )
    shadow = blend_images(both, clip_pixels(both * 0.3), ellipse_mask(HEIGHT, WIDTH, Box(120, 206, 216, 232), 0.4))
    wallpaper = tile_texture(plain, Box(0, 178, WIDTH, HEIGHT), rng, 1.0)
    sign, floor = Box(16, 108, 124, 150), Box(0, 178, 319, 239)
    return {
        "hand_foot": (plain, room(moved(FIGURE, defect="hand_foot")), Box(242, 66, 310, 132)),
        "face": (plain, room(moved(FIGURE, defect="face")), Box(178, 52, 248, 120)),
        "body": (plain, room(moved(FIGURE, defect="body")), Box(130, 108, 300, 226)),
        "object_structure": (both, warp_structure(both, Box(14, 124, 118, 224), rng, 1.0), Box(14, 124, 118, 224)),
        "duplication": (both, ghost, Box(20, 128, 152, 222)),
        "blending": (both, paste_shifted_piece(both, around, rng, 1.0), around),
        "physics_placement": (both, room(FIGURE, moved(MUG, y=24)), Box(20, 20, 112, 136)),
        "scale_perspective": (both, room(moved(MUG, x=0, y=64, side=168), FIGURE), Box(2, 62, 168, 232)),
        "light_shadow": (both, shadow, Box(114, 202, 222, 234)),
        "texture": (plain, wallpaper, floor),
        "color": (both, paint_colour_cast(both, Box(120, 44, 318, 234), rng, 1.0), Box(120, 44, 318, 234)),
        "blur_noise": (both, blend_images(both, blur_image(both, 6), ellipse_mask(HEIGHT, WIDTH, around, 0.3)), around),
        "garbled_text": (lettered("CAFE"), paint_garbled_label(lettered("CAFE"), sign, rng, 1.0), sign),
        "foreign_mark": (both, paint_watermark(both, Box(20, 176, 300, 226), rng, 1.0), Box(20, 176, 300, 226)),
    }


def failures() -> dict[str, Drawing]:
    """The same for each type of failure; what was asked is in `annotation.interfaces.pictures.ASKED`."""
    both, mug = room(MUG, FIGURE), Box(18, 126, 112, 222)
    gift = moved(MUG, kind="gift box", colour="yellow", x=2, y=62, side=76)
    shelf = room(gift, MUG, FIGURE)
    blue = moved(MUG, colour="blue")
    drift = blur_image(
        np.ascontiguousarray(clip_pixels(room(blue, FIGURE) * np.array((1.15, 0.85, 0.6)))[12:228, 16:304]), 1
    )
    return {
        "not_executed": (both, both, mug),
        "partial": (shelf, room(gift, FIGURE), Box(0, 56, 82, 142)),
        "wrong_target": (shelf, room(moved(gift, colour="blue"), MUG, FIGURE), Box(0, 56, 82, 142)),
        "wrong_content": (both, room(moved(MUG, kind="umbrella"), FIGURE), mug),
        "wrong_quantity": (
            room(FIGURE),
            room(BALLOON, moved(BALLOON, x=76, y=20), moved(BALLOON, x=4, y=70), FIGURE),
            Box(4, 4, 152, 152),
        ),
        "wrong_position": (room(FIGURE), room(FIGURE, moved(MUG, x=234, y=148)), Box(228, 142, 319, 236)),
        "wrong_degree": (both, room(moved(MUG, x=0, y=50, side=184), FIGURE), Box(2, 48, 182, 236)),
        "unintended_change": (both, room(blue, moved(FIGURE, colour="green")), Box(176, 104, 250, 178)),
        "identity_loss": (both, stranger(room(MUG, moved(FIGURE, colour="blue"))), Box(126, 46, 300, 226)),
        "global_drift": (both, np.asarray(Pillow.fromarray(drift).resize((WIDTH, HEIGHT))), Box(2, 2, 318, 238)),
    }


def sheet(drawing: Drawing, colour: str) -> Pillow.Image:
    """Before and after side by side, the box around what is wrong in the colour of its kind."""
    before, after, box = drawing
    marked = Pillow.fromarray(after)
    ImageDraw.Draw(marked).rectangle(tuple(box), outline=colour, width=5)
    both = Pillow.new("RGB", (2 * WIDTH + 8, HEIGHT), "white")
    both.paste(Pillow.fromarray(before), (0, 0))
    both.paste(marked, (WIDTH + 8, 0))
    small = both.resize((both.width // SHRINK, both.height // SHRINK), Pillow.Resampling.LANCZOS)
    return small.quantize(64, dither=Pillow.Dither.NONE)


def main() -> None:
    draw: dict[str, Callable[[], dict[str, Drawing]]] = {
        "artifact": lambda: artifacts(np.random.default_rng(7)),
        "failure": failures,
    }
    FOLDER.mkdir(exist_ok=True)
    for kind, drawings in draw.items():
        for name, drawing in drawings().items():
            sheet(drawing, KIND_COLOURS[kind]).save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
