from __future__ import annotations

import pathlib
import random
import sys
from typing import Any

import hypothesis
import hypothesis.strategies as st
import numpy as np
import numpy.typing as npt
import pytest

from phaselock.audio.formats import mp3
from phaselock.audio.formats.mp3 import Mp3Info, Mp3Source, inspect
from phaselock.errors import PhaseLockError
from phaselock.model.file_kinds import UnplayableFileError
from tests.support.mp3 import encode, music, packets

KINDS: dict[str, dict[str, Any]] = {
    "32 kbit/s": {"kbps": 32, "rate_hz": 32000},
    "128 kbit/s": {"kbps": 128},
    "320 kbit/s": {"kbps": 320, "rate_hz": 48000},
    "VBR": {"vbr": True},
    "mono": {"channels": 1, "kbps": 64},
    "mono VBR, 48 kHz": {"channels": 1, "vbr": True, "rate_hz": 48000},
    "MPEG 2": {"rate_hz": 22050, "kbps": 48},
    "MPEG 2, 8 kbit/s": {"rate_hz": 16000, "channels": 1, "kbps": 8},
}
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))


def write(folder: pathlib.Path, data: bytes) -> tuple[pathlib.Path, Mp3Info]:
    path = folder / "song.mp3"
    path.write_bytes(data)
    return path, inspect(path)


def read(opened: Mp3Source, frames: int) -> npt.NDArray[np.float32]:
    sound = np.zeros((frames, 2), np.float32)
    return sound[: opened.read_into(sound, frames)]


def decode(folder: pathlib.Path, data: bytes) -> npt.NDArray[np.float32]:
    path, info = write(folder, data)
    with Mp3Source(path, info) as opened:
        sound = read(opened, info.frames + 1)
        assert opened.read_into(bytearray(8), 1) == 0
    assert len(sound) == info.frames
    return sound


@each_kind
def test_the_sound_that_the_encoder_was_given(tmp_path: pathlib.Path, kind: dict[str, Any]) -> None:
    sound = decode(tmp_path, encode(**kind))
    given = music(kind.get("rate_hz", 44100), kind.get("channels", 2), 100_000).astype(np.float32) / 32768
    given = np.broadcast_to(given, (100_000, 2))
    assert len(sound) == 100_000
    # Exact to the frame: with any other shift the two signals differ more.
    middle = slice(20_000, 80_000)
    errors = {n: float(np.mean((np.roll(sound, n, 0)[middle] - given[middle]) ** 2)) for n in range(-3, 4)}
    assert min(errors, key=errors.__getitem__) == 0
    assert errors[0] < 0.3 * float(np.mean(given[middle] ** 2))


def test_mono_is_played_on_both_channels(tmp_path: pathlib.Path) -> None:
    sound = decode(tmp_path, encode(channels=1, kbps=64))
    assert np.array_equal(sound[:, 0], sound[:, 1])
    assert np.abs(sound).max() > 0.2


def mixed(*channels: int, rate_hz: int = 44100) -> bytes:
    """Joined parts with these numbers of channels, 20_000 frames each, without headers."""
    return b"".join(b"".join(packets(rate_hz, count, 20_000, 64)) for count in channels)


@pytest.mark.parametrize("rate_hz", [44100, 22050])
@pytest.mark.parametrize("channels", [(1, 2, 1), (2, 1, 2)])
def test_mono_and_stereo_in_one_file_sound_as_they_do_alone(
    tmp_path: pathlib.Path, channels: tuple[int, ...], rate_hz: int
) -> None:
    sound = decode(tmp_path, mixed(*channels, rate_hz=rate_hz))
    done = 0
    for count in channels:
        alone = decode(tmp_path, mixed(count, rate_hz=rate_hz))
        part = sound[done : done + len(alone)]
        done += len(alone)
        # In the first packets the memory of the decoder's filters is that of the part before.
        assert np.abs(part[2400:] - alone[2400:]).max() < 1e-6
        assert np.abs(alone[2400:]).max() > 0.2
    assert done == len(sound)


@pytest.mark.parametrize("channels", [(1, 2, 1), (2, 1, 2)])
def test_after_a_seek_every_bit_is_the_same_in_mono_and_stereo(
    tmp_path: pathlib.Path, channels: tuple[int, ...]
) -> None:
    data = mixed(*channels)
    whole = decode(tmp_path, data)
    with Mp3Source(*write(tmp_path, data)) as opened:
        for place in range(0, len(whole), 1777):
            opened.seek(place)
            assert np.array_equal(read(opened, 3000), whole[place : place + 3000]), place


