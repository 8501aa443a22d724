from __future__ import annotations

import os
import pathlib
import struct
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.storage.tags import MAX_ARTWORK_BYTES, Artwork, Tags, read_artwork, read_tags
from tests.support.mp3 import encode

SOUND = encode(frames=20_000)
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 4 + b"\xff\xd9"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
NONE = Tags("", "")
TEXT = "Ænima"
WIDE = "悪の華"


def seven_bits(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def frame(version: int, name: str, content: bytes, claimed: int | None = None) -> bytes:
    size = len(content) if claimed is None else claimed
    if version == 2:
        short = {"TIT2": "TT2", "TPE1": "TP1", "APIC": "PIC", "COMM": "COM"}.get(name, name[:3])
        return short.encode() + size.to_bytes(3, "big") + content
    return name.encode() + (seven_bits(size) if version == 4 else struct.pack(">I", size)) + b"\0\0" + content


def id3(version: int, *frames: bytes, claimed: int | None = None, flags: int = 0, padding: int = 100) -> bytes:
    body = b"".join(frames) + bytes(padding)
    size = seven_bits(len(body) if claimed is None else claimed)
    return b"ID3" + bytes((version, 0, flags)) + size + body


def encoded(text: str, encoding: int) -> bytes:
    return (
        bytes((encoding,))
        + {
            0: lambda: text.encode("latin-1") + b"\0",
            1: lambda: text.encode("utf-16") + b"\0\0",
            2: lambda: text.encode("utf-16-be") + b"\0\0",
            3: lambda: text.encode() + b"\0",
        }[encoding]()
    )


def picture(version: int, data: bytes, kind: int = 3) -> bytes:
    what = b"\0JPG" if version == 2 else b"\0image/jpeg\0"
    return frame(version, "APIC", what + bytes((kind,)) + b"cover\0" + data)


def id3v1(title: bytes, artist: bytes) -> bytes:
    return (b"TAG" + title.ljust(30, b"\0") + artist.ljust(30, b"\0")).ljust(128, b"\0")


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "song.mp3"


def tags_of(path: pathlib.Path, data: bytes) -> Tags:
    path.write_bytes(data)
    return read_tags(path)


def artwork_of(path: pathlib.Path, data: bytes) -> Artwork | None:
    path.write_bytes(data)
    return read_artwork(path)


@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize(("encoding", "text"), [(0, TEXT), (1, WIDE), (2, WIDE), (3, WIDE)])
def test_every_version_and_encoding_is_read(path: pathlib.Path, version: int, encoding: int, text: str) -> None:
    tag = id3(version, *(frame(version, name, encoded(text + name, encoding)) for name in ("TIT2", "TPE1")))
    assert tags_of(path, tag + SOUND) == Tags(f"{text}TIT2", f"{text}TPE1")


def test_big_endian_and_missing_marks_are_read(path: pathlib.Path) -> None:
    big = b"\1\xfe\xff" + WIDE.encode("utf-16-be")
    little = b"\1" + WIDE.encode("utf-16-le")
    assert tags_of(path, id3(3, frame(3, "TIT2", big), frame(3, "TPE1", little)) + SOUND) == Tags(WIDE, WIDE)


def test_the_old_tag_at_the_end_is_read(path: pathlib.Path) -> None:
    assert tags_of(path, SOUND + id3v1(b"Caf\xe9", b"Somebody")) == Tags("Café", "Somebody")
    new = id3(4, frame(4, "TIT2", encoded("New", 3)))
    assert tags_of(path, new + SOUND + id3v1(b"Old", b"Somebody")) == Tags("New", "Somebody")


def test_a_tag_with_stuffed_zeros_is_read(path: pathlib.Path) -> None:
    for version in (2, 3):
        whole = id3(version, frame(version, "TIT2", encoded(WIDE + "ÿ", 1)), picture(version, JPEG))[10:]
        stuffed = whole.replace(b"\xff\0", b"\xff\0\0")
        stuffed = stuffed.replace(b"\xff\xfe", b"\xff\0\xfe").replace(b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\0\xe0")
        tag = b"ID3" + bytes((version, 0, 0x80)) + seven_bits(len(stuffed)) + stuffed
        assert tags_of(path, tag + SOUND + id3v1(b"Old", b"Somebody")) == Tags(f"{WIDE}ÿ", "Somebody")
        assert artwork_of(path, tag + SOUND) == Artwork("image/jpeg", JPEG)


def test_no_tag_is_no_text_and_no_picture(path: pathlib.Path) -> None:
    for data in (SOUND, b"", b"ID3", SOUND[:2000], b"x" * 1000, b"RIFF....WAVE", b"OggS" + bytes(100), b"fLaC" * 50):
        assert tags_of(path, data) == NONE
        assert artwork_of(path, data) is None


def test_a_path_that_is_not_a_regular_file_has_no_tags(path: pathlib.Path) -> None:
    assert read_tags(path) == NONE and read_artwork(path) is None
    assert read_tags(path.parent) == NONE and read_artwork(path.parent) is None
    if hasattr(os, "mkfifo"):
        os.mkfifo(path)
        assert read_tags(path) == NONE and read_artwork(path) is None


def test_texts_are_made_safe_to_show(path: pathlib.Path) -> None:
    evil = id3(4, frame(4, "TIT2", encoded("a\n\u202eb\x1b[2J", 3)), frame(4, "TPE1", encoded("x" * 5000, 3)))
    tags = tags_of(path, evil + SOUND)
    assert tags.title == "ab[2J"
    assert tags.artist == "x" * 100


def test_a_text_behind_a_large_frame_is_found(path: pathlib.Path) -> None:
    for large in (picture(3, JPEG * 5000), frame(3, "COMM", b"\0eng\0" + b"x" * 1_000_000)):
        tag = id3(3, large, frame(3, "TIT2", encoded("Title", 0)), frame(3, "TPE1", encoded("Artist", 0)))
        assert tags_of(path, tag + SOUND) == Tags("Title", "Artist")


def test_many_texts_are_no_trouble(path: pathlib.Path) -> None:
    texts = [frame(4, "TXXX", encoded(f"KEY {number}", 3) + b"value" * 10) for number in range(100)]
    tag = id3(4, *texts, frame(4, "TIT2", encoded("Title", 3)))
    assert tags_of(path, tag + SOUND).title == "Title"


@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize(
    ("data", "mime"),
    [(JPEG, "image/jpeg"), (PNG, "image/png"), (b"GIF89a...", "image/gif"), (b"RIFF....WEBP", "image/webp")],
)
def test_a_picture_is_known_by_its_beginning(path: pathlib.Path, version: int, data: bytes, mime: str) -> None:
    assert artwork_of(path, id3(version, picture(version, data)) + SOUND) == Artwork(mime, data)


def test_the_front_cover_is_preferred(path: pathlib.Path) -> None:
    pictures = [picture(3, JPEG + b"back", 4), picture(3, PNG, 3), picture(3, JPEG + b"icon", 1)]
    assert artwork_of(path, id3(3, *pictures) + SOUND) == Artwork("image/png", PNG)
    assert artwork_of(path, id3(3, pictures[0], pictures[2]) + SOUND) == Artwork("image/jpeg", JPEG + b"back")
    assert artwork_of(path, id3(3, picture(3, b"BM a bitmap", 3), pictures[2]) + SOUND) == Artwork(
        "image/jpeg", JPEG + b"icon"
    )


def test_only_pictures_of_the_known_kinds_and_of_some_size_count(path: pathlib.Path) -> None:
    for data in (b"BM" + bytes(100), b"<svg/>", b"", JPEG[:2], b"http://example.org/x.jpg"):
        assert artwork_of(path, id3(3, picture(3, data)) + SOUND) is None
    largest = JPEG.ljust(MAX_ARTWORK_BYTES, b"x")
    assert artwork_of(path, id3(3, picture(3, largest)) + SOUND) == Artwork("image/jpeg", largest)
    assert artwork_of(path, id3(3, picture(3, largest + b"x")) + SOUND) is None
    assert artwork_of(path, id3(3, picture(3, largest + bytes(100_000))) + SOUND) is None


def hostile() -> dict[str, bytes]:
    pairs = iter(range(256, 65536))
    values = b"\0".join(bytes((next(pairs) >> 8, 1 + next(pairs) % 255)) for _ in range(30_000))
    claim = 0x0FFF_FFFF
    return {
        "a tag larger than the file": id3(3, frame(3, "TIT2", b"\0x"), claimed=claim),
        "a text of a quarter gigabyte": id3(3, frame(3, "TIT2", b"\0x", claimed=claim - 20), claimed=claim),
        "a picture of a quarter gigabyte": id3(4, frame(4, "APIC", b"\0x", claimed=claim - 20), claimed=claim),
        "a frame larger than the tag": id3(3, frame(3, "TIT2", b"\0x", claimed=0xFFFF_FFFF)),
        "very many empty frames": id3(3, frame(3, "TIT2", b"") * 1_000_000),
        "very many small frames": id3(2, frame(2, "TIT2", b"\0x") * 1_000_000),
        "very many ignored frames": id3(3, frame(3, "PCNT", b"1") * 1_000_000),
        "very many values": id3(4, frame(4, "TIT2", b"\0" + values) * 20),
        "very many values in many frames": id3(
            4, *(frame(4, "TIT2", b"\0" + values[at : at + 999]) for at in range(0, len(values), 999))
        ),
        "very many pictures": id3(3, picture(3, b"x" * 200_000) * 500),
        "values behind a picture's name": id3(4, frame(4, "APIC", b"") + frame(4, "TIT2", b"\0" + values * 20)),
        "a backward extended header": id3(3, b"\0\0\0\0\0\0" * 10_000, flags=0x40),
        "stuffed": id3(3, b"\xff\0" * 40_000_000, flags=0x80),
    }


@pytest.mark.parametrize("data", hostile().values(), ids=hostile().keys())
def test_hostile_tags_cost_little(path: pathlib.Path, data: bytes) -> None:
    path.write_bytes(data + SOUND)
    read_tags(path)
    for read, most_bytes in ((read_tags, 4 << 20), (read_artwork, 140 << 20)):
        started_s = time.process_time()
        tracemalloc.start()
        try:
            read(path)
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak_bytes < most_bytes
        assert time.process_time() - started_s < 10


def test_a_file_of_two_gigabytes_is_no_more_work(path: pathlib.Path) -> None:
    with path.open("wb") as file:
        file.write(id3(3, frame(3, "TIT2", encoded("Title", 0)), claimed=0x0FFF_FFFF))
        file.truncate(2 << 30)  # a sparse file
    assert read_tags(path) == Tags("Title", "")


@given(st.integers(0, 400))
def test_a_tag_cut_anywhere_is_no_trouble(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.mktemp("tags") / "x.mp3"
    tag = id3(3, frame(3, "TIT2", encoded(WIDE, 1)), frame(3, "COMM", b"\0eng\0x"), picture(3, PNG))
    path.write_bytes(tag[:cut])
    shown = read_tags(path).title.rstrip("\ufffd")  # half a character
    assert shown in [WIDE[:length] for length in range(4)]
    read_artwork(path)


frames = st.builds(
    frame,
    st.sampled_from([2, 3, 4]),
    st.sampled_from(["TIT2", "TPE1", "APIC", "COMM", "USLT", "SYLT", "TXXX", "PRIV", "TRCK", "TCON", "XXXX", "WOAR"]),
    st.binary(max_size=60),
    st.none() | st.integers(0, 127),
)
tagged = st.builds(
    lambda version, parts, flags, claimed: id3(version, *parts, flags=flags, claimed=claimed),
    st.integers(0, 5),
    st.lists(frames, max_size=5),
    st.integers(0, 255),
    st.none() | st.integers(0, 0x0FFF_FFFF),
)


@given(st.binary(max_size=500) | tagged, st.binary(max_size=200))
def test_no_file_breaks_the_program(tmp_path_factory: pytest.TempPathFactory, data: bytes, more: bytes) -> None:
    path = tmp_path_factory.mktemp("tags") / "x.mp3"
    path.write_bytes(data + more)
    read_tags(path)
    read_artwork(path)
