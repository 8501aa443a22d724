"""The gain of a song."""

from __future__ import annotations

import pytest

from phaselock.model.loudness import Loudness, Song, Tagged, gain_db, gains_db, parse_choice, tagged_loudness


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
        return Song(Tagged(album), seconds, None if lufs is None else Loudness(lufs, peak))

    songs = [song("A", -10), song("A", -20, 300), song("A", None), song("", -10), song("", -12), song("A", -10)]
    album_db = pytest.approx(-16 + 14.9)  # mean energy of 1/4 of -10 and 3/4 of -20
    assert gains_db(songs, -16.0) == [album_db, album_db, album_db, -6.0, -4.0, -6.0]
    assert gains_db([song("A", -30, peak=0.1), song("A", -30, peak=0.8)], -16.0) == [0.9, 0.9]
    assert gains_db([song("A", None), song("", None)], -16.0) == [0, 0]
    assert gains_db([Song(Tagged("A"), 5, Loudness(None, 0.0))] * 2, -16.0) == [0, 0]
    assert gains_db(songs, None) == [0] * 6
    assert gains_db([], -16.0) == []


def test_an_album_that_is_not_in_its_order_has_no_common_gain() -> None:
    def gains(*places: tuple[int, int] | None, album: str = "A") -> list[float]:
        return gains_db(
            [Song(Tagged(album, place), 100, Loudness(-10.0 - 2 * k)) for k, place in enumerate(places)], -16
        )

    assert len(set(gains((1, 1), (1, 2), (1, 5), (2, 1)))) == 1, "tracks may be missing"
    assert len(set(gains((1, 1), None, (1, 1)))) == 1, "tags without numbers"
    assert gains((1, 2), (1, 1)) == [-6, -4]
    assert gains((1, 1), (1, 1)) == [-6, -4]
    assert len(set(gains((1, 1), (1, 3), (1, 2), (1, 4)))) == 2
    assert gains((1, 1), (1, 2), album="") == [-6, -4]


def test_tags_of_the_album_count_until_all_its_songs_are_measured() -> None:
    def song(number: int, measured: float | None, tagged: float | None = -12.0, album: float | None = -14.0) -> Song:
        known = [None if lufs is None else Loudness(lufs, 1.0) for lufs in (tagged, album, measured)]
        return Song(Tagged("A", (1, number), known[0], known[1]), 100, known[2])

    assert gains_db([song(1, None), song(2, None)], -16) == [-2, -2]
    assert gains_db([song(1, -10), song(2, None)], -16) == [-2, -2]
    assert gains_db([song(1, -10), song(2, -10)], -16) == [-6, -6]
    assert gains_db([song(1, None, album=None), song(2, None)], -16) == [-2, -2], "one tag is enough"
    assert gains_db([song(1, None, album=None), song(2, None, album=None)], -16) == [-4, -4]
    assert gains_db([song(1, None)], -16) == [-4], "a single song has its own gain"
    assert gains_db([song(1, None, tagged=None)], -16) == [-2], "or that of its album, if nothing else is known"
    assert gains_db([song(1, -10)], -16) == [-6]
    quiet = Song(Tagged("A", (1, 1), None, Loudness(-30.0, 0.5)), 100, None)
    assert gains_db([quiet, quiet], -16) == [5, 5], "the peak limits it: -6.02 dBTP leaves 5.02 dB"


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
