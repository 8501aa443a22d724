"""QR codes."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from tests.support import qr_reader

pytestmark = pytest.mark.gui

TEXT = "phaselock://192.168.1.42:17401/482913"
FINDER = ("1111111", "1000001", "1011101", "1011101", "1011101", "1000001", "1111111")


@pytest.mark.parametrize("contrast", [False, True])
def test_a_code_is_dark_on_white_with_a_quiet_zone(window: Any, contrast: bool) -> None:
    from phaselock.ui import theme
    from phaselock.ui.widgets.qr import QUIET_ZONE, qr_image

    theme.set_high_contrast(contrast)
    try:
        picture = qr_image(TEXT, 232)
        side = picture.width()
        scale = side // (29 + 2 * QUIET_ZONE)
        assert picture.height() == side == scale * (29 + 2 * QUIET_ZONE) and 232 - 37 < side <= 232

        def dark(x: int, y: int) -> bool:
            colours = {picture.get(x * scale + at, y * scale + at) for at in (0, scale - 1)}
            assert colours in ({(0, 0, 0)}, {(255, 255, 255)})
            return colours == {(0, 0, 0)}

        count = side // scale
        frame = [(x, y) for x in range(count) for y in range(count) if not 4 <= min(x, y, count - 1 - x, count - 1 - y)]
        assert not any(dark(x, y) for x, y in frame)
        for left, top in ((4, 4), (count - 11, 4), (4, count - 11)):
            assert [[dark(left + x, top + y) for x in range(7)] for y in range(7)] == [
                [mark == "1" for mark in line] for line in FINDER
            ]
    finally:
        theme.set_high_contrast(False)


@pytest.mark.slow
@pytest.mark.skipif(bool(qr_reader.unavailable()), reason=qr_reader.unavailable())
@pytest.mark.parametrize("text", [TEXT, "http://192.168.1.20:17403/#Xz_09-abcdefghijklmnop"])
def test_a_decoder_reads_the_code(window: Any, text: str, tmp_path: pathlib.Path) -> None:
    from phaselock.ui.widgets.qr import qr_image

    qr_image(text, 232).write(tmp_path / "code.png", format="png")
    assert qr_reader.read_picture(tmp_path / "code.png") == text


def test_a_long_text_has_at_least_one_pixel_for_each_module(window: Any) -> None:
    from phaselock.ui.widgets.qr import qr_image

    assert qr_image("x" * 400, 10).width() > 60
