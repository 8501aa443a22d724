"""Every state of the two session screens and of the browser, without a display."""

from __future__ import annotations

import dataclasses
from typing import Any
from uuid import UUID

import pytest

from phaselock.model.queue import ItemStatus, QueueItem
from phaselock.model.snapshot import FileState, PeerView, RequestState, RequestView
from phaselock.model.timeline import Timeline
from phaselock.session.commands import Add, Next, Pause, Play, Stop
from phaselock.ui.backend import Found, FoundSessions, LocalStatus, SessionView
from phaselock.ui.viewmodel import (
    HostView,
    PeerRow,
    QueueRows,
    browser_view,
    host_view,
    output_text,
    peer_view,
    position_s,
    window_title,
)
from phaselock.ui.viewmodel.words import NNBSP
from tests.support.session_harness import SessionHarness
from tests.support.session_views import ALL, CARD, QUEUE, file, guest, host, item, line, off, peer, playing
from tests.support.simulation import MS, a_track

HOUR_NS = 3600 * 10**9


def plain(text: str) -> str:
    return text.replace(NNBSP, " ")


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


# -- peers -------------------------------------------------------------------------------------------------------------


def row(one: PeerView, **changes: Any) -> PeerRow:
    """The row of a peer while the first song plays."""
    (shown,) = host_view(playing(one, **changes)).peers
    return shown


@pytest.mark.parametrize(
    ("rtt_ns", "usable", "latency_class", "text"),
    [
        (800_000, True, "green", "Network: <1 ms"),
        (4_200_000, True, "green", "Network: 2 ms"),
        (19_999_999, True, "green", "Network: 10 ms"),
        (20_000_000, True, "yellow", "Network: 10 ms"),
        (90_000_000, True, "yellow", "Network: 45 ms"),
        (200_000_002, True, "red", "Network: 100 ms"),
        (4_200_000, False, "red", "Network: 2 ms"),
    ],
)
def test_latency_as_a_colour_and_as_a_figure(rtt_ns: int, usable: bool, latency_class: str, text: str) -> None:
    shown = row(peer(rtt_ns=rtt_ns, clock_usable=usable))
    assert (shown.latency_class, plain(shown.latency_text)) == (latency_class, text)


def test_before_the_first_report_nothing_is_claimed() -> None:
    shown = row(peer(reported=False, clock_usable=False, device_name=None, rtt_ns=0))
    assert (shown.latency_class, shown.latency_text, shown.trouble) == ("yellow", "Network: –", "")
    assert (shown.chip_text, shown.chip_kind) == ("not in time yet", "neutral")
    assert shown.tooltip == "Nothing is known of it yet."


@pytest.mark.parametrize(
    ("changes", "text", "kind"),
    [
        ({}, "in phase ±0.02 ms", "good"),
        ({"phase_error_ns": -300_000}, "in phase ±0.31 ms", "good"),
        ({"phase_error_ns": 989_000}, "in phase ±1.0 ms", "good"),
        ({"phase_error_ns": 990_000}, "up to 1.0 ms off", "warning"),
        ({"phase_error_ns": -3_200_000}, "up to 3.3 ms off", "warning"),
        ({"dac_uncertainty_ns": 40 * MS}, "up to 41 ms off", "warning"),
        ({"dac_uncertainty_ns": None}, "not in time yet", "neutral"),
        ({"dac_uncertainty_ns": None, "timing": "unknown"}, "delay not known", "warning"),
        ({"offset_uncertainty_ns": None, "clock_usable": False}, "not in time yet", "neutral"),
        ({"clock_stale": True}, "not in time yet", "neutral"),
        ({"have": ALL - {UUID(int=1)}}, "not playing", "neutral"),
        ({"device_name": None}, "no output", "error"),
    ],
)
def test_the_chip_tells_how_far_off_it_may_be(changes: dict[str, Any], text: str, kind: str) -> None:
    shown = row(peer(**changes))
    assert (plain(shown.chip_text), shown.chip_kind) == (text, kind)


def test_chips_while_nothing_plays() -> None:
    for state in (host(peer()), playing(peer(), timeline=line(stop_ns=5)), host(peer(reported=False))):
        assert host_view(state).peers[0].chip_text == "not playing"


def test_a_track_that_was_taken_out_still_plays_everywhere() -> None:
    (shown,) = host_view(playing(peer(have=frozenset({UUID(int=2)})), queue=QUEUE[1:])).peers
    assert plain(shown.chip_text) == "in phase ±0.02 ms"


