"""The writer of grey PNGs against two readers that we did not write."""

from __future__ import annotations

from io import BytesIO

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from editfhf.png import encode_grey_png

greys = arrays.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40)))


@given(greys)
def test_pillow_and_opencv_read_the_same_pixels_back(grey: np.ndarray) -> None:
    data = encode_grey_png(grey)
    with Image.open(BytesIO(data)) as image:
        image.load()
        assert (image.format, image.mode) == ("PNG", "L")
        np.testing.assert_array_equal(np.asarray(image), grey)
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED), grey)


def test_every_chunk_has_the_right_checksum() -> None:
    with Image.open(BytesIO(encode_grey_png(np.arange(200, dtype=np.uint8).reshape(10, 20)))) as image:
        image.verify()


def test_a_view_is_written_as_its_pixels() -> None:
    grey = np.arange(60, dtype=np.uint8).reshape(6, 10)
    assert encode_grey_png(grey[::2, 1::3]) == encode_grey_png(np.ascontiguousarray(grey[::2, 1::3]))


@pytest.mark.parametrize(
    "wrong", [np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.float32), np.zeros((0, 4), np.uint8)]
)
def test_anything_but_grey_pixels_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="must be a uint8 array"):
        encode_grey_png(wrong)
