"""What the specification lists by name, where it is the machines' to do: the rows of 12.1, and tests of 17.2."""

from __future__ import annotations

import itertools

import pytest

from phaselock.model.queue import ItemStatus
from phaselock.model.snapshot import LatencyClass
from phaselock.protocol import messages as m
from phaselock.session import effects as e
from phaselock.session.commands import Accept, Add, Move, Next, Pause, Play, Remove, Request, Resume, Retry, Without
from tests.support.party import MS, SECOND, Output, Party, a_track, all_follow_the_same, error, line, ready
from tests.support.told import Over

# -- 12.1, the error matrix --------------------------------------------------------------------------------------------


def test_peer_has_not_received_file_yet() -> None:
    party = Party()
    ana = party.invite("Ana")
    ana.fetch_ns = 10 * SECOND
    party.run(0.1)
    party.say(Add(a_track()), Play())
    assert error(party) == "Waiting for all peers to receive the file."
    assert not party.machine.snapshot().peers[0].ready and party.machine.snapshot().timeline is None


def test_file_transfer_fails() -> None:
    party = Party()
    ana, ben = party.invite("Ana"), party.invite("Ben")
    ana.fetch_results = itertools.chain([False] * 3, itertools.repeat(True))
    party.run(0.1)
    party.say(Add(a_track()))
    party.run(10)
    assert len(ana.fetches) == 3 and "Ana could not receive song 1.mp3 in 3 tries." in str(error(party))
    party.say(Without("Ana"), Play())
    party.run(1)
    assert ben.following == party.host.following is not None
    party.say(Retry("Ana"))
    party.run(1)
    assert all_follow_the_same(party, [ana, ben])


def test_peer_has_no_audio_output_device() -> None:
    party = Party()
    ana, ben = party.invite("Ana", output=Output(device_name=None)), party.invite("Ben")
    party.run(2)
    assert [event.fields["peer"] for event in party.host.events("device")] == ["Ben"]  # Ana's may be about to open
    party.run(3)
    flagged, other = party.machine.snapshot().peers
    assert flagged.device_name is None and flagged.reported and other.device_name == "card"
    states = [(event.fields["peer"], event.fields["state"]) for event in party.host.events("device")]
    assert sorted(states) == [("Ana", "none"), ("Ben", "open")]
    party.say(Add(a_track()))
    party.run(1)
    party.say(Play())
    party.run(1)
    assert all_follow_the_same(party, [ana, ben]) and ana.ended is None


@pytest.mark.parametrize("how", ["leaves", "crashes", "falls silent"])
def test_peer_disconnects_mid_playback(how: str) -> None:
    party, (ana, ben) = ready(tracks=2, seconds=10)
    party.say(Play())
    party.run(3)
    before = party.host.following
    {"leaves": party.leave, "crashes": party.crash, "falls silent": party.cut}[how](ana)
    party.run(5.5)
    assert [peer.name for peer in party.machine.snapshot().peers] == ["Ben"]
    assert party.host.following == ben.following == before
    party.run(3)
    assert line(party).file_id == a_track(2).file_id and ben.following == party.host.following
    assert ben.ended is None and not ben.events("warning")


def test_host_disconnects_or_crashes() -> None:
    party, guests = ready()
    party.say(Play())
    party.run(3)
    party.crash_host()
    party.run(1)
    for guest in guests:
        assert guest.ended == Over("Host disconnected — session ended.", failed=True)
        assert guest.effects[-1] == guest.ended and guest.following == e.Follow(None)


def test_invalid_mp3_file_requested() -> None:
    party, (ana, _) = ready()
    reason = "Invalid or corrupted MP3 file: x.mp3"
    ana.upload_results = itertools.repeat(reason)
    request = Request(a_track(77).file_id, "x.mp3", 10, bytes(32))
    party.on_guest(ana, ana.machine.command, request)
    party.run(0.1)
    party.say(Accept(request.request_id))
    party.run(1)
    assert len(party.machine.snapshot().queue) == 1
    assert ana.machine.snapshot().requests[0].reason == reason


def test_mp3_decode_failure() -> None:
    party, (ana, ben) = ready(tracks=2)
    party.say(Play())
    party.run(1)
    party.on_guest(ana, ana.machine.decode_failed, a_track().file_id, "broken frame")
    party.run(0.1)
    assert error(party) == "Ana cannot play song 1.mp3: broken frame"
    assert ben.following == party.host.following and ana.ended is None
    party.say(Next())
    party.run(1)
    assert all_follow_the_same(party, [ana, ben])


