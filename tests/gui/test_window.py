"""The window with a fake program."""

from __future__ import annotations

import dataclasses
import gc
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from phaselock.model.notices import Code, Notice
from phaselock.model.snapshot import FileState, RequestState, RequestView
from phaselock.os_packages import tk_advice
from phaselock.session import commands as c
from phaselock.session import events as e
from phaselock.ui.backend import ArtworkRead, Closed, Found, FoundSessions, Opened, Outputs, SessionEvent, WaveformRead
from tests.support.session_views import CARD, QUEUE, file, guest, host, item, line, peer, playing
from tests.support.window_driver import (
    ALT,
    ROOT,
    FakeProgram,
    action,
    button,
    click,
    controls,
    deliver,
    drag,
    go,
    press,
    reads,
    row,
    settle,
    show,
    texts,
    until,
    walk,
)

pytestmark = pytest.mark.gui
pytest.importorskip("tkinter", reason="Python was built without tkinter")

WISH = RequestView(UUID(int=77), 1, "Ben", "new.mp3", 4_200_000, RequestState.OPEN, 0, "")
GONE = "Host disconnected — session ended."


@pytest.fixture
def window(make: Callable[..., Any]) -> Any:
    return make()


def screen(window: Any) -> str:
    return type(window.screen).__name__


def toasts(window: Any) -> tuple[str, ...]:
    return tuple(window.toasts.texts)


def commands(window: Any) -> list[Any]:
    return list(window.program.of("command"))


def more(count: int) -> Any:
    """The host's state with `count` songs."""
    queue = tuple(item(number) for number in range(1, count + 1))
    return playing(queue=queue, now=queue[0])


# -- home, create, browse ----------------------------------------------------------------------------------------------


def test_home_leads_to_both_forms_and_back(window: Any) -> None:
    assert {"PhaseLock", "Create jam", "Join jam", "Ana  ·  Sound: default output"} <= set(texts(window))
    click(button(window, "Create jam"))
    assert screen(window) == "CreateScreen" and reads(window, "Create a jam")
    click(button(window, "Back"))
    click(button(window, "Join jam"))
    assert screen(window) == "BrowserScreen"
    click(button(window, "Back"))
    assert screen(window) == "HomeScreen" and window.title() == "PhaseLock"
    assert window.program.of("browse") == [True, False]


def test_create_submits_its_fields(window: Any) -> None:
    go(window, "create")
    form = window.screen
    assert (form.session_name.get(), form.display_name.get()) == ("Friday", "Ana")
    window.update()
    press(window, "<Key>", keysym="End")
    for letter in ("space", "B"):
        press(window, f"<Key-{letter}>")
    click(button(window, "More"))
    form.port.set("18000")
    click(button(window, "Create jam"))
    ((name, *others),) = window.program.of("host")
    assert name in ("Friday B", " B") or name == "B"
    assert others == ["Ana", 18000, 17402]
    assert not form.button.enabled
    click(form.button)
    assert len(window.program.of("host")) == 1


def test_create_shows_errors_of_its_fields(window: Any) -> None:
    go(window, "create")
    form = window.screen
    form.display_name.set("  ")
    form.port.set("0")
    form.clock_port.set("65536")
    window.update()
    assert not reads(window, "TCP port")
    press(window, "<Key-Return>")
    assert reads(window, "Please choose a name, so that the others know who hosts.")
    assert texts(window).count("A number from 1 to 65535, please.") == 2 and reads(window, "TCP port")
    assert not window.program.of("host")
    form.display_name.set("Ana")
    form.port.set("1")
    form.clock_port.set("65535")
    form.session_name.set("")
    form.submit()
    assert window.program.of("host") == [("", "Ana", 1, 65535)]
    assert not reads(window, "please.") and not reads(window, "Please")


def test_a_session_that_cannot_be_opened_says_why(window: Any) -> None:
    go(window, "create")
    window.screen.submit()
    reason = "Port 17401 is in use. Please close the other application or change the port."
    deliver(window, Closed(reason, failed=True))
    assert screen(window) == "CreateScreen" and reads(window, reason) and window.screen.button.enabled
    click(button(window, "Create jam"))
    assert not reads(window, reason) and len(window.program.of("host")) == 2


def test_going_back_cancels_hosting(window: Any) -> None:
    go(window, "create")
    window.screen.submit()
    click(button(window, "Back"))
    assert window.program.calls[-1] == ("leave",)


def test_found_sessions_are_joined_by_double_click_and_by_return(window: Any) -> None:
    go(window, "browse")
    assert reads(window, "Looking for jams on this network")
    deliver(window, FoundSessions(()))
    assert reads(window, "No sessions found yet.")
    found = (
        Found("Friday", "Hana", 2, 5, "192.168.1.42", "a"),
        Found("Crowd", "Igor", 5, 5, "192.168.1.43:18000", "b"),
    )
    deliver(window, FoundSessions(found))
    rows = window.screen.rows
    assert [(one.title, one.right, one.dimmed) for one in rows.rows] == [("Friday", "", False), ("Crowd", "full", True)]
    assert reads(rows, "hosted by Hana — 2/5 peers") and reads(rows, "full")
    click(rows, *row(rows, 0))
    assert not window.program.of("join")
    click(rows, *row(rows, 0))
    assert window.program.of("join") == [("192.168.1.42", "Ana")]
    deliver(window, Closed("Session is full.", failed=True))
    assert reads(window, "Session is full.") and window.screen.button.enabled
    rows.focus_set()
    press(window, "<Key-Down>")
    press(window, "<Key-Return>")
    assert window.program.of("join")[1:] == [("192.168.1.43:18000", "Ana")]
    assert not reads(window, "Session is full.")
    deliver(window, FoundSessions((), "The network cannot be searched."))
    assert reads(window, "The network cannot be searched.")


