"""What the bytes of an encoded image say before anything decodes them: its format, size, parts and orientation.

Pure functions on bytes, without Pillow.  They find what makes a decoder work for minutes, and what browsers and
`datasets` do not show alike.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import Literal, NamedTuple

ImageFormat = Literal["PNG", "JPEG", "WEBP"]

ImageErrorReason = Literal[
    "bad_path", "path_leaves_corpus", "missing_file", "not_a_file", "unreadable_file", "file_too_big", "empty_file",
    "unknown_format", "zero_size", "too_large", "animated", "broken_image", "truncated_images_allowed",
    "bad_exif", "different_orientation", "different_size", "bad_metadata", "not_for_browsers", "too_many_parts",
]  # fmt: skip

ImageProblem = tuple[ImageErrorReason, str]
"""Stable code, and one sentence."""

MAX_JPEG_SCANS = 100
"""Every scan of a JPEG costs a pass over the whole image.  Encoders write about ten (libjpeg 10, mozjpeg and jpegli up
to some twenty); only a file that is made to occupy its reader has hundreds."""

MAX_IMAGE_PARTS = 1 << 15
"""Chunks of a PNG, or segments of a JPEG and stray bytes between them.  Pillow reads each of them in Python; a PNG of
64 MiB has 8192 chunks of the usual 8 KiB."""

MAX_EXIF_BYTES = 1 << 20
"""A segment of a JPEG holds 64 KiB.  Pillow joins several, and copies all that it has for each further one."""

MAX_PNG_TEXT_BYTES = 1 << 20
"""Bytes of one text or colour profile of a PNG that Pillow, and with it `datasets`, decompresses."""

METADATA_ADVICE = "Remove its metadata (exiftool -all= FILE), or save it again without them."

_PNG_START = b"\x89PNG\r\n\x1a\n"
_EXIF_HEADER = b"Exif\0\0"
_ORIENTATION_TEXTS = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0", b"exif\0", b"xmp\0")
"""Keywords of texts of a PNG that Pillow takes for EXIF or XMP."""

_ORIENTATION_TAG, _EXIF_DIRECTORY_TAG = 0x0112, 0x8769
_X_RESOLUTION_TAG, _Y_RESOLUTION_TAG, _RESOLUTION_UNIT_TAG = 0x011A, 0x011B, 0x0128
_PIXEL_WIDTH_TAG, _PIXEL_HEIGHT_TAG = 0xA002, 0xA003
_SHORT, _LONG, _RATIONAL = 3, 4, 5
_INCHES = 2

_OTHER_FORMATS = {  # first bytes of formats that corpora contain by mistake
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "BigTIFF",
    b"MM\0+": "BigTIFF",
    b"%PDF": "PDF",
    b"%!PS": "PostScript",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"icns": "an Apple icon (ICNS)",
    b"8BPS": "Photoshop (PSD)",
    b"\x76\x2f\x31\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
    b"DDS ": "DDS",
    b"qoif": "QOI",
    b"\x8aMNG": "MNG",
    b"gimp xcf": "GIMP (XCF)",
    b"FUJIFILMCCD-RAW": "a camera's raw file",
    b"IIRO": "a camera's raw file",
    b"IIU\0": "a camera's raw file",
    b"PK\3\4": "ZIP",
    b"PK\5\6": "ZIP",
    b"\x1f\x8b": "gzip",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!": "RAR",
    b"\x93NUMPY": "NumPy",
    b"PAR1": "Parquet",
    b"version https://git-lfs": "a Git LFS pointer, not the image itself",
}
_BOXED_FORMATS = {  # brands of files that begin with a box "ftyp"
    b"avif": "AVIF",
    b"avis": "AVIF",
    b"crx ": "a camera's raw file",
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIC"),
    **dict.fromkeys((b"isom", b"iso2", b"avc1", b"mp41", b"mp42", b"qt  ", b"M4V "), "a video"),
}
_OTHER_PATTERNS = {
    rb"\0\0\x01\0[^\0]": "a Windows icon (ICO)",  # a Targa has zeros there
    rb"\0\0\x02\0[^\0]": "a Windows cursor (CUR)",
    rb"P[1-7]\s": "PPM or another Netpbm format",
    rb"P[Ff]\s": "PFM",
    rb"\x0a[\x00\x02-\x05][\x00\x01][\x01\x02\x04\x08]": "PCX",
}
# Targa has no number of its own: colour map or none, a known type, and 8 to 32 bits a pixel.
_TARGA_HEADER = re.compile(
    rb".(?:\x00[\x02\x03\x0a\x0b]\x00{5}|\x01[\x01\x09].{5}).{8}[\x08\x0f\x10\x18\x20]", re.DOTALL
)
_TARGA_END = b"TRUEVISION-XFILE.\0"


def detect_image_format(data: bytes) -> ImageFormat | None:
    """The format by its first bytes; None for all that is not read."""
    if data.startswith(_PNG_START):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    return None


def describe_other_format(data: bytes) -> str:
    """The name of what is no PNG, JPEG or WebP, for a sentence; "no image" where it is unknown.

    >>> describe_other_format(b"GIF89a")
    'GIF'
    """
    head = data[:1024]
    for magic, name in _OTHER_FORMATS.items():
        if head.startswith(magic):
            return name
    if head[4:8] == b"ftyp":
        return _BOXED_FORMATS.get(head[8:12], "HEIC, AVIF or a video")
    for pattern, name in _OTHER_PATTERNS.items():
        if re.match(pattern, head):
            return name
    if b"<svg" in head.lower():
        return "SVG"
    if b"<html" in head.lower():
        return "a web page"
    if head and re.fullmatch(rb"[\t\n\r\x20-\x7e\x80-\xff]*", head):
        return "text"
    return "Targa (TGA)" if data.endswith(_TARGA_END) or _TARGA_HEADER.match(head) else "no image"


def read_declared_size(kind: ImageFormat, data: bytes) -> tuple[int, int]:
    """Width and height in the first header; (1, 1) when it is too short, and for a JPEG, which has them later."""
    try:
        match data[12:16] if kind != "JPEG" else b"":
            case b"IHDR":
                width, height = struct.unpack_from(">II", data, 16)
                return width, height
            case b"VP8X":  # two numbers of 24 bits
                return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
            case b"VP8L":  # a signature byte, then two numbers of 14 bits
                (bits,) = struct.unpack_from("<I", data, 21)
                return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
            case b"VP8 ":  # a frame tag and a start code of three bytes each, then 14 bits a side
                width, height = struct.unpack_from("<HH", data, 26)
                return width & 0x3FFF, height & 0x3FFF
    except struct.error:
        pass
    return 1, 1


def diagnose_image_parts(kind: ImageFormat, data: bytes) -> ImageProblem | None:
    """What makes an image unfit before it is decoded: too many parts, or parts that browsers refuse."""
    if kind == "PNG":
        return _diagnose_png_chunks(data)
    return _diagnose_jpeg_segments(data) if kind == "JPEG" else None


def _iterate_png_chunks(png: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, place of the content and its length, of every chunk up to IEND or the first that is cut."""
    at = len(_PNG_START)
    while at + 8 <= len(png):
        length, name = struct.unpack_from(">I4s", png, at)
        yield name, at + 8, length
        if name == b"IEND":
            return
        at += 12 + length


