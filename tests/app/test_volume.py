"""The volume of a session in a terminal, and its loudness in the recording of a virtual card."""

from __future__ import annotations

import asyncio
import json
import math
import pathlib
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from phaselock.app.headless import _settings
from phaselock.bench.lab.signals import encode, noise
from phaselock.session.events import Event
from phaselock.session.sentences import event_text
from phaselock.storage.paths import settings_path
from phaselock.storage.settings import Settings, save
from tests.support.programs import Program, playing

RATE_HZ = 48000
SETTLED_S = 1.0
"""A stretch this long is measured; the sound of a song of noise is the same in all of them within 0.1 dB."""


def level_db(song: pathlib.Path, volume: int, folder: pathlib.Path) -> float:
    """The level of the song at this volume, typed in a terminal, in dB of full scale."""
    card = json.dumps({"record": str(folder), "latency_ms": 200.0, "rate_hz": RATE_HZ})
    local = ("--bind", "127.0.0.1", "--port", "0", "--clock-port", "0", "--as", f"at{volume}")
    host = Program("host", str(song), "--play", *local, "--backend", "virtual", "--card", card)
    try:
        host.say(f"volume {volume}")
        for _ in range(3):
            host.wait_for("sync", playing)
        host.say("quit")
        assert host.end() == (0, "")
    finally:
        host.close()
    (recording,) = folder.glob(f"*at{volume}*.f32")
    sound = np.fromfile(recording, "<f4").reshape(-1, 2)[:, 0]
    begin = int(np.flatnonzero(sound)[0]) + RATE_HZ // 2
    return 10 * math.log10(float(np.mean(sound[begin : begin + int(SETTLED_S * RATE_HZ)] ** 2)))


@pytest.mark.slow
def test_half_the_volume_is_18_db_less(tmp_path: pathlib.Path) -> None:
    song = tmp_path / "noise.mp3"
    song.write_bytes(encode(noise(20, 44100, 1), 44100))
    cards = tmp_path / "cards"
    cards.mkdir()
    full, half = (level_db(song, volume, cards) for volume in (100, 50))
    assert full - half == pytest.approx(18.06, abs=0.1)


def test_a_terminal_says_that_the_speaker_was_left_muted(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHASELOCK_HOME", str(tmp_path))
    told: list[Event] = []
    terminal: Any = SimpleNamespace(event=told.append)

    async def open_settings() -> None:
        with _settings(terminal):
            assert [event_text(event) for event in told] == ["Warning: This speaker is muted. Type: volume 50"] * muted

    for muted in (False, True):
        save(settings_path(), Settings(volume=0.5, muted=muted))
        asyncio.run(open_settings())


def test_a_terminal_says_that_settings_cannot_be_saved(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHASELOCK_HOME", str(tmp_path / "file"))
    (tmp_path / "file").write_bytes(b"")
    told: list[Event] = []
    terminal: Any = SimpleNamespace(event=told.append)

    async def change_settings() -> None:
        with _settings(terminal) as store:
            told.clear()  # they cannot be read, either
            for volume in (0.4, 0.5):
                store.update(volume=volume)

    asyncio.run(change_settings())
    (text,) = map(event_text, told)
    assert text.startswith("Warning: The settings ") and " cannot be saved: " in text
