"""Decode the cover of a track and scale it. Pillow decodes; the picture is untrusted, so its format and its size are
checked before. Everything here blocks: it takes up to some 100 ms, and about 50 MB of memory for the largest picture.

`main` is the process that app/cover_decoder.py starts. For each picture it reads REQUEST and the picture, and writes
REPLY and what `scaled` returns. It ends when its input ends.
"""

from __future__ import annotations

import faulthandler
import io
import os
import struct
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_SCANS = 64
"""Limit of the scans of a JPEG: each one is decoded over the whole picture. Usual progressive files have about ten."""
MAX_PIXELS = 12_000_000
"""Limit of a picture: music shops sell covers of up to 3000 by 3000."""
MAX_SIZE = 2048
"""Limit of the size that can be asked for, in pixels."""
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
MAX_PPM_BYTES = 3 * MAX_SIZE * MAX_SIZE + 32
"""Limit of what `scaled` returns."""
REQUEST = struct.Struct("<II?")
"""Length of the picture, and `size` and `crop` of `scaled`."""
REPLY = struct.Struct("<I")
"""Length of the PPM file; 0: the picture cannot be shown."""
TIMEOUT_S = 10.0
"""A picture that takes longer ends the process."""
_NICENESS = 10
"""Added to the niceness of the process: songs are decoded first."""
_GROUND = (0x18, 0x18, 0x18)
"""Behind transparent parts: the colour of the window's panels."""


def scaled(data: bytes, size: int, *, crop: bool) -> bytes | None:
    """Decode a picture. A PPM file (RGB) of which the longer side has `size` pixels; `crop`: its middle as a square of
    `size` by `size`. None if it cannot be shown. Never raises."""
    from PIL import Image  # imported late: it costs 3 to 6 MB of memory

    size = min(max(size, 1), MAX_SIZE)
    Image.MAX_IMAGE_PIXELS = None  # Pillow would print a warning; MAX_PIXELS is lower
    try:
        if data.startswith(b"\xff\xd8") and data.count(b"\xff\xda") > MAX_SCANS:
            return None
        if _webp_pixels(data) > MAX_PIXELS:  # Pillow allocates the picture when it opens the file
            return None
        with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
            if not 0 < picture.width * picture.height <= MAX_PIXELS:
                return None
            small = _resized(picture, size, crop)
        return b"P6 %d %d 255\n" % small.size + small.tobytes()
    except Exception:  # untrusted data: decoders raise many types
        return None


def _resized(picture: Image, size: int, crop: bool) -> Image:
    from PIL import Image

    picture.draft("RGB", (2 * size, 2 * size))  # a JPEG is decoded at a half, a quarter or an eighth of its size
    width, height = picture.size
    longer, shorter = max(width, height), min(width, height)
    box, target = (0.0, 0.0, float(width), float(height)), (size, size)
    if crop:
        left, top = (width - shorter) / 2, (height - shorter) / 2
        box = (left, top, left + shorter, top + shorter)
    else:
        target = max(round(width * size / longer), 1), max(round(height * size / longer), 1)
    transparent = picture.has_transparency_data
    mode = "RGBA" if transparent else "RGB"
    plain = picture if picture.mode == mode else picture.convert(mode)
    small = plain.resize(target, Image.Resampling.LANCZOS, box=box, reducing_gap=2.0)
    if transparent:
        ground = Image.new("RGBA", small.size, (*_GROUND, 255))
        ground.alpha_composite(small)
        small = ground.convert("RGB")
    return small


def _webp_pixels(data: bytes) -> int:
    """The pixels that the header of a WebP file states; 0: it is another file."""
    if len(data) < 30 or data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return 0
    if data[12:16] == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    elif data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    return width * height


def main() -> None:
    """Answer the requests of standard input."""
    if hasattr(os, "nice"):  # on Windows the parent sets the priority
        os.nice(_NICENESS)
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    with open(os.devnull, "wb") as nowhere:
        while len(request := requests.read(REQUEST.size)) == REQUEST.size:
            length, size, crop = REQUEST.unpack(request)
            data = requests.read(length)
            # Its thread ends the process even if a decoder never returns.
            faulthandler.dump_traceback_later(TIMEOUT_S, exit=True, file=nowhere)
            ppm = scaled(data, size, crop=crop) or b""
            faulthandler.cancel_dump_traceback_later()
            replies.write(REPLY.pack(len(ppm)) + ppm)
            replies.flush()


if __name__ == "__main__":
    main()