def test_connect_joins_the_address_or_else_the_selected_session(window: Any) -> None:
    go(window, "browse")
    deliver(window, FoundSessions((Found("Friday", "Hana", 2, 5, "192.168.1.42", "a"),)))
    click(window.screen.rows, *row(window.screen.rows, 0))
    click(button(window, "Connect"))
    assert window.program.of("join") == [("192.168.1.42", "Ana")]
    deliver(window, Closed("It does not answer.", failed=True))
    window.screen.address.set("music.local")
    click(button(window, "Connect"))
    assert window.program.of("join")[1:] == [("music.local", "Ana")]


@pytest.mark.parametrize("address", ["music.local", "192.168.1.42:18000", "[fe80::1]:18000", " ::1 "])
def test_an_address_is_joined(window: Any, address: str) -> None:
    go(window, "browse")
    window.screen.address.set(address)
    window.update()
    press(window, "<Key-Return>")
    assert window.program.of("join") == [(address, "Ana")]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "Enter the address that the host shows"),
        ("a b", "Enter the address that the host shows"),
        ("[::1", "Enter the address that the host shows"),
        ("host:0", "The port is a number from 1 to 65535."),
    ],
)
def test_an_invalid_address_is_explained(window: Any, address: str, words: str) -> None:
    go(window, "browse")
    window.screen.address.set(address)
    click(button(window, "Connect"))
    assert reads(window, words) and not window.program.of("join")
    window.screen.address.set("::1")
    window.screen.display_name.set("")
    click(button(window, "Connect"))
    assert not reads(window, words) and reads(window, "so that the others know who you are.")


def test_going_back_cancels_joining(window: Any) -> None:
    go(window, "browse")
    window.screen.address.set("::1")
    window.screen.submit()
    click(button(window, "Back"))
    assert screen(window) == "HomeScreen" and ("leave",) in window.program.calls
    deliver(window, Closed("", failed=False))
    assert toasts(window) == ()


@pytest.mark.parametrize(("state", "name"), [(host(), "HostScreen"), (guest(), "PeerScreen")], ids=["host", "peer"])
def test_the_session_decides_which_screen_opens(window: Any, state: Any, name: str) -> None:
    go(window, "create")
    show(window, state)
    assert screen(window) == name and window.title() == "Friday · PhaseLock"
    assert reads(window, "Friday")


def test_a_session_that_has_ended_already_opens_no_screen(window: Any) -> None:
    go(window, "create")
    deliver(window, Opened(), Closed("Host disconnected — session ended.", failed=True))
    assert screen(window) == "CreateScreen" and reads(window, GONE)


# -- the host ----------------------------------------------------------------------------------------------------------


def test_the_host_sees_everything(window: Any) -> None:
    sam = peer("Sam", 2, ready=False, have=frozenset(), files=(file(2, FileState.SENDING, 420),), rtt_ns=60_000_000)
    shown = show(window, playing(peer(), sam, requests=(WISH,)))
    assert reads(shown, "2 peers connected") and reads(shown, "192.168.1.42") and reads(shown, "3 tracks, 8")
    assert reads(shown, "Song 1") and reads(shown, "Band")
    ben, second = shown.peers.rows
    assert (ben.title, second.title, second.progress) == ("Ben", "Sam", 0.42) and reads(shown.peers, "Sam")
    assert "receiving Song 2" in second.subtitle and ben.colour_dot != second.colour_dot and ben.chip != second.chip
    assert [one.playing for one in shown.queue.rows] == [False] * 3
    assert shown.requests.rows[0].title == 'Ben wants to add "new.mp3"' and reads(shown.requests, "4.2")
    assert window.title() == "Song 1 – Band · PhaseLock"
    until(window, lambda: shown.playing.seekbar.times == ("0:00", "-2:35"))
    window.program.now_ns = 60 * 10**9
    until(window, lambda: shown.playing.seekbar.times == ("1:00", "-1:35"))
    show(window, host(queue=()))
    assert reads(shown, "Nobody has joined yet") and reads(shown, "No songs yet.") and reads(shown, "Nobody here yet.")
    assert not reads(shown, "Ben wants to add") and reads(shown, "Nothing is playing")
    assert window.title() == "Friday · PhaseLock"


def test_play_is_disabled_and_names_the_peers_without_the_file(window: Any) -> None:
    from phaselock.ui.widgets import tooltip

    shown = show(window, host(peer(have=frozenset(), ready=False)))
    disc = shown.transport.play
    assert not disc.enabled
    click(disc)
    press(window, "<Key-space>")
    assert commands(window) == []
    disc.event_generate("<Enter>", x=5, y=5)
    until(window, lambda: tooltip.shown().startswith("Waiting for all peers to receive the file."))
    assert "Ben: Song 1 (not begun)" in tooltip.shown()
    show(window, host(peer()))
    assert disc.enabled
    click(disc)
    assert commands(window) == [c.Play()]


