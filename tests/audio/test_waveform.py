from __future__ import annotations

import pathlib
import random
from typing import Any

import lameenc
import numpy as np
import numpy.typing as npt
import pytest

from phaselock import _native
from phaselock.audio.formats.mp3 import Mp3Source
from phaselock.audio.music import inspect
from phaselock.audio.waveform import BANDS, PEAKS, Analysis, analyse
from phaselock.errors import PhaseLockError
from phaselock.ui import backend
from tests.support.mp3 import ENCODER_DELAY, description, encode, packet_frames, packet_size, packets

KINDS: dict[str, dict[str, Any]] = {
    "44.1 kHz": {},
    "48 kHz": {"rate_hz": 48000, "kbps": 320},
    "32 kHz, mono": {"rate_hz": 32000, "channels": 1, "kbps": 64},
    "VBR": {"vbr": True},
    "22.05 kHz": {"rate_hz": 22050, "kbps": 48},
    "16 kHz, mono": {"rate_hz": 16000, "channels": 1, "kbps": 8},
}


def encoded(sound: npt.NDArray[np.float64]) -> bytes:
    """Encode samples, shape (frames, 2), from -1 to 1, at 44.1 kHz as MP3 with 320 kbit/s."""
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_in_sample_rate(44100)
    encoder.set_channels(2)
    encoder.set_bit_rate(320)
    data = bytes(encoder.encode((32767 * sound).astype(np.int16).tobytes()) + encoder.flush())
    size, count = 0, 0
    while size < len(data):
        size, count = size + packet_size(data[size:]), count + 1
    return description(data, count, padding=count * packet_frames(data) - len(sound) - ENCODER_DELAY) + data