@pytest.mark.parametrize(
    ("changes", "detail", "progress", "can_retry"),
    [
        ({}, "has all files", None, False),
        ({"files_total": 0, "have": frozenset()}, "ready", None, False),
        ({"have": frozenset({UUID(int=1)}), "ready": False}, "1 of 3 ready", None, False),
        ({"files": (file(2, FileState.SENDING, 429),), "ready": False}, "receiving Song 2 – 42 %", 0.429, False),
        (
            {"files": (file(1, FileState.SENDING), file(2, FileState.SENDING, 100)), "ready": False},
            "receiving Song 2 – 10 %",
            0.1,
            False,
        ),
        ({"files": (file(3, FileState.SENDING, 1001),)}, "receiving Song 3 – 100 %", 1.0, False),
        ({"files": (file(2, FileState.FAILED),), "ready": False}, "could not receive Song 2", None, True),
        ({"files": (file(3, FileState.UNPLAYABLE, 1000),)}, "cannot play Song 3", None, False),
        (
            {"files": (file(1, FileState.SENDING, 500), file(3, FileState.FAILED)), "ready": False},
            "could not receive Song 3",
            0.5,
            True,
        ),
        ({"files": (file(9, FileState.UNPLAYABLE),)}, "cannot play a song", None, False),
    ],
)
def test_how_far_its_files_are(changes: dict[str, Any], detail: str, progress: float | None, can_retry: bool) -> None:
    shown = row(peer(**changes))
    assert (plain(shown.detail), shown.progress, shown.can_retry) == (detail, progress, can_retry)


@pytest.mark.parametrize(
    ("changes", "trouble"),
    [
        ({}, ""),
        ({"device_name": None, "clock_usable": False, "waited_for": False}, "No audio output"),
        ({"clock_usable": False, "waited_for": False}, "Clock not in time"),
        ({"clock_stale": True}, "Clock not in time"),
        ({"waited_for": False}, "Not waited for"),
    ],
)
def test_trouble(changes: dict[str, Any], trouble: str) -> None:
    assert row(peer(**changes)).trouble == trouble


def test_the_tooltip_has_the_rest() -> None:
    assert plain(row(peer(underruns=2)).tooltip).splitlines() == [
        "Output: Speakers, delay 12 ms",
        "Round trip: 4.2 ms",
        "Clock: within 0.01 ms, drift +3.1 ppm",
        "Interruptions: 2",
    ]
    assert "Output: Speakers, delay about 12 ms" in plain(row(peer(timing="told")).tooltip)
    assert "Output: Speakers, delay not known" in row(peer(timing="unknown")).tooltip
    tooltip = row(peer(device_name=None, clock_usable=False)).tooltip
    assert "Output: none" in tooltip and "Clock: not in time" in tooltip and "Interruptions" not in tooltip


def test_the_volume_of_a_peer() -> None:
    shown = row(peer(volume_percent=40))
    assert (shown.volume_percent, shown.muted, shown.mute_text) == (40, False, "Mute Ben (40 %)")
    assert row(peer(muted=True)).mute_text == "Unmute Ben"


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
        (playing(own=dataclasses.replace(CARD, device_name=None)), "playing", "Song 1", "No audio output detected."),
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


# -- the queue ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "title", "subtitle"),
    [
        ({}, "Song 1", "Band · added by Ana"),
        ({"artist": ""}, "Song 1", "added by Ana"),
        ({"added_by": ""}, "Song 1", "Band"),
        ({"artist": "", "added_by": ""}, "Song 1", ""),
        ({"title": "", "artist": ""}, "1", "added by Ana"),
        ({"title": ""}, "1", "Band · added by Ana"),
        ({"title": "", "file_name": ".mp3"}, ".mp3", "Band · added by Ana"),
    ],
)
def test_a_row_of_the_queue(changes: dict[str, Any], title: str, subtitle: str) -> None:
    (shown,) = host_view(host(queue=(item(1, **changes),))).queue
    assert (shown.number, shown.title, shown.subtitle, shown.duration_text) == (1, title, subtitle, "2:34")
    assert (shown.status, shown.status_text, shown.progress) == ("ready", "", None)


@pytest.mark.parametrize(
    ("status", "shows"),
    [
        (ItemStatus.PLAYING, ("playing", True, False)),
        (ItemStatus.PLAYED, ("played", False, True)),
        (ItemStatus.READY, ("ready", False, False)),
        (ItemStatus.TRANSFERRING, ("transferring", False, False)),
    ],
)
def test_the_status_of_a_row(status: ItemStatus, shows: tuple[str, bool, bool]) -> None:
    for view in (host_view(host(queue=(item(1, status),))), peer_view(guest(queue=(item(1, status),)))):
        (shown,) = view.queue
        assert (shown.status, shown.playing, shown.played) == shows and shown.status_text == ""


