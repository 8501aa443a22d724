"""Simulated rooms: what a microphone records of a check, in which the machines play a song in turns."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from phaselock.bench.lab.rooms import NOISES, Floats, Path
from phaselock.frozen import frozen
from phaselock.model.sweeps import RATE_HZ
from phaselock.model.turns import FADE_NS, length_ns, quiet

LEAD_S, TAIL_S = 0.8, 1.3
"""The microphone records before the check, and after its last turn."""
SONGS = ("beat", "loop", "speech")
"""Kinds of songs: chords with a drum, half a second of the same again and again, and speech."""


@frozen
class SongConditions:
    """How a check is played and recorded. Quantities of single machines are found by their numbers."""

    song: str = "beat"
    noise: str = "pink"
    """A name in rooms.NOISES."""
    snr_db: float = 20.0
    """The mean power of the machines at the microphone, over that of the noise."""
    hidden_s: Mapping[int, float] = dataclasses.field(default_factory=dict)
    gain_db: Mapping[int, float] = dataclasses.field(default_factory=dict)
    silent: frozenset[int] = frozenset()
    clock_ppm: float = 0.0
    """How much faster the clock of the microphone runs."""
    wander_s: float = 15e-6
    """RMS of the slow errors with which each machine follows the session clock."""


def song(random: np.random.Generator, kind: str, frames: int) -> Floats:
    """A song of this kind, (frames,), of power 1, without what MP3 leaves out."""
    sound = NOISES["speech" if kind == "speech" else "music"](random, frames)
    if kind == "loop":
        sound = np.resize(sound[: RATE_HZ // 2], frames)
    spectrum, hz = np.fft.rfft(sound), np.fft.rfftfreq(frames, 1 / RATE_HZ)
    sound = np.fft.irfft(np.where(hz < 16000, spectrum / (1 + hz / 2000), 0), frames)
    return np.asarray(sound / np.std(sound), float)


def gains(machine: int, machines: int, frames: int) -> Floats:
    """How loud a machine plays, from LEAD_S before the check on: (frames,)."""
    time_ns, gain = (np.arange(frames) / RATE_HZ - LEAD_S) * 1e9, np.ones(frames)
    for span in quiet(machine, machines):
        silent = np.clip(np.minimum(time_ns - span.begin_ns, span.end_ns - time_ns) / FADE_NS, 0, 1)
        gain = np.minimum(gain, 0.5 + 0.5 * np.cos(np.pi * silent))
    return gain


def record_check(
    random: np.random.Generator, paths: Sequence[Path], conditions: SongConditions
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The recording, from LEAD_S before the check on, and the song from the same moment on, as interleaved stereo."""
    frames = round((LEAD_S + length_ns(len(paths)) / 1e9 + TAIL_S) * RATE_HZ)
    played, time = song(random, conditions.song, frames), np.arange(frames)
    recording, powers = np.zeros(frames), []
    size = 1 << (frames + RATE_HZ).bit_length()
    for number, path in enumerate(paths):
        if number in conditions.silent:
            continue
        gain = 10 ** (conditions.gain_db.get(number, 0.0) / 20) / math.sqrt(float(np.sum(path.response**2)))
        turn = -2 * np.pi * np.fft.rfftfreq(size) * conditions.hidden_s.get(number, 0.0) * RATE_HZ
        spectrum = np.fft.rfft(played * gains(number, len(paths), frames), size) * np.fft.rfft(path.response, size)
        sound = gain * np.fft.irfft(spectrum * (np.cos(turn) + 1j * np.sin(turn)), size)[:frames]
        phase = 2 * np.pi * random.uniform(0.05, 0.2) * time / RATE_HZ + random.uniform(0, 2 * np.pi)
        recording += np.interp(time - conditions.wander_s * math.sqrt(2) * RATE_HZ * np.sin(phase), time, sound)
        powers.append(10 ** (conditions.gain_db.get(number, 0.0) / 10))
    recording /= math.sqrt(float(np.mean(powers))) if powers else 1.0
    recording += NOISES[conditions.noise](random, frames) * 10 ** (-conditions.snr_db / 20)
    recording = np.interp(time / (1 + conditions.clock_ppm * 1e-6), time, recording)
    return (0.1 * recording).astype(np.float32), np.repeat(0.1 * played, 2).astype(np.float32)
