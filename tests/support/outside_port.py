"""The outside port of a host in a NetworkFixture, and another host that has an address of the invitation."""

from __future__ import annotations

import contextlib
import socket

from phaselock.network.reach import Place
from phaselock.session.commands import InvitationPlaces, Invite
from tests.support.network_session import NetworkFixture

CODE = "4829134471"
"""Of the invitation."""


def listener(stack: contextlib.AsyncExitStack) -> socket.socket:
    sock = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    sock.setblocking(False)
    return sock


def outside(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> Place:
    """Open an invitation, and the outside port at this place."""
    runner, sock = network.host.runner, listener(stack)
    runner.open_outside = lambda: runner.listen_outside(sock)
    # Before it is closed: on Windows, that would make an error of the `accept` that waits.
    stack.push_async_callback(runner.stop_outside, sock)
    runner.command(Invite(CODE))
    runner.command(InvitationPlaces(()))
    place: Place = sock.getsockname()
    return place


async def neighbour(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> NetworkFixture:
    """Another host, in the house of the friend."""
    folder = network.folder / "neighbour"
    folder.mkdir()
    found = NetworkFixture(folder)
    await found.open(stack)
    return found
