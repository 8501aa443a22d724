"""A guest searches in the host's music folder, and asks for a song that is found there."""

from __future__ import annotations

import contextlib
import uuid

from phaselock.app.library_scan import scan
from phaselock.model.party import SMALL_PARTY
from phaselock.session.commands import SetRules
from phaselock.storage.library import Library
from tests.guests.test_session import client_of, switched_on, token_of
from tests.support.network_session import NetworkFixture, played
from tests.support.tagged import tagged_mp3


@played
async def test_a_guest_asks_for_a_found_song(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    music, index = network.folder / "music", network.folder / "index.sqlite"
    song = tagged_mp3(music / "Beatles" / "a.mp3", "Hej då", "The Beatles", "Help!")
    scan(music, index, lambda done, of: None)
    library, runner = Library(music, index), network.host.runner
    page = await switched_on(network, stack)
    page.songs = lambda: library
    runner.library = lambda song_id: found.path if (found := library.song(song_id)) is not None else None
    runner.command(SetRules(SMALL_PARTY))
    token, live = await token_of(page, stack), await client_of(page, stack)
    await live.hello(token, "Ana")
    await live.tell("search", search=1, text="hej beat")
    (found,) = (await live.hear("results"))["songs"]
    assert (found["title"], found["artist"], found["album"]) == ("Hej då", "The Beatles", "Help!")
    await live.tell("ask", request=str(uuid.uuid4()), song=found["id"])
    while not (state := await live.hear("state"))["queue"]:
        pass
    (row,) = state["queue"]
    assert (row["file_name"], row["added_by"], row["mine"]) == ("a.mp3", "Ana", True)
    (entry,) = runner.snapshot().queue
    assert runner.path(entry.id) == song
    song.unlink()
    scan(music, index, lambda done, of: None)
    await live.tell("ask", request=str(uuid.uuid4()), song=found["id"])
    assert (await live.hear("told"))["message"]