@each_kind
def test_after_a_seek_every_bit_is_the_same(tmp_path: pathlib.Path, kind: dict[str, Any]) -> None:
    data = encode(**kind)
    whole = decode(tmp_path, data)
    chance = random.Random(7)
    with Mp3Source(*write(tmp_path, data)) as opened:
        for place in [0, 1, 1151, 99_999, *(chance.randrange(100_000) for _ in range(60))]:
            opened.seek(place)
            frames = chance.randrange(1, 4000)
            assert np.array_equal(read(opened, frames), whole[place : place + frames]), place


def test_reads_of_any_size_join(tmp_path: pathlib.Path) -> None:
    data = encode()
    chance = random.Random(3)
    with Mp3Source(*write(tmp_path, data)) as opened:
        parts = []
        while len(part := read(opened, chance.randrange(1, 3000))):
            parts.append(part)
    assert np.array_equal(np.concatenate(parts), decode(tmp_path, data))


def test_beyond_the_ends(tmp_path: pathlib.Path) -> None:
    data = encode()
    with Mp3Source(*write(tmp_path, data)) as opened:
        opened.seek(100_000)
        assert len(read(opened, 10)) == 0
        opened.seek(10**15)
        assert len(read(opened, 10)) == 0
        opened.seek(99_990)
        assert len(read(opened, 100)) == 10
        opened.seek(-5)
        assert np.array_equal(read(opened, 500), decode(tmp_path, data)[:500])


def test_into_an_address(tmp_path: pathlib.Path) -> None:
    data = encode()
    place = np.zeros((5000, 2), np.float32)
    with Mp3Source(*write(tmp_path, data)) as opened:
        assert opened.read_into(place.ctypes.data, 5000) == 5000
    assert np.array_equal(place, decode(tmp_path, data)[:5000])


def test_a_buffer_that_is_too_small(tmp_path: pathlib.Path) -> None:
    with Mp3Source(*write(tmp_path, encode())) as opened, pytest.raises(ValueError):
        opened.read_into(bytearray(7), 1)


def test_packets_that_lean_on_missing_ones_are_silent_and_keep_their_place(tmp_path: pathlib.Path) -> None:
    sound = packets(kbps=32, rate_hz=48000)
    whole = decode(tmp_path, b"".join(sound))
    late = decode(tmp_path, b"".join(sound[25:]))
    assert not late[:1152].any()
    settled = 15 * 1152
    assert np.array_equal(late[settled:], whole[25 * 1152 + settled :])


def damaged(sound: list[bytes], which: int) -> None:
    """Make the side information invalid, with more data than the packet holds, so that the decoder drops the packet."""
    sound[which] = sound[which][:4] + b"\xff" * 32 + sound[which][36:]


@pytest.mark.parametrize("which", [[0], [1], [40], [40, 41, 42], [63, 64], list(range(28, 70))])
def test_damaged_packets_shift_nothing(tmp_path: pathlib.Path, which: list[int]) -> None:
    sound = list(packets())
    whole = decode(tmp_path, b"".join(sound))
    for packet in which:
        damaged(sound, packet)
    torn = decode(tmp_path, b"".join(sound))
    assert not torn[which[0] * 1152 : (which[-1] + 1) * 1152].any()
    settled = (which[-1] + 10) * 1152
    assert np.array_equal(torn[: which[0] * 1152], whole[: which[0] * 1152])
    assert np.array_equal(torn[settled:], whole[settled:])
    with Mp3Source(tmp_path / "song.mp3", inspect(tmp_path / "song.mp3")) as opened:
        opened.seek(settled)
        assert np.array_equal(read(opened, 5000), whole[settled : settled + 5000])


def test_packets_without_sound_keep_the_place_of_the_others(tmp_path: pathlib.Path) -> None:
    """Some encoders write such packets for silence, and the decoder gives nothing for them."""
    sound = list(packets())
    whole = decode(tmp_path, b"".join(sound))
    for place in range(30, 70):
        sound[place] = sound[place][:4] + bytes(len(sound[place]) - 4)
    silent = decode(tmp_path, b"".join(sound))
    assert len(silent) == len(whole)
    assert np.abs(silent[33 * 1152 : 69 * 1152]).max() < 1e-6
    assert np.array_equal(silent[80 * 1152 :], whole[80 * 1152 :])


def test_only_damaged_packets_to_the_end_are_silence(tmp_path: pathlib.Path) -> None:
    sound = list(packets())
    for packet in range(30, len(sound)):
        damaged(sound, packet)
    torn = decode(tmp_path, b"".join(sound))
    assert torn[: 30 * 1152].any() and not torn[31 * 1152 :].any()
    with Mp3Source(tmp_path / "song.mp3", inspect(tmp_path / "song.mp3")) as opened:
        opened.seek(80 * 1152)
        assert not read(opened, 5000).any()


