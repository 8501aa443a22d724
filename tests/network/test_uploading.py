"""A peer uploads a song, and the host receives it."""

from __future__ import annotations

import pathlib
import socket
import threading
import uuid

import pytest

from phaselock.errors import PhaseLockError
from phaselock.network import file_connection, transfer
from phaselock.network.file_connection import FileConnection
from phaselock.network.secure import PlainChannel
from phaselock.protocol.codec import ProtocolError
from phaselock.protocol.framing import frame
from phaselock.protocol.messages import (
    BulkProgress,
    FileChunk,
    Heartbeat,
    Message,
    SongUploadChunk,
    SongUploadComplete,
    SongUploadFrom,
)
from phaselock.storage.cache import FileCache
from tests.support.damage import damaging_frame
from tests.support.file_transfer import (
    DATA,
    HASH,
    REQUEST_ID,
    START,
    TIMEOUT_S,
    Host,
    Line,
    Pair,
    arrive,
    listen,
    nothing,
    take,
    upload,
)


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
    assert transfer.receive_upload(
        FileConnection(tcp_pair[0], PlainChannel()), START, len(DATA), cache, nothing
    ) == cache.path(HASH)
    assert next(listen(tcp_pair[1], acknowledge=False)) == SongUploadFrom(len(DATA))


def test_an_upload_goes_on_where_it_was_lost(song: pathlib.Path, cache: FileCache, tcp_pair: Pair) -> None:
    arrive(cache, 200_000)
    for message in (
        SongUploadChunk(REQUEST_ID, offset, DATA[offset : offset + 50_001]) for offset in (200_000, 250_001)
    ):
        tcp_pair[1].sendall(frame(message))
    tcp_pair[1].sendall(frame(SongUploadComplete(REQUEST_ID, HASH)))
    told: list[int] = []
    transfer.receive_upload(FileConnection(tcp_pair[0], PlainChannel()), START, len(DATA), cache, told.append)
    assert next(listen(tcp_pair[1], acknowledge=False)) == SongUploadFrom(200_000)
    assert told[-1] == len(DATA)
    assert cache.path(HASH).read_bytes() == DATA


def test_a_refused_upload_says_why(song: pathlib.Path) -> None:
    with Host(lambda sock, _: sock.connection.refuse("Not today.")) as (_, address):
        with pytest.raises(transfer.TransferError, match=r"The host refused: Not today\."):
            upload(song, address).run(nothing)


def test_an_upload_that_is_refused_on_the_way_says_why(song: pathlib.Path) -> None:
    def refuse(sock: Line, _: object) -> None:
        sock.sendall(frame(SongUploadFrom(0)))
        next(listen(sock))
        sock.connection.refuse("No room.")

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
        transfer.receive_upload(FileConnection(tcp_pair[0], PlainChannel()), START, 4, cache, nothing)


def test_the_received_part_of_a_lost_upload_is_kept(
    cache: FileCache, tcp_pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    tcp_pair[1].sendall(frame(SongUploadChunk(REQUEST_ID, 0, DATA[:60_000])))
    tcp_pair[1].shutdown(socket.SHUT_WR)
    monkeypatch.setattr(file_connection, "TIMEOUT_LINGER_S", 0.05)
    with pytest.raises(transfer.TransferError, match="The peer ended the transfer"):
        transfer.receive_upload(FileConnection(tcp_pair[0], PlainChannel()), START, len(DATA), cache, nothing)
    with cache.begin(HASH, len(DATA)) as partial:
        assert partial.offset == 60_000


def test_an_upload_that_stands_still_is_given_up(
    cache: FileCache, tcp_pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_connection, "TIMEOUT_STALL_S", 0.05)
    monkeypatch.setattr(file_connection, "TIMEOUT_LINGER_S", 0.05)
    with pytest.raises(transfer.TransferError, match="stood still"):
        transfer.receive_upload(FileConnection(tcp_pair[0], PlainChannel()), START, len(DATA), cache, nothing)


@pytest.mark.usefixtures("sleeper")
def test_cancel_ends_an_upload_on_its_way(song: pathlib.Path) -> None:
    def cancel(sock: Line, _: object) -> None:
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
    def cancel(sock: Line, _: object) -> None:
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
