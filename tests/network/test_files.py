"""Files and requested songs between real runners on the loopback interface."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import pathlib
import random
import socket
import sys
import uuid
from collections.abc import Callable
from types import SimpleNamespace
from unittest import mock

import pytest

from phaselock.audio import music
from phaselock.audio.formats.mp3 import Mp3Source
from phaselock.audio.interface import DecodeFailed
from phaselock.errors import PhaseLockError
from phaselock.model.file_kinds import UnplayableFileError
from phaselock.model.types import Track
from phaselock.network import transfer
from phaselock.protocol.messages import (
    FileChunk,
    FileRefused,
    FileRequest,
    JoinAccepted,
    SessionInfo,
    SongRequest,
    SongUploadStart,
)
from phaselock.protocol.proof import FETCH, UPLOAD, membership_proof
from phaselock.session import commands as c
from phaselock.session.effects import CancelFetch, Fetch
from phaselock.storage.cache import FileCache
from tests.support.damage import damaging_frame
from tests.support.identity import IDENTITY
from tests.support.mp3 import packets
from tests.support.network_session import DATA, TIMEOUT_S, NetworkFixture, Peer, played

Get = Callable[[FileCache], pathlib.Path]


def fetch_proof(accepted: JoinAccepted) -> bytes:
    return membership_proof(accepted.token, FETCH, IDENTITY.host_key)


@played
async def test_a_damaged_file_is_tried_three_times(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    stack.enter_context(mock.patch.object(transfer, "frame", damaging_frame))
    network.host.add(network.song)
    peer = await network.join(stack, "Ada")
    await network.host.news.wait_for("transfer", state="failed", peer="Ada")
    states = [event.fields["state"] for event in network.host.news.told if event.name == "transfer"]
    assert states.count("retry") == 2
    assert "file_ready" not in peer.news.names()
    assert not list((network.folder / "Ada").iterdir())


@played
async def test_a_file_that_is_no_music_there_is_told_to_the_host(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    def inspect(path: pathlib.Path, sha256: bytes) -> None:
        raise UnplayableFileError("song.mp3")

    ada = await network.join(stack, "Ada", inspect)
    await network.host.news.wait_for("peer_joined")
    network.host.add(network.song)
    error = await network.host.news.wait_for("error")
    assert error.fields["peer"] == "Ada"
    await network.host.news.wait_for("transfer", state="done")
    await ada.news.wait_for("error", code="unplayable_here")
    assert "file_ready" not in [*network.host.news.names(), *ada.news.names()]


@played
async def test_a_file_of_another_sampling_rate_than_announced_is_refused(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    ada = await network.join(stack, "Ada", lambda path, sha256: SimpleNamespace(rate_hz=48000, frames=441_000))
    await network.host.news.wait_for("peer_joined")
    track = network.host.add(network.song)
    told = await ada.news.wait_for("error", code="unplayable_here")
    assert "song.mp3 cannot be played: its sampling rate is not the one that the host says." in str(
        told.fields["message"]
    )
    await network.host.news.wait_for("error", code="unplayable_at_peer")
    assert ada.runner.path(track.file_id) is None, "so it is never armed"


@played
async def test_host_and_peer_decode_the_same_sound(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    def decoded(path: pathlib.Path) -> bytes:
        info = music.inspect(path)
        pcm = bytearray(8 * info.frames)  # two channels of float32
        with Mp3Source(path, info) as source:
            assert source.read_into(pcm, info.frames) == info.frames and source.read_into(bytearray(8), 1) == 0
        return bytes(pcm)

    data = b"".join(packets(44100, 2, 100_000))
    network.song.write_bytes(data)
    network.host.add(network.song, data)
    peer = await network.join(stack, "Ada", music.Inspector())
    await network.host.news.wait_for("transfer", state="done")
    network.host.runner.command(c.Play())
    await peer.news.wait_for("playing")
    plans = [program.output.followed[-1][0] for program in (network.host, peer)]
    paths = [plan.path for plan in plans if plan is not None]
    assert len({network.song, *paths}) == 2  # the peer's copy is another file
    host_pcm, peer_pcm = [decoded(path) for path in paths]
    assert any(host_pcm) and host_pcm == peer_pcm


@played
async def test_a_file_that_went_is_told_to_the_host(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    network.host.add(network.song)
    network.song.unlink()
    await network.join(stack, "Ada")
    warning = await network.host.news.wait_for("warning")
    assert "song.mp3 cannot be read" in str(warning.fields["message"])


@played
async def test_files_are_for_those_with_a_token(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    track = network.host.add(network.song)
    async with network.raw_client() as control:
        accepted = await control.join()
        good = FileRequest(accepted.peer_id, fetch_proof(accepted), track.file_id, 0)
        for bad in (
            dataclasses.replace(good, proof=bytes(32)),
            dataclasses.replace(good, peer_id=accepted.peer_id + 1),
            dataclasses.replace(good, file_id=uuid.uuid4()),
            dataclasses.replace(good, offset=len(DATA) + 1),
        ):
            async with network.raw_client() as other:
                await other.send(bad)
                _, refusal = await other.read_to_end()
                assert isinstance(refusal, FileRefused)
        cache = FileCache(network.folder / "resumed")
        with cache.begin(track.sha256, track.size) as partial:
            partial.write(DATA[:100_000])
        fetch = transfer.Fetch(
            track, transfer.Access(network.host.address, IDENTITY.host_key, accepted.peer_id, accepted.token)
        )
        assert (await asyncio.to_thread(fetch.run, cache)).read_bytes() == DATA
    await network.host.news.wait_for("peer_left")
    async with network.raw_client() as other:
        await other.send(good)
        _, refusal = await other.read_to_end()
        assert isinstance(refusal, FileRefused)


@played
async def test_a_peer_that_refuses_its_file_is_not_told_to_the_user(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    """The reason is a text of that peer, which could fill the host's screen with it."""
    track = network.host.add(network.song)
    async with network.raw_client() as control:
        accepted = await control.join()
        async with network.raw_client() as other:
            await other.send(FileRequest(accepted.peer_id, fetch_proof(accepted), track.file_id, 0))
            assert [type(await other.read()) for _ in range(2)] == [SessionInfo, FileChunk]
            await other.send(FileRefused("x" * 600))
            assert not [one for one in await other.read_to_end() if isinstance(one, FileRefused)]
    assert not [event for event in network.host.news.told if event.name == "warning"]


