"""Weight-free editors: each repairs its flaw, and none changes a bit outside of the mask."""

from __future__ import annotations

from io import BytesIO

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from editfhf.editors.crops import plan_crop
from editfhf.editors.protocol import Editor, EditRequest
from editfhf.editors.region_edit import WEIGHT_FREE_CROP_OPTIONS, edit_region
from editfhf.editors.registry import load_editor, read_editor_entries
from mos.errors import UserError

NAMES = [name for name, entry in read_editor_entries().items() if entry.kind == "weight_free"]
SOURCE = cv2.resize(data.coffee(), (240, 160), interpolation=cv2.INTER_AREA)
MASK = np.zeros(SOURCE.shape[:2], np.uint8)
cv2.ellipse(MASK, (100, 70), (34, 26), 0, 0, 360, 255, -1)
INSIDE = MASK > 0


def render(image: np.ndarray) -> np.ndarray:
    """What a generative editor makes of an image: shift, zoom, lost detail, another light."""
    centre = (np.array(image.shape[:2]) - 1) / 2
    offset = centre - (centre + np.array([-1.6, 1.2])) / 1.005
    moved = [
        ndimage.affine_transform(image[..., i].astype(float), [1 / 1.005] * 2, offset, mode="mirror") for i in (0, 1, 2)
    ]
    soft = cv2.GaussianBlur(np.stack(moved, -1), (0, 0), 0.8)
    light = soft * np.linspace(0.95, 1.05, image.shape[1])[None, :, None] * (1.05, 1.0, 0.92) + 4
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)


RENDERED = render(SOURCE)


def inject(flaw: str, image: np.ndarray) -> np.ndarray:
    """The image with a flaw inside of the mask."""
    random = np.random.default_rng(3)
    values = image.astype(float)
    match flaw:
        case "noise":
            values = values + random.normal(0, 25, values.shape)
        case "colour":
            values = values * (0.8, 1.1, 1.15) + 12
        case "other content":
            values = np.roll(values, (70, 110), (0, 1))
        case "blur":
            values = cv2.GaussianBlur(values, (0, 0), 3)
        case "specks":
            values[65:68, 90:93] = values[80:82, 110:112] = (255, 0, 255)
    changed = image.copy()
    changed[INSIDE] = np.clip(np.rint(values), 0, 255).astype(np.uint8)[INSIDE]
    return changed


def psnr(image: np.ndarray, truth: np.ndarray) -> float:
    return float(peak_signal_noise_ratio(truth[INSIDE], image[INSIDE])) if (truth != image)[INSIDE].any() else 99.0


def edit(
    name: str, current: np.ndarray, mask: np.ndarray = MASK, source: np.ndarray = SOURCE, **parameters: object
) -> np.ndarray:
    result = load_editor(name).edit(EditRequest(source, current, mask, "", 5, parameters))
    assert result.image is not None, result.record.detail
    assert np.array_equal(result.image[mask == 0], current[mask == 0])
    return result.image


@pytest.mark.parametrize("flaw", ["noise", "colour", "other content", "blur", "specks"])
def test_restore_undoes_any_flaw_in_a_rendered_image(flaw: str) -> None:
    flawed = inject(flaw, RENDERED)
    copied = np.where(INSIDE[..., None], SOURCE, flawed)
    repaired = psnr(edit("restore", flawed), RENDERED)
    assert repaired > psnr(flawed, RENDERED) + 2
    assert repaired > psnr(copied, RENDERED) + 8  # what the naive copy of the source loses
    assert repaired > 30


def test_restore_of_an_image_that_was_not_rendered_is_exact() -> None:
    assert np.array_equal(edit("restore", inject("other content", SOURCE)), SOURCE)


def test_what_restore_matches_helps() -> None:
    flawed = inject("noise", RENDERED)
    full = psnr(edit("restore", flawed), RENDERED)
    assert full > psnr(edit("restore", flawed, match_colour=False), RENDERED) + 3
    assert full > psnr(edit("restore", flawed, match_detail=False), RENDERED) + 0.5


def test_restore_refuses_a_source_that_shows_something_else() -> None:
    other = cv2.resize(data.astronaut(), (240, 160))
    result = load_editor("restore").edit(EditRequest(other, SOURCE, MASK, ""))
    assert (result.image, result.record.status) == (None, "refused")
    assert "could not be registered" in result.record.detail


def test_restore_cuts_no_object_that_only_one_image_shows() -> None:
    crossing, within = RENDERED.copy(), RENDERED.copy()
    columns = np.flatnonzero(INSIDE.any(axis=0))
    middle = (int(columns.mean()), int(np.flatnonzero(INSIDE.any(axis=1)).mean()))
    for image, reach in ((crossing, 60), (within, 8)):
        cv2.line(image, middle, (middle[0] + reach, middle[1]), (250, 240, 40), 25)
    declined = load_editor("restore").edit(EditRequest(SOURCE, crossing, MASK, ""))
    assert declined.image is None and declined.record.status == "refused"
    assert "cut it in two" in declined.record.detail
    assert psnr(edit("restore", within), RENDERED) > 30


