"""The rows of section 12.1 and the tests of section 17.2 of the specification that concern the session cores."""

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

# -- 12.1, the error matrix --------------------------------------------------------------------------------------------


def test_peer_has_not_received_file_yet() -> None:
    party = SessionHarness()
    ana = party.join("Ana")
    ana.transfer_ns = 10 * SECOND
    party.run(0.1)
    party.command(Add(a_track()), Play())
    assert error(party.host) == "Waiting for all peers to receive the file."
    assert not party.host.snapshot().peers[0].ready and party.host.snapshot().timeline is None


def test_file_transfer_fails() -> None:
    party = SessionHarness()
    ana, ben = party.join("Ana"), party.join("Ben")
    ana.fetch_results = itertools.chain([False] * 3, itertools.repeat(True))
    party.run(0.1)
    party.command(Add(a_track()))
    party.run(10)
    assert len(ana.fetches) == 3 and "Ana could not receive song 1.mp3 in 3 tries." in str(error(party.host))
    party.command(Without("Ana"), Play())
    party.run(1)
    assert ben.following == party.host.following is not None
    party.command(Retry("Ana"))
    party.run(1)
    assert all_follow_the_same(party, [ana, ben])


def test_peer_has_no_audio_output_device() -> None:
    party = SessionHarness()
    ana, ben = party.join("Ana", output=ReportedOutput(device_name=None)), party.join("Ben")
    party.run(2)
    assert [event.fields["peer"] for event in party.host.events("device")] == ["Ben"]  # Ana's may open soon
    party.run(3)
    flagged, other = party.host.snapshot().peers
    assert flagged.device_name is None and flagged.reported and other.device_name == "card"
    states = [(event.fields["peer"], event.fields["state"]) for event in party.host.events("device")]
    assert sorted(states) == [("Ana", "none"), ("Ben", "open")]
    party.command(Add(a_track()))
    party.run(1)
    party.command(Play())
    party.run(1)
    assert all_follow_the_same(party, [ana, ben]) and ana.ended is None


@pytest.mark.parametrize("how", ["leaves", "crashes", "falls silent"])
def test_peer_disconnects_mid_playback(how: str) -> None:
    party, (ana, ben) = ready(tracks=2, seconds=10)
    party.command(Play())
    party.run(3)
    before = party.host.following
    {"leaves": ana.leave, "crashes": ana.crash, "falls silent": ana.cut}[how]()
    party.run(5.5)
    assert [peer.name for peer in party.host.snapshot().peers] == ["Ben"]
    assert party.host.following == ben.following == before
    party.run(3)
    assert line(party).file_id == a_track(2).file_id and ben.following == party.host.following
    assert ben.ended is None and not ben.events("warning")


def test_host_disconnects_or_crashes() -> None:
    party, guests = ready()
    party.command(Play())
    party.run(3)
    party.host.crash()
    party.run(1)
    for guest in guests:
        assert guest.ended == e.Ended("Host disconnected — session ended.", failed=True)
        assert guest.effects[-1] == guest.ended and guest.following == e.Follow(None)


def test_invalid_mp3_file_requested() -> None:
    party, (ana, _) = ready()
    reason = "Invalid or corrupted MP3 file: x.mp3"
    ana.upload_results = itertools.repeat(reason)
    request = Request(a_track(77).file_id, "x.mp3", 10, bytes(32))
    ana.call(ana.core.command, request)
    party.run(0.1)
    party.command(Accept(request.request_id))
    party.run(1)
    assert len(party.host.snapshot().queue) == 1
    assert ana.snapshot().requests[0].reason == reason


def test_mp3_decode_failure() -> None:
    party, (ana, ben) = ready(tracks=2)
    party.command(Play())
    party.run(1)
    ana.call(ana.core.decode_failed, a_track().file_id, "broken frame")
    party.run(0.1)
    assert error(party.host) == "Ana cannot play song 1.mp3: broken frame"
    assert ben.following == party.host.following and ana.ended is None
    party.command(Next())
    party.run(1)
    assert all_follow_the_same(party, [ana, ben])


def test_hash_mismatch_after_transfer() -> None:
    party = SessionHarness()
    ana = party.join("Ana")
    ana.fetch_results = itertools.chain([False, False], itertools.repeat(True))
    party.run(0.1)
    party.command(Add(a_track()))
    party.run(5)
    assert len(ana.fetches) == 3 and not party.host.events("error")
    assert [row.status for row in party.host.snapshot().queue] == [ItemStatus.READY]


