"""The list of the queue, of the host and of a peer."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any
from uuid import UUID

import pytest

from phaselock.model.queue import ItemStatus
from phaselock.session import commands as c
from phaselock.ui.backend import ArtworkRead, LastQueue, QueueSaved, SessionView
from phaselock.ui.screens.queue import FOLD
from tests.support.session_views import QUEUE, guest, host, item, line, playing
from tests.support.window_driver import (
    action,
    button,
    click,
    commands,
    deliver,
    drag,
    press,
    reads,
    row,
    show,
    toasts,
    until,
)

pytestmark = pytest.mark.gui


def at_song(number: int, count: int = 40, *, hosting: bool = True) -> SessionView:
    """`count` songs, of which this one plays and all before it were played."""
    status = {True: ItemStatus.PLAYED, False: ItemStatus.READY}
    queue = tuple(
        item(one, ItemStatus.PLAYING if one == number else status[one < number]) for one in range(1, count + 1)
    )
    changes: dict[str, Any] = {"queue": queue, "now": queue[number - 1], "timeline": line(number)}
    return playing(**changes) if hosting else guest(**changes)


def visible(rows: Any) -> list[str]:
    """The titles of the rows that are visible, from the top."""
    return [rows.rows[index].title for index in rows._view.visible()]


def key(number: int) -> str:
    return str(UUID(int=number))


def wheel(rows: Any, notches: float) -> None:
    rows._on_wheel(notches)
    rows.update()


def opened_menu(rows: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The menus that the list opens from now on: the items of each."""
    from phaselock.ui.widgets.rows import list as list_module

    menus: list[Any] = []
    monkeypatch.setattr(list_module, "popup", lambda _widget, items, _x, _y: menus.append(items))
    return menus


@pytest.mark.parametrize("hosting", [True, False])
def test_the_list_follows_the_current_song(window: Any, hosting: bool) -> None:
    rows = show(window, at_song(14, hosting=hosting)).queue
    assert visible(rows)[:3] == ["13 played", "Song 14", "Song 15"]
    show(window, at_song(20, hosting=hosting))
    assert visible(rows)[:2] == ["19 played", "Song 20"]
    wheel(rows, 6)
    assert "Song 20" not in visible(rows) and reads(window, "Back to the current song")
    top = visible(rows)[0]
    show(window, at_song(21, hosting=hosting))
    assert visible(rows)[0] == top, "the user looks at something else"
    click(button(window, "Back to the current song"))
    assert visible(rows)[:2] == ["20 played", "Song 21"] and not reads(window, "Back to the current song")
    show(window, at_song(22, hosting=hosting))
    assert visible(rows)[:2] == ["21 played", "Song 22"]
    wheel(rows, 6)
    wheel(rows, -6)  # the current song is in view again
    show(window, at_song(23, hosting=hosting))
    assert visible(rows)[1] == "Song 23"


@pytest.mark.parametrize("size", ["900x600", "1280x800"])
@pytest.mark.parametrize("hosting", [True, False])
def test_the_way_back_covers_no_row(window: Any, hosting: bool, size: str) -> None:
    window.geometry(size)
    rows = show(window, at_song(1, hosting=hosting)).queue

    def low() -> int:
        return rows.rows[-1].title == visible(rows)[-1] and rows._view.count * 56 - rows._view.top

    wheel(rows, 100)
    assert reads(window, "Back to the current song")
    wheel(rows, 100)
    assert 0 < low() <= rows._back.winfo_y()
    click(button(window, "Back to the current song"))
    rows.focus_set()
    press(window, "<Key-End>")
    window.update()
    assert 0 < low() <= rows._back.winfo_y(), "nor after one key"
    click(button(window, "Back to the current song"))
    rows.focus_set()
    for sequence in ("<Key-Home>", *["<Key-Down>"] * 12):
        press(window, sequence)
        window.update()
        cursor = rows._selection.cursor_index()
        end = (cursor + 1) * 56 - rows._view.top
        assert end <= (rows._back.winfo_y() if rows._back.winfo_ismapped() else rows.winfo_height())


