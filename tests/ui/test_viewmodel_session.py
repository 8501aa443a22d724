"""The headers, the current song and the buttons of the session screens, without a display."""

from __future__ import annotations

import dataclasses
from uuid import UUID

import pytest

from phaselock.model.snapshot import FileState, RequestState
from phaselock.model.timeline import Timeline
from phaselock.session.commands import Add, Next, Pause, Play, Stop
from phaselock.ui.backend import LocalStatus, SessionView
from phaselock.ui.viewmodel import HostView, host_view, peer_view, position_s, window_title
from tests.support.session_harness import SessionHarness
from tests.support.session_views import (
    ALL,
    CARD,
    QUEUE,
    file,
    guest,
    host,
    item,
    line,
    off,
    peer,
    plain,
    playing,
    request,
)
from tests.support.simulation import MS, a_track

HOUR_NS = 3600 * 10**9


# -- the host's header -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "subtitle"),
    [((), "Nobody has joined yet"), (("Ana",), "1 peer connected"), (("Ana", "Ben"), "2 peers connected")],
)
def test_the_header_counts_the_peers(names: tuple[str, ...], subtitle: str) -> None:
    view = host_view(host(*(peer(name, number) for number, name in enumerate(names, 1))))
    assert (view.title, view.subtitle, view.address) == ("Friday", subtitle, "192.168.1.42")


@pytest.mark.parametrize(
    ("state", "title"),
    [
        (playing(), "Song 1 – Band · PhaseLock"),
        (playing(timeline=line(stop_ns=5)), "Song 1 – Band · PhaseLock"),
        (playing(now=item(1, artist="")), "Song 1 · PhaseLock"),
        (playing(now=item(1, title="", artist="")), "1 · PhaseLock"),
        (host(waiting_for=QUEUE[1]), "Song 2 – Band · PhaseLock"),
        (host(), "Friday · PhaseLock"),
        (host(session_name=""), "PhaseLock"),
    ],
)
def test_the_title_of_the_window_names_the_song(state: SessionView, title: str) -> None:
    assert window_title(state) == title
    assert window_title(dataclasses.replace(state, hosting=False)) == title


# -- now playing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "what", "title", "note"),
    [
        (host(queue=(), upcoming=None), "stopped", "Nothing is playing", "Add songs to begin."),
        (host(), "stopped", "Nothing is playing", "Up next: Song 1"),
        (
            host(own=dataclasses.replace(CARD, device_name=None)),
            "stopped",
            "Nothing is playing",
            "No audio output detected.",
        ),
        (playing(), "playing", "Song 1", ""),
        (playing(now=item(1, title="", file_name="The song.mp3")), "playing", "The song", ""),
        (playing(own=dataclasses.replace(CARD, device_name=None)), "playing", "Song 1", ""),
        (playing(timeline=line(stop_ns=9)), "paused", "Song 1", ""),
        (
            host(peer(have=frozenset()), waiting_for=QUEUE[1]),
            "waiting",
            "Song 2",
            "Waiting for Ben to receive Song 2.",
        ),
        (
            playing(peer("Ana", have=frozenset()), peer("Ben", 2, have=frozenset()), waiting_for=QUEUE[1]),
            "playing",
            "Song 1",
            "Waiting for Ana and Ben to receive Song 2.",
        ),
        (host(peer(), waiting_for=QUEUE[1]), "waiting", "Song 2", "Song 2 is about to start."),
        (guest(), "stopped", "Nothing is playing", "Waiting for the host to play."),
        (guest(queue=()), "stopped", "Nothing is playing", "The host has not added any songs yet."),
        (guest(now=QUEUE[0], timeline=line()), "playing", "Song 1", ""),
        (guest(own=None, timeline=line()), "playing", "", ""),
    ],
)
def test_now_playing(state: SessionView, what: str, title: str, note: str) -> None:
    now = host_view(state).now if state.hosting else peer_view(state).now
    assert (now.state, now.title, now.note) == (what, title, note)
    assert (now.file_id is None) == (what == "stopped")