def test_udp_clock_sync_not_converging() -> None:
    party = SessionHarness()
    ana, ben = party.join("Ana", output=ReportedOutput(clock_usable=False)), party.join("Ben")
    party.run(9.5)
    assert not party.host.events("warning")
    party.run(60)
    text = "The clock of Ana does not keep up with the host's. It would not play in time."
    assert [event.fields["message"] for event in party.host.events("warning")] == [text]
    assert [peer.latency_class for peer in party.host.snapshot().peers] == [LatencyClass.RED, LatencyClass.GREEN]
    party.command(Add(a_track()))
    party.run(1)
    party.command(Play())
    assert party.host.events("warning")[-1].fields["message"] == "Not yet in time with the host: Ana."
    ana.output.clock_usable = True
    party.run(2)
    assert party.host.snapshot().peers[0].latency_class is LatencyClass.GREEN
    ana.output.clock_usable = False
    party.run(2)
    assert [event.fields["message"] for event in party.host.events("warning")].count(text) == 2
    assert ben.ended is None


# -- 17.2, integration tests -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("latencies_ms", [(0, 0), (0, 250), (900, 30)])
@pytest.mark.parametrize("delays_ms", [(0.1, 0.1), (0.2, 60), (45, 1)])
def test_play_command_sync(delays_ms: tuple[float, float], latencies_ms: tuple[int, int]) -> None:
    """Two peers with different networks and outputs schedule the same session time, and are told early enough."""
    party = SessionHarness()
    guests = [
        party.join(name, delay_ns=round(delay_ms * MS), output=ReportedOutput(latency_ns=latency_ms * MS))
        for name, delay_ms, latency_ms in zip(("Ana", "Ben"), delays_ms, latencies_ms, strict=True)
    ]
    party.run(1)
    party.command(Add(a_track()))
    party.run(2)
    for command in (Play(), Pause(), Resume()):
        party.command(command)
        timeline = line(party)
        instant_ns = timeline.stop_session_ns or timeline.start_session_ns
        for guest, latency_ms in zip(guests, latencies_ms, strict=True):
            while guest.snapshot().timeline != timeline:
                party.run(0.001)
                assert party.now_ns < instant_ns - latency_ms * MS - 20 * MS, "told too late"
        party.run(2)
        assert all_follow_the_same(party, guests)
    events = [[event.session_ns for event in node.events("playing")] for node in (party.host, *guests)]
    assert events[0] == events[1] == events[2]


def test_queue_operations() -> None:
    party, guests = ready(tracks=3)
    party.command(Move(a_track(3).file_id, 0), Remove(a_track(1).file_id), Add(a_track(4)))
    party.run(1)
    for guest in guests:
        assert [row.id.int for row in guest.snapshot().queue] == [3, 2, 4]
        assert guest.told(m.QueueUpdate)[-1].queue == party.host.snapshot().queue


def test_peer_disconnect_and_reconnect() -> None:
    """After a network loss by itself; after a crash as a new process of the same name."""
    party, (ana, ben) = ready(tracks=3)
    party.command(Play())
    party.run(2)
    ana.cut()
    party.run(8)
    party.command(Next())
    party.run(1)
    ana.repair()
    party.run(3)
    assert all_follow_the_same(party, [ana, ben])
    ana.crash()
    party.run(1)
    again = party.join("Ana")
    again.transfer_ns = 10 * MS
    party.run(0.2)
    assert again.snapshot().queue == party.host.snapshot().queue
    assert all_follow_the_same(party, [again, ben]) and line(party).file_id == a_track(2).file_id
    assert again.events("playing")[0].session_ns == line(party).start_session_ns


def test_session_full_rejection() -> None:
    party = SessionHarness()
    five = [party.join(name) for name in "ABCDE"]
    party.run(1)
    sixth = party.join("F")
    party.run(1)
    assert sixth.told(m.JoinRejected) == [m.JoinRejected("Session is full.")]
    assert sixth.ended == e.Ended("Session is full.", failed=True)
    assert all(guest.ended is None for guest in five) and len(party.host.snapshot().peers) == 5
