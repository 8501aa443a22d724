from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
import random
import re

import hypothesis
import hypothesis.strategies as st
import pytest

from phaselock.audio import music
from phaselock.audio.formats import mp3
from phaselock.audio.formats.mp3 import Mp3Info, inspect
from phaselock.audio.music import Inspector
from phaselock.errors import PhaseLockError
from phaselock.model.file_kinds import UnplayableFileError
from tests.support.mp3 import description, encode, packet_size, packets

ID3V2 = b"ID3\4\0\0" + bytes((0, 0, 2, 10)) + b"\xff\xfb\x90\x44" * 66 + b"\0\0"
ID3V1 = b"TAG".ljust(128, b"\0")
LYRICS = b"LYRICSBEGININD0000200" + b"\xff\xfb\x90\x44" * 100 + b"000421LYRICS200"
APE = b"APETAGEX" + (2000).to_bytes(4, "little") + (32 + 8).to_bytes(4, "little") + bytes(16) + b"\1\0\0\0data"


def look(folder: pathlib.Path, data: bytes) -> Mp3Info:
    path = folder / "song.mp3"
    path.write_bytes(data)
    return inspect(path)


def refuse(folder: pathlib.Path, data: bytes, why: str = "") -> None:
    sentence = f"song.mp3 cannot be played: {why}." if why else "Invalid or corrupted MP3 file: song.mp3"
    with pytest.raises(UnplayableFileError, match=f"^{re.escape(sentence)}$"):
        look(folder, data)


@pytest.mark.parametrize("rate_hz", [22050, 24000, 32000, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
def test_what_the_encoder_was_given(tmp_path: pathlib.Path, rate_hz: int, channels: int) -> None:
    info = look(tmp_path, encode(rate_hz, channels, 50_001, 64))
    assert (info.rate_hz, info.channels, info.frames) == (rate_hz, channels, 50_001)
    assert info.delay_frames == 576 + 529
    assert info.bitrate_bps == pytest.approx(64000, rel=0.01)


def test_without_a_header_all_decoded_frames_count(tmp_path: pathlib.Path) -> None:
    sound = packets()
    info = look(tmp_path, b"".join(sound))
    assert (info.packets, info.frames, info.delay_frames) == (len(sound), len(sound) * 1152, 0)


def test_the_index_finds_every_32nd_packet(tmp_path: pathlib.Path) -> None:
    sound = packets(vbr=True)
    front = ID3V2 + description(sound[0], len(sound))
    info = look(tmp_path, front + b"".join(sound))
    offsets = [len(front) + sum(map(len, sound[:n])) for n in range(0, len(sound), 32)]
    assert list(memoryview(info.index).cast("q")) == offsets
    assert mp3.PACKETS_PER_ENTRY == 32


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (ID3V2, b""),
        (ID3V2 + ID3V2, ID3V1),
        (ID3V2 + bytes(5000), APE + ID3V1),
        (b"\xff\xfb\x90\x44" + b"cover" * 999, b"LYRICSBEGIN" + b"la" * 300),
        (b"", b"\xff\xfb" * 50),
        (ID3V2, LYRICS + ID3V1),
        (b"", APE + LYRICS + b"TAG+".ljust(227, b"\0") + ID3V1),
        (b"", b"ID3\4\0\x10\0\0\0\x14" + packets()[0][:20] + b"3DI\4\0\x10\0\0\0\x14"),
        (b"ID3\4\0\x10" + bytes(4) + b"3DI\4\0\x10" + bytes(4), b""),
        (b"ID3\3\0\0\xff\xff\xff\xff", b""),
        (b"ID3\3\0\0\x7f\x7f\x7f\x7f", b""),
    ],
    ids=[
        "id3v2",
        "two of them",
        "padding, APE",
        "garbage",
        "garbage behind",
        "lyrics",
        "four tags",
        "an appended tag",
        "a footer",
        "no tag",
        "a tag larger than the file",
    ],
)
def test_tags_and_garbage_around_change_nothing(tmp_path: pathlib.Path, before: bytes, after: bytes) -> None:
    plain = look(tmp_path, encode())
    dressed = look(tmp_path, before + encode() + after)
    index = memoryview(plain.index).cast("q")
    assert dataclasses.replace(dressed, index=b"") == dataclasses.replace(plain, index=b"")
    assert list(memoryview(dressed.index).cast("q")) == [offset + len(before) for offset in index]


