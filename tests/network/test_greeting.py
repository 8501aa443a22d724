"""Whether the machine at an announced address is the host of the announced session."""

from __future__ import annotations

import asyncio
import socket

import pytest

from phaselock.network import greeting
from phaselock.network.greeting import answers_as
from phaselock.network.service_record import FoundSession
from phaselock.protocol import messages as m
from phaselock.protocol.framing import frame

ID = bytes(range(16))
INFO = m.SessionInfo(m.PROTOCOL_VERSION, ID, "Kitchen", "Ada", (), 5)


def answer(said: bytes, session_id: str = ID.hex()) -> bool:
    """Whether a machine that says this answers as the session."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await reader.read()
        writer.close()

    async def ask() -> bool:
        async with await asyncio.start_server(serve, "127.0.0.1") as server:
            port = server.sockets[0].getsockname()[1]
            return await answers_as(FoundSession("Kitchen", "Ada", 0, 5, ("127.0.0.1",), port, session_id, 1))

    return asyncio.run(ask())


def test_the_host_answers_as_its_session() -> None:
    assert answer(frame(INFO))
    assert not answer(frame(INFO), "ff" * 16)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", frame(m.Heartbeat())])
def test_another_program_does_not_answer(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greeting, "TIMEOUT_S", 0.2)
    assert not answer(said)


def test_a_closed_port_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert not asyncio.run(answers_as(FoundSession("Kitchen", "Ada", 0, 5, ("127.0.0.1",), port, ID.hex(), 1)))
