"""The clock threads on real sockets: which packets are answered, and which are used. What an attacker can try is in
test_udp_attacks.py."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from phaselock import _native
from phaselock.network.listener import bind
from phaselock.sync.clock import HostClock, PeerClock
from phaselock.sync.trace import round_trip_ns
from tests.support.clock_packets import (
    PACKET_BYTES,
    PONG,
    ClockAsker,
    FakeClockHost,
    fields,
    is_authentic,
    ping,
    pong,
)

KEY = bytes(range(16))


@pytest.fixture
def host() -> Iterator[ClockAsker]:
    with ClockAsker() as asker:
        yield asker


def test_ping_and_pong_have_equal_sizes_so_that_nothing_is_amplified(host: ClockAsker) -> None:
    host.clock.allow(3, "127.0.0.1", KEY)
    assert len(ping(KEY, 3, 1)) == len(host.ask(ping(KEY, 3, 1))) == PACKET_BYTES == 37


def test_a_ping_of_a_member_is_answered_with_times_of_this_clock(host: ClockAsker) -> None:
    host.clock.allow(3, "127.0.0.1", KEY)
    before = _native.now_ns()
    packet = host.ask(ping(KEY, 3, 12345))
    after = _native.now_ns()
    kind, peer_id, sent_ns, received_ns, replied_ns = fields(packet)
    assert (kind, peer_id, sent_ns) == (PONG, 3, 12345)
    assert before <= received_ns <= replied_ns <= after
    assert is_authentic(packet, KEY)


def test_a_later_host_answers_with_the_session_time_that_it_has_measured() -> None:
    """The clock of a machine that took a session over is behind session time by a day, and too slow by 80 ppm."""
    known = _native.ClockMap()
    known.set(_native.now_ns() - 10**12, 86_400 * 10**9, 80e-6, 20_000.0, 1e-9)
    with ClockAsker(known) as host:
        host.clock.allow(3, "127.0.0.1", KEY)
        before = known.session_from_local(_native.now_ns())
        *_, received_ns, replied_ns = fields(host.ask(ping(KEY, 3, 12345)))
        assert before <= received_ns <= replied_ns <= host.clock.session_ns()
        status = host.clock.status(before)
        assert abs((status.session_from_local(status.local_ns) or 0) - before) <= 1
        assert (status.usable, status.stale, status.uncertainty_ns, status.drift_ppm) == (True, False, 20_000, 80.0)
        measured_map = measured(host, _native.ClockMap())
        now_ns = _native.now_ns()
        apart_ns = (
            measured_map.offset_ns
            + measured_map.drift * (now_ns - measured_map.local_ns)
            - (known.session_from_local(now_ns) - now_ns)
        )
        assert abs(apart_ns) < 1_000_000


def test_a_host_that_does_not_know_session_time_answers_nothing() -> None:
    with ClockAsker(_native.ClockMap()) as host:
        host.clock.allow(3, "127.0.0.1", KEY)
        assert not host.answers(ping(KEY, 3, 1))


@pytest.mark.parametrize(
    "packet",
    [
        ping(KEY, 4, 1),  # not a member
        ping(KEY, 3, 1)[:-1],  # short
        ping(KEY, 3, 1) + b"\0",  # long
        pong(KEY, 3, 1, 0, 0),
        b"\xff" * PACKET_BYTES,
        b"\x01",
        b"",
    ],
)
def test_other_packets_are_not_answered(host: ClockAsker, packet: bytes) -> None:
    host.clock.allow(3, "127.0.0.1", KEY)
    assert not host.answers(packet)


def test_a_member_is_answered_only_at_its_address(host: ClockAsker) -> None:
    host.clock.allow(3, "127.0.0.2", KEY)
    assert not host.answers(ping(KEY, 3, 1))
    host.clock.allow(3, "127.0.0.1", KEY)
    assert host.answers(ping(KEY, 3, 1))
    host.clock.forbid(3)
    assert not host.answers(ping(KEY, 3, 2))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a second loopback address by itself")
def test_an_answer_leaves_from_the_address_that_was_asked() -> None:
    """A socket for all addresses, as that of a host. The pinger is connected: it receives nothing from elsewhere."""
    listener = bind("", 0, socket.SOCK_DGRAM)
    port = listener.getsockname()[1]
    clock = HostClock(listener)
    try:
        for sent_ns, asked in enumerate(("127.0.0.2", "127.0.0.1", *["::1"] * (listener.family == socket.AF_INET6)), 1):
            clock.allow(1, "::1" if asked == "::1" else "127.0.0.1", KEY)
            family = socket.AF_INET6 if ":" in asked else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as asker:
                asker.bind(("::1" if asked == "::1" else "127.0.0.1", 0))
                asker.settimeout(20)
                asker.sendto(ping(KEY, 1, sent_ns), (asked, port))
                packet, sender = asker.recvfrom(100)
            assert (fields(packet)[:3], sender[0]) == ((PONG, 1, sent_ns), asked)
    finally:
        clock.close()


Answer = Callable[[int, int], Sequence[bytes]]


def listen_to(*answers: Answer) -> list[tuple[_native.PingerStatus, bool]]:
    """For each host (the pinger's status after 40 pings, whether its clock map became valid). All run at once."""
    fakes = [FakeClockHost(answer) for answer in answers]
    clocks = [PeerClock(*fake.address, peer_id=5, key=KEY) for fake in fakes]
    for fake, clock in zip(fakes, clocks, strict=True):
        assert fake.enough.wait(60)
        clock.close()
        fake.close()
    return [(clock._pinger.status(), clock.clock_map.value().valid) for clock in clocks]


def good(peer_id: int, sent_ns: int) -> bytes:
    now_ns = _native.now_ns()
    return pong(KEY, peer_id, sent_ns, now_ns + 10**12, now_ns + 10**12)


def test_answers_are_counted_once() -> None:
    ((status, valid),) = listen_to(lambda *asked: [good(*asked), good(*asked), good(*asked)])
    assert valid
    assert status.samples <= status.sent
    assert status.refused >= status.samples


OTHER_ANSWERS: dict[str, Answer] = {
    "origin": lambda peer_id, sent_ns: [good(peer_id, sent_ns + 1)],
    "peer": lambda peer_id, sent_ns: [good(peer_id + 1, sent_ns)],
    "short": lambda peer_id, sent_ns: [good(peer_id, sent_ns)[:-1]],
    "backwards": lambda peer_id, sent_ns: [pong(KEY, peer_id, sent_ns, 200, 100)],
    "endless": lambda peer_id, sent_ns: [pong(KEY, peer_id, sent_ns, 100, 2**63 - 1)],
    "eternal": lambda peer_id, sent_ns: [pong(KEY, peer_id, sent_ns, 2**63 - 1, 2**63 - 1)],
    "noise": lambda peer_id, sent_ns: [b"", b"\2", bytes(200)],
    "silence": lambda peer_id, sent_ns: [],
}


def test_other_answers_are_ignored() -> None:
    found = [(status.samples, valid) for status, valid in listen_to(*OTHER_ANSWERS.values())]
    assert dict(zip(OTHER_ANSWERS, found, strict=True)) == dict.fromkeys(OTHER_ANSWERS, (0, False))


def test_the_offset_is_found(host: ClockAsker) -> None:
    for kind in ("envelope", "median", "kalman"):
        host.clock.allow(1, "127.0.0.1", KEY)
        peer = PeerClock(*host.address, peer_id=1, key=KEY, filter_kind=kind)
        try:
            for _ in range(100_000):
                if peer.status(_native.now_ns()).usable:
                    break
                threading.Event().wait(0.001)
            assert abs(peer.clock_map.session_from_local(10**15) - 10**15) < 10**15 * 100e-6
            status = peer.status(_native.now_ns())
            assert abs(status.offset_ns) < 1_000_000
            assert status.least_rtt_ns in map(round_trip_ns, peer.exchanges())
        finally:
            peer.close()
        trace = peer._pinger.trace()
        assert len(trace) == peer._pinger.status().samples
        assert all(a <= d and b <= c for a, b, c, d in trace)


def measured(host: ClockAsker, earlier: _native.ClockMap) -> _native.ClockMapValue:
    """What the map says after a burst of measurements of a host whose clock is this one. `earlier` is the map before
    them."""
    host.clock.allow(1, "127.0.0.1", KEY)
    peer = PeerClock(*host.address, peer_id=1, key=KEY, clock_map=earlier)
    try:
        while peer._pinger.status().samples < 64:
            threading.Event().wait(0.001)
    finally:
        peer.close()
    return earlier.value()


def test_an_earlier_measurement_stays_in_use_until_the_new_one_knows_as_much(host: ClockAsker) -> None:
    """The path to the host has changed, and the music plays on. A busy machine may contradict one measurement by
    another one, but not each time."""
    for _ in range(10):
        known = _native.ClockMap()
        offset_ns = measured(host, known).offset_ns
        known.set(_native.now_ns(), offset_ns, 0.0, 1.0, 1e-15)
        before = known.value()
        if measured(host, known) == before:
            return
    pytest.fail("no earlier measurement has stayed in use")


def test_a_new_measurement_is_used_at_once_if_it_knows_more_or_contradicts(host: ClockAsker) -> None:
    for offset_ns, uncertainty_ns in ((0, 1e9), (10**9, 1.0)):
        known = _native.ClockMap()
        known.set(_native.now_ns(), offset_ns, 0.0, uncertainty_ns, 1e-15)
        assert abs(measured(host, known).offset_ns) < 1_000_000


@pytest.mark.slow
def test_pings_are_rare_while_nothing_plays() -> None:
    ahead_ns = 10**12

    def answer(peer_id: int, sent_ns: int) -> list[bytes]:
        now_ns = _native.now_ns() + ahead_ns
        return [pong(KEY, peer_id, sent_ns, now_ns, now_ns)]

    def wait_until(condition: Callable[[], bool]) -> None:
        for _ in range(100_000):
            if condition():
                return
            threading.Event().wait(0.001)
        pytest.fail("it did not come so far")

    def newest_train() -> tuple[int, int]:
        """(time before the newest train with two measurements, number of its measurements)"""
        sent_ns = [exchange[0] for exchange in clock.exchanges()]
        begins = [n for n in range(1, len(sent_ns)) if sent_ns[n] - sent_ns[n - 1] > _native.TRAIN_INTERVAL_NS // 5]
        return (sent_ns[begins[-1]] - sent_ns[begins[-1] - 1], len(sent_ns) - begins[-1]) if begins else (0, 0)

    fake = FakeClockHost(answer)
    clock = PeerClock(*fake.address, peer_id=5, key=KEY)
    engine = _native.Engine(clock.clock_map)
    engine.stream(48000)
    try:
        engine.process(480, _native.now_ns())
        wait_until(lambda: newest_train()[0] > 0.9e9)

        engine.reset_deck(0, 0)
        assert engine.arm(0, 48000, 0, 2**60)
        engine.process(480, _native.now_ns())
        wait_until(lambda: newest_train()[1] > _native.TRAIN_PINGS)

        assert engine.cancel(0)
        engine.process(480, _native.now_ns())
        wait_until(lambda: newest_train()[0] > 0.9e9)
        ahead_ns += 30 * 10**9
        wait_until(lambda: clock._pinger.status().steps == 1)
        wait_until(lambda: newest_train()[1] > _native.TRAIN_PINGS)
        assert abs(clock.clock_map.value().offset_ns - ahead_ns) < 1_000_000
    finally:
        clock.close()
        fake.close()
