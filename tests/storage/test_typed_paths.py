from __future__ import annotations

import pathlib
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.errors import PhaseLockError
from phaselock.storage import file_names
from phaselock.storage import typed_paths as module
from phaselock.storage.typed_paths import typed_paths

linux_only = pytest.mark.skipif(sys.platform == "win32", reason="a backslash divides folders there")
NAMES = ("a.mp3", "b b.mp3", "Don't.mp3", "100%.mp3", "[Live] é.mp3", "t 10.mp3", "t 2.mp3", ".hidden.mp3", "x.jpg")


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    for name in NAMES:
        (tmp_path / name).touch()
    (tmp_path / "My Music").mkdir()
    (tmp_path / "My Music" / "c.mp3").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


def posix(path: str) -> str:
    return path.replace("\\", "/") if sys.platform == "win32" else path


def read(text: str) -> list[str]:
    """The paths, with the separators of all systems but Windows."""
    return list(map(posix, typed_paths(text)))


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("", []),
        ("   ", []),
        ('""', []),
        ("a.mp3", ["a.mp3"]),
        ("  a.mp3 ", ["a.mp3"]),
        ("a.mp3 x.jpg", ["a.mp3", "x.jpg"]),
        ("a.mp3 missing.mp3", ["a.mp3", "missing.mp3"]),
        # One path with spaces, as it stands.
        ("b b.mp3", ["b b.mp3"]),
        ("My Music", ["My Music"]),
        ("My Music/c.mp3", ["My Music/c.mp3"]),
        ("missing song.mp3", ["missing song.mp3"]),
        ("Don't.mp3", ["Don't.mp3"]),
        ("100%.mp3", ["100%.mp3"]),
        ("[Live] é.mp3", ["[Live] é.mp3"]),
        # Quotes.
        ('"b b.mp3"', ["b b.mp3"]),
        ("'b b.mp3' \"a.mp3\"", ["b b.mp3", "a.mp3"]),
        ('"missing song.mp3" a.mp3', ["missing song.mp3", "a.mp3"]),
        ('"Don\'t.mp3"', ["Don't.mp3"]),
        ('"a.mp3"\n"b b.mp3"\r\nb b.mp3\n', ["a.mp3", "b b.mp3", "b b.mp3"]),
        # The home folder.
        ("~", ["{home}"]),
        ("~/a.mp3", ["{home}/a.mp3"]),
        ("'~/b b.mp3'", ["{home}/b b.mp3"]),
        ("~/b b.mp3", ["{home}/b b.mp3"]),
        ("~nosuchuser/a.mp3", ["~nosuchuser/a.mp3"]),
        # Patterns.
        ("t*.mp3", ["t 2.mp3", "t 10.mp3"]),
        ("t?10.mp3 a.mp3", ["t 10.mp3", "a.mp3"]),
        ("My Music/*.mp3", ["My Music/c.mp3"]),
        ("'My Music'/*.mp3", ["My Music/c.mp3"]),
        ("~/My*", ["{home}/My Music"]),
        ("[ab].mp3", ["a.mp3"]),
        ("really?.mp3", ["really?.mp3"]),
        ('"[Live] é.mp3" [Live]*', ["[Live] é.mp3", "[Live]*"]),
    ],
)
def test_what_is_typed(folder: pathlib.Path, text: str, paths: list[str]) -> None:
    wanted = [path.replace("{home}", str(folder)) for path in paths]
    if paths and paths[-1] == "[Live]*":  # a pattern of one character
        with pytest.raises(PhaseLockError, match=r"Nothing matches \[Live\]\*\."):
            typed_paths(text)
    else:
        assert read(text) == list(map(posix, wanted))


