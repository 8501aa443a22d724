"""The gain of a song."""

from __future__ import annotations

import pytest

from phaselock.model.loudness import Loudness, Song, gain_db, gains_db, parse_choice, tagged_loudness


@pytest.mark.parametrize(
    ("lufs", "peak", "expected_db"),
    [
        (-8.0, 1.2, -8.0),  # a loud song is made quieter, with any peak
        (-23.0, 0.25, 7.0),
        (-23.0, 0.5, 5.0),  # -6.02 dBTP leaves 5.02 dB to -1 dBTP
        (-23.0, 0.99, 0.0),
        (-23.0, 1.4, 0.0),
        (-60.0, 0.001, 12.0),
        (20.0, 4.0, -24.0),
        (-16.0, 0.9, 0.0),
        (None, 0.0, 0.0),
    ],
)
def test_the_gain_of_a_song(lufs: float | None, peak: float, expected_db: float) -> None:
    assert gain_db(Loudness(lufs, peak), -16.0) == expected_db


def test_songs_of_one_album_in_order_share_a_gain() -> None:
    def song(album: str, lufs: float | None, seconds: float = 100, peak: float = 0.5) -> Song:
        return Song(album, seconds, None if lufs is None else Loudness(lufs, peak))

    songs = [song("A", -10), song("A", -20, 300), song("A", None), song("", -10), song("", -12), song("A", -10)]
    album_db = pytest.approx(-16 + 14.9)  # mean energy of 1/4 of -10 and 3/4 of -20
    assert gains_db(songs, -16.0) == [album_db, album_db, album_db, -6.0, -4.0, -6.0]
    assert gains_db([song("A", -30, peak=0.1), song("A", -30, peak=0.8)], -16.0) == [0.9, 0.9]
    assert gains_db([song("A", None), song("", None)], -16.0) == [0, 0]
    assert gains_db([Song("A", 5, Loudness(None, 0.0))] * 2, -16.0) == [0, 0]
    assert gains_db(songs, None) == [0] * 6
    assert gains_db([], -16.0) == []


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("-7.03 dB", "0.988", ""), Loudness(-10.97, 0.988)),
        (("+2.5", "", ""), Loudness(-20.5)),
        (("", "", "-1280"), Loudness(-18.0)),
        (("nan dB", "1", "256"), Loudness(-24.0, 1.0)),
        (("-7 dB", "0", ""), Loudness(-11.0)),
        (("99 dB", "", ""), None),
        (("loud", "1.0", "?"), None),
        (("", "", ""), None),
    ],
)
def test_the_loudness_of_tags(texts: tuple[str, str, str], expected: Loudness | None) -> None:
    found = tagged_loudness(*texts)
    if expected is None or found is None:
        assert found == expected
    else:
        assert found.integrated_lufs == pytest.approx(expected.integrated_lufs)
        assert found.true_peak == expected.true_peak


def test_what_a_user_can_choose() -> None:
    assert [parse_choice(text) for text in ("on", "OFF", "-14", "-30")] == ["on", "off", -14.0, -30.0]
    for text in ("", "-31", "-7.9", "nan", "loud"):
        with pytest.raises(ValueError):
            parse_choice(text)
