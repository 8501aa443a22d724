from __future__ import annotations

import io
import os
import pathlib
import struct
import time
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.model.loudness import Loudness
from phaselock.storage.ogg import part_begins
from phaselock.storage.tags import MAX_ARTWORK_BYTES, Artwork, Tags, read_artwork, read_tags
from tests.support.flac import flac
from tests.support.mp3 import encode
from tests.support.ogg import flac_in_ogg, ogg

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
    assert tags.artist == "x" * 197 + "…"


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
        "very many empty frames": id3(3, frame(3, "TIT2", b"") * 100_000),
        "very many small frames": id3(2, frame(2, "TIT2", b"\0x") * 100_000),
        "very many ignored frames": id3(3, frame(3, "PCNT", b"1") * 100_000),
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


# ID3v2 flags. Bodies are stuffed and compressed here as the standard says.
LETTERS = ("Title", "A title of more than thirty-one bytes, which is one size byte", "Ænimä – 悪の華")


def stuffed(data: bytes) -> bytes:
    out = bytearray()
    for place, byte in enumerate(data):
        out.append(byte)
        follower = data[place + 1] if place + 1 < len(data) else None
        if byte == 0xFF and (follower is None or follower == 0 or follower >= 0xE0):
            out.append(0)
    return bytes(out)


def frame_2_4(name: str, body: bytes, flags: int) -> bytes:
    """A frame with these format flags: grouping 0x40, compression 8, encryption 4, stuffing 2, data length 1."""
    plain_bytes = len(body)
    if flags & 8:
        body = zlib.compress(body)
    if flags & 2:
        body = stuffed(body)
    front = (b"g" if flags & 0x40 else b"") + (b"m" if flags & 4 else b"")
    front += seven_bits(plain_bytes) if flags & 1 else b""
    body = front + body
    return name.encode() + seven_bits(len(body)) + bytes((0, flags)) + body


@pytest.mark.parametrize("text", LETTERS)
@pytest.mark.parametrize("tag_flags", [0, 0x80])
@pytest.mark.parametrize("flags", [0, 1, 2, 3, 0x40, 0x43, 8, 9, 11, 0x4B])
def test_every_flag_of_2_4_is_undone(path: pathlib.Path, text: str, tag_flags: int, flags: int) -> None:
    many = JPEG + b"\xff\0\xff\xe0\xff" * 50
    bodies = {
        "TIT2": encoded(text, 3),
        "APIC": b"\0image/jpeg\0\3\0" + many,
        "TPE1": encoded(text[::-1], 1),
    }
    tag = id3(4, *(frame_2_4(name, body, flags) for name, body in bodies.items()), flags=tag_flags)
    assert tags_of(path, tag + SOUND) == Tags(text, text[::-1])
    assert artwork_of(path, tag + SOUND) == Artwork("image/jpeg", many)


def test_frames_are_stuffed_where_only_the_tag_says_so(path: pathlib.Path) -> None:
    bodies = {"TIT2": encoded("Title ÿ", 1), "APIC": b"\0image/jpeg\0\3\0" + JPEG}
    tag = id3(4, *(frame_2_4(name, stuffed(body), 0) for name, body in bodies.items()), flags=0x80)
    assert tags_of(path, tag + SOUND).title == "Title ÿ"
    assert artwork_of(path, tag + SOUND) == Artwork("image/jpeg", JPEG)


def test_encrypted_frames_are_left_out(path: pathlib.Path) -> None:
    tag = id3(4, frame_2_4("TIT2", b"\3secret", 4), frame_2_4("TPE1", encoded("Open", 3), 0))
    assert tags_of(path, tag + SOUND + id3v1(b"Old", b"x")) == Tags("Old", "Open")
    hidden = b"TIT2" + struct.pack(">I", 8) + b"\0\x40m\3secret"
    assert tags_of(path, id3(3, hidden) + SOUND + id3v1(b"Old", b"x")).title == "Old"


@pytest.mark.parametrize(("flags", "front"), [(0x80, b"\0\0\0\x10"), (0x20, b"g"), (0xA0, b"\0\0\0\x10g")])
def test_every_flag_of_2_3_is_undone(path: pathlib.Path, flags: int, front: bytes) -> None:
    body = encoded(WIDE, 1)
    body = front + (zlib.compress(body) if flags & 0x80 else body)
    tag = id3(3, b"TIT2" + struct.pack(">I", len(body)) + bytes((0, flags)) + body)
    assert tags_of(path, tag + SOUND).title == WIDE