@played
async def test_a_peer_that_ends_its_fetches_is_not_told_to_the_user(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    track = network.host.add(network.song)
    async with network.raw_client() as control:
        accepted = await control.join()
        for _ in range(3):
            async with network.raw_client() as other:
                await other.send(FileRequest(accepted.peer_id, fetch_proof(accepted), track.file_id, 0))
                assert [type(await other.read()) for _ in range(2)] == [SessionInfo, FileChunk]
        while network.host.runner._sender._bulk:
            await asyncio.sleep(0)
    assert not [event for event in network.host.news.told if event.name == "warning"]


@pytest.mark.slow
@played
async def test_a_second_transfer_takes_the_place_of_the_first(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    data = random.Random(3).randbytes(30_000_000)
    network.song.write_bytes(data)
    track = network.host.add(network.song, data)
    async with network.raw_client() as control:
        accepted = await control.join()
        request = FileRequest(accepted.peer_id, fetch_proof(accepted), track.file_id, 0)
        async with network.raw_client() as stuck, network.raw_client() as second:
            await stuck.send(request)
            assert isinstance(await stuck.read(), SessionInfo)
            assert isinstance(await stuck.read(), FileChunk)
            await second.send(dataclasses.replace(request, offset=len(data) - 10))
            _, chunk = await second.read_to_end()
            assert isinstance(chunk, FileChunk) and chunk.data == data[-10:]
            received = sum(len(one.data) for one in await stuck.read_to_end() if isinstance(one, FileChunk))
            assert received < len(data) - (1 << 20)


@played
async def test_a_song_that_a_peer_asks_for_is_added_and_reaches_the_others(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    ada, bob = await network.join(stack, "Ada"), await network.join(stack, "Bob")
    await ada.news.wait_for("joined")
    song = network.folder / "wish.mp3"
    song.write_bytes(DATA)
    ada.runner.request(song)
    asked = await network.host.news.wait_for("request", state="open")
    assert (asked.fields["peer"], asked.fields["file_name"], asked.fields["size"]) == ("Ada", "wish.mp3", len(DATA))
    song.unlink()  # the cache has a copy
    network.host.runner.command(c.Accept(uuid.UUID(str(asked.fields["request_id"]))))
    for program in (network.host, ada):
        await program.news.wait_for("request", state="added")
    for name in ("Ada", "Bob"):
        await network.host.news.wait_for("transfer", state="done", peer=name)
    (item,) = network.host.runner.snapshot().queue
    assert (item.file_name, item.added_by) == ("wish.mp3", "Ada")
    network.host.runner.command(c.Play())
    for program in (network.host, ada, bob):
        await program.news.wait_for("playing")
        plan = program.output.followed[-1][0]
        assert plan and plan.path.read_bytes() == DATA


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_song_whose_name_is_no_text_is_requested(tmp_path: pathlib.Path) -> None:
    async def story(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
        ada = await network.join(stack, "Ada")
        await ada.news.wait_for("joined")
        song = pathlib.Path(os.fsdecode(os.fsencode(network.folder) + b"/\xff one.mp3"))
        song.write_bytes(b"a song of Ada")
        ada.runner.request(song)
        assert (await network.host.news.wait_for("request", peer="Ada")).fields["file_name"] == "one.mp3"
        assert not ada.ended.done()

    played(story)(tmp_path)


@played
async def test_a_song_that_cannot_be_used_is_refused_in_words(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    ada = await network.join(stack, "Ada")
    song = network.folder / "wish.mp3"
    song.write_bytes(b"noise" + DATA)
    await ada.news.wait_for("joined")
    ada.runner.request(song)
    asked = await network.host.news.wait_for("request", state="open")
    network.host.runner.command(c.Accept(uuid.UUID(str(asked.fields["request_id"]))))
    answer = await ada.news.wait_for("request", state="rejected")
    assert answer.fields["reason"] == "Invalid or corrupted MP3 file: wish.mp3"
    assert network.host.runner.snapshot().queue == ()
    assert not list((network.folder / "host").iterdir()), "it is of no use there"
    ada.runner.request(network.folder / "nothing.mp3")
    assert "nothing.mp3" in str((await ada.news.wait_for("error")).fields["message"])


@played
async def test_the_conversion_of_a_song_that_a_peer_asks_for_is_told(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    ada = await network.join(stack, "Ada")
    await ada.news.wait_for("joined")
    song = network.folder / "wish.m4a"
    song.write_bytes(b"other half" + DATA)
    ada.runner.request(song)
    asked = await network.host.news.wait_for("request", state="open")
    network.host.runner.command(c.Accept(uuid.UUID(str(asked.fields["request_id"]))))
    for program in (network.host, ada):
        told = await program.news.wait_for("request", state="converting")
        assert told.fields["converted_percent"] == 0
        await program.news.wait_for("request", state="added")
    assert [item.file_name for item in network.host.runner.snapshot().queue] == ["wish.m4a"]


@played
async def test_the_conversion_of_a_song_that_is_declined_ends(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    ada = await network.join(stack, "Ada")
    await ada.news.wait_for("joined")
    song = network.folder / "wish.m4a"
    song.write_bytes(b"other" + DATA)
    ada.runner.request(song)
    asked = await network.host.news.wait_for("request", state="open")
    request_id = uuid.UUID(str(asked.fields["request_id"]))
    network.host.runner.command(c.Accept(request_id))
    await ada.news.wait_for("request", state="converting")
    network.host.runner.command(c.Reject(request_id))
    await ada.news.wait_for("request", state="rejected")
    async with asyncio.timeout(60):
        while network.host.runner._songs._uploads:  # its worker thread has ended
            await asyncio.sleep(0.01)
    assert network.host.runner.snapshot().queue == ()


@played
async def test_an_upload_that_nobody_asked_for_is_refused(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    async with network.raw_client() as control:
        accepted = await control.join()
        request_id = uuid.uuid4()
        await control.send(SongRequest(request_id, "a.mp3", 100))
        await network.host.news.wait_for("request", state="open")  # the host does not accept it
        for proof in (membership_proof(accepted.token, UPLOAD, IDENTITY.host_key), bytes(32)):
            async with network.raw_client() as other:
                await other.send(SongUploadStart(accepted.peer_id, proof, request_id, bytes(32)))
                _, refusal = await other.read_to_end()
                assert isinstance(refusal, FileRefused)
    assert not list((network.folder / "host").glob("*"))


async def out_of_reach(peer: Peer, stack: contextlib.AsyncExitStack) -> tuple[list[uuid.UUID], asyncio.Event]:
    """Prevent all further file connections of this peer. Return a list to which the ids of the files are added that it
    tries to fetch, and an event that is set at the first try."""
    await peer.news.wait_for("joined")
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    for _ in range(4):  # with a full backlog no connection is answered
        waiting = stack.enter_context(socket.socket())
        waiting.setblocking(False)
        with contextlib.suppress(OSError):
            waiting.connect(listener.getsockname())
    stack.enter_context(mock.patch.object(transfer, "TIMEOUT_CONNECT_S", 10 * TIMEOUT_S))
    peer.runner._where.address = listener.getsockname()
    tried, loop, first = list[uuid.UUID](), asyncio.get_running_loop(), asyncio.Event()
    get = peer.runner._transfers._get

    def try_it(track: Track, fetch: Get) -> tuple[pathlib.Path | None, PhaseLockError | None]:
        tried.append(track.file_id)
        loop.call_soon_threadsafe(first.set)
        return get(track, fetch)

    stack.enter_context(mock.patch.object(peer.runner._transfers, "_get", try_it))
    return tried, first


@played
async def test_whoever_leaves_waits_for_no_file(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    peer = await network.join(stack, "Ada")
    tried, first = await out_of_reach(peer, stack)
    tracks = [network.host.add(network.song) for _ in range(3)]
    for track in tracks:
        await peer.news.wait_for("transfer", state="started", file_id=str(track.file_id))
    await first.wait()
    peer.runner.command(c.Leave())
    assert not (await peer.ended).failed
    assert tried == [tracks[0].file_id]
    assert not list((network.folder / "Ada").glob("*"))


@played
async def test_an_offer_that_is_withdrawn_leaves_nothing_behind(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    peer = await network.join(stack, "Ada")
    tried, first = await out_of_reach(peer, stack)
    track = network.host.add(network.song)
    await first.wait()
    tasks = len(peer.runner._tasks)
    for _ in range(100):
        other = dataclasses.replace(track, file_id=uuid.uuid4())
        for effect in (Fetch(other, 1, bytes(16)), CancelFetch(other.file_id)):
            peer.runner._execute(effect)
    assert list(peer.runner._transfers._fetches) == [track.file_id] == tried
    assert len(peer.runner._tasks) == tasks and peer.runner._pool._work_queue.empty()
    peer.runner._where.address = network.host.address
    network.host.runner.command(c.Remove(track.file_id))
    network.host.add(network.song)
    await peer.news.wait_for("file_ready")
    assert len(tried) == 2


@played
async def test_a_file_that_was_deleted_before_it_was_opened_is_fetched_again(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    peer = await network.join(stack, "Ada")
    track = network.host.add(network.song)
    await network.host.news.wait_for("transfer", state="done")
    network.host.runner.command(c.Play())
    await peer.news.wait_for("playing")
    plan = peer.output.followed[-1][0]
    assert plan and plan.track.file_id == track.file_id
    plan.path.unlink()
    for program in (peer, network.host):
        program.news.told.clear()
    peer.output.on_event(DecodeFailed(plan, "There is no such file."))
    await peer.news.wait_for("file_ready")
    assert peer.output.followed[-1][0] == plan and plan.path.exists()
    assert not [event for event in peer.news.told if event.name == "error"]
    assert not [event for event in network.host.news.told if event.name == "warning"]


@played
async def test_a_file_that_made_room_is_fetched_again(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    peer = await network.join(stack, "Ada")
    track = network.host.add(network.song)
    await peer.news.wait_for("file_ready")
    await network.host.news.wait_for("transfer", state="done")
    path = peer.runner.path(track.file_id)
    assert path
    path.unlink()
    again, loop, get = asyncio.Event(), asyncio.get_running_loop(), peer.runner._transfers._get

    def get_it(wanted: Track, fetch: Get) -> tuple[pathlib.Path | None, PhaseLockError | None]:
        if wanted == track:
            loop.call_soon_threadsafe(again.set)
        return get(wanted, fetch)

    stack.enter_context(mock.patch.object(peer.runner._transfers, "_get", get_it))
    (network.folder / "other.mp3").write_bytes(DATA[::-1])
    network.host.add(network.folder / "other.mp3", DATA[::-1])
    await again.wait()
    assert not peer.ended.done()