def test_buttons_command(window: Any) -> None:
    shown = show(window, playing())
    for name in ("Pause", "Stop", "Next", "Previous"):
        click(button(shown, name))
    show(window, playing(timeline=line(stop_ns=5)))
    click(button(shown, "Resume"))
    assert commands(window) == [c.Pause(), c.Stop(), c.Next(), c.Previous(), c.Play()]


def test_keys_command(window: Any) -> None:
    shown = show(window, playing())
    window.program.now_ns = 30 * 10**9
    until(window, lambda: shown.playing.seekbar.times[0] == "0:30")
    for sequence in ("<Key-space>", "<Control-Key-Right>", "<Control-Key-Left>", "<Key-Right>", "<Key-Left>"):
        press(window, sequence)
    assert commands(window) == [c.Pause(), c.Next(), c.Previous(), c.Seek(35.0), c.Seek(30.0)]
    for sequence in ("<Control-Key-Up>", "<Control-Key-Down>", "<Control-Key-Down>", "<Key-m>", "<Key-m>"):
        press(window, sequence)
    assert window.program.of("set_volume") == [0.55, 0.5, 0.45, 0.0, 0.45]


def test_a_click_does_not_change_what_space_does(window: Any) -> None:
    shown = show(window, playing())
    click(button(shown, "Next"))
    press(window, "<Key-space>")
    assert commands(window) == [c.Next(), c.Pause()]
    while window.focus_get() is not shown.transport.next:
        press(window, "<Tab>")
    assert shown.transport.next.keyboard
    press(window, "<Key-space>")
    assert commands(window)[2:] == [c.Next()]


def test_a_space_in_an_entry_is_a_space(window: Any) -> None:
    show(window, playing(own=CARD))
    go(window, "sound")
    field = window.overlay.correction
    field.focus()
    window.update()
    for sequence in ("<Key-space>", "<Key-m>", "<Key-question>", "<Key-Right>"):
        press(window, sequence)
    assert field.get() and commands(window) == [] and window.program.of("set_volume") == []
    assert type(window.overlay).__name__ == "SoundOverlay"


def test_the_spectrum_can_be_switched_off_and_stays_so(window: Any) -> None:
    show(window, playing(own=CARD))
    go(window, "sound")
    click(button(window.overlay, "Hide the spectrum"))
    assert not window.visualiser and window.program.kept["ui"]["visualiser"] is False
    click(button(window.overlay, "Show the spectrum"))
    assert window.visualiser and window.program.kept["ui"]["visualiser"] is True


def test_songs_are_chosen_or_dropped(window: Any) -> None:
    shown = show(window, host())
    window.ask_files = lambda: ("/a.mp3", "/b.m3u")
    window.ask_folder = lambda: "/folder"
    press(window, "<Control-Key-o>")
    click(button(shown, "Add songs"))
    click(button(shown, "Add folder"))
    assert window._dropped(types.SimpleNamespace(data="/c.mp3 {/a folder}", action="move")) == "move"
    assert window.program.of("add") == [["/a.mp3", "/b.m3u"]] * 2 + [["/folder"], ["/c.mp3", "/a folder"]]
    window.ask_files = window.ask_folder = lambda: ""
    press(window, "<Control-Key-o>")
    click(button(shown, "Add folder"))
    assert len(window.program.of("add")) == 4


def test_the_keys_of_a_session_do_nothing_on_home(window: Any) -> None:
    press(window, "<Key-space>")
    press(window, "<Control-Key-o>")
    assert window.program.calls == [("receive",)]


def test_the_queue_is_played_moved_and_emptied(window: Any) -> None:
    shown = show(window, more(5))
    rows, ids = shown.queue, [UUID(int=number) for number in range(1, 6)]
    assert len(rows.rows) == 5
    click(rows, *row(rows, 1))
    click(rows, *row(rows, 1))
    rows.focus_set()
    press(window, "<Key-Return>")
    assert commands(window) == [c.Play(ids[1])] * 2
    window.program.calls.clear()
    press(window, "<Key-Down>", state=ALT)
    press(window, "<Key-Up>", state=ALT)
    drag(rows, row(rows, 3), (90, 5))
    assert commands(window) == [c.Move(ids[1], 2), c.Move(ids[1], 0), c.Move(ids[3], 0)]
    window.program.calls.clear()
    click(rows, *row(rows, 2))
    press(window, "<Shift-Key-Down>")
    press(window, "<Key-Delete>")
    click(rows, *action(rows, 0, "remove"))
    assert commands(window) == [c.Remove(ids[2]), c.Remove(ids[3]), c.Remove(ids[0])]
    assert toasts(window) == ("2 songs removed.", "Song removed.")
    window.program.calls.clear()
    click(button(window.toasts._toasts[0], "Undo"))
    assert commands(window) == [c.Restore(ids[3]), c.Restore(ids[2])]


