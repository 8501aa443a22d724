"""Checks the way from the internet to this machine: the router, and where a friend elsewhere would reach it. For
`phaselock doctor`."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import queue
import socket
import time
from collections.abc import Callable, Sequence

from phaselock.console.events import Finding
from phaselock.internet.router_mapping import RouterMapping
from phaselock.internet.state import Problem, RouterState, Way
from phaselock.language.message import N_, Message
from phaselock.model.invitation import Nat
from phaselock.model.relay import EXTRA_COMMAND
from phaselock.network.interfaces import OverlayAddress
from phaselock.session import invitation_sentences

ANSWER_LIMIT_S = 10.0
"""How long the router is asked. One that does not answer takes half of it."""
SETTLE_S = 0.5
"""How long the ports of IPv6 may be open later than those of IPv4."""
REMOVE_LIMIT_S = 2.0

LIMIT_S = ANSWER_LIMIT_S + REMOVE_LIMIT_S + 2.0
"""Of all, in seconds."""

_WAYS = {Way.PCP: "PCP", Way.NAT_PMP: "NAT-PMP", Way.UPNP: "UPnP"}
_PROBLEMS = {
    Problem.NO_ANSWER: N_("The router {router} opens no ports: it answers neither PCP nor NAT-PMP nor UPnP."),
    Problem.NO_UPNP_LIBRARY: N_(
        "The router {router} answers neither PCP nor NAT-PMP, and miniupnpc, which asks it by UPnP, is not installed."
    ),
    Problem.REFUSED: N_("The router {router} refuses to open ports."),
    Problem.NO_PUBLIC_ADDRESS: N_("The router {router} opens no ports: it has no public address."),
    Problem.NO_PORTS: N_("The router {router} has no free port."),
}


def ask_router(
    limit_s: float = ANSWER_LIMIT_S, mapping: Callable[[Callable[[RouterState], object]], RouterMapping] = RouterMapping
) -> RouterState:
    """Let the router open two ports of this machine for a moment, and close them again. No program listens there. May
    block for `limit_s` and the time that closing takes. PhaseLockError or OSError if that cannot be tried."""
    states: queue.SimpleQueue[RouterState] = queue.SimpleQueue()
    state = RouterState()
    with socket.socket(type=socket.SOCK_STREAM) as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        ports = []
        for one in (tcp, udp):
            one.bind(("", 0))
            ports.append(one.getsockname()[1])
        asked = mapping(states.put)
        try:
            asked.map(tcp=(ports[0], ports[0]), udp=(ports[1], ports[1]))
            until_s = time.monotonic() + limit_s
            with contextlib.suppress(queue.Empty):
                while (left_s := until_s - time.monotonic()) > 0:
                    state = states.get(timeout=min(left_s, SETTLE_S) if _is_final(state) else left_s)
        finally:
            asked.close()
            asked.wait(REMOVE_LIMIT_S)
    return state


def check_outside(state: RouterState, overlays: Sequence[OverlayAddress], port: int, clock_port: int) -> list[Finding]:
    """What is between this machine and the internet, and where a friend elsewhere would reach it. Invitations lead to
    `port` (TCP) and `clock_port` (UDP) of this machine."""
    nat = Nat(state.nat.value)
    figures = {"way": state.way, "nat": state.nat, "router": state.router, "public": state.public}
    found = [Finding("router", "ok" if _opens(state) else "hint", _router(state, nat), figures=figures)]
    if nat in (Nat.DOUBLE, Nat.CARRIER):
        found.append(Finding("nat", "hint", Message(invitation_sentences.WHAT_IT_IS[nat])))
    return [*found, _friend(state, nat, overlays, port, clock_port)]


def _is_final(state: RouterState) -> bool:
    return _opens(state) or state.problem != Problem.NONE


def _opens(state: RouterState) -> bool:
    return bool(state.tcp and state.udp)


def _router(state: RouterState, nat: Nat) -> Message:
    values = {"router": state.router, "public": state.public}
    if nat == Nat.PUBLIC:
        return Message("This machine has a public address of its own: {public}.", **values)
    if state.way != Way.NONE:
        way = _WAYS[state.way]
        return Message("The router {router} opens ports by {way}. Its address outside is {public}.", **values, way=way)
    if state.problem == Problem.NO_ROUTER:
        return Message("No router leads from here to the internet.")
    if state.problem in _PROBLEMS:
        return Message(_PROBLEMS[state.problem], **values)
    return Message("The router could not be asked to open ports.")


def _friend(state: RouterState, nat: Nat, overlays: Sequence[OverlayAddress], port: int, clock_port: int) -> Finding:
    places: list[str] = [one.address for one in state.pinholes if one.tcp and one.udp]
    if _opens(state) and nat in (Nat.OPEN, Nat.PUBLIC):
        places.insert(0, state.public)
    is_reached = bool(places)
    places += [Message("{address} ({overlay})", address=one.address, overlay=one.overlay) for one in overlays]
    where = functools.reduce(lambda some, one: Message("{some} or {one}", some=some, one=one), places) if places else ""
    helps = Message(invitation_sentences.WHAT_HELPS[nat], port=port, clock_port=clock_port)
    if is_reached:
        message = Message("A friend elsewhere would reach this machine at {addresses}.", addresses=where)
        return Finding("friend", "ok", message, helps if nat == Nat.PUBLIC else "")
    if importlib.util.find_spec("iroh") is None:
        extra = Message("Or install the extra internet on both machines: {command}", command=EXTRA_COMMAND)
    else:
        extra = Message("Or let your friend install the extra internet, too: {command}", command=EXTRA_COMMAND)
    helps = Message.joined("\n", [helps, extra])
    if where:
        message = Message("A friend elsewhere would reach this machine only at {addresses}.", addresses=where)
    else:
        message = Message("A friend elsewhere would not reach this machine.")
    return Finding("friend", "hint", message, helps)