def test_how_far_a_row_is_at_the_peers() -> None:
    queue = (item(1, ItemStatus.TRANSFERRING), item(2, ItemStatus.TRANSFERRING), item(3))
    ana = peer("Ana", 1, have=frozenset({UUID(int=1)}), files=(file(2, FileState.SENDING, 500),))
    ben = peer("Ben", 2, have=frozenset(), files=(file(1, FileState.SENDING, 400), file(2, FileState.SENDING, 100)))
    cleo = peer("Cleo", 3, have=ALL, files=(file(3, FileState.UNPLAYABLE, 1000),))
    rows = host_view(host(ana, ben, cleo, queue=queue)).queue
    assert [shown.status_text for shown in rows] == ["2 of 3 ready", "1 of 3 ready", "Cleo cannot play it"]
    assert [shown.progress for shown in rows] == [0.4, pytest.approx(0.3), None]
    given_up = peer("Dan", 4, have=ALL - {UUID(int=3)}, files=(file(3, FileState.FAILED),))
    assert host_view(host(given_up, queue=queue)).queue[2].status_text == "Dan has not got it"


@pytest.mark.parametrize(
    ("queue", "note"),
    [((), ""), ((item(1),), "1 track, 3 min"), (QUEUE, "3 tracks, 8 min"), (QUEUE * 10, "30 tracks, 1 h 17 min")],
)
def test_the_line_above_the_queue(queue: tuple[QueueItem, ...], note: str) -> None:
    queue = tuple(dataclasses.replace(one, id=UUID(int=place)) for place, one in enumerate(queue))
    assert plain(host_view(host(queue=queue)).queue_note) == note
    assert plain(peer_view(guest(queue=queue)).queue_note) == note


def test_rows_that_did_not_change_are_the_same_and_others_are_right() -> None:
    """After any earlier state, the rows are equal to those made without it."""
    one, two, three = QUEUE
    queues = [
        (one, two, three),
        (two, three),
        (three, two, one),
        (one, item(2, ItemStatus.TRANSFERRING), three),
        (one, item(2, ItemStatus.PLAYING), three),
        (),
        (one,),
        (item(1, title="Other"), two),
    ]
    peers = [(), (peer(),), (peer(have=frozenset()), peer("Ana", 2)), (peer(files=(file(2, FileState.SENDING, 5),)),)]
    states = [host(*some, queue=queue) for queue in queues for some in peers]
    rows = QueueRows()
    fresh = [host_view(state) for state in states]
    assert [host_view(state, rows) for state in states] == fresh
    assert [host_view(state, rows) for state in reversed(states)] == fresh[::-1]
    before = host_view(states[0], rows).queue
    after = host_view(host(queue=(*QUEUE, item(4))), rows).queue
    assert all(old is new for old, new in zip(before, after, strict=False))


# -- requests ----------------------------------------------------------------------------------------------------------


def request(number: int, state: RequestState = RequestState.OPEN, **changes: Any) -> RequestView:
    wish = RequestView(UUID(int=number), number, "Sam", f"New {number}.mp3", 4_200_000, state, 0, "")
    return dataclasses.replace(wish, **changes)


def test_the_host_decides_open_requests_first() -> None:
    view = host_view(
        host(
            requests=(
                request(1, RequestState.ACCEPTED, done_bytes=2_100_000),
                request(2),
                request(3),
                request(4),
                request(5),
            )
        )
    )
    assert [(shown.number, shown.decidable) for shown in view.requests] == [(4, True), (3, True), (2, True)]
    assert view.more_requests == 2
    first = view.requests[2]
    assert (first.title, plain(first.subtitle), first.duration_text) == ("New 2", "asked by Sam · 4.2 MB", "")
    known = host(requests=(request(2, title="Night Drive", artist="The Phases", duration_secs=154.7),))
    (shown,) = host_view(known).requests
    assert (shown.title, plain(shown.subtitle)) == ("Night Drive", "asked by Sam · The Phases · 4.2 MB")
    assert shown.duration_text == "2:34"


def test_an_accepted_request_is_on_its_way() -> None:
    (shown,) = host_view(host(requests=(request(1, RequestState.ACCEPTED, done_bytes=2_100_000),))).requests
    assert (shown.title, shown.subtitle) == ("New 1", "on its way from Sam")
    assert (shown.progress, shown.decidable) == (0.5, False)
    assert host_view(host()).requests == () and host_view(host()).more_requests == 0


