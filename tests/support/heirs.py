"""A host, the machines that can become it, and what they are as the host, without sockets."""

from __future__ import annotations

from phaselock.model.heritage import HostContact
from phaselock.protocol import messages as m
from phaselock.session import effects as e
from phaselock.session.commands import Add
from phaselock.session.host.session import HostSession
from tests.support.session_harness import HarnessPeer, SessionHarness
from tests.support.simulation import HOST_KEY, SECOND, a_track

LIAR = b"L" * 32


def key_of(peer: HarnessPeer) -> bytes:
    return peer.name.encode().ljust(32, b"k")


def a_line(*names: str, tracks: int = 3) -> tuple[SessionHarness, list[HarnessPeer]]:
    """A session in which all peers have become successors."""
    harness = SessionHarness()
    peers = [harness.join(name) for name in names]
    for node in (harness.host, *peers):
        node._report_every_ns = SECOND  # to be quick
    harness.command(*(Add(a_track(number + 1)) for number in range(tracks)))
    harness.run(2.1)
    harness.host.call(harness.host.core.reachable_at, ("10.0.0.1",), 17401)
    harness.run(0.1)
    for peer in peers:
        peer.call(peer.core.stands_by, 17401, 17402, key_of(peer))
    harness.run(0.3)
    return harness, peers


def line_at(peer: HarnessPeer) -> m.SuccessionLine:
    return peer.told(m.SuccessionLine)[-1]


def successor_of(harness: SessionHarness, peer: HarnessPeer) -> HostSession:
    """The session of this peer after the host has handed over to it."""
    me = next(one for one in line_at(peer).successors if one.name == peer.name)
    peer.call(peer.core.received, m.HostMoved(me, 1, (HOST_KEY, me.host_key)))
    (taken,) = peer.of(e.TakeOver)
    core = HostSession.from_heritage(
        taken.heritage, clock_port=17402, token_factory=lambda: b"t" * 16, host_key=me.host_key
    )
    core.took_over(taken.cause, now_ns=harness.host.now_ns)
    return core


def liar_contact() -> HostContact:
    """A machine that only says that it is a host."""
    return HostContact(1, "Liar", ("10.0.0.66",), 17401, 17402, LIAR)
