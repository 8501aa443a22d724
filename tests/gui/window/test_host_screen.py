"""The screen of the host."""

from __future__ import annotations

import dataclasses
import types
from typing import Any
from uuid import UUID

import pytest

from phaselock.model.snapshot import FileState, RequestState
from phaselock.session import commands as c
from phaselock.session.events import ConversionChanged, ConversionState
from phaselock.ui.backend import ArtworkRead, SessionEvent, WaveformRead
from tests.support.session_views import CARD, QUEUE, WISH, file, host, line, more, peer, playing
from tests.support.window_driver import (
    ALT,
    action,
    button,
    click,
    commands,
    deliver,
    drag,
    go,
    press,
    reads,
    row,
    settle,
    show,
    toasts,
    until,
)

pytestmark = pytest.mark.gui


def test_the_host_sees_everything(window: Any) -> None:
    sam = peer("Sam", 2, ready=False, have=frozenset(), files=(file(2, FileState.SENDING, 420),), rtt_ns=60_000_000)
    shown = show(window, playing(peer(), sam, requests=(WISH,)))
    assert reads(shown, "2 peers connected") and reads(shown, "192.168.1.42") and reads(shown, "3 tracks, 8")
    assert reads(shown, "Song 1") and reads(shown, "Band")
    ben, second = shown.peers.rows
    assert (ben.title, second.title, second.progress) == ("Ben", "Sam", 0.42) and reads(shown.peers, "Sam")
    assert "receiving Song 2" in second.subtitle and ben.colour_dot != second.colour_dot and ben.chip != second.chip
    assert [one.playing for one in shown.queue.rows] == [False] * 3
    assert shown.requests.rows[0].title == "new" and reads(shown.requests, "asked by Ben · 4.2")
    assert window.title() == "Song 1 – Band · PhaseLock"
    until(window, lambda: shown.playing.seekbar.times == ("0:00", "−2:35"))
    window.program.now_ns = 60 * 10**9
    until(window, lambda: shown.playing.seekbar.times == ("1:00", "−1:35"))
    show(window, host(queue=()))
    assert reads(shown, "Nobody has joined yet") and reads(shown, "No songs yet.") and reads(shown, "Nobody here yet.")
    assert not reads(shown, "asked by Ben") and reads(shown, "Nothing is playing")
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
    shown = show(window, playing(own=CARD))
    click(button(shown, "Hide the spectrum"))
    assert not window.visualiser and window.program.kept["ui"]["visualiser"] is False
    click(button(shown, "Show the spectrum"))
    assert window.visualiser and window.program.kept["ui"]["visualiser"] is True


def test_a_spectrum_without_room_says_why(window: Any) -> None:
    window.geometry("900x600")
    shown = show(window, playing(own=CARD))
    switch = button(shown, "The window is too low for the spectrum.")
    assert not shown.playing.spectrum.winfo_ismapped() and not switch.enabled and not switch.on
    window.geometry("1280x800")
    window.update()
    assert shown.playing.spectrum.winfo_ismapped() and button(shown, "Hide the spectrum").on
    window.look.choose("motion", "on")
    window.update()
    switch = button(window.screen, "With less motion there is no spectrum.")
    assert not switch.enabled and not switch.on
    window.look.choose("motion", "off")


def test_the_dot_of_a_peer_in_trouble_is_not_green(window: Any) -> None:
    from phaselock.ui import theme

    mute = peer("Mia", 2, device_name=None)
    rows = show(window, playing(peer(), mute, peer("Tom", 3, clock_usable=False))).peers.rows
    assert [one.colour_dot for one in rows] == [theme.PRIMARY, theme.ERROR, theme.WARNING]
    assert rows[1].subtitle == "No audio output"


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
    assert {call[0] for call in window.program.calls} <= {"read_appearance", "receive", "show_presence"}


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
    assert toasts(window) == ("2 songs were removed.", "Song 1 was removed.")
    window.program.calls.clear()
    click(button(window.toasts._toasts[0], "Undo"))
    assert commands(window) == [c.Restore(ids[3]), c.Restore(ids[2])]
    window.program.calls.clear()
    for _ in range(3):
        press(window, "<Control-Key-z>")
    assert commands(window) == [c.Restore(ids[0])], "what was put back is not put back twice"
    assert toasts(window) == (), "nor offered"


