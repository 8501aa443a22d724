"""What the server tells the phones that play the music while a microphone listens."""

from __future__ import annotations

import asyncio
import dataclasses
import pathlib
from collections.abc import Awaitable, Callable

from phaselock.model.snapshot import CheckView
from phaselock.model.sweeps import SWEEP_ID, Sounds
from phaselock.model.timeline import Timeline
from phaselock.model.types import Track
from phaselock.session.effects import Follow, GuestCalibrated, GuestSweep, GuestSweepEnd
from tests.guests.test_server import entered
from tests.support.guest_jam import EMPTY, OpenPage, open_page, row


def play(folder: pathlib.Path, scene: Callable[[OpenPage], Awaitable[None]]) -> None:
    """Run a scene with an open page."""

    async def run() -> None:
        async with open_page(folder) as opened, asyncio.timeout(20):
            await scene(opened)

    asyncio.run(run())


def test_the_phone_of_a_calibration_plays_its_sounds_and_keeps_its_songs(tmp_path: pathlib.Path) -> None:
    async def scene(page: OpenPage) -> None:
        item = row(1)
        page.jam.files = {item.id: (Track(item.id, item.file_name, 10, b"", 44100, 4_410_000), tmp_path)}
        paused = Timeline(item.id, 44100, 0, 1, stop_session_ns=5)
        page.jam.now = dataclasses.replace(EMPTY, timeline=paused)
        page.jam.plays = Follow(Timeline(SWEEP_ID, 48000, 0, 9))
        client, _, guest_id = await entered(page)
        sweep = GuestSweep(guest_id, 1 << 60, Sounds((0, 700_000_000), False), 120_000_000)
        async with client:
            page.server.tell(sweep)  # it is not told, because the phone does not play
            await client.tell("listen", on=True, uncertainty_ms=None)
            timeline = await client.hear("timeline")
            page.server.tell(GuestSweepEnd(guest_id))
            assert (await client.hear("sweep_end", "sweep"))["type"] == "sweep_end"
            page.server.tell(sweep)
            told = await client.hear("sweep")
            page.server.tell(GuestCalibrated(guest_id, 120_000_000))
            assert await client.hear("calibrated") == {"type": "calibrated", "late_ns": 120_000_000}
        assert [one["id"] for one in timeline["songs"]] == [str(item.id)]
        assert timeline["current"]["stop_session_ns"] == "5"
        assert told["begin_session_ns"] == str(1 << 60) and told["starts_ns"] == [0, 700_000_000]
        assert told["upward"] is False and told["late_ns"] == 120_000_000

    play(tmp_path, scene)


def test_a_phone_is_silent_while_a_check_runs(tmp_path: pathlib.Path) -> None:
    async def scene(page: OpenPage) -> None:
        item = row(1)
        page.jam.files = {item.id: (Track(item.id, item.file_name, 10, b"", 44100, 4_410_000), tmp_path)}
        page.jam.plays = Follow(Timeline(item.id, 44100, 0, 1))
        page.jam.now = dataclasses.replace(EMPTY, check=CheckView("Ben", 0, 10, ((0, "Ben"),)))
        client, _, _ = await entered(page)
        async with client:
            await client.tell("listen", on=True, uncertainty_ms=None)
            silent = await client.hear("timeline")
            page.jam.now = EMPTY
            playing = await client.hear("timeline")
        assert silent["current"] is None and playing["current"] is not None
        assert silent["songs"] == playing["songs"] != []

    play(tmp_path, scene)
