"""The index of a music folder follows the folder."""

from __future__ import annotations

import os
import pathlib
import shutil
import sys

import pytest

from phaselock.app import library_scan
from phaselock.app.library_scan import AwayError, Scanned, scan
from phaselock.storage.library import Library
from tests.support.tagged import tagged_mp3


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    music = tmp_path / "music"
    tagged_mp3(music / "Beatles" / "help.mp3", "Help!", "The Beatles", "Help!")
    tagged_mp3(music / "Beatles" / "no tags.mp3")
    tagged_mp3(music / "song.mp3", "Łódź", "Ana")
    (music / "cover.jpg").write_bytes(b"\xff\xd8\xff")
    (music / "text.mp3").write_text("This is no music.")
    (music / "empty.mp3").write_bytes(b"")
    tagged_mp3(music / ".hidden" / "x.mp3", "Hidden")
    return music


def scanned(folder: pathlib.Path) -> Scanned:
    return scan(folder, folder.parent / "index.sqlite", lambda done, of: None)


def titles(folder: pathlib.Path) -> list[str]:
    """What every song with these words is called."""
    library = Library(folder, folder.parent / "index.sqlite")
    return sorted(one.title or one.file_name for number in range(1, 50) if (one := library.song(number)) is not None)


def test_a_folder_is_read(folder: pathlib.Path) -> None:
    assert scanned(folder) == Scanned(songs=3, changed=4, left_out=1)
    assert titles(folder) == ["Help!", "no tags.mp3", "Łódź"]
    (song,) = Library(folder, folder.parent / "index.sqlite").search("lodz")
    assert (song.path, song.artist, song.size) == (folder / "song.mp3", "Ana", (folder / "song.mp3").stat().st_size)
    assert song.duration_secs == pytest.approx(10_000 / 44_100, abs=0.1)


def test_only_changes_are_read_again(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scanned(folder)
    read: list[str] = []
    plain = library_scan._read_plain
    monkeypatch.setattr(library_scan, "_read_plain", lambda path: read.append(path.name) or plain(path))
    assert scanned(folder) == Scanned(songs=3, changed=0, left_out=1)
    assert read == []  # nor the file that is no music
    tagged_mp3(folder / "song.mp3", "Another title")
    tagged_mp3(folder / "new" / "new.mp3", "New")
    (folder / "Beatles" / "help.mp3").unlink()
    assert scanned(folder) == Scanned(songs=3, changed=3, left_out=1)
    assert sorted(read) == ["new.mp3", "song.mp3"]
    assert titles(folder) == ["Another title", "New", "no tags.mp3"]
    (folder / "new").rename(folder / "old")
    assert scanned(folder).changed == 2
    assert titles(folder) == ["Another title", "New", "no tags.mp3"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_loops_of_links_end(folder: pathlib.Path) -> None:
    (folder / "Beatles" / "again").symlink_to(folder)
    (folder / "self.mp3").symlink_to("self.mp3")
    (folder / "gone.mp3").symlink_to("nowhere.mp3")
    (folder / "linked.mp3").symlink_to(folder / "song.mp3")
    assert scanned(folder).songs == 4


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="the rights of files do not hold here")
def test_a_file_that_may_not_be_read_is_left_out(folder: pathlib.Path) -> None:
    (folder / "song.mp3").chmod(0)
    assert scanned(folder) == Scanned(songs=2, changed=3, left_out=2)
    (folder / "song.mp3").chmod(0o600)
    assert scanned(folder) == Scanned(songs=3, changed=1, left_out=1)


def test_a_file_that_cannot_be_read_is_tried_again(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = library_scan._read_plain

    def failing(path: pathlib.Path) -> library_scan.ReadSong:
        if path.name == "song.mp3":
            raise OSError
        return plain(path)

    monkeypatch.setattr(library_scan, "_read_plain", failing)
    assert scanned(folder) == Scanned(songs=2, changed=3, left_out=2)
    monkeypatch.setattr(library_scan, "_read_plain", plain)
    assert scanned(folder) == Scanned(songs=3, changed=1, left_out=1)


@pytest.mark.parametrize("mount_point_stays", [True, False])
def test_a_drive_that_is_away_keeps_its_songs(folder: pathlib.Path, *, mount_point_stays: bool) -> None:
    scanned(folder)
    shutil.move(folder, folder.with_name("elsewhere"))
    if mount_point_stays:
        folder.mkdir()
    with pytest.raises(AwayError):
        scanned(folder)
    assert len(titles(folder)) == 3
    if mount_point_stays:
        folder.rmdir()
    shutil.move(folder.with_name("elsewhere"), folder)
    assert scanned(folder).changed == 0


def test_a_new_folder_may_be_empty(tmp_path: pathlib.Path) -> None:
    (tmp_path / "music").mkdir()
    assert scanned(tmp_path / "music") == Scanned(0, 0, 0)


def test_songs_that_were_all_deleted_are_forgotten(folder: pathlib.Path) -> None:
    scanned(folder)
    for path in (*folder.glob("*.mp3"), *folder.glob("*/*.mp3")):
        path.unlink()
    assert scanned(folder).songs == 0


def test_songs_in_a_folder_that_cannot_be_read_stay(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scanned(folder)
    scandir = os.scandir

    def failing(path: pathlib.Path) -> object:
        if pathlib.Path(path).name == "Beatles":
            raise OSError
        return scandir(path)

    monkeypatch.setattr(os, "scandir", failing)
    (folder / "song.mp3").unlink()
    assert scanned(folder) == Scanned(songs=2, changed=1, left_out=1)


def test_the_progress_is_told_and_seen(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_scan, "REPORT_EVERY_S", 0.0)
    library, told = Library(folder, folder.parent / "index.sqlite"), []
    scan(folder, folder.parent / "index.sqlite", lambda done, of: told.append((done, of, library.count())))
    assert [one[:2] for one in told if one[1]] == [(number, 4) for number in range(4)]
    assert sorted(count for _, _, count in told) == [count for _, _, count in told] and told[-1][2] >= 2


def test_a_limited_number_of_files_is_read(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_scan, "MAX_SONGS", 2)
    assert scanned(folder).songs <= 2


def test_other_kinds_are_read_where_they_can_be_converted(folder: pathlib.Path) -> None:
    pytest.importorskip("av")
    from tests.support.encoded import make

    make(folder / "a.m4a", "ipod", "aac", {"title": "Four", "artist": "Ben", "album": "Five"})
    make(folder / "b.ogg", "ogg", "flac", {"title": "Six"})
    (folder / "c.opus").write_bytes(b"OggS" + bytes(100))
    assert scanned(folder) == Scanned(songs=5, changed=7, left_out=2)
    (song,) = Library(folder, folder.parent / "index.sqlite").search("four ben five")
    assert song.duration_secs == pytest.approx(3, abs=0.2)
    assert scanned(folder).changed == 0


def test_other_kinds_are_left_out_where_they_cannot(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "a.m4a").write_bytes(b"....ftypM4A ")
    monkeypatch.setattr(library_scan.importlib.util, "find_spec", lambda _name: None)
    assert scanned(folder).songs == 3


def test_a_file_that_made_the_reader_crash_is_not_read_again(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("av")

    class CrashedError(Exception):
        """In place of the end of the process."""

    def crash(path: pathlib.Path) -> library_scan.ReadSong:
        raise CrashedError

    (folder / "a.m4a").write_bytes(b"....ftypM4A ")
    monkeypatch.setattr(library_scan, "_read_other", crash)
    with pytest.raises(CrashedError):
        scanned(folder)
    assert scanned(folder).songs == 3
