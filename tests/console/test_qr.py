"""QR codes in a terminal."""

from __future__ import annotations

import pathlib

import pytest

from phaselock.console.qr import qr_lines
from tests.support import qr_reader

LINK = "http://192.168.1.20:17403/#abcdefghijklmnopqrstuv"


def test_a_code_is_drawn_where_it_fits() -> None:
    import segno

    lines = qr_lines(LINK, 80)
    dark = segno.make(LINK, error="l", micro=False).matrix
    light = [
        [half for character in line for half in [character in "█▀"]] if upper else [c in "█▄" for c in line]
        for line in lines
        for upper in (True, False)
    ]
    assert [row[2:-2] for row in light[2 : 2 + len(dark)]] == [[not one for one in row] for row in dark]
    assert all(all(row) for row in (light[0], light[1], light[-1]))


@pytest.mark.slow
@pytest.mark.skipif(bool(qr_reader.unavailable()), reason=qr_reader.unavailable())
def test_a_decoder_reads_the_code(tmp_path: pathlib.Path) -> None:
    assert qr_reader.read_terminal(qr_lines(LINK, 80), tmp_path) == LINK


def test_a_narrow_terminal_and_a_file_get_none() -> None:
    assert qr_lines(LINK, 30) == qr_lines(LINK, 0) == []