def test_compressed_bombs_are_cut(path: pathlib.Path) -> None:
    bomb = frame_2_4("TIT2", b"\3" + b"x" * 5_000_000, 9)
    assert tags_of(path, id3(4, bomb) + SOUND).title in ("x" * 197 + "…", "")
    assert tags_of(path, id3(4, frame_2_4("TIT2", b"no zlib", 1)[:9] + b"\x08" + b"no zlib!!!!") + SOUND) == NONE


@pytest.mark.parametrize(
    ("version", "extended"),
    [
        (3, b"\0\0\0\6" + bytes(6)),
        (3, b"\0\0\0\x0a\x80\0" + bytes(8)),
        (4, b"\0\0\0\6\1\0"),
        (4, b"\0\0\0\x0c\1\x20\5" + bytes(5)),
        (3, b""),  # the flag alone
        (4, b""),
    ],
)
@pytest.mark.parametrize("more_flags", [0, 0x80])
def test_an_extended_header_is_stepped_over(path: pathlib.Path, version: int, extended: bytes, more_flags: int) -> None:
    tag = id3(version, extended, frame(version, "TIT2", encoded("Title", 3)), flags=0x40 | more_flags)
    assert tags_of(path, tag + SOUND).title == "Title"


def test_a_large_stuffed_tag_of_2_3_is_read_to_its_end(path: pathlib.Path) -> None:
    picture_body = b"\0image/jpeg\0\3\0" + JPEG + b"\xff\0\xff" * 1_500_000
    body = frame(3, "APIC", picture_body) + frame(3, "TIT2", encoded(WIDE, 1))
    body = body.replace(b"\xff\0", b"\xff\0\0").replace(b"\xff\xfe", b"\xff\0\xfe")
    tag = b"ID3\3\0\x80" + seven_bits(len(body)) + body
    assert tags_of(path, tag + SOUND).title == WIDE


def test_sizes_with_eight_bits_in_2_4_are_read(path: pathlib.Path) -> None:
    large = (
        b"APIC"
        + struct.pack(">I", 200 + len(JPEG))
        + b"\0\0"
        + (b"\0image/jpeg\0\3\0" + JPEG).ljust(200 + len(JPEG), b"x")
    )
    tag = id3(4, large, frame(4, "TIT2", encoded("Title", 3)))
    assert tags_of(path, tag + SOUND).title == "Title"
    art = artwork_of(path, tag + SOUND)
    assert art is not None and art.data.startswith(JPEG)
    assert tags_of(path, id3(4, large, padding=0) + SOUND) == NONE


def test_names_of_2_2_in_other_tags_are_read(path: pathlib.Path) -> None:
    """iTunes wrote such tags."""
    tag = id3(
        3,
        b"TT2\0" + struct.pack(">I", 6) + b"\0\0\0Title",
        b"PIC\0" + struct.pack(">I", 6 + len(PNG)) + b"\0\0\0PNG\3\0" + PNG,
    )
    assert tags_of(path, tag + SOUND).title == "Title"
    assert artwork_of(path, tag + SOUND) == Artwork("image/png", PNG)


def ape(items: dict[str, bytes], header: bool = True) -> bytes:
    body = b"".join(
        len(value).to_bytes(4, "little") + bytes(4) + key.encode() + b"\0" + value for key, value in items.items()
    )
    sizes = (2000).to_bytes(4, "little") + (len(body) + 32).to_bytes(4, "little") + len(items).to_bytes(4, "little")
    flags = 0x80 if header else 0
    head = b"APETAGEX" + sizes + bytes((0, 0, 0, flags | 0x20)) + bytes(8)
    return (head if header else b"") + body + b"APETAGEX" + sizes + bytes((0, 0, 0, flags)) + bytes(8)


LYRICS = b"LYRICSBEGININD0000200" + b"000021LYRICS200"
APPENDED = frame(4, "TIT2", encoded("Appended", 3))
APPENDED = b"ID3\4\0\x10" + seven_bits(len(APPENDED)) + APPENDED + b"3DI\4\0\x10" + seven_bits(len(APPENDED))


