"""The one reader of untrusted images: hostile names, hostile bytes, and pixels as displayed."""

from __future__ import annotations

import hashlib
import os
import pickle
import struct
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps, PngImagePlugin

from annotation import images
from annotation.images import ImageError

REAL = Path(__file__).parents[2] / "examples" / "real" / "images"
FORMATS = ("PNG", "JPEG", "WEBP")


def photo(height: int = 48, width: int = 64) -> np.ndarray:
    """Smooth colour with some noise, so that every format has something to store."""
    y, x = np.mgrid[:height, :width]
    smooth = np.stack([x * 255 / width, y * 255 / height, 128 + 60 * np.sin(x / 7)], axis=-1)
    return (smooth + np.random.default_rng(3).integers(0, 20, smooth.shape)).clip(0, 255).astype(np.uint8)


def encoded(image: Image.Image | np.ndarray, kind: str, **options: object) -> bytes:
    file = BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, kind, **options)
    return file.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, pixels: bytes, *extra: bytes, depth: int = 8, colour: int = 2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = [chunk(b"IHDR", header), *extra, chunk(b"IDAT", zlib.compress(pixels)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def reason(call: Callable[[], object]) -> str:
    with pytest.raises(ImageError) as caught:
        call()
    return caught.value.reason


VALID = {kind: encoded(photo(), kind) for kind in FORMATS} | {
    "progressive": encoded(photo(), "JPEG", progressive=True),
    "lossless": encoded(photo(), "WEBP", lossless=True),
    "alpha": encoded(Image.fromarray(photo()).convert("RGBA"), "WEBP"),
}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    root = tmp_path / "corpus"
    (root / "images").mkdir(parents=True)
    (root / "images/a.png").write_bytes(VALID["PNG"])
    (tmp_path / "secret.png").write_bytes(VALID["PNG"])
    return root


# --- names -------------------------------------------------------------------------------------------------------


def test_a_file_of_the_corpus_is_read_as_it_is(corpus: Path) -> None:
    assert images.resolve_image_path(corpus, "images/a.png") == (corpus / "images/a.png").resolve()
    assert images.read_image_bytes(corpus, "images/a.png") == VALID["PNG"]


@pytest.mark.parametrize(
    ("relative", "expected"),
    [
        ("", "bad_path"),
        ("/etc/passwd", "path_leaves_corpus"),
        ("../secret.png", "path_leaves_corpus"),
        ("images/../../secret.png", "path_leaves_corpus"),
        ("images/../images/a.png", "path_leaves_corpus"),  # stays inside, but no honest tool writes it
        ("C:/a.png", "bad_path"),
        ("c:a.png", "bad_path"),
        ("images\\a.png", "bad_path"),
        ("images/a.png\0.txt", "bad_path"),
        ("images/a\n.png", "bad_path"),
        ("images/\udcff.png", "bad_path"),  # a lone surrogate cannot be a file name in UTF-8
        ("x" * 300 + ".png", "bad_path"),
        ("images/" * 2000 + "a.png", "missing_file"),
        ("images/b.png", "missing_file"),
        ("images/a.png/b.png", "missing_file"),
        ("images", "not_a_file"),
        (".", "not_a_file"),
    ],
)
def test_a_name_that_is_no_file_of_the_corpus_is_refused(corpus: Path, relative: str, expected: str) -> None:
    with pytest.raises(ImageError) as caught:
        images.read_image_bytes(corpus, relative)
    assert caught.value.reason == expected
    assert str(corpus) not in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 250


def test_links_may_lead_inside_the_corpus_only(corpus: Path) -> None:
    (corpus / "inside.png").symlink_to("images/a.png")
    (corpus / "outside.png").symlink_to("../secret.png")
    (corpus / "folder").symlink_to(corpus.parent)
    (corpus / "zero.png").symlink_to("/dev/zero")
    (corpus / "loop.png").symlink_to("loop.png")
    (corpus / "dangling.png").symlink_to("nowhere.png")
    assert images.read_image_bytes(corpus, "inside.png") == VALID["PNG"]
    assert reason(lambda: images.read_image_bytes(corpus, "outside.png")) == "path_leaves_corpus"
    assert reason(lambda: images.read_image_bytes(corpus, "folder/secret.png")) == "path_leaves_corpus"
    assert reason(lambda: images.read_image_bytes(corpus, "zero.png")) == "path_leaves_corpus"
    assert reason(lambda: images.read_image_bytes(corpus, "loop.png")) == "bad_path"
    assert reason(lambda: images.read_image_bytes(corpus, "dangling.png")) == "missing_file"


def test_a_corpus_may_itself_be_reached_through_a_link(corpus: Path) -> None:
    (corpus.parent / "alias").symlink_to(corpus)
    assert images.read_image_bytes(corpus.parent / "alias", "images/a.png") == VALID["PNG"]


@pytest.mark.timeout(10)
def test_a_pipe_is_refused_without_waiting_for_a_writer(corpus: Path) -> None:
    os.mkfifo(corpus / "pipe.png")
    assert reason(lambda: images.read_image_bytes(corpus, "pipe.png")) == "not_a_file"


@pytest.mark.timeout(10)
@pytest.mark.parametrize("swapped", ["pipe", "link"])
def test_a_file_swapped_after_it_was_resolved_is_refused(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, swapped: str
) -> None:
    path = corpus / "swapped.png"
    os.mkfifo(path) if swapped == "pipe" else path.symlink_to("../secret.png")
    monkeypatch.setattr(images, "resolve_image_path", lambda root, relative: root / relative)
    assert reason(lambda: images.read_image_bytes(corpus, "swapped.png")) in ("not_a_file", "bad_path")


def test_sizes_are_limited_before_and_while_reading(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(VALID["PNG"])
    assert len(images.read_image_bytes(corpus, "images/a.png", max_bytes=size)) == size
    assert reason(lambda: images.read_image_bytes(corpus, "images/a.png", max_bytes=size - 1)) == "file_too_big"
    (corpus / "empty.png").touch()
    assert reason(lambda: images.read_image_bytes(corpus, "empty.png")) == "empty_file"
    status = list((corpus / "images/a.png").stat())
    status[6] = 1  # what a file says that grows while it is read
    monkeypatch.setattr(images.os, "fstat", lambda _: os.stat_result(status))
    assert images.read_image_bytes(corpus, "images/a.png") == VALID["PNG"]
    assert reason(lambda: images.read_image_bytes(corpus, "images/a.png", max_bytes=size - 1)) == "file_too_big"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(corpus: Path) -> None:
    (corpus / "images/a.png").chmod(0)
    assert reason(lambda: images.read_image_bytes(corpus, "images/a.png")) == "unreadable_file"


def test_an_error_survives_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(ImageError("empty_file", "It is empty.")))
    assert (type(error), error.reason, str(error)) == (ImageError, "empty_file", "It is empty.")


# --- facts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
def test_facts_are_those_of_the_original_bytes(kind: str) -> None:
    data = VALID[kind]
    info = images.verify_image(data)
    assert (info.format, info.width, info.height, info.mode, info.size) == (kind, 64, 48, "RGB", len(data))
    assert info.sha256 == hashlib.sha256(data).hexdigest()
    assert images.inspect_image(data) == info


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (encoded(photo(), "GIF"), "GIF"),
        (encoded(photo(), "TIFF"), "TIFF"),
        (encoded(photo(), "BMP"), "BMP"),
        (b"<!doctype html><html>404", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS"),
        (b"\0\0\0\x1cftypheic\0\0\0\0", "HEIC"),
        (b"just words", "text"),
        (b"", "no image"),
        (bytes(range(256)), "no image"),
    ],
)
def test_other_formats_are_refused_by_name(data: bytes, named: str) -> None:
    with pytest.raises(ImageError, match=named) as caught:
        images.inspect_image(data)
    assert caught.value.reason == "unknown_format"


def _jpeg_header(width: int, height: int) -> bytes:
    data = VALID["JPEG"]
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def _webp_header(kind: bytes, payload: bytes) -> bytes:
    body = b"WEBP" + kind + struct.pack("<I", len(payload)) + payload
    return b"RIFF" + struct.pack("<I", len(body)) + body


HUGE = {
    "png": png(50_000, 50_000, b""),
    "jpeg": _jpeg_header(50_000, 50_000),
    "vp8x": _webp_header(b"VP8X", b"\0\0\0\0" + (49_999).to_bytes(3, "little") * 2),
    "vp8l": _webp_header(b"VP8L", b"\x2f" + struct.pack("<I", 16_383 | 16_383 << 14) + b"\0" * 9),
    "vp8": _webp_header(b"VP8 ", b"\x10\0\0\x9d\x01\x2a" + struct.pack("<HH", 16_383, 16_383) + b"\0" * 8),
}


@pytest.mark.parametrize("name", HUGE)
@pytest.mark.parametrize("call", [images.inspect_image, images.verify_image, images.decode_image])
def test_a_huge_image_is_refused_by_its_header(name: str, call: Callable[[bytes], object]) -> None:
    assert reason(lambda: call(HUGE[name])) == "too_large"


def test_the_limit_on_pixels_is_inclusive() -> None:
    for data in VALID.values():
        images.verify_image(data, max_pixels=64 * 48)
        assert reason(lambda data=data: images.verify_image(data, max_pixels=64 * 48 - 1)) == "too_large"  # type: ignore[misc]


def test_an_image_without_pixels_is_refused() -> None:
    assert reason(lambda: images.inspect_image(png(0, 5, b""))) == "zero_size"
    assert (
        reason(lambda: images.inspect_image(_webp_header(b"VP8 ", b"\x10\0\0\x9d\x01\x2a" + b"\0" * 12))) == "zero_size"
    )
    assert reason(lambda: images.inspect_image(_jpeg_header(0, 5))) == "broken_image"


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animations_are_refused(kind: str) -> None:
    frames = [Image.fromarray(photo()), Image.fromarray(255 - photo())]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert reason(lambda: images.inspect_image(data)) == "animated"


def test_a_multi_picture_jpeg_counts_as_its_first_picture() -> None:
    data = encoded(Image.fromarray(photo()), "MPO", save_all=True, append_images=[Image.fromarray(255 - photo())])
    with Image.open(BytesIO(data)) as image:
        assert image.format == "MPO"
        first = np.asarray(image.convert("RGB"))
    assert images.verify_image(data).format == "JPEG"
    np.testing.assert_array_equal(images.decode_image(data), first)


# --- damage ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", VALID)
def test_every_truncation_is_refused(kind: str) -> None:
    data = VALID[kind]
    cuts = {*np.linspace(0, len(data) - 1, 60, dtype=int).tolist(), *range(len(data) - 20, len(data))}
    for cut in sorted(cuts):
        assert reason(lambda cut=cut: images.verify_image(data[:cut])) in ("broken_image", "unknown_format"), cut  # type: ignore[misc]


def test_a_flipped_bit_in_a_png_is_refused() -> None:
    data = VALID["PNG"]
    for at in range(8, len(data), 97):
        damaged = data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]
        assert reason(lambda damaged=damaged: images.verify_image(damaged)) in ("broken_image", "too_large"), at  # type: ignore[misc]


