"""The way to a host: names, ports, greetings and clocks that fail."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import socket
import threading
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from phaselock.errors import system_text
from phaselock.network.service_record import FoundSession
from phaselock.protocol import messages as m
from phaselock.tools import way
from phaselock.tools.doctor import Finding
from phaselock.tools.probe import Quality
from tests.support.findings import INFO, KITCHEN, Host, levels, run, the_only


async def collect(findings: AsyncIterator[Finding]) -> list[Finding]:
    return [one async for one in findings]


def way_to(
    answers: Callable[[Host], Sequence[m.Message]], *, measure: bool = True, addresses: Sequence[str] = ("127.0.0.1",)
) -> list[Finding]:
    """The findings of `check_way` with a host that sends these messages."""

    async def scene() -> list[Finding]:
        async with Host() as host:
            found = asyncio.create_task(collect(way.check_way(addresses, host.port, (), measure=measure)))
            await host.say(*answers(host))
            await asyncio.gather(found, host.see_it_off())
            return found.result()

    return run(scene())


def unreachable(find: Callable[[str, int], list[str]], sessions: Sequence[FoundSession] = ()) -> Finding:
    return the_only(run(collect(way.check_way(["kitchen"], 17401, sessions, measure=True, find=find))))


def test_a_name_that_nobody_knows() -> None:
    def find(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    found = unreachable(find)
    assert found.message == "Nobody here knows a machine called kitchen." and "192.168.1.42" in found.fix


def test_a_name_server_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr(way, "RESOLVE_LIMIT_S", 0.02)

    def find(host: str, port: int) -> list[str]:
        ended.wait(30)
        return []

    assert unreachable(find).id == "name"
    ended.set()


def test_a_port_that_nobody_listens_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = the_only(run(collect(way.check_way(["localhost"], port, (), measure=True))))
    assert "answers, but no jam is open on its port" in found.message


def test_a_machine_that_swallows_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(way, "CONNECT_LIMIT_S", 0.02)

    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    async def scene() -> list[Finding]:
        monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", never)
        return await collect(way.check_way(["127.0.0.1"], 9, (), measure=True))

    assert the_only(run(scene())).message == "127.0.0.1 does not answer on port 9."


def test_one_dead_address_of_several_is_no_problem() -> None:
    """The host listens on IPv4 only."""
    found = way_to(lambda host: [INFO], measure=False, addresses=["::1", "127.0.0.1"])
    assert levels(found) == [("connect", "ok")]


def test_what_a_failed_connection_means() -> None:
    refused, mute = ConnectionRefusedError(), TimeoutError()
    no_way = OSError(errno.EHOSTUNREACH, "Connect call failed ('192.0.2.7', 17401)")  # text as in asyncio
    other = FoundSession("Kitchen", "Ann", 1, 5, ("192.0.2.7",), 9999, "ab" * 8, m.PROTOCOL_VERSION)

    def check(problem: OSError, *sessions: FoundSession) -> Finding:
        return way.check_refusal("192.0.2.7", 17401, problem, sessions)

    assert "still runs" in check(refused).fix
    assert 'Its jam "Kitchen" is on port 9999.' in check(refused, other).fix
    assert "192.0.2.7 does not answer on port 17401." in check(mute).message
    assert "sudo ufw allow 17401/tcp" in check(mute).fix and "client" in check(mute).fix
    assert "found by discovery, but" in check(mute, KITCHEN).message
    assert f"No machine is reached at 192.0.2.7 ({system_text(no_way)})." in check(no_way).message


@pytest.mark.parametrize(
    ("info", "expected", "message"),
    [
        (m.SessionInfo(99, bytes(16), "Kitchen", "Ann", (), 5), ("version", "problem"), "another version"),
        (dataclasses.replace(INFO, peers=("a", "b"), max_peers=2), ("full", "problem"), "2 of 2 places"),
        (m.Heartbeat(), ("greeting", "problem"), "no PhaseLock jam"),
    ],
)
def test_a_host_that_is_not_to_be_joined(info: m.Message, expected: tuple[str, str], message: str) -> None:
    found = the_only(way_to(lambda host: [info]))
    assert (found.id, found.level) == expected and message in found.message


def test_a_session_that_was_only_found_is_not_joined() -> None:
    found = the_only(way_to(lambda host: [INFO], measure=False))
    assert found.message == 'The jam "Kitchen" by Ann answers; 1 of 5 places are taken.'


def test_a_host_that_refuses() -> None:
    assert levels(way_to(lambda host: [INFO, m.JoinRejected("Session is full.")])) == [
        ("connect", "ok"),
        ("join", "problem"),
    ]


def test_a_clock_port_behind_a_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(way, "FIRST_PONG_S", 0.1)
    connected, found = way_to(lambda host: [INFO, host.accepted()])
    assert connected.level == "ok"
    assert (found.id, found.level) == ("clock", "problem") and "no packet comes back from its UDP port" in found.message
    assert "/udp" in found.fix


def test_a_session_that_ends_meanwhile() -> None:
    _, found = way_to(lambda host: [INFO, host.accepted(), m.SessionEnd("Good night.")])
    assert found.message == "The measurement was cut short: Good night."


@pytest.mark.parametrize(
    ("loss", "p50_us", "p95_us", "within_us", "expected"),
    [
        (0.0, 2000, 9000, 35.4, ["ok", "ok"]),
        (0.1, 2000, 9000, 35.4, ["hint", "ok"]),
        (0.4, 2000, 9000, 35.4, ["problem", "ok"]),
        (0.0, 2000, 30_000, 700.0, ["hint", "hint"]),
        (0.0, 120_000, 121_000, 1700.0, ["hint", "problem"]),
        (0.0, 2000, 9000, None, ["ok", "problem"]),
    ],
)
def test_a_verdict(loss: float, p50_us: float, p95_us: float, within_us: float | None, expected: list[str]) -> None:
    found = way.check_clock(Quality(100, loss, p50_us, p95_us, within_us), 5.2, 17402)
    assert [one.level for one in found] == expected
    assert all(bool(one.fix) == (one.level != "ok") for one in found)
    if within_us == 35.4:
        verdict = "After 5 s the host's clock is known to within 35 µs: good enough for 1 ms by a factor of 28."
        assert found[1].message == verdict