def analysed(folder: pathlib.Path, data: bytes) -> Analysis:
    path = folder / "song.mp3"
    path.write_bytes(data)
    info = inspect(path)
    analysis = analyse(path, info)
    assert analysis is not None
    assert len(analysis.peaks) == PEAKS and analysis.rate_hz == info.rate_hz
    assert len(analysis.bands) == BANDS * -(-info.frames // analysis.hop_frames)
    return analysis


def test_the_window_expects_as_many() -> None:
    assert (PEAKS, BANDS) == (backend.PEAKS, backend.BANDS)


def test_peaks_follow_the_envelope_of_the_louder_side(tmp_path: pathlib.Path) -> None:
    steps = np.array([0.2, 0.8, 0.0, 0.5, 0.9, 0.1])
    t = np.arange(6 * 30_000)
    tone = np.repeat(steps, 30_000) * np.sin(2 * np.pi * 441 * t / 44100)
    peaks = np.frombuffer(analysed(tmp_path, encoded(np.stack([0.3 * tone, tone], 1))).peaks, np.uint8)
    expected = np.repeat(255 * steps, PEAKS // 6)
    inside = np.arange(PEAKS) % 100
    inside = (inside > 10) & (inside < 90)  # an encoder rings around a step
    assert np.abs(peaks.astype(float) - expected)[inside].max() < 6


def test_the_sound_of_an_mp3_between_silence(tmp_path: pathlib.Path) -> None:
    tone = np.sin(2 * np.pi * 441 * np.arange(44_100) / 44100)
    found = analysed(tmp_path, encoded(np.pad(np.stack([tone, tone], 1), ((22_050, 33_075), (0, 0))))).measurement
    # An encoder rings for up to 576 frames around a step.
    assert 22_050 - 600 <= found.sound_begin_frame <= 22_060
    assert 66_140 <= found.sound_end_frame <= 66_150 + 600


def test_too_loud_is_as_loud_as_can_be(tmp_path: pathlib.Path) -> None:
    t = np.arange(50_000)
    square = np.sign(np.sin(2 * np.pi * 150 * t / 44100))  # its encoded form exceeds full scale
    assert set(analysed(tmp_path, encoded(np.stack([square, square], 1))).peaks[10:-10]) == {255}


def test_bands_follow_the_melody(tmp_path: pathlib.Path) -> None:
    edges = np.geomspace(40, 16000, BANDS + 1)
    tones = [3, 20, 11, 7]
    t = np.arange(40 * 2048)
    tone_hz = np.sqrt(edges[:-1] * edges[1:])[tones].repeat(10 * 2048)
    tone = 0.1 * np.sin(2 * np.pi * tone_hz * t / 44100)
    analysis = analysed(tmp_path, encoded(np.stack([tone, tone], 1)))
    assert analysis.hop_frames == 2048
    bands = np.frombuffer(analysis.bands, np.uint8).reshape(40, BANDS)
    for k, band in enumerate(tones):
        middle = bands[10 * k + 2 : 10 * k + 8]
        assert set(middle.argmax(1)) == {band}
        assert np.abs(middle[:, band].astype(int) - 170).max() <= 4  # -20 dB, as far as the encoder kept it


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_block_by_block_is_as_if_at_once(tmp_path: pathlib.Path, kind: dict[str, Any]) -> None:
    analysis = analysed(tmp_path, encode(**kind))
    path = tmp_path / "song.mp3"
    with Mp3Source(path, inspect(path)) as source:
        sound = np.zeros((100_000, 2), np.float32)
        assert source.read_into(sound, 100_000) == 100_000
    spectrum = _native.Spectrum(analysis.rate_hz)
    assert analysis.hop_frames == spectrum.hop_frames
    assert analysis.bands == spectrum.feed(sound.ravel()) + spectrum.finish()
    bounds = [part * 100_000 // PEAKS for part in range(PEAKS + 1)]
    parts = [np.abs(sound[first:behind]).max() for first, behind in zip(bounds, bounds[1:], strict=False)]
    assert analysis.peaks == bytes(round(255 * min(1.0, float(part))) for part in parts)


@pytest.mark.parametrize("frames", [1, 100, 599, 601, 2047])
def test_shorter_than_a_hop_and_with_fewer_frames_than_peaks(tmp_path: pathlib.Path, frames: int) -> None:
    sound = packets()[:4]
    data = description(sound[0], 4, padding=4 * 1152 - ENCODER_DELAY - frames) + b"".join(sound)
    analysis = analysed(tmp_path, data)
    assert len(analysis.bands) == BANDS
    assert max(analysis.peaks) > 0 or frames == 1


def test_silence_has_zero_peaks_and_bands(tmp_path: pathlib.Path) -> None:
    analysis = analysed(tmp_path, encoded(np.zeros((50_000, 2))))
    assert not any(analysis.peaks) and not any(analysis.bands)


def test_damaged_files_have_a_shape_too(tmp_path: pathlib.Path) -> None:
    chance = random.Random(3)
    whole = encode()
    for _ in range(20):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 200)):
            data[chance.randrange(2000, len(data))] = chance.randrange(256)
        path = tmp_path / "song.mp3"
        path.write_bytes(data)
        try:
            info = inspect(path)
        except PhaseLockError:
            continue
        analysis = analyse(path, info)
        assert analysis is not None and len(analysis.bands) == BANDS * -(-info.frames // analysis.hop_frames)


def test_shortened_behind_its_back(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "song.mp3"
    path.write_bytes(encode())
    info = inspect(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(PhaseLockError, match="has changed since it was added"):
        analyse(path, info)


def test_cancelled_at_once_and_later(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "song.mp3"
    path.write_bytes(encode())
    info = inspect(path)
    answers = iter([False, False, True])
    assert analyse(path, info, cancelled=lambda: True) is None
    assert analyse(path, info, cancelled=lambda: next(answers)) is None
    assert next(answers, None) is None


def test_a_file_that_is_gone(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "song.mp3"
    path.write_bytes(encode())
    info = inspect(path)
    path.unlink()
    with pytest.raises(PhaseLockError, match="song.mp3"):
        analyse(path, info)
