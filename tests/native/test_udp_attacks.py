"""What an attacker who sees, changes, repeats and forges packets of the clock achieves: nothing.

The attacker has no key. Both clocks run on real sockets.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator

import pytest

from phaselock import _native
from phaselock.sync.clock import HostClock, PeerClock, PeerClocks
from phaselock.sync.trace import Exchange
from tests.support.clock_packets import (
    MAC_BYTES,
    PACKET_BYTES,
    PING,
    ClockAsker,
    FakeClockHost,
    bound,
    is_authentic,
    ping,
    pong,
)

KEY, OTHER_KEY = bytes(range(16)), bytes(range(1, 17))
MAX_PINGS_AT_ONCE = 400
"""As in ext/pl_udp.c."""


@pytest.fixture
def host() -> Iterator[ClockAsker]:
    with ClockAsker() as asker:
        asker.clock.allow(3, "127.0.0.1", KEY)
        yield asker


def altered(packet: bytes, at: int, bit: int = 0) -> bytes:
    """The packet with one bit inverted in the byte `at`."""
    return packet[:at] + bytes((packet[at] ^ 1 << bit,)) + packet[at + 1 :]


# -- against the host --------------------------------------------------------------------------------------------------


def test_a_ping_with_any_bit_altered_is_not_answered(host: ClockAsker) -> None:
    honest = ping(KEY, 3, 10**15)
    pings = [altered(honest, at, bit) for at in range(PACKET_BYTES) for bit in range(8)]
    for begin in range(0, len(pings), 37):
        assert not host.answers(*pings[begin : begin + 37])
    assert host.answers(honest)


def test_a_ping_under_another_key_or_none_is_not_answered(host: ClockAsker) -> None:
    bare = ping(KEY, 3, 1)[:-MAC_BYTES]
    assert not host.answers(ping(OTHER_KEY, 3, 1), bare + bytes(MAC_BYTES), bare + b"\xff" * MAC_BYTES)


def test_the_key_of_one_member_is_of_no_use_in_the_name_of_another(host: ClockAsker) -> None:
    host.clock.allow(4, "127.0.0.1", OTHER_KEY)
    assert not host.answers(ping(KEY, 4, 1), ping(OTHER_KEY, 3, 1))
    assert len(host.answers(ping(KEY, 3, 1), ping(OTHER_KEY, 4, 1))) == 2


def test_a_ping_that_is_sent_again_is_not_answered_again(host: ClockAsker) -> None:
    one, two = ping(KEY, 3, 1000), ping(KEY, 3, 1001)
    assert len(host.answers(one, one, two, one, two, ping(KEY, 3, 999))) == 2
    host.clock.forbid(3)
    host.clock.allow(3, "127.0.0.1", KEY)
    assert not host.answers(one, two)  # nor after a return under the same key, which no host does
    assert host.answers(ping(KEY, 3, 1002))


def test_after_a_return_the_old_key_is_void(host: ClockAsker) -> None:
    recorded = ping(KEY, 3, 5000)
    assert host.answers(ping(KEY, 3, 4000))
    host.clock.allow(3, "127.0.0.1", OTHER_KEY)
    assert not host.answers(recorded, ping(KEY, 3, 6000))
    assert host.answers(ping(OTHER_KEY, 3, 1))  # the numbers begin again
    host.clock.forbid(3)
    assert not host.answers(ping(OTHER_KEY, 3, 2))


def test_a_pong_that_is_sent_back_is_not_answered(host: ClockAsker) -> None:
    (answer,) = host.answers(ping(KEY, 3, 1))
    assert not host.answers(answer, bytes((PING,)) + answer[1:])


def test_forged_and_repeated_pings_do_not_starve_a_member(host: ClockAsker) -> None:
    """Without the check of the MAC they used up the member's pings."""
    assert host.answers(first := ping(KEY, 3, 1))
    forged = ping(OTHER_KEY, 3, 10**18)
    for _ in range(4 * MAX_PINGS_AT_ONCE // 40):
        assert not host.answers(*[forged, first] * 20)
    honest = [ping(KEY, 3, sent_ns) for sent_ns in range(2, MAX_PINGS_AT_ONCE)]
    for begin in range(0, len(honest), 40):
        assert len(host.answers(*honest[begin : begin + 40])) == len(honest[begin : begin + 40])


def test_an_empty_datagram_is_refused_like_any_other(host: ClockAsker) -> None:
    """Taken for the end of the queue, it made the thread sleep for a millisecond each time."""
    _, refused = host.clock._responder.counts
    assert len(host.answers(b"", ping(KEY, 3, 1), b"", b"")) == 1
    assert host.clock._responder.counts[1] == refused + 3


def test_a_member_with_its_key_has_a_limit(host: ClockAsker) -> None:
    answers = sum(len(host.answers(*(ping(KEY, 3, 1 + 40 * k + n) for n in range(40)))) for k in range(100))
    assert MAX_PINGS_AT_ONCE <= answers < 4000


@pytest.mark.parametrize("rounds", [300, pytest.param(20_000, marks=pytest.mark.slow)])
def test_random_packets_change_nothing(host: ClockAsker, rounds: int) -> None:
    """Random bytes, and packets of before that were altered at random, with honest pings between them."""
    chance = random.Random(2012)
    recorded = [ping(KEY, 3, 1)]
    for number in range(2, rounds):
        pieces = [chance.choice(recorded) for _ in range(8)]
        packets = [
            chance.randbytes(chance.choice((0, 1, 29, 36, 37, 38, 200))),
            bytes((PING,)) + (3).to_bytes(4, "little") + chance.randbytes(32),
            *(altered(piece, chance.randrange(len(piece)), chance.randrange(8)) for piece in pieces if piece),
            b"".join(pieces)[chance.randrange(37) :][:37],
        ]
        chance.shuffle(packets)
        known = set(recorded)
        assert not host.answers(*(packet for packet in packets if packet not in known))
        if number % 20 == 0:
            honest = ping(KEY, 3, number)
            answer = host.ask(honest)
            assert is_authentic(answer, KEY)
            recorded = [*recorded[-40:], honest, answer]
        if number % 100 == 0:
            host.clock.allow(3, "127.0.0.1", KEY)


# -- against a peer ----------------------------------------------------------------------------------------------------


class Path:
    """An attacker between a peer and its host: all that the host says passes it. It answers each ping with what
    `attack(honest pong, ping)` returns."""

    AHEAD_NS = 10**12

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._chance = random.Random(kind)
        self._recorded: list[bytes] = []
        self.host = FakeClockHost(self._answer)
        self.clock = PeerClock(*self.host.address, peer_id=5, key=KEY)

    def _answer(self, peer_id: int, sent_ns: int) -> list[bytes]:
        now_ns = _native.now_ns() + self.AHEAD_NS
        honest = pong(KEY, peer_id, sent_ns, now_ns, now_ns)
        self._recorded.append(honest)  # is sent again later
        moved = pong(OTHER_KEY, peer_id, sent_ns, now_ns + 10**7, now_ns + 10**7)
        match self._kind:
            case "altered":
                return [altered(honest, at, self._chance.randrange(8)) for at in range(PACKET_BYTES)]
            case "another key":
                return [moved]
            case "no key":
                return [moved[:-MAC_BYTES] + bytes(MAC_BYTES), moved[:-MAC_BYTES] + honest[-MAC_BYTES:]]
            case "reflected":
                return [self.host.pings[-1], b"\x02" + self.host.pings[-1][1:]]
            case "random":
                return [self._chance.randbytes(PACKET_BYTES) for _ in range(37)]
            case _:
                return [moved, altered(honest, 20), self.host.pings[-1], honest, *self._recorded[-20:]]


ATTACKS = ("altered", "another key", "no key", "reflected", "random", "beside honest answers")


def test_no_attack_on_the_way_moves_a_clock() -> None:
    """Only the honest answers count, each once, and no answer keeps an honest one of the same ping from counting."""
    paths = {kind: Path(kind) for kind in ATTACKS}
    for path in paths.values():
        assert path.host.enough.wait(60)
        path.clock.close()
        path.host.close()
    found = {kind: (path.clock._pinger.status(), path.clock.clock_map.value()) for kind, path in paths.items()}
    for kind in ATTACKS[:-1]:
        status, known = found[kind]
        assert (status.samples, known.valid) == (0, False), kind
        assert status.refused > 30, kind
    status, known = found[ATTACKS[-1]]
    assert 30 < status.samples <= status.sent < status.refused
    assert abs(known.offset_ns - Path.AHEAD_NS) < 5_000_000  # the forged ones say ten milliseconds more


def test_a_new_key_continues_the_measurement() -> None:
    """The peer has joined again. Its earlier measurements stay valid, and the old key is void."""
    clocks = PeerClocks("envelope")

    def exchanges() -> list[Exchange]:
        assert clocks._clock is not None
        return clocks._clock.exchanges()

    with ClockAsker() as host:
        host.clock.allow(5, "127.0.0.1", KEY)
        clocks.start(*host.address, 5, "127.0.0.1", KEY)
        try:
            while len(before := exchanges()) < 40:
                threading.Event().wait(0.001)
            host.clock.allow(5, "127.0.0.1", OTHER_KEY)
            while host.clock._responder.counts[1] < 5:
                threading.Event().wait(0.001)
            clocks.start(*host.address, 5, "127.0.0.1", OTHER_KEY)
            began = len(exchanges())
            while len(after := exchanges()) < began + 40:
                threading.Event().wait(0.001)
        finally:
            clocks.stop()
    assert after[: len(before)] == before
    assert clocks.clock_map.value().valid


def test_a_flood_in_its_name_does_not_starve_a_peer() -> None:
    """A peer measures while forged pings in its name come from its own address, as fast as they are refused."""
    with ClockAsker() as host, bound() as flooder:
        host.clock.allow(5, "127.0.0.1", KEY)
        clock = PeerClock(*host.address, peer_id=5, key=KEY)
        forged = ping(OTHER_KEY, 5, 10**18)
        try:
            while clock._pinger.status().samples < 100 or host.count < 5000:
                due = host.count + 40
                for _ in range(40):
                    flooder.sendto(forged, host.address)
                host.wait_for(due)
        finally:
            clock.close()
        assert host.clock._responder.counts[0] >= 100
        assert clock.status(_native.now_ns()).usable


def test_host_and_peer_agree_under_one_key_only() -> None:
    with ClockAsker() as host:
        host.clock.allow(5, "127.0.0.1", KEY)
        stranger = PeerClock(*host.address, peer_id=5, key=OTHER_KEY)
        while host.clock._responder.counts[1] < 50:
            threading.Event().wait(0.001)
        stranger.close()
        assert (stranger._pinger.status().samples, stranger.clock_map.value().valid) == (0, False)


def test_keys_have_16_bytes(host: ClockAsker) -> None:
    clock: HostClock = host.clock
    for key in (b"", bytes(15), bytes(17)):
        with pytest.raises(ValueError, match="16 bytes"):
            clock.allow(3, "127.0.0.1", key)
