from __future__ import annotations

import concurrent.futures
import pathlib
import random
import select
import selectors
import socket
import threading
import uuid
from collections.abc import Callable

import pytest

from phaselock.model.types import Track
from phaselock.network import file_connection, transfer
from phaselock.network.file_connection import FileConnection
from phaselock.network.secure import PlainChannel
from phaselock.protocol.framing import SESSION_CAP, Framer
from phaselock.protocol.messages import FileRefused, Message, SongUploadStart
from phaselock.storage.cache import FileCache

DATA = random.Random(1).randbytes(300_001)
TIMEOUT_S = 30
Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when a connection waits for its socket for the first time. Each wait has a time limit, of POLL_ENDED_S at
    most."""
    waits = threading.Event()

    class Selector(file_connection._Selector):  # type: ignore[misc]
        def select(self, timeout: float | None = None) -> object:
            assert timeout is not None and 0 < timeout <= file_connection.POLL_ENDED_S
            waits.set()
            return super().select(timeout)

    monkeypatch.setattr(file_connection, "_Selector", Selector)
    return waits


def received(sock: socket.socket) -> list[Message]:
    """All messages up to the end of the stream."""
    sock.settimeout(TIMEOUT_S)
    framer, messages = Framer(SESSION_CAP), list[Message]()
    while data := sock.recv(1 << 20):
        messages += framer.feed(data)
    return messages


def send_a_file(connection: FileConnection, folder: pathlib.Path) -> None:
    path = folder / "song.mp3"
    path.write_bytes(DATA)
    track = Track(uuid.UUID(int=7), path.name, len(DATA), bytes(32), 44100, 1000)
    transfer.send_file(connection, track, path, 0, lambda sent_bytes: None)


def receive_a_song(connection: FileConnection, folder: pathlib.Path) -> None:
    start = SongUploadStart(3, bytes(16), uuid.UUID(int=9), bytes(32))
    transfer.receive_upload(connection, start, len(DATA), FileCache(folder / "cache"), lambda done_bytes: None)


def refuse(connection: FileConnection, folder: pathlib.Path) -> None:
    connection.refuse("Not today.")
    raise ConnectionAbortedError  # a refusal ends without an error


def write_to_a_full_socket(connection: FileConnection, folder: pathlib.Path) -> None:
    connection.send_all(bytes(64 << 20))


@pytest.mark.usefixtures("sleeper")
@pytest.mark.parametrize("work", [send_a_file, receive_a_song, refuse, write_to_a_full_socket])
def test_end_wakes_a_thread_that_waits(
    work: Callable[[FileConnection, pathlib.Path], None],
    waiting: threading.Event,
    worker: concurrent.futures.Executor,
    tcp_pair: Pair,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(file_connection, "TIMEOUT_LINGER_S", 10 * TIMEOUT_S)
    connection = FileConnection(tcp_pair[0], PlainChannel())
    working = worker.submit(work, connection, tmp_path)
    assert waiting.wait(TIMEOUT_S)
    connection.end()
    with pytest.raises((ConnectionAbortedError, transfer.TransferError)):
        working.result(TIMEOUT_S)


@pytest.mark.usefixtures("sleeper")
def test_the_other_side_learns_of_the_end(waiting: threading.Event, tcp_pair: Pair, tmp_path: pathlib.Path) -> None:
    connection = FileConnection(tcp_pair[0], PlainChannel())
    connection.end()
    with pytest.raises(transfer.TransferError, match=r"The peer ended the transfer\."):
        receive_a_song(connection, tmp_path)
    assert received(tcp_pair[1]) == []


@pytest.mark.parametrize("moves", ["sent", "received"])
def test_a_transfer_stalls_when_no_byte_has_moved(moves: str, tcp_pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(file_connection, "_now_ns", lambda: int(now_s * 1e9))
    connection = FileConnection(tcp_pair[0], PlainChannel())
    for _ in range(3):
        now_s += 0.9 * file_connection.TIMEOUT_STALL_S
        connection.wait(selectors.EVENT_WRITE)
        if moves == "sent":
            connection.send_all(b"x")
        else:
            tcp_pair[1].sendall(b"x")
            select.select([tcp_pair[0]], [], [], TIMEOUT_S)
            assert connection.read(memoryview(bytearray(9))) == 1
    now_s += file_connection.TIMEOUT_STALL_S
    with pytest.raises(TimeoutError):
        connection.wait(selectors.EVENT_WRITE)


def test_a_refusal_reaches_a_peer_that_is_still_sending(tcp_pair: Pair, worker: concurrent.futures.Executor) -> None:
    tcp_pair[1].sendall(bytes(100_000))
    refusing = worker.submit(FileConnection(tcp_pair[0], PlainChannel()).refuse, "Not today.")
    assert received(tcp_pair[1]) == [FileRefused("Not today.")]
    tcp_pair[1].shutdown(socket.SHUT_WR)
    refusing.result(TIMEOUT_S)