def test_garbage_in_the_middle_is_stepped_over(tmp_path: pathlib.Path) -> None:
    sound = packets()
    info = look(tmp_path, b"".join((*sound[:20], b"\xff\xfb\x90" * 700, *sound[20:])))
    assert info.packets == len(sound)


def test_a_damaged_header_costs_its_packet(tmp_path: pathlib.Path) -> None:
    sound = list(packets())
    sound[30] = b"\0" + sound[30][1:]
    assert look(tmp_path, b"".join(sound)).packets == len(sound) - 1


@pytest.mark.parametrize("kbps", range(1, 15))
def test_a_wrong_bit_rate_in_a_header_costs_at_most_its_packet(tmp_path: pathlib.Path, kbps: int) -> None:
    sound = list(packets())
    sound[30] = bytes((*sound[30][:2], kbps << 4 | sound[30][2] & 15)) + sound[30][3:]
    assert look(tmp_path, b"".join(sound)).packets in (len(sound) - 1, len(sound))


def test_joined_files_are_one_stream(tmp_path: pathlib.Path) -> None:
    sound = packets()
    one = description(sound[0], len(sound)) + b"".join(sound)
    info = look(tmp_path, description(sound[0], 2 * len(sound)) + b"".join(sound) + one)
    assert info.packets == 2 * len(sound)


