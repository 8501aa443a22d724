"""Music of other kinds, converted by another process."""

from __future__ import annotations

import concurrent.futures
import functools
import importlib.util
import json
import pathlib
import re
import subprocess
import threading
import zlib

import pytest

from phaselock.app import converter, json_process
from phaselock.app.converter import ConversionCancelledError, Converter
from phaselock.app.importer import Imported, import_file
from phaselock.audio.music import Inspector
from phaselock.errors import PhaseLockError
from phaselock.language.message import Message
from phaselock.model.file_kinds import OtherSoundError, UnplayableFileError
from phaselock.model.loudness import Loudness
from phaselock.storage.cache import FileCache
from phaselock.storage.tags import Tags, read_artwork, read_tags
from tests.support.encoded import FRAMES, RATE_HZ, make

av = pytest.importorskip("av")


@pytest.fixture
def cache(tmp_path: pathlib.Path) -> FileCache:
    return FileCache(tmp_path / "cache")


def go_on(share: float) -> bool:
    return True


def imported(path: pathlib.Path, cache: FileCache) -> Imported:
    return import_file(path, None, go_on, inspect=Inspector(), convert=Converter(cache))


@pytest.mark.parametrize(
    ("container", "codec", "rate_hz", "lost", "extra"),
    [
        ("ipod", "aac", RATE_HZ, 0, 0),
        pytest.param("ipod", "alac", RATE_HZ, 0, 0, marks=pytest.mark.slow),
        pytest.param("ogg", "libopus", 48_000, 0, 0, marks=pytest.mark.slow),
        ("adts", "aac", RATE_HZ, 0, 2048),  # it does not say how long its padding is
        pytest.param("asf", "wmav2", RATE_HZ, 2048, 2048, marks=pytest.mark.slow),
        pytest.param("matroska", "libopus", 48_000, 0, 2048, marks=pytest.mark.slow),
    ],
)
def test_sound_and_tags_are_kept(
    tmp_path: pathlib.Path, cache: FileCache, container: str, codec: str, rate_hz: int, lost: int, extra: int
) -> None:
    path = tmp_path / "song.bin"
    tags = {"title": "Ænima", "artist": "悪の華"} if container != "adts" else {}
    make(path, container, codec, tags, rate_hz)
    found = imported(path, cache)
    assert found.track.rate_hz == rate_hz
    frames = FRAMES * rate_hz / RATE_HZ
    rounding = 0 if container == "ipod" else rate_hz / 1000 + 1
    assert frames - lost - rounding <= found.track.frames <= frames + rounding + extra
    assert (found.track.file_name, found.path.parent) == ("song.bin", cache.folder)
    assert (found.track.title, found.track.artist) == tuple(tags.values()) or not tags
    assert (found.track.sha256, found.track.size) == (bytes.fromhex(found.path.stem), found.path.stat().st_size)
    assert read_tags(found.path).title == found.track.title


@pytest.mark.slow
@pytest.mark.parametrize(("container", "codec", "rate_hz"), [("ogg", "libopus", 48_000), ("asf", "wmav2", RATE_HZ)])
def test_the_tags_of_album_and_loudness_are_kept(
    tmp_path: pathlib.Path, cache: FileCache, container: str, codec: str, rate_hz: int
) -> None:
    tags = {"title": "x", "album": "Now", "track": "3/9", "disc": "2", "R128_TRACK_GAIN": "-1280"}
    tags |= {"REPLAYGAIN_ALBUM_GAIN": "-4.00 dB", "REPLAYGAIN_ALBUM_PEAK": "0.5", "R128_ALBUM_GAIN": "256"}
    make(tmp_path / "song", container, codec, tags, rate_hz)
    found = read_tags(imported(tmp_path / "song", cache).path)
    assert found == Tags("x", "", "Now", Loudness(-18.0), Loudness(-14.0, 0.5), (2, 3))


