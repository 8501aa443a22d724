from __future__ import annotations

import os
import pathlib
import sys
import unicodedata
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.model import notices as model
from phaselock.model.file_kinds import MUSIC_ENDINGS
from phaselock.session.sentences import notice_text
from phaselock.storage import collect as collect_module
from phaselock.storage import file_names, playlist_entries
from phaselock.storage.collect import Collected, collect, natural_key


class LeftOut(NamedTuple):
    """What is left out, as `--json` shows it."""

    path_name: str
    reason: str


def left_out(found: Collected) -> tuple[LeftOut, ...]:
    return tuple(LeftOut(one.name, notice_text(one.notice)) for one in found.left_out)


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="names are bytes there")


@pytest.fixture
def music(tmp_path: pathlib.Path) -> pathlib.Path:
    for name in (
        "track 10.mp3",
        "track 2.MP3",
        "Track 1.mp3",
        "cover.jpg",
        ".hidden.mp3",
        ".git/x.mp3",
        "cd 10/a.mp3",
        "cd 9/b.mp3",
        "cd 9/deep/c.mp3",
    ):
        path = tmp_path / "music" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path / "music"


def names(found: Collected, folder: pathlib.Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in found.files]


def playlist(folder: pathlib.Path, data: bytes | str, name: str = "list.m3u8") -> pathlib.Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def test_a_folder_is_taken_in_natural_order_folder_by_folder(music: pathlib.Path) -> None:
    found = collect([music])
    assert names(found, music) == [
        "Track 1.mp3",
        "track 2.MP3",
        "track 10.mp3",
        "cd 9/b.mp3",
        "cd 9/deep/c.mp3",
        "cd 10/a.mp3",
    ]
    assert left_out(found) == (LeftOut("cover.jpg", "a picture"),)


def test_named_files_are_taken_as_they_are_in_their_order(music: pathlib.Path) -> None:
    chosen = [music / "cover.jpg", str(music / "track 10.mp3"), music / ".hidden.mp3", music / "track 10.mp3"]
    assert collect(chosen) == Collected(tuple(map(pathlib.Path, chosen)), ())
    assert collect([]) == Collected((), ())


def test_what_is_not_there_is_told(music: pathlib.Path) -> None:
    found = collect([music / "none.mp3", "no\0thing", music / "cover.jpg" / "x.mp3"])
    assert left_out(found) == (
        LeftOut("none.mp3", "There is no file none.mp3."),
        LeftOut("nothing", "There is no file nothing."),
        LeftOut("x.mp3", "There is no file x.mp3."),
    )


