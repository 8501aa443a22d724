"""Packets of the clock, and both ends of its exchange, as the tests make them; see ext/pl_udp.h."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Self

from phaselock import _native
from phaselock.sync.clock import HostClock

PING, PONG = 1, 2
PACKET_BYTES, MAC_BYTES = 37, 8
_FIELDS = struct.Struct("<BIQQQ")
_MAC = struct.Struct("<Q")


def signed(fields: bytes, key: bytes) -> bytes:
    """These bytes with their MAC."""
    return fields + _MAC.pack(_native.siphash(key, fields))


def ping(key: bytes, peer_id: int, sent_ns: int) -> bytes:
    """A ping of this peer."""
    return signed(_FIELDS.pack(PING, peer_id, sent_ns, 0, 0), key)


def pong(key: bytes, peer_id: int, sent_ns: int, host_recv_ns: int, host_send_ns: int) -> bytes:
    """The answer to the ping that this peer sent then."""
    return signed(_FIELDS.pack(PONG, peer_id, sent_ns, host_recv_ns, host_send_ns), key)


def fields(packet: bytes) -> tuple[int, int, int, int, int]:
    """(type, peer_id, sent_ns, host_recv_ns, host_send_ns) of a packet."""
    kind, peer_id, sent_ns, host_recv_ns, host_send_ns = _FIELDS.unpack(packet[:-MAC_BYTES])
    return kind, peer_id, sent_ns, host_recv_ns, host_send_ns


def is_authentic(packet: bytes, key: bytes) -> bool:
    """Is its MAC that of its fields?"""
    return signed(packet[:-MAC_BYTES], key) == packet


def bound() -> socket.socket:
    """A UDP socket of this machine."""
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind(("127.0.0.1", 0))
    one.settimeout(20)
    return one


class ClockAsker:
    """A host's clock, and a socket that sends packets to it; a context manager. `clock_map`: see HostClock."""

    def __init__(self, clock_map: _native.ClockMap | None = None) -> None:
        listener = bound()
        self.address = listener.getsockname()
        self.clock = HostClock(listener, clock_map)
        self._socket = bound()
        self._socket.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self.clock.close()

    def answers(self, *packets: bytes) -> list[bytes]:
        """All answers to these packets: at most 40, because the buffer of a socket is small. Call it only while no
        other packets come."""
        assert len(packets) <= 40
        done = self.count + len(packets)
        for packet in packets:
            self._socket.sendto(packet, self.address)
        self.wait_for(done)
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self._socket.recv(100))
        return found

    def ask(self, packet: bytes) -> bytes:
        """The answer to this packet."""
        (answer,) = self.answers(packet)
        return answer

    @property
    def count(self) -> int:
        """Packets that came so far."""
        return sum(self.clock._responder.counts)

    def wait_for(self, count: int) -> None:
        """Wait until this number of packets came."""
        while self.count < count:
            threading.Event().wait(0.0005)


class FakeClockHost:
    """A host whose answers the test makes: `answer(peer_id, sent_ns)` returns packets."""

    def __init__(self, answer: Callable[[int, int], Sequence[bytes]]) -> None:
        self._socket = bound()
        self._socket.settimeout(None)  # the test may rest; `close` ends the thread
        self.address = self._socket.getsockname()
        self.pings: list[bytes] = []
        self.enough = threading.Event()
        """There were 40 pings."""
        self._answer = answer
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            packet, sender = self._socket.recvfrom(100)
            if len(packet) != PACKET_BYTES:
                return
            self.pings.append(packet)
            _, peer_id, sent_ns, _, _ = fields(packet)
            for reply in self._answer(peer_id, sent_ns):
                self._socket.sendto(reply, sender)
            if len(self.pings) == 40:
                self.enough.set()

    def close(self) -> None:
        with bound() as ender:
            ender.sendto(b"end", self.address)
        self._thread.join()
        self._socket.close()
