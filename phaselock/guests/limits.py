"""Limits on what the page's connections cost. Times are in seconds of one monotonic clock."""

from __future__ import annotations

import collections
from collections.abc import Iterable
from typing import NamedTuple

MAX_CONNECTIONS = 256
"""Most connections."""
MAX_OF_ADDRESS = 64
"""Most connections of one address. A phone has a few; behind a router, several phones share an address."""
ADDRESS_REQUESTS_S, ADDRESS_REQUESTS_BURST = 60.0, 90.0
"""Requests and messages of one address: a rate, and how many more may come at once. See turns.py for all addresses."""
OPENINGS_S, OPENINGS_BURST = 10.0, 80.0
"""New connections of one address. A page opens six at most, and goes on with them."""
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
    """Spaces the requests and messages of each address. A connection that is too fast is not read for a while, so that
    it costs nothing; others from its address wait with it."""

    def __init__(self) -> None:
        self._of: collections.OrderedDict[str, Bucket] = collections.OrderedDict()
        """By address, the one that was used last behind the others."""

    def spend(self, ip: str, now_s: float, amount: float = 1.0) -> float:
        """A request has come from this address. Return for how many seconds its connection is not read; 0: go on."""
        return _of_address(self._of, ip, ADDRESS_REQUESTS_S, ADDRESS_REQUESTS_BURST).spend(amount, now_s)


class Openings:
    """Limits how often an address may connect."""

    def __init__(self) -> None:
        self._of: collections.OrderedDict[str, Bucket] = collections.OrderedDict()
        """By address, the one that was used last behind the others."""

    def take(self, ip: str, now_s: float) -> bool:
        """Whether one more connection of this address is taken."""
        return _of_address(self._of, ip, OPENINGS_S, OPENINGS_BURST).take(1.0, now_s)


class Place(NamedTuple):
    """A connection."""

    number: int
    """From 1, in the order of their arrival."""
    ip: str
    group: str
    """See `address_group`."""
    is_idle: bool
    """It waits for a request."""


def to_close(places: Iterable[Place], ip: str) -> int | None:
    """What a new connection from `ip` costs. 0: nothing. Another number: this connection must be closed for it. None:
    it gets no place.

    Of those that wait for a request the oldest is closed: of the same address if that has too many, else of the group
    of addresses that has the most.
    """
    there = list(places)
    here = [place for place in there if place.ip == ip]
    if len(here) >= MAX_OF_ADDRESS:
        return _oldest_idle(here)
    if len(there) < MAX_CONNECTIONS:
        return 0
    crowd = collections.Counter(place.group for place in there)
    for group, _ in crowd.most_common():
        if number := _oldest_idle(place for place in there if place.group == group):
            return number
    return None


def _of_address(buckets: collections.OrderedDict[str, Bucket], ip: str, rate: float, burst: float) -> Bucket:
    """The bucket of this address, perhaps a new one; the one that was not used for the longest time is forgotten."""
    bucket = buckets.setdefault(ip, Bucket(rate, burst))
    buckets.move_to_end(ip)
    while len(buckets) > _MAX_ADDRESSES:
        buckets.popitem(last=False)
    return bucket


def _oldest_idle(places: Iterable[Place]) -> int | None:
    return min((place.number for place in places if place.is_idle), default=None)
