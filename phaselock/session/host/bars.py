"""The machines that the host's user has removed: they do not come back until `AllowPeer`.

A machine has no identity that it cannot change. A removed machine is known by any of these:

- its token, at any address;
- its name or the name that it asked for, as people read them (see `skeleton`), within the group of its address;
- its address, under any name. This does not count for addresses of this computer, nor while another member is in the
  session from that address, nor for a lost member that returns with its token: behind a NAT, several machines share an
  address, and the others were not removed.

The address is compared and not its group, because all machines of a home network may share the /64 of their IPv6
addresses. A removed machine that takes another address and another name is let in. To prevent that, the host's user
changes the code of the session.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Collection

from phaselock.model.address import address_group, is_loopback
from phaselock.model.names import skeleton
from phaselock.session.host.members import Member

MAX_BARS = 256
"""Largest number of removed machines that are remembered; the oldest ones are forgotten."""


@dataclasses.dataclass(slots=True)
class Bar:
    """One removed machine."""

    name: str
    asked_name: str
    token: bytes = dataclasses.field(repr=False)
    ip: str
    host_key: bytes = b""
    """With which it was a host, or could become one; empty: not known."""
    told: bool = False
    """The user knows that it has tried to come back."""

    def holds(self, name: str, proves: Callable[[bytes], bool], ip: str, member_ips: Collection[str]) -> bool:
        """Whether this is that machine. `proves`: whether it proves that it holds a token."""
        if proves(self.token):
            return True
        names = skeleton(self.name), skeleton(self.asked_name)
        if skeleton(name) in names and address_group(ip) == address_group(self.ip):
            return True
        return ip == self.ip and not is_loopback(ip) and ip not in member_ips


class Bars:
    """All removed machines of a session."""

    def __init__(self) -> None:
        self._bars: collections.deque[Bar] = collections.deque(maxlen=MAX_BARS)

    @property
    def ips(self) -> frozenset[str]:
        """The addresses of the removed machines."""
        return frozenset(bar.ip for bar in self._bars)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the removed machines."""
        return tuple(bar.name for bar in self._bars)

    @property
    def all(self) -> Collection[Bar]:
        """All bars, the oldest first."""
        return self._bars

    def add(self, member: Member, host_key: bytes) -> None:
        """The user has removed this member."""
        self.take(Bar(member.name, member.asked_name, member.token, member.ip, host_key))

    def take(self, bar: Bar) -> None:
        """The user, or that of the host before this one, has removed this machine."""
        self._bars.append(bar)

    def against(self, name: str, proves: Callable[[bytes], bool], ip: str, member_ips: Collection[str]) -> Bar | None:
        """The bar that keeps this machine out. `proves`: see `Bar.holds`. `member_ips`: those of the members."""
        return next((bar for bar in self._bars if bar.holds(name, proves, ip, member_ips)), None)

    def lift(self, name: str) -> bool:
        """Let the machines with this name in again. False if there is none."""
        kept = [bar for bar in self._bars if bar.name.casefold() != name.casefold()]
        lifted = len(kept) < len(self._bars)
        self._bars = collections.deque(kept, maxlen=MAX_BARS)
        return lifted