def test_the_queue_is_shuffled_and_repeated(window: Any) -> None:
    shown = show(window, more(5))
    press(window, "<Control-Key-r>")
    press(window, "<Control-Key-s>")
    click(button(shown, "Shuffle: off"))
    click(button(shown, "Repeat: off"))
    repeat, shuffle, *again = commands(window)
    assert (
        repeat == again[1] == c.Repeat(True) and shuffle.seed is not None and again[0].seed not in (None, shuffle.seed)
    )
    assert not shown.transport.shuffle.on, "only what the session says is shown"
    show(window, more(5, shuffle=True, repeat=True))
    assert shown.transport.shuffle.on and shown.transport.repeat.on
    click(button(shown, "Shuffle: on"))
    click(button(shown, "Repeat: on"))
    assert commands(window)[4:] == [c.Shuffle(None), c.Repeat(False)]


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
    assert commands(window) == [c.Accept(asked[2]), c.Reject(asked[1]), c.Accept(asked[2])], "the newest is on top"
    show(window, playing(requests=(dataclasses.replace(WISH, state=RequestState.ACCEPTED, done_bytes=2_100_000),)))
    assert rows.rows[0].progress == 0.5 and not rows.rows[0].actions and not reads(shown, "more")
    converting = dataclasses.replace(WISH, state=RequestState.CONVERTING, converted_percent=40)
    show(window, playing(requests=(converting,)))
    assert rows.rows[0].progress == 0.4 and reads(rows, "being converted, 40 %")
    click(rows, *action(rows, 0, "reject"))
    assert commands(window)[-1] == c.Reject(converting.request_id)
    show(window, playing())
    assert not rows.winfo_viewable()


def test_a_conversion_is_shown_and_can_be_cancelled(window: Any) -> None:
    shown = show(window, playing(requests=(WISH,)))
    line = shown.conversion
    deliver(window, SessionEvent(ConversionChanged(1, "Song.m4a", ConversionState.STARTED, 0)))
    assert reads(shown, "Converting Song.m4a, 0 %")
    deliver(window, SessionEvent(ConversionChanged(1, "Song.m4a", ConversionState.CONVERTING, 40)))
    assert reads(shown, "Converting Song.m4a, 40 %") and line.cancel.winfo_viewable()
    add = shown.add.winfo_rooty()
    assert shown.queue.winfo_rooty() < shown.requests.winfo_rooty() < line.line.winfo_rooty() < add
    click(line.cancel)
    assert window.program.of("cancel_conversion") == [()]
    deliver(window, SessionEvent(ConversionChanged(1, "Song.m4a", ConversionState.CANCELLED, 40)))
    assert not line.line.winfo_viewable() and not toasts(window)


def test_a_peer_is_dropped_or_not_waited_for(window: Any) -> None:
    late = peer("Sam", 2, ready=False, have=frozenset(), files=(file(1, FileState.FAILED),))
    shown = show(window, host(peer(), late))
    rows = shown.peers
    assert [name for name, _, _ in rows.rows[0].actions] == ["channels", "mute", "drop"]
    for name in ("mute", "retry", "without", "drop"):
        click(rows, *action(rows, 1, name))
    mute = c.SetPeerVolume("Sam", muted=True)
    assert commands(window) == [mute, c.Retry("Sam"), c.Without("Sam")]
    assert window._question.text == "Sam will be sent away."
    assert rows.winfo_rooty() < window._question.winfo_rooty() <= rows.winfo_rooty() + 2 * 110
    click(window._question.act)
    assert commands(window)[-1] == c.DropPeer("Sam") and window._question is None


def test_the_channels_of_a_peer_are_set(window: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from phaselock.ui.screens import host as host_module

    menus: list[Any] = []
    monkeypatch.setattr(host_module, "popup", lambda _widget, items, _x, _y: menus.append(items))
    shown = show(window, host(peer("Sam")))
    click(shown.peers, *action(shown.peers, 0, "channels"))
    (items,) = menus
    assert [text for text, _ in items] == ["Stereo", "Left", "Right", "Mono"]
    items[1][1]()
    assert commands(window) == [c.SetPeerRole("Sam", "left")]


def test_a_drag_on_the_seek_bar_seeks_once(window: Any) -> None:
    shown = show(window, playing())
    bar = shown.playing.seekbar
    until(window, lambda: bar.times[1] == "−2:35")
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
    window.now_s = lambda: 0.0
    shown = show(window, playing())
    track = QUEUE[0].id
    until(window, lambda: window.program.of("read_artwork"))
    assert window.program.of("read_waveform") == [track]
    file_id, size, crop = window.program.of("read_artwork")[0]
    assert (file_id, crop) == (track, False)
    deliver(
        window,
        ArtworkRead(track, size, crop, None),
        WaveformRead(track, bytes([200]) * 600, bytes([200]) * 24 * 400, 22050, 44100),
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


def test_a_waveform_is_requested_again_while_its_file_is_in_transfer(window: Any) -> None:
    window.now_s = lambda: 0.0
    show(window, playing())
    for now_s, requests in ((1.9, 1), (2.0, 2), (3.9, 2), (4.0, 3)):
        window.now_s = lambda now_s=now_s: now_s
        settle(window)
        assert len(window.program.of("read_waveform")) == requests