def test_hash_mismatch_after_transfer() -> None:
    party = Party()
    ana = party.invite("Ana")
    ana.fetch_results = itertools.chain([False, False], itertools.repeat(True))
    party.run(0.1)
    party.say(Add(a_track()))
    party.run(5)
    assert len(ana.fetches) == 3 and not party.host.events("error")
    assert [row.status for row in party.machine.snapshot().queue] == [ItemStatus.READY]


def test_udp_clock_sync_not_converging() -> None:
    party = Party()
    ana, ben = party.invite("Ana", output=Output(clock_usable=False)), party.invite("Ben")
    party.run(9.5)
    assert not party.host.events("warning")
    party.run(60)
    text = "The clock of Ana does not keep up with the host's. It would not play in time."
    assert [event.fields["message"] for event in party.host.events("warning")] == [text]
    assert [peer.latency_class for peer in party.machine.snapshot().peers] == [LatencyClass.RED, LatencyClass.GREEN]
    party.say(Add(a_track()))
    party.run(1)
    party.say(Play())
    assert party.host.events("warning")[-1].fields["message"] == "Not yet in time with the host: Ana."
    ana.output.clock_usable = True
    party.run(2)
    assert party.machine.snapshot().peers[0].latency_class is LatencyClass.GREEN
    ana.output.clock_usable = False
    party.run(2)
    assert [event.fields["message"] for event in party.host.events("warning")].count(text) == 2
    assert ben.ended is None


# -- 17.2, integration tests -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("latencies_ms", [(0, 0), (0, 250), (900, 30)])
@pytest.mark.parametrize("delays_ms", [(0.1, 0.1), (0.2, 60), (45, 1)])
def test_play_command_sync(delays_ms: tuple[float, float], latencies_ms: tuple[int, int]) -> None:
    """Two peers behind different networks and outputs schedule one and the same session time, and are told in time."""
    party = Party()
    guests = [
        party.invite(name, delay_ns=round(delay_ms * MS), output=Output(latency_ns=latency_ms * MS))
        for name, delay_ms, latency_ms in zip(("Ana", "Ben"), delays_ms, latencies_ms, strict=True)
    ]
    party.run(1)
    party.say(Add(a_track()))
    party.run(2)
    for command in (Play(), Pause(), Resume()):
        party.say(command)
        timeline = line(party)
        instant_ns = timeline.stop_session_ns or timeline.start_session_ns
        for guest, latency_ms in zip(guests, latencies_ms, strict=True):
            while guest.machine.snapshot().timeline != timeline:
                party.run(0.001)
                assert party.now_ns < instant_ns - latency_ms * MS - 20 * MS, "told too late"
        party.run(2)
        assert all_follow_the_same(party, guests)
    events = [[event.session_ns for event in node.events("playing")] for node in (party.host, *guests)]
    assert events[0] == events[1] == events[2]


def test_queue_operations() -> None:
    party, guests = ready(tracks=3)
    party.say(Move(a_track(3).file_id, 0), Remove(a_track(1).file_id), Add(a_track(4)))
    party.run(1)
    for guest in guests:
        assert [row.id.int for row in guest.machine.snapshot().queue] == [3, 2, 4]
        assert guest.told(m.QueueUpdate)[-1].queue == party.machine.snapshot().queue


def test_peer_disconnect_and_reconnect() -> None:
    """By itself after a gap, and as a new program with the same name after a crash."""
    party, (ana, ben) = ready(tracks=3)
    party.say(Play())
    party.run(2)
    party.cut(ana)
    party.run(8)
    party.say(Next())
    party.run(1)
    party.mend(ana)
    party.run(3)
    assert all_follow_the_same(party, [ana, ben])
    party.crash(ana)
    party.run(1)
    again = party.invite("Ana")
    again.fetch_ns = 10 * MS
    party.run(0.2)
    assert again.machine.snapshot().queue == party.machine.snapshot().queue
    assert all_follow_the_same(party, [again, ben]) and line(party).file_id == a_track(2).file_id
    assert again.events("playing")[0].session_ns == line(party).start_session_ns


def test_session_full_rejection() -> None:
    party = Party()
    five = [party.invite(name) for name in "ABCDE"]
    party.run(1)
    sixth = party.invite("F")
    party.run(1)
    assert sixth.told(m.JoinRejected) == [m.JoinRejected("Session is full.")]
    assert sixth.ended == Over("Session is full.", failed=True)
    assert all(guest.ended is None for guest in five) and len(party.machine.snapshot().peers) == 5
