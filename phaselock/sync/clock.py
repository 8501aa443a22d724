"""The session clock: starts and stops the native clock threads.

The host's thread answers pings; each peer's thread measures. Neither of them runs Python code.
"""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import logging
import socket
import threading
from typing import Any

from phaselock import _native
from phaselock.model.address import for_resolver
from phaselock.model.types import HOST_CLOCK, UNKNOWN_CLOCK, ClockStatus
from phaselock.sync.trace import Exchange, round_trip_ns

_log = logging.getLogger("phaselock.clock")

MAX_USABLE_UNCERTAINTY_NS = 1_000_000
"""A clock is usable if its uncertainty is below this: the distance that loudspeakers may have."""
STALE_NS = 2_000_000_000
"""A clock is stale if its newest measurement is older than this: ten trains of pings."""
_TOS_URGENT = 46 << 2
"""DSCP "expedited forwarding": a packet that waits behind a download in a router or wireless card is useless."""
_COUNTS_EVERY_NS = 1_000_000_000
"""Smallest interval between two lines of the log about a host's pings."""
_LEAST_RTT_EVERY_NS = 2_000_000_000
"""How often the least round trip is looked for among the exchanges, at first."""
_LEAST_RTT_SELDOM_NS = 10_000_000_000
"""The same once there are many exchanges: another one seldom changes the least, and looking at 4096 takes 2 ms."""
_MANY_EXCHANGES = 1000
_WANDER = 0.05e-6
"""How fast a clock may leave its fitted line while it is not measured, a ratio (0.05 ppm): the drift of a laptop's
crystal varies by about this much with the temperature of a room."""


def clock_status(
    known: _native.ClockMapValue,
    last_sample_ns: int | None,
    rtt_ns: int,
    least_rtt_ns: int | None = None,
    *,
    now_ns: int,
) -> ClockStatus:
    """What a clock map that was measured some time ago still says at local time `now_ns`. `last_sample_ns` is the local
    time of the newest measurement (None: there is none), `rtt_ns` its recent worst round trip."""
    if not known.valid:
        return dataclasses.replace(UNKNOWN_CLOCK, local_ns=now_ns)
    age_ns = max(0, now_ns - known.local_ns)
    uncertainty_ns = (known.uncertainty_ns**2 + (known.drift_uncertainty * age_ns) ** 2) ** 0.5 + _WANDER * age_ns
    return ClockStatus(
        local_ns=now_ns,
        usable=uncertainty_ns < MAX_USABLE_UNCERTAINTY_NS,
        stale=last_sample_ns is None or now_ns - last_sample_ns > STALE_NS,
        offset_ns=known.offset_ns + round(known.drift * (now_ns - known.local_ns)),
        drift_ppm=known.drift * 1e6,
        uncertainty_ns=int(uncertainty_ns),
        rtt_ns=rtt_ns if last_sample_ns is not None else None,
        least_rtt_ns=least_rtt_ns,
    )


