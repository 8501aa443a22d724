"""Simulated rooms: what a microphone records of the sounds of a calibration pass.

A room is a box whose walls reflect the same share of each frequency (J. Allen and D. Berkley, "Image method for
efficiently simulating small-room acoustics", Journal of the Acoustical Society of America 65, 1979). After 80 ms, the
echoes are so dense that decaying noise stands for them. All sound is mono float64 with full scale 1.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from phaselock.audio.sweeps import sweep
from phaselock.frozen import frozen
from phaselock.model.sweeps import RATE_HZ, Sounds, length_ns

SOUND_M_S = 343.0
IMAGES_S, RESPONSE_S = 0.08, 0.5
"""Length of the part of a response that consists of images of the source, and of the whole response."""
LEAD_S, TAIL_S = 1.0, 1.2
"""The microphone records before the begin of the pass, and after its last sound."""
_SINC_FRAMES = 16
"""Half the length of the interpolator that places an image between two frames."""
_SHAPES = ((-1, 1, 1), (1, -1, 1), (1, 1, -1))
"""Of quantities along x, y and z."""
_AGC_BLOCK_S, _AGC_ATTACK_S, _AGC_RELEASE_S = 0.01, 0.05, 0.5
_AGC_MAX_GAIN = 8.0

Floats = npt.NDArray[np.float64]


@frozen
class Path:
    """From one loudspeaker to the microphone."""

    direct_s: float
    """How long the direct sound travels."""
    response: Floats
    """The impulse response at RATE_HZ, (frames,), from the moment when the loudspeaker plays."""


@frozen
class Conditions:
    """How a pass is played and recorded. Quantities of single machines are found by their numbers."""

    noise: str = "pink"
    """A name in NOISES."""
    snr_db: float = 20.0
    """The mean power of the machines' sweeps at the microphone, over that of the noise."""
    hidden_s: Mapping[int, float] = dataclasses.field(default_factory=dict)
    """Delay that a machine does not know of."""
    gain_db: Mapping[int, float] = dataclasses.field(default_factory=dict)
    silent: frozenset[int] = frozenset()
    strong_echo: frozenset[int] = frozenset()
    """Machines with one echo 30 ms after the direct sound, half as large again as the largest part of the response."""
    clock_ppm: float = 0.0
    """How much faster the clock of the microphone runs."""
    agc: bool = False
    """Automatic gain control: it makes all sounds nearly equally loud."""
    clipping_db: float | None = None
    """The largest sample would be so far above full scale."""
    lost_at_s: float | None = None
    """10 ms of the recording are lost there, after the begin of the pass."""
    rate_hz: int = RATE_HZ
    """Of the recording: RATE_HZ or a divisor of it."""


def room(random: np.random.Generator, machines: int) -> tuple[Path, ...]:
    """The paths in a random living room, RT60 0.2 to 0.8 s, to a microphone at least 40 cm from each loudspeaker."""
    size_m = random.uniform([3, 3, 2.3], [8, 6, 3.2])
    rt60_s = random.uniform(0.2, 0.8)
    microphone_m = random.uniform([0.4, 0.4, 0.5], size_m - [0.4, 0.4, 0.6])
    paths: list[Path] = []
    while len(paths) < machines:
        source_m = random.uniform([0.3, 0.3, 0.3], size_m - [0.3, 0.3, 0.5])
        distance_m = float(np.linalg.norm(source_m - microphone_m))
        if distance_m >= 0.4:
            paths.append(Path(distance_m / SOUND_M_S, _response(random, size_m, rt60_s, source_m, microphone_m)))
    return tuple(paths)