@linux_only
@pytest.mark.parametrize(
    ("text", "paths"),
    [
        (r"b\ b.mp3", ["b b.mp3"]),
        (r"b\ b.mp3 Don\'t.mp3", ["b b.mp3", "Don't.mp3"]),
        (r"'Don'\''t.mp3'", ["Don't.mp3"]),
        (r"\[Live\]\ é.mp3", ["[Live] é.mp3"]),
        (r"My\ Music/*.mp3", ["My Music/c.mp3"]),
        (r'"no \"quotes\" \x.mp3"', [r'no "quotes" \x.mp3']),
        # A path of Windows on another system.
        (r"D:\Music\x.mp3", [r"D:\Music\x.mp3"]),
    ],
)
def test_backslashes_protect(folder: pathlib.Path, text: str, paths: list[str]) -> None:
    assert typed_paths(text) == paths


def test_addresses_of_file_managers(folder: pathlib.Path) -> None:
    first, second = folder / "b b.mp3", folder / "[Live] é.mp3"
    assert read(f"{first.as_uri()}\r\n{second.as_uri()}\r\n") == [first.as_posix(), second.as_posix()]
    assert read(f"{first.as_uri()} a.mp3") == [first.as_posix(), "a.mp3"]
    assert read(first.as_uri().replace("file:///", "FILE://localhost/")) == [first.as_posix()]
    assert read(first.as_uri().replace("file:///", "file:/")) == [first.as_posix()]


@linux_only
def test_an_address_on_another_machine_is_told(folder: pathlib.Path) -> None:
    with pytest.raises(PhaseLockError, match="another machine"):
        typed_paths("file://server/share/x.mp3")


@pytest.mark.parametrize("text", ['"b b.mp3', "a.mp3 'x", pytest.param("Don't stop.mp3", marks=linux_only), 'a"'])
def test_quotes_without_an_end_are_told(folder: pathlib.Path, text: str) -> None:
    with pytest.raises(PhaseLockError, match="The quotes do not match: "):
        typed_paths(text)


def test_a_pattern_without_files_is_told(folder: pathlib.Path) -> None:
    with pytest.raises(PhaseLockError, match=r"^Nothing matches \*\.ogg\.$"):
        typed_paths("a.mp3 *.ogg")
    assert typed_paths("'*.ogg'") == ["*.ogg"]  # quoted: a name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (r"C:\Music\a.mp3", [r"C:\Music\a.mp3"]),
        (r'"C:\My Music\a.mp3" D:\b.mp3', [r"C:\My Music\a.mp3", r"D:\b.mp3"]),
        (r"& 'C:\My Music\a.mp3'", [r"C:\My Music\a.mp3"]),
        (r"C:\Don't.mp3 C:\x's.mp3", [r"C:\Don't.mp3", r"C:\x's.mp3"]),
        (r"\\server\share\x.mp3", [r"\\server\share\x.mp3"]),
        ('"C:\\Music\\"', ["C:\\Music\\"]),
    ],
)
def test_paths_of_windows(text: str, words: list[str]) -> None:
    assert [word.text for word in module._words(text, windows=True)] == words


def test_addresses_of_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_names.os, "sep", "\\")
    assert file_names.url_paths("file:///C:/My%20Music/a.mp3") == ["C:/My Music/a.mp3"]
    assert file_names.url_paths("file://C|/a.mp3") == ["C:/a.mp3"]
    assert file_names.url_paths("file://server/share/a%23.mp3") == ["//server/share/a#.mp3"]


@given(st.text(max_size=60) | st.text("ab'\"\\*?[]~ \n/é%:", max_size=30))
def test_no_line_breaks_the_program(text: str) -> None:
    try:
        paths = typed_paths("x" + text.replace("/", "").replace("~", ""))  # nothing outside of this folder
    except PhaseLockError as error:
        assert str(error)
    else:
        assert all(path and not set(path) & set("\r\n\0") for path in paths)


def test_names_that_are_no_text(folder: pathlib.Path) -> None:
    assert typed_paths("x\udcff y\ud800.mp3") == ["x\udcff y\ud800.mp3"]
    with pytest.raises(PhaseLockError, match=r"^Nothing matches xy\*\.$"):
        typed_paths("x\udcffy\ud800*")