class HostClock:
    """Answers the pings of allowed peers on a bound UDP socket, and owns this socket.

    The machine that has opened the session made its local time session time. A later host brings `clock_map`, which it
    has measured as a peer: from now on that line is session time, and no code may write the map.
    """

    def __init__(self, bound: socket.socket, clock_map: _native.ClockMap | None = None) -> None:
        self._socket = bound
        _prepare(bound)
        self.clock_map = clock_map or _native.ClockMap(identity=True)
        self._responder = _native.Responder(bound.fileno(), self.clock_map)
        self._counts = self._responder.counts
        """As of the last line of the log."""
        self._counts_due_ns = 0
        self._thread = threading.Thread(target=self._responder.run, name="clock", daemon=True)
        self._thread.start()

    def allow(self, peer_id: int, ip: str, key: bytes) -> None:
        """Answer this peer, only at this address and only pings under this key of 16 bytes."""
        self._responder.allow(peer_id, _packed(ip), key)

    def forbid(self, peer_id: int) -> None:
        """Stop answering this peer."""
        self._responder.forbid(peer_id)

    def session_ns(self) -> int:
        """Session time now."""
        return self.clock_map.session_from_local(_native.now_ns())

    def status(self, now_session_ns: int) -> ClockStatus:
        """The map at a session time. Its uncertainty is that of the last measurement, against the clocks of the
        hosts before this one: it does not grow, because this line is session time now."""
        known, local_ns = self.clock_map.value(), self.clock_map.local_from_session(now_session_ns)
        return dataclasses.replace(
            HOST_CLOCK,
            local_ns=local_ns,
            offset_ns=now_session_ns - local_ns,
            drift_ppm=known.drift * 1e6,
            uncertainty_ns=int(known.uncertainty_ns),
        )

    def log_counts(self) -> None:
        """Log the numbers of pings if they have changed, at most every _COUNTS_EVERY_NS."""
        if _log.isEnabledFor(logging.DEBUG) and _native.now_ns() >= self._counts_due_ns:
            if (counts := self._responder.counts) != self._counts:
                self._counts, self._counts_due_ns = counts, _native.now_ns() + _COUNTS_EVERY_NS
                _log.debug("pings answered=%d refused=%d", *counts)

    def close(self) -> None:
        """End the thread, then close the socket."""
        self._responder.stop()
        self._thread.join()
        self._counts_due_ns = 0
        self.log_counts()
        self._socket.close()