def _diagnose_png_chunks(png: bytes) -> ImageProblem | None:
    has_pixels = False
    for number, (name, _, _) in enumerate(_iterate_png_chunks(png)):
        if number == MAX_IMAGE_PARTS:
            return _describe_many_parts("PNG", "chunks", MAX_IMAGE_PARTS)
        if name == b"CgBI":
            return "not_for_browsers", (
                "The PNG is in Apple's own form (CgBI), which browsers do not show: export it as a plain PNG."
            )
        has_pixels |= name == b"IDAT"
        known = (b"PLTE", b"IDAT", b"IEND") if number else (b"IHDR",)
        if not has_pixels and name.isalpha() and name[:1].isupper() and name not in known:
            return "not_for_browsers", (
                f"The PNG has a critical chunk {name.decode('ascii')}, which browsers refuse there: save it again."
            )
    return None


_JPEG_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
"""A marker, also after the data of a scan: there FF 00 is the byte FF, D0 to D7 are restarts, FF FF is padding."""


class _JpegSegment(NamedTuple):
    marker: int
    at: int
    length: int
    stray: int
    """Bytes before it that belong to no segment: data of a scan, padding, junk."""


def _iterate_jpeg_segments(jpeg: bytes) -> Iterator[_JpegSegment]:
    """Marker, place of the content and its length, of every segment up to the end of the image."""
    at = 2
    while found := _JPEG_MARKER.search(jpeg, at):
        marker, stray, at = found[1][0], found.start() - at, found.end()
        if marker == 0xD9:
            return
        if marker in (0x01, 0xD8):
            yield _JpegSegment(marker, at, 0, stray)
            continue
        length = max(2, int.from_bytes(jpeg[at : at + 2], "big"))
        yield _JpegSegment(marker, at + 2, length - 2, stray)
        at += length


