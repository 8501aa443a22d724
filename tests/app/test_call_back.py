"""The port of a friend elsewhere, without a router and without a host."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from phaselock.app.call_back import CallBackPort
from phaselock.errors import PhaseLockError
from phaselock.internet.state import Pinhole, RouterState
from phaselock.model.invitation import Nat
from tests.support.fake_mapping import FakeMapping

OWN_IP, OWN_V6 = "192.168.2.2", "2a02::7"
HOLE = Pinhole(OWN_V6, 40406, 0)


class Runner:
    """What the port needs of a PeerRunner."""

    def __init__(self, own_ip: str) -> None:
        self.own_ip = own_ip
        self.await_call: Callable[[], None] | None = None
        self.listeners: list[socket.socket] = []
        self.told: list[int] = []

    def listen_for_call(self, listener: socket.socket) -> None:
        self.listeners.append(listener)

    def call_back_at(self, port: int) -> None:
        self.told.append(port)


def told(router: FakeMapping, own_ip: str = OWN_IP) -> list[int]:
    """The ports that the host is told."""
    runner: Any = Runner(own_ip)

    async def run() -> None:
        port = CallBackPort(runner, router.open)
        runner.await_call()
        (listener,) = runner.listeners
        inner = listener.getsockname()[1]
        assert router.mapped == [{"tcp": (inner, inner)}]
        await asyncio.sleep(0)
        await port.close()
        assert router.closed and listener.fileno() == -1
        runner.told = [one if one != inner else 1 for one in runner.told]

    asyncio.run(run())
    return runner.told


@pytest.mark.parametrize(
    ("state", "own_ip", "ports"),
    [
        (RouterState(nat=Nat.HOME, public="45.32.2.1", tcp=40404), OWN_IP, [40404]),
        (RouterState(nat=Nat.PUBLIC), OWN_IP, [1]),
        (RouterState(nat=Nat.HOME), OWN_IP, []),
        (RouterState(nat=Nat.HOME, tcp=40404, pinholes=(HOLE,)), OWN_V6, [40406]),
        (RouterState(nat=Nat.HOME, tcp=40404), OWN_V6, []),
    ],
)
def test_the_port_is_told_that_leads_here_from_where_the_host_sees_this_machine(
    state: RouterState, own_ip: str, ports: list[int]
) -> None:
    assert told(FakeMapping(state), own_ip) == ports


def test_a_port_that_changes_is_told_again() -> None:
    states = [RouterState(nat=Nat.HOME, tcp=port) for port in (40404, 0, 40405)]
    assert told(FakeMapping(*states)) == [40404, 40405]


def test_a_router_that_cannot_be_asked_is_no_error() -> None:
    runner: Any = Runner(OWN_IP)

    def fails(tell: Callable[[RouterState], object]) -> FakeMapping:
        raise PhaseLockError("no process")

    async def run() -> None:
        port = CallBackPort(runner, fails)
        runner.await_call()
        assert not runner.listeners
        await port.close()

    asyncio.run(run())