def test_compressed_bombs_are_refused_or_ignored() -> None:
    rows = (b"\0" + b"x" * 12) * 4
    bomb = zlib.compress(bytes(200 * 2**20), 9)  # 200 MB in 200 kB
    assert reason(lambda: images.verify_image(png(4, 4, rows, chunk(b"iCCP", b"icc\0\0" + bomb)))) == "bad_metadata"
    assert reason(lambda: images.verify_image(png(4, 4, rows, chunk(b"zTXt", b"Comment\0\0" + bomb)))) == "bad_metadata"
    pixels = images.decode_image(png(4, 4, rows + bytes(50 * 2**20)))  # rows that the header does not speak of
    assert pixels.shape == (4, 4, 3)


def test_nothing_is_decoded_while_truncated_images_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    for call in (images.verify_image, images.decode_image, images.inspect_image):
        assert reason(lambda call=call: call(VALID["JPEG"])) == "truncated_images_allowed"  # type: ignore[misc]


def only_image_errors(data: bytes) -> None:
    calls = (
        images.inspect_image,
        images.verify_image,
        images.decode_image,
        partial(images.decode_thumbnail, max_side=16),
    )
    for call in calls:
        try:
            call(data, max_pixels=2**16)
        except ImageError as error:
            assert str(error).endswith(".") and "\n" not in str(error)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\x40\0\0\0WEBPVP8X", VALID["PNG"][:33]]),
    st.binary(max_size=200),
)
def test_random_bytes_are_an_image_or_an_image_error(head: bytes, tail: bytes) -> None:
    only_image_errors(head + tail)


