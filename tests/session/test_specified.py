"""What users are promised when something fails, and whole sessions from joining to the end, with the session cores."""

from __future__ import annotations

import itertools

import pytest

from phaselock.model.queue import ItemStatus
from phaselock.model.snapshot import LatencyClass
from phaselock.protocol import messages as m
from phaselock.session import effects as e
from phaselock.session.commands import Accept, Add, Move, Next, Pause, Play, Remove, Request, Resume, Retry, Without
from tests.support.session_harness import ReportedOutput, SessionHarness, all_follow_the_same, error, line, ready
from tests.support.simulation import MS, SECOND, a_track
from tests.support.told import Over

# -- failures ----------------------------------------------------------------------------------------------------------


def test_peer_has_not_received_file_yet() -> None:
    harness = SessionHarness()
    ana = harness.join("Ana")
    ana.transfer_ns = 10 * SECOND
    harness.run(0.1)
    harness.command(Add(a_track()), Play())
    assert error(harness.host) == "Waiting for all peers to receive the file."
    assert not harness.host.snapshot().peers[0].ready and harness.host.snapshot().timeline is None


def test_file_transfer_fails() -> None:
    harness = SessionHarness()
    ana, ben = harness.join("Ana"), harness.join("Ben")
    ana.fetch_results = itertools.chain([False] * 3, itertools.repeat(True))
    harness.run(0.1)
    harness.command(Add(a_track()))
    harness.run(10)
    assert len(ana.fetches) == 3 and "Ana could not receive song 1.mp3 in 3 tries." in str(error(harness.host))
    harness.command(Without("Ana"), Play())
    harness.run(1)
    assert ben.following == harness.host.following is not None
    harness.command(Retry("Ana"))
    harness.run(1)
    assert all_follow_the_same(harness, [ana, ben])


def test_peer_has_no_audio_output_device() -> None:
    harness = SessionHarness()
    ana, ben = harness.join("Ana", output=ReportedOutput(device_name=None)), harness.join("Ben")
    harness.run(2)
    assert [event.fields["peer"] for event in harness.host.events("device")] == ["Ben"]  # Ana's may open soon
    harness.run(3)
    flagged, other = harness.host.snapshot().peers
    assert flagged.device_name is None and flagged.reported and other.device_name == "card"
    states = [(event.fields["peer"], event.fields["state"]) for event in harness.host.events("device")]
    assert sorted(states) == [("Ana", "none"), ("Ben", "open")]
    harness.command(Add(a_track()))
    harness.run(1)
    harness.command(Play())
    harness.run(1)
    assert all_follow_the_same(harness, [ana, ben]) and ana.ended is None


@pytest.mark.parametrize("how", ["leaves", "crashes", "falls silent"])
def test_peer_disconnects_mid_playback(how: str) -> None:
    harness, (ana, ben) = ready(tracks=2, seconds=10)
    harness.command(Play())
    harness.run(3)
    before = harness.host.following
    {"leaves": ana.leave, "crashes": ana.crash, "falls silent": ana.cut}[how]()
    harness.run(5.5)
    assert [peer.name for peer in harness.host.snapshot().peers] == ["Ben"]
    assert harness.host.following == ben.following == before
    harness.run(3)
    assert line(harness).file_id == a_track(2).file_id and ben.following == harness.host.following
    assert ben.ended is None and not ben.events("warning")


def test_host_disconnects_or_crashes() -> None:
    harness, peers = ready()
    harness.command(Play())
    harness.run(3)
    harness.host.crash()
    harness.run(1)
    for peer in peers:
        assert peer.ended == Over("Host disconnected — session ended.", failed=True)
        assert peer.effects[-1] == peer.ended and peer.following == e.Follow(None)


def test_invalid_mp3_file_requested() -> None:
    harness, (ana, _) = ready()
    reason = "Invalid or corrupted MP3 file: x.mp3"
    ana.upload_results = itertools.repeat(reason)
    request = Request(a_track(77).file_id, "x.mp3", 10, bytes(32))
    ana.call(ana.core.command, request)
    harness.run(0.1)
    harness.command(Accept(request.request_id))
    harness.run(1)
    assert len(harness.host.snapshot().queue) == 1
    assert ana.snapshot().requests[0].reason == reason


def test_mp3_decode_failure() -> None:
    harness, (ana, ben) = ready(tracks=2)
    harness.command(Play())
    harness.run(1)
    ana.call(ana.core.decode_failed, a_track().file_id, "broken frame")
    harness.run(0.1)
    assert error(harness.host) == "Ana cannot play song 1.mp3: broken frame"
    assert ben.following == harness.host.following and ana.ended is None
    harness.command(Next())
    harness.run(1)
    assert all_follow_the_same(harness, [ana, ben])