def _diagnose_jpeg_segments(jpeg: bytes) -> ImageProblem | None:
    scans = exif = parts = 0
    # Two bytes are counted in no time, and never too seldom.
    may_have_many_scans = jpeg.count(b"\xff\xda") > MAX_JPEG_SCANS
    for marker, at, length, stray in _iterate_jpeg_segments(jpeg):
        parts += 1 if scans else 1 + stray
        if parts > MAX_IMAGE_PARTS:
            return _describe_many_parts("JPEG", "segments or stray bytes", MAX_IMAGE_PARTS)
        if marker == 0xE1 and jpeg.startswith(_EXIF_HEADER, at):
            exif += length
            if exif > MAX_EXIF_BYTES:
                return "bad_exif", f"The EXIF of the JPEG has more than {MAX_EXIF_BYTES:,} bytes. {METADATA_ADVICE}"
        if marker == 0xDA:
            scans += 1
            if scans > MAX_JPEG_SCANS:
                return _describe_many_parts("JPEG", "scans", MAX_JPEG_SCANS)
            if not may_have_many_scans:
                return None
    return None


def _describe_many_parts(kind: str, parts: str, limit: int) -> ImageProblem:
    return "too_many_parts", f"The {kind} has more than {limit:,} {parts}, which take long to decode: save it again."


def diagnose_png_metadata(png: bytes) -> ImageProblem | None:
    """What is wrong with text or a colour profile of a PNG that `datasets` cannot open although browsers show it."""
    total = 0
    for name, at, length in _iterate_png_chunks(png):
        if not name[:1].islower() or at + length + 4 > len(png):
            continue
        content, chunk = png[at : at + length], ascii(name.decode("latin-1")).strip("'")
        if zlib.crc32(name + content) != int.from_bytes(png[at + length : at + length + 4], "big"):
            return "bad_metadata", (
                f"The chunk {chunk} of the PNG has a wrong checksum, so `datasets` cannot open it. {METADATA_ADVICE}"
            )
        size = _measure_png_text(name, content)
        total += size
        if size > MAX_PNG_TEXT_BYTES or total > 64 * MAX_PNG_TEXT_BYTES:
            return "bad_metadata", (
                f"The chunk {chunk} of the PNG holds more than {MAX_PNG_TEXT_BYTES:,} bytes of text or colour profile, "
                f"so `datasets` cannot open it. {METADATA_ADVICE}"
            )
    return None


def _measure_png_text(name: bytes, content: bytes) -> int:
    """Bytes of a text or a profile as Pillow counts them; at most one more than it allows where it is compressed."""
    _, _, rest = content.partition(b"\0")
    if name == b"iTXt" and rest[:1] not in (b"", b"\0"):
        packed = rest[2:].split(b"\0", 2)[-1]
    elif name in (b"zTXt", b"iCCP"):
        packed = rest[1:]
    else:
        return len(rest) if name in (b"tEXt", b"iTXt") else 0
    try:
        return len(zlib.decompressobj().decompress(packed, MAX_PNG_TEXT_BYTES + 1))
    except zlib.error:
        return 0


def has_orientation_metadata(png: bytes) -> bool:
    """Whether a chunk of the PNG may hold what Pillow takes for an orientation: EXIF or XMP, also as text."""
    return any(
        name == b"eXIf" or png.startswith(_ORIENTATION_TEXTS, at)
        for name, at, _ in _iterate_png_chunks(png)
        if name in (b"eXIf", b"tEXt", b"zTXt", b"iTXt")
    )


