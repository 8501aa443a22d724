"""Connections to a host with several addresses: which ones are tried, when, and which one is used. In virtual time."""

from __future__ import annotations

import asyncio
import selectors
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from phaselock.network import reach
from phaselock.network.interfaces import Distance
from phaselock.network.listener import bind
from phaselock.network.reach import (
    COMPARE_S,
    SEGMENT_BYTES,
    STAGGER_S,
    CannotConnect,
    Target,
    best_connection,
    connect_any,
    place_of,
    resolve,
)
from tests.support.closed_port import closed_address

T = TypeVar("T")
NEVER = float("inf")


class _Selector(selectors.SelectSelector):
    """Time passes at once when nothing is ready."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        self.loop.now_s += timeout or 0.0
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.now_s = 0.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)
        self._clock_resolution = 1e-9  # on Windows it is that of the system's clock: 15.6 ms

    def time(self) -> float:
        return self.now_s


def virtually(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


class Connected:
    """In place of a socket."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_open = True

    def close(self) -> None:
        self.is_open = False


class Net:
    """Addresses by name, with the time in seconds after which each answers, or with the error that it returns."""

    def __init__(self, **answers: float | tuple[float, OSError]) -> None:
        self._answers = answers
        self.dialled: list[tuple[str, float]] = []
        self.made: list[Connected] = []

    @property
    def targets(self) -> list[Target]:
        """The distance of each is the one that its name begins with, if there is such a one."""
        distances = {name: one for one in Distance for name in self._answers if name.startswith(one.name.lower())}
        return [Target(socket.AF_INET, (name, 1), distances.get(name, Distance.ROOM)) for name in self._answers]

    async def dial(self, target: Target) -> Any:
        name = target.sockaddr[0]
        self.dialled.append((name, asyncio.get_running_loop().time()))
        answer = self._answers[name]
        after_s, error = answer if isinstance(answer, tuple) else (answer, None)
        async with asyncio.timeout(5.0):
            await (asyncio.Event().wait() if after_s == NEVER else asyncio.sleep(after_s))
        if error:
            raise error
        self.made.append(Connected(name))
        return self.made[-1]

    def connect(self) -> tuple[str, float]:
        """The address that is used, and the time at which it is."""

        async def work() -> tuple[str, float]:
            found: Any = await best_connection(self.targets, self.dial)
            return found.name, asyncio.get_running_loop().time()

        used = virtually(work())
        assert [one.name for one in self.made if one.is_open] == [used[0]], "a connection was left open"
        return used


def test_a_dead_address_costs_a_quarter_of_a_second() -> None:
    net = Net(dead=NEVER, good=0.001)
    name, at_s = net.connect()
    assert name == "good" and at_s <= STAGGER_S + COMPARE_S + 0.01
    assert net.dialled[:2] == [("dead", 0.0), ("good", STAGGER_S)]


def test_only_one_address_is_used_at_once() -> None:
    net = Net(good=0.02)
    assert net.connect() == ("good", 0.02)
    assert len(net.dialled) == 1


def test_after_a_failure_the_next_address_is_tried_at_once() -> None:
    net = Net(closed=(0.001, ConnectionRefusedError()), gone=(0.001, OSError(113, "no route")), good=0.001)
    assert net.connect() == ("good", pytest.approx(0.003))


@pytest.mark.parametrize(
    ("first_s", "second_s", "used"), [(0.004, 0.002, "second"), (0.002, 0.0019, "first"), (0.001, 0.2, "first")]
)
def test_the_path_with_the_much_shorter_round_trip_is_used(first_s: float, second_s: float, used: str) -> None:
    name, at_s = Net(first=first_s, second=second_s).connect()
    assert name == used and at_s <= first_s + COMPARE_S + 0.01


@pytest.mark.parametrize(
    ("answers", "used"),
    [
        ({"tunnel": 0.001, "room": 0.1}, "room"),
        ({"bridged": 0.0001, "routed": 0.08, "tunnel": 0.01}, "routed"),
        ({"bridged": 0.0001, "routed": NEVER, "tunnel": 0.01}, "tunnel"),
        ({"bridged": 0.0001, "routed": NEVER, "tunnel": (0.001, OSError(113, "no route"))}, "bridged"),
        ({"room": NEVER, "routed_1": 0.1, "routed_2": 0.04}, "routed_2"),
    ],
)
def test_a_nearer_path_is_used_also_if_it_is_slower(answers: dict[str, Any], used: str) -> None:
    """A round trip tells little of a tunnel: its ends may be in the same Wi-Fi."""

    assert Net(**answers).connect()[0] == used


def test_a_room_whose_wifi_sleeps_is_waited_for() -> None:
    class Sleeping(Net):
        async def dial(self, target: Target) -> Any:
            if target.distance == Distance.ROOM:
                await asyncio.sleep(max(0.0, 0.3 - asyncio.get_running_loop().time()))
            return await super().dial(target)

    assert Sleeping(room=0.001, tunnel=0.001).connect() == ("room", pytest.approx(0.3, abs=0.01))