def test_hash_mismatch_after_transfer() -> None:
    harness = SessionHarness()
    ana = harness.join("Ana")
    ana.fetch_results = itertools.chain([False, False], itertools.repeat(True))
    harness.run(0.1)
    harness.command(Add(a_track()))
    harness.run(5)
    assert len(ana.fetches) == 3 and not harness.host.events("error")
    assert [row.status for row in harness.host.snapshot().queue] == [ItemStatus.READY]


def test_udp_clock_sync_not_converging() -> None:
    harness = SessionHarness()
    ana, ben = harness.join("Ana", output=ReportedOutput(clock_usable=False)), harness.join("Ben")
    harness.run(9.5)
    assert not harness.host.events("warning")
    harness.run(60)
    text = "The clock of Ana does not keep up with the host's. It would not play in time."
    assert [event.fields["message"] for event in harness.host.events("warning")] == [text]
    assert [peer.latency_class for peer in harness.host.snapshot().peers] == [LatencyClass.RED, LatencyClass.GREEN]
    harness.command(Add(a_track()))
    harness.run(1)
    harness.command(Play())
    assert harness.host.events("warning")[-1].fields["message"] == "Not yet in time with the host: Ana."
    ana.output.clock_usable = True
    harness.run(2)
    assert harness.host.snapshot().peers[0].latency_class is LatencyClass.GREEN
    ana.output.clock_usable = False
    harness.run(2)
    assert [event.fields["message"] for event in harness.host.events("warning")].count(text) == 2
    assert ben.ended is None


# -- whole sessions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("latencies_ms", [(0, 0), (0, 250), (900, 30)])
@pytest.mark.parametrize("delays_ms", [(0.1, 0.1), (0.2, 60), (45, 1)])
def test_play_command_sync(delays_ms: tuple[float, float], latencies_ms: tuple[int, int]) -> None:
    """Two peers with different networks and outputs receive a command early enough for the same session time. The room
    does not wait for a far one that needs longer than FAR_WAIT_NS."""
    harness = SessionHarness()
    peers = [
        harness.join(name, delay_ns=round(delay_ms * MS), output=ReportedOutput(latency_ns=latency_ms * MS))
        for name, delay_ms, latency_ms in zip(("Ana", "Ben"), delays_ms, latencies_ms, strict=True)
    ]
    harness.run(1)
    harness.command(Add(a_track()))
    harness.run(2)
    for command in (Play(), Pause(), Resume()):
        harness.command(command)
        timeline = line(harness)
        instant_ns, said_ns = timeline.stop_session_ns or timeline.start_session_ns, harness.now_ns
        for peer, latency_ms, delay_ms in zip(peers, latencies_ms, delays_ms, strict=True):
            is_waited_for = delay_ms < 5 or latency_ms + delay_ms < 100
            told_ns = instant_ns - (latency_ms + 20) * MS if is_waited_for else said_ns + round(delay_ms + 2) * MS
            while peer.snapshot().timeline != timeline:
                harness.run(0.001)
                assert harness.now_ns < told_ns, "told too late"
        harness.run(2)
        assert all_follow_the_same(harness, peers)
    events = [[event.session_ns for event in node.events("playing")] for node in (harness.host, *peers)]
    assert events[0] == events[1] == events[2]


def test_queue_operations() -> None:
    harness, peers = ready(tracks=3)
    harness.command(Move(a_track(3).file_id, 0), Remove(a_track(1).file_id), Add(a_track(4)))
    harness.run(1)
    for peer in peers:
        assert [row.id.int for row in peer.snapshot().queue] == [3, 2, 4]
        assert peer.core.told_queue.queue == harness.host.snapshot().queue


def test_peer_disconnect_and_reconnect() -> None:
    """A peer returns by itself after a network loss, and as a new process of the same name after a crash."""
    harness, (ana, ben) = ready(tracks=3)
    harness.command(Play())
    harness.run(2)
    ana.cut()
    harness.run(8)
    harness.command(Next())
    harness.run(1)
    ana.repair()
    harness.run(3)
    assert all_follow_the_same(harness, [ana, ben])
    ana.crash()
    harness.run(1)
    again = harness.join("Ana")
    again.transfer_ns = 10 * MS
    harness.run(0.2)
    assert again.snapshot().queue == harness.host.snapshot().queue
    assert all_follow_the_same(harness, [again, ben]) and line(harness).file_id == a_track(2).file_id
    assert again.events("playing")[0].session_ns == line(harness).start_session_ns


def test_session_full_rejection() -> None:
    harness = SessionHarness()
    five = [harness.join(name) for name in "ABCDE"]
    harness.run(1)
    sixth = harness.join("F")
    harness.run(1)
    assert sixth.told(m.JoinRejected) == [m.JoinRejected("Session is full.")]
    assert sixth.ended == Over("Session is full.", failed=True)
    assert all(peer.ended is None for peer in five) and len(harness.host.snapshot().peers) == 5
