"""The host sends a file: a source that changes, and receivers that are slow, go or break the protocol."""

from __future__ import annotations

import concurrent.futures
import io
import pathlib
import time
import types

import pytest

from phaselock.errors import PhaseLockError
from phaselock.model.types import Track
from phaselock.network import congestion, file_connection, transfer
from phaselock.network.file_connection import FileConnection
from phaselock.network.secure import PlainChannel
from phaselock.protocol.codec import ProtocolError
from phaselock.protocol.framing import frame
from phaselock.protocol.messages import BulkProgress, FileChunk, Heartbeat
from tests.support.file_transfer import DATA, TIMEOUT_S, Pair, listen, nothing


def test_progress_ends_with_the_last_byte(
    track: Track, song: pathlib.Path, tcp_pair: Pair, worker: concurrent.futures.Executor
) -> None:
    def send() -> None:
        with tcp_pair[0]:
            transfer.send_file(FileConnection(tcp_pair[0], PlainChannel()), track, song, 100_000, told.append)

    told: list[int] = []
    sending = worker.submit(send)
    chunks = list(listen(tcp_pair[1]))
    sending.result(TIMEOUT_S)
    assert told[-1] == len(DATA) and told == sorted(told)
    assert b"".join(chunk.data for chunk in chunks if isinstance(chunk, FileChunk)) == DATA[100_000:]