def test_a_farther_path_is_not_compared() -> None:
    net = Net(room=0.02, tunnel=0.001)
    assert net.connect() == ("room", 0.02)
    late = Net(routed=STAGGER_S + 0.01, tunnel=0.5)
    assert late.connect() == ("routed", pytest.approx(STAGGER_S + 0.01))


def test_few_connections_of_one_machine_are_open_at_once() -> None:
    """The host limits those that have not joined."""
    net = Net(**{f"a{number}": 0.001 for number in range(8)})
    net.connect()
    assert len({name for name, _ in net.dialled}) <= reach.MAX_COMPARED


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ({"a": (0.1, OSError(113, "no route")), "b": NEVER}, OSError),
        ({"a": NEVER, "b": NEVER}, TimeoutError),
        ({"a": NEVER, "b": (0.1, ConnectionRefusedError())}, ConnectionRefusedError),
        ({}, OSError),
    ],
)
def test_a_refusal_tells_most(answers: dict[str, Any], error: type[OSError]) -> None:
    net = Net(**answers)
    with pytest.raises(error):
        net.connect()
    assert not net.made


def test_giving_up_leaves_no_connection_open() -> None:
    net = Net(dead=NEVER, slow=0.4)

    async def work() -> None:
        connecting = asyncio.create_task(best_connection(net.targets, net.dial))
        await asyncio.sleep(0.8)
        connecting.cancel()
        await asyncio.wait([connecting])

    virtually(work())
    assert not [one for one in net.made if one.is_open]


def test_an_attempt_that_ends_late_is_not_waited_for() -> None:
    """In such a wait, the cancellation of the join was lost."""
    net = Net(routed_slow=NEVER, room=0.1)

    async def dial(target: Target) -> Any:
        try:
            return await net.dial(target)
        except asyncio.CancelledError:
            await asyncio.sleep(1.0)
            net.made.append(Connected("late"))
            return net.made[-1]

    async def work() -> None:
        used: Any = await best_connection(net.targets, dial)
        assert asyncio.get_running_loop().time() == pytest.approx(STAGGER_S + 0.1)
        await asyncio.sleep(2.0)
        assert [(one.name, one.is_open) for one in net.made] == [("room", True), ("late", False)]
        used.close()

    virtually(work())


# -- real sockets ------------------------------------------------------------------------------------------------------


def on_loopback(work: Callable[[socket.socket, int], Coroutine[Any, Any, None]]) -> None:
    with bind("127.0.0.1", 0, socket.SOCK_STREAM) as listener:
        asyncio.run(work(listener, listener.getsockname()[1]))


def test_the_address_that_answers_is_used() -> None:
    async def work(listener: socket.socket, port: int) -> None:
        with closed_address() as closed, await connect_any([closed, ("127.0.0.1", port)]) as sock:
            assert place_of(sock.getpeername()) == ("127.0.0.1", port)

    on_loopback(work)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such option")
def test_both_sides_use_small_segments() -> None:
    """Some paths lose large packets without notice."""

    async def work(listener: socket.socket, port: int) -> None:
        with await connect_any([("127.0.0.1", port)]) as sock:
            accepted, _ = await asyncio.get_running_loop().sock_accept(listener)
            with accepted:
                sizes = [one.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) for one in (sock, accepted)]
        assert all(size <= SEGMENT_BYTES for size in sizes)

    on_loopback(work)


@pytest.mark.skipif(sys.platform != "linux", reason="the name of the loopback interface")
def test_a_link_local_address_keeps_its_scope() -> None:
    assert place_of(("fe80::1", 17401, 0, socket.if_nametoindex("lo"))) == ("fe80::1%lo", 17401)
    assert place_of(("192.0.2.1", 17401)) == ("192.0.2.1", 17401)
    (target,) = asyncio.run(resolve([("fe80::1%lo", 17401)]))
    assert target.sockaddr[3] == socket.if_nametoindex("lo")


def test_a_local_name_that_the_system_does_not_know_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def answer(host: str) -> tuple[str, ...]:
        asked.append(host)
        return ("127.0.0.1",) if host == "phaselock-test.local" else ()

    monkeypatch.setattr(reach, "resolve_local", answer)

    async def work(listener: socket.socket, port: int) -> None:
        with await connect_any([("phaselock-test.local", port)]) as sock:
            assert sock.getpeername() == ("127.0.0.1", port)
        with pytest.raises(CannotConnect, match="no machine of this network has this name"):
            await connect_any([("phaselock-other.local.", port)])
        with pytest.raises(CannotConnect, match="no address was found"):
            await connect_any([("phaselock.invalid", port)])

    on_loopback(work)
    assert asked == ["phaselock-test.local", "phaselock-other.local."]
