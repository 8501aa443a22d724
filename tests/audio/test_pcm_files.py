from __future__ import annotations

import array
import contextlib
import math
import os
import pathlib
import random
import re
import struct
from collections.abc import Sequence

import hypothesis
import hypothesis.strategies as st
import pytest

from phaselock.audio.formats.base import CHANNELS, FRAME_BYTES, Music
from phaselock.audio.music import inspect
from phaselock.errors import PhaseLockError
from phaselock.model.file_kinds import OtherSoundError, UnplayableFileError
from phaselock.storage.chunks import WAVE64
from tests.support.flac import BLOCK_FRAMES, aiff, flac, wav
from tests.support.ogg import flac_in_ogg

FRAMES = 3 * BLOCK_FRAMES + 1234
HALF = math.sqrt(0.5)


def noise(channels: int, bits: int = 16, frames: int = FRAMES) -> list[int]:
    source = random.Random(channels * 100 + bits)
    top = 1 << (bits - 1)
    return [source.randrange(-top, top) for _ in range(channels * frames)]


def little(samples: Sequence[int], bits: int) -> bytes:
    return b"".join(sample.to_bytes(bits // 8, "little", signed=True) for sample in samples)


def look(folder: pathlib.Path, data: bytes, name: str = "song.mp3") -> tuple[pathlib.Path, Music]:
    path = folder / name
    path.write_bytes(data)
    return path, inspect(path)


def refuse(folder: pathlib.Path, data: bytes, why: str) -> None:
    with pytest.raises(UnplayableFileError, match=f"^{re.escape(f'song.flac cannot be played: {why}.')}$"):
        look(folder, data, "song.flac")


def decoded(path: pathlib.Path, info: Music, frame: int = 0, frames: int = 1 << 20) -> memoryview[float]:
    with contextlib.closing(info.open(path)) as source:
        source.seek(frame)
        return read(source, frames)


def read(source: object, frames: int) -> memoryview[float]:
    room = bytearray(FRAME_BYTES * frames)
    got = source.read_into(room, frames)  # type: ignore[attr-defined]
    return memoryview(room)[: got * FRAME_BYTES].cast("f")


@pytest.mark.parametrize("rate_hz", [8000, 44100, 192000])
@pytest.mark.parametrize("bits", [8, 16, 24])
def test_flac_gives_every_sample(tmp_path: pathlib.Path, rate_hz: int, bits: int) -> None:
    samples = noise(2, bits)
    path, info = look(tmp_path, flac(samples, 2, rate_hz, bits))
    assert (info.rate_hz, info.channels, info.frames, info.ends_early) == (rate_hz, 2, FRAMES, False)
    assert info.bitrate_bps == pytest.approx(2 * bits * rate_hz, rel=0.01)
    expected = [sample / (1 << (bits - 1)) for sample in samples]
    assert decoded(path, info).tolist() == expected


@pytest.mark.parametrize(
    ("bits", "coding", "largest"), [(8, 1, 128), (16, 1, 1 << 15), (24, 1, 1 << 23), (32, 1, 1 << 31), (32, 3, 1)]
)
def test_wav_gives_every_sample(tmp_path: pathlib.Path, bits: int, coding: int, largest: int) -> None:
    values = [k / 64 - 1 for k in range(128)] * 100
    if coding == 3:
        sound = struct.pack(f"<{len(values)}f", *values)
    elif bits == 8:
        sound = bytes(round(value * 128) + 128 for value in values)
    else:
        sound = little([round(value * largest) for value in values], bits)
    path, info = look(tmp_path, wav(sound, 2, 44100, bits, coding=coding))
    assert info.frames == len(values) // 2
    assert decoded(path, info).tolist() == pytest.approx(values, abs=1e-2 if bits == 8 else 1e-7)


def test_aiff_gives_every_sample(tmp_path: pathlib.Path) -> None:
    samples = noise(2)
    path, info = look(tmp_path, aiff(struct.pack(f">{len(samples)}h", *samples), 2, 16))
    assert (info.rate_hz, info.frames) == (44100, FRAMES)
    assert decoded(path, info).tolist() == [sample / 32768 for sample in samples]


@pytest.mark.parametrize(("coding", "loudest"), [(6, 0.98), (7, 0.98)])
def test_telephone_codings_are_played(tmp_path: pathlib.Path, coding: int, loudest: float) -> None:
    path, info = look(tmp_path, wav(bytes(range(256)) * 50, 1, 8000, 8, coding=coding))
    assert max(decoded(path, info)) == pytest.approx(loudest, abs=0.02)


@pytest.mark.parametrize("make", [flac, lambda samples, channels, rate: wav(little(samples, 16), channels, rate, 16)])
def test_after_a_seek_every_bit_is_the_same(tmp_path: pathlib.Path, make: object) -> None:
    path, info = look(tmp_path, make(noise(2), 2, 44100))  # type: ignore[operator]
    whole = decoded(path, info)
    with contextlib.closing(info.open(path)) as source:
        for frame in (0, 1, BLOCK_FRAMES - 1, BLOCK_FRAMES, 2 * BLOCK_FRAMES + 17, FRAMES - 1, 5):
            source.seek(frame)
            assert read(source, 100) == whole[CHANNELS * frame : CHANNELS * (frame + 100)]
        source.seek(-5)
        assert read(source, 3) == whole[:6]
        source.seek(FRAMES + 5)
        assert len(read(source, 3)) == 0


def test_the_content_decides_not_the_name(tmp_path: pathlib.Path) -> None:
    _, info = look(tmp_path, flac(noise(1), 1, 48000), "song.wav")
    assert info.rate_hz == 48000
    tag = b"ID3\4\0\0\0\0\1\0" + bytes(128)
    _, info = look(tmp_path, tag + flac(noise(1), 1, 32000), "song.mp3")
    assert info.rate_hz == 32000


@pytest.mark.parametrize(
    ("channels", "weights"),
    [
        (1, [(1, 1)]),
        (2, [(1, 0), (0, 1)]),
        (3, [(1, 0), (0, 1), (HALF, HALF)]),
        (4, [(1, 0), (0, 1), (HALF, 0), (0, HALF)]),
        (5, [(1, 0), (0, 1), (HALF, HALF), (HALF, 0), (0, HALF)]),
        (6, [(1, 0), (0, 1), (HALF, HALF), (0, 0), (HALF, 0), (0, HALF)]),
        (7, [(1, 0), (0, 1), (HALF, HALF), (0, 0), (HALF / 2, HALF / 2), (HALF, 0), (0, HALF)]),
        (8, [(1, 0), (0, 1), (HALF, HALF), (0, 0), (HALF, 0), (0, HALF), (HALF, 0), (0, HALF)]),
    ],
)
def test_channels_are_mixed_by_the_rule_of_the_itu(
    tmp_path: pathlib.Path, channels: int, weights: list[tuple[float, float]]
) -> None:
    samples = [20_000 if frame == channel else 0 for frame in range(channels) for channel in range(channels)]
    path, info = look(tmp_path, flac(samples, channels, 44100))
    total = sum(left for left, _ in weights)
    expected = [20_000 / 32768 * weight / total for pair in weights for weight in pair]
    assert decoded(path, info).tolist() == pytest.approx(expected, abs=1e-6)


def test_samples_that_are_no_numbers_are_silence(tmp_path: pathlib.Path) -> None:
    sound = array.array("f", [math.nan, 0.5, math.inf, -math.inf, 1e30, -0.25])
    path, info = look(tmp_path, wav(sound.tobytes(), 2, 44100, 32, coding=3))
    assert decoded(path, info).tolist() == [0, 0.5, 16, -16, 16, -0.25]


def test_an_unknown_length_is_counted(tmp_path: pathlib.Path) -> None:
    path, info = look(tmp_path, flac(noise(2), 2, 44100, frames=0))
    assert (info.frames, info.ends_early) == (FRAMES, False)
    assert len(decoded(path, info, FRAMES - 7)) == 14


@pytest.mark.parametrize("claimed", [0, FRAMES // 2])
def test_a_seek_does_not_depend_on_the_length_that_a_header_tells(tmp_path: pathlib.Path, claimed: int) -> None:
    """Encoders that write to a pipe do not know it."""
    path, info = look(tmp_path, flac(noise(2), 2, 44100, frames=claimed))
    whole = decoded(path, info)
    for frame in (FRAMES // 3, info.frames // 2, info.frames - 1):
        assert decoded(path, info, frame, 50) == whole[CHANNELS * frame : CHANNELS * (frame + 50)]


@pytest.mark.parametrize("fewer", [0, 32])
def test_a_seek_is_exact_where_a_header_tells_fewer_frames_than_there_are(tmp_path: pathlib.Path, fewer: int) -> None:
    data = bytearray(aiff(little(noise(2), 16), 2, 16))
    data[22:26] = (FRAMES - fewer).to_bytes(4, "big")
    path, info = look(tmp_path, bytes(data))
    whole = decoded(path, info)
    assert info.frames == FRAMES - fewer
    with contextlib.closing(info.open(path)) as source:
        for frame in (100, 2000, 1999, 5, info.frames - 7):
            source.seek(frame)
            assert read(source, 50) == whole[CHANNELS * frame : CHANNELS * (frame + 50)]


def test_a_seek_in_an_ogg_file_with_a_damaged_page_is_exact(tmp_path: pathlib.Path) -> None:
    """The decoder finds a place by the positions of the pages; here that of the first one is wrong."""
    data = bytearray((pathlib.Path(__file__).parent / "seeds" / "predicted.oga").read_bytes())
    data[6] ^= 0xFF
    path, info = look(tmp_path, bytes(data))
    whole = decoded(path, info)
    for frame in (info.frames // 2, info.frames - 1):
        assert decoded(path, info, frame, 50) == whole[CHANNELS * frame : CHANNELS * (frame + 50)]


def test_a_small_part_missing_at_the_end_is_told(tmp_path: pathlib.Path) -> None:
    samples = noise(1, frames=30 * BLOCK_FRAMES)
    _, info = look(tmp_path, flac(samples, 1, 44100)[:-100])
    assert (info.frames, info.ends_early) == (29 * BLOCK_FRAMES, True)
    _, info = look(tmp_path, wav(bytes(99_000), 1, 44100, 16, claimed=100_000))
    assert (info.frames, info.ends_early) == (49_500, True)
    _, info = look(tmp_path, aiff(bytes(100_000), 1, 16)[:-2000])
    assert (info.frames, info.ends_early) == (49_000, True)
    for claimed in (98_999, 99_000, 0x7FFFF000, 0xFFFFFFFF):  # written to a pipe, its length is not known
        _, info = look(tmp_path, wav(bytes(99_000), 1, 44100, 16, claimed=claimed))
        assert not info.ends_early


def test_what_is_damaged_is_refused(tmp_path: pathlib.Path) -> None:
    whole = flac(noise(1, frames=30 * BLOCK_FRAMES), 1, 44100)
    middle = len(whole) // 2
    refuse(tmp_path, whole[:middle], "53 % of it is missing at its end")
    refuse(tmp_path, whole[:middle] + b"\0" + whole[middle + 1 :], "a part of it is damaged")
    refuse(tmp_path, whole[:30], "it is damaged at its beginning")
    refuse(tmp_path, whole[:42], "100 % of it is missing at its end")
    refuse(tmp_path, flac([], 1, 44100), "it has no sound")
    refuse(tmp_path, flac(noise(1), 1, 4000), "its sample rate is 4000 Hz")
    refuse(tmp_path, flac(noise(1), 1, 44100, frames=1 << 35), "it is longer than 12 hours")
    refuse(tmp_path, wav(bytes(18_000), 9, 44100, 16), "it has 9 channels")
    refuse(
        tmp_path, wav(bytes(1000), 1, 44100, 16, coding=0x2000), "its sound is compressed, which WAV files seldom are"
    )


def test_a_chained_flac_file_is_converted(tmp_path: pathlib.Path) -> None:
    """The decoder reads only its first part."""
    song = flac_in_ogg(flac(noise(1), 1, 44100))
    with pytest.raises(OtherSoundError, match="it is an Ogg file"):
        look(tmp_path, song + song)


def test_chunks_that_lead_nowhere_end(tmp_path: pathlib.Path) -> None:
    guid = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
    head = WAVE64 + bytes(8) + b"wave" + guid
    for size in (0, 23, 1 << 63):
        refuse(
            tmp_path, head + b"fmt " + guid + size.to_bytes(8, "little") + bytes(400), "it is damaged at its beginning"
        )
    refuse(tmp_path, b"RIFF\0\0\0\0WAVE" + b"junk\0\0\0\0" * 3000, "it is damaged at its beginning")


def test_a_file_that_shrinks_while_it_plays_is_told(tmp_path: pathlib.Path) -> None:
    path, info = look(tmp_path, wav(bytes(400_000), 2, 44100, 16))
    with contextlib.closing(info.open(path)) as source:
        read(source, 10)
        os.truncate(path, 100_000)
        with pytest.raises(PhaseLockError, match=r"song\.mp3 has changed since it was added\."):
            read(source, 100_000)
    path.unlink()
    with pytest.raises(PhaseLockError, match=r"Cannot read song\.mp3"):
        info.open(path)


def test_a_buffer_that_is_too_small(tmp_path: pathlib.Path) -> None:
    path, info = look(tmp_path, flac(noise(2), 2, 44100))
    with contextlib.closing(info.open(path)) as source, pytest.raises(ValueError, match="too small"):
        source.read_into(bytearray(79), 10)


KINDS = (
    flac(noise(2, frames=500), 2, 44100),
    wav(little(noise(2, frames=500), 16), 2, 44100, 16),
    aiff(little(noise(1, frames=500), 16), 1, 16),
)


@hypothesis.given(st.sampled_from(KINDS), st.lists(st.tuples(st.integers(0, 2100), st.integers(0, 255)), max_size=8))
@hypothesis.settings(deadline=None)
def test_hostile_bytes_play_or_are_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, changes: list[tuple[int, int]]
) -> None:
    changed = bytearray(data)
    for place, value in changes:
        changed[place % len(changed)] = value
    path = tmp_path_factory.getbasetemp() / "hostile.flac"
    path.write_bytes(changed)
    with contextlib.suppress(UnplayableFileError):
        info = inspect(path)
        assert len(decoded(path, info, 3)) == CHANNELS * max(0, info.frames - 3)
