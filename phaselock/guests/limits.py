"""Limits on what the page's connections cost. Times are in seconds of one monotonic clock."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping

from phaselock.model.address import address_group

MAX_CONNECTIONS = 256
"""Most connections."""
MAX_OF_ADDRESS = 64
"""Most connections of one address. A phone has a few; behind a router, several phones share an address."""
REQUESTS_S, REQUESTS_BURST = 300.0, 150.0
"""Requests and messages of all guests: a rate, and how many more may come at once."""
ADDRESS_REQUESTS_S, ADDRESS_REQUESTS_BURST = 60.0, 90.0
"""Those of one address."""
FILE_BYTES_S, FILE_BURST_BYTES = 6e6, 2e6
"""Bytes of the files of all guests, both ways. The files of peers go at their own rate."""
_MAX_ADDRESSES = 1024
"""Addresses with a bucket of their own."""


class Bucket:
    """Allows a rate of things, and `burst` of them at once."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._left = burst
        self._at_s = 0.0

    def spend(self, amount: float, now_s: float) -> float:
        """Spend `amount`, and return after how many seconds the next one may come; 0: at once."""
        self._refill(now_s)
        self._left -= amount
        return max(0.0, -self._left / self._rate)

    def take(self, amount: float, now_s: float) -> bool:
        """Spend `amount` if it is left. False: it is not, and nothing is spent."""
        self._refill(now_s)
        if self._left < amount:
            return False
        self._left -= amount
        return True

    def is_full(self, now_s: float) -> bool:
        """Whether nothing was spent lately."""
        self._refill(now_s)
        return self._left >= self._burst

    def _refill(self, now_s: float) -> None:
        self._left = min(self._burst, self._left + max(0.0, now_s - self._at_s) * self._rate)
        self._at_s = max(self._at_s, now_s)


class Pace:
    """Spaces the requests and messages of all connections. A connection that is too fast is not read for a while, so
    that it costs nothing; others from its address wait with it."""

    def __init__(self) -> None:
        self._all = Bucket(REQUESTS_S, REQUESTS_BURST)
        self._of: collections.OrderedDict[str, Bucket] = collections.OrderedDict()
        """By address, the one that was used last behind the others."""

    def spend(self, ip: str, now_s: float, amount: float = 1.0) -> float:
        """A request has come from this address. Return for how many seconds its connection is not read; 0: go on."""
        bucket = self._of.get(ip)
        if bucket is None:
            bucket = self._of[ip] = Bucket(ADDRESS_REQUESTS_S, ADDRESS_REQUESTS_BURST)
            while len(self._of) > _MAX_ADDRESSES:
                self._of.popitem(last=False)
        self._of.move_to_end(ip)
        return max(bucket.spend(amount, now_s), self._all.spend(amount, now_s))


def to_close(connections: Iterable[tuple[int, str, bool]], ip: str) -> int | None:
    """What a new connection from `ip` costs, if each of the connections is its number, its address, and whether it
    waits for a request. 0: nothing. Another number: this connection must be closed for it. None: it gets no place.

    Numbers grow from 1, so the oldest of those that wait is closed, and of the group of addresses that has the most.
    """
    there: Mapping[str, list[tuple[int, bool]]] = collections.defaultdict(list)
    total, of_address, oldest_here = 0, 0, 0
    for number, other_ip, is_idle in connections:
        there[address_group(other_ip)].append((number, is_idle))
        total += 1
        of_address += other_ip == ip
        if other_ip == ip and is_idle and (not oldest_here or number < oldest_here):
            oldest_here = number
    if of_address >= MAX_OF_ADDRESS:
        return oldest_here or None
    if total < MAX_CONNECTIONS:
        return 0
    for group in sorted(there.values(), key=len, reverse=True):
        if idle := [number for number, is_idle in group if is_idle]:
            return min(idle)
    return None
