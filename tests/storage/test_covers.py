import io
import struct
import zlib
from typing import Any

import pytest
from PIL import Image

from phaselock.storage.covers import MAX_PIXELS, scaled


def picture(format_name: str, size: tuple[int, int], mode: str = "RGB", **options: Any) -> bytes:
    file = io.BytesIO()
    colour: Any = {"RGB": (32, 128, 192), "L": 90, "P": 3, "CMYK": (9, 9, 9, 9), "RGBA": (255, 255, 255, 0)}[mode]
    Image.new(mode, size, colour).save(file, format_name, **options)
    return file.getvalue()


def opened(ppm: bytes | None) -> Image.Image:
    assert ppm is not None
    return Image.open(io.BytesIO(ppm))


@pytest.mark.parametrize(
    ("format_name", "mode", "options"),
    [
        ("JPEG", "RGB", {}),
        ("JPEG", "L", {}),
        ("JPEG", "CMYK", {}),
        ("JPEG", "RGB", {"progressive": True}),
        ("PNG", "RGB", {}),
        ("PNG", "P", {}),
        ("WEBP", "RGB", {}),
        ("WEBP", "RGB", {"lossless": True}),
        ("GIF", "P", {}),
    ],
)
def test_every_kind_of_cover_fills_its_square(format_name: str, mode: str, options: dict[str, Any]) -> None:
    for size in ((300, 300), (1000, 400), (50, 70), (1, 1)):
        data = picture(format_name, size, mode, **options)
        whole, middle = opened(scaled(data, 260, crop=False)), opened(scaled(data, 40, crop=True))
        assert max(whole.size) == 260 and middle.size == (40, 40)
        assert abs(whole.width * size[1] - whole.height * size[0]) <= max(size)  # the shape stays


def test_a_crop_is_the_middle() -> None:
    stripes = Image.new("RGB", (300, 100), "#FF0000")
    stripes.paste((0, 255, 0), (100, 0, 200, 100))
    file = io.BytesIO()
    stripes.save(file, "PNG")
    middle = opened(scaled(file.getvalue(), 100, crop=True))
    assert middle.getpixel((5, 50)) == middle.getpixel((94, 50)) == (0, 255, 0)


def test_transparent_parts_have_the_colour_of_the_panel() -> None:
    assert opened(scaled(picture("PNG", (64, 64), "RGBA"), 32, crop=True)).getpixel((9, 9)) == (24, 24, 24)
    assert opened(scaled(picture("WEBP", (64, 64), "RGBA"), 32, crop=True)).getpixel((9, 9)) == (24, 24, 24)


def bombs() -> dict[str, bytes]:
    side = 60_000
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    large = (MAX_PIXELS // 4000 + 1, 4000)
    edge = (16_383 - 1).to_bytes(3, "little")
    webp = b"RIFF" + struct.pack("<I", 4000) + b"WEBPVP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + edge + edge
    return {
        "empty": b"",
        "jpeg that ends": b"\xff\xd8\xff\xe0 a JPEG that ends",
        "png that ends": picture("PNG", (300, 300))[:60],
        "png of zeros": b"\x89PNG\r\n\x1a\n" + bytes(40),
        "png bomb": png + bytes(60),
        "gif bomb": b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + bytes(300),
        "webp bomb": webp + bytes(300),
        "too many pixels": picture("PNG", large, "L"),
        "other formats": picture("BMP", (9, 9)),
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    }


@pytest.mark.parametrize("name", bombs())
def test_what_is_no_cover_costs_nothing(name: str) -> None:
    resource = pytest.importorskip("resource")
    data = bombs()[name]
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert scaled(data, 260, crop=False) is None
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 20_000


def test_a_broken_picture_ends_quietly() -> None:
    data = picture("WEBP", (200, 200))
    for at in range(0, len(data), 7):
        scaled(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :], 40, crop=True)


def test_a_jpeg_of_many_scans_is_not_decoded() -> None:
    """Each scan is a pass over the whole picture: a file of 100 kB kept a processor busy for minutes."""
    data = picture("JPEG", (64, 64), progressive=True)
    assert scaled(data, 32, crop=True) is not None
    scan = data[data.rindex(b"\xff\xda") : -2]
    assert scaled(data[:-2] + scan * 100 + data[-2:], 32, crop=True) is None