def test_played_songs_are_folded_until_a_click(window: Any) -> None:
    rows = show(window, at_song(14)).queue
    assert len({slot._shown["title"][0][0] for slot in rows._painter.slots if slot.index >= 0}) == 1
    click(rows, *row(rows, 0))
    assert [one.title for one in rows.rows[:3]] == ["13 played", "Song 1", "Song 2"] and len(rows.rows) == 41
    rows.focus_set()
    for sequence in ("<Key-Home>", "<Key-Return>"):
        press(window, sequence)
    assert len(rows.rows) == 28
    press(window, "<Key-Delete>")  # the row of the played songs is none
    assert not commands(window)
    show(window, at_song(2))
    assert visible(rows)[0] == "Song 1", "one song is not folded"


def test_a_song_is_moved_among_the_songs_that_are_shown(window: Any) -> None:
    rows = show(window, at_song(5, 8)).queue
    assert [one.title for one in rows.rows] == ["4 played", "Song 5", "Song 6", "Song 7", "Song 8"]
    drag(rows, row(rows, 4), (90, 56 * 2))  # behind the current one
    assert commands(window) == [c.Move(UUID(int=8), 5)]
    window.program.calls.clear()
    drag(rows, row(rows, 2), (90, 56 * 5 - 4))
    assert commands(window) == [c.Move(UUID(int=6), 7)]
    window.program.calls.clear()
    drag(rows, row(rows, 3), (90, 4))  # above the folded ones: in front of the current one
    assert commands(window) == [c.Move(UUID(int=7), 4)]


def test_only_the_songs_with_a_text_are_shown(window: Any) -> None:
    shown = show(window, at_song(3))
    rows, width = shown.queue, shown._queue_panel.winfo_width()
    press(window, "<Control-Key-f>")
    window.update()
    for letter in "G 12":
        press(window, f"<Key-{'space' if letter == ' ' else letter}>")
    press(window, "<KeyRelease-2>")
    assert visible(rows) == ["Song 12"] and rows.rows[0].number == "12" and reads(window, "1 song")
    assert shown._queue_panel.winfo_width() == width
    press(window, "<Key-5>")
    press(window, "<KeyRelease-5>")
    assert not rows.rows and reads(window, 'No song with "G 125".') and reads(window, "0 songs")
    show(window, at_song(3, 125))  # songs are added
    assert visible(rows) == ["Song 125"]
    press(window, "<Key-Return>")
    assert rows.selection == (key(125),) and window.focus_get() is rows
    press(window, "<Key-Return>")
    assert commands(window) == [c.Play(UUID(int=125))]
    press(window, "<Control-Key-f>")
    press(window, "<Key-Escape>")
    assert len(rows.rows) == 124 and shown._find_bar is None and window.focus_get() is rows


def test_tab_shows_the_row_that_gets_the_ring(window: Any) -> None:
    rows = show(window, at_song(1)).queue
    rows.focus_set()
    press(window, "<Key-Home>")
    window.focus_set()
    wheel(rows, 10)
    assert key(1) not in [rows.rows[index].key for index in rows._view.visible()]
    while window.focus_get() is not rows:
        press(window, "<Tab>")
    assert rows.keyboard and visible(rows)[0] == "Song 1"