def test_a_few_flipped_bytes_are_forgotten(tmp_path: pathlib.Path) -> None:
    data = bytearray(encode())
    whole = decode(tmp_path, bytes(data))
    for place in (20_000, 20_001, 20_517, 21_000):
        data[place] ^= 0x55
    torn = decode(tmp_path, bytes(data))
    assert len(torn) in (len(whole), len(whole) - 1152)
    assert np.array_equal(torn[-40_000:], whole[-40_000:])


def test_a_description_in_the_middle_is_not_sound(tmp_path: pathlib.Path) -> None:
    plain, described = packets(), encode()
    front = described[: len(described) - sum(map(len, plain))]
    joined = b"".join((*plain[:20], front, *plain[20:]))
    assert np.array_equal(decode(tmp_path, joined), decode(tmp_path, b"".join(plain)))


def test_a_seek_far_into_a_long_file_reads_little(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handed_over = []

    class Reader(mp3.Mp3Reader):
        def read(self, address: int, capacity: int) -> int:
            handed_over.append(1)
            return super().read(address, capacity)

    path, info = write(tmp_path, b"".join(packets(kbps=32, rate_hz=32000)) * 400)
    assert info.frames > 1000 * info.rate_hz
    monkeypatch.setattr(mp3, "Mp3Reader", Reader)
    with Mp3Source(path, info) as opened:
        del handed_over[:]
        opened.seek(info.frames - 50_000)
        assert len(read(opened, 1152)) == 1152
        assert len(handed_over) < 100


def test_a_file_that_vanishes(tmp_path: pathlib.Path) -> None:
    path, info = write(tmp_path, encode())
    path.unlink()
    with pytest.raises(PhaseLockError, match=r"^Cannot read song\.mp3: No such file or directory$"):
        Mp3Source(path, info)


def test_a_file_that_shrinks_while_it_plays(tmp_path: pathlib.Path) -> None:
    path, info = write(tmp_path, encode(kbps=320))
    with Mp3Source(path, info) as opened:
        assert len(read(opened, 1000)) == 1000
        with path.open("r+b") as file:
            file.truncate(1000)
        with pytest.raises(PhaseLockError, match=r"^song\.mp3 has changed since it was added\.$"):
            for _ in range(100):
                read(opened, 1000)


@hypothesis.given(
    changes=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=60),
    place=st.integers(0, 20_000),
)
@hypothesis.settings(
    max_examples=100, deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
def test_hostile_bytes_decode_to_their_length(
    tmp_path: pathlib.Path, changes: list[tuple[int, int]], place: int
) -> None:
    data = bytearray(encode(frames=12_000))
    for where, value in changes:
        data[where] = value
    try:
        path, info = write(tmp_path, bytes(data))
    except UnplayableFileError:
        return
    with Mp3Source(path, info) as opened:
        assert len(read(opened, info.frames + 1)) == info.frames
        opened.seek(place)
        assert len(read(opened, info.frames)) == max(0, info.frames - place)


def test_other_sound_that_is_written_into_a_file_that_plays_is_told(tmp_path: pathlib.Path) -> None:
    song, other = encode(frames=400_000), encode(frames=400_000, kbps=96)
    path, info = write(tmp_path, song)
    with Mp3Source(path, info) as opened:
        path.write_bytes(other + bytes(len(song) - len(other)))
        with pytest.raises(PhaseLockError, match="has changed since it was added"):
            read(opened, info.frames)


def test_tags_that_are_written_into_a_file_that_plays_change_nothing(tmp_path: pathlib.Path) -> None:
    tag = b"ID3\3\0\0\0\0\7\x76" + bytes(1014)
    whole = decode(tmp_path, tag + encode())
    path = tmp_path / "song.mp3"
    with Mp3Source(path, inspect(path)) as opened, path.open("r+b") as file:
        file.write(tag.replace(b"\0" * 500, b"\xff\xfb\x90\x00" * 125))
        file.flush()
        assert np.array_equal(read(opened, len(whole)), whole)


def test_a_file_that_is_replaced_plays_on(tmp_path: pathlib.Path) -> None:
    whole = decode(tmp_path, encode())
    path = tmp_path / "song.mp3"
    with Mp3Source(path, inspect(path)) as opened:
        (tmp_path / "new.mp3").write_bytes(b"x" * 5000)
        if sys.platform != "win32":  # there an open file cannot be replaced
            (tmp_path / "new.mp3").replace(path)
        assert np.array_equal(read(opened, len(whole)), whole)
