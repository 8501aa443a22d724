"""A peer fetches a file from the host: resumed, cancelled, refused, damaged."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import pathlib
import selectors
import socket
import tempfile
import threading
import types
import uuid
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phaselock.model.types import Track
from phaselock.network import file_connection, transfer
from phaselock.protocol.framing import frame
from phaselock.protocol.messages import FileChunk, FileRequest, Heartbeat, Message
from phaselock.storage.cache import FileCache
from tests.support.closed_port import closed_address
from tests.support.file_transfer import (
    DATA,
    FETCH_PROOF,
    HASH,
    TIMEOUT_S,
    Host,
    Line,
    arrive,
    fetch,
    nothing,
    serve,
    take,
    upload,
)


def test_a_file_arrives_whole_and_the_second_time_from_the_cache(
    track: Track, song: pathlib.Path, cache: FileCache
) -> None:
    with Host(serve(track, song)) as (host, address):
        path = fetch(track, address).run(cache)
        assert path.read_bytes() == DATA
        assert fetch(track, address).run(cache) == path
    assert host.requests == [FileRequest(3, FETCH_PROOF, track.file_id, 0)]


@pytest.mark.parametrize("turned_away", [1, 2])
def test_a_host_with_too_many_connections_is_asked_again(
    track: Track, song: pathlib.Path, cache: FileCache, monkeypatch: pytest.MonkeyPatch, turned_away: int
) -> None:
    monkeypatch.setattr(transfer, "_TURNED_AWAY_S", (0.0, 0.0))
    with Host(serve(track, song), turned_away) as (host, address):
        assert fetch(track, address).run(cache).read_bytes() == DATA
    assert host.requests == [FileRequest(3, FETCH_PROOF, track.file_id, 0)]


def test_a_host_that_turns_everybody_away_is_a_failure(
    track: Track, song: pathlib.Path, cache: FileCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "_TURNED_AWAY_S", (0.0, 0.0))
    with Host(serve(track, song), 3) as (_, address):
        with pytest.raises(transfer.TransferError, match=r"The host ended the transfer\."):
            fetch(track, address).run(cache)


def test_a_lost_transfer_is_resumed(track: Track, song: pathlib.Path, cache: FileCache) -> None:
    def stop_half_way(sock: Line, request: FileRequest) -> None:
        if len(host.requests) == 1:
            sock.sendall(frame(FileChunk(track.file_id, 0, DATA[:50_000])))
        else:
            transfer.send_file(sock.connection, track, song, request.offset, nothing)

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
    with Host(lambda sock, _: sock.connection.refuse("Not today.")) as (_, address):
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
    with closed_address() as address, pytest.raises(transfer.TransferError, match="failed"):
        fetch(track, address).run(cache)


@pytest.mark.usefixtures("sleeper")
def test_cancel_wakes_a_transfer_that_waits(
    track: Track, cache: FileCache, worker: concurrent.futures.Executor
) -> None:
    asked, over = threading.Event(), threading.Event()

    def wait(sock: Line, request: FileRequest) -> None:
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


def test_a_transfer_that_stands_still_is_given_up(
    track: Track, cache: FileCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    def script(sock: Line, _: object) -> None:
        sock.sendall(frame(FileChunk(track.file_id, 0, DATA[:1000])) + b"\1")
        sock.recv(1000)  # it has arrived
        monkeypatch.setattr(file_connection, "TIMEOUT_STALL_S", 0.05)
        over.wait(TIMEOUT_S)

    with Host(script) as (_, address):
        with pytest.raises(transfer.TransferError, match="stood still"):
            fetch(track, address).run(cache)
        over.set()


def test_large_packets_that_are_lost_are_told(track: Track, cache: FileCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """The greeting is small and arrives; of the file nothing does."""
    over = threading.Event()

    def script(sock: Line, _: object) -> None:
        monkeypatch.setattr(file_connection, "TIMEOUT_STALL_S", 0.05)
        over.wait(TIMEOUT_S)

    with Host(script) as (_, address):
        with pytest.raises(transfer.TransferError, match="A VPN or a router loses large packets"):
            fetch(track, address).run(cache)
        over.set()


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