def test_the_tile_and_the_names_of_the_song() -> None:
    now = host_view(playing(now=item(1, title="“über”", artist=""))).now
    assert (now.initial, now.artist, now.file_name, now.duration_s) == ("Ü", "", "1.mp3", 154.7)


@pytest.mark.parametrize(
    ("timeline", "session_ns", "position"),
    [
        (line(start_ns=10**9), 3 * 10**9, 2.0),
        (line(start_ns=10**9), 0, 0.0),
        (line(start_ns=10**9, frame=5000), 0, 5.0),
        (line(start_ns=0), HOUR_NS, 154.7),
        (line(start_ns=0, frame=-500), 0, 0.0),
        (line(start_ns=0, frame=7000), None, 7.0),
        (line(start_ns=0, stop_ns=4 * 10**9), HOUR_NS, 4.0),
        (line(start_ns=0, stop_ns=4 * 10**9), None, 4.0),
        (None, HOUR_NS, 0.0),
    ],
)
def test_the_position_stays_in_the_track(timeline: Timeline | None, session_ns: int | None, position: float) -> None:
    assert position_s(playing(timeline=timeline), session_ns) == pytest.approx(position)


def test_the_position_in_an_unknown_track() -> None:
    assert position_s(guest(timeline=line()), HOUR_NS) == 0.0


# -- the transport -----------------------------------------------------------------------------------------------------

LACKS_1 = frozenset(ALL - {UUID(int=1)})


@pytest.mark.parametrize(
    ("state", "can", "tooltip"),
    [
        (host(queue=(), upcoming=None), set(), "Add songs first."),
        (host(), {"play_pause"}, "Play"),
        (host(peer()), {"play_pause"}, "Play"),
        (
            host(peer(have=LACKS_1, files=(file(1, FileState.SENDING, 420),))),
            set(),
            "Waiting for all peers to receive the file.\nBen: Song 1 (42 %)",
        ),
        (
            host(peer("Ana", have=LACKS_1, files=(file(1, FileState.FAILED),)), peer("Ben", 2, have=LACKS_1)),
            set(),
            "Waiting for all peers to receive the file.\nAna: Song 1 (could not be sent)\nBen: Song 1 (not begun)",
        ),
        (host(peer(have=LACKS_1, waited_for=False)), {"play_pause"}, "Play"),
        (host(peer(have=LACKS_1), upcoming=UUID(int=2)), {"play_pause"}, "Play"),
        (
            host(peer(clock_usable=False), peer("Cleo", 2, clock_stale=True), peer("Dan", 3, reported=False)),
            {"play_pause"},
            "Play\nNot yet in time with the host: Ben and Cleo.",
        ),
        (playing(), {"play_pause", "stop", "next", "previous", "seek"}, "Pause"),
        (playing(timeline=line(stop_ns=5)), {"play_pause", "stop", "next", "previous", "seek"}, "Resume"),
        (
            playing(peer(have=frozenset()), timeline=line(stop_ns=5)),
            {"play_pause", "stop", "next", "previous", "seek"},
            "Resume",
        ),
        (
            playing(now=QUEUE[2], timeline=line(3)),
            {"play_pause", "stop", "previous", "seek"},
            "Pause",
        ),
        (playing(queue=()), {"play_pause", "stop", "previous", "seek"}, "Pause"),
        (
            host(peer(have=LACKS_1), waiting_for=QUEUE[0]),
            {"stop", "next"},
            "Waiting for all peers to receive the file.\nBen: Song 1 (not begun)",
        ),
        (
            host(peer(have=LACKS_1, stuck=frozenset({QUEUE[0].id})), waiting_for=QUEUE[0]),
            {"play_pause", "stop", "next"},
            "Play",
        ),
        (
            playing(peer(have=LACKS_1), waiting_for=QUEUE[2]),
            {"play_pause", "stop", "previous", "seek"},
            "Pause",
        ),
    ],
)
def test_which_buttons_work_and_why_not(state: SessionView, can: set[str], tooltip: str) -> None:
    view = host_view(state).transport
    assert (view.can, plain(view.play_tooltip)) == (can, tooltip)
    assert view.playing == (tooltip == "Pause")