def _response(random: np.random.Generator, size_m: Floats, rt60_s: float, source_m: Floats, mic_m: Floats) -> Floats:
    surface = 2 * (size_m[0] * size_m[1] + size_m[0] * size_m[2] + size_m[1] * size_m[2])
    absorbed = min(0.95, 1 - math.exp(-0.161 * float(np.prod(size_m)) / (surface * rt60_s)))  # after Eyring
    images: list[tuple[Floats, Floats]] = []
    for axis in range(3):
        cells = np.arange(-math.ceil(IMAGES_S * SOUND_M_S / (2 * size_m[axis])) - 1, 0)
        cells = np.concatenate([cells, [0], -cells[::-1]])
        place_m = np.concatenate([2 * cells * size_m[axis] + sign * source_m[axis] for sign in (1, -1)])
        reflections = np.concatenate([2 * np.abs(cells), np.abs(cells - 1) + np.abs(cells)])
        images.append((place_m - mic_m[axis], reflections))
    x, y, z = (place_m.reshape(shape) for (place_m, _), shape in zip(images, _SHAPES, strict=True))
    distance_m = np.sqrt(x**2 + y**2 + z**2)
    x, y, z = (reflections.reshape(shape) for (_, reflections), shape in zip(images, _SHAPES, strict=True))
    reflections = x + y + z
    near = distance_m <= IMAGES_S * SOUND_M_S
    distance_m, reflections = distance_m[near], reflections[near]
    frames = round(RESPONSE_S * RATE_HZ)
    response = np.zeros(frames + 2 * _SINC_FRAMES)
    place = distance_m / SOUND_M_S * RATE_HZ
    taps = np.arange(-_SINC_FRAMES, _SINC_FRAMES + 1)
    away = taps - (place - np.floor(place))[:, None]
    kernel = np.sinc(away) * (0.5 + 0.5 * np.cos(np.pi * away / (_SINC_FRAMES + 1)))
    amplitude = (1 - absorbed) ** (reflections / 2) / distance_m
    index = np.floor(place).astype(int)[:, None] + taps + _SINC_FRAMES
    np.add.at(response, index, amplitude[:, None] * kernel)
    response = response[_SINC_FRAMES:-_SINC_FRAMES]
    dense = round(IMAGES_S * RATE_HZ)
    level = np.sqrt(np.mean(response[dense * 3 // 4 : dense] ** 2))
    decay = 10 ** (-3 * np.arange(frames - dense) / RATE_HZ / rt60_s)
    response[dense:] = random.standard_normal(frames - dense) * level * decay
    return response


def true_offsets_s(paths: Sequence[Path], conditions: Conditions) -> list[float]:
    """When the direct sound of each machine arrives, later than that of machine 0."""
    arrives_s = [path.direct_s + conditions.hidden_s.get(number, 0.0) for number, path in enumerate(paths)]
    return [one_s - arrives_s[0] for one_s in arrives_s]


def record(
    random: np.random.Generator, paths: Sequence[Path], sounds: Sequence[Sounds], conditions: Conditions
) -> npt.NDArray[np.float32]:
    """The recording of a pass, from LEAD_S before its begin to TAIL_S after its last sound: (frames,) float32."""
    frames = round((LEAD_S + length_ns(sounds) / 1e9 + TAIL_S) * RATE_HZ)
    recording, powers = np.zeros(frames), []
    for number, (path, one) in enumerate(zip(paths, sounds, strict=True)):
        if number in conditions.silent:
            continue
        spectrum, size, rms = _arriving(path, one.upward, echo=number in conditions.strong_echo)
        gain = 10 ** (conditions.gain_db.get(number, 0.0) / 20) / rms
        powers.append((gain * rms) ** 2)
        for start_ns in one.starts_ns:
            place_s = LEAD_S + start_ns / 1e9 + conditions.hidden_s.get(number, 0.0)
            place = place_s * RATE_HZ * (1 + conditions.clock_ppm * 1e-6)
            first = math.floor(place)
            turn = 2 * np.pi * np.fft.rfftfreq(size) * (place - first)
            shift = np.cos(turn) - 1j * np.sin(turn)  # wine has no exponential of complex numbers
            sound = gain * np.fft.irfft(spectrum * shift, size)[: frames - first]
            recording[first : first + len(sound)] += sound
    level = math.sqrt(float(np.mean(powers))) if powers else 1.0
    recording += NOISES[conditions.noise](random, frames) * level * 10 ** (-conditions.snr_db / 20)
    return _captured(recording / (12 * level), conditions)


def _arriving(path: Path, upward: bool, *, echo: bool) -> tuple[npt.NDArray[np.complex128], int, float]:
    """One sweep at the microphone: its spectrum, the size of the transform, and its RMS while the loudspeaker plays."""
    played, response = np.array(sweep(upward), float), path.response
    if echo:
        response = response.copy()
        response[round((path.direct_s + 0.03) * RATE_HZ)] += 1.5 * np.max(np.abs(response))
    size = 1 << (len(played) + len(response)).bit_length()
    spectrum = np.fft.rfft(played, size) * np.fft.rfft(response, size)
    return spectrum, size, float(np.sqrt(np.mean(np.fft.irfft(spectrum, size)[: len(played)] ** 2)))


def _captured(recording: Floats, conditions: Conditions) -> npt.NDArray[np.float32]:
    """What the sound card and its driver make of the sound."""
    if conditions.agc:
        recording = _gain_controlled(recording)
    if conditions.clipping_db is not None:
        recording = recording * 10 ** (conditions.clipping_db / 20) / np.max(np.abs(recording))
    recording = np.clip(recording, -1, 1)
    if conditions.lost_at_s is not None:
        first = round((LEAD_S + conditions.lost_at_s) * RATE_HZ)
        recording = np.delete(recording, slice(first, first + RATE_HZ // 100))
    step = RATE_HZ // conditions.rate_hz
    if step > 1:
        spectrum = np.fft.rfft(recording)
        spectrum[len(spectrum) // step :] = 0
        recording = np.fft.irfft(spectrum, len(recording))[::step]
    return recording.astype(np.float32)


def _gain_controlled(recording: Floats) -> Floats:
    block = round(_AGC_BLOCK_S * RATE_HZ)
    blocks = len(recording) // block
    levels = np.sqrt(np.mean(recording[: blocks * block].reshape(blocks, block) ** 2, 1))
    gains, level = np.empty(blocks), float(levels[0])
    for number, now in enumerate(levels):
        time_s = _AGC_ATTACK_S if now > level else _AGC_RELEASE_S
        level += (float(now) - level) * (1 - math.exp(-_AGC_BLOCK_S / time_s))
        gains[number] = min(_AGC_MAX_GAIN, 0.1 / max(level, 1e-6))
    middles = (np.arange(blocks) + 0.5) * block
    return recording * np.interp(np.arange(len(recording)), middles, gains)


# -- noise, (frames,), of power 1 ------------------------------------------------------------------------------------


def _shaped(random: np.random.Generator, frames: int, shape: Callable[[Floats], Floats]) -> Floats:
    hz: Floats = np.fft.rfftfreq(frames, 1 / RATE_HZ).astype(float)
    sound: Floats = np.fft.irfft(np.fft.rfft(random.standard_normal(frames)) * shape(hz), frames)
    return sound


def _pink(random: np.random.Generator, frames: int) -> Floats:
    return _unit(_shaped(random, frames, lambda hz: 1 / np.sqrt(np.maximum(hz, 20))))


def _speech(random: np.random.Generator, frames: int) -> Floats:
    """Noise with the spectrum of speech, and syllables of 1/8 s."""
    voiced = _shaped(random, frames, lambda hz: np.where(hz > 100, (1 + (hz / 500) ** 2) ** -0.75, 0.0))
    syllables = np.repeat(random.random(frames // 6000 + 1) ** 2, 6000)[:frames]
    rise = np.cumsum(np.hanning(2400)) / np.sum(np.hanning(2400))
    for first in range(6000, frames - 1200, 6000):  # from one to the next in 1/20 s
        before, behind = syllables[first - 1], syllables[first + 1200]
        syllables[first - 1200 : first + 1200] = before + (behind - before) * rise
    return _unit(voiced * syllables)


def _music(random: np.random.Generator, frames: int) -> Floats:
    """Chords of four decaying notes with eight harmonics, and a drum, four times a second."""
    sound = np.zeros(frames)
    beat, note, drum = RATE_HZ // 4, RATE_HZ // 2, RATE_HZ // 12
    time_s = np.arange(note) / RATE_HZ
    chords: dict[int, list[tuple[int, Floats]]] = {}  # of each key: where it begins, and the phases of its harmonics
    for first in range(0, frames, beat):
        for key in random.integers(0, 60, 4):
            chords.setdefault(int(key), []).append((first, random.uniform(0, 2 * np.pi, 8)))
        hit = 2 * random.standard_normal(drum) * np.exp(-np.arange(drum) / 600)
        sound[first : first + drum] += hit[: frames - first]
    harmonics = np.arange(1, 9)
    for key, notes in chords.items():
        turns = 2 * np.pi * 110 * 2 ** (key / 12) * harmonics[:, None] * time_s
        waves = np.concatenate([np.sin(turns), np.cos(turns)]) * np.exp(-4 * time_s)
        for first, phases in notes:
            shares = np.concatenate([np.cos(phases) / harmonics, np.sin(phases) / harmonics])
            sound[first : first + note] += (shares @ waves)[: frames - first]
    return _unit(sound)


def _unit(sound: Floats) -> Floats:
    return sound / np.std(sound)


NOISES: Mapping[str, Callable[[np.random.Generator, int], Floats]] = {
    "pink": _pink,
    "speech": _speech,
    "music": _music,
}
