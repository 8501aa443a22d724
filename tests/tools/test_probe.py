"""The probe with a simulated host and with a real one."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import signal
import socket
import sys
import uuid
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any

import pytest

from phaselock import _native
from phaselock.console.interrupts import interrupts
from phaselock.errors import PhaseLockError
from phaselock.model.types import UNKNOWN_CLOCK, ClockStatus
from phaselock.network.connection import Connection, ConnectionLost
from phaselock.network.pairing import Pairing
from phaselock.network.reach import connect
from phaselock.protocol import messages as m
from phaselock.protocol.framing import SESSION_CAP, Framer
from phaselock.sync.clock import HostClock, PeerClock
from phaselock.sync.trace import read_trace
from phaselock.tools import probe, trace
from phaselock.tools.probe import ClockProbe, quality
from phaselock.tools.trace import quality_lines
from tests.support.closed_port import closed_address
from tests.support.identity import IDENTITY, greet
from tests.support.programs import TUNE, Program

INFO = m.SessionInfo(m.PROTOCOL_VERSION, bytes(16), "Kit\x1bchen", "Ann", (), 5)
FILE = m.FileTransferStart(uuid.UUID(int=1), "a.mp3", 1000, bytes(32), 44100, 5000)


class Host:
    """A simulated host: the other end of a probe's connection, and a clock that answers the allowed peers."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.clock_port = self._socket.getsockname()[1]
        self.clock = HostClock(self._socket)
        self.connection: Connection

    async def visited(self) -> ClockProbe:
        loop = asyncio.get_running_loop()
        visitor = ClockProbe(await connect(*self._listener.getsockname()))
        sock, _ = await loop.sock_accept(self._listener)
        self.connection = Connection(sock, Framer(SESSION_CAP))
        return visitor

    async def joined(self) -> ClockProbe:
        visitor = await self.visited()
        self.clock.allow(7, "127.0.0.1", bytes(16))
        accepted = m.JoinAccepted(7, m.SessionState((), 0), bytes(16), self.clock_port, "trace", bytes(16))
        await asyncio.gather(greet(self.connection, INFO, accepted), visitor.greet())
        await visitor.join("trace")
        assert await self.connection.receive() == m.JoinRequest("trace", m.PROTOCOL_VERSION)
        return visitor

    async def hear(self, kind: type[m.Message]) -> Any:
        """The next message of this type; others are dropped."""
        while not isinstance(message := await self.connection.receive(), kind):
            pass
        return message


@contextlib.asynccontextmanager
async def hosting() -> AsyncIterator[Host]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        host = Host(listener)
        try:
            yield host
        finally:
            host.clock.close()


def run(scene: Coroutine[Any, Any, None]) -> None:
    async def in_time() -> None:
        async with asyncio.timeout(30):
            await scene

    asyncio.run(in_time())


def test_a_visitor_measures_and_is_no_burden_to_anybody() -> None:
    async def scene() -> None:
        async with hosting() as host:
            visitor = await host.joined()
            host.connection.send(FILE)
            assert await host.hear(m.FileReceived) == m.FileReceived(FILE.file_id, hash_ok=True)
            host.connection.send(m.PlayCommand(FILE.file_id, 44100, 0, 10))
            assert visitor.clock
            while not visitor.clock.status(_native.now_ns()).usable:
                await asyncio.sleep(0.01)
            while not (report := await host.hear(m.PeerStatus)).clock_usable:
                pass
            assert (report.device_name, report.room_bytes, report.output_latency_ns) == (probe.DEVICE_NAME, 0, 0)
            leaving = asyncio.create_task(visitor.leave())
            assert await host.hear(m.LeaveSession) == m.LeaveSession(7)
            await asyncio.gather(leaving, host.connection.close())
            assert visitor.over == ""

    run(scene())