@pytest.mark.parametrize(
    ("wish", "text", "progress"),
    [
        (request(1), "the host was asked", None),
        (request(1, RequestState.ACCEPTED, done_bytes=42_000, artist="Band"), "on its way to the host · Band", 0.01),
        (request(1, RequestState.ADDED), "in the queue", None),
        (
            request(1, RequestState.REJECTED, reason="The host has declined it."),
            "not added – The host has declined it.",
            None,
        ),
        (request(1, RequestState.FAILED, reason="{Odd}."), "not added – {Odd}.", None),
    ],
)
def test_what_has_become_of_the_own_requests(wish: RequestView, text: str, progress: float | None) -> None:
    (shown,) = peer_view(guest(requests=(wish,))).requests
    assert (shown.title, shown.subtitle) == ("New 1", text)
    assert (shown.progress, shown.decidable) == (progress, False)


def test_the_own_requests_latest_first() -> None:
    view = peer_view(guest(requests=tuple(map(request, range(1, 6)))))
    assert [shown.number for shown in view.requests] == [5, 4, 3]


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


# -- the sync strip ----------------------------------------------------------------------------------------------------


UNTOLD = off(timing="unknown", dac_uncertainty_ns=None)


def untold(name: str = "Ben", peer_id: int = 1) -> PeerView:
    return peer(name, peer_id, timing="unknown", dac_uncertainty_ns=None)


@pytest.mark.parametrize(
    ("state", "sentence", "kind"),
    [
        (host(), "Nothing is playing.", "neutral"),
        (playing(peer(), timeline=line(stop_ns=5)), "Paused", "neutral"),
        (playing(), "This speaker plays alone.", "neutral"),
        (playing(own=None), "Measuring…", "neutral"),
        (playing(own=off(playing=False)), "Measuring…", "neutral"),
        (playing(own=off(dac_uncertainty_ns=None)), "Measuring…", "neutral"),
        (playing(own=off(device_name=None)), "This machine has no audio output.", "error"),
        (playing(peer()), "Both speakers within 0.03 ms", "good"),
        (playing(peer(), peer("Cleo", 2), peer("Dan", 3)), "All 4 speakers within 0.03 ms", "good"),
        (playing(peer(), peer("Cleo", 2, reported=False)), "Measuring…", "neutral"),
        (playing(peer(dac_uncertainty_ns=None)), "Measuring…", "neutral"),
        (playing(peer(dac_uncertainty_ns=2 * MS)), "Both speakers within 2.1 ms", "warning"),
        (playing(own=UNTOLD), "This speaker plays alone.", "neutral"),
        (
            playing(untold()),
            "How far apart they play is not known. The output of Ben does not tell its delay.",
            "warning",
        ),
        (
            playing(untold(), own=UNTOLD),
            "How far apart they play is not known. The output of this machine does not tell its delay and 1 more.",
            "warning",
        ),
        (
            playing(peer(), untold("Cleo", 2)),
            "2 of 3 speakers within 0.03 ms. The output of Cleo does not tell its delay.",
            "warning",
        ),
        (playing(peer(phase_error_ns=-3_200_000)), "Ben is 3.2 ms late.", "warning"),
        (
            playing(peer(phase_error_ns=-3_200_000), peer("Cleo", 2, phase_error_ns=1_500_000)),
            "Ben is 3.2 ms late and Cleo is 1.5 ms early.",
            "warning",
        ),
        (playing(peer(), own=off(phase_error_ns=-45 * MS)), "This speaker is 45 ms late.", "warning"),
        (
            playing(peer(), peer("Cleo", 2, device_name=None)),
            "2 of 3 speakers within 0.03 ms. Cleo has no audio output.",
            "warning",
        ),
        (
            playing(peer(), peer("Cleo", 2, have=frozenset()), peer("Dan", 3, clock_usable=False)),
            "2 of 4 speakers within 0.03 ms. Cleo has not got the song and 1 more.",
            "warning",
        ),
        (playing(peer(clock_stale=True)), "Only this speaker plays. Ben is not in time.", "warning"),
        (
            playing(peer(), own=off(device_name=None)),
            "Only Ben plays. This machine has no audio output.",
            "warning",
        ),
        (
            playing(peer(device_name=None), own=off(device_name=None)),
            "Nobody plays. This machine has no audio output and 1 more.",
            "warning",
        ),
    ],
)
def test_the_sentence_of_the_host(state: SessionView, sentence: str, kind: str) -> None:
    view = host_view(state).sync
    assert (plain(view.sentence), view.kind) == (sentence, kind)


