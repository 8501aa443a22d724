"""Playlists as other programs and systems write them."""

from __future__ import annotations

import os
import pathlib
import sys
import unicodedata

import pytest

from phaselock.session.sentences import notice_text
from phaselock.storage import playlist_entries
from phaselock.storage.collect import collect
from phaselock.storage.playlist_entries import MAX_LINE_BYTES, entries, names_another_server

NAMES = (
    "Abé - Xyz 1.mp3",
    "Don’t Stop – 100€.mp3",
    "100%25.mp3",
    "100%.mp3",
    "#1 hit.mp3",
    "悪の華.mp3",
    "Ляпис.mp3",
    "Music/Artist/Song.mp3",
    "Music/Ärger/Lied Ö.mp3",
    "Lists/beside.mp3",
)


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    for name in NAMES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def found(folder: pathlib.Path, data: bytes | str, where: str = "l.m3u") -> list[str]:
    """The files of a playlist, by their paths below `folder`."""
    path = folder / where
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    taken = collect([path])
    assert not taken.left_out, [notice_text(one.notice) for one in taken.left_out]
    return [true_name(pathlib.Path(os.path.relpath(os.path.normpath(file), folder)), folder) for file in taken.files]


def true_name(file: pathlib.Path, folder: pathlib.Path) -> str:
    """This path below `folder` as the folders list it: Windows opens a file by other letters too."""
    names: list[str] = []
    for part in file.parts:
        there = os.listdir(folder.joinpath(*names))
        alike = {one.casefold(): one for one in there}
        names.append(part if part in there else alike.get(part.casefold(), part))
    return unicodedata.normalize("NFC", "/".join(names))


@pytest.mark.parametrize(
    ("line", "name"),
    [
        # VLC writes paths as in URLs. A file of the literal name comes first.
        ("Ab%C3%A9%20-%20Xyz%201.mp3", "Abé - Xyz 1.mp3"),
        ("Ab%E9%20-%20Xyz%201.mp3", "Abé - Xyz 1.mp3"),
        ("./Music/Artist/Song%2emp3", "Music/Artist/Song.mp3"),
        ("100%25.mp3", "100%25.mp3"),
        ("100%.mp3", "100%.mp3"),
        # Letter case, drives and roots of Windows.
        ("music/artist/SONG.MP3", "Music/Artist/Song.mp3"),
        ("\\Music\\Artist\\Song.mp3", "Music/Artist/Song.mp3"),
        ("D:\\Music\\Artist\\Song.mp3", "Music/Artist/Song.mp3"),
        ("d:/music/artist/song.mp3", "Music/Artist/Song.mp3"),
        ("file:///D:/Music/Artist/Song.mp3", "Music/Artist/Song.mp3"),
        ("file:///D:/Music/%C3%84rger/lied%20%c3%b6.mp3", "Music/Ärger/Lied Ö.mp3"),
        ("\\\\server\\share\\Music\\Artist\\Song.mp3", "Music/Artist/Song.mp3"),
        ("/media/old/Music/Artist/Song.mp3", "Music/Artist/Song.mp3"),
        ("MUSIC\\ÄRGER\\LIED Ö.MP3", "Music/Ärger/Lied Ö.mp3"),
        (unicodedata.normalize("NFD", "music/ärger/lied ö.mp3"), "Music/Ärger/Lied Ö.mp3"),
        # A program that has replaced what it could not write, or that has read UTF-8 as something else.
        ("Don?t Stop ? 100?.mp3", "Don’t Stop – 100€.mp3"),
        ("Don’t Stop – 100€.mp3".encode().decode("cp1252"), "Don’t Stop – 100€.mp3"),
        ("Music\\?rger\\Lied ?.mp3", "Music/Ärger/Lied Ö.mp3"),
        # Other forms of lines.
        ('"Music/Artist/Song.mp3"', "Music/Artist/Song.mp3"),
        ("  100%.mp3\t", "100%.mp3"),
        ("#1 hit.mp3", "#1 hit.mp3"),
        ("/absent/100%25.mp3", "100%25.mp3"),
    ],
)
def test_a_line_is_read_as_programs_mean_it(folder: pathlib.Path, line: str, name: str) -> None:
    assert found(folder, line) == [name]
    assert found(folder, f"\ufeff#EXTM3U\r\n{line}\r\n") == [name]


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("cp1252", "Don’t Stop – 100€.mp3"),
        ("utf-16", "Don’t Stop – 100€.mp3"),
        ("utf-16-le", "Don’t Stop – 100€.mp3"),
        ("utf-16-be", "Don’t Stop – 100€.mp3"),
        ("utf-8-sig", "Don’t Stop – 100€.mp3"),
        ("cp1251", "Ляпис.mp3"),
        ("koi8-r", "Ляпис.mp3"),
        ("cp932", "悪の華.mp3"),
        ("cp850", "Music/Ärger/Lied Ö.mp3"),
        ("mac-roman", "Music/Ärger/Lied Ö.mp3"),
    ],
)
@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_every_code_page_is_read(folder: pathlib.Path, encoding: str, name: str, end: str) -> None:
    assert found(folder, f"#EXTM3U{end}#EXTINF:12,x{end}{name}{end}100%.mp3".encode(encoding)) == [name, "100%.mp3"]