def test_what_a_host_tells_of_itself_is_fit_to_be_shown() -> None:
    async def scene() -> None:
        async with hosting() as host:
            visitor = await host.visited()
            _, info = await asyncio.gather(greet(host.connection, INFO), visitor.greet())
            assert info.session_name == "Kitchen"
            await asyncio.gather(visitor.leave(), host.connection.close())

    run(scene())


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH\r\n", b"", None])
def test_somebody_else_is_told_apart(said: bytes | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if said is None:  # the probe waits for a silent host
        monkeypatch.setattr(probe, "ANSWER_S", 0.05)

    async def scene() -> None:
        async with hosting() as host:
            visitor = await host.visited()
            sock, _ = host.connection.detach()
            if said is not None:
                sock.sendall(said)
                sock.shutdown(socket.SHUT_WR)
            with pytest.raises(PhaseLockError, match="it is no PhaseLock jam"):
                await visitor.greet()
            sock.close()
            await visitor.leave()

    run(scene())


def test_a_refusal_is_passed_on() -> None:
    async def scene() -> None:
        async with hosting() as host:
            visitor = await host.visited()
            await asyncio.gather(greet(host.connection, INFO, m.JoinRejected("Session is full.")), visitor.greet())
            with pytest.raises(PhaseLockError, match=r"^Session is full\.$"):
                await visitor.join("trace")
            await asyncio.gather(visitor.leave(), host.connection.close())

    run(scene())


@pytest.mark.parametrize(
    ("last_word", "over"),
    [
        (m.SessionEnd(), "The host ended the jam."),
        (m.SessionEnd("You were sent away."), "You were sent away."),
        (INFO, "The host broke the protocol."),
        (None, "The connection to the host was lost."),
    ],
)
def test_the_end_of_a_session_ends_the_visit(last_word: m.Message | None, over: str) -> None:
    async def scene() -> None:
        async with hosting() as host:
            visitor = await host.joined()
            if last_word:
                host.connection.send(last_word)
            else:
                host.connection.abort("gone")
                await host.connection.close()
            while not visitor.over:
                await asyncio.sleep(0.01)
            assert visitor.over == over
            await asyncio.gather(visitor.leave(), host.connection.close())

    run(scene())


def test_no_exchange_is_given_twice_and_none_is_left_out() -> None:
    async def scene() -> None:
        async with hosting() as host:
            host.clock.allow(3, "127.0.0.1", bytes(16))
            clock = PeerClock("127.0.0.1", host.clock_port, 3, bytes(16))
            found = clock.exchanges()
            while len(found) < 150:
                await asyncio.sleep(0.01)
                found += clock.exchanges(found[-1] if found else None)
            clock.close()
            found += clock.exchanges(found[-1])
            assert found == clock.exchanges()

    run(scene())


@pytest.mark.parametrize(
    ("sent", "asked", "samples", "loss"),
    [(325, 320, 320, 0.0), (330, 320, 240, 0.25), (330, 320, 0, 1.0), (0, 0, 0, 1.0)],
)
def test_what_only_wakes_the_path_is_not_lost(sent: int, asked: int, samples: int, loss: float) -> None:
    class Pinger:
        def status(self) -> _native.PingerStatus:
            return _native.PingerStatus(0, 0, samples, sent, 0, asked, 0)

    clock = object.__new__(PeerClock)
    clock._pinger = Pinger()  # type: ignore[assignment]
    assert clock.loss() == pytest.approx(loss)


def test_the_figures_of_a_visit() -> None:
    exchanges = [(1, 1, 101, 1101 + 1000 * i) for i in range(100)]
    known = ClockStatus(0, True, False, 0, 0.0, 35_400, 0)
    found = quality(exchanges, 0.0123, known)
    assert (found.rtt_p50_us, found.rtt_p95_us, found.loss, found.uncertainty_us) == (51.0, 96.0, 0.0123, 35.4)
    assert quality_lines(found) == [
        "100 exchanges with the host's clock were recorded; 1.2 % were lost.",
        "Half of the round trips took less than 51 µs, 19 of 20 less than 96 µs.",
        "At the end its clock is known to within 35 µs.",
    ]
    unknown = quality([], 1.0, UNKNOWN_CLOCK)
    assert (unknown.rtt_p50_us, unknown.rtt_p95_us, unknown.uncertainty_us) == (None, None, None)


# -- phaselock trace, before a real host -------------------------------------------------------------------------------


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Any:
    local = ("--bind", "127.0.0.1", "--port", "0", "--clock-port", "0", "--backend", "null", "--as", "Host")
    program = Program("host", str(TUNE), *local, "--session", "Kitchen", home=tmp_path / "host")
    yield program
    program.close()


def trace_of(host: Program, path: pathlib.Path, seconds: str, prefix: Sequence[str] = ()) -> Program:
    address = f"127.0.0.1:{host.wait_for('session')['port']}"
    host.wait_for("queue", lambda event: event["queue"] != [])
    return Program("trace", address, "-o", str(path), "--seconds", seconds, prefix=prefix, home=path.parent / "home")


@pytest.mark.slow
def test_a_trace_of_a_real_session_disturbs_nobody(host: Program, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "kitchen.trace"
    tracer = trace_of(host, path, "1.5")
    try:
        assert host.wait_for("peer_joined")["name"] == "trace"
        host.wait_for("transfer", lambda event: event["state"] == "done")
        host.say("play")
        host.wait_for("playing")  # the host does not wait for a probe
        assert host.wait_for("peer_left")["name"] == "trace"
        told = tracer.wait_for("trace")
        assert tracer.end() == (0, "")
    finally:
        tracer.close()
    found = read_trace(path)
    assert found.header["session"] == "Kitchen" and found.header["host"] == "Host"
    assert 1.4 < found.header["seconds"] < 30
    assert len(found.exchanges) == told["exchanges"] > 0
    assert {"uncertainty_us", "loss"} < told.keys() and told["rtt_p95_us"] >= told["rtt_p50_us"] > 0
    assert not (tmp_path / "home").exists()  # neither a cache nor settings were written


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal to send")
@pytest.mark.parametrize("number", interrupts())
def test_what_was_recorded_before_an_interrupt_is_kept(
    host: Program, tmp_path: pathlib.Path, number: signal.Signals
) -> None:
    path = tmp_path / "kitchen.trace"
    tracer = trace_of(host, path, "600")
    try:
        tracer.wait_for("recording", lambda event: event["exchanges"] > 0)
        tracer.process.send_signal(number)
        assert tracer.wait_for("trace")["path"] == str(path)
        assert tracer.end() == (0, "")
    finally:
        tracer.close()
    assert read_trace(path).exchanges


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal to send")
def test_one_that_was_started_in_the_background_can_be_interrupted(host: Program, tmp_path: pathlib.Path) -> None:
    deaf = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    tracer = trace_of(host, tmp_path / "kitchen.trace", "600", prefix=[sys.executable, "-c", deaf])
    try:
        tracer.wait_for("recording", lambda event: event["exchanges"] > 0)
        tracer.process.send_signal(signal.SIGINT)
        assert tracer.end() == (0, "")
    finally:
        tracer.close()


@pytest.mark.slow
def test_what_was_recorded_before_the_session_ended_is_kept(host: Program, tmp_path: pathlib.Path) -> None:
    tracer = trace_of(host, tmp_path / "kitchen.trace", "600")
    try:
        tracer.wait_for("recording", lambda event: event["exchanges"] > 0)
        host.say("quit")
        assert "What came before is kept." in tracer.wait_for("warning")["message"]
        assert tracer.end() == (0, "")
    finally:
        tracer.close()
    assert read_trace(tmp_path / "kitchen.trace").exchanges


class Nobody:
    """A screen that shows nothing."""

    def event(self, *_: object, **__: object) -> None: ...

    def say(self, text: str) -> None: ...

    def show(self, text: str) -> None: ...


def test_a_trace_that_cannot_be_ends_with_a_sentence(tmp_path: pathlib.Path) -> None:
    with (
        closed_address() as dead,
        pytest.raises(PhaseLockError, match=r"^Cannot reach 127\.0\.0\.1 on port \d+: no jam is open there\.$"),
    ):
        trace.run_trace(dead, str(tmp_path / "x"), 1, Nobody())
    with pytest.raises(PhaseLockError, match="cannot be written there"):
        trace.run_trace(dead, str(tmp_path / "no" / "x"), 1, Nobody())
    with pytest.raises(PhaseLockError, match="cannot be written there"):
        trace.run_trace(dead, str(tmp_path), 1, Nobody())
    assert list(tmp_path.iterdir()) == []


def test_a_clock_that_never_answers_leaves_no_file(tmp_path: pathlib.Path) -> None:
    async def scene() -> None:
        async with hosting() as host:
            host.clock.forbid(7)
            address = host._listener.getsockname()
            tracing = asyncio.create_task(trace._trace(address, str(tmp_path / "x"), 0.3, Nobody()))
            sock, _ = await asyncio.get_running_loop().sock_accept(host._listener)
            connection = Connection(sock, Framer(SESSION_CAP))
            accepted = m.JoinAccepted(7, m.SessionState((), 0), bytes(16), host.clock_port, "trace", bytes(16))
            await greet(connection, INFO, accepted)
            with contextlib.suppress(ConnectionLost):
                while not isinstance(await connection.receive(), m.LeaveSession):
                    pass
            await connection.close()
            with pytest.raises(PhaseLockError, match="did not answer once"):
                await tracing

    run(scene())
    assert list(tmp_path.iterdir()) == []


def test_a_report_that_fails_is_not_the_last(monkeypatch: pytest.MonkeyPatch, bugs: list[str]) -> None:
    def fail(*_: object) -> None:
        raise ValueError("odd")

    async def scene() -> None:
        async with hosting() as host:
            with monkeypatch.context() as patch:
                patch.setattr(probe, "_report", fail)
                visitor = await host.joined()
                await host.hear(m.Heartbeat)
            await host.hear(m.PeerStatus)
            await asyncio.gather(visitor.leave(), host.connection.close())

    run(scene())
    assert bugs == ["the report of the probe failed: ValueError('odd')"]


def test_a_message_that_fails_ends_the_measurement(monkeypatch: pytest.MonkeyPatch, bugs: list[str]) -> None:
    def fail(*_: object) -> None:
        raise ValueError("odd")

    async def scene() -> None:
        async with hosting() as host:
            monkeypatch.setattr(ClockProbe, "_take", fail)
            visitor = await host.joined()
            host.connection.send(FILE)
            while not visitor.over:
                await asyncio.sleep(0.01)
            assert visitor.over == "Something went wrong inside PhaseLock. The log tells more: phaselock log"
            await asyncio.gather(visitor.leave(), host.connection.close())

    run(scene())
    assert bugs == ["the listening probe failed: ValueError('odd')"]


async def pairing_host(host: Host, code: str) -> None:
    """The host's side of joining a session with a code."""
    await greet(host.connection, INFO)
    assert isinstance(await host.connection.receive(), m.JoinRequest)
    host.connection.send(m.CodeNeeded())
    with contextlib.suppress(ConnectionLost):
        start = await host.connection.receive()
        assert isinstance(start, m.PairingStart)
        pairing = Pairing(code, IDENTITY.host_key, is_host=True)
        pairing.take(start.share)
        host.connection.send(m.PairingReply(pairing.share))
        proof = await host.connection.receive()
        if isinstance(proof, m.PairingProof) and pairing.is_proof(proof.proof):
            host.connection.send(m.PairingProof(pairing.proof))
            assert isinstance(await host.connection.receive(), m.JoinRequest)
            host.connection.send(
                m.JoinAccepted(7, m.SessionState((), 0), bytes(16), host.clock_port, "trace", bytes(16))
            )
        else:
            host.connection.send(m.JoinRejected("The code is wrong.", "code"))


@pytest.mark.parametrize(
    ("code", "problem"), [("482913", ""), ("482914", "The code is wrong"), ("", "This jam has a code")]
)
def test_a_visitor_of_a_session_with_a_code_needs_it(code: str, problem: str) -> None:
    async def scene() -> None:
        async with hosting() as host:
            visitor = await host.visited()
            serving = asyncio.create_task(pairing_host(host, "482913"))
            await visitor.greet()
            if problem:
                with pytest.raises(PhaseLockError, match=problem):
                    await visitor.join("trace", code)
            else:
                await visitor.join("trace", code)
            await asyncio.gather(visitor.leave(), host.connection.close())
            await serving

    run(scene())


def test_a_visitor_with_a_code_stays_where_it_is_asked_for() -> None:
    async def scene() -> None:
        async with hosting() as host:
            visitor = await host.visited()
            accepted = m.JoinAccepted(7, m.SessionState((), 0), bytes(16), host.clock_port, "trace", bytes(16))
            await asyncio.gather(greet(host.connection, INFO, accepted), visitor.greet())
            with pytest.raises(PhaseLockError, match="does not ask for the code"):
                await visitor.join("trace", "482913")
            await asyncio.gather(visitor.leave(), host.connection.close())

    run(scene())
