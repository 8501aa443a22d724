"""The arguments of typed commands, and their completion."""

from __future__ import annotations

import os
import pathlib

import pytest

from phaselock.app import typed
from phaselock.session.sentences import NoticeError
from phaselock.storage.typed_paths import typed_paths


@pytest.mark.parametrize(
    ("text", "value"),
    [("50", 50), ("50%", 50), ("50 %", 50), ("+5", 75), ("-5", 65), ("+90", 100), ("-90", 0), ("12,5", 12.5)],
)
def test_a_percentage(text: str, value: float) -> None:
    assert typed.percent(text, 70, "volume") == value


@pytest.mark.parametrize("text", ["", "loud", "101", "-101", "nan", "%", "5%5", "inf"])
def test_no_percentage(text: str) -> None:
    with pytest.raises(NoticeError, match="Usage: volume"):
        typed.percent(text, 70, "volume")


@pytest.mark.parametrize(
    ("text", "value"),
    [("90", 90), ("1:30", 90), ("1:02:03", 3723), ("+10", 110), ("-5", 95), ("-200", 0), ("+1:00", 160), ("9.5s", 9.5)],
)
def test_a_position(text: str, value: float) -> None:
    assert typed.seconds(text, 100.0, "seek") == value


@pytest.mark.parametrize("text", ["", "soon", "1:2:3:4", "1:60", "1:x", "+", "--5", "nan"])
def test_no_position(text: str) -> None:
    with pytest.raises(NoticeError, match="Usage: seek"):
        typed.seconds(text, 100.0, "seek")


def test_a_relative_position_needs_a_song() -> None:
    with pytest.raises(NoticeError, match="Nothing is playing"):
        typed.seconds("+10", None, "seek")


def test_what_tab_completes_is_read_as_that_path(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "My Music").mkdir()
    for name in ("a (1) & b.mp3", "list.m3u8", "text.txt", ".hidden.mp3", "it's.mp3"):
        (tmp_path / "My Music" / name).touch()
    ((inserted, shown, replaced),) = typed.path_completions("my")
    assert (shown, replaced) == (f"My Music{os.sep}", 2)
    found = typed.path_completions(inserted)
    assert [shown for _, shown, _ in found] == ["a (1) & b.mp3", "it's.mp3", "list.m3u8"]
    for text, shown, _ in found:
        assert [pathlib.Path(path) for path in typed_paths(text)] == [pathlib.Path("My Music", shown)]
    assert typed.path_completions("nowhere/") == []
