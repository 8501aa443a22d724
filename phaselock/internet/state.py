"""What is known about the way from the internet to this computer."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any

from phaselock.frozen import frozen
from phaselock.model.invitation import Nat


class Way(enum.StrEnum):
    """How the router was asked."""

    PCP = "pcp"
    NAT_PMP = "nat-pmp"
    UPNP = "upnp"
    NONE = "none"


class Problem(enum.StrEnum):
    """Why the ports are not open."""

    NONE = ""
    NO_ROUTER = "no_router"
    """This computer has no default route."""
    NO_ANSWER = "no_answer"
    """The router speaks neither PCP nor NAT-PMP nor UPnP."""
    NO_UPNP_LIBRARY = "no_upnp_library"
    """The router speaks neither PCP nor NAT-PMP, and miniupnpc is not installed."""
    REFUSED = "refused"
    """The router answers that it may not do that."""
    NO_PUBLIC_ADDRESS = "no_public_address"
    """The router itself has no connection to the internet, or none with a public address."""
    NO_PORTS = "no_ports"
    """The router has no free port."""
    FAILED = "failed"
    """The router answers with another error, or the child process ended."""


@frozen
class Pinhole:
    """An IPv6 address of this computer, and the ports at which the router lets connections in; 0: not that one."""

    address: str
    tcp: int
    udp: int


@frozen
class RouterState:
    """`router` and `public` are IPv4 addresses; empty: not known. `tcp` and `udp` are the ports of `public` that lead
    from the internet to this computer; 0: none."""

    way: Way = Way.NONE
    nat: Nat = Nat.UNKNOWN
    router: str = ""
    public: str = ""
    tcp: int = 0
    udp: int = 0
    pinholes: tuple[Pinhole, ...] = ()
    problem: Problem = Problem.NONE

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def from_json(state: dict[str, Any]) -> RouterState:
    """The opposite of `to_json`. ValueError, KeyError or TypeError for anything else."""
    return RouterState(
        Way(state["way"]),
        Nat(state["nat"]),
        str(state["router"]),
        str(state["public"]),
        int(state["tcp"]),
        int(state["udp"]),
        tuple(Pinhole(str(one["address"]), int(one["tcp"]), int(one["udp"])) for one in state["pinholes"]),
        Problem(state["problem"]),
    )
