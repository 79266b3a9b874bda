"""Images whose metadata browsers and Pillow may understand differently, and what Chromium 156 shows of each.

Every image is blue, 64 x 48 pixels as stored, with a red square at the top left.
"""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import NamedTuple

from PIL import Image, ImageDraw

AS_STORED, TURNED, NOTHING = "64x48 RBBB", "48x64 BRBB", "nothing"
"""Width, height, and the colours of the corners: top left, top right, bottom left, bottom right."""

ORIENTATION, SHORT, LONG, RATIONAL = 0x0112, 3, 4, 5

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)

Entry = tuple[int, int, int, bytes]


class OddImage(NamedTuple):
    """An image, what Chromium shows of it, and the reason for which it is refused ("" where all show the same)."""

    data: bytes
    shown: str
    reason: str = ""


def encode(kind: str, **options: object) -> bytes:
    image = Image.new("RGB", (64, 48), "blue")
    ImageDraw.Draw(image).rectangle((0, 0, 15, 15), "red")
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(*entries: Entry, order: str = "<") -> bytes:
    """A TIFF of one directory."""
    after = 8 + 2 + 12 * len(entries) + 4
    body, values = struct.pack(f"{order}H", len(entries)), b""
    for tag, kind, count, value in entries:
        body += struct.pack(f"{order}HHI", tag, kind, count)
        if len(value) > 4:
            body += struct.pack(f"{order}I", after + len(values))
            values += value
        else:
            body += value.ljust(4, b"\0")
    start = b"II" if order == "<" else b"MM"
    return start + struct.pack(f"{order}HI", 42, 8) + body + bytes(4) + values


def orientation(value: int = 6, kind: int = SHORT, count: int = 1, order: str = "<") -> Entry:
    numbers = {SHORT: [value], LONG: [value], RATIONAL: [value, 1]}[kind] * count
    return ORIENTATION, kind, count, struct.pack(order + ("H" if kind == SHORT else "I") * len(numbers), *numbers)


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def exif(content: bytes) -> bytes:
    return segment(0xE1, b"Exif\0\0" + content)


JPEG, PNG, WEBP = encode("JPEG", quality=95), encode("PNG"), encode("WEBP", lossless=True)
UPRIGHT_SIX = tiff(orientation())


def jpeg(*segments: bytes, base: bytes = JPEG) -> bytes:
    return base[:2] + b"".join(segments) + base[2:]


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(*chunks: bytes, behind: bool = False) -> bytes:
    at = len(PNG) - 12 if behind else 33
    return PNG[:at] + b"".join(chunks) + PNG[at:]


def profile_text(content: bytes) -> bytes:
    return b"Raw profile type exif\0\nexif\n%8d\n" % len(content) + content.hex().encode() + b"\n"


def half_size() -> bytes:
    """EXIF that says: 144 dots an inch, and half of the pixels."""
    double = struct.pack("<II", 144, 1)
    directory = 8 + 2 + 4 * 12 + 4 + 2 * len(double)
    outer = tiff(
        (0x011A, RATIONAL, 1, double),
        (0x011B, RATIONAL, 1, double),
        (0x0128, SHORT, 1, struct.pack("<H", 2)),
        (0x8769, LONG, 1, struct.pack("<I", directory)),
    )
    inner = tiff((0xA002, LONG, 1, struct.pack("<I", 32)), (0xA003, LONG, 1, struct.pack("<I", 24)))[8:]
    return outer + inner


XMP_SEGMENT = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP)
IN_EXIF_DIRECTORY = tiff((0x8769, LONG, 1, struct.pack("<I", 26))) + UPRIGHT_SIX[8:]

