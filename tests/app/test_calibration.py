"""What a machine does with the calibration of its host: a host may be mistaken or hostile."""

from __future__ import annotations

import pathlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from phaselock import _native
from phaselock.app import session
from phaselock.errors import PhaseLockError
from phaselock.model.sweeps import schedule
from phaselock.session.events import OutputCalibrated
from phaselock.storage.settings import MAX_CORRECTION_MS, NOT_CALIBRATED, SettingsStore


class FakePlayer:
    """Plays on an output called Card."""

    device_name = "Card"

    def __init__(self) -> None:
        self.corrections_ms: list[float] = []

    def status(self) -> FakePlayer:
        return self

    def platform_latency_ms(self) -> float:
        return 20.0

    def set_correction_ms(self, correction_ms: float) -> None:
        self.corrections_ms.append(correction_ms)


@pytest.fixture
def store(tmp_path: pathlib.Path) -> Iterator[SettingsStore]:
    one = SettingsStore(tmp_path / "settings.json")
    yield one
    one.close()


def calibrate(store: SettingsStore, *late_ms: float) -> list[float]:
    player: Any = FakePlayer()
    for one in late_ms:
        session._opened(OutputCalibrated(None, round(one * 1e6), 50_000), player, store, None)
    corrections_ms: list[float] = player.corrections_ms
    return corrections_ms


def test_a_correction_that_was_undone_is_forgotten(store: SettingsStore) -> None:
    assert calibrate(store, 43.000351, -43.000351) == [43.000351, 0]
    assert store.settings.calibration("Card") == NOT_CALIBRATED


def test_corrections_add_up_to_a_limit(store: SettingsStore) -> None:
    assert calibrate(store, 900, 900, 900)[-1] == MAX_CORRECTION_MS


def test_a_recording_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phaselock.audio.microphone.record", lambda *_, **__: pytest.fail("it is recorded"))
    clock_map: Any = type("Map", (), {"session_from_local": staticmethod(lambda local_ns: local_ns)})
    with pytest.raises(PhaseLockError, match="too long"):
        session._hear(clock_map, "", _native.now_ns() + 10**12, schedule(2, 2), threading.Event())
