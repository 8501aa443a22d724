"""What a machine does with the calibration of its host: a host may be mistaken or hostile."""

from __future__ import annotations

import json
import pathlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from phaselock import _native
from phaselock.app import session
from phaselock.errors import PhaseLockError
from phaselock.model.sweeps import schedule
from phaselock.session.events import DeviceChanged, PeersTrimmed, TrimRow, TrimSet
from phaselock.storage.settings import SettingsStore


class FakePlayer:
    """Plays on an output called Card."""

    device_name: str | None = "Card"

    def __init__(self) -> None:
        self.trims_db: list[float] = []

    def status(self) -> FakePlayer:
        return self

    def set_trim_db(self, trim_db: float) -> None:
        self.trims_db.append(trim_db)


@pytest.fixture
def store(tmp_path: pathlib.Path) -> Iterator[SettingsStore]:
    one = SettingsStore(tmp_path / "settings.json")
    yield one
    one.close()


def opened(name: str) -> DeviceChanged:
    return DeviceChanged(None, "open", name, "", "exact")


def test_a_trim_is_kept_for_its_output_and_applied_when_that_is_opened_again(tmp_path: pathlib.Path) -> None:
    path, player = tmp_path / "settings.json", FakePlayer()
    for happened in ([TrimSet(None, -6.2), opened("Box"), opened("Card")], [opened("Card")], [TrimSet(None, 0.0)]):
        store = SettingsStore(path)
        for event in happened:
            session._opened(event, player, store, None)  # type: ignore[arg-type]
        store.close()
    assert player.trims_db == [-6.2, 0, -6.2, -6.2, 0]
    assert json.loads(path.read_text("utf-8"))["trims_db"] == {"Card": 0}


def test_a_trim_without_an_output_is_ignored(store: SettingsStore) -> None:
    player: Any = FakePlayer()
    player.device_name = None
    session._opened(TrimSet(None, -6.2), player, store, None)
    assert not player.trims_db and not store.settings.trims_db


def test_a_trim_of_a_peer_changes_nothing_here(store: SettingsStore) -> None:
    player: Any = FakePlayer()
    session._opened(PeersTrimmed(None, (TrimRow("Ana", -6.2),)), player, store, None)
    session._opened(DeviceChanged(None, "open", "Box", "", "exact", "Ana"), player, store, None)
    assert not player.trims_db


def test_a_recording_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phaselock.audio.microphone.record", lambda *_, **__: pytest.fail("it is recorded"))
    clock_map: Any = type("Map", (), {"session_from_local": staticmethod(lambda local_ns: local_ns)})
    with pytest.raises(PhaseLockError, match="too long"):
        session._hear(clock_map, "", _native.now_ns() + 10**12, schedule(2, 2), threading.Event())