ALIKE = {
    "JPEG, little endian": OddImage(jpeg(exif(UPRIGHT_SIX)), TURNED),
    "JPEG, big endian": OddImage(jpeg(exif(tiff(orientation(order=">"), order=">"))), TURNED),
    "JPEG, tag after another": OddImage(jpeg(exif(tiff((305, 2, 4, b"abc\0"), orientation()))), TURNED),
    "JPEG, first of two segments turned": OddImage(jpeg(exif(UPRIGHT_SIX), exif(tiff(orientation(1)))), TURNED),
    "JPEG, second of two segments turned": OddImage(jpeg(exif(tiff(orientation(1))), exif(UPRIGHT_SIX)), AS_STORED),
    "JPEG, empty segment first": OddImage(jpeg(exif(b""), exif(UPRIGHT_SIX)), TURNED),
    "JPEG, garbage": OddImage(jpeg(exif(b"garbage!")), AS_STORED),
    "JPEG, garbage first": OddImage(jpeg(exif(b"garbage!garbage"), exif(UPRIGHT_SIX)), AS_STORED),
    "JPEG, XMP and EXIF disagree": OddImage(jpeg(exif(tiff(orientation(1))), XMP_SEGMENT), AS_STORED),
    "JPEG, directory cut": OddImage(jpeg(exif(UPRIGHT_SIX[:22])), TURNED),
    "JPEG, directory elsewhere": OddImage(jpeg(exif(UPRIGHT_SIX[:4] + struct.pack("<I", 4000))), AS_STORED),
    "JPEG, 0 is none": OddImage(jpeg(exif(tiff(orientation(0)))), AS_STORED),
    "JPEG, 9 is none": OddImage(jpeg(exif(tiff(orientation(9)))), AS_STORED),
    "PNG, eXIf": OddImage(png(chunk(b"eXIf", UPRIGHT_SIX)), TURNED),
    "PNG, unknown critical chunk behind the pixels": OddImage(png(chunk(b"ABCD", b"x"), behind=True), AS_STORED),
    "WebP, XMP without orientation": OddImage(encode("WEBP", xmp=XMP.replace(b"Orientation", b"Make")), AS_STORED),
}
TURNED_FOR_DATASETS_ONLY = {
    "JPEG, LONG": jpeg(exif(tiff(orientation(kind=LONG)))),
    "JPEG, RATIONAL": jpeg(exif(tiff(orientation(kind=RATIONAL)))),
    "JPEG, count 2": jpeg(exif(tiff(orientation(count=2)))),
    "JPEG, doubled header": jpeg(exif(b"Exif\0\0" + UPRIGHT_SIX)),
    "JPEG, XMP": jpeg(XMP_SEGMENT),
    "PNG, eXIf behind the pixels": png(chunk(b"eXIf", UPRIGHT_SIX), behind=True),
    "PNG, eXIf with a header": png(chunk(b"eXIf", b"Exif\0\0" + UPRIGHT_SIX)),
    "PNG, LONG": png(chunk(b"eXIf", tiff(orientation(kind=LONG)))),
    "PNG, second of two": png(chunk(b"eXIf", tiff(orientation(1))), chunk(b"eXIf", UPRIGHT_SIX)),
    "PNG, profile as text": png(chunk(b"tEXt", profile_text(b"Exif\0\0" + UPRIGHT_SIX))),
    "PNG, profile as text behind": png(chunk(b"tEXt", profile_text(b"Exif\0\0" + UPRIGHT_SIX)), behind=True),
    "PNG, text called exif": png(chunk(b"tEXt", b"exif\0" + UPRIGHT_SIX)),
    "PNG, XMP": png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)),
    "PNG, XMP behind": png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP), behind=True),
    "WebP, EXIF": encode("WEBP", lossless=True, exif=b"Exif\0\0" + UPRIGHT_SIX),
    "WebP, bare EXIF": encode("WEBP", lossless=True, exif=UPRIGHT_SIX),
    "WebP, XMP": encode("WEBP", lossless=True, xmp=XMP),
}
TURNED_FOR_BROWSERS_ONLY = {
    "JPEG, header with another end": jpeg(segment(0xE1, b"Exif\0\1" + UPRIGHT_SIX)),
    "JPEG, in the EXIF directory": jpeg(exif(IN_EXIF_DIRECTORY)),
    "JPEG, 9 and 6": jpeg(exif(tiff(orientation(9), orientation(6)))),
    "PNG, first of two": png(chunk(b"eXIf", UPRIGHT_SIX), chunk(b"eXIf", tiff(orientation(1)))),
}
BIG = zlib.compress(b"x" * (2**20 + 1))
REFUSED_BY_DATASETS = {
    "PNG, eXIf garbage": ("bad_exif", png(chunk(b"eXIf", b"garbage!"))),
    "PNG, eXIf of zeros": ("bad_exif", png(chunk(b"eXIf", bytes(40)), behind=True)),
    "PNG, profile text garbage": ("bad_exif", png(chunk(b"tEXt", b"Raw profile type exif\0\n\n\n\nno hex"))),
    "PNG, text called xmp": ("bad_exif", png(chunk(b"tEXt", b"xmp\0text"))),
    "WebP, EXIF garbage": ("bad_exif", encode("WEBP", lossless=True, exif=b"garbage!")),
    "PNG, big zTXt": ("bad_metadata", png(chunk(b"zTXt", b"workflow\0\0" + BIG))),
    "PNG, big iTXt": ("bad_metadata", png(chunk(b"iTXt", b"workflow\0\1\0\0\0" + BIG), behind=True)),
    "PNG, big profile": ("bad_metadata", png(chunk(b"iCCP", b"icc\0\0" + BIG))),
    "PNG, wrong CRC of a text": ("bad_metadata", png(chunk(b"tEXt", b"a\0b")[:-1] + b"\0")),
    "PNG, wrong CRC of EXIF": ("bad_metadata", png(chunk(b"eXIf", UPRIGHT_SIX)[:-1] + b"\0")),
}
NOT_REWRITTEN = {  # tags that Pillow reads and cannot write; with orientation 6, which browsers apply
    "XResolution as text": (0x011A, 2, 4, b"72\0\0"),
    "XResolution as bytes": (0x011A, 1, 4, b"\1\2\3\4"),
    "Software as RATIONAL": (0x0131, 5, 1, struct.pack("<II", 1, 2)),
    "ResolutionUnit as text": (0x0128, 2, 2, b"2\0"),
}
CGBI = PNG[:8] + chunk(b"CgBI", b"\x50\0\x20\2") + PNG[8:]