def test_a_name_too_long_is_told(music: pathlib.Path) -> None:
    (left,) = left_out(collect([music / ("x" * 5000)]))
    assert len(left.path_name) <= 200 and left.reason


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_links_are_followed_but_not_in_circles(music: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (music / "cd 9" / "again").symlink_to(music)
    (music / "cd 10" / "self.mp3").symlink_to("self.mp3")
    (music / "cd 10" / "gone.mp3").symlink_to("nowhere")
    (music / "cd 10" / "gone.txt").symlink_to("nowhere")
    (music / "linked.mp3").symlink_to(music / "Track 1.mp3")
    found = collect([music])
    assert len(found.files) == 7
    assert [left.path_name for left in left_out(found)] == ["cover.jpg", "gone.mp3", "self.mp3"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_and_devices_are_not_opened(music: pathlib.Path) -> None:
    os.mkfifo(music / "cd 10" / "pipe.mp3")
    os.mkfifo(music / "pipe.m3u")
    assert names(collect([music / "cd 10"]), music) == ["cd 10/a.mp3"]
    assert left_out(collect([music / "cd 10" / "pipe.mp3", music / "pipe.m3u", "/dev/null"])) == (
        LeftOut("pipe.mp3", "not a plain file"),
        LeftOut("pipe.m3u", "not a plain file"),
        LeftOut("null", "not a plain file"),
    )


def test_a_folder_that_cannot_be_read_is_left_out(music: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = os.scandir

    def forbid(path: pathlib.Path) -> object:
        if pathlib.Path(path).name == "cd 9":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", forbid)
    found = collect([music])
    assert names(found, music) == ["Track 1.mp3", "track 2.MP3", "track 10.mp3", "cd 10/a.mp3"]
    assert left_out(found)[-1] == LeftOut("cd 9", "Permission denied")


def test_folders_deeper_than_the_recursion_limit_are_collected(tmp_path: pathlib.Path) -> None:
    deep = [tmp_path]
    try:
        while len(deep) < 1100 and len(os.fsencode(deep[-1])) < 3900:
            deep.append(deep[-1] / "d")
            deep[-1].mkdir()
        (deep[-1] / "x.mp3").write_bytes(b"x")
        assert len(collect([tmp_path]).files) == 1
        (deep[-1] / "x.mp3").unlink()
    except FileNotFoundError:
        pytest.skip("no folders so deep here")
    finally:
        for folder in reversed(deep[1:]):  # what cleans up may not be so patient
            if folder.exists():
                folder.rmdir()


def test_there_is_an_end(music: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect_module, "MAX_FILES", 4)
    found = collect([music])
    assert len(found.files) == 4
    assert left_out(found)[-1] == LeftOut("everything else", "too many files at once")
    monkeypatch.setattr(collect_module, "MAX_FILES", 10_000)
    monkeypatch.setattr(collect_module, "MAX_ENTRIES", 9)
    assert left_out(collect([music]))[-1] == LeftOut("everything else", "too many files at once")


def test_a_playlist_is_taken_in_its_own_order(music: pathlib.Path) -> None:
    text = f"""#EXTM3U\r
#EXTINF:123,Somebody - Something\r
track 10.mp3\r
\r
./cd 9/b.mp3\r
cd 9\\deep\\c.mp3
{music / "Track 1.mp3"}
{(music / "track 2.MP3").as_uri()}
FILE://localhost{(music / "cover.jpg").as_uri()[7:]}
"""
    assert names(collect([playlist(music, text)]), music) == [
        "track 10.mp3",
        "cd 9/b.mp3",
        "cd 9/deep/c.mp3",
        "Track 1.mp3",
        "track 2.MP3",
        "cover.jpg",
    ]


def test_what_a_playlist_cannot_give_is_told(music: pathlib.Path) -> None:
    text = "http://example.org/radio\nhttps://x.org/a/song.mp3\nfile://server/share/x.mp3\nC:\\Music\\y.mp3\ncaf\u00e9.mp3\na\0b"
    found = collect([playlist(music, text)])
    assert found.files == ()
    assert left_out(found) == (
        LeftOut("radio", "not on this machine"),
        LeftOut("song.mp3", "not on this machine"),
        LeftOut("x.mp3", "There is no file x.mp3." if sys.platform == "win32" else "not on this machine"),
        LeftOut("y.mp3", "There is no file y.mp3."),
        LeftOut("café.mp3", "There is no file café.mp3."),
        LeftOut("ab", "There is no file ab."),
    )


@pytest.mark.parametrize(
    "data",
    [
        "Ænima é.mp3".encode(),
        "\ufeffÆnima é.mp3".encode(),
        "\ufeffÆnima é.mp3\r\n".encode("utf-16-le"),
        "\ufeff#EXTM3U\nÆnima é.mp3".encode("utf-16-be"),
        "Ænima é.mp3".encode("latin-1"),
        unicodedata.normalize("NFD", "Ænima é.mp3").encode(),
    ],
)
@pytest.mark.parametrize("name", ["x.m3u", "x.M3U8"])
def test_every_usual_encoding_is_read(tmp_path: pathlib.Path, data: bytes, name: str) -> None:
    (tmp_path / "Ænima é.mp3").write_bytes(b"x")
    found = collect([playlist(tmp_path, data, name)])
    assert [unicodedata.normalize("NFC", path.name) for path in found.files] == ["Ænima é.mp3"]


def test_an_unknown_spelling_is_told_readably(tmp_path: pathlib.Path) -> None:
    (left,) = left_out(collect([playlist(tmp_path, b"caf\xe9.mp3")]))
    assert left.path_name == "café.mp3"


@linux_only
def test_names_that_are_no_text_are_found(tmp_path: pathlib.Path) -> None:
    path = pathlib.Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp3"))
    path.write_bytes(b"x")
    assert collect([playlist(tmp_path, b"caf\xe9.mp3")]).files == (path,)
    assert collect([playlist(tmp_path, f"file://{tmp_path}/caf%E9.mp3")]).files == (path,)
    assert collect([path]).files == (path,)


def test_percent_signs_mean_something_only_in_addresses(tmp_path: pathlib.Path) -> None:
    (tmp_path / "100%25.mp3").write_bytes(b"x")
    assert len(collect([playlist(tmp_path, "100%25.mp3")]).files) == 1
    assert len(collect([playlist(tmp_path, (tmp_path / "100%25.mp3").as_uri())]).files) == 1


def test_playlists_are_followed_once(music: pathlib.Path) -> None:
    one = playlist(music, "track 10.mp3\ntwo.m3u\none.m3u\ntwo.m3u", "one.m3u")
    two = playlist(music, "Track 1.mp3\none.m3u\nthree.m3u", "two.m3u")
    playlist(music, "track 2.MP3", "three.m3u")
    inside = "a playlist inside a playlist"
    assert names(collect([one]), music) == ["track 10.mp3", "Track 1.mp3", "Track 1.mp3"]
    assert left_out(collect([one])) == (
        LeftOut("one.m3u", inside),
        LeftOut("three.m3u", inside),
        LeftOut("one.m3u", inside),
        LeftOut("one.m3u", inside),
        LeftOut("three.m3u", inside),
    )
    assert names(collect([two, two]), music) == ["Track 1.mp3", "track 10.mp3", "track 2.MP3"] * 2
    assert LeftOut("one.m3u", "a playlist") in left_out(collect([music]))


def test_playlists_have_an_end(music: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = playlist(music, "Track 1.mp3\n" * 12, "long.m3u")
    monkeypatch.setattr(collect_module, "MAX_PLAYLIST_ENTRIES", 10)
    found = collect([long])
    assert len(found.files) == 10 and left_out(found) == (LeftOut("long.m3u", "more than 10 entries"),)
    monkeypatch.setattr(collect_module, "MAX_PLAYLIST_BYTES", 20)
    assert collect([long]) == Collected((), (model.LeftOut("long.m3u", model.Notice(model.Code.PLAYLIST_TOO_LARGE)),))


@given(st.binary(max_size=300) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_playlist_breaks_the_program(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("x")
    data = data.replace(b"/", b"").replace(b"..", b"").replace(b"\n", b"\nfile://")  # nothing outside, it may be large
    found = collect([playlist(folder, data)])
    assert all(left.path_name and "\n" not in left.path_name + left.reason for left in left_out(found))


@pytest.mark.parametrize(
    "ordered",
    [
        ["track 2", "track 10"],
        ["a", "a1", "A1b", "a 10"],
        ["01 x", "1 y", "2"],
        ["A", "b", "C"],
        ["x٢", "x3"],
        ["9" * 5000, "1" + "0" * 5000],
        ["disc 1-9", "disc 1-10", "disc 2-1"],
    ],
)
def test_names_sort_as_people_sort_them(ordered: list[str]) -> None:
    backwards = ordered[::-1]
    assert sorted(backwards, key=natural_key) == ordered


@given(st.lists(st.text("a1 0²٣.é", max_size=6)))
def test_any_names_can_be_sorted(some: list[str]) -> None:
    backwards = some[::-1]
    assert sorted(backwards, key=natural_key) == sorted(some, key=natural_key)


def test_what_is_no_music_hides_no_music(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phaselock.storage.collect.MAX_FILES", 10)
    for number in range(30):
        (tmp_path / f"a{number}.jpg").touch()
    (tmp_path / "z.mp3").touch()
    found = collect([tmp_path])
    assert [file.name for file in found.files] == ["z.mp3"] and len(left_out(found)) == 10


@pytest.fixture
def ansi_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """File names are text, and old playlists are in the ANSI code page, as on Windows."""
    monkeypatch.setattr(file_names, "_ANSI", "cp1252")
    if sys.platform != "win32":
        monkeypatch.setattr(os, "fsdecode", lambda name: name.decode("utf-8", "surrogatepass"))
        monkeypatch.setattr(sys, "platform", "win32")


@pytest.mark.parametrize("line", ["Müsik é.mp3".encode("cp1252"), "Müsik é.mp3".encode(), "\ufeffMüsik é.mp3".encode()])
def test_names_in_the_ansi_code_page_are_found(tmp_path: pathlib.Path, ansi_names: None, line: bytes) -> None:
    (tmp_path / "Müsik é.mp3").write_bytes(b"x")
    found = collect([playlist(tmp_path, line + b"\r\n#EXTINF:1,x\r\n", "x.m3u")])
    assert found == Collected((tmp_path / "Müsik é.mp3",), ())


@pytest.mark.parametrize("escapes", ["M%FCsik%20%E9.mp3", "M%C3%BCsik%20%C3%A9.mp3"])
def test_escapes_in_the_ansi_code_page_are_found(tmp_path: pathlib.Path, ansi_names: None, escapes: str) -> None:
    (tmp_path / "Müsik é.mp3").write_bytes(b"x")
    found = collect([playlist(tmp_path, f"{tmp_path.as_uri()}/{escapes}")])
    assert found == Collected((tmp_path / "Müsik é.mp3",), ())


def test_a_line_in_no_encoding_is_told(tmp_path: pathlib.Path, ansi_names: None) -> None:
    (left,) = left_out(collect([playlist(tmp_path, b"a\x81\xff.mp3")]))
    assert left.reason.startswith("There is no file a")


@given(st.binary(max_size=60), st.sampled_from(["", "file://", "file:///", "file:///C:/"]))
def test_no_line_raises_where_names_are_text(data: bytes, start: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file_names, "_ANSI", "ascii")
        patch.setattr(os, "fsdecode", lambda name: name.decode("utf-8", "surrogatepass"))
        patch.setattr(sys, "platform", "win32")
        for line in playlist_entries.entries(start.encode() + data):
            texts = playlist_entries.entry_texts(line, None)
            assert playlist_entries.shown_name(texts)
            assert all(isinstance(path, str) for text in texts for path in playlist_entries._readings(text))


def test_every_kind_of_music_is_found_in_folders_and_playlists(tmp_path: pathlib.Path) -> None:
    songs = [f"song{ending.upper() if number % 2 else ending}" for number, ending in enumerate(MUSIC_ENDINGS)]
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in songs:
        (folder / name).write_bytes(b"x")
    assert sorted(names(collect([str(folder)]), folder)) == sorted(songs)
    (folder / "# 1 song.flac").write_bytes(b"x")  # no comment
    listed = ["# 1 song.flac", *reversed(songs)]
    path = playlist(folder, "#EXTM3U\n" + "".join(f"#EXTINF:1,x\n{name}\n" for name in listed))
    found = collect([str(path)])
    assert (names(found, folder), left_out(found)) == (listed, ())


def test_a_playlist_names_no_folders(tmp_path: pathlib.Path) -> None:
    """A playlist from elsewhere could share all music that is there."""
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "private.mp3").touch()
    found = collect([playlist(tmp_path, f"music\n{tmp_path}\n/\n")])
    assert found.files == () and {one.reason for one in left_out(found)} == {"not a plain file"}
