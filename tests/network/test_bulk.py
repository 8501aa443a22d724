from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import pathlib
import random
import socket
import threading
import uuid
from collections.abc import Callable, Iterator

import pytest

from phaselock.errors import PhaseLockError
from phaselock.model.types import Track
from phaselock.network import bulk
from phaselock.protocol.framing import SESSION_CAP, Framer, frame
from phaselock.protocol.messages import FileChunk, FileRequest, Heartbeat, Message, SessionInfo
from phaselock.storage.cache import FileCache

DATA = random.Random(1).randbytes(300_001)
TOKEN = b"t" * 16
PATIENCE_S = 30


@pytest.fixture
def song(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "song.mp3"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def track(song: pathlib.Path) -> Track:
    return Track(uuid.UUID(int=7), "song.mp3", len(DATA), hashlib.sha256(DATA).digest(), 44100, 1000)


@pytest.fixture
def cache(tmp_path: pathlib.Path) -> FileCache:
    return FileCache(tmp_path / "cache")


Script = Callable[[socket.socket, FileRequest], None]


class Host:
    """Accepts bulk connections, says SessionInfo as a host does, and goes on as the script says."""

    def __init__(self, script: Script) -> None:
        self.requests: list[FileRequest] = []
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
        self._thread.join(PATIENCE_S)
        self._listener.close()

    def _serve(self) -> None:
        while not self._over:
            sock, _ = self._listener.accept()
            with sock, contextlib.suppress(OSError):
                sock.sendall(frame(SessionInfo(1, "Jam", "Host", (), 5)))
                framer, messages = Framer(SESSION_CAP), list[Message]()
                while not messages and (data := sock.recv(4096)):
                    messages += framer.feed(data)
                if messages:
                    assert isinstance(messages[0], FileRequest)
                    self.requests.append(messages[0])
                    self._script(sock, messages[0])


def fetch(track: Track, address: tuple[str, int]) -> bulk.Fetch:
    return bulk.Fetch(track, address, 3, TOKEN)


def serve(track: Track, path: pathlib.Path) -> Script:
    return lambda sock, request: bulk.send_file(sock, track, path, request.offset, lambda _: None)


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
            bulk.send_file(sock, track, song, request.offset, lambda _: None)

    with Host(stop_half_way) as (host, address):
        with pytest.raises(bulk.TransferError, match="ended"):
            fetch(track, address).run(cache)
        assert fetch(track, address).run(cache).read_bytes() == DATA
    assert [request.offset for request in host.requests] == [0, 50_000]


def test_a_damaged_file_is_not_kept(track: Track, tmp_path: pathlib.Path, cache: FileCache) -> None:
    (tmp_path / "bad").write_bytes(DATA[:-1] + b"x")
    with Host(serve(track, tmp_path / "bad")) as (_, address):
        with pytest.raises(bulk.TransferError, match="damaged"):
            fetch(track, address).run(cache)
        assert list(cache.path(track.sha256).parent.iterdir()) == []


def test_a_refusal_is_passed_on(track: Track, cache: FileCache) -> None:
    with Host(lambda sock, _: bulk.refuse(sock, "Not today.")) as (_, address):
        with pytest.raises(bulk.TransferError, match=r"Not today\."):
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
def test_what_does_not_belong_ends_the_transfer(track: Track, cache: FileCache, message: Message | bytes) -> None:
    data = message if isinstance(message, bytes) else frame(message)
    with Host(lambda sock, _: sock.sendall(data)) as (_, address):
        with pytest.raises(bulk.TransferError, match="broke the protocol"):
            fetch(track, address).run(cache)


def test_nobody_there(track: Track, cache: FileCache) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    with pytest.raises(bulk.TransferError, match="failed"):
        fetch(track, address).run(cache)


@pytest.fixture
def worker() -> Iterator[concurrent.futures.Executor]:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        yield pool


def test_cancel_wakes_a_transfer_that_waits(
    track: Track, cache: FileCache, worker: concurrent.futures.Executor
) -> None:
    asked, over = threading.Event(), threading.Event()

    def wait(sock: socket.socket, request: FileRequest) -> None:
        asked.set()
        over.wait(PATIENCE_S)

    with Host(wait) as (_, address):
        job = fetch(track, address)
        result = worker.submit(job.run, cache)
        assert asked.wait(PATIENCE_S)
        job.cancel()
        with pytest.raises(bulk.TransferError, match="cancelled"):
            result.result(PATIENCE_S)
        over.set()


def test_cancel_before_the_start(track: Track, song: pathlib.Path, cache: FileCache) -> None:
    with Host(lambda sock, _: None) as (host, address):
        job = fetch(track, address)
        job.cancel()
        with pytest.raises(bulk.TransferError, match="cancelled"):
            job.run(cache)
    assert host.requests == []


def test_progress_ends_with_the_last_byte(
    track: Track, song: pathlib.Path, tcp_pair: tuple[socket.socket, socket.socket], worker: concurrent.futures.Executor
) -> None:
    def send() -> None:
        with tcp_pair[0]:
            bulk.send_file(tcp_pair[0], track, song, 100_000, told.append)

    told: list[int] = []
    sending = worker.submit(send)
    received = b"".join(iter(lambda: tcp_pair[1].recv(1 << 20), b""))
    sending.result(PATIENCE_S)
    assert told[-1] == len(DATA) and told == sorted(told)
    chunks = list(Framer(SESSION_CAP).feed(received))
    assert b"".join(chunk.data for chunk in chunks if isinstance(chunk, FileChunk)) == DATA[100_000:]


def test_a_file_that_changed_or_went_is_not_sent(
    track: Track, song: pathlib.Path, tcp_pair: tuple[socket.socket, socket.socket]
) -> None:
    song.write_bytes(DATA + b"more")
    with pytest.raises(PhaseLockError, match="has changed"):
        bulk.send_file(tcp_pair[0], track, song, 0, lambda _: None)
    song.unlink()
    with pytest.raises(PhaseLockError, match="cannot be read"):
        bulk.send_file(tcp_pair[0], track, song, 0, lambda _: None)
