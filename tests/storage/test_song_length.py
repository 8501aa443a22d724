"""The length that the headers of music files tell."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.storage.song_length import song_seconds
from tests.support import mp3
from tests.support.flac import aiff, flac, wav

RATE_HZ = 44_100


def seconds_of(data: bytes) -> float | None:
    return song_seconds(io.BytesIO(data))  # type: ignore[arg-type]  # it only reads and seeks


def test_an_mp3_with_the_number_of_its_packets() -> None:
    data = mp3.encode(frames=RATE_HZ)
    assert seconds_of(data) == pytest.approx(1.0, abs=0.1)
    assert seconds_of(b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + data) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(("rate_hz", "channels", "kbps"), [(44_100, 2, 128), (48_000, 1, 64), (22_050, 2, 64)])
def test_an_mp3_by_its_bit_rate(rate_hz: int, channels: int, kbps: int) -> None:
    data = b"".join(mp3.packets(rate_hz, channels, 2 * rate_hz, kbps))
    assert seconds_of(data) == pytest.approx(2.0, abs=0.2)
    assert seconds_of(b"\xff\xfb\x90\x00 no packet" + data) == pytest.approx(2.0, abs=0.2)


def test_a_flac() -> None:
    assert seconds_of(flac([0] * 2 * RATE_HZ, 2, RATE_HZ)) == 1.0
    assert seconds_of(flac([0] * 2000, 2, RATE_HZ, frames=0)) == 0.0


def test_uncompressed_files() -> None:
    assert seconds_of(wav(bytes(4 * RATE_HZ), 2, RATE_HZ, 16)) == 1.0
    assert seconds_of(aiff(bytes(2 * RATE_HZ), 1, 16)) == 1.0


def test_other_files_are_no_music() -> None:
    assert seconds_of(b"") is None
    assert seconds_of(b"Dear diary, " * 1000) is None
    assert seconds_of(bytes(40_000)) is None


@given(
    st.sampled_from([b"", b"fLaC", b"RIFF    WAVEfmt ", b"FORM    AIFFCOMM", b"\xff\xfb\x90"]), st.binary(max_size=200)
)
def test_any_bytes_are_read(beginning: bytes, rest: bytes) -> None:
    found = seconds_of(beginning + rest)
    assert found is None or 0 <= found <= 1e6
