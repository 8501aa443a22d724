"""The window's own file dialog, as it is shown where the desktop has none, and how the window asks."""

from __future__ import annotations

import itertools
import os
import pathlib
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from phaselock.desktop.file_dialog import Question
from phaselock.model.file_kinds import MUSIC_ENDINGS

pytestmark = [
    pytest.mark.gui,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Windows and macOS have their own dialogs"),
]

Step = Callable[[Any], object]


@pytest.fixture
def music(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A folder of music, the remembered one; without any dialog of the desktop."""
    folder = tmp_path / "my music"
    (folder / "album one").mkdir(parents=True)
    for name in ("a b.mp3", "c.MP3", "list.m3u8", "notes.txt", "album one/d.mp3"):
        (folder / name).touch()
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    return folder


def until(window: Any, true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        window.update()


def ask(window: Any, act: Callable[[], Any], *steps: Step) -> Any:
    """Call `act`, which shows the list; run the steps in it, each as soon as the list stands still."""

    def drive() -> None:
        own = window.dialogs._dialog
        if not hasattr(own, "rows") or not own._folder.path:
            window.after(10, drive)
            return
        try:
            for step in steps:
                until(window, lambda: own._reading is None)
                step(own)
                window.update()
            until(window, lambda: own._reading is None)
        finally:
            window.dialogs.close()

    window.after(10, drive)
    return act()


def rows(own: Any) -> list[str]:
    return [str(own.rows.item(row, "values")[0]) for row in own.rows.get_children()]


def select(*names: str) -> Step:
    return lambda own: own.rows.selection_set(
        [row for row in own.rows.get_children() if own.rows.item(row, "values")[0] in names]
    )


def typed(path: str) -> Step:
    return lambda own: (own.path.set(path), own._go())


def test_songs_are_chosen(make: Callable[..., Any], music: pathlib.Path) -> None:
    window = make(ui={"folder": os.fspath(music)})
    seen: list[list[str]] = []
    found = ask(
        window,
        window.ask_files,
        lambda own: seen.append(rows(own)),
        lambda own: own._toggle_all(),
        lambda own: seen.append(rows(own)),
        select("a b.mp3", "c.MP3"),
        lambda own: own._confirm(),
    )
    assert found == tuple(os.fspath(music / name) for name in ("a b.mp3", "c.MP3"))
    assert seen[0] == ["album one", "a b.mp3", "c.MP3", "list.m3u8"]
    assert seen[1] == ["album one", "a b.mp3", "c.MP3", "list.m3u8", "notes.txt"]


def test_folders_are_entered_and_remembered(make: Callable[..., Any], music: pathlib.Path) -> None:
    window = make(ui={"folder": os.fspath(music)})
    found = ask(
        window,
        window.ask_song,
        select("album one"),
        lambda own: own._confirm(),
        lambda own: own._up(),
        typed("album one"),
        select("d.mp3"),
        lambda own: own._confirm(),
    )
    assert found == os.fspath(music / "album one" / "d.mp3")
    assert window.program.kept["ui"]["folder"] == os.fspath(music / "album one")
    assert ask(window, window.ask_folder, lambda own: own._confirm()) == os.fspath(music / "album one")


def test_a_path_with_blanks_is_typed(make: Callable[..., Any], music: pathlib.Path) -> None:
    window = make(ui={"folder": os.fspath(music)})
    errors: list[str] = []
    found = ask(
        window,
        window.ask_files,
        typed("no such file.mp3"),
        lambda own: errors.append(own.path._error),
        typed(f'"{music}/a b.mp3"'),
    )
    assert found == (os.fspath(music / "a b.mp3"),)
    assert errors == ["There is no such file or folder."]


def test_a_file_is_replaced_after_a_second_click(make: Callable[..., Any], music: pathlib.Path) -> None:
    window = make(ui={"folder": os.fspath(music)})
    assert ask(window, lambda: window.ask_save("new.csv"), lambda own: own._confirm()) == os.fspath(music / "new.csv")
    warnings: list[str] = []
    found = ask(
        window,
        lambda: window.ask_save("notes.txt"),
        lambda own: own._confirm(),
        lambda own: warnings.append(own.path._error),
        lambda own: own._confirm(),
    )
    assert found == os.fspath(music / "notes.txt")
    assert warnings == ["There is a file with this name. A second click replaces it."]


def test_letters_find_a_name(make: Callable[..., Any], music: pathlib.Path) -> None:
    window = make(ui={"folder": os.fspath(music)})
    chosen: list[list[tuple[str, bool]]] = []
    ask(
        window,
        window.ask_files,
        lambda own: own.rows.focus_force(),
        lambda own: own.rows.event_generate("<Key-l>"),
        lambda own: chosen.append(own._selected()),
        lambda own: own._select_all(),
        lambda own: chosen.append(own._selected()),
        lambda own: own.cancel(),
    )
    assert chosen[0] == [("list.m3u8", False)]
    assert [name for name, _ in chosen[1]] == ["a b.mp3", "c.MP3", "list.m3u8"]


def test_one_dialog_at_a_time_and_the_window_closes(make: Callable[..., Any], music: pathlib.Path) -> None:
    window = make(ui={"folder": os.fspath(music)})
    second: list[Any] = []
    found = ask(window, window.ask_files, lambda own: second.append(window.ask_folder()), lambda own: window.close())
    assert (found, second) == ((), [""])


def test_the_window_closes_while_a_program_asks(
    make: Callable[..., Any], music: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "zenity").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    (tmp_path / "zenity").chmod(0o755)
    window = make()
    window.after(200, window.close)
    assert window.ask_files() == ()


def test_begin_in_the_music_folder(
    make: Callable[..., Any], music: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Question] = []
    window = make()

    def answer(question: Question) -> tuple[str, ...]:
        asked.append(question)
        return ("/m/x.mp3",)

    monkeypatch.setattr(window.dialogs, "_ask_desktop", answer)
    monkeypatch.setenv("HOME", os.fspath(music.parent))
    monkeypatch.setenv("XDG_CONFIG_HOME", os.fspath(music.parent))
    (music.parent / "user-dirs.dirs").write_text('XDG_MUSIC_DIR="$HOME/my music"\n')
    assert window.ask_files() == ("/m/x.mp3",)
    assert asked[0].folders == ("", os.fspath(music)) and asked[0].folder() == os.fspath(music)
    assert window.program.kept["ui"]["folder"] == "/m"


def test_every_kind_of_music_can_be_chosen(make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Question] = []
    window = make()

    def answer(question: Question) -> tuple[str, ...]:
        asked.append(question)
        return ()

    monkeypatch.setattr(window.dialogs, "_ask_desktop", answer)
    window.ask_files()
    window.ask_song()
    files, song = ([patterns for _, patterns in question.filters] for question in asked)
    for ending in MUSIC_ENDINGS:
        assert {f"*{ending}", f"*{ending.upper()}"} <= set(files[0]) & set(song[0])
    assert {"*.m3u", "*.m3u8"} <= set(files[0]) - set(song[0]) and files[1] == song[1] == ("*",)


def test_an_answer_that_comes_at_once_leaves_nothing_behind(make: Callable[..., Any]) -> None:
    """A look that was left behind would end the next dialog."""
    import tkinter

    from phaselock.ui.dialogs import POLL_MS

    window = make()
    answers = itertools.chain([False], itertools.repeat(True))
    dialogs: Any = window.dialogs
    dialogs._answered = answered = tkinter.BooleanVar(window)
    dialogs._poll(SimpleNamespace(answer=SimpleNamespace(done=lambda: next(answers))))
    answered.set(False)
    over = tkinter.BooleanVar(window)
    window.after(3 * POLL_MS, over.set, True)
    window.wait_variable(over)
    assert not answered.get()
    dialogs._answered = None