ODD_IMAGES: dict[str, OddImage] = {
    **ALIKE,
    **{name: OddImage(data, AS_STORED, "different_orientation") for name, data in TURNED_FOR_DATASETS_ONLY.items()},
    **{name: OddImage(data, TURNED, "different_orientation") for name, data in TURNED_FOR_BROWSERS_ONLY.items()},
    **{name: OddImage(data, AS_STORED, reason) for name, (reason, data) in REFUSED_BY_DATASETS.items()},
    **{
        f"JPEG, {name}": OddImage(jpeg(exif(tiff(*sorted((entry, orientation()))))), TURNED, "bad_exif")
        for name, entry in NOT_REWRITTEN.items()
    },
    "JPEG, 6 and 1": OddImage(jpeg(exif(tiff(orientation(6), orientation(1)))), TURNED, "different_orientation"),
    "JPEG, half size": OddImage(jpeg(exif(half_size())), "32x24 RBBB", "different_size"),
    "PNG of Apple": OddImage(CGBI, NOTHING, "not_for_browsers"),
    "PNG, unknown critical chunk": OddImage(png(chunk(b"ABCD", b"x")), NOTHING, "not_for_browsers"),
    "PNG, second header": OddImage(png(PNG[8:33]), NOTHING, "not_for_browsers"),
}


def describe_corners(image: Image.Image) -> str:
    """The form of `AS_STORED`."""
    rgb = image.convert("RGB")
    right, below = rgb.width - 6, rgb.height - 6
    pixels = [rgb.getpixel(place) for place in ((5, 5), (right, 5), (5, below), (right, below))]
    return f"{rgb.width}x{rgb.height} {''.join('R' if red > 150 else 'B' for red, _, _ in pixels)}"  # type: ignore[misc]


def scan_bomb(width: int, height: int, scans: int) -> bytes:
    """A progressive JPEG with scans of some bytes, each of which costs its reader a pass over the image."""
    buffer = BytesIO()
    Image.new("L", (width, height), 128).save(buffer, "JPEG", progressive=True)
    base = buffer.getvalue()
    code_of_end = segment(0xC4, b"\x10" + bytes([1, *[0] * 15]) + b"\xe0")  # one code: up to 32767 blocks end
    runs = -(-((width + 7) // 8 * ((height + 7) // 8)) // 32767)
    bits = "011111111111111" * runs
    bits += "1" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    component = base[base.index(b"\xff\xc2") + 10]
    scan = segment(0xDA, bytes([1, component, 0, 1, 63, 0])) + data
    return base[:-2] + code_of_end + scan * scans + b"\xff\xd9"