def test_the_queue_is_shuffled_repeated_and_searched(window: Any) -> None:
    shown = show(window, more(5))
    press(window, "<Control-Key-r>")
    press(window, "<Control-Key-s>")
    repeat, arrange = commands(window)
    assert repeat == c.Repeat(True)
    assert isinstance(arrange, c.Arrange) and sorted(arrange.file_ids) == [UUID(int=number) for number in range(1, 6)]
    press(window, "<Control-Key-f>")
    window.update()
    for letter in shown.queue.rows[3].title:
        press(window, f"<Key-{'space' if letter == ' ' else letter}>")
    press(window, "<KeyRelease-a>")
    assert shown.queue.selection == (shown.queue.rows[3].key,)
    press(window, "<Key-Escape>")
    assert shown._field is None and shown.queue.selection == (shown.queue.rows[3].key,)


def test_requests_are_answered(window: Any) -> None:
    wishes = [dataclasses.replace(WISH, request_id=UUID(int=70 + n), number=n, file_name=f"{n}.mp3") for n in range(5)]
    shown = show(window, playing(requests=tuple(wishes)))
    rows = shown.requests
    assert len(rows.rows) == 3 and reads(shown, "+2 more")
    click(rows, *action(rows, 0, "accept"))
    click(rows, *action(rows, 1, "reject"))
    rows.focus_set()
    for sequence in ("<Key-Home>", "<Key-Right>", "<Key-Return>"):
        press(window, sequence)
    asked = [wish.request_id for wish in wishes]
    assert commands(window) == [c.Accept(asked[0]), c.Reject(asked[1]), c.Accept(asked[0])]
    show(window, playing(requests=(dataclasses.replace(WISH, state=RequestState.ACCEPTED, done_bytes=2_100_000),)))
    assert rows.rows[0].progress == 0.5 and not rows.rows[0].actions and not reads(shown, "more")
    show(window, playing())
    assert not rows.winfo_viewable()


def test_a_peer_is_dropped_or_not_waited_for(window: Any) -> None:
    late = peer("Sam", 2, ready=False, have=frozenset(), files=(file(1, FileState.FAILED),))
    shown = show(window, host(peer(), late))
    rows = shown.peers
    assert [name for name, _, _ in rows.rows[0].actions] == ["drop"]
    for name in ("retry", "without", "drop"):
        click(rows, *action(rows, 1, name))
    assert commands(window) == [c.Retry("Sam"), c.Without("Sam"), c.DropPeer("Sam")]