@pytest.mark.parametrize(
    ("own", "sentence", "kind"),
    [
        (CARD, "This speaker is within 0.01 ms of the host.", "good"),
        (off(clock_uncertainty_ns=1), "This speaker is within 0.02 ms of the host.", "good"),
        (off(dac_uncertainty_ns=2 * MS), "This speaker is within 2.1 ms of the host.", "warning"),
        (off(phase_error_ns=3_200_000), "This speaker is 3.2 ms early.", "warning"),
        (off(playing=False), "This speaker is not playing.", "neutral"),
        (off(clock_uncertainty_ns=None), "Measuring…", "neutral"),
        (off(device_name=None), "No audio output detected.", "error"),
        (UNTOLD, "This output does not tell its delay; set an offset by ear.", "warning"),
        (None, "Measuring…", "neutral"),
    ],
)
def test_the_sentence_of_a_peer(own: LocalStatus | None, sentence: str, kind: str) -> None:
    view = peer_view(guest(own, now=QUEUE[0], timeline=line())).sync
    assert (plain(view.sentence), view.kind) == (sentence, kind)
    assert peer_view(guest(own)).sync.sentence == "Nothing is playing."


@pytest.mark.parametrize(
    ("own", "text"),
    [
        (CARD, "Playing on Card, delay 10 ms."),
        (
            off(timing="told"),
            "Playing on Card, delay about 10 ms.\n"
            "This output tells its delay only roughly; if it plays late, set an offset.",
        ),
        (UNTOLD, "Playing on Card.\nThis output does not tell its delay; set an offset by ear."),
        (off(device_name=None), "No audio output detected."),
        (None, "No audio output detected."),
    ],
)
def test_the_sound_panel_tells_what_is_known_of_the_delay(own: LocalStatus | None, text: str) -> None:
    assert plain(output_text(host(own=own))) == text


def test_the_figures_of_all_machines() -> None:
    rough = peer("Eve", 4, timing="told", dac_uncertainty_ns=100 * MS)
    state = playing(peer(phase_error_ns=-12_400, underruns=1), peer("Cleo", 2, reported=False), untold("Dan", 3), rough)
    figures = host_view(state).sync.machines
    texts = [
        (one.name, one.error_text, one.uncertainty_text, one.drift_text, one.correction_text, one.underruns)
        for one in figures
    ]
    assert [tuple(plain(str(text)) for text in row) for row in texts] == [
        ("Hana", "−4 µs", "±5 µs", "0.0 ppm", "+12.3 ppm", "0"),
        ("Ben", "−12 µs", "±10 µs", "+3.1 ppm", "–", "1"),
        ("Cleo", "–", "–", "–", "–", "0"),
        ("Dan", "–", "–", "+3.1 ppm", "–", "0"),
        ("Eve", "+3 µs", "±101 ms", "+3.1 ppm", "–", "0"),
    ]


# -- the peer's header -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "connection", "kind"),
    [
        (guest(), "Connected — latency 3 ms", "good"),
        (guest(own=None), "Connected", "good"),
        (guest(own=off(clock_uncertainty_ns=None)), "Connected", "good"),
        (guest(connected=False, now=QUEUE[0], timeline=line()), "Looking for the host — playing on", "warning"),
        (guest(connected=False), "Looking for the host", "warning"),
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


def test_equal_states_give_equal_views() -> None:
    for make in (lambda: playing(peer(), peer("Cleo", 2)), lambda: host(requests=(request(1),))):
        assert host_view(make()) == host_view(make()) and hash(host_view(make())) == hash(host_view(make()))
    assert peer_view(guest()) == peer_view(guest())


# -- the browser -------------------------------------------------------------------------------------------------------


def test_the_browser() -> None:
    begun = browser_view(None)
    assert (begun.rows, begun.searching) == ((), True) and begun.note.startswith("Looking")
    empty = browser_view(FoundSessions(()))
    assert empty.searching and empty.note.startswith("No sessions found yet.")
    broken = browser_view(FoundSessions((), "The network cannot be searched."))
    assert (broken.note, broken.searching) == ("The network cannot be searched.", False)
    one = Found("Friday", "Alex", 2, 5, "10.0.0.2:17401", "abc")
    view = browser_view(FoundSessions((one, dataclasses.replace(one, session_name="Crowd", peers=5, session_id="b"))))
    assert view.note == "" and [shown.full for shown in view.rows] == [False, True]
    assert (view.rows[0].title, view.rows[0].subtitle) == ("Friday", "hosted by Alex — 2/5 peers")
    assert (view.rows[0].address, view.rows[0].session_id) == ("10.0.0.2:17401", "abc")