def test_the_buttons_promise_what_the_session_does() -> None:
    """With real sessions: a command that the view allows is executed; one that it forbids causes an error event."""
    harness = SessionHarness()
    ana = harness.join("Ana")
    harness.run(0.3)
    commands = {"play_pause": Play(), "stop": Stop(), "next": Next()}

    def agrees() -> bool:
        for name, command in commands.items():
            if name == "play_pause" and harness.host.snapshot().timeline is not None:
                command = Pause()
            shown = name in view().transport.can
            before = len(harness.host.events("error"))
            probe = harness.host.snapshot()
            harness.command(command)
            if shown != (len(harness.host.events("error")) == before):
                return False
            if probe.timeline is None:
                harness.command(Stop())
        return True

    def view() -> HostView:
        return host_view(SessionView(True, "", harness.host.snapshot(), None))

    assert agrees() and view().transport.play_tooltip == "Add songs first."
    ana.transfer_ns = 10**15
    harness.command(Add(a_track(1)), Add(a_track(2)))
    harness.run(0.2)
    assert agrees() and view().transport.play_tooltip.startswith(
        "Waiting for all peers to receive the file.\nAna: song"
    )
    ana.call(ana.core.file_ready, a_track(1).file_id)
    ana.call(ana.core.file_ready, a_track(2).file_id)
    harness.run(0.2)
    assert agrees()
    harness.command(Play(a_track(2).file_id))
    harness.run(1)
    assert view().transport.can == {"play_pause", "stop", "previous", "seek"} and agrees()


# -- the peer's header -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "connection", "kind"),
    [
        (guest(), "Connected — latency 3 ms", "good"),
        (guest(own=None), "Connected", "good"),
        (guest(own=off(clock_uncertainty_ns=None)), "Connected", "good"),
        (guest(connected=False, now=QUEUE[0], timeline=line()), "Looking for the host", "warning"),
        (
            guest(connected=False, plays_on=True, now=QUEUE[0], timeline=line()),
            "Looking for the host — playing on",
            "warning",
        ),
        (guest(connected=False), "Looking for the host", "warning"),
        (
            guest(connected=False, invitation_wanted=True),
            "Host not found — ask it for its newest invitation, and paste it here",
            "warning",
        ),
    ],
)
def test_the_connection_of_a_peer(state: SessionView, connection: str, kind: str) -> None:
    view = peer_view(state)
    assert (view.title, plain(view.connection), view.connection_kind) == ("Friday", connection, kind)


@pytest.mark.parametrize(
    ("own", "text", "kind"),
    [
        (off(clock_uncertainty_ns=1), "in phase ±0.02 ms", "good"),
        (off(clock_uncertainty_ns=1, phase_error_ns=-2 * MS), "up to 2.1 ms off", "warning"),
        (off(clock_uncertainty_ns=None), "not in time yet", "neutral"),
        (off(playing=False), "not playing", "neutral"),
        (off(device_name=None), "no output", "error"),
        (None, "not in time yet", "neutral"),
    ],
)
def test_the_chip_of_a_peer(own: LocalStatus | None, text: str, kind: str) -> None:
    view = peer_view(guest(own, now=QUEUE[0], timeline=line()))
    assert (plain(view.chip_text), view.chip_kind) == (text, kind)


def test_the_conversion_of_a_request_is_shown() -> None:
    wish = request(1, RequestState.CONVERTING, converted_percent=40, done_bytes=4_200_000)
    (row,) = host_view(host(requests=(wish,))).requests
    assert (plain(row.subtitle), row.progress, row.decidable) == ("being converted, 40 %", 0.4, False)
    (own,) = peer_view(guest(requests=(wish,))).requests
    assert (plain(own.subtitle), own.progress) == ("being converted, 40 %", 0.4)


def test_equal_states_give_equal_views() -> None:
    for make in (lambda: playing(peer(), peer("Cleo", 2)), lambda: host(requests=(request(1),))):
        assert host_view(make()) == host_view(make()) and hash(host_view(make())) == hash(host_view(make()))
    assert peer_view(guest()) == peer_view(guest())