def test_a_drag_on_the_seek_bar_seeks_once(window: Any) -> None:
    shown = show(window, playing())
    bar = shown.playing.seekbar
    until(window, lambda: bar.times[1] == "-2:35")
    drag(bar, (40, 15), (bar.winfo_width() // 2, 15))
    ((seek,),) = [commands(window)]
    assert seek.seconds == pytest.approx(154.7 / 2, abs=0.5)


def test_the_address_is_copied(window: Any) -> None:
    shown = show(window, host(peer()))
    for control in (shown.address, button(shown, "Copy the address for others to join")):
        window.clipboard_clear()
        click(control)
        assert window.clipboard_get() == "192.168.1.42" and toasts(window) == ("Address copied.",)
    window.clipboard_clear()
    show(window, host())
    click(button(shown, "Copy address"))
    assert window.clipboard_get() == "192.168.1.42"


def test_artwork_and_waveform_are_requested_once_and_shown(window: Any) -> None:
    shown = show(window, playing())
    track = QUEUE[0].id
    assert (window.program.of("read_artwork"), window.program.of("read_waveform")) == ([track], [track])
    deliver(
        window, ArtworkRead(track, None), WaveformRead(track, bytes([200]) * 600, bytes([200]) * 24 * 400, 22050, 44100)
    )
    assert shown.playing.seekbar._bars
    window.program.now_ns = 10**9
    until(window, lambda: shown.playing.spectrum.bbox("all") is not None)
    show(window, playing(timeline=line(stop_ns=5)))
    until(window, lambda: shown.playing.spectrum.bbox("all") is None)
    show(window, playing(now=QUEUE[1], timeline=line(2)))
    assert not shown.playing.seekbar._bars and window.program.of("read_waveform") == [track, QUEUE[1].id]
    show(window, playing())
    assert shown.playing.seekbar._bars and len(window.program.of("read_waveform")) == 2


# -- the peer ----------------------------------------------------------------------------------------------------------


def test_a_peer_reads_requests_and_sets_its_volume(window: Any) -> None:
    own = RequestView(UUID(int=78), 1, "Ben", "wish.mp3", 4_200_000, RequestState.REJECTED, 0, "Not today.")
    shown = show(window, guest(now=QUEUE[0], timeline=line(), requests=(own,)))
    assert reads(shown, "Connected — latency 3") and reads(shown, "This speaker is within 0.01")
    assert reads(shown, '"wish.mp3" is not added: Not today.') and reads(shown, "±0.01")
    assert [one.title for one in shown.queue.rows] == ["Song 1", "Song 2", "Song 3"]
    window.ask_song = lambda: "/my song.mp3"
    click(button(shown, "Request song"))
    press(window, "<Control-Key-o>")
    window.drop(["/a.mp3", "/b.mp3"])
    assert window.program.of("request") == ["/my song.mp3", "/my song.mp3", "/a.mp3", "/b.mp3"]
    window.ask_song = lambda: ""
    click(button(shown, "Request song"))
    assert len(window.program.of("request")) == 4
    press(window, "<Control-Key-Up>")
    click(shown.volume.button)
    assert window.program.of("set_volume") == [0.55, 0.0]
    show(window, guest(connected=False, now=QUEUE[0], timeline=line()))
    assert reads(shown, "Looking for the host — playing on") and not shown.requests.winfo_viewable()


def test_a_peer_commands_nothing(window: Any) -> None:
    shown = show(window, guest(now=QUEUE[0], timeline=line()))
    rows, bar = shown.queue, shown.playing.seekbar
    until(window, lambda: bar.times[1] == "-2:35")
    drag(bar, (40, 15), (300, 15))
    click(rows, *row(rows, 1))
    click(rows, *row(rows, 1))
    drag(rows, row(rows, 2), (90, 5))
    rows.focus_set()
    for sequence in ("<Key-Return>", "<Key-Delete>", "<Key-space>", "<Key-Right>", "<Control-Key-Right>"):
        press(window, sequence)
    press(window, "<Key-Down>", state=ALT)
    assert commands(window) == [] and bar.times[0] == "0:00"


# -- overlays ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [playing(peer()), guest(now=QUEUE[0], timeline=line())], ids=["host", "peer"])
def test_escape_and_the_cross_close_an_overlay(window: Any, state: Any) -> None:
    shown = show(window, state)
    for control, words in ((button(shown, "Sound"), "Output"), (button(shown, "Details"), "underruns")):
        for close in (lambda: press(window, "<Key-Escape>"), lambda: click(button(window, "Close (Escape)"))):
            click(control)
            assert reads(window.overlay, words)
            press(window, "<Key-space>")
            assert commands(window) == []
            close()
            assert window.overlay is None and shown.winfo_viewable()
    press(window, "<Key-question>")
    assert reads(window.overlay, "Play or pause")
    press(window, "<Key-Escape>")
    press(window, "<Key-Escape>")
    assert window.overlay is None


def test_the_keyboard_returns_to_the_widget_before_the_overlay(window: Any) -> None:
    details = button(show(window, playing()), "Details")
    while window.focus_get() is not details:
        press(window, "<Tab>")
    press(window, "<Key-Return>")
    press(window, "<Tab>")
    assert window.overlay is not None and window.focus_get() is not details
    press(window, "<Key-Escape>")
    assert window.focus_get() is details and details.keyboard
    click(details)
    press(window, "<Key-Escape>")
    assert window.focus_get() is window, "and a click leaves no ring"


def test_the_output_is_chosen_and_its_delay_corrected(window: Any) -> None:
    show(window, playing(own=CARD))
    go(window, "sound")
    sound = window.overlay
    assert window.program.of("list_outputs") == [()]
    assert reads(sound, "Playing on Card, 10\N{NARROW NO-BREAK SPACE}ms from card to ear.")
    assert sound.correction.get() == "0"
    deliver(window, Outputs(("Card", "Headphones")))
    assert sound.output.cget("values") == ["The system's choice", "Card", "Headphones"]
    for name in ("Headphones", "The system's choice"):
        sound.output._dropdown_callback(name)
    assert window.program.of("choose_output") == ["Headphones", None]
    for text, valid in (("-12,5", True), ("2001", False), ("nan", False), ("much", False), ("", False), ("2000", True)):
        sound.correction.set(text)
        click(button(sound, "Apply"))
        assert reads(sound, "A number from -2000 to 2000, please.") != valid
    assert window.program.of("set_correction_ms") == [-12.5, 2000.0]
    assert toasts(window) == ("This output now plays 12.5 ms later.", "This output now plays 2000 ms earlier.")
    show(window, playing(own=dataclasses.replace(CARD, device_name=None)))
    assert reads(sound, "No audio output detected.")


def test_sound_without_a_session_and_with_a_missing_output(make: Callable[..., Any]) -> None:
    window = make(device="USB")
    click(button(window, "Ana  ·  Sound: USB"))
    sound = window.overlay
    deliver(window, Outputs(("Card",)))
    assert sound.output.cget("values") == ["The system's choice", "Card", "USB"] and sound.output.get() == "USB"
    assert not sound.correction.winfo_viewable()
    sound.output._dropdown_callback("Card")
    press(window, "<Key-Escape>")
    assert reads(window, "Ana  ·  Sound: Card"), "the first screen shows the chosen output"


def test_the_sync_overlay_shows_and_exports_the_phase_errors(window: Any, tmp_path: pathlib.Path) -> None:
    shown = show(window, playing(peer()))
    click(button(shown, "Details"))
    sync = window.overlay
    assert reads(sync, "Both speakers within 0.03") and reads(sync, "Ben") and reads(sync, "+3.1")
    target = tmp_path / "sync.csv"
    window.ask_save = lambda name: str(target) if name == "phaselock-sync.csv" else ""
    click(button(sync, "Export as CSV"))
    assert target.read_bytes() == window.history.csv().encode()
    head, *lines = window.history.csv().splitlines()
    assert head.startswith("time_s,machine,phase_error_us") and len(lines) == 2
    assert toasts(window) == (f"Saved as {target}",)
    window.ask_save = lambda name: str(tmp_path)
    click(button(sync, "Export as CSV"))
    with pytest.raises(OSError) as refused:
        tmp_path.write_text("")
    assert toasts(window)[-1] == f"Cannot write {tmp_path}: {refused.value.strerror}"
    window.ask_save = lambda name: ""
    click(button(sync, "Export as CSV"))
    assert len(toasts(window)) == 2
    cells = sync._table.winfo_children()
    show(window, playing(peer(phase_error_ns=400_000)))
    assert reads(sync, "Both speakers within 0.4") and reads(sync, "0.4")
    assert sync._table.winfo_children() == cells, "labels are reused"
    show(window, playing(own=CARD))
    assert reads(sync, "This speaker plays alone.") and not reads(sync._table, "Ben")


# -- leaving and closing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "name", "warning"),
    [(host(), "End jam", "This ends the jam for everybody."), (guest(), "Leave jam", "This takes you out of the jam.")],
)
def test_leaving_asks_once(window: Any, state: Any, name: str, warning: str) -> None:
    shown = show(window, state)
    click(button(shown, name))
    assert toasts(window) == (warning,) and window.program.of("leave") == []
    click(button(shown, name))
    assert window.program.of("leave") == [()]
    window.program.now = None
    deliver(window, Closed("", failed=False))
    assert screen(window) == "HomeScreen" and toasts(window) == () and window.title() == "PhaseLock"


def test_the_button_of_the_warning_leaves(window: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = show(window, host())
    click(button(shown, "End jam"))
    until(window, lambda: not window.toasts._toasts[0].waits("slide"))
    real, asked = time.monotonic, window._confirm_asked_s
    monkeypatch.setattr(time, "monotonic", lambda: real() + 60)
    assert asked is not None
    click(button(window.toasts._toasts[0], "End jam"))
    assert window.program.of("leave") == [()], "however long one has thought about it"


def test_a_confirmation_expires_and_ends_with_its_session(window: Any) -> None:
    show(window, host())
    window.leave()
    window._confirm_asked_s -= 60
    window.leave()
    assert window.program.of("leave") == []
    window.program.now = None
    deliver(window, Closed("", failed=False))
    show(window, host())
    window.leave()
    assert window.program.of("leave") == []


def test_closing_asks_once_while_a_session_runs(window: Any) -> None:
    show(window, guest())
    window.close()
    assert not window.program.closed and toasts(window) == ("This takes you out of the jam.",)
    window.close()
    assert window.program.closed


def test_the_button_of_the_warning_closes(window: Any) -> None:
    show(window, host())
    window.close()
    until(window, lambda: not window.toasts._toasts[0].waits("slide"))
    button(window, "Close").invoke()
    assert window.program.closed


@pytest.mark.parametrize("state", [host(), guest()], ids=["host", "peer"])
@pytest.mark.parametrize("failed", [False, True])
def test_the_first_screen_says_why_a_session_ended(window: Any, state: Any, failed: bool) -> None:
    show(window, state)
    go(window, "sync")
    window.program.now = None
    reason = GONE if failed else "The host has ended the session."
    deliver(window, Closed(reason, failed))
    assert screen(window) == "HomeScreen" and window.overlay is None and window.title() == "PhaseLock"
    assert (reads(window.screen, reason), toasts(window)) == ((True, ()) if failed else (False, (reason,)))
    assert button(window, "Create jam").enabled


def test_events_are_shown_as_toasts(window: Any) -> None:
    show(window, playing(peer()))
    deliver(
        window,
        SessionEvent(e.Failed(1, Notice(Code.INVALID_MP3, file_name="bad.mp3"))),
        SessionEvent(e.DeviceChanged(1, "none", None, "", None)),
        SessionEvent(e.Playing(1, UUID(int=1), "a.mp3", 0.0)),
        SessionEvent(e.PeerJoined(1, 3, "Cleo", again=False)),
    )
    assert toasts(window) == (
        "Invalid or corrupted MP3 file. bad.mp3 was not added.",
        "No audio output detected.",
        "Cleo has joined.",
    )


def test_a_failed_transfer_is_retried_from_its_toast(window: Any) -> None:
    show(window, playing(peer()))
    deliver(
        window,
        SessionEvent(e.Failed(1, Notice(Code.TRANSFER_GIVEN_UP, file_name="a.mp3", peer="Sam", number=3))),
    )
    assert toasts(window) == ("Sam could not receive a.mp3 in 3 tries.",)
    click(button(window, "Retry"))
    assert commands(window) == [c.Retry("Sam")] and toasts(window) == ()


# -- window and pump ---------------------------------------------------------------------------------------------------


def test_position_volume_and_output_are_stored(make: Callable[..., Any]) -> None:
    program = FakeProgram()
    window = make(program)
    window.geometry("1000x640+30+40")
    window.update()
    show(window, host())
    press(window, "<Control-Key-Up>")
    program.now = None
    window.close()
    assert program.kept["ui"] == {"geometry": "1000x640+30+40"} and program.kept["volume"] == 0.55
    again = make(FakeProgram(**program.kept))
    from phaselock.ui.window import _geometry

    assert _geometry(program.kept["ui"]["geometry"], again) == "1000x640+30+40"
    assert show(again, host()).volume.value == 0.55
    assert _geometry("1000x640+-8+0", again) == "1000x640+-8+0"
    for useless in (None, 7, "big", "100x100+0+0", "1000x640+99999+0", "1000x640+0+99999", "1000x640+-5000+0"):
        assert _geometry(useless, again) == "1100x720"


def test_unchanged_parts_are_not_drawn(window: Any) -> None:
    state = playing(peer(), requests=(WISH,))
    shown = show(window, state)
    drawn: list[str] = []
    for name in ("peers", "queue", "requests"):
        getattr(shown, name).set_rows = lambda rows, name=name: drawn.append(name)
    shown._title.configure = shown._subtitle.configure = lambda **_options: drawn.append("header")
    shown.playing._song.configure = shown.playing._sentence.configure = lambda **_options: drawn.append("playing")
    for same in (dataclasses.replace(state), playing(peer(), requests=(WISH,))):
        show(window, same)
    assert drawn == []
    show(window, playing(peer(rtt_ns=50_000_000), requests=(WISH,)))
    assert drawn == ["peers"]


def test_the_pump_goes_on_after_a_failure_and_loses_nothing(window: Any) -> None:
    shown = show(window, playing())
    taken: list[Any] = []

    def on_event(event: Any) -> None:
        taken.append(event)
        if len(taken) == 2:
            raise ValueError("once")

    shown.on_event = on_event
    events = [ArtworkRead(UUID(int=number), None) for number in range(6)]
    deliver(window, *events)
    assert taken == events and [str(error) for error in window.raised] == ["once"]
    window.raised.clear()
    shown.tick = lambda _ns: (_ for _ in ()).throw(ValueError("always"))
    show(window, playing(peer()))
    until(window, lambda: len(window.raised) > 3)
    assert len(shown.peers.rows) == 1
    del shown.tick
    window.raised.clear()


def test_the_pump_limits_the_time_for_events(window: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from phaselock.ui import pump

    clock = [0.0]
    monkeypatch.setattr(pump.time, "perf_counter", lambda: clock[0])
    taken: list[Any] = []
    window.on_event = lambda event: (taken.append(event), clock.__setitem__(0, clock[0] + 0.0015))
    window.program.unread = list(range(100))
    pump.Pump(window, window.program, window)._deliver()
    assert len(taken) == 3 and window.program.unread == list(range(3, 100))


def test_garbage_is_collected_on_the_thread_of_the_window(window: Any) -> None:
    """A Tk object that another thread collects would have to wait for this thread."""
    ends: list[threading.Thread] = []

    class Loop:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            ends.append(threading.current_thread())

    Loop()
    other = threading.Thread(target=lambda: [[number] for number in range(200_000)])
    other.start()
    other.join()
    assert ends == []
    kept = [[number] for number in range(200_000)]
    until(window, lambda: ends)
    assert kept and ends == [threading.main_thread()]
    window.close()
    assert gc.isenabled()


def test_nothing_is_left_when_the_window_has_closed(make: Callable[..., Any]) -> None:
    window = make()
    show(window, playing(peer(), requests=(WISH,)))
    go(window, "sync")
    window.show_toast("Soon over")
    window.screen.transport.play.event_generate("<Enter>", x=5, y=5)
    scheduled: list[Any] = []
    destroy = window.destroy
    window.destroy = lambda: (scheduled.extend(window.tk.splitlist(window.tk.call("after", "info"))), destroy())
    window.close()
    window.close()
    assert window.program.closed
    assert not [one for one in scheduled if "_tick" in str(one)]


def test_an_idle_window_has_one_timer(window: Any) -> None:
    """Without a session only the pump is scheduled, after customtkinter has set up the window."""
    settle(window)
    until(window, lambda: len(window.tk.splitlist(window.tk.call("after", "info"))) == 1)


# -- the keyboard ------------------------------------------------------------------------------------------------------


SCREENS: dict[str, tuple[Any, str]] = {
    "home": (None, "home"),
    "create": (None, "create"),
    "browse": (None, "browse"),
    "host": (playing(peer(), requests=(WISH,)), ""),
    "empty host": (host(queue=()), ""),
    "peer": (guest(now=QUEUE[0], timeline=line()), ""),
    "sound at home": (None, "sound"),
    "sound": (host(), "sound"),
    "sync": (playing(peer()), "sync"),
    "shortcuts": (host(), "shortcuts"),
}


def visit(window: Any, name: str) -> Any:
    """Show a screen or overlay; returns it."""
    state, where = SCREENS[name]
    if state is not None:
        show(window, state)
    if where:
        go(window, where)
    if name == "create":
        click(button(window, "More"))
    window.focus_set()
    window.update()
    return window.overlay or window.screen


@pytest.mark.parametrize("name", SCREENS)
def test_tab_reaches_everything_and_shows_where_it_is(window: Any, name: str) -> None:
    wanted = controls(visit(window, name))
    reached = walk(window)
    assert len(wanted) > 0
    assert {str(one) for one in reached} == {str(one) for one in wanted}
    for one in reached:
        assert one.winfo_viewable() and one.winfo_rootx() >= 0


@pytest.mark.parametrize("name", [name for name in SCREENS if name not in ("create", "browse")])
def test_return_and_space_press_every_button(window: Any, name: str) -> None:
    buttons = [one for one in controls(visit(window, name)) if hasattr(one, "invoke")]
    pressed: list[Any] = []
    for one in buttons:
        one._command = lambda one=one: pressed.append(one)
        one.focus_set()
        window.update()
        press(window, "<Key-space>")
        press(window, "<Key-Return>")
    assert buttons and pressed == [one for one in buttons for _ in range(2)]
    assert commands(window) == []


@pytest.mark.skipif(
    sys.platform in ("win32", "darwin"), reason="menus there are the system's, which tests cannot reach"
)
def test_an_output_is_chosen_by_keys(window: Any) -> None:
    show(window, host())
    go(window, "sound")
    deliver(window, Outputs(("Card", "Headphones")))
    output = window.overlay.output
    while window.focus_get() is not output:
        press(window, "<Tab>")
    press(window, "<Key-Down>")
    menu = output._dropdown_menu
    until(window, menu.is_open)
    for sequence in ("<Key-Down>", "<Key-Down>", "<Key-Down>", "<Key-Return>"):
        menu.event_generate(sequence)
        window.update()
    assert window.program.of("choose_output") == ["Headphones"] and output.get() == "Headphones"


# -- the desktop -------------------------------------------------------------------------------------------------------


def as_on_windows(monkeypatch: pytest.MonkeyPatch, module: Any) -> None:
    """Let this module alone take its way of Windows."""
    monkeypatch.setattr(module, "sys", types.SimpleNamespace(**{**vars(sys), "platform": "win32"}))


def test_customtkinter_does_not_replace_the_icon_on_windows(
    make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import tkinter

    from customtkinter.windows import ctk_tk

    as_on_windows(monkeypatch, ctk_tk)
    icons: list[Any] = []
    done: list[bool] = []
    set_icon, set_theirs = tkinter.Wm.wm_iconbitmap, ctk_tk.CTk._windows_set_titlebar_icon
    monkeypatch.setattr(tkinter.Wm, "wm_iconbitmap", lambda self, *which: icons.append(which) or set_icon(self, *which))
    monkeypatch.setattr(ctk_tk.CTk, "_windows_set_titlebar_icon", lambda self: done.append(set_theirs(self) is None))
    window = make()
    until(window, lambda: done)
    assert [which for which in icons if any(which)] == []


def test_windows_is_told_the_identity_of_the_program_before_the_window_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import ctypes

    from phaselock.ui import theme

    as_on_windows(monkeypatch, theme)
    told: list[str] = []
    shell32 = types.SimpleNamespace(SetCurrentProcessExplicitAppUserModelID=told.append)
    monkeypatch.setattr(ctypes, "windll", types.SimpleNamespace(shell32=shell32), raising=False)
    theme.prepare()
    assert told == [theme.APP_USER_MODEL_ID]


@pytest.mark.parametrize("system", ["X and Windows", "macOS"])
def test_a_logout_closes_at_once_although_a_session_runs(window: Any, system: str) -> None:
    show(window, playing())
    # What Tk calls when the system asks to end the session.
    window.tk.call("::tk::mac::Quit" if system == "macOS" else window.protocol("WM_SAVE_YOURSELF"))
    assert window.program.closed


@pytest.mark.parametrize(
    "name", [name for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
)
def test_a_signal_closes_the_window_with_a_goodbye(window: Any, name: str) -> None:
    show(window, playing())
    number = getattr(signal, name)
    usual = signal.getsignal(number)
    window.after(0, signal.raise_signal, number)
    with window._ended_by_signals():
        window.mainloop()
    assert window.program.closed
    assert signal.getsignal(number) == usual


def test_a_signal_that_is_ignored_stays_ignored(window: Any) -> None:
    usual = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with window._ended_by_signals():
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, usual)


def test_an_exception_in_a_callback_is_logged(
    window: Any, bugs: list[str], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    error = ValueError("nobody expected this")
    type(window).report_callback_exception(window, ValueError, error, None)
    assert "nobody expected this" in capfd.readouterr().err
    (record,) = caplog.records
    assert record.exc_info and record.exc_info[1] is error
    assert bugs == [f"a callback of the window failed: {error!r}"]


# -- without a window --------------------------------------------------------------------------------------------------


def no_window(*arguments: str, **environment: str) -> list[str]:
    """Standard error of `phaselock` without a command, where no window can be opened."""
    env = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env={**env, **environment}, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr.splitlines()


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="there is always a screen")
def test_without_a_display_it_says_so(display: str) -> None:
    (words,) = no_window("-m", "phaselock")
    assert "no screen" in words and "phaselock host" in words and "phaselock join" in words


@pytest.mark.parametrize(
    ("module", "words"), [("tkinter", tk_advice()), ("_tkinter", tk_advice()), ("customtkinter", "customtkinter")]
)
def test_without_a_gui_library_it_says_what_to_install(module: str, words: str) -> None:
    (said,) = no_window(
        "-c", f"import sys; sys.modules[{module!r}] = None; from phaselock import cli; sys.exit(cli.main([]))"
    )
    assert words in said and "phaselock host" in said and "phaselock join" in said
    assert (tk_advice() in said) == (words == tk_advice())