def test_a_declared_encoding_comes_first(tmp_path: pathlib.Path) -> None:
    for name in ("Ä.mp3", "Ф.mp3"):  # the same byte in cp1252 and cp1251 ... as utf-8 it is invalid
        (tmp_path / name).write_bytes(b"x")
    line = b"\xd4.mp3"
    assert line.decode("cp1251") == "Ф.mp3"
    assert found(tmp_path, b"#EXTM3U\n#EXTENC: windows-1251\n" + line) == ["Ф.mp3"]
    assert found(tmp_path, b"#EXTENC:nonsense\nFoo\\..\\\xc4.mp3") == ["Ä.mp3"]


def test_directives_are_no_entries(folder: pathlib.Path) -> None:
    text = """#EXTM3U
#EXTINF:123 tvg-id="x",Somebody - Something.mp3
#EXTVLCOPT:start-time=10
#EXT-X-VERSION:3
#EXTGRP:Group
#EXTALB:Album (1999)
#PLAYLIST:Songs
#EXTIMG:front cover
# a comment about x.mp4
100%.mp3
"""
    assert found(folder, text) == ["100%.mp3"]


def test_entries_may_be_relative_to_folders_above(folder: pathlib.Path) -> None:
    lines = "Music/Artist/Song.mp3\n../music/artist/song.mp3\nArtist\\Song.mp3\nE:\\Old\\beside.mp3\n"
    (folder / "Lists/Artist").mkdir()
    (folder / "Lists/Artist/Song.mp3").write_bytes(b"x")
    assert found(folder, lines, "Lists/l.m3u") == [
        "Music/Artist/Song.mp3",
        "Music/Artist/Song.mp3",
        "Lists/Artist/Song.mp3",
        "Lists/beside.mp3",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows removes these spaces")
@pytest.mark.parametrize("name", [" lead.mp3", "trail.mp3 ", "in  the middle.mp3"])
def test_spaces_belong_to_names(tmp_path: pathlib.Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert found(tmp_path, f"{name}\r\n") == [name]


@pytest.mark.skipif(sys.platform != "linux", reason="the file system does not distinguish case")
def test_the_exact_name_comes_first(tmp_path: pathlib.Path) -> None:
    for name in ("a.mp3", "A.mp3", "a\\b.mp3"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.mp3").write_bytes(b"x")
    assert found(tmp_path, "A.mp3\na.mp3") == ["A.mp3", "a.mp3"]
    assert collect([tmp_path / "l.m3u"]).files == (tmp_path / "A.mp3", tmp_path / "a.mp3")
    (tmp_path / "l.m3u").write_text("a\\b.mp3")
    assert collect([tmp_path / "l.m3u"]).files == (tmp_path / "a\\b.mp3",)


def test_nothing_is_guessed_between_two(tmp_path: pathlib.Path) -> None:
    for name in ("Caf\u00e9.mp3", "Caf\u00e8.mp3", "else.mp3"):
        (tmp_path / name).write_bytes(b"x")
    path = tmp_path / "l.m3u"
    path.write_bytes(b"Caf?.mp3\n?.mp3\nmissing.mp3\nhttp://example.org/a%20b.mp3\nMissing%20%C3%A9.mp3\nCD/else.txt\n")
    taken = collect([path])
    assert taken.files == ()
    assert [(one.name, notice_text(one.notice)) for one in taken.left_out] == [
        ("Caf?.mp3", "There is no file Caf?.mp3."),
        ("?.mp3", "There is no file ?.mp3."),
        ("missing.mp3", "There is no file missing.mp3."),
        ("a%20b.mp3", "not on this machine"),
        ("Missing é.mp3", "There is no file Missing é.mp3."),
        ("else.txt", "There is no file else.txt."),
    ]


def test_a_folder_above_is_no_entry(tmp_path: pathlib.Path) -> None:
    inner = tmp_path / "lists"
    inner.mkdir()
    (tmp_path / "Music").mkdir()
    (inner / "l.m3u").write_text("Music\n")
    assert len(collect([inner / "l.m3u"]).left_out) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows finds a file by its capital letter without a search")
def test_the_search_has_an_end(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playlist_entries, "_MAX_LOST", 2)
    monkeypatch.setattr(playlist_entries, "MAX_LISTED", 1000)
    (tmp_path / "a.mp3").write_bytes(b"x")
    (tmp_path / "b.mp3").write_bytes(b"x")
    path = tmp_path / "l.m3u"
    path.write_text("A.mp3\nx.mp3\ny.mp3\nA.mp3\nb.mp3")
    taken = collect([path])
    assert [file.name for file in taken.files] == ["a.mp3", "b.mp3"]
    monkeypatch.setattr(playlist_entries, "MAX_LISTED", 0)
    path.write_text("A.mp3\nb.mp3")
    assert [file.name for file in collect([path]).files] == ["b.mp3"]


@pytest.mark.parametrize("name", [b"undefined", b"utf-7", b"unicode_escape", b"punycode", b"idna", b"rot13", b"hex"])
def test_an_encoding_that_is_none_of_texts_is_ignored(tmp_path: pathlib.Path, name: bytes) -> None:
    """These raised, or took quadratic time, and the other files of the import were lost."""
    (tmp_path / "a.mp3").touch()
    lines = [b"#EXTENC:" + name, b"+2AA-%41.mp3", b"\\ud800%41.mp3", b"file:///\\ud800%41.mp3", b"a.mp3"]
    playlist = tmp_path / "list.m3u"
    playlist.write_bytes(b"\n".join(lines))
    assert collect([str(playlist)]).files == (tmp_path / "a.mp3",)


def test_a_line_longer_than_any_name_is_cut() -> None:
    (line,) = entries(b"?a" * 100_000)
    assert len(line) == MAX_LINE_BYTES


@pytest.mark.parametrize(
    ("path", "folder", "another"),
    [
        ("\\\\evil\\share\\a.mp3", "C:\\Music", True),
        ("//evil/share/a.mp3", "C:\\Music", True),
        ("//nas/other/a.mp3", "\\\\NAS\\Music", False),
        ("//evil/other/a.mp3", "\\\\nas\\Music", True),
        ("D:\\Music\\a.mp3", "C:\\Music", False),
        ("\\Music\\a.mp3", "C:\\Music", False),
        ("a.mp3", "\\\\nas\\Music", False),
    ],
)
def test_a_playlist_names_no_other_server(path: str, folder: str, another: bool) -> None:
    assert names_another_server(path, folder) is another
