"""What kind of NAT there is, from the addresses on both sides of the router."""

from __future__ import annotations

import ipaddress

from phaselock.internet.state import Problem
from phaselock.model.address import CARRIERS, is_public
from phaselock.model.invitation import Nat

# Between a customer and the provider's own NAT: the second one is that of DS-Lite (RFC 6333).
_CARRIERS = (CARRIERS, ipaddress.IPv4Network("192.0.0.0/29"))
# Other private networks are also used by providers for their own routers, without a NAT.
_HOMES = ipaddress.IPv4Network("192.168.0.0/16")


def verdict(
    own: str, public: str, mapped: bool, failed: bool, problem: Problem, *, seen: str = "", second: str = ""
) -> Nat:
    """`own`: the address of this computer on the way to the router. `public`: what the router says is its address
    outside. `mapped`: it has opened the ports. `failed`: it was asked in all ways, and has not. `seen`: the address at
    which a friend reached this computer. `second`: the next router after it. All addresses are of IPv4; empty: not
    known."""
    if is_public(own):
        return Nat.PUBLIC
    if _is_carriers(public):
        return Nat.CARRIER
    if problem == Problem.NO_PUBLIC_ADDRESS or (public not in ("", "0.0.0.0") and not is_public(public)):
        return Nat.DOUBLE
    if is_public(public) and is_public(seen) and seen != public:
        return Nat.DOUBLE  # the router's address only looks like a public one: another NAT is outside of it
    if mapped and is_public(public):
        return Nat.OPEN
    if failed and public == "" and _is_carriers(second):
        return Nat.CARRIER
    if failed and public == "" and _is_in(second, _HOMES):
        return Nat.DOUBLE
    return Nat.HOME if failed else Nat.UNKNOWN


def _is_carriers(address: str) -> bool:
    return _is_in(address, *_CARRIERS)


def _is_in(address: str, *networks: ipaddress.IPv4Network) -> bool:
    try:
        ip = ipaddress.IPv4Address(address)
    except ValueError:
        return False
    return any(ip in network for network in networks)