def list_browser_orientations(data: bytes) -> list[int]:
    """The orientations 1 to 8 that browsers may apply to an image: empty for none, more than one where it is unclear.

    Notes
    -----
    Chromium 156, measured: the first EXIF segment of a JPEG, or the first eXIf chunk before the pixels of a PNG; in it
    the tag in the main or the EXIF directory that is one short number. Nothing of a WebP, no XMP, no text.
    """
    values = (round(tag.value) for tag in _list_exif_tags(data) if tag.number == _ORIENTATION_TAG and tag.is_short)
    return sorted({value for value in values if 1 <= value <= 8})


def read_browser_size(data: bytes, width: int, height: int) -> tuple[int, int]:
    """Width and height that Chromium gives to an image of `width` x `height` pixels as stored.

    Notes
    -----
    It shows an image smaller or larger where the EXIF states a resolution and, as the size in pixels, just the size
    that an image of this resolution has at 72 dots an inch.
    """
    tags = {tag.number: tag.value for tag in reversed(_list_exif_tags(data))}
    if tags.get(_RESOLUTION_UNIT_TAG) != _INCHES:
        return width, height
    density = tags.get(_X_RESOLUTION_TAG, 0), tags.get(_Y_RESOLUTION_TAG, 0)
    stated = tags.get(_PIXEL_WIDTH_TAG, 0), tags.get(_PIXEL_HEIGHT_TAG, 0)
    if 0 in density or 0 in stated:
        return width, height
    scaled = tuple(round(72 * side / dots) for side, dots in zip((width, height), density, strict=True))
    return (round(stated[0]), round(stated[1])) if scaled == stated else (width, height)


class _ExifTag(NamedTuple):
    number: int
    value: float
    is_short: bool


def _list_exif_tags(data: bytes) -> list[_ExifTag]:
    """The tags that browsers read: single numbers of the main and the EXIF directory, in their order."""
    match detect_image_format(data):
        case "JPEG":
            tiff = _find_jpeg_exif(data)
        case "PNG":
            tiff = _find_png_exif(data)
        case _:
            return []
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return []
    (at,) = struct.unpack_from(f"{order}I", tiff, 4)
    tags = _read_tiff_directory(tiff, order, at)
    inner = next((round(tag.value) for tag in tags if tag.number == _EXIF_DIRECTORY_TAG), None)
    return tags if inner is None else [*tags, *_read_tiff_directory(tiff, order, inner)]


def _find_jpeg_exif(jpeg: bytes) -> bytes:
    """The TIFF in the first EXIF segment before the pixels that is not empty."""
    for marker, at, length, _ in _iterate_jpeg_segments(jpeg):
        if marker == 0xDA:
            break
        # Browsers take any byte for the second 0.
        if marker == 0xE1 and length > len(_EXIF_HEADER) and jpeg.startswith(_EXIF_HEADER[:-1], at):
            return jpeg[at + len(_EXIF_HEADER) : at + length]
    return b""


def _find_png_exif(png: bytes) -> bytes:
    """The TIFF in the first eXIf chunk before the pixels."""
    for name, at, length in _iterate_png_chunks(png):
        if name == b"IDAT":
            break
        if name == b"eXIf":
            return png[at : at + length]
    return b""


def _read_tiff_directory(tiff: bytes, order: str, at: int) -> list[_ExifTag]:
    if at + 2 > len(tiff):
        return []
    (count,) = struct.unpack_from(f"{order}H", tiff, at)
    tags = []
    for entry in range(at + 2, min(at + 2 + 12 * count, len(tiff) - 11), 12):
        tag, kind, number, long = struct.unpack_from(f"{order}HHII", tiff, entry)
        value: float = long
        if kind == _SHORT:
            (value,) = struct.unpack_from(f"{order}H", tiff, entry + 8)
        elif kind == _RATIONAL and long + 8 <= len(tiff):
            above, below = struct.unpack_from(f"{order}II", tiff, long)
            value = above / below if below else 0.0
        elif kind != _LONG:
            continue
        if number == 1:
            tags.append(_ExifTag(tag, value, kind == _SHORT))
    return tags