def test_a_file_is_converted_once(tmp_path: pathlib.Path, cache: FileCache, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "song.m4a"
    make(path, "ipod", "aac")
    first = imported(path, cache)
    monkeypatch.setattr(subprocess, "Popen", None)
    assert imported(path, cache).track.sha256 == first.track.sha256
    first.path.unlink()
    with pytest.raises(TypeError):
        imported(path, cache)  # it is gone, so it is converted again
    (cache.folder / "conversions.json").write_text("[")
    with pytest.raises(TypeError):
        imported(path, cache)


def with_picture(path: pathlib.Path, picture: bytes) -> None:
    """A song with this picture."""
    plain = path.with_name("plain.m4a")
    make(plain, "ipod", "aac")
    with av.open(str(plain)) as source, av.open(str(path), "w", format="mp4") as result:
        sound = result.add_stream_from_template(source.streams.audio[0])
        cover = result.add_stream("png", width=1, height=1, pix_fmt="rgb24")
        cover.disposition = av.stream.Disposition.attached_pic
        packet = av.Packet(picture)
        packet.stream, packet.pts, packet.dts, packet.is_keyframe = cover, 0, 0, True
        for one in source.demux(source.streams.audio[0]):
            if one.size:
                one.stream = sound
                result.mux(one)
        result.mux(packet)


def chunk(name: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")


@pytest.mark.slow
def test_the_picture_is_kept(tmp_path: pathlib.Path, cache: FileCache) -> None:
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", b"\0\0\0\1\0\0\0\1\x08\2\0\0\0")
    picture = head + chunk(b"IDAT", zlib.compress(bytes(4))) + chunk(b"IEND", b"")
    path = tmp_path / "song.m4a"
    with_picture(path, picture)
    artwork = read_artwork(imported(path, cache).path)
    assert artwork is not None and artwork.data == picture
    with_picture(path, head)  # a damaged picture costs only itself
    assert read_artwork(imported(path, cache).path) is None


def test_without_the_package_one_sentence_says_what_to_install(
    tmp_path: pathlib.Path, cache: FileCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "song.m4a"
    make(path, "ipod", "aac")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    sentence = "song.m4a cannot be played: it is an M4A file, which needs: pip install 'av>=14'."
    with pytest.raises(OtherSoundError, match=f"^{re.escape(sentence)}$"):
        imported(path, cache)


@pytest.mark.parametrize("cut", [40, 0.3, 0.5])
def test_what_is_damaged_is_refused_and_leaves_nothing(tmp_path: pathlib.Path, cache: FileCache, cut: float) -> None:
    path = tmp_path / "song.m4a"
    make(path, "ipod", "aac")
    data = path.read_bytes()
    path.write_bytes(data[: round(cut * len(data)) if cut < 1 else cut])
    with pytest.raises(UnplayableFileError, match="it is damaged or protected"):
        imported(path, cache)
    assert not list(cache.folder.iterdir())


@pytest.mark.slow
def test_a_playlist_that_calls_itself_music_opens_no_other_file(tmp_path: pathlib.Path, cache: FileCache) -> None:
    make(tmp_path / "secret.m4a", "ipod", "aac")
    path = tmp_path / "song.m4a"
    for text in ("#EXTM3U\n#EXTINF:3,\nsecret.m4a\n", f"ffconcat version 1.0\nfile {tmp_path}/secret.m4a\n"):
        path.write_text(text)
        with pytest.raises(UnplayableFileError):
            Converter(cache)(path, path.name, b"", Message(""), go_on)


def test_a_session_that_ends_waits_for_no_conversion(
    tmp_path: pathlib.Path, cache: FileCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "song.m4a"
    make(path, "ipod", "aac")
    monkeypatch.setattr(converter, "_CODE", "print('{}', flush=True); import time; time.sleep(3600)")
    convert = Converter(cache)
    begun = threading.Event()
    monkeypatch.setattr(json, "loads", lambda _line: begun.set() or {})
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        describe = functools.partial(import_file, path, None, go_on, inspect=Inspector(), convert=convert)
        result = pool.submit(describe)
        assert begun.wait(60)
        convert.close()
        assert isinstance(result.exception(60), UnplayableFileError)
        assert isinstance(pool.submit(describe).exception(60), UnplayableFileError)


def test_a_process_that_hangs_is_ended(
    tmp_path: pathlib.Path, cache: FileCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "song.m4a"
    make(path, "ipod", "aac")
    monkeypatch.setattr(converter, "_CODE", "import time; time.sleep(3600)")
    monkeypatch.setattr(json_process, "SILENCE_S", 0.2)
    with pytest.raises(PhaseLockError, match="it is damaged or protected"):
        imported(path, cache)


@pytest.mark.slow
def test_the_progress_is_told(tmp_path: pathlib.Path, cache: FileCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the real process: it grows to the whole."""
    path = tmp_path / "song.m4a"
    make(path, "ipod", "aac")
    code = "from phaselock.audio import conversion; conversion.REPORT_EVERY_S = 0.0; conversion.main()"
    monkeypatch.setattr(converter, "_CODE", code)
    shares: list[float] = []

    def report(share: float) -> bool:
        shares.append(share)
        return True

    import_file(path, None, report, inspect=Inspector(), convert=Converter(cache))
    assert len(shares) > 10 and shares == sorted(shares) and shares[-1] == 1.0
    assert 0 < shares[len(shares) // 2] < 1


def test_what_a_process_that_was_taken_over_says_is_no_progress(
    tmp_path: pathlib.Path, cache: FileCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "song.m4a"
    path.write_bytes(bytes(8))
    lines = [b"", b"[", b"[1]", b"3", b'{"done": "x"}', b'{"done": NaN}', b'{"done": 7}', b"\xff", b"null"]
    said = b"\n".join(lines) + b"\n"
    monkeypatch.setattr(converter, "_CODE", f"import sys; sys.stdout.buffer.write({said!r})")
    shares: list[float] = []
    with pytest.raises(UnplayableFileError, match="it is damaged or protected"):
        Converter(cache)(path, path.name, bytes(32), Message(""), lambda share: not shares.append(share))
    assert shares == [0.0] * len(lines)


def test_a_conversion_that_is_not_wanted_any_more_is_ended(
    tmp_path: pathlib.Path, cache: FileCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "song.m4a"
    make(path, "ipod", "aac")
    monkeypatch.setattr(converter, "_CODE", "print('{}', flush=True); import time; time.sleep(3600)")
    with pytest.raises(ConversionCancelledError, match=r"^The conversion of song\.m4a was cancelled\.$"):
        import_file(path, None, lambda share: False, inspect=Inspector(), convert=Converter(cache))
    assert not list(cache.folder.iterdir())


def test_a_conversion_that_waits_for_another_one_says_so(
    tmp_path: pathlib.Path, cache: FileCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And can be cancelled meanwhile."""
    path = tmp_path / "song.m4a"
    make(path, "ipod", "aac")
    monkeypatch.setattr(converter, "WAITING_EVERY_S", 0.01)
    convert = Converter(cache)
    describe = functools.partial(import_file, path, None, inspect=Inspector(), convert=convert)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        shares: list[float] = []

        def report(share: float) -> bool:
            """The first one waits here until the second one has said twice that it waits."""
            if not shares:
                second = iter((True, False))
                assert isinstance(pool.submit(describe, lambda _: next(second)).exception(60), ConversionCancelledError)
                assert next(second, None) is None
            shares.append(share)
            return True

        assert describe(report).track.file_name == "song.m4a"
