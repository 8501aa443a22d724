"""The host's panel that searches in the music folder."""

from __future__ import annotations

from typing import Any

import pytest

from phaselock.session.events import LibraryChanged, LibraryState
from phaselock.ui.backend import FoundSong, FoundSongs, SessionEvent
from tests.support.session_views import peer, playing
from tests.support.window_driver import action, button, click, deliver, go, press, reads, row, show, texts, toasts

pytestmark = [pytest.mark.gui, pytest.mark.slow]
SONGS = tuple(FoundSong(number, f"Help {number}", "The Beatles", "Help!", 139.25, "a.mp3") for number in range(5, 25))


def status(state: LibraryState, songs: int = 20, folder: str = "/home/ana/Music", **more: Any) -> SessionEvent:
    return SessionEvent(LibraryChanged(1, folder, state, songs, **more))


def opened(window: Any) -> Any:
    show(window, playing(peer("Kitchen")))
    click(window.screen.search)
    window.update()
    return window.overlay


def found(window: Any, text: str, songs: tuple[FoundSong, ...] = SONGS) -> None:
    window.overlay.field.entry.insert("end", text)
    press(window.overlay.field.entry._entry, "<Key-Shift_L>")
    deliver(window, FoundSongs(text, songs))


def test_a_folder_is_chosen(window: Any) -> None:
    overlay = opened(window)
    assert window.program.of("read_library") == [()]
    deliver(window, SessionEvent(LibraryChanged(1, "", LibraryState.OFF, 0)))
    assert not overlay.field.winfo_viewable()
    window.ask_folder = lambda: ""
    click(button(overlay, "Choose the folder"))
    window.ask_folder = lambda: "/home/ana/Music"
    click(button(overlay, "Choose the folder"))
    assert window.program.of("choose_library") == ["/home/ana/Music"]
    deliver(window, status(LibraryState.READING, 3, done_percent=20))
    assert overlay.field.winfo_viewable() and reads(overlay, "Reading the music folder: 20 %.")
    deliver(window, status(LibraryState.READY))
    assert reads(overlay, "20 songs · /home/ana/Music") and not overlay.news.winfo_viewable()
    deliver(window, status(LibraryState.AWAY))
    assert overlay.news.winfo_viewable() and toasts(window)
    click(button(overlay, "No folder"))
    assert window.program.of("choose_library") == ["/home/ana/Music", ""]


def test_songs_are_found_while_the_user_types_and_added_by_a_click(window: Any) -> None:
    overlay = opened(window)
    deliver(window, status(LibraryState.READY))
    assert reads(overlay, "Type what you look for.")
    found(window, "help")
    assert window.program.of("search_library") == ["help"]
    assert [one.title for one in overlay.results.rows] == [one.title for one in SONGS]
    assert overlay.results.rows[0].subtitle == "2:19 · The Beatles · Help!"
    deliver(window, FoundSongs("hel", ()))  # an answer to an earlier question
    assert overlay.results.rows
    click(overlay.results, *action(overlay.results, 1, "add"))
    assert window.program.of("add_from_library") == [6]
    assert [one.dimmed for one in overlay.results.rows[:3]] == [False, True, False]
    found(window, "x", ())
    deliver(window, FoundSongs("helpx", ()))
    assert reads(overlay, 'No song with "helpx".')


def test_songs_are_added_by_the_keyboard(window: Any) -> None:
    overlay = opened(window)
    deliver(window, status(LibraryState.READY))
    assert window.focus_get() is overlay.field.entry._entry
    found(window, "help")
    press(overlay.field.entry._entry, "<Key-Return>")
    assert overlay.results.selection == ("5",)
    press(overlay.results, "<Key-Down>")
    press(overlay.results, "<Key-Return>")
    assert window.program.of("add_from_library") == [6]


def test_changes_of_the_folder_are_found(window: Any) -> None:
    opened(window)
    deliver(window, status(LibraryState.READY))
    found(window, "help")
    deliver(window, status(LibraryState.READY, 21))
    assert window.program.of("search_library") == ["help", "help"]


def test_the_panel_takes_the_place_of_the_queue(window: Any) -> None:
    window.geometry("900x600")
    overlay = opened(window)
    deliver(window, status(LibraryState.READY))
    found(window, "help")
    window.update()
    assert window.screen.playing.winfo_viewable() and not window.screen.queue.winfo_viewable()
    assert overlay.results.winfo_height() > 2 * 56
    press(window, "<Key-Escape>")
    assert window.overlay is None and window.screen.queue.winfo_viewable()


def test_the_panel_is_found_again_with_another_look(window: Any) -> None:
    opened(window)
    go(window, "music")
    assert "My music" in texts(window.overlay)
    assert row(window.overlay.results, 0)
