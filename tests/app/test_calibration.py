"""What a machine does with the calibration of its host: a host may be mistaken or hostile."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from phaselock import _native
from phaselock.app import equipment
from phaselock.app.hearing import hear_pass
from phaselock.audio.microphone import MicrophoneError, Recording
from phaselock.errors import PhaseLockError
from phaselock.model.microphone import HeardPass, MicrophoneFault
from phaselock.model.sweeps import Verdict, schedule
from phaselock.session.events import DeviceChanged, Event, PeersTrimmed, TrimRow, TrimSet
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


def tell(event: Event, player: FakePlayer, store: SettingsStore) -> None:
    """What a machine without a requested output does at this event."""
    kit: Any = SimpleNamespace(player=player, store=store, wish=SimpleNamespace(device=None))
    equipment.Equipment._opened(kit, event)


def test_a_trim_is_kept_for_its_output_and_applied_when_that_is_opened_again(tmp_path: pathlib.Path) -> None:
    path, player = tmp_path / "settings.json", FakePlayer()
    for happened in ([TrimSet(None, -6.2), opened("Box"), opened("Card")], [opened("Card")], [TrimSet(None, 0.0)]):
        store = SettingsStore(path)
        for event in happened:
            tell(event, player, store)
        store.close()
    assert player.trims_db == [-6.2, 0, -6.2, -6.2, 0]
    assert json.loads(path.read_text("utf-8"))["trims_db"] == {"Card": 0}


def test_a_trim_without_an_output_is_ignored(store: SettingsStore) -> None:
    player: Any = FakePlayer()
    player.device_name = None
    tell(TrimSet(None, -6.2), player, store)
    assert not player.trims_db and not store.settings.trims_db


def test_a_trim_of_a_peer_changes_nothing_here(store: SettingsStore) -> None:
    player: Any = FakePlayer()
    tell(PeersTrimmed(None, (TrimRow("Ana", -6.2),)), player, store)
    tell(DeviceChanged(None, "open", "Box", "", "exact", "Ana"), player, store)
    assert not player.trims_db


@dataclasses.dataclass
class Recorder:
    """Takes the place of `microphone.record`. `samples`: what it delivers; an error: what it raises."""

    result: Any
    inputs: list[str | None] = dataclasses.field(default_factory=list)

    def __call__(self, _seconds: float, _channels: int, name: str | None, **_: Any) -> Recording:
        self.inputs.append(name)
        if isinstance(self.result, Exception):
            raise self.result
        return Recording(16_000, self.result.astype(np.float32).tobytes(), _native.now_ns())


def hear(monkeypatch: pytest.MonkeyPatch, recorder: Recorder) -> HeardPass:
    monkeypatch.setattr("phaselock.audio.microphone.record", recorder)
    clock_map: Any = type("Map", (), {"session_from_local": staticmethod(lambda local_ns: local_ns)})
    return hear_pass(clock_map, lambda: "Desk", _native.now_ns(), schedule(2, 2), threading.Event())


def test_a_fault_of_the_microphone_is_a_code(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(MicrophoneError("It is denied.").because(MicrophoneFault.DENIED_BY_WINDOWS))
    assert hear(monkeypatch, recorder) == HeardPass(fault=MicrophoneFault.DENIED_BY_WINDOWS)
    assert recorder.inputs == ["Desk"]


@pytest.mark.parametrize("system", ["linux", "darwin"])
@pytest.mark.parametrize("level", [0.0, 1 / 32768])
def test_a_microphone_that_is_muted(level: float, system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", system)
    muted = np.random.default_rng(1).choice([-level, 0.0, level], 80_000)
    expected = MicrophoneFault.SILENT_ON_MACOS if system == "darwin" else MicrophoneFault.SILENT
    assert hear(monkeypatch, Recorder(muted)).fault is expected


def test_a_quiet_room_is_no_muted_microphone(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = hear(monkeypatch, Recorder(np.random.default_rng(1).normal(0, 1e-4, 80_000)))
    assert heard.fault is None and [one.verdict for one in heard.arrivals] == [Verdict.NOT_HEARD] * 2


def test_an_overloaded_microphone(monkeypatch: pytest.MonkeyPatch) -> None:
    loud = np.clip(np.random.default_rng(1).normal(0, 2, 80_000), -1, 1)
    assert hear(monkeypatch, Recorder(loud)).fault is MicrophoneFault.CLIPPED


def test_the_input_of_the_settings_is_used_unless_another_one_is_wished(store: SettingsStore) -> None:
    assert equipment._input("", store) is None
    store.update(microphone="Desk")
    assert (equipment._input("", store), equipment._input(None, store), equipment._input("USB", store)) == (
        "Desk",
        "Desk",
        "USB",
    )


def test_a_recording_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phaselock.audio.microphone.record", lambda *_, **__: pytest.fail("it is recorded"))
    clock_map: Any = type("Map", (), {"session_from_local": staticmethod(lambda local_ns: local_ns)})
    with pytest.raises(PhaseLockError, match="too long"):
        hear_pass(clock_map, lambda: None, _native.now_ns() + 10**12, schedule(2, 2), threading.Event())
