"""A machine takes part in a session, and its role changes: the stages, without their sessions."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from phaselock.app import succession
from phaselock.app.options import HostOptions, JoinOptions
from phaselock.app.session import Inheritance, OpenHostSession, OpenPeerSession, Resignation
from phaselock.app.succession import take_part
from phaselock.errors import PhaseLockError
from phaselock.model.heritage import Cause
from phaselock.model.notices import Code, Notice
from phaselock.session.effects import Ended, FollowHost, TakeOver
from phaselock.storage.settings import SettingsStore

ENDED = Ended(Notice(Code.SESSION_LEFT), failed=False)
FILES = {"id": ("track", "path")}


class Stages:
    """The stages of one machine, each with the outcome that the test has set, or the error with which it opens."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)
        self.log: list[str] = []
        self.brought: list[Any] = []
        monkeypatch.setattr(succession, "open_host_session", self.host)
        monkeypatch.setattr(succession, "open_peer_session", self.join)

    def host(self, wish: HostOptions, kit: Any, brought: Inheritance | None = None) -> Any:
        return self._open(OpenHostSession, "host", wish, brought)

    def join(self, wish: JoinOptions, kit: Any, brought: Resignation | None = None) -> Any:
        return self._open(OpenPeerSession, "peer", wish, brought)

    @contextlib.asynccontextmanager
    async def _open(self, kind: Any, name: str, wish: Any, brought: Any) -> AsyncIterator[Any]:
        self.brought.append((wish, brought))
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, PhaseLockError):
            raise outcome
        stage = object.__new__(kind)
        over: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def take() -> str:
            self.log.append("ports")
            return "ports"

        async def ends() -> Any:
            return await asyncio.shield(over)

        async def run(_self: Any, *_: Any) -> Any:
            self.log.append(f"{name} runs")
            over.set_result(outcome)
            await asyncio.sleep(0.01)  # it closes its connections
            self.log.append(f"{name} over")

        stage.runner = SimpleNamespace(
            outcome=ends, run=lambda *_: run(stage), files=FILES, code="4829", stand_by=SimpleNamespace(take=take)
        )
        if kind is OpenPeerSession:
            stage.clock = SimpleNamespace(stop=lambda: self.log.append("clock stops"))
            stage.places, stage._control = [("10.0.0.1", 1)], None
        else:
            stage._listener = None
        yield stage


def taken_part(wish: HostOptions | JoinOptions, folder: pathlib.Path) -> tuple[Any, list[str]]:
    """How the session ended, and the roles that were presented."""
    presented: list[str] = []

    async def present(stage: Any) -> None:
        presented.append("host" if isinstance(stage, OpenHostSession) else "peer")

    async def run() -> Ended:
        with contextlib.closing(SettingsStore(folder / "settings.json", lambda problem: None)) as store:
            return await take_part(wish, store, lambda event: None, present)

    return asyncio.run(run()), presented


def test_a_peer_takes_over_and_hands_over(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    heritage: Any = SimpleNamespace()
    takes = TakeOver(heritage, Cause.HOST_LOST)
    follows: Any = object.__new__(FollowHost)
    stages = Stages(monkeypatch, takes, follows, ENDED)
    wish = JoinOptions([("10.0.0.1", 1)], session_id="ab", host_key="cd", display_name="Ana", node="x", relay="none")
    assert taken_part(wish, tmp_path) == (ENDED, ["peer", "host", "peer"])
    over = [one for one in stages.log if one.endswith("over")]  # at any time: a stage ends in the background
    assert sorted(over) == ["host over", "peer over", "peer over"]
    others = [one for one in stages.log if one not in over]
    assert others == ["peer runs", "clock stops", "ports", "host runs", "peer runs"]
    (_, nothing), (host_wish, inheritance), (peer_wish, resignation) = stages.brought
    assert nothing is None and inheritance == Inheritance(takes, "ports", FILES)
    assert resignation == Resignation(follows, "4829", FILES)
    assert (host_wish.relay, peer_wish.places, peer_wish.session_id, peer_wish.node) == ("none", (), "", "")


def test_the_error_of_a_stage_ends_the_session(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    follows: Any = object.__new__(FollowHost)
    stages = Stages(monkeypatch, follows, PhaseLockError("No."))
    with pytest.raises(PhaseLockError, match="No."):
        taken_part(HostOptions(display_name="Ana"), tmp_path)
    assert stages.log == ["host runs", "host over"] or stages.log == ["host runs"]
