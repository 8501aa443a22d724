"""The clock threads on real sockets: which packets are answered, and which are used."""

from __future__ import annotations

import socket
import struct
import sys
import threading
from collections.abc import Iterator

import pytest

from phaselock import _native
from phaselock.network.listener import bind
from phaselock.sync.clock import HostClock, PeerClock

PING = struct.Struct("<BIQQ16s")
PONG = struct.Struct("<BIQQQQ")


def bound() -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind(("127.0.0.1", 0))
    one.settimeout(20)
    return one


@pytest.fixture
def host() -> Iterator[tuple[HostClock, tuple[str, int]]]:
    listener = bound()
    address = listener.getsockname()
    clock = HostClock(listener)
    yield clock, address
    clock.close()


def answered(clock: HostClock, address: tuple[str, int], packet: bytes) -> bool:
    """Is this packet answered? A valid ping sent after it is answered in any case."""
    clock.allow(99, "127.0.0.1")
    with bound() as asker:
        asker.sendto(packet, address)
        asker.sendto(PING.pack(1, 99, 1, 424242, bytes(16)), address)
        first = PONG.unpack(asker.recv(100))
        return first[3] != 424242


def test_ping_and_pong_have_equal_sizes_so_that_nothing_is_amplified() -> None:
    assert PING.size == PONG.size == 37


def test_a_ping_of_a_member_is_answered_with_times_of_this_clock(host: tuple[HostClock, tuple[str, int]]) -> None:
    clock, address = host
    clock.allow(3, "127.0.0.1")
    with bound() as asker:
        before = _native.now_ns()
        asker.sendto(PING.pack(1, 3, 12345, 678, bytes(16)), address)
        kind, peer_id, sent, nonce, received_ns, replied_ns = PONG.unpack(asker.recv(100))
        after = _native.now_ns()
    assert (kind, peer_id, sent, nonce) == (2, 3, 12345, 678)
    assert before <= received_ns <= replied_ns <= after


@pytest.mark.parametrize(
    "packet",
    [
        PING.pack(1, 4, 1, 2, bytes(16)),  # not a member
        PING.pack(1, 3, 1, 2, bytes(16))[:-1],  # short
        PING.pack(1, 3, 1, 2, bytes(16)) + b"\0",  # long
        PING.pack(2, 3, 1, 2, bytes(16)),  # a pong
        b"\xff" * 37,
        b"\x01",
    ],
)
def test_other_packets_are_not_answered(host: tuple[HostClock, tuple[str, int]], packet: bytes) -> None:
    clock, address = host
    clock.allow(3, "127.0.0.1")
    assert not answered(clock, address, packet)


def test_a_member_is_answered_only_at_its_address(host: tuple[HostClock, tuple[str, int]]) -> None:
    clock, address = host
    clock.allow(3, "127.0.0.2")
    assert not answered(clock, address, PING.pack(1, 3, 1, 2, bytes(16)))
    clock.allow(3, "127.0.0.1")
    assert answered(clock, address, PING.pack(1, 3, 1, 2, bytes(16)))
    clock.forbid(3)
    assert not answered(clock, address, PING.pack(1, 3, 1, 2, bytes(16)))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a second loopback address by itself")
def test_an_answer_leaves_from_the_address_that_was_asked() -> None:
    """A socket for all addresses, as that of a host. The pinger is connected: it receives nothing from elsewhere."""
    listener = bind("", 0, socket.SOCK_DGRAM)
    port = listener.getsockname()[1]
    clock = HostClock(listener)
    try:
        for asked in ("127.0.0.2", "127.0.0.1", *["::1"] * (listener.family == socket.AF_INET6)):
            clock.allow(1, "::1" if asked == "::1" else "127.0.0.1")
            family = socket.AF_INET6 if ":" in asked else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as asker:
                asker.bind(("::1" if asked == "::1" else "127.0.0.1", 0))
                asker.settimeout(20)
                asker.sendto(PING.pack(1, 1, 12345, 678, bytes(16)), (asked, port))
                packet, sender = asker.recvfrom(100)
            assert (PONG.unpack(packet)[:4], sender[0]) == ((2, 1, 12345, 678), asked)
    finally:
        clock.close()