def test_a_song_has_a_menu(window: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = show(window, at_song(5, 8)).queue
    menus = opened_menu(rows, monkeypatch)
    x, y = row(rows, 3)
    rows.event_generate("<ButtonPress-3>", x=x, y=y)
    act = {item[0]: item[1] for item in menus[0] if item is not None}
    assert [*act] == [
        "Play",
        "Play next",
        "Move to the top",
        "Move to the end",
        "Show in folder",
        "Copy title",
        "Remove from the queue",
    ]
    for command in act.values():
        command()
    ids = [UUID(int=number) for number in (1, 2, 3, 4, 5, 6, 7, 8)]
    others = [one for one in ids if one != ids[6]]
    assert commands(window) == [
        c.Play(ids[6]),
        c.Arrange((*ids[:5], ids[6], ids[5], ids[7])),
        c.Arrange((ids[6], *others)),
        c.Arrange((*others, ids[6])),
        c.Remove(ids[6]),
    ]
    assert window.program.of("show_in_folder") == [ids[6]] and window.clipboard_get() == "Band – Song 7"


def test_the_menu_opens_with_the_keyboard_for_all_selected_songs(window: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = show(window, at_song(1, 4)).queue
    menus = opened_menu(rows, monkeypatch)
    rows.focus_set()
    for sequence in ("<Key-End>", "<Shift-Key-Up>", "<Shift-Key-F10>", "<Key-Menu>"):
        press(window, sequence)
    assert len(menus) == 2
    act = {item[0]: item[1] for item in menus[1] if item is not None}
    assert [*act] == ["Play next", "Move to the top", "Move to the end", "Copy titles", "Remove from the queue"]
    act["Play next"]()
    act["Copy titles"]()
    assert commands(window) == [c.Arrange(tuple(UUID(int=number) for number in (1, 3, 4, 2)))]
    assert window.clipboard_get() == "Band – Song 3\nBand – Song 4"
    x, y = row(rows, 1)
    rows.event_generate("<ButtonPress-3>", x=x, y=y)  # not a selected one: it is selected alone
    assert rows.selection == (key(2),) and menus[2][0][0] == "Play"


def test_nothing_plays_and_the_next_song_is_the_first_one(window: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = show(window, host()).queue
    menus = opened_menu(rows, monkeypatch)
    rows.event_generate("<ButtonPress-3>", x=90, y=56 * 2 + 20)
    next(one[1] for one in menus[0] if one and one[0] == "Play next")()
    assert commands(window) == [c.Arrange((QUEUE[2].id, QUEUE[0].id, QUEUE[1].id))]


def test_other_lists_have_the_actions_of_a_row_in_their_menu(window: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = show(window, guest(timeline=line(), now=QUEUE[0]))
    menus = opened_menu(shown.queue, monkeypatch)
    shown.queue.event_generate("<ButtonPress-3>", x=90, y=20)
    assert [one and one[0] for one in menus[0]] == ["Copy title"]


def test_a_menu_is_built_and_closed(window: Any) -> None:
    from phaselock.ui.widgets.menu import popup

    show(window, host())
    popup(window, (), 0, 0)
    done: list[str] = []
    window.after(100, lambda: window._menu.unpost())
    popup(window, [("One", lambda: done.append("one")), None, ("Two", bool)], 40, 40)
    window._menu.invoke(0)
    window.update()
    assert done == ["one"] and window._menu.index("end") == 2


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="there the system draws the menus")
def test_a_menu_is_flat_and_as_wide_as_its_lines(window: Any) -> None:
    from phaselock.ui import theme
    from phaselock.ui.widgets.menu import popup

    show(window, host())
    widths = []
    for least in (0, 320):
        window.after(100, lambda: (widths.append(window._menu.winfo_width()), window._menu.unpost()))
        popup(window, [("One", bool), None, ("Remove from the queue", bool)], 40, 40, least_width=least)
        until(window, lambda least=least: len(widths) == (2 if least else 1))
        menu, font = window._menu, theme.canvas_font(theme.SECONDARY)
        texts = [menu.entrycget(at, "label") for at in (0, 2)]
        images = [int(window.tk.call("image", "width", menu.entrycget(at, "image"))) for at in range(3)]
        ends = [theme.measure(text, font) + width for text, width in zip(texts, images[::2], strict=True)]
        assert all(abs(end - images[1]) <= 1 for end in ends)
        assert menu.cget("activeborderwidth") in (0, "0")
    assert widths[0] < 320 <= widths[1]


def test_the_last_queue_is_offered_while_the_queue_is_empty(window: Any) -> None:
    show(window, host(queue=()))
    assert window.program.of("read_last_queue") == [()]
    deliver(window, LastQueue(()))
    assert not reads(window, "last queue")
    deliver(window, LastQueue(("/a.mp3", "/b.mp3")))
    assert reads(window, "The last queue had 2 songs.")
    click(button(window, "Add the last queue"))
    assert window.program.of("add") == [("/a.mp3", "/b.mp3")]
    show(window, host())
    assert not reads(window, "last queue")


def test_the_queue_is_saved_as_a_playlist(window: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from phaselock.ui.screens import host_queue

    menus: list[Any] = []
    monkeypatch.setattr(host_queue, "popup", lambda _widget, items, _x, _y: menus.append(items))
    asked: list[str] = []
    window.ask_save = lambda name, _title: asked.append(name) or "/music/party.m3u8"
    show(window, host(session_name="Ana/Bo: 1?"))
    click(button(window.screen._queue_panel, "More"))
    dict(menus[0])["Save as a playlist"]()
    assert asked == ["Ana-Bo- 1.m3u8"] and window.program.of("save_queue") == ["/music/party.m3u8"]
    problem = "party.m3u8 cannot be saved: No space left on device."
    deliver(
        window,
        QueueSaved("party.m3u8", 3, ""),
        QueueSaved("party.m3u8", 0, problem),
    )
    assert toasts(window)[-2:] == ("Saved 3 songs in party.m3u8.", problem)
    show(window, host(queue=()))
    dict(menus[0])["Save as a playlist"]()
    assert len(asked) == 1


def test_covers_are_read_for_visible_songs_only(window: Any) -> None:
    rows = show(window, at_song(1)).queue
    until(window, lambda: len(window.program.of("read_artwork")) > 5)
    asked = [call for call in window.program.of("read_artwork") if call[2]]
    seen = [rows.rows[index].key for index in rows._view.visible()]
    assert {str(file_id) for file_id, _, _ in asked} <= {*seen} and {size for _, size, _ in asked} == {40}
    ppm = b"P6 40 40 255\n" + bytes(4800)
    deliver(window, *(ArtworkRead(file_id, 40, True, ppm) for file_id, _, _ in asked))
    assert rows._painter.slots[1]._shown["picture"] is not None
    window.program.calls.clear()
    wheel(rows, 20)
    until(window, lambda: window.program.of("read_artwork"))
    assert not {call[0] for call in asked} & {call[0] for call in window.program.of("read_artwork") if call[2]}


def test_covers_of_files_that_are_missing_are_read_later(window: Any) -> None:
    from phaselock.ui.screens import queue

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue, "_RETRY_MS", 1)
        show(window, guest())
        until(window, lambda: sum(call[0] == QUEUE[2].id for call in window.program.of("read_artwork")) > 2)


def test_a_row_shows_its_number_and_keeps_its_length_under_the_pointer(window: Any) -> None:
    bare = dataclasses.replace(QUEUE[1], title="", artist="", file_name="02 Untitled.mp3", added_by="")
    rows = show(window, host(queue=(QUEUE[0], bare, QUEUE[2]))).queue
    assert [one.number for one in rows.rows] == ["1", "2", "3"]
    assert (rows.rows[1].title, rows.rows[1].subtitle) == ("02 Untitled", "")
    rows.event_generate("<Motion>", x=90, y=20)
    window.update()
    shown = rows._painter.slots[0]._shown
    assert shown["right"] is not None and shown["action0"] is not None
    click(rows, *action(rows, 0, "remove"))
    assert commands(window) == [c.Remove(QUEUE[0].id)] and FOLD not in [one.key for one in rows.rows]


def test_a_title_has_room_in_the_smallest_window_and_keeps_it_under_the_pointer(window: Any) -> None:
    window.geometry("900x600")
    queue = tuple(item(number, title=f"Track number {number}", added_by="Hana") for number in range(1, 71))
    rows = show(window, playing(queue=queue, now=queue[0])).queue
    slot = rows._painter.slots[3]
    before = slot.text("title"), slot.text("subtitle")
    assert before == ("Track number 4", "2:34 · Band"), "the host has added it, which says nothing new"
    rows.event_generate("<Motion>", x=90, y=56 * 3 + 20)
    window.update()
    assert slot._shown["action0"] is not None and (slot.text("title"), slot.text("subtitle")) == before
    above = [rows.find_all().index(slot._items[name]) for name in ("title", "subtitle", "veil", "action0", "handle")]
    assert max(above[:2]) < above[2] < above[3] < above[4], "the buttons lie on the ends of the texts"
    assert rows._painter.shortened(rows.rows[3]) == []


def test_rows_stay_aligned_when_the_numbers_get_wider(window: Any) -> None:
    def queue(count: int) -> Any:
        songs = (item(1, ItemStatus.PLAYING), *(item(number) for number in range(2, count + 1)))
        return playing(queue=songs, now=songs[0])

    window.geometry("900x600")
    rows = show(window, queue(9)).queue
    assert rows._view.limit > 0, "there is a scroll bar before and after"
    show(window, queue(120))
    rows._painter._step_bars()
    slot = rows._painter.slots[0]
    bars = [slot._shown[f"bar{number}"][0] for number in range(3)]
    assert abs((bars[0][0] + bars[2][2]) / 2 - (slot._shown["tile"][0][0] + 20)) <= 1
    wheel(rows, 2)
    assert len({slot._shown["title"][0][0] for slot in rows._painter.slots}) == 1, "old rows and new ones"