OLD = id3v1(b"Old", b"Old")


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("behind", [b"", OLD, LYRICS + OLD, b"TAG+".ljust(227) + OLD])
def test_ape_tags_are_read(path: pathlib.Path, header: bool, behind: bytes) -> None:
    tag = ape(
        {"Track": b"1", "TITLE": WIDE.encode(), "Artist": b"One\0Two", "Cover Art (Front)": b"cover.png\0" + PNG},
        header,
    )
    assert tags_of(path, SOUND + tag + behind) == Tags(WIDE, "One", place=(1, 1))
    assert artwork_of(path, SOUND + tag + behind) == Artwork("image/png", PNG)
    new = id3(4, frame(4, "TIT2", encoded("New", 3)))
    assert tags_of(path, new + SOUND + tag + behind) == Tags("New", "One", place=(1, 1))


@pytest.mark.parametrize("behind", [b"", id3v1(b"Old", b"Old"), LYRICS + id3v1(b"Old", b"Old"), ape({"Title": b"Ape"})])
def test_appended_tags_are_read(path: pathlib.Path, behind: bytes) -> None:
    assert tags_of(path, SOUND + APPENDED + behind).title == "Appended"


def test_a_second_tag_fills_what_the_first_one_lacks(path: pathlib.Path) -> None:
    first, second = (id3(3, frame(3, name, encoded(name, 0))) for name in ("TIT2", "TPE1"))
    assert tags_of(path, first + second + SOUND) == Tags("TIT2", "TPE1")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("Café – 5 €".encode("cp1252"), "Café – 5 €"),
        ("Café 悪の華".encode(), "Café 悪の華"),
        ("Café 悪の華".encode()[:-1], "Café 悪の"),
        (b"\x81x", "x"),
    ],
)
def test_texts_of_one_byte_may_be_in_a_code_page_or_utf_8(path: pathlib.Path, data: bytes, text: str) -> None:
    assert tags_of(path, id3(3, frame(3, "TIT2", b"\0" + data)) + SOUND).title == text
    assert tags_of(path, SOUND + id3v1(data, b"")).title == text


@given(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=80), st.integers(2, 4))
def test_no_flags_break_the_program(
    tmp_path_factory: pytest.TempPathFactory, tag_flags: int, flags: int, body: bytes, version: int
) -> None:
    path = tmp_path_factory.mktemp("tags") / "x.mp3"
    hostile_frame = b"APIC" + struct.pack(">I", len(body)) + bytes((0, flags)) + body
    path.write_bytes(id3(version, hostile_frame, hostile_frame.replace(b"APIC", b"TIT2"), flags=tag_flags) + body)
    read_tags(path)
    read_artwork(path)


