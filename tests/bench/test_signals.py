"""The test songs."""

from __future__ import annotations

import pathlib

import numpy as np
import numpy.typing as npt
import pytest
from scipy import signal

from phaselock.audio.formats.base import CHANNELS
from phaselock.audio.formats.mp3 import Mp3Source
from phaselock.audio.music import inspect
from phaselock.bench.lab import signals


def decoded(path: pathlib.Path) -> npt.NDArray[np.float32]:
    info = inspect(path)
    pcm = np.zeros((info.frames, CHANNELS), np.float32)
    with Mp3Source(path, info) as source:
        assert source.read_into(pcm, info.frames) == info.frames
    return pcm


@pytest.mark.parametrize("rate_hz", [44100, 48000])
def test_a_song_has_no_power_above_its_band(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, rate_hz: int
) -> None:
    monkeypatch.setattr(signals, "_PIECE_S", 2.0)
    signals.noise_song(tmp_path / "song.mp3", 5, rate_hz)
    heard = decoded(tmp_path / "song.mp3")
    assert 5 * rate_hz <= len(heard) < 5 * rate_hz + 4 * 1152
    hz, power = signal.welch(heard[:, 0], rate_hz, "blackmanharris", 4096)
    inside = power[(hz > 1000) & (hz < 11_000)].mean()
    assert power[hz > 16_000].max() < inside * 10**-7.5
    assert 0.3 < np.abs(heard).max() < 0.9


@pytest.mark.parametrize("seconds", [0.05, 1.0, 1.8, 1.85, 1.9, 1.95, 3.7])
def test_the_level_is_constant_across_pieces(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(signals, "_PIECE_S", 1.0)
    sound = signals.noise(seconds, 8000, 1)
    assert len(sound) == seconds * 8000
    loudness = np.sqrt((sound.reshape(-1, 400, 2) ** 2).mean((1, 2)))
    assert loudness == pytest.approx(0.1, rel=0.2)


def test_the_autocorrelation_of_a_song_has_one_peak(tmp_path: pathlib.Path) -> None:
    signals.noise_song(tmp_path / "song.mp3", 5, seed=7)
    heard = decoded(tmp_path / "song.mp3")
    made = signals.noise(5, 44100, 7)
    likeness = signal.correlate(heard[:, 0], made[:, 0], method="fft")
    best = likeness.argmax()
    elsewhere = np.delete(likeness, np.arange(best - 20, best + 21))
    assert likeness[best] > 0.9 * np.sqrt((heard[:, 0] ** 2).sum() * (made[:, 0] ** 2).sum())
    assert np.abs(elsewhere).max() < likeness[best] / 10


def test_a_seed_gives_the_same_song_and_another_seed_another(tmp_path: pathlib.Path) -> None:
    made = []
    for seed in (1, 1, 2):
        signals.noise_song(tmp_path / "song.mp3", 1, seed=seed)
        made.append((tmp_path / "song.mp3").read_bytes())
    assert made[0] == made[1] != made[2]


def test_low_rates_one_channel_and_variable_bitrate(tmp_path: pathlib.Path) -> None:
    (tmp_path / "song.mp3").write_bytes(signals.encode(signals.noise(2, 22050, 1, channels=1), 22050, 64, vbr=True))
    info = inspect(tmp_path / "song.mp3")
    assert (info.rate_hz, info.channels) == (22050, 1)