class PeerClock:
    """Measures the host's clock at (ip, port) and updates `clock_map`. `key`: 16 bytes from the host, the key of the
    MACs of pings and pongs. `filter_kind` is one of `model.choices.FILTERS`.

    The host answers a peer only at the address of its control connection. `own_ip` is that address of this machine,
    from which the pings leave (empty: the system chooses). OSError if the host cannot be reached.
    """

    def __init__(
        self,
        ip: str,
        port: int,
        peer_id: int,
        key: bytes,
        filter_kind: str = "envelope",
        clock_map: _native.ClockMap | None = None,
        own_ip: str = "",
    ) -> None:
        self.clock_map = clock_map if clock_map is not None else _native.ClockMap()
        self._logged: Exchange | None = None
        self._least_rtt_ns: int | None = None
        self._least_rtt_due_ns = 0
        family, address = _numeric(ip, port)
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            if own_ip:
                self._socket.bind(_numeric(own_ip, 0)[1])
            self._socket.connect(address)
            _prepare(self._socket)
        except OSError:
            self._socket.close()
            raise
        self._pinger = _native.Pinger(self._socket.fileno(), peer_id, key, self.clock_map, filter_kind)
        self._thread = threading.Thread(target=self._pinger.run, name="clock", daemon=True)
        self._thread.start()

    def use_key(self, key: bytes) -> None:
        """Go on measuring under this key: the peer has joined the same host again."""
        self._pinger.use_key(key)

    def status(self, now_ns: int) -> ClockStatus:
        """What is known at local time `now_ns`; the uncertainty grows while no sample comes."""
        samples = self._pinger.status()
        if _log.isEnabledFor(logging.DEBUG):
            self._log_exchanges(samples)
        if samples.samples and now_ns >= self._least_rtt_due_ns:
            every_ns = _LEAST_RTT_EVERY_NS if samples.samples < _MANY_EXCHANGES else _LEAST_RTT_SELDOM_NS
            self._least_rtt_due_ns = now_ns + every_ns
            self._least_rtt_ns = min(map(round_trip_ns, self.exchanges()), default=None)
        last_sample_ns = samples.last_sample_ns if samples.samples else None
        return clock_status(self.clock_map.value(), last_sample_ns, samples.rtt_ns, self._least_rtt_ns, now_ns=now_ns)

    def exchanges(self, after: Exchange | None = None) -> list[Exchange]:
        """The exchanges after `after` (None: all), oldest first; at most the newest 4096: 25 s just after joining,
        100 s later."""
        found = self._pinger.trace()
        return found[found.index(after) + 1 :] if after in found else found

    def loss(self) -> float:
        """The fraction of the measurements that were not answered. The first ping of each train wakes the path and is
        no measurement."""
        samples = self._pinger.status()
        return min(1.0, max(0.0, 1 - samples.samples / samples.asked)) if samples.asked > 0 else 1.0

    def _log_exchanges(self, samples: _native.PingerStatus) -> None:
        """Log the exchanges since the last call."""
        new = self.exchanges(self._logged)
        for t1, t2, t3, t4 in new:
            _log.debug("ping rtt_us=%.1f offset_ns=%d", (t4 - t1 - (t3 - t2)) / 1e3, (t2 - t1 + t3 - t4) // 2)
        if new:
            self._logged = new[-1]
            known = self.clock_map.value()
            numbers = (known.offset_ns, known.drift * 1e6, known.uncertainty_ns / 1e3, samples.sent, samples.refused)
            _log.debug("clock offset_ns=%d drift_ppm=%.3f within_us=%.1f; pings sent=%d pongs refused=%d", *numbers)

    def close(self) -> None:
        """End the thread, then close the socket."""
        self._pinger.stop()
        self._thread.join()
        self._socket.close()


class PeerClocks:
    """A peer's clock: one clock map for the player, and the thread that updates it while the host can be asked.

    A machine that was the host before brings its `clock_map`. What it says stays in use until the new host's clock is
    measured better: see pl_pinger_init in ext/pl_udp.h.
    """

    def __init__(self, filter_kind: str, clock_map: _native.ClockMap | None = None) -> None:
        self.clock_map = clock_map or _native.ClockMap()
        self._filter_kind = filter_kind
        self._clock: PeerClock | None = None
        self._target: tuple[str, int, int, str] | None = None
        self._key = b""

    def start(self, host_ip: str, port: int, peer_id: int, own_ip: str, key: bytes) -> None:
        """Measure the host's clock from the local address `own_ip` under this key. A measurement with the same values
        continues, also if only the key is another one. OSError if the host cannot be reached."""
        target = host_ip, port, peer_id, own_ip
        self._key = key
        if self._clock and target == self._target:
            self._clock.use_key(key)
        else:
            self.stop()
            self._clock = PeerClock(host_ip, port, peer_id, key, self._filter_kind, self.clock_map, own_ip)
            self._target = target

    def start_anew(self) -> None:
        """Forget the measurements, because the path to the host has changed, and measure again. The clock map keeps its
        last values until there are new ones. No effect while it is stopped; OSError if the host cannot be reached."""
        if self._clock and self._target:
            target = self._target
            self.stop()
            self.start(*target, self._key)

    def stop(self) -> None:
        """Stop measuring; the clock map keeps its last values."""
        if self._clock:
            self._clock.close()
            self._clock = self._target = None

    def status(self, now_ns: int) -> ClockStatus:
        """What is known at that local time; while nothing is measured, what was measured before."""
        return (
            self._clock.status(now_ns) if self._clock else clock_status(self.clock_map.value(), None, 0, now_ns=now_ns)
        )


def _numeric(ip: str, port: int) -> tuple[int, tuple[Any, ...]]:
    """The family and the address of a socket, for an address as text that may contain a scope (fe80::1%eth0)."""
    flags = socket.AI_NUMERICHOST
    family, _, _, _, address = socket.getaddrinfo(for_resolver(ip), port, type=socket.SOCK_DGRAM, flags=flags)[0]
    return family, address


def _prepare(sock: socket.socket) -> None:
    sock.setblocking(False)
    with contextlib.suppress(OSError, AttributeError):
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _TOS_URGENT)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _TOS_URGENT)


def _packed(ip: str) -> bytes:
    return ipaddress.ip_address(ip.partition("%")[0]).packed