@given(
    st.binary(max_size=200),
    st.lists(st.sampled_from([b"TAG".ljust(128), LYRICS, APPENDED, ape({"Title": b"x"})]), max_size=6),
)
def test_no_tags_at_the_end_break_the_program(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, ends: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("tags") / "x.mp3"
    path.write_bytes(b"".join(ends)[len(data) // 2 :] + data + b"".join(ends))
    read_tags(path)
    read_artwork(path)


@pytest.mark.parametrize("version", [2, 3, 4])
def test_the_album_is_read(path: pathlib.Path, version: int) -> None:
    name = b"TAL" if version == 2 else b"TALB"
    body = frame(version, "TIT2", encoded("Album", 0))[len(name) :]
    assert tags_of(path, id3(version, name + body) + SOUND).album == "Album"
    assert tags_of(path, SOUND + ape({"Album": b"Ape"}) + id3v1(b"", b"")).album == "Ape"
    assert tags_of(path, SOUND + b"TAG".ljust(63, b"\0") + b"Old".ljust(65, b"\0")).album == "Old"


def test_frames_that_cannot_be_inflated_are_counted(path: pathlib.Path) -> None:
    """Each of them may inflate to megabytes before its checksum is found wrong."""
    whole = frame_2_4("APIC", b"\0image/jpeg\0\3\0" + JPEG, 8)
    broken = whole[:12] + bytes(len(whole) - 12)
    assert artwork_of(path, id3(4, *[broken] * 15, whole) + SOUND) is not None
    assert artwork_of(path, id3(4, *[broken] * 16, whole) + SOUND) is None


def flac_block(kind: int, content: bytes, claimed: int | None = None) -> bytes:
    return bytes((kind,)) + (len(content) if claimed is None else claimed).to_bytes(3, "big") + content


def comments(*texts: str, count: int | None = None) -> bytes:
    listed = b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in texts)
    return struct.pack("<I", 3) + b"enc" + struct.pack("<I", len(texts) if count is None else count) + listed


def flac_picture(data: bytes, kind: int = 3, mime: bytes = b"image/png", claimed: int | None = None) -> bytes:
    head = struct.pack(">II", kind, len(mime)) + mime + struct.pack(">I", 5) + b"cover" + bytes(16)
    return flac_block(6, head + struct.pack(">I", len(data) if claimed is None else claimed) + data)


def chunk(name: bytes, content: bytes, order: str = "<") -> bytes:
    return name + struct.pack(f"{order}I", len(content)) + content + bytes(len(content) % 2)


def test_comments_and_pictures_of_flac(path: pathlib.Path) -> None:
    texts = flac_block(4, comments("Title=Ænima", "ARTIST=悪の華", "album=Now", "title=Second", "nonsense"))
    path.write_bytes(flac([1, 2], 1, 44100, tags=texts + flac_picture(JPEG, 4) + flac_picture(PNG)))
    assert read_tags(path) == Tags(TEXT, WIDE, "Now")
    assert read_artwork(path) == Artwork("image/png", PNG)


def test_comments_and_pictures_of_flac_in_ogg(path: pathlib.Path) -> None:
    """A picture may be larger than a page, and another stream may be in between."""
    large = PNG + bytes(200_000)
    texts = flac_block(4, comments("Title=Ænima", "ARTIST=悪の華"))
    song = flac_in_ogg(flac([1, 2], 1, 44100, tags=texts + flac_picture(large)))
    first = 28 + song[26] + sum(song[27 : 27 + song[26]]) - 1
    path.write_bytes(song[:first] + ogg([b"another"], serial=9) + song[first:])
    tags, artwork = read_tags(path), read_artwork(path)
    assert (tags.title, tags.artist) == ("Ænima", "悪の華")
    assert artwork is not None and artwork.data == large
    for cut in range(0, len(song), 1009):
        path.write_bytes(song[:cut])
        read_tags(path), read_artwork(path)


def test_the_parts_of_a_chained_ogg_file_are_found() -> None:
    one, other = ogg([b"head", b"more", bytes(70_000)]), ogg([b"head", b"more", b"sound"], serial=8)
    grouped = ogg([b"head"]) + other  # two streams that begin together
    for data, begins in (
        (one, [0]),
        (one + other, [0, len(one)]),
        (one + one + b"OggS", [0, len(one)]),
        (grouped, [0]),
        (b"", [0]),
        (b"no music", [0]),
        (one[:-1] + other, [0]),
    ):
        assert part_begins(io.BytesIO(data)) == begins


def test_flac_behind_an_id3_tag(path: pathlib.Path) -> None:
    texts = flac_block(4, comments("title=Ænima"))
    tag = id3(3, frame(3, "TIT2", encoded("other", 3)), frame(3, "TPE1", encoded("Ada", 3)))
    path.write_bytes(tag + flac([1, 2], 1, 44100, tags=texts))
    assert read_tags(path) == Tags(TEXT, "Ada")


@pytest.mark.parametrize(
    "block",
    [
        flac_block(4, b""),
        flac_block(4, b"\xff\xff\xff\xff"),
        flac_block(4, comments("title=x", count=1 << 31), claimed=(1 << 24) - 1),
        flac_block(6, b""),
        flac_block(6, struct.pack(">II", 3, 1 << 31)),
        flac_picture(PNG, claimed=1 << 31),
        flac_block(1, b"") * 300,
    ],
)
def test_broken_blocks_cost_little(path: pathlib.Path, block: bytes) -> None:
    path.write_bytes(b"fLaC" + block)
    assert read_tags(path).artist == ""
    read_artwork(path)


def test_texts_in_wav_and_aiff(path: pathlib.Path) -> None:
    info = chunk(b"LIST", b"INFO" + chunk(b"INAM", TEXT.encode() + b"\0") + chunk(b"IART", b"Ada\0"))
    path.write_bytes(b"RIFF\0\0\0\0WAVE" + chunk(b"fmt ", bytes(16)) + chunk(b"data", bytes(333)) + info)
    assert read_tags(path) == Tags(TEXT, "Ada")
    tag = id3(3, frame(3, "TIT2", encoded(WIDE, 3)), picture(3, JPEG))
    path.write_bytes(b"RIFF\0\0\0\0WAVE" + chunk(b"data", bytes(10)) + chunk(b"id3 ", tag) + info)
    assert read_tags(path) == Tags(WIDE, "Ada")
    assert read_artwork(path) == Artwork("image/jpeg", JPEG)
    path.write_bytes(b"FORM\0\0\0\0AIFF" + chunk(b"NAME", b"Song", ">") + chunk(b"AUTH", b"Ada", ">"))
    assert read_tags(path) == Tags("Song", "Ada")


@given(st.binary(max_size=200), st.sampled_from((b"fLaC", b"RIFF\0\0\0\0WAVE", b"FORM\0\0\0\0AIFF")))
def test_any_blocks_and_chunks_can_be_read(tmp_path_factory: pytest.TempPathFactory, data: bytes, head: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(head + data)
    read_tags(path)
    read_artwork(path)


def test_the_loudness_of_flac_comments(path: pathlib.Path) -> None:
    texts = comments(
        "title=x",
        "REPLAYGAIN_TRACK_GAIN=-7.00 dB",
        "Replaygain_Track_Peak=0.5",
        "replaygain_album_gain=1",
        "REPLAYGAIN_ALBUM_PEAK=0.9",
    )
    path.write_bytes(flac([1, 2], 1, 44100, tags=flac_block(4, texts)))
    assert read_tags(path) == Tags("x", "", "", Loudness(-11.0, 0.5), Loudness(-19.0, 0.9))
    path.write_bytes(
        flac([1, 2], 1, 44100, tags=flac_block(4, comments("R128_TRACK_GAIN=-1280", "R128_ALBUM_GAIN=256")))
    )
    assert read_tags(path) == Tags("", "", "", Loudness(-18.0), Loudness(-24.0))


@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize("encoding", [0, 1])
def test_the_loudness_of_id3_frames(path: pathlib.Path, version: int, encoding: int) -> None:
    def user(key: str, value: str) -> bytes:
        end = b"\0\0" if encoding == 1 else b"\0"
        content = encoded(key, encoding).removesuffix(end) + end + encoded(value, encoding)[1:]
        return frame(version, "TXXX", content)

    tag = id3(
        version,
        user("REPLAYGAIN_TRACK_GAIN", "+2 dB"),
        user("replaygain_track_peak", "0.25"),
        user("other", "1"),
        user("replaygain_album_gain", "-1 dB"),
    )
    found = tags_of(path, tag + SOUND)
    assert found.loudness == Loudness(-20.0, 0.25) and found.album_loudness == Loudness(-17.0)


def test_the_loudness_of_an_ape_tag(path: pathlib.Path) -> None:
    tag = ape({"REPLAYGAIN_TRACK_GAIN": b"-3.5 dB", "Title": b"x", "Replaygain_Album_Gain": b"2 dB"})
    found = tags_of(path, SOUND + tag)
    assert found.loudness == Loudness(-14.5) and found.album_loudness == Loudness(-20.0)


@pytest.mark.parametrize(
    ("track", "disc", "place"),
    [
        ("7", "", (1, 7)),
        ("07/12", "2/3", (2, 7)),
        (" 3 ", "x", (1, 3)),
        ("", "2", None),
        ("A1", "", None),
        ("99999999999", "1", None),
        ("١", "1", None),
    ],
)
def test_the_place_in_the_album(path: pathlib.Path, track: str, disc: str, place: tuple[int, int] | None) -> None:
    path.write_bytes(flac([1], 1, 44100, tags=flac_block(4, comments(f"TrackNumber={track}", f"DISCNUMBER={disc}"))))
    assert read_tags(path).place == place
    assert tags_of(path, SOUND + ape({"Track": track.encode(), "Disc": disc.encode()})).place == place
    for version in (2, 3, 4):
        names = (b"TRK", b"TPA") if version == 2 else (b"TRCK", b"TPOS")
        frames = [name + frame(version, "TIT2", encoded(text, 3 if version == 4 else 1))[len(name) :]
                  for name, text in zip(names, (track, disc), strict=True)]  # fmt: skip
        assert tags_of(path, id3(version, *frames) + SOUND).place == place


def test_the_track_number_of_id3v1(path: pathlib.Path) -> None:
    old = b"TAG".ljust(125, b"\0")
    assert tags_of(path, SOUND + old + b"\0\7\1").place == (1, 7)
    assert tags_of(path, SOUND + old + b"\0\0\1").place is None
    assert tags_of(path, SOUND + b"TAG".ljust(127, b"x") + b"\1").place is None, "a comment of 30 letters"


def test_a_loudness_that_makes_no_sense(path: pathlib.Path) -> None:
    for text in ("", "dB", "1e9 dB", "-99999999999999", "\u0661"):
        path.write_bytes(flac([1], 1, 44100, tags=flac_block(4, comments(f"REPLAYGAIN_TRACK_GAIN={text}"))))
        found = read_tags(path).loudness
        assert found is None or abs(found.integrated_lufs or 0) <= 78
