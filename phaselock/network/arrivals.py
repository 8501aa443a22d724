"""Limits on how often the machines at one group of addresses connect to the outside port of a host.

A connection that is taken costs a handshake of TLS. One that is not is closed at once, so that the queue of the system
does not fill with connections of one machine, and keep friends out. The connections of members carry files: they are
not counted.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable

from phaselock.model.address import address_group

AT_ONCE = 32
"""Most connections of one group at once: a friend measures some places, which may all lead to this host."""
EVERY_S = 0.5
"""Smallest mean interval in seconds between two connections of one group."""
MAX_GROUPS = 1024
"""Groups that are remembered; those that came first are forgotten."""


class Arrivals:
    """For the network thread. `now_s` is the time of the loop."""

    def __init__(self, member_ips: Iterable[str]) -> None:
        """`member_ips` are the addresses of the members at any time."""
        self._member_ips = member_ips
        self._free_at_s: collections.OrderedDict[str, float] = collections.OrderedDict()
        """When the connections of a group so far are made up for."""

    def take(self, ip: str, now_s: float) -> bool:
        """Whether a connection that has come from `ip` is taken."""
        group = address_group(ip)
        if group in {address_group(one) for one in self._member_ips}:
            return True
        free_at_s = max(self._free_at_s.get(group, 0.0), now_s) + EVERY_S
        if free_at_s > now_s + AT_ONCE * EVERY_S:
            return False
        self._free_at_s[group] = free_at_s
        if len(self._free_at_s) > MAX_GROUPS:
            self._free_at_s.popitem(last=False)
        return True
