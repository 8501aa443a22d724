from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import io
import pathlib
import random
import selectors
import socket
import tempfile
import threading
import types
import uuid
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phaselock.errors import PhaseLockError
from phaselock.model.types import Track
from phaselock.network import congestion, file_connection, transfer
from phaselock.network.file_connection import FileConnection
from phaselock.protocol.codec import ProtocolError
from phaselock.protocol.framing import SESSION_CAP, Framer, frame
from phaselock.protocol.messages import (
    BulkProgress,
    FileChunk,
    FileRequest,
    Heartbeat,
    Message,
    SessionInfo,
    SongUploadChunk,
    SongUploadComplete,
    SongUploadFrom,
    SongUploadStart,
)
from phaselock.storage.cache import FileCache
from tests.support.damage import damaging_frame

DATA = random.Random(1).randbytes(300_001)
HASH = hashlib.sha256(DATA).digest()
TOKEN = b"t" * 16
REQUEST_ID = uuid.UUID(int=9)
START = SongUploadStart(3, TOKEN, REQUEST_ID, HASH)
TIMEOUT_S = 30


@pytest.fixture
def song(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "song.mp3"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def track(song: pathlib.Path) -> Track:
    return Track(uuid.UUID(int=7), "song.mp3", len(DATA), HASH, 44100, 1000)


@pytest.fixture
def cache(tmp_path: pathlib.Path) -> FileCache:
    return FileCache(tmp_path / "cache")


Script = Callable[[socket.socket, "FileRequest | SongUploadStart"], None]
Pair = tuple[socket.socket, socket.socket]


class Host:
    """Accepts file connections, sends SessionInfo as a host does, and then runs the script."""

    def __init__(self, script: Callable[..., None]) -> None:
        self.requests: list[Message] = []
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._over = False

    def __enter__(self) -> tuple[Host, tuple[str, int]]:
        self._thread.start()
        return self, self._listener.getsockname()

    def __exit__(self, *_: object) -> None:
        self._over = True
        socket.create_connection(self._listener.getsockname()).close()
        self._thread.join(TIMEOUT_S)
        self._listener.close()

    def _serve(self) -> None:
        while not self._over:
            sock, _ = self._listener.accept()
            with sock, contextlib.suppress(OSError, PhaseLockError, ProtocolError):
                sock.sendall(frame(SessionInfo(1, bytes(16), "Jam", "Host", (), 5)))
                framer, messages = Framer(SESSION_CAP), list[Message]()
                while not messages and (data := sock.recv(4096)):
                    messages += framer.feed(data)
                if messages:
                    self.requests.append(messages[0])
                    self._script(sock, messages[0])


def nothing(_: object) -> None:
    pass


def fetch(track: Track, address: tuple[str, int]) -> transfer.Fetch:
    return transfer.Fetch(track, address, 3, TOKEN)


def upload(song: pathlib.Path, address: tuple[str, int]) -> transfer.Upload:
    return transfer.Upload(REQUEST_ID, song, len(DATA), HASH, address, 3, TOKEN)


def serve(track: Track, path: pathlib.Path) -> Script:
    return lambda sock, request: transfer.send_file(FileConnection(sock), track, path, request.offset, nothing)


def take(cache: FileCache) -> Script:
    return lambda sock, start: transfer.receive_upload(FileConnection(sock), start, len(DATA), cache, nothing)


def listen(sock: socket.socket, *, read_bytes: int = 1 << 20, acknowledge: bool = True) -> Iterator[Message]:
    """The received messages; each one is acknowledged, as a receiver does."""
    sock.settimeout(TIMEOUT_S)
    framer, received = Framer(SESSION_CAP), 0
    while data := sock.recv(read_bytes):
        received += len(data)
        messages = list(framer.feed(data))
        if messages and acknowledge:
            sock.sendall(frame(BulkProgress(received)))
        yield from messages


def arrive(cache: FileCache, size: int) -> None:
    """Put the beginning of the song into the cache."""
    with cache.begin(HASH, len(DATA)) as partial:
        partial.write(DATA[:size])


@pytest.fixture
def worker() -> Iterator[concurrent.futures.Executor]:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        yield pool


def test_a_file_arrives_whole_and_the_second_time_from_the_cache(
    track: Track, song: pathlib.Path, cache: FileCache
) -> None:
    with Host(serve(track, song)) as (host, address):
        path = fetch(track, address).run(cache)
        assert path.read_bytes() == DATA
        assert fetch(track, address).run(cache) == path
    assert host.requests == [FileRequest(3, TOKEN, track.file_id, 0)]


def test_a_lost_transfer_is_resumed(track: Track, song: pathlib.Path, cache: FileCache) -> None:
    def stop_half_way(sock: socket.socket, request: FileRequest) -> None:
        if len(host.requests) == 1:
            sock.sendall(frame(FileChunk(track.file_id, 0, DATA[:50_000])))
        else:
            transfer.send_file(FileConnection(sock), track, song, request.offset, nothing)

    with Host(stop_half_way) as (host, address):
        with pytest.raises(transfer.TransferError, match="ended"):
            fetch(track, address).run(cache)
        assert fetch(track, address).run(cache).read_bytes() == DATA
    assert [request.offset for request in host.requests] == [0, 50_000]


def test_a_damaged_file_is_not_kept(track: Track, tmp_path: pathlib.Path, cache: FileCache) -> None:
    bad = DATA[:-1] + b"x"
    (tmp_path / "bad").write_bytes(bad)
    other = dataclasses.replace(track, sha256=hashlib.sha256(bad).digest())
    with Host(serve(other, tmp_path / "bad")) as (_, address):
        with pytest.raises(transfer.TransferError, match="damaged"):
            fetch(track, address).run(cache)
        assert list(cache.path(track.sha256).parent.iterdir()) == []


def test_a_refusal_is_passed_on(track: Track, cache: FileCache) -> None:
    with Host(lambda sock, _: FileConnection(sock).refuse("Not today.")) as (_, address):
        with pytest.raises(transfer.TransferError, match=r"Not today\."):
            fetch(track, address).run(cache)


@pytest.mark.parametrize(
    "message",
    [
        FileChunk(uuid.UUID(int=8), 0, b"x"),
        FileChunk(uuid.UUID(int=7), 1, b"x"),
        Heartbeat(),
        b"\xff\xff\xff\xff\x00",
    ],
    ids=["another file", "a gap", "another message", "too long"],
)
def test_an_unexpected_message_ends_the_transfer(track: Track, cache: FileCache, message: Message | bytes) -> None:
    data = message if isinstance(message, bytes) else frame(message)
    with Host(lambda sock, _: sock.sendall(data)) as (_, address):
        with pytest.raises(transfer.TransferError, match="broke the protocol"):
            fetch(track, address).run(cache)


def test_a_host_that_is_not_there_is_a_failure(track: Track, cache: FileCache) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    with pytest.raises(transfer.TransferError, match="failed"):
        fetch(track, address).run(cache)


@pytest.mark.usefixtures("sleeper")
def test_cancel_wakes_a_transfer_that_waits(
    track: Track, cache: FileCache, worker: concurrent.futures.Executor
) -> None:
    asked, over = threading.Event(), threading.Event()

    def wait(sock: socket.socket, request: FileRequest) -> None:
        asked.set()
        over.wait(TIMEOUT_S)

    with Host(wait) as (_, address):
        job = fetch(track, address)
        result = worker.submit(job.run, cache)
        assert asked.wait(TIMEOUT_S)
        job.cancel()
        with pytest.raises(transfer.TransferError, match="cancelled"):
            result.result(TIMEOUT_S)
        over.set()


def test_cancel_before_the_start(track: Track, song: pathlib.Path, cache: FileCache) -> None:
    with Host(lambda sock, _: None) as (host, address):
        job = fetch(track, address)
        job.cancel()
        with pytest.raises(transfer.TransferError, match="cancelled"):
            job.run(cache)
    assert host.requests == []


def test_a_cancelled_fetch_leaves_the_cache_alone(track: Track, cache: FileCache) -> None:
    job = fetch(track, ("127.0.0.1", 9))
    job.cancel()
    with pytest.raises(transfer.TransferError, match="cancelled"):
        job.run(cache)
    assert not cache.path(HASH).parent.exists()


@pytest.fixture
def unheard(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """No connection is established; each wait for one calls the next of these functions instead."""
    happens: list[Callable[[], None]] = []

    class Selector(selectors.DefaultSelector):
        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            assert timeout is not None and timeout <= 0.1
            happens.pop(0)()
            return []

    monkeypatch.setattr(transfer.selectors, "DefaultSelector", Selector)
    return happens


@pytest.mark.parametrize("way", ["fetch", "upload"])
def test_cancel_while_it_connects(
    way: str, track: Track, song: pathlib.Path, cache: FileCache, unheard: list[Callable[[], None]]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        getting, giving = fetch(track, address), upload(song, address)
        unheard += [lambda: None, getting.cancel if way == "fetch" else giving.cancel]
        with pytest.raises(transfer.TransferError, match="cancelled"):
            getting.run(cache) if way == "fetch" else giving.run(nothing)


def test_a_host_that_does_not_answer_is_given_up(
    track: Track, cache: FileCache, unheard: list[Callable[[], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        job = fetch(track, listener.getsockname())
        unheard += [lambda: None, lambda: monkeypatch.setattr(transfer, "time", types.SimpleNamespace(monotonic=late))]
        late_s = transfer.time.monotonic() + transfer.TIMEOUT_CONNECT_S

        def late() -> float:
            return late_s + 1

        with pytest.raises(transfer.TransferError, match=r"The host does not answer\."):
            job.run(cache)


def test_progress_ends_with_the_last_byte(
    track: Track, song: pathlib.Path, tcp_pair: Pair, worker: concurrent.futures.Executor
) -> None:
    def send() -> None:
        with tcp_pair[0]:
            transfer.send_file(FileConnection(tcp_pair[0]), track, song, 100_000, told.append)

    told: list[int] = []
    sending = worker.submit(send)
    chunks = list(listen(tcp_pair[1]))
    sending.result(TIMEOUT_S)
    assert told[-1] == len(DATA) and told == sorted(told)
    assert b"".join(chunk.data for chunk in chunks if isinstance(chunk, FileChunk)) == DATA[100_000:]


def test_a_file_that_changed_or_went_is_not_sent(track: Track, song: pathlib.Path, tcp_pair: Pair) -> None:
    song.write_bytes(DATA + b"more")
    with pytest.raises(PhaseLockError, match="has changed"):
        transfer.send_file(FileConnection(tcp_pair[0]), track, song, 0, nothing)
    song.unlink()
    with pytest.raises(PhaseLockError, match="cannot be read"):
        transfer.send_file(FileConnection(tcp_pair[0]), track, song, 0, nothing)


@pytest.mark.parametrize("offset", [0, 100_000])
def test_other_content_of_the_same_size_is_not_sent_to_its_end(
    track: Track, song: pathlib.Path, tcp_pair: Pair, worker: concurrent.futures.Executor, offset: int
) -> None:
    """A program may write new tags into a file that waits in the queue."""
    song.write_bytes(b"x" + DATA[1:])
    connection = FileConnection(tcp_pair[0])
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
        transfer.send_file(FileConnection(tcp_pair[0]), track, song, 0, nothing)


def test_a_file_that_is_cut_short_on_the_way_is_not_sent_on(
    track: Track, song: pathlib.Path, tcp_pair: Pair, worker: concurrent.futures.Executor
) -> None:
    sending = worker.submit(transfer.send_file, FileConnection(tcp_pair[0]), track, song, 0, nothing)
    messages = listen(tcp_pair[1], acknowledge=False)
    first = next(messages)
    assert isinstance(first, FileChunk) and len(first.data) == congestion.PROBE_BYTES
    song.write_bytes(DATA[:5000])
    tcp_pair[1].sendall(frame(BulkProgress(len(frame(first)))))
    with pytest.raises(PhaseLockError, match="has changed"):
        sending.result(TIMEOUT_S)


def test_a_file_that_grows_on_the_way_is_sent_as_it_was(
    track: Track, song: pathlib.Path, tcp_pair: Pair, worker: concurrent.futures.Executor
) -> None:
    sending = worker.submit(transfer.send_file, FileConnection(tcp_pair[0]), track, song, 0, nothing)
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
        transfer.send_file(FileConnection(tcp_pair[0]), track, song, 0, nothing)
    (chunk,) = listen(tcp_pair[1], acknowledge=False)
    assert isinstance(chunk, FileChunk) and len(chunk.data) == congestion.PROBE_BYTES


def test_a_slow_reader_gets_everything(
    track: Track, song: pathlib.Path, tcp_pair: Pair, worker: concurrent.futures.Executor
) -> None:
    def send() -> None:
        with tcp_pair[0]:
            transfer.send_file(FileConnection(tcp_pair[0]), track, song, 0, nothing)

    sending = worker.submit(send)
    chunks = list(listen(tcp_pair[1], read_bytes=700))
    sending.result(TIMEOUT_S)
    assert b"".join(chunk.data for chunk in chunks if isinstance(chunk, FileChunk)) == DATA


def test_a_receiver_that_goes_ends_the_transfer(
    track: Track, song: pathlib.Path, tcp_pair: Pair, worker: concurrent.futures.Executor
) -> None:
    sending = worker.submit(transfer.send_file, FileConnection(tcp_pair[0]), track, song, 0, nothing)
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
    sending = worker.submit(transfer.send_file, FileConnection(tcp_pair[0]), track, song, 0, nothing)
    next(listen(tcp_pair[1], acknowledge=False))
    tcp_pair[1].sendall(answer)
    with pytest.raises(ProtocolError):
        sending.result(TIMEOUT_S)


def test_a_transfer_that_stands_still_is_given_up(
    track: Track, cache: FileCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_connection, "TIMEOUT_STALL_S", 0.05)
    over = threading.Event()

    def script(sock: socket.socket, _: object) -> None:
        sock.sendall(b"\1")
        over.wait(TIMEOUT_S)

    with Host(script) as (_, address):
        with pytest.raises(transfer.TransferError, match="stood still"):
            fetch(track, address).run(cache)
        over.set()


def test_large_packets_that_are_lost_are_told(track: Track, cache: FileCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """The greeting is small and arrives; of the file nothing does."""
    monkeypatch.setattr(file_connection, "TIMEOUT_STALL_S", 0.05)
    over = threading.Event()
    with Host(lambda sock, _: over.wait(TIMEOUT_S)) as (_, address):
        with pytest.raises(transfer.TransferError, match="A VPN or a router loses large packets"):
            fetch(track, address).run(cache)
        over.set()


def test_an_upload_arrives_whole(song: pathlib.Path, cache: FileCache) -> None:
    told: list[int] = []
    with Host(take(cache)) as (host, address):
        upload(song, address).run(told.append)
        assert cache.path(HASH).read_bytes() == DATA
        upload(song, address).run(told.append)
    assert host.requests == [START, START]
    assert told[-2:] == [len(DATA)] * 2


def test_an_upload_that_is_here_already_is_not_sent(song: pathlib.Path, cache: FileCache, tcp_pair: Pair) -> None:
    arrive(cache, len(DATA))
    with cache.begin(HASH, len(DATA)) as partial:
        partial.finish()
    tcp_pair[1].sendall(frame(SongUploadComplete(REQUEST_ID, HASH)))
    assert transfer.receive_upload(FileConnection(tcp_pair[0]), START, len(DATA), cache, nothing) == cache.path(HASH)
    assert next(listen(tcp_pair[1], acknowledge=False)) == SongUploadFrom(len(DATA))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, len(DATA)), st.sampled_from(["fetch", "upload"]))
def test_wherever_it_was_lost_the_file_is_the_same(here: int, way: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        song, cache = pathlib.Path(folder, "song.mp3"), FileCache(pathlib.Path(folder, "cache"))
        song.write_bytes(DATA)
        arrive(cache, here)
        track = Track(uuid.UUID(int=7), "song.mp3", len(DATA), HASH, 44100, 1000)
        with Host(serve(track, song) if way == "fetch" else take(cache)) as (host, address):
            if way == "fetch":
                fetch(track, address).run(cache)
                assert [request.offset for request in host.requests] == [here] * (here < len(DATA))  # type: ignore[union-attr]
            else:
                upload(song, address).run(nothing)
        assert cache.path(HASH).read_bytes() == DATA


def test_an_upload_goes_on_where_it_was_lost(song: pathlib.Path, cache: FileCache, tcp_pair: Pair) -> None:
    arrive(cache, 200_000)
    for message in (
        SongUploadChunk(REQUEST_ID, offset, DATA[offset : offset + 50_001]) for offset in (200_000, 250_001)
    ):
        tcp_pair[1].sendall(frame(message))
    tcp_pair[1].sendall(frame(SongUploadComplete(REQUEST_ID, HASH)))
    told: list[int] = []
    transfer.receive_upload(FileConnection(tcp_pair[0]), START, len(DATA), cache, told.append)
    assert next(listen(tcp_pair[1], acknowledge=False)) == SongUploadFrom(200_000)
    assert told[-1] == len(DATA)
    assert cache.path(HASH).read_bytes() == DATA


def test_a_refused_upload_says_why(song: pathlib.Path) -> None:
    with Host(lambda sock, _: FileConnection(sock).refuse("Not today.")) as (_, address):
        with pytest.raises(transfer.TransferError, match=r"The host refused: Not today\."):
            upload(song, address).run(nothing)


def test_an_upload_that_is_refused_on_the_way_says_why(song: pathlib.Path) -> None:
    def refuse(sock: socket.socket, _: object) -> None:
        sock.sendall(frame(SongUploadFrom(0)))
        next(listen(sock))
        FileConnection(sock).refuse("No room.")

    with Host(refuse) as (_, address):
        with pytest.raises(transfer.TransferError, match=r"The host refused: No room\."):
            upload(song, address).run(nothing)


def test_a_damaged_upload_is_refused_and_not_kept(
    song: pathlib.Path, cache: FileCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "frame", damaging_frame)
    with Host(take(cache)) as (_, address):
        with pytest.raises(transfer.TransferError, match="refused: The file arrived damaged"):
            upload(song, address).run(nothing)
    assert list(cache.path(HASH).parent.iterdir()) == []


def test_an_upload_to_a_full_disk_is_refused(
    song: pathlib.Path, cache: FileCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise PhaseLockError("The disk is full.")

    monkeypatch.setattr(cache, "begin", full)
    with Host(take(cache)) as (_, address):
        with pytest.raises(transfer.TransferError, match="refused: The disk is full"):
            upload(song, address).run(nothing)


def test_a_disk_that_becomes_full_ends_an_upload(
    song: pathlib.Path, cache: FileCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("phaselock.storage.cache.PartialFile.write", full)
    with Host(take(cache)) as (_, address):
        with pytest.raises(transfer.TransferError, match="refused: The disk is full"):
            upload(song, address).run(nothing)


def test_a_song_that_changed_is_not_uploaded(song: pathlib.Path, cache: FileCache) -> None:
    song.write_bytes(DATA + b"more")
    with Host(take(cache)) as (_, address):
        with pytest.raises(PhaseLockError, match="has changed"):
            upload(song, address).run(nothing)


@pytest.mark.parametrize(
    "message",
    [SongUploadFrom(len(DATA) + 1), Heartbeat(), BulkProgress(1)],
    ids=["beyond the end", "another message", "too early"],
)
def test_a_host_that_breaks_the_protocol_ends_the_upload(song: pathlib.Path, message: Message) -> None:
    with Host(lambda sock, _: sock.sendall(frame(message))) as (_, address):
        with pytest.raises(transfer.TransferError, match="broke the protocol"):
            upload(song, address).run(nothing)


@pytest.mark.parametrize(
    "messages",
    [
        [SongUploadChunk(uuid.UUID(int=8), 0, b"x")],
        [SongUploadChunk(REQUEST_ID, 1, b"x")],
        [SongUploadChunk(REQUEST_ID, 0, b"x"), SongUploadChunk(REQUEST_ID, 0, b"x")],
        [SongUploadChunk(REQUEST_ID, 0, b"abc"), SongUploadChunk(REQUEST_ID, 3, b"de")],
        [SongUploadComplete(REQUEST_ID, HASH)],
        [SongUploadChunk(REQUEST_ID, 0, b"abcd"), SongUploadComplete(REQUEST_ID, bytes(32))],
        [SongUploadChunk(REQUEST_ID, 0, b"abcd"), SongUploadComplete(uuid.UUID(int=8), HASH)],
        [START],
        [FileChunk(REQUEST_ID, 0, b"x")],
    ],
    ids=[
        "another request",
        "a gap",
        "twice the same",
        "more than was announced",
        "too early complete",
        "another hash",
        "another request complete",
        "another start",
        "another message",
    ],
)
def test_an_uploader_that_breaks_the_protocol_is_left(
    cache: FileCache, tcp_pair: Pair, messages: list[Message]
) -> None:
    tcp_pair[1].sendall(b"".join(map(frame, messages)))
    with pytest.raises(ProtocolError, match="out of place"):
        transfer.receive_upload(FileConnection(tcp_pair[0]), START, 4, cache, nothing)


def test_the_received_part_of_a_lost_upload_is_kept(
    cache: FileCache, tcp_pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    tcp_pair[1].sendall(frame(SongUploadChunk(REQUEST_ID, 0, DATA[:60_000])))
    tcp_pair[1].shutdown(socket.SHUT_WR)
    monkeypatch.setattr(file_connection, "TIMEOUT_LINGER_S", 0.05)
    with pytest.raises(transfer.TransferError, match="The peer ended the transfer"):
        transfer.receive_upload(FileConnection(tcp_pair[0]), START, len(DATA), cache, nothing)
    with cache.begin(HASH, len(DATA)) as partial:
        assert partial.offset == 60_000


def test_an_upload_that_stands_still_is_given_up(
    cache: FileCache, tcp_pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_connection, "TIMEOUT_STALL_S", 0.05)
    monkeypatch.setattr(file_connection, "TIMEOUT_LINGER_S", 0.05)
    with pytest.raises(transfer.TransferError, match="stood still"):
        transfer.receive_upload(FileConnection(tcp_pair[0]), START, len(DATA), cache, nothing)


@pytest.mark.usefixtures("sleeper")
def test_cancel_ends_an_upload_on_its_way(song: pathlib.Path) -> None:
    def cancel(sock: socket.socket, _: object) -> None:
        sock.sendall(frame(SongUploadFrom(0)))
        next(listen(sock, acknowledge=False))
        job.cancel()
        over.wait(TIMEOUT_S)

    over = threading.Event()
    with Host(cancel) as (_, address):
        job = upload(song, address)
        with pytest.raises(transfer.TransferError, match="cancelled"):
            job.run(nothing)
        over.set()


@pytest.mark.usefixtures("sleeper")
def test_cancel_ends_an_upload_that_waits_for_the_verdict(song: pathlib.Path) -> None:
    def cancel(sock: socket.socket, _: object) -> None:
        sock.sendall(frame(SongUploadFrom(len(DATA))))
        assert next(listen(sock)) == SongUploadComplete(REQUEST_ID, HASH)
        job.cancel()
        over.wait(TIMEOUT_S)

    over = threading.Event()
    with Host(cancel) as (_, address):
        job = upload(song, address)
        with pytest.raises(transfer.TransferError, match="cancelled"):
            job.run(nothing)
        over.set()
