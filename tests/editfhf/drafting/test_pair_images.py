"""The pictures that a model sees: as displayed, scaled, without metadata, the same bytes every time."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotation import images
from annotation.images import ImageError
from annotation.records import Box
from editfhf.drafting.pair_images import DraftImageEncoding, encode_pair_images, frame_width
from tests.editfhf.drafting.marked_pairs import SIZE, corpus, pair


def pixels(data: bytes) -> np.ndarray:
    return np.array(Image.open(BytesIO(data)))


def test_the_orientation_of_exif_is_applied_and_boxes_are_where_people_saw_them(tmp_path: Path) -> None:
    root = corpus(tmp_path)
    stored = Image.new("RGB", (100, 200), "white")
    stored.paste("red", (0, 0, 50, 40))
    exif = stored.getexif()
    exif[0x0112] = 6
    stored.save(root / "images" / "b.png", exif=exif)
    size = (200, 100)
    seen = encode_pair_images(root, pair(), {1: Box(0, 0, 10, 10)}, size, DraftImageEncoding(format="png"))
    assert (seen.edited.width, seen.edited.height) == size
    assert np.array_equal(pixels(seen.edited.data), images.decode_image((root / "images" / "b.png").read_bytes()))
    frame = frame_width(100, 200)
    inner = pixels(seen.numbered.data)[frame:-frame, frame:-frame]
    assert np.array_equal(inner[:10, :10], pixels(seen.edited.data)[:10, :10])


def test_the_longer_side_is_capped_and_boxes_shrink_with_it(tmp_path: Path) -> None:
    root = corpus(tmp_path)
    Image.new("RGB", (400, 200), "gold").save(root / "images" / "b.png")
    seen = encode_pair_images(root, pair(), {1: Box(200, 100, 400, 200)}, (400, 200), DraftImageEncoding(100, "png"))
    assert (seen.edited.width, seen.edited.height) == (100, 50)
    frame = frame_width(50, 100)
    inner = pixels(seen.numbered.data)[frame:-frame, frame:-frame]
    gold = np.array([255, 215, 0])
    assert (inner[25:, 50:] == gold).all() and not (inner[20:25, 60:] == gold).all()


@pytest.mark.parametrize("form", ["jpeg", "png"])
def test_the_same_pictures_give_the_same_bytes_without_metadata(tmp_path: Path, form: str) -> None:
    root = corpus(tmp_path)
    picture = Image.new("RGB", SIZE, "gold")
    exif = picture.getexif()
    exif[0x010E] = "written by a stranger"
    picture.save(root / "images" / "b.png", exif=exif)
    one, two = (
        encode_pair_images(root, pair(), {1: Box(5, 5, 50, 50)}, SIZE, DraftImageEncoding(format=form))
        for _ in range(2)
    )
    assert one == two and one.edited.media_type == f"image/{form}"
    assert b"stranger" not in one.edited.data + one.numbered.data


def test_a_picture_outside_the_corpus_is_refused(tmp_path: Path) -> None:
    root = corpus(tmp_path / "corpus")
    (root / "images" / "b.png").unlink()
    (root / "images" / "b.png").symlink_to("/etc/passwd")
    with pytest.raises(ImageError):
        encode_pair_images(root, pair(), {}, SIZE, DraftImageEncoding())
