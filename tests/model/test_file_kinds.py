from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.model.file_kinds import kind_of_name, why_no_mp3

ID3 = b"ID3\4\0\0\0\0\0\5abcde"


@pytest.mark.parametrize(
    ("name", "beginning", "why"),
    [
        ("x.m4a", b"\0\0\0\x20ftypM4A \0", "it is an M4A file, and only MP3 can be played so far"),
        ("x.mp3", b"\0\0\0\x20ftypM4A \0", "it is an M4A file, and only MP3 can be played so far"),
        ("x.mp3", b"\0\0\0\x20ftypisom", "it is a film, and only MP3 can be played so far"),
        ("x.flac", b"fLaC\0", "it is a FLAC file, and only MP3 can be played so far"),
        ("x.mp3", ID3 + b"fLaC\0", "it is a FLAC file, and only MP3 can be played so far"),
        ("x.mp3", b"RIFF\1\2\3\4WAVEfmt ", "it is a WAV file, and only MP3 can be played so far"),
        ("x.ogg", b"OggS" + bytes(24) + b"OpusHead", "it is an Opus file, and only MP3 can be played so far"),
        ("x.ogg", b"OggS" + bytes(24) + b"\1vorbis", "it is an Ogg file, and only MP3 can be played so far"),
        ("x.mp3", b"\xff\xf1\x50\x80", "it is an AAC file, and only MP3 can be played so far"),
        ("x.mp3", b"\xff\xfd\xa4\0", "it is MPEG audio of layer I or II, and only MP3 can be played so far"),
        ("x.wma", b"\0unknown\0", "it is a WMA file, and only MP3 can be played so far"),
        ("notes.txt", b"Dear host", "it is a text, not an MP3 file"),
        ("notes", "Grüße".encode(), "it is a text, not an MP3 file"),
        ("x.jpg", b"\xff\xd8\xff\xe0", "it is a picture, not an MP3 file"),
        ("x", b"<!DOCTYPE html><html>", "it is a web page, not an MP3 file"),
        ("x.mp3", b"<!DOCTYPE html><html>", None),
        ("x.mp3", b"\xff\xd8\xff\xe0", None),
        ("x.mp3", b"no music", None),
        ("list.pls", b"[playlist]\r\n", "it is a playlist, not an MP3 file"),
        ("x.xyz", b"\0\1\2", "it is not an MP3 file"),
        ("x", b"\0\1\2", "it is not an MP3 file"),
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
    assert why_no_mp3(name, beginning) == why


def test_names_tell_the_kind() -> None:
    assert kind_of_name("Cover.JPG") == "a picture"
    assert kind_of_name("a.b.m4a") == "an M4A file"
    assert kind_of_name("x.mp3") is kind_of_name("x") is kind_of_name(".txtx") is None


@given(st.text(max_size=10), st.binary(max_size=200) | st.binary(max_size=60).map(lambda data: b"ID3\4" + data))
def test_any_bytes_have_an_answer(name: str, beginning: bytes) -> None:
    why = why_no_mp3(name, beginning)
    assert why is None or str(why)