WITH_EXIF = Image.Exif()
WITH_EXIF[0x0112] = 6
WITH_EXIF[0x010E] = "a description"
MUTABLE = [*VALID.values(), *(encoded(photo(8, 12), kind, exif=WITH_EXIF) for kind in FORMATS)]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_mutations_of_valid_files_are_an_image_or_an_image_error(draw: st.DataObject) -> None:
    data = bytearray(draw.draw(st.sampled_from(MUTABLE)))
    limit = draw.draw(st.sampled_from([60, len(data)]))  # headers deserve more than their share
    for at in draw.draw(st.lists(st.integers(0, limit - 1), min_size=1, max_size=6)):
        data[at] = draw.draw(st.integers(0, 255))
    only_image_errors(bytes(data))


# --- pixels ------------------------------------------------------------------------------------------------------


def shown(data: bytes) -> np.ndarray:
    with Image.open(BytesIO(data)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])  # browsers ignore the orientation of a WebP
@pytest.mark.parametrize("orientation", range(10))  # 0 and 9 are not orientations
def test_images_appear_as_displayed(kind: str, orientation: int) -> None:
    from datasets import Image as ImageFeature

    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(photo(), kind, exif=exif)
    info = images.inspect_image(data)
    pixels = images.decode_image(data)
    np.testing.assert_array_equal(pixels, shown(data))
    assert (info.height, info.width) == pixels.shape[:2]
    displayed = ImageFeature().decode_example({"bytes": data, "path": None})
    assert (info.width, info.height) == displayed.size


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0II*\0\xff"]
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_broken_exif_block_of_a_jpeg_counts_as_upright(exif: bytes) -> None:
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    data = VALID["JPEG"][:2] + segment + VALID["JPEG"][2:]
    assert (images.verify_image(data).width, images.verify_image(data).height) == (64, 48)
    np.testing.assert_array_equal(images.decode_image(data), images.decode_image(VALID["JPEG"]))


