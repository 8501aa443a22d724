"""Compose, synthesise and encode the tune of `phaselock demo`.

usage: python make_tune.py [tune.mp3]

Ten bars in A minor at 96 beats per minute: drums with sharp attacks, which make computers that are out of phase
audible, a bass, soft chords and a plucked melody. Plain Python; it needs the encoder `lame`, which writes an Info
header."""

from __future__ import annotations

import array
import functools
import itertools
import math
import pathlib
import random
import subprocess
import sys
import tempfile
import wave

RATE_HZ = 44100
BEAT_FRAMES = round(RATE_HZ * 60 / 96)
BAR_FRAMES = 4 * BEAT_FRAMES
CHORDS = (  # one per bar: the bass note, then the voices, in semitones above A3
    *((-24, 0, 3, 7, 10), (-28, -4, 0, 3, 7), (-21, -9, 3, 7, 10), (-26, -2, 2, 5, 10)) * 2,
    (-28, -4, 0, 3, 7),
    (-21, -9, 3, 7, 10),
)
MELODY = (  # (eighth within four bars, semitones above A3)
    *((0, 12), (3, 15), (6, 19), (8, 15), (11, 12), (14, 10)),
    *((16, 7), (19, 10), (22, 15), (24, 14), (26, 10), (28, 14), (30, 17)),
)
Samples = list[float]
"""Samples of one channel at RATE_HZ; full scale is 1."""


def hertz(semitones: int) -> float:
    """The frequency of a note, in semitones above A3."""
    return 220.0 * 2 ** (semitones / 12)


@functools.cache
def note(semitones: int, beats: float, partials: tuple[tuple[float, float, float], ...], attack_s: float) -> Samples:
    """A sum of decaying sines; `partials` are (multiple of the pitch, amplitude, seconds to fall to 1/e)."""
    frames, fade = round(beats * BEAT_FRAMES), RATE_HZ // 50
    out = [0.0] * frames
    for multiple, amplitude, decay_s in partials:
        step, fall = 2 * math.pi * hertz(semitones) * multiple / RATE_HZ, math.exp(-1 / (decay_s * RATE_HZ))
        for i in range(frames):
            out[i] += amplitude * math.sin(step * i)
            amplitude *= fall
    rise = round(attack_s * RATE_HZ)
    for i in range(rise):
        out[i] *= i / rise
    for i in range(fade):
        out[-1 - i] *= i / fade
    return out


def drum(
    seconds: float, high_hz: float, low_hz: float, tone: float, noise: float, decay_s: float, seed: int
) -> Samples:
    """A tone that falls from `high_hz` to `low_hz`, and high-pass noise."""
    rng, phase, last = random.Random(seed), 0.0, 0.0
    out = []
    for i in range(round(seconds * RATE_HZ)):
        t = i / RATE_HZ
        phase += 2 * math.pi * (low_hz + (high_hz - low_hz) * math.exp(-t / 0.03)) / RATE_HZ
        hiss = rng.uniform(-1, 1)
        out.append((tone * math.sin(phase) + noise * (hiss - last)) * math.exp(-t / decay_s) * (1 - t / seconds))
        last = hiss
    return out


def mix(channel: Samples, at: int, sound: Samples, gain: float) -> None:
    """Add a sound to a channel from frame `at` on; the part behind its end is dropped."""
    end = min(len(channel), at + len(sound))
    channel[at:end] = [a + gain * b for a, b in zip(channel[at:end], sound, strict=False)]


def compose() -> tuple[Samples, Samples]:
    """Make the left and the right channel."""
    left, right = sides = [0.0] * (BAR_FRAMES * len(CHORDS)), [0.0] * (BAR_FRAMES * len(CHORDS))

    def play(at: int, sound: Samples, gain: float, pan: float = 0.5) -> None:
        mix(left, at, sound, gain * math.cos(pan * math.pi / 2))
        mix(right, at, sound, gain * math.sin(pan * math.pi / 2))

    kick = drum(0.35, 160, 46, 1.0, 0.04, 0.14, 1)
    snare = drum(0.25, 260, 180, 0.5, 0.35, 0.07, 2)
    hat = drum(0.08, 0, 0, 0.0, 0.5, 0.018, 3)
    soft = ((1, 1.0, 1.6), (2, 0.35, 0.8), (3, 0.12, 0.5), (4.01, 0.06, 0.3))
    round_bass = ((1, 1.0, 0.5), (2, 0.4, 0.25), (3, 0.1, 0.1))
    pluck = ((1, 1.0, 0.35), (2, 0.5, 0.18), (3, 0.25, 0.1), (5, 0.1, 0.05))
    last = len(CHORDS) - 1
    for bar, (bass, *voices) in enumerate(CHORDS):
        at = bar * BAR_FRAMES
        for voice, pan in zip(voices, itertools.cycle((0.25, 0.6, 0.4, 0.75))):
            play(at, note(voice, 4, soft, 0.02), 0.13, pan)
        for beat in (0,) if bar == last else (0, 1.5, 2.5):
            play(at + round(beat * BEAT_FRAMES), note(bass, 4 if bar == last else 1, round_bass, 0.006), 0.42)
        play(at, kick, 0.8)
        if bar == last:
            continue
        play(at + round(2.5 * BEAT_FRAMES), kick, 0.7)
        for beat in (1, 3):
            play(at + beat * BEAT_FRAMES, snare, 0.45)
        for eighth in range(8):
            play(at + eighth * BEAT_FRAMES // 2, hat, 0.22 if eighth % 2 else 0.34, 0.7)
    for eighth, semitones in (
        *MELODY,
        *((32 + at, pitch) for at, pitch in MELODY),
        (64, 12),
        (67, 15),
        (70, 17),
        (72, 19),
    ):
        for echo, pan in enumerate((0.5, 0.15, 0.85, 0.3)):
            play((eighth + 3 * echo // 2) * BEAT_FRAMES // 2, note(semitones, 2, pluck, 0.003), 0.3 * 0.45**echo, pan)
    return sides


def main(target: pathlib.Path) -> None:
    """Write the tune to an MP3 file."""
    pcm = array.array("h", (round(32767 * 0.9 * math.tanh(v)) for frame in zip(*compose(), strict=True) for v in frame))
    if sys.byteorder == "big":
        pcm.byteswap()
    with tempfile.TemporaryDirectory() as folder:
        plain = pathlib.Path(folder) / "tune.wav"
        with wave.open(str(plain), "wb") as file:
            file.setparams((2, 2, RATE_HZ, 0, "NONE", ""))
            file.writeframes(pcm.tobytes())
        tags = ("--tt", "Phase", "--ta", "PhaseLock")
        subprocess.run(["lame", "--quiet", "-q", "2", "-b", "112", *tags, str(plain), str(target)], check=True)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).with_name("tune.mp3"))
