"""One machine's part in a session, from its beginning to its end.

The machine may become the host, or a peer, meanwhile: each role is a stage of its own. The equipment stays, so the
output plays on between two stages.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

from phaselock.app.equipment import Equipment
from phaselock.app.options import HostOptions, JoinOptions
from phaselock.app.session import (
    Inheritance,
    OpenHostSession,
    OpenPeerSession,
    Resignation,
    Stage,
    open_host_session,
    open_peer_session,
)
from phaselock.network.runner import Outcome, log_failure
from phaselock.session.effects import Ended, FollowHost, TakeOver
from phaselock.session.events import Event
from phaselock.storage.settings import SettingsStore

Opening = contextlib.AbstractAsyncContextManager[OpenHostSession | OpenPeerSession]


async def take_part(
    wish: HostOptions | JoinOptions,
    store: SettingsStore,
    on_event: Callable[[Event], None],
    present: Callable[[Stage], Awaitable[None]],
) -> Ended:
    """Host or join a session, and take part in it until it ends for this machine. PhaseLockError if a stage cannot
    begin.

    `on_event` is called on the network thread. `present` is called with each stage before it begins. All events of a
    stage are about it, except those of its beginning.
    """
    kit = Equipment(wish, store, on_event)
    tasks: set[asyncio.Task[None]] = set()
    try:
        opening: Opening = (
            open_host_session(wish, kit) if isinstance(wish, HostOptions) else open_peer_session(wish, kit)
        )
        while True:
            opened: asyncio.Future[Stage] = asyncio.get_running_loop().create_future()
            task = asyncio.create_task(_run_stage(opening, present, opened))
            tasks.add(task)
            waited: tuple[asyncio.Future[Any], ...] = task, opened
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if not opened.done():
                task.result()
            stage = opened.result()
            outcome = await _outcome(stage, task)
            if isinstance(outcome, Ended):
                await asyncio.wait(tasks)
                task.result()
                return outcome
            task.add_done_callback(log_failure)  # it closes its connections while the next stage begins
            opening = await _next_opening(kit, stage, outcome)
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        kit.close()


async def _run_stage(
    opening: Opening, present: Callable[[Stage], Awaitable[None]], opened: asyncio.Future[Stage]
) -> None:
    async with opening as stage:
        await present(stage)
        opened.set_result(stage)
        await stage.run()


async def _outcome(stage: Stage, task: asyncio.Task[None]) -> Outcome:
    """How a stage ends; the error of its `task` if that ends before."""
    outcome = asyncio.create_task(stage.runner.outcome())
    try:
        await asyncio.wait([task, outcome], return_when=asyncio.FIRST_COMPLETED)
        if not outcome.done():
            task.result()
        return await outcome
    finally:
        outcome.cancel()


async def _next_opening(kit: Equipment, stage: Stage, outcome: TakeOver | FollowHost) -> Opening:
    if isinstance(outcome, TakeOver):
        assert isinstance(stage, OpenPeerSession)
        stage.clock.stop()  # from now on the clock map is session time: see HostClock
        ports = await stage.runner.stand_by.take()
        return open_host_session(_as_host(kit.wish), kit, Inheritance(outcome, ports, dict(stage.runner.files)))
    assert isinstance(stage, OpenHostSession)
    resignation = Resignation(outcome, stage.runner.code, dict(stage.runner.files))
    return open_peer_session(_as_peer(kit.wish), kit, resignation)


def _as_host(wish: HostOptions | JoinOptions) -> HostOptions:
    """How a machine hosts that has begun with this wish."""
    return wish if isinstance(wish, HostOptions) else HostOptions(relay=wish.relay)


def _as_peer(wish: HostOptions | JoinOptions) -> JoinOptions:
    """The same as a peer."""
    if isinstance(wish, HostOptions):
        return JoinOptions(relay=wish.relay)
    return dataclasses.replace(wish, places=(), session_id="", host_key="", version=0, node="", clock_ports={})