class FakeHost:
    """A host whose answers the test makes: `answer(peer_id, sent, nonce)` returns packets."""

    def __init__(self, answer: object) -> None:
        self.socket = bound()
        self.pings = 0
        self.enough = threading.Event()
        self._answer = answer
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            packet, sender = self.socket.recvfrom(100)
            if len(packet) != PING.size:
                return
            self.pings += 1
            _, peer_id, sent, nonce, _ = PING.unpack(packet)
            for reply in self._answer(peer_id, sent, nonce):  # type: ignore[operator]
                self.socket.sendto(reply, sender)
            if self.pings == 40:
                self.enough.set()

    def close(self) -> None:
        with bound() as ender:
            ender.sendto(b"end", self.socket.getsockname())
        self._thread.join()
        self.socket.close()


def listen_to(*answers: object) -> list[tuple[_native.PingerStatus, bool]]:
    """For each host (the pinger's status after 40 pings, whether its clock map became valid). All run at once."""
    fakes = [FakeHost(answer) for answer in answers]
    clocks = [PeerClock(*fake.socket.getsockname(), peer_id=5) for fake in fakes]
    for fake, clock in zip(fakes, clocks, strict=True):
        assert fake.enough.wait(60)
        clock.close()
        fake.close()
    return [(clock._pinger.status(), clock.clock_map.value().valid) for clock in clocks]


def good(peer_id: int, sent: int, nonce: int) -> bytes:
    now_ns = _native.now_ns()
    return PONG.pack(2, peer_id, sent, nonce, now_ns + 10**12, now_ns + 10**12)


def test_answers_are_counted_once() -> None:
    ((status, valid),) = listen_to(lambda *ping: [good(*ping), good(*ping), good(*ping)])
    assert valid
    assert status.samples <= status.sent
    assert status.refused >= status.samples


OTHER_ANSWERS = {
    "nonce": lambda peer_id, sent, nonce: [good(peer_id, sent, nonce ^ 1)],
    "origin": lambda peer_id, sent, nonce: [good(peer_id, sent + 1, nonce)],
    "peer": lambda peer_id, sent, nonce: [good(peer_id + 1, sent, nonce)],
    "short": lambda peer_id, sent, nonce: [good(peer_id, sent, nonce)[:-1]],
    "backwards": lambda peer_id, sent, nonce: [PONG.pack(2, peer_id, sent, nonce, 200, 100)],
    "endless": lambda peer_id, sent, nonce: [PONG.pack(2, peer_id, sent, nonce, 100, 2**63 - 1)],
    "eternal": lambda peer_id, sent, nonce: [PONG.pack(2, peer_id, sent, nonce, 2**63 - 1, 2**63 - 1)],
    "noise": lambda peer_id, sent, nonce: [b"", b"\2", bytes(200)],
    "silence": lambda peer_id, sent, nonce: [],
}


def test_other_answers_are_ignored() -> None:
    found = [(status.samples, valid) for status, valid in listen_to(*OTHER_ANSWERS.values())]
    assert dict(zip(OTHER_ANSWERS, found, strict=True)) == dict.fromkeys(OTHER_ANSWERS, (0, False))


def test_the_offset_is_found(host: tuple[HostClock, tuple[str, int]]) -> None:
    clock, address = host
    clock.allow(1, "127.0.0.1")
    for kind in ("envelope", "median", "kalman"):
        peer = PeerClock(*address, peer_id=1, filter_kind=kind)
        try:
            for _ in range(100_000):
                if peer.status(_native.now_ns()).usable:
                    break
                threading.Event().wait(0.001)
            assert abs(peer.clock_map.session_from_local(10**15) - 10**15) < 10**15 * 100e-6
            assert abs(peer.status(_native.now_ns()).offset_ns) < 1_000_000
        finally:
            peer.close()
        trace = peer._pinger.trace()
        assert len(trace) == peer._pinger.status().samples
        assert all(a <= d and b <= c for a, b, c, d in trace)
