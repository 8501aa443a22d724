"""What the mapper asks of the router by UPnP, and what comes back. A thread of its own does it: see igd.py."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping

from phaselock.frozen import frozen
from phaselock.internet.leases import Wanted
from phaselock.internet.pcp import Transport
from phaselock.internet.state import Problem


class UpnpAct(enum.Enum):
    OPEN = enum.auto()
    """Open the ports, or renew them."""
    LOOK = enum.auto()
    """Open the ports that have vanished since."""
    REMOVE = enum.auto()


@frozen
class UpnpJob:
    act: UpnpAct
    router: str
    """Only this one is asked: another computer of the network may claim to be a router."""
    wanted: Wanted


@frozen
class UpnpAnswer:
    """`public`: the router's address outside; empty: not told. `ports`: the public ports that are open."""

    problem: Problem = Problem.NONE
    public: str = ""
    ports: Mapping[Transport, int] = dataclasses.field(default_factory=dict)
