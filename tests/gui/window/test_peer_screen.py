"""The screen of a peer."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from phaselock.model.snapshot import RequestState, RequestView
from tests.support.session_views import QUEUE, guest, line
from tests.support.window_driver import ALT, button, click, commands, drag, press, reads, row, show, until

pytestmark = pytest.mark.gui


def test_a_peer_reads_requests_and_sets_its_volume(window: Any) -> None:
    own = RequestView(UUID(int=78), 1, "Ben", "wish.mp3", 4_200_000, RequestState.REJECTED, 0, "Not today.")
    shown = show(window, guest(now=QUEUE[0], timeline=line(), requests=(own,)))
    assert reads(shown, "Connected — latency 3") and reads(shown, "This speaker is within 0.01")
    assert reads(shown, "wish") and reads(shown, "not added – Not today.") and reads(shown, "±0.01")
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
    show(window, guest(connected=False, plays_on=True, now=QUEUE[0], timeline=line()))
    assert reads(shown, "Looking for the host — playing on") and not shown.requests.winfo_viewable()


def test_a_peer_commands_nothing(window: Any) -> None:
    shown = show(window, guest(now=QUEUE[0], timeline=line()))
    rows, bar = shown.queue, shown.playing.seekbar
    until(window, lambda: bar.times[1] == "−2:35")
    drag(bar, (40, 15), (300, 15))
    click(rows, *row(rows, 1))
    click(rows, *row(rows, 1))
    drag(rows, row(rows, 2), (90, 5))
    rows.focus_set()
    for sequence in ("<Key-Return>", "<Key-Delete>", "<Key-space>", "<Key-Right>", "<Control-Key-Right>"):
        press(window, sequence)
    press(window, "<Key-Down>", state=ALT)
    assert commands(window) == [] and bar.times[0] == "0:00"