def test_vbri_is_a_description(tmp_path: pathlib.Path) -> None:
    sound = packets()
    front = bytearray(len(sound[0]))
    front[:4] = sound[0][:4]
    front[36:54] = b"VBRI" + bytes(10) + len(sound).to_bytes(4, "big")
    whole = bytes(front[: packet_size(sound[0])]) + b"".join(sound)
    assert look(tmp_path, whole).packets == len(sound)
    refuse(tmp_path, whole[: len(whole) // 2], "51 % of it is missing at its end")


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", bytes(100_000), ID3V2, ID3V1, b"\xff" * 5000, random.Random(5).randbytes(20_000)],
    ids=["empty", "a byte", "zeros", "only ID3v2", "only ID3v1", "ones", "noise"],
)
def test_no_mp3(tmp_path: pathlib.Path, data: bytes) -> None:
    refuse(tmp_path, data)


def test_too_few_packets(tmp_path: pathlib.Path) -> None:
    refuse(tmp_path, b"".join(packets()[:2]))
    assert look(tmp_path, b"".join(packets()[:3])).packets == 3


@pytest.mark.parametrize(("share", "percent"), [(0.1, 90), (0.5, 51), (0.9, 10), (0.94, 6)])
def test_a_file_of_which_much_is_cut_off_is_refused(tmp_path: pathlib.Path, share: float, percent: int) -> None:
    data = encode()
    why = f"{percent} % of it is missing at its end"
    refuse(tmp_path, data[: int(len(data) * share)], why)
    refuse(tmp_path, ID3V2 + data[: int(len(data) * share)], why)


def test_almost_nothing_of_a_file_is_no_mp3(tmp_path: pathlib.Path) -> None:
    refuse(tmp_path, encode()[: len(encode()) // 50])


@pytest.mark.parametrize("share", [0.97, 0.99, 0.999])
def test_a_file_of_which_little_is_cut_off_ends_early(tmp_path: pathlib.Path, share: float) -> None:
    data = encode()
    info = look(tmp_path, data[: int(len(data) * share)])
    assert info.ends_early and not look(tmp_path, data).ends_early
    assert info.frames == info.packets * 1152 - info.delay_frames  # the padding is missing too


@pytest.mark.parametrize("kept", [1, 2, 3, 4, 5, 200, 416])
def test_a_file_without_a_header_that_ends_inside_a_packet_ends_early(tmp_path: pathlib.Path, kept: int) -> None:
    sound = packets()
    info = look(tmp_path, b"".join(sound[:-1]) + sound[-1][:kept])
    assert info.ends_early and info.packets == len(sound) - 1
    assert not look(tmp_path, b"".join(sound)).ends_early


def test_an_incomplete_last_packet_is_within_the_tolerance_of_the_header(tmp_path: pathlib.Path) -> None:
    data = encode()
    assert look(tmp_path, data[:-10]).packets == look(tmp_path, data).packets - 1


@pytest.mark.parametrize("wrong", [3, 1000, 4_294_900_000])
def test_a_whole_file_with_the_header_of_a_longer_one_is_played(tmp_path: pathlib.Path, wrong: int) -> None:
    sound = packets()
    info = look(tmp_path, description(sound[0], len(sound) + wrong, padding=1000) + b"".join(sound))
    assert (info.packets, info.padding_frames, info.ends_early) == (len(sound), 0, True)


@pytest.mark.parametrize("wrong", [-3, -30, 1 - len(packets())])
def test_more_than_the_header_claims_is_played(tmp_path: pathlib.Path, wrong: int) -> None:
    sound = packets()
    info = look(tmp_path, description(sound[0], len(sound) + wrong, padding=1000) + b"".join(sound))
    assert (info.packets, info.padding_frames, info.ends_early) == (len(sound), 0, False)


@pytest.mark.parametrize("wrong", [-2, 2])
def test_a_packet_count_off_by_two_changes_nothing(tmp_path: pathlib.Path, wrong: int) -> None:
    sound = packets()
    info = look(tmp_path, description(sound[0], len(sound) + wrong, padding=1000) + b"".join(sound))
    assert (info.packets, info.padding_frames, info.ends_early) == (len(sound), 1000 - 529, False)


def test_the_padding_of_joined_files_is_that_of_the_last(tmp_path: pathlib.Path) -> None:
    first, second = encode(), encode(frames=50_000)
    one, two = look(tmp_path, first), look(tmp_path, second)
    info = look(tmp_path, first + ID3V1 + ID3V2 + second)
    assert info.packets == one.packets + two.packets
    assert (info.delay_frames, info.padding_frames) == (one.delay_frames, two.padding_frames)
    assert look(tmp_path, second + b"".join(packets())).padding_frames == 0
    refuse(tmp_path, (first + second)[: -len(second) // 2], "17 % of it is missing at its end")


@pytest.mark.parametrize("first_channels", [1, 2])
def test_mono_and_stereo_in_one_file_are_one_stream(tmp_path: pathlib.Path, first_channels: int) -> None:
    parts = [b"".join(packets(channels=channels)) for channels in (first_channels, 3 - first_channels)]
    for between in (b"", ID3V2, ID3V1):
        info = look(tmp_path, parts[0] + between + parts[1])
        assert (info.packets, info.channels, info.mode_changes) == (2 * len(packets()), 2, True)
    assert not look(tmp_path, parts[0]).mode_changes


@pytest.mark.parametrize("rates", [(44100, 48000), (44100, 22050), (24000, 32000)])
def test_a_change_of_the_rate_is_told(tmp_path: pathlib.Path, rates: tuple[int, int]) -> None:
    first, second = (encode(rate_hz, frames=4 * rate_hz, kbps=64) for rate_hz in rates)
    for between in (b"", ID3V2):
        refuse(tmp_path, first + between + second, "its sample rate changes at 0:04")


def test_bytes_of_a_tag_that_look_like_packets_are_not_the_music(tmp_path: pathlib.Path) -> None:
    """The size of the tag is wrong, so its picture is searched for packets too."""
    wrong_size = b"ID3\3\0\0" + bytes((0x7F,) * 4) + b"APIC" + b"".join(packets(48000)[:5])
    info = look(tmp_path, wrong_size + encode())
    assert (info.rate_hz, info.frames) == (44100, 100_000)


@pytest.mark.parametrize("rate_hz", [8000, 11025, 12000])
def test_mpeg_2_5(tmp_path: pathlib.Path, rate_hz: int) -> None:
    info = look(tmp_path, encode(rate_hz, 1, 30_001, 16))
    assert (info.rate_hz, info.channels, info.frames) == (rate_hz, 1, 30_001)


def test_packets_with_a_checksum(tmp_path: pathlib.Path) -> None:
    """The Info header is where it is without a checksum, or two bytes behind that."""
    sound = packets()
    front = description(sound[0], len(sound), padding=1000)
    for info_header in (front, front[:4] + b"\0\0" + front[4:-2]):
        checked = [packet[:1] + b"\xfa" + packet[2:] for packet in (info_header, *sound)]
        assert look(tmp_path, b"".join(checked)).frames == len(sound) * 1152 - 576 - 529 - (1000 - 529)


def test_a_trim_longer_than_the_file(tmp_path: pathlib.Path) -> None:
    sound = packets()[:5]
    refuse(tmp_path, description(sound[0], 5, delay=4095, padding=4095) + b"".join(sound))


def test_a_directory(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UnplayableFileError):
        inspect(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "song.mp3")
    with pytest.raises(UnplayableFileError):
        inspect(tmp_path / "song.mp3")


def test_a_missing_file(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        (tmp_path / "song.mp3").stat()
    with pytest.raises(PhaseLockError) as told:
        inspect(tmp_path / "song.mp3")
    assert str(told.value) == f"Cannot read song.mp3: {missing.value.strerror}"


@hypothesis.given(
    changes=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=40),
    kept=st.integers(0, 4000),
)
@hypothesis.settings(
    max_examples=200, deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
def test_hostile_bytes_are_counted_or_refused(
    tmp_path: pathlib.Path, changes: list[tuple[int, int]], kept: int
) -> None:
    data = bytearray(ID3V2 + encode(frames=12_000) + APE)
    for place, value in changes:
        data[place] = value
    try:
        info = look(tmp_path, bytes(data[:kept] if kept % 2 else data))
    except UnplayableFileError:
        return
    assert 3 <= info.packets <= len(data) // 24
    assert 0 < info.frames <= info.packets * info.packet_frames
    offsets = list(memoryview(info.index).cast("q"))
    assert len(offsets) == -(-info.packets // 32)
    assert offsets == sorted(set(offsets)) and 0 <= offsets[0] and offsets[-1] < len(data)


def test_a_file_that_has_not_changed_is_read_once(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[pathlib.Path] = []
    monkeypatch.setattr(music, "inspect", lambda path: read.append(path) or inspect(path))
    path, inspector = tmp_path / "song.mp3", Inspector()
    path.write_bytes(b"".join(packets()))
    first = inspector(path)
    link = tmp_path / "link.mp3"
    link.hardlink_to(path)
    assert inspector(path) is first and inspector(link) is first
    assert read == [path]
    path.write_bytes(b"".join(packets()[:-9]))
    assert inspector(path).packets == first.packets - 9
    path.write_bytes(b"no song")
    with pytest.raises(UnplayableFileError):
        inspector(path)
    path.unlink()
    with pytest.raises(PhaseLockError, match="cannot|Cannot"):
        inspector(path)


def test_the_oldest_files_are_forgotten(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(music, "_MAX_REMEMBERED", 2)
    inspector, paths = Inspector(), [tmp_path / f"{number}.mp3" for number in range(3)]
    for path in paths:
        path.write_bytes(b"".join(packets()))
    first, second = inspector(paths[0]), inspector(paths[1])
    assert inspector(paths[0]) is first  # used again: now the second is the oldest
    inspector(paths[2])
    assert inspector(paths[0]) is first
    assert inspector(paths[1]) is not second


def test_a_file_is_still_the_one_that_was_added(tmp_path: pathlib.Path) -> None:
    inspector, path = Inspector(), tmp_path / "abc.mp3"
    path.write_bytes(encode())
    sha256 = hashlib.sha256(encode()).digest()
    info = inspector(path, sha256)
    assert inspector.still(path, "song.mp3", sha256) is info
    assert Inspector().still(path, "song.mp3", sha256) == info  # forgotten
    path.touch()
    assert inspector.still(path, "song.mp3", sha256) == info
    with path.open("r+b") as file:  # of the same size
        file.seek(5000)
        file.write(b"x")
    os.utime(path, ns=(1, 1))
    inspector(path)  # another part of the program has looked at the new content
    for _ in range(2):
        with pytest.raises(PhaseLockError, match=r"^song\.mp3 has changed since it was added\.$"):
            inspector.still(path, "song.mp3", sha256)
    path.write_bytes(b"no song")
    with pytest.raises(PhaseLockError, match=r"^song\.mp3 has changed"):
        inspector.still(path, "song.mp3", sha256)
    with pytest.raises(UnplayableFileError, match="song"):
        inspector.still(path, "song.mp3", hashlib.sha256(b"no song").digest())
    path.unlink()
    with pytest.raises(PhaseLockError, match=r"^Cannot read abc\.mp3"):
        inspector.still(path, "song.mp3", sha256)
