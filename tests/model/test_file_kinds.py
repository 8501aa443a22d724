from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.model.file_kinds import kind_of_name, no_music

COMMAND = ", which needs: pip install 'av>=14'"
ID3 = b"ID3\4\0\0\0\0\0\5abcde"


@pytest.mark.parametrize(
    ("name", "beginning", "why"),
    [
        ("x.m4a", b"\0\0\0\x20ftypM4A \0", "it is an M4A file" + COMMAND),
        ("x.mp3", b"\0\0\0\x20ftypM4A \0", "it is an M4A file" + COMMAND),
        ("x.mp3", b"\0\0\0\x20ftypisom", "it is a film" + COMMAND),
        ("x.flac", b"no music", None),
        ("x.wav", b"\xff\xd8\xff\xe0", None),
        (
            "x.ogg",
            b"OggS" + bytes(24) + b"OpusHead",
            "it is an Opus file" + COMMAND,
        ),
        (
            "x.ogg",
            b"OggS" + bytes(24) + b"\1vorbis",
            "it is an Ogg file" + COMMAND,
        ),
        ("x.mp3", b"\xff\xf1\x50\x80", "it is an AAC file" + COMMAND),
        (
            "x.mp3",
            b"\xff\xfd\xa4\0",
            "it is MPEG audio of layer I or II" + COMMAND,
        ),
        ("x.mp3", b"wvpk\x10\0\0\0", "it is a WavPack file" + COMMAND),
        ("x.mp3", b"MPCK", "it is a Musepack file" + COMMAND),
        ("x.mp3", b"TTA1\1\0", "it is a TTA file" + COMMAND),
        ("x.mp3", b"DSD \x1c", "it is a DSF file" + COMMAND),
        ("x.mp3", b"caff\0\1", "it is a CAF file" + COMMAND),
        ("x.mp3", b"\x0b\x77\1\2", "it is an AC-3 file" + COMMAND),
        ("x.mp3", b"#!AMR\n", "it is an AMR file" + COMMAND),
        ("x.wma", b"\0unknown\0", None),
        ("notes.txt", b"Dear host", "it is a text, not a music file"),
        ("notes", "Grüße".encode(), "it is a text, not a music file"),
        ("x.jpg", b"\xff\xd8\xff\xe0", "it is a picture, not a music file"),
        ("x", b"<!DOCTYPE html><html>", "it is a web page, not a music file"),
        ("x.mp3", b"<!DOCTYPE html><html>", None),
        ("x.mp3", b"\xff\xd8\xff\xe0", None),
        ("x.mp3", b"no music", None),
        ("list.pls", b"[playlist]\r\n", "it is a playlist, not a music file"),
        ("x.xyz", b"\0\1\2", "it is no music file"),
        ("x", b"\0\1\2", "it is no music file"),
        ("x.mp3", b"\0\1\2", None),
        ("X.MP3", b"", None),
        (
            "x.mp3",
            (b"\xff\xfb\x00\xc4" + b"\x5a" * 653) * 4,
            'its bit rate is of the kind "free", which PhaseLock cannot read',
        ),
    ],
)
def test_the_reason_names_what_it_is(name: str, beginning: bytes, why: str | None) -> None:
    assert no_music(name, beginning).why == why


def test_names_tell_the_kind() -> None:
    assert kind_of_name("Cover.JPG") == "a picture"
    assert kind_of_name("a.b.m4a") == "an M4A file"
    assert kind_of_name("x.mp3") is kind_of_name("x") is kind_of_name(".txtx") is None


@given(st.text(max_size=10), st.binary(max_size=200) | st.binary(max_size=60).map(lambda data: b"ID3\4" + data))
def test_any_bytes_have_an_answer(name: str, beginning: bytes) -> None:
    assert str(no_music(name, beginning))
