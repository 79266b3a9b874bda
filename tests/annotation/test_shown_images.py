"""What annotators see in a browser, what `datasets` gives, and what we read, is one image; or it is refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from html import unescape
from io import BytesIO
from pathlib import Path

import datasets
import pytest
from PIL import Image

from annotation import encoded_images, images
from annotation.images import ImageError
from tests.annotation import odd_images
from tests.annotation.odd_images import JPEG, ODD_IMAGES, PNG, OddImage, chunk, jpeg, png, segment

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
CHROMIUM = Path("/usr/bin/chromium")


def load_with_datasets(data: bytes) -> str:
    try:
        return odd_images.describe_corners(datasets.Image().decode_example({"bytes": data, "path": None}))
    except Exception as error:
        return f"{type(error).__name__}"


@pytest.mark.parametrize("odd", ODD_IMAGES.values(), ids=ODD_IMAGES)
def test_an_image_is_read_if_a_browser_and_datasets_show_the_same(odd: OddImage) -> None:
    if not odd.reason:
        assert load_with_datasets(odd.data) == odd.shown
        info = images.verify_image(odd.data)
        assert f"{info.width}x{info.height}" == odd.shown.split()[0]
        assert odd_images.describe_corners(Image.fromarray(images.decode_image(odd.data))) == odd.shown
        return
    with pytest.raises(ImageError) as caught:
        images.verify_image(odd.data)
    assert caught.value.reason == odd.reason
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


@pytest.mark.parametrize("odd", [odd for odd in ODD_IMAGES.values() if odd.reason], ids=lambda odd: odd.reason)
def test_what_is_refused_is_not_shown_alike(odd: OddImage) -> None:
    doubtful = odd.data == ODD_IMAGES["JPEG, 6 and 1"].data  # alike in Chromium, but no standard says which one counts
    assert doubtful or load_with_datasets(odd.data) != odd.shown


@pytest.mark.browser
@pytest.mark.skipif(not os.access(CHROMIUM, os.X_OK), reason="needs Debian's chromium")
def test_chromium_shows_what_is_pinned(tmp_path: Path) -> None:
    encoded = {name: b64encode(odd.data).decode() for name, odd in ODD_IMAGES.items()}
    page = tmp_path / "page.html"
    page.write_text(
        "<pre id=shown></pre><script>const images = " + json.dumps(encoded) + """;
        async function show(data) {
          const image = new Image(), start = atob(data.slice(0, 8));
          const kind = start.startsWith('RIFF') ? 'webp' : start.charCodeAt(0) == 255 ? 'jpeg' : 'png';
          await new Promise((done) => {
            image.onload = image.onerror = done;
            image.src = `data:image/${kind};base64,${data}`;
          });
          const width = image.naturalWidth, height = image.naturalHeight;
          if (!width) return 'nothing';
          const context = Object.assign(document.createElement('canvas'), {width, height}).getContext('2d');
          context.drawImage(image, 0, 0, width, height);
          const colour = ([x, y]) => context.getImageData(x, y, 1, 1).data[0] > 150 ? 'R' : 'B';
          const places = [[5, 5], [width - 6, 5], [5, height - 6], [width - 6, height - 6]];
          return `${width}x${height} ${places.map(colour).join('')}`;
        }
        (async () => {
          const shown = {};
          for (const name in images) shown[name] = await show(images[name]);
          document.getElementById('shown').textContent = JSON.stringify(shown);
        })();
        </script>"""
    )  # fmt: skip
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    switches = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=30000", profile, "--dump-dom"]
    done = subprocess.run([CHROMIUM, *switches, page.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r'<pre id="shown">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None
    assert json.loads(unescape(found[1])) == {name: odd.shown for name, odd in ODD_IMAGES.items()}


def test_warnings_of_pillow_do_not_reach_the_terminal() -> None:
    data = jpeg(odd_images.exif(odd_images.tiff(odd_images.orientation(count=2), (305, 2, 400, b"cut off"))))
    code = "import sys; from annotation import images\ntry: images.verify_image(sys.stdin.buffer.read())\n"
    code += "except images.ImageError as error: print(error.reason)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONWARNINGS": "always"}
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, env=environment, check=True)
    assert (done.stdout.split(), done.stderr) == ([b"different_orientation"], b"")


# Files that are made to occupy their reader.


BOMBS: dict[str, Callable[[], bytes]] = {
    "60,000 scans": lambda: odd_images.scan_bomb(1024, 1024, 60_000),
    "1,000 scans of the largest image": lambda: odd_images.scan_bomb(8192, 8192, 1_000),
    "scans behind segments that hold their marker": lambda: jpeg(
        *[segment(0xFE, b"\xff\xda" * 1000)] * 40, base=odd_images.scan_bomb(64, 64, 200)
    ),
    "empty segments": lambda: jpeg(segment(0xFE, b"") * 1_000_000),
    "padding": lambda: jpeg(b"\xff" * 4_000_000),
    "junk between segments": lambda: JPEG[:20] + bytes(4_000_000) + JPEG[20:],
    "empty IDAT chunks": lambda: png(chunk(b"IDAT", b"") * 1_000_000),
    "empty texts": lambda: png(chunk(b"tEXt", b"a\0") * 1_000_000, behind=True),
}


@cache
def make_bomb(name: str) -> bytes:
    return BOMBS[name]()


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("call", [images.inspect_image, images.verify_image, images.decode_image])
def test_a_file_of_very_many_parts_is_refused_at_once(name: str, call: Callable[[bytes], object]) -> None:
    data = make_bomb(name)
    start = time.process_time()
    with pytest.raises(ImageError, match=r"more than [\d,]+ (scans|segments|chunks)") as caught:
        call(data)
    assert caught.value.reason == "too_many_parts"
    assert time.process_time() - start < 5


def test_segments_of_exif_that_pillow_would_join_are_refused() -> None:
    data = jpeg(*[odd_images.exif(bytes(65_000))] * 20)
    with pytest.raises(ImageError) as caught:
        images.inspect_image(data)
    assert caught.value.reason == "bad_exif"


def test_the_scans_of_real_encoders_are_far_from_the_limit() -> None:
    for mode in ("L", "RGB", "CMYK"):
        buffer = BytesIO()
        Image.new(mode, (64, 48)).save(buffer, "JPEG", progressive=True)
        assert buffer.getvalue().count(b"\xff\xda") <= encoded_images.MAX_JPEG_SCANS / 5
    images.verify_image(odd_images.scan_bomb(64, 64, encoded_images.MAX_JPEG_SCANS - 6))


def test_markers_of_scans_in_metadata_and_behind_the_image_are_not_counted() -> None:
    thumbnails = segment(0xE2, b"\xff\xda" * 30_000)
    images.verify_image(jpeg(thumbnails, thumbnails) + b"\xff\xda" * 1_000)


@pytest.mark.parametrize(
    ("start", "named"),
    [
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\xff\x4f\xff\x51\0", "JPEG 2000"),
        (b"\0\0\1\0\1\0", "ICO"),
        (b"8BPS\0\1", "PSD"),
        (b"\x76\x2f\x31\x01\2\0", "OpenEXR"),
        (b"\0\0\2" + bytes(9) + b"\x40\0\x30\0\x18\x20" + b"\1\2\3", "TGA"),
        (b"\0\1\2\3" + bytes(40) + b"TRUEVISION-XFILE.\0", "TGA"),
        (b"P6\n64 48\n255\n\0\1", "PPM"),
        (b"P5 64 48 255\n\0\1", "Netpbm"),
        (b"DDS \x7c\0\0\0", "DDS"),
        (b"\x0a\5\1\x08\0\0", "PCX"),
        (b"PK\3\4\x14\0", "ZIP"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0", "HEIC"),
        (b"\0\0\0\x1cftypisom\0\0\0\0", "video"),
        (b"#?RADIANCE\n", "Radiance"),
        (b"\n" + PNG, "no image"),
        (bytes(64), "no image"),
    ],
)
def test_a_format_is_refused_by_its_name(start: bytes, named: str) -> None:
    assert named in encoded_images.describe_other_format(start)


@pytest.mark.parametrize("kind", ["JPEG2000", "ICO", "TGA", "PPM", "DDS", "PCX", "ICNS", "QOI"])
def test_a_format_that_pillow_writes_is_named(kind: str) -> None:
    buffer = BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, kind)
    with pytest.raises(ImageError) as caught:
        images.inspect_image(buffer.getvalue())
    assert "no image" not in str(caught.value) and "text" not in str(caught.value)