def test_a_sender_pauses_by_session_time(
    track: Track,
    song: pathlib.Path,
    tcp_pair: Pair,
    worker: concurrent.futures.Executor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Watched(congestion.CongestionWindow):
        def may_send(self, now_ns: int) -> int:
            times_ns.append(now_ns)
            return super().may_send(now_ns)

    times_ns: list[int] = []
    monkeypatch.setattr(transfer, "CongestionWindow", Watched)
    session_ns = time.perf_counter_ns() + 10**15
    connection = FileConnection(tcp_pair[0], PlainChannel())
    sending = worker.submit(transfer.send_file, connection, track, song, 0, nothing, session_ns)
    sending.add_done_callback(lambda _: connection.close())
    list(listen(tcp_pair[1]))
    sending.result(TIMEOUT_S)
    assert min(times_ns) >= session_ns


def test_a_file_that_changed_or_went_is_not_sent(track: Track, song: pathlib.Path, tcp_pair: Pair) -> None:
    song.write_bytes(DATA + b"more")
    with pytest.raises(PhaseLockError, match="has changed"):
        transfer.send_file(FileConnection(tcp_pair[0], PlainChannel()), track, song, 0, nothing)
    song.unlink()
    with pytest.raises(PhaseLockError, match="cannot be read"):
        transfer.send_file(FileConnection(tcp_pair[0], PlainChannel()), track, song, 0, nothing)


@pytest.mark.parametrize("offset", [0, 100_000])
def test_other_content_of_the_same_size_is_not_sent_to_its_end(
    track: Track, song: pathlib.Path, tcp_pair: Pair, worker: concurrent.futures.Executor, offset: int
) -> None:
    """A program may write new tags into a file that waits in the queue."""
    song.write_bytes(b"x" + DATA[1:])
    connection = FileConnection(tcp_pair[0], PlainChannel())
    sending = worker.submit(transfer.send_file, connection, track, song, offset, nothing)
    sending.add_done_callback(lambda _: connection.close())
    sent = b"".join(chunk.data for chunk in listen(tcp_pair[1]) if isinstance(chunk, FileChunk))
    with pytest.raises(PhaseLockError, match="has changed"):
        sending.result(TIMEOUT_S)
    assert len(sent) < len(DATA) - offset


def test_a_disk_that_breaks_is_not_a_lost_connection(
    track: Track, song: pathlib.Path, tcp_pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(io.FileIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(transfer, "io", types.SimpleNamespace(FileIO=Broken))
    with pytest.raises(PhaseLockError, match="cannot be read: Input/output error"):
        transfer.send_file(FileConnection(tcp_pair[0], PlainChannel()), track, song, 0, nothing)


def test_a_file_that_is_cut_short_on_the_way_is_not_sent_on(
    track: Track, song: pathlib.Path, tcp_pair: Pair, worker: concurrent.futures.Executor
) -> None:
    sending = worker.submit(transfer.send_file, FileConnection(tcp_pair[0], PlainChannel()), track, song, 0, nothing)
    messages = listen(tcp_pair[1], acknowledge=False)
    first = next(messages)
    assert isinstance(first, FileChunk) and len(first.data) == congestion.PROBE_BYTES
    song.write_bytes(DATA[: congestion.PROBE_BYTES + 1])
    tcp_pair[1].sendall(frame(BulkProgress(len(frame(first)))))
    with pytest.raises(PhaseLockError, match="has changed"):
        sending.result(TIMEOUT_S)


def test_a_file_that_grows_on_the_way_is_sent_as_it_was(
    track: Track, song: pathlib.Path, tcp_pair: Pair, worker: concurrent.futures.Executor
) -> None:
    sending = worker.submit(transfer.send_file, FileConnection(tcp_pair[0], PlainChannel()), track, song, 0, nothing)
    messages = listen(tcp_pair[1])
    received = b""
    for chunk in messages:
        assert isinstance(chunk, FileChunk)
        if not received:
            with song.open("ab") as file:
                file.write(b"more")
        received += chunk.data
        if len(received) >= len(DATA):
            break
    sending.result(TIMEOUT_S)
    assert received == DATA


def test_sending_stops_if_the_receiver_does_not_acknowledge(
    track: Track, song: pathlib.Path, tcp_pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_connection, "TIMEOUT_STALL_S", 0.05)
    with pytest.raises(TimeoutError), tcp_pair[0]:
        transfer.send_file(FileConnection(tcp_pair[0], PlainChannel()), track, song, 0, nothing)
    (chunk,) = listen(tcp_pair[1], acknowledge=False)
    assert isinstance(chunk, FileChunk) and len(chunk.data) == congestion.PROBE_BYTES


def test_a_slow_reader_gets_everything(
    track: Track, song: pathlib.Path, tcp_pair: Pair, worker: concurrent.futures.Executor
) -> None:
    def send() -> None:
        with tcp_pair[0]:
            transfer.send_file(FileConnection(tcp_pair[0], PlainChannel()), track, song, 0, nothing)

    sending = worker.submit(send)
    chunks = list(listen(tcp_pair[1], read_bytes=700))
    sending.result(TIMEOUT_S)
    assert b"".join(chunk.data for chunk in chunks if isinstance(chunk, FileChunk)) == DATA


def test_a_receiver_that_goes_ends_the_transfer(
    track: Track, song: pathlib.Path, tcp_pair: Pair, worker: concurrent.futures.Executor
) -> None:
    sending = worker.submit(transfer.send_file, FileConnection(tcp_pair[0], PlainChannel()), track, song, 0, nothing)
    with tcp_pair[1]:
        next(listen(tcp_pair[1]))
    with pytest.raises(ConnectionError):
        sending.result(TIMEOUT_S)


@pytest.mark.parametrize(
    "answer",
    [
        frame(BulkProgress(2**40)),
        frame(BulkProgress(0)),
        frame(BulkProgress(100)) + frame(BulkProgress(99)),
        frame(BulkProgress(100)) * 1000,
        b"".join(frame(BulkProgress(count)) for count in range(1, 100)),
        frame(Heartbeat()),
        b"\xff\xff\x00\x00\x00",
        b"\x02\x00\x00\x00\xff\x00",
    ],
    ids=[
        "more than was sent",
        "nothing",
        "backwards",
        "a flood",
        "byte by byte",
        "another message",
        "too long",
        "garbage",
    ],
)
def test_a_receiver_that_breaks_the_protocol_ends_the_transfer(
    track: Track, song: pathlib.Path, tcp_pair: Pair, answer: bytes, worker: concurrent.futures.Executor
) -> None:
    sending = worker.submit(transfer.send_file, FileConnection(tcp_pair[0], PlainChannel()), track, song, 0, nothing)
    next(listen(tcp_pair[1], acknowledge=False))
    tcp_pair[1].sendall(answer)
    with pytest.raises(ProtocolError):
        sending.result(TIMEOUT_S)
