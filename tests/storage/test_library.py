"""The index of a music folder, and the search in it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sqlite3
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phaselock.storage.library import (
    Library,
    LibraryIndex,
    ReadSong,
    index_path,
    remove_old_indexes,
)

SONGS = {
    "a.mp3": ("Yesterday", "The Beatles", "Help!"),
    "b.mp3": ("Yesterday Once More", "Carpenters", "Now & Then"),
    "c.mp3": ("Help!", "The Beatles", "Help!"),
    "d.mp3": ("Die Straße", "Herbert Grönemeyer", "Ö"),
    "e.flac": ("Smørgåsbord", "Łukasz", "Æther"),
    "AC_DC/01 Thunderstruck.mp3": ("", "", ""),
    "f.mp3": ("Highway to Hell", "AC/DC", "Live"),
    "g.mp3": ("Before Yesterday", "Ana", ""),
    "h.mp3": ("夜に駆ける", "YOASOBI", "THE BOOK"),
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("music")
    fill(folder / "index.sqlite")
    return Library(folder, folder / "index.sqlite")


def fill(index: pathlib.Path) -> None:
    with contextlib.closing(LibraryIndex(index)) as written:
        for path, (title, artist, album) in SONGS.items():
            written.put(path, ReadSong(1000, 1, True, title, artist, album, 61.5))
        written.put("broken.mp3", ReadSong(10, 1, playable=False))
        written.commit()


def found(library: Library, text: str) -> list[str]:
    return [one.title or one.file_name for one in library.search(text)]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("yesterday", ["Yesterday", "Yesterday Once More", "Before Yesterday"]),
        ("beatles yest", ["Yesterday"]),
        ("YEST beat", ["Yesterday"]),
        ("strasse", ["Die Straße"]),
        ("straße gronem", ["Die Straße"]),
        ("groenemeyer", ["Die Straße"]),
        ("smorgas lukasz", ["Smørgåsbord"]),
        ("aether", ["Smørgåsbord"]),
        ("acdc", ["01 Thunderstruck.mp3", "Highway to Hell"]),
        ("ac/dc thunder", ["01 Thunderstruck.mp3"]),
        ("夜", ["夜に駆ける"]),
        ("かける", []),
        ("駆ける", ["夜に駆ける"]),
        ("help", ["Help!", "Yesterday"]),
        ("nothing like this", []),
        ("broken", []),
        ("", []),
        (" ?! ", []),
    ],
)
def test_search(library: Library, text: str, first: list[str]) -> None:
    assert found(library, text) == first


@pytest.mark.parametrize(
    "text",
    [
        "*",
        '"',
        'yes" OR "a',
        "title:yes",
        "yes*",
        "^yes",
        "-yes",
        "NEAR(yes one)",
        "yes AND",
        "{title artist}: yes",
        "'; DROP",
    ]
    + ["\0yes", "\ud800", "(" * 100, "a " * 5000, "ä" * 100_000, "yes + once", "yes\nonce"],
)
def test_no_query_is_a_syntax_error(library: Library, text: str) -> None:
    library.search(text)
    assert found(library, "yesterday once") == ["Yesterday Once More"]


def test_signs_of_the_search_language_have_no_meaning(library: Library) -> None:
    assert found(library, '"yesterday"*') == found(library, "yesterday")
    assert found(library, "yesterday OR help") == []  # a word like any other
    assert found(library, "NOT help") == []


@given(st.text())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_any_query_is_answered(library: Library, text: str) -> None:
    library.search(text)


def test_a_limited_number_is_found(library: Library) -> None:
    assert len(library.search("yesterday", 2)) == 2


def test_a_song_by_its_id(library: Library) -> None:
    song = library.search("thunder")[0]
    assert library.song(song.song_id) == song
    assert (song.path, song.file_name) == (library.folder / "AC_DC/01 Thunderstruck.mp3", "01 Thunderstruck.mp3")
    assert (song.size, song.duration_secs) == (1000, 61.5)
    assert [library.song(number) for number in (-1, 0, 10_000, 1 << 70)] == [None] * 4
    assert library.count() == len(SONGS)


def test_without_an_index_nothing_is_found(tmp_path: pathlib.Path) -> None:
    library = Library(tmp_path, tmp_path / "index.sqlite")
    assert (library.search("a"), library.song(1), library.count()) == ([], None, 0)
    assert not (tmp_path / "index.sqlite").exists()


@pytest.mark.parametrize("content", [b"no database " * 1000, b""])
def test_a_broken_index_begins_again(tmp_path: pathlib.Path, content: bytes) -> None:
    index = tmp_path / "index.sqlite"
    index.write_bytes(content)
    assert Library(tmp_path, index).search("help") == []
    fill(index)
    assert found(Library(tmp_path, index), "help") == ["Help!", "Yesterday"]


def test_an_index_of_another_version_begins_again(tmp_path: pathlib.Path) -> None:
    index = tmp_path / "index.sqlite"
    with contextlib.closing(sqlite3.connect(index)) as database:
        database.execute("PRAGMA user_version = 99")
    fill(index)
    assert Library(tmp_path, index).count() == len(SONGS)


def test_a_locked_index_stays(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = tmp_path / "index.sqlite"
    fill(index)
    monkeypatch.setattr("phaselock.storage.library._WRITER_WAIT_S", 0.0)
    with contextlib.closing(sqlite3.connect(index)) as database, contextlib.closing(LibraryIndex(index)) as written:
        database.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError):
            written.put("x.mp3", ReadSong(1, 1, True, "x"))
        assert Library(tmp_path, index).count() == len(SONGS)


def test_changes_are_seen_with_the_same_id(tmp_path: pathlib.Path) -> None:
    index = tmp_path / "index.sqlite"
    fill(index)
    library = Library(tmp_path, index)
    before = library.search("carpenters")[0].song_id
    with contextlib.closing(LibraryIndex(index)) as written:
        written.put("b.mp3", ReadSong(1001, 2, True, "Superstar", "Carpenters"))
        written.remove(written.files()["c.mp3"].song_id)
        written.commit()
    assert found(library, "once") == [] and found(library, "help") == ["Yesterday"]
    assert [one.song_id for one in library.search("superstar")] == [before]


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names of files are text there")
def test_names_in_any_bytes(tmp_path: pathlib.Path) -> None:
    name = os.fsdecode(b"gr\xfcn.mp3")
    with contextlib.closing(LibraryIndex(tmp_path / "index.sqlite")) as written:
        written.put(name, ReadSong(1, 1, playable=True))
        written.commit()
        assert list(written.files()) == [name]
    (song,) = Library(tmp_path, tmp_path / "index.sqlite").search("gr")
    assert os.fsencode(song.path.name) == b"gr\xfcn.mp3"
    song.file_name.encode()


def test_old_indexes_are_removed(tmp_path: pathlib.Path) -> None:
    indexes = [index_path(tmp_path / str(number), tmp_path) for number in range(7)]
    for number, index in enumerate(indexes):
        index.write_bytes(b"")
        os.utime(index, (number, number))
    pathlib.Path(f"{indexes[1]}-wal").write_bytes(b"")
    remove_old_indexes(tmp_path, indexes[0])
    assert sorted(tmp_path.iterdir()) == sorted([indexes[0], *indexes[4:]])
