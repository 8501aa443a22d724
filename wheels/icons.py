"""Draw the program icon for installers: icon.png, icon.ico (Windows), icon.icns (macOS), and icon-SIZE.png (Linux).

usage: python wheels/icons.py FOLDER
"""

from __future__ import annotations

import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from phaselock.ui.widgets import logo  # noqa: E402

PNG_SIZES = (16, 32, 48, 64, 128, 256, 512)
ICO_SIZES = (256, 48, 32, 16)
ICNS_KINDS = {b"ic07": 128, b"ic08": 256, b"ic09": 512}


def main(folder: pathlib.Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pngs = {size: logo.icon_png(size) for size in {*PNG_SIZES, *ICO_SIZES, *ICNS_KINDS.values()}}
    for size in PNG_SIZES:
        (folder / f"icon-{size}.png").write_bytes(pngs[size])
    (folder / "icon.png").write_bytes(pngs[256])

    # Both are containers of PNGs: https://en.wikipedia.org/wiki/ICO_(file_format) and Apple_Icon_Image_format.
    ico, at = struct.pack("<HHH", 0, 1, len(ICO_SIZES)), 6 + 16 * len(ICO_SIZES)
    for size in ICO_SIZES:
        ico += struct.pack("<BBBBHHII", size % 256, size % 256, 0, 0, 1, 32, len(pngs[size]), at)
        at += len(pngs[size])
    (folder / "icon.ico").write_bytes(ico + b"".join(pngs[size] for size in ICO_SIZES))
    icns = b"".join(kind + struct.pack(">I", 8 + len(pngs[size])) + pngs[size] for kind, size in ICNS_KINDS.items())
    (folder / "icon.icns").write_bytes(b"icns" + struct.pack(">I", 8 + len(icns)) + icns)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
