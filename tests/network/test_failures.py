"""Unexpected exceptions in the runners: no task ends by them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from phaselock.session import commands as c
from phaselock.session.effects import Connect
from tests.support.network_session import DATA, LENGTH, NetworkFixture, played


def failing(function: Callable[..., Any], times: int = 1) -> Callable[..., Any]:
    """The function, which fails at first."""
    left = itertools.count(times, -1)

    def call(*arguments: Any, **more: Any) -> Any:
        if next(left) > 0:
            raise ValueError("odd")
        return function(*arguments, **more)

    return call


@pytest.mark.parametrize(
    ("part", "work"),
    [
        ("_host_session.timer", "a deadline of the session"),
        ("_host_session.audio", "a report of the status"),
        ("_host_session.received", "the connection of a peer"),
        ("_host_runner._admit", "a new connection"),
        ("_host_runner._execute", "an effect of the session"),
        ("_peer_session.received", "a message of the host"),
        ("_peer_session.connected", "the connection to the host"),
        ("_peer_session.clock", "a report of the status"),
    ],
)
def test_no_failure_ends_a_task(
    part: str, work: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, bugs: list[str]
) -> None:
    """Each part fails once. A peer still joins, and gets a file and the timeline."""

    async def story(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
        host = network.host
        joined = await network.join(stack, "Ada")
        await joined.news.wait_for("joined")
        owner = {
            "_host_session": host.runner._session,
            "_host_runner": host.runner,
            "_peer_session": joined.runner._session,
        }[part.partition(".")[0]]
        name = part.partition(".")[2]
        monkeypatch.setattr(owner, name, failing(getattr(owner, name)), raising=True)
        if name == "connected":
            joined.runner._execute(Connect())
        if name == "_admit":
            with contextlib.suppress(OSError):
                async with network.raw_client():
                    while not bugs:
                        await asyncio.sleep(0.01)
        host.runner.command(c.SetPeerVolume("Ada", 50))  # has an effect: a message
        while not bugs:
            await asyncio.sleep(0.01)
        monkeypatch.undo()
        host.add(network.song)
        bob = await network.join(stack, "Bob")
        for name in ("Ada", "Bob"):
            await host.news.wait_for("transfer", state="done", peer=name)
        host.runner.command(c.Play())
        for peer in (joined, bob):
            await peer.news.wait_for("playing")

    played(story)(tmp_path)
    assert bugs == [f"{work} failed: ValueError('odd')"]


def test_a_transfer_that_fails_holds_no_other_up(tmp_path: pathlib.Path, bugs: list[str]) -> None:
    async def story(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
        other = network.folder / "other.mp3"
        other.write_bytes(DATA[:1000])
        bad = network.host.add(network.song)
        good = network.host.add(other, DATA[:1000])

        def inspect(path: pathlib.Path, sha256: bytes) -> Any:
            if path.stem == bad.sha256.hex():
                raise ValueError("odd")
            return LENGTH

        ada = await network.join(stack, "Ada", inspect)
        await network.host.news.wait_for("transfer", state="done", file_id=str(good.file_id))
        assert ada.runner.path(good.file_id)

    played(story)(tmp_path)
    assert set(bugs) == {"a transfer failed: ValueError('odd')"}


def test_a_request_that_fails_is_told(tmp_path: pathlib.Path, bugs: list[str]) -> None:
    async def story(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
        left = itertools.count()

        def inspect(path: pathlib.Path, sha256: bytes) -> Any:
            if next(left) == 0:
                raise ValueError("odd")
            return LENGTH

        ada = await network.join(stack, "Ada", inspect)
        await ada.news.wait_for("joined")
        ada.runner.request(network.song)
        error = await ada.news.wait_for("error")
        assert error.fields["message"] == "Something went wrong inside PhaseLock. The log tells more: phaselock log"
        ada.runner.request(network.song)
        await network.host.news.wait_for("request")

    played(story)(tmp_path)
    assert bugs == ["taking a song in failed: ValueError('odd')"]
