"""Requested songs of the host's library: imported in a worker thread, and played from where they are."""

from __future__ import annotations

import contextlib
import pathlib
import uuid

from phaselock.model.party import PartyRules
from phaselock.protocol.messages import MAX_FILE_BYTES
from phaselock.session.commands import SetRules
from phaselock.session.effects import GuestRemoved, TellGuest
from phaselock.session.guest_actions import GuestAsks, GuestHere, GuestWithdraws
from tests.support.network_session import DATA, NetworkFixture, played

ANA = bytes([1]) * 16


class Page:
    """In place of the page's server."""

    def __init__(self) -> None:
        self.told: list[TellGuest | GuestRemoved] = []

    def tell(self, effect: TellGuest | GuestRemoved) -> None:
        self.told.append(effect)


@played
async def test_a_song_of_the_library_is_added(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    host, page, path = network.host, Page(), network.folder / "mine.mp3"
    path.write_bytes(DATA)
    songs: dict[int, pathlib.Path] = {7: path}
    host.runner.guest_server, host.runner.library = page, songs.get
    host.runner.command(SetRules(PartyRules(accept=True)))
    host.runner.guest(ANA, GuestHere("Ana"))
    host.runner.guest(ANA, GuestAsks(uuid.uuid4(), "mine.mp3", len(DATA), song_id=7))
    await host.news.wait_for("request", state="added")
    (row,) = host.runner.snapshot().queue
    assert (row.file_name, row.added_by, host.runner.path(row.id)) == ("mine.mp3", "Ana", path)
    missing = uuid.uuid4()
    host.runner.guest(ANA, GuestAsks(missing, "other.mp3", len(DATA), song_id=8))
    await host.news.wait_for("request", state="failed")
    sentence = "This song is not in the host's music folder any more."
    assert page.told == [TellGuest(ANA, sentence, missing)]
    found = host.runner.guest_page(ANA)
    assert found is not None and [one.state for one in found.requests] == ["added", "failed"]


@played
async def test_a_song_that_is_withdrawn_at_once_is_not_read(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    host, read = network.host, []
    song = network.folder / "mine.mp3"
    song.write_bytes(DATA)
    describe = host.runner._songs._describe
    host.runner._songs._describe = lambda *given: read.append(given) or describe(*given)
    host.runner.library = {7: song}.get
    host.runner.command(SetRules(PartyRules(accept=True)))
    host.runner.guest(ANA, GuestHere("Ana"))
    for _ in range(50):
        request_id = uuid.uuid4()
        host.runner.guest(ANA, GuestAsks(request_id, "mine.mp3", len(DATA), song_id=7))
        host.runner.guest(ANA, GuestWithdraws(request_id))
    host.runner.guest(ANA, GuestAsks(uuid.uuid4(), "mine.mp3", len(DATA), song_id=7))
    await host.news.wait_for("request", state="added")
    assert len(read) == 1


@played
async def test_an_upload_that_is_refused_at_its_end_is_not_kept(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    runner, cache = network.host.runner, network.host.runner._songs._cache
    runner.command(SetRules(PartyRules(accept=True, no_repeat_min=60)))
    runner.guest(ANA, GuestHere("Ana"))
    paths = []
    for number, state in enumerate(("added", "failed")):
        song, request_id = network.folder / "song.mp3", uuid.uuid4()
        song.write_bytes(bytes([number]) + DATA)
        paths.append(cache.adopt(song, MAX_FILE_BYTES)[2])
        runner.guest(ANA, GuestAsks(request_id, f"{number}.mp3", len(DATA) + 1))
        runner.guest_upload(request_id, paths[-1], "the same name.mp3")
        await network.host.news.wait_for("request", state=state)
    assert [path.stem for path in paths if bytes.fromhex(path.stem) in cache._kept] == [paths[0].stem]
    assert len(runner._files) == len(runner.snapshot().queue) == 1