def test_transparency_is_laid_on_white() -> None:
    rgba = np.dstack([photo(), np.linspace(0, 255, 48 * 64).reshape(48, 64).astype(np.uint8)])
    alpha = rgba[..., 3:] / 255
    expected = rgba[..., :3] * alpha + 255 * (1 - alpha)
    np.testing.assert_allclose(images.decode_image(encoded(rgba, "PNG")), expected, atol=1)
    grey = Image.fromarray(rgba).convert("LA")
    assert (images.decode_image(encoded(grey, "PNG"))[0, 0] == 255).all()


def test_a_transparent_palette_entry_is_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    for transparency in (0, b"\x00\xff"):
        pixels = images.decode_image(encoded(image, "PNG", transparency=transparency))
        assert pixels.tolist() == [[[255, 255, 255], [40, 50, 60]]]


def test_sixteen_bits_keep_their_high_byte() -> None:
    values = np.array([[0x0000, 0x12FF, 0x8000, 0xFFFF]], np.uint16)
    grey = images.decode_image(encoded(Image.fromarray(values), "PNG"))
    assert grey[0, :, 0].tolist() == [0x00, 0x12, 0x80, 0xFF]
    rows = b"\0" + np.repeat(values, 3).astype(">u2").tobytes()
    colour = images.decode_image(png(4, 1, rows, depth=16))
    np.testing.assert_array_equal(colour, grey)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK"])
def test_other_modes_become_rgb_as_pillow_does(mode: str) -> None:
    data = encoded(Image.fromarray(photo()).convert(mode), "JPEG" if mode == "CMYK" else "PNG")
    assert images.verify_image(data).mode == mode
    np.testing.assert_array_equal(images.decode_image(data), shown(data))


@pytest.mark.parametrize(("kind", "orientation"), [("PNG", 1), ("PNG", 6), ("JPEG", 1), ("JPEG", 6), ("WEBP", 1)])
def test_thumbnails_are_small_upright_copies(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(photo(600, 901), kind, exif=exif)
    small = images.decode_thumbnail(data, max_side=150)
    assert small.shape == ((100, 150, 3) if orientation == 1 else (150, 100, 3))
    full = Image.fromarray(images.decode_image(data)).resize(small.shape[1::-1], Image.Resampling.LANCZOS)
    assert np.abs(small.astype(int) - np.asarray(full)).mean() < 3
    assert images.decode_thumbnail(data, max_side=5000).shape == images.decode_image(data).shape
    assert images.decode_thumbnail(data, max_side=1).shape == (1, 1, 3)


def test_a_thumbnail_needs_at_least_one_pixel() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        images.decode_thumbnail(VALID["PNG"], max_side=0)


def test_threads_may_share_the_reader() -> None:
    start = threading.Barrier(4)

    def work(data: bytes) -> int:
        start.wait(5)
        return sum(int(images.decode_image(data).sum()) + images.verify_image(data).width for _ in range(20))

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(work, [VALID["JPEG"]] * 4))) == 1


def test_text_chunks_do_not_make_the_header_decode(monkeypatch: pytest.MonkeyPatch) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", "eXIf and XML:com.adobe.xmp are only words here")
    data = encoded(photo(), "PNG", pnginfo=text)
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", lambda _: pytest.fail("a header needs no pixels"))
    assert images.inspect_image(data).width == 64


def test_real_pairs_pass() -> None:
    files = sorted(REAL.iterdir())
    assert len(files) > 30
    for path in files:
        data = images.read_image_bytes(REAL, path.name)
        info = images.verify_image(data)
        assert images.decode_image(data).shape == (info.height, info.width, 3)
