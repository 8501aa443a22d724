"""Whether the machine at an announced address is the host of the announced session."""

from __future__ import annotations

import asyncio
import socket

import pytest

from phaselock.network import greeting
from phaselock.network.connection import Connection
from phaselock.network.greeting import answers_as
from phaselock.network.service_record import FoundSession
from phaselock.protocol import messages as m
from phaselock.protocol.framing import Framer, frame
from tests.support.closed_port import closed_address
from tests.support.identity import IDENTITY, greet, new_identity

ID = bytes(range(16))
INFO = m.SessionInfo(m.PROTOCOL_VERSION, ID, "Kitchen", "Ada", (), 5)


def answer(said: bytes | m.Message, session_id: str = ID.hex(), host_key: str = "") -> bool:
    """Whether a machine that says this answers as the session. It encrypts messages, not bytes."""

    async def serve(listener: socket.socket) -> None:
        sock, _ = await asyncio.get_running_loop().sock_accept(listener)
        connection = Connection(sock, Framer())
        if isinstance(said, bytes):
            await asyncio.get_running_loop().sock_sendall(sock, said)
        else:
            await greet(connection, said)
        await connection.close()

    async def ask() -> bool:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            serving, port = asyncio.create_task(serve(listener)), listener.getsockname()[1]
            found = await answers_as(
                FoundSession("Kitchen", "Ada", 0, 5, ("127.0.0.1",), port, session_id, 1, host_key=host_key)
            )
            await serving
            return found

    return asyncio.run(ask())


def test_the_host_answers_as_its_session() -> None:
    assert answer(INFO)
    assert not answer(INFO, "ff" * 16)


def test_a_copy_of_the_announcement_does_not_answer_with_its_key() -> None:
    assert answer(INFO, host_key=IDENTITY.host_key[:16].hex())
    assert not answer(INFO, host_key=new_identity().host_key[:16].hex())


def test_an_older_host_that_does_not_encrypt_answers() -> None:
    assert answer(frame(m.SessionInfo(4, ID, "Kitchen", "Ada", (), 5)))
    assert not answer(frame(INFO))


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", frame(m.Heartbeat())])
def test_another_program_does_not_answer(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greeting, "TIMEOUT_S", 0.2)
    assert not answer(said)


def test_a_closed_port_does_not_answer() -> None:
    with closed_address() as (ip, port):
        assert not asyncio.run(answers_as(FoundSession("Kitchen", "Ada", 0, 5, (ip,), port, ID.hex(), 1)))
