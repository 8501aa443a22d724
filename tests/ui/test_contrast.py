"""The contrast of every pair of colours that the window shows, by the formula of WCAG 2.2."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from phaselock.ui import theme
from phaselock.ui.widgets.chip import fill_of

SURFACES = ("BACKGROUND", "SURFACE", "ELEVATED")
TEXTS = [
    *((text, ground) for text in ("TEXT", "TEXT_SECONDARY", "FAINT", "ERROR_TEXT", "WARNING") for ground in SURFACES),
    *(("PRIMARY", ground) for ground in SURFACES),  # the title of the song that plays
    *(("ON_PRIMARY", ground) for ground in ("PRIMARY", "PRIMARY_HOVER", "PRIMARY_PRESSED")),
    *(("TEXT", ground) for ground in ("RAISED", "GRID", "ERROR", "ERROR_HOVER", "ERROR_PRESSED")),
    ("BACKGROUND", "TEXT_SECONDARY"),  # a selection in an entry
]
"""Text and ground."""
DRAWINGS = [
    *((part, ground) for part in ("REST", "PRIMARY", "WARNING", "ERROR", "FOCUS") for ground in SURFACES),
    *((machine, "SURFACE") for machine in theme.MACHINES),
]
"""Part of a drawing and ground: bars, dots, rings, lines of a plot. The grid of a plot is decoration."""


def luminance(colour: str) -> float:
    shares = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def colour(name: str) -> str:
    return name if name.startswith("#") else str(getattr(theme, name))


@pytest.fixture(params=[False, True], ids=["usual", "high contrast"])
def high(request: pytest.FixtureRequest) -> Iterator[bool]:
    theme.set_high_contrast(request.param)
    yield request.param
    theme.set_high_contrast(False)


def test_black_and_white() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)


def test_texts_can_be_read(high: bool) -> None:
    least = 7.0 if high else 4.5
    weak = {pair: contrast(*map(colour, pair)) for pair in TEXTS if not pair[1].startswith(("ERROR", "GRID"))}
    assert {pair: ratio for pair, ratio in weak.items() if ratio < least} == {}
    assert {pair: ratio for pair in TEXTS if (ratio := contrast(*map(colour, pair))) < 4.5} == {}


def test_drawings_can_be_seen(high: bool) -> None:
    assert {pair: ratio for pair in DRAWINGS if (ratio := contrast(*map(colour, pair))) < 3} == {}


@pytest.mark.parametrize("name", ["TEXT", "TEXT_SECONDARY", "WARNING", "ERROR_TEXT"])
@pytest.mark.parametrize("ground", SURFACES)
def test_chips_can_be_read(high: bool, name: str, ground: str) -> None:
    assert contrast(colour(name), fill_of(colour(name), colour(ground))) >= 4.5
