import os
import pathlib
import stat
import sys

import pytest

from phaselock.storage.collect import collect
from phaselock.storage.last_queue import load_last_queue, save_last_queue
from phaselock.storage.playlist import Entry, playlist_text, save_playlist, with_ending

NAMES = ["a.mp3", "a%41.mp3", "#1 hit.mp3", " blank.mp3", "100%25.mp3", "夜.mp3", "sub/ü.mp3", "~home.mp3"]
ODD_NAMES = ["two\nlines.mp3", "back\\slash.mp3", "C: drive.mp3", "end.mp3 "] if sys.platform != "win32" else []


def entries(folder: pathlib.Path, names: list[str]) -> list[Entry]:
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    return [Entry(folder / name, f"Title {number}", "Artist", 12.6) for number, name in enumerate(names)]


def test_what_is_saved_is_read_again(tmp_path: pathlib.Path) -> None:
    music, elsewhere = tmp_path / "music", tmp_path / "elsewhere"
    music.mkdir()
    elsewhere.mkdir()
    songs = entries(music, [*NAMES, *ODD_NAMES])
    for folder in (music, elsewhere):
        path = folder / "party.m3u8"
        save_playlist(path, songs)
        found = collect([path])
        assert found.files == tuple(song.path for song in songs) and not found.left_out


def test_songs_below_the_list_move_with_it(tmp_path: pathlib.Path) -> None:
    music = tmp_path / "music"
    music.mkdir()
    save_playlist(music / "party.m3u8", entries(music, NAMES))
    music.rename(tmp_path / "moved")
    assert len(collect([tmp_path / "moved" / "party.m3u8"]).files) == len(NAMES)


def test_each_song_has_its_title_and_duration(tmp_path: pathlib.Path) -> None:
    one, bare = Entry(tmp_path / "a.mp3", "Two\nlines", "Somebody", 154.7), Entry(tmp_path / "b.mp3", "", "", 0.0)
    text = playlist_text(tmp_path, [one, bare])
    assert text == "#EXTM3U\n#EXTINF:155,Somebody - Two lines\na.mp3\n#EXTINF:0,\nb.mp3\n"


def test_a_list_that_cannot_be_written_stays_as_it_was(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "party.m3u8"
    path.mkdir()
    with pytest.raises(OSError):
        save_playlist(path, [])
    assert os.listdir(tmp_path) == ["party.m3u8"]
    with pytest.raises(OSError):
        save_playlist(tmp_path / "none" / "party.m3u8", [])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")
def test_others_may_read_a_playlist_but_not_the_last_queue(tmp_path: pathlib.Path) -> None:
    save_playlist(tmp_path / "party.m3u8", [])
    save_last_queue(tmp_path / "state" / "last.json", [])
    usual = os.umask(0)
    os.umask(usual)
    assert stat.S_IMODE((tmp_path / "party.m3u8").stat().st_mode) == 0o666 & ~usual
    assert stat.S_IMODE((tmp_path / "state" / "last.json").stat().st_mode) == 0o600


def test_the_last_queue_is_kept(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "last.json"
    songs = [tmp_path / "夜.mp3", tmp_path / "b.mp3"]
    if sys.platform not in ("win32", "darwin"):
        songs.append(pathlib.Path(os.fsdecode(b"/music/\xff.mp3")))
    save_last_queue(path, songs)
    assert load_last_queue(path) == tuple(map(str, songs))


@pytest.mark.parametrize("content", [b"", b"{}", b"3", b"[" * 100_000, b'["a\\u0000", 3, null, ""]', b"\xff", b"null"])
def test_a_broken_last_queue_is_none(tmp_path: pathlib.Path, content: bytes) -> None:
    path = tmp_path / "last.json"
    path.write_bytes(content)
    assert load_last_queue(path) == ()
    assert load_last_queue(tmp_path / "none.json") == load_last_queue(tmp_path) == ()


def test_a_name_that_looks_like_an_escape_is_not_read_as_another(tmp_path: pathlib.Path) -> None:
    """`a%41.mp3` was written as it is. After its removal the list would have meant `aA.mp3`."""
    (tmp_path / "aA.mp3").touch()
    save_playlist(tmp_path / "list.m3u8", [Entry(tmp_path / "a%41.mp3", "", "", 1.0)])
    assert collect([str(tmp_path / "list.m3u8")]).files == ()


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("party", "party.m3u8"),
        ("Vol. 2", "Vol. 2.m3u8"),
        ("a.mp3", "a.mp3.m3u8"),
        (".list", ".list.m3u8"),
        ("party.m3u8", "party.m3u8"),
        ("PARTY.M3U", "PARTY.M3U"),
    ],
)
def test_the_name_of_a_playlist_has_its_ending(name: str, saved: str) -> None:
    assert with_ending(pathlib.Path("music", name)) == pathlib.Path("music", saved)
    assert with_ending(pathlib.Path("/")) == pathlib.Path("/")