@pytest.mark.parametrize(
    ("name", "flaw", "gain"), [("match-colour", "colour", 6), ("deblur", "blur", 1), ("denoise", "noise", 3)]
)
def test_each_editor_repairs_its_flaw(name: str, flaw: str, gain: float) -> None:
    flawed = inject(flaw, RENDERED)
    assert psnr(edit(name, flawed), RENDERED) > psnr(flawed, RENDERED) + gain


def test_inpaint_and_patch_fill_take_specks_away() -> None:
    flawed = inject("specks", SOURCE)
    specks = cv2.dilate((flawed != SOURCE).any(axis=2).astype(np.uint8) * 255, np.ones((3, 3)))
    for name in ("inpaint", "patch-fill"):
        assert psnr(edit(name, flawed, specks), SOURCE) > psnr(flawed, SOURCE) + 7


def test_patch_fill_continues_a_texture_where_inpaint_smears() -> None:
    """Judged by the spread of grey values, since the error of a smear is smaller than that of a texture."""
    random = np.random.default_rng(0)
    bricks = np.kron(random.integers(60, 200, (40, 60, 1)), np.ones((4, 4, 1))).astype(np.uint8).repeat(3, axis=2)
    damaged = bricks.copy()
    damaged[INSIDE] = 128
    filled, smeared = (edit(name, damaged, MASK, bricks) for name in ("patch-fill", "inpaint"))
    spread = bricks[INSIDE].std()
    assert filled[INSIDE].std() > 0.7 * spread > smeared[INSIDE].std()


def test_patch_fill_takes_nothing_from_where_it_is_kept_out() -> None:
    image = np.full((120, 160, 3), (60, 160, 60), np.uint8)
    image[:, 110:] = (220, 30, 30)
    mask = np.zeros((120, 160), np.uint8)
    mask[40:80, 70:109] = 255
    filled = edit("patch-fill", image, mask, image, keep_out=[[108, 0, 160, 120]])
    assert np.abs(filled[mask > 0].astype(int) - (60, 160, 60)).max() <= 2
    with pytest.raises(UserError, match="keep_out"):
        edit("patch-fill", image, mask, image, keep_out=[[1, 2]])


def test_match_colour_towards_the_surroundings() -> None:
    grey = np.random.default_rng(1).integers(90, 110, SOURCE.shape, np.uint8)
    dark = grey.copy()
    dark[INSIDE] -= 40
    deep = cv2.erode(MASK, np.ones((9, 9))) > 0
    light = edit("match-colour", dark, MASK, grey, towards="surroundings")
    assert light[deep].mean() == pytest.approx(grey[deep].mean(), abs=3)
    assert np.array_equal(edit("match-colour", dark, MASK, grey, strength=0.0), dark)


@pytest.mark.parametrize("name", NAMES)
def test_four_turns_and_a_png_leave_the_outside_bit_identical(name: str) -> None:
    editor, current, touched = load_editor(name), inject("noise", RENDERED), np.zeros_like(INSIDE)
    first = current
    for turn in range(4):
        mask = np.zeros_like(MASK)
        mask[10 + 36 * turn : 24 + 36 * turn, 60 : 90 + 20 * turn] = 255
        mask[0:4, 230:] = 255  # at a corner
        touched |= mask > 0
        done = edit_region(
            editor, EditRequest(SOURCE, current, mask, ""), plan_crop(mask, mask.shape, WEIGHT_FREE_CROP_OPTIONS)
        )
        assert done.failure == ""
        assert np.array_equal(done.image[mask == 0], current[mask == 0])
        current = done.image
    file = BytesIO()
    Image.fromarray(current).save(file, "PNG")
    assert np.array_equal(np.asarray(Image.open(file))[~touched], first[~touched])


@pytest.mark.parametrize("name", NAMES)
def test_editors_keep_the_protocol(name: str) -> None:
    editor = load_editor(name)
    request = EditRequest(SOURCE, inject("noise", RENDERED), MASK, "", 11)
    assert isinstance(editor, Editor)
    one, again = editor.edit(request), load_editor(name).edit(request)
    assert one.image is not None
    assert np.array_equal(one.image, again.image)
    assert one.record.editor == editor.name == name
    assert one.record.seed == (11 if read_editor_entries()[name].takes_seed else None)
    nothing = editor.edit(EditRequest(SOURCE, SOURCE, np.zeros_like(MASK), ""))
    assert np.array_equal(nothing.image, SOURCE)
    with pytest.raises(UserError, match="has no parameter 'stregth'"):
        editor.edit(EditRequest(SOURCE, SOURCE, MASK, "", 0, {"stregth": 1}))


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_any_size_and_any_mask(draw: st.DataObject) -> None:
    height, width = draw.draw(st.integers(1, 40)), draw.draw(st.integers(1, 40))
    random = np.random.default_rng(draw.draw(st.integers(0, 2**31)))
    source, current = (random.integers(0, 255, (height, width, 3), np.uint8) for _ in range(2))
    mask = np.zeros((height, width), np.uint8)
    y, x = draw.draw(st.integers(0, height - 1)), draw.draw(st.integers(0, width - 1))
    mask[y : y + draw.draw(st.integers(1, 40)), x : x + draw.draw(st.integers(1, 40))] = 255
    for name in NAMES:
        result = load_editor(name).edit(EditRequest(source, current, mask, ""))
        if result.image is None:
            assert result.record.status == "refused"
            assert result.record.detail
        else:
            assert np.array_equal(result.image[mask == 0], current[mask == 0])
