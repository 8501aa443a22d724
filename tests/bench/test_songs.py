"""The FLAC files of the benchmarks."""

from __future__ import annotations

import contextlib
import pathlib
import random

import numpy as np
import numpy.typing as npt
import pytest

from phaselock.audio.formats.base import CHANNELS
from phaselock.audio.music import inspect
from phaselock.bench.benchmarks.decode import KINDS
from phaselock.bench.lab import flac, signals, songs


def decoded(path: pathlib.Path) -> npt.NDArray[np.float32]:
    info = inspect(path)
    pcm = np.zeros((info.frames, CHANNELS), np.float32)
    with contextlib.closing(info.open(path)) as source:
        assert source.read_into(pcm, info.frames) == info.frames
    return pcm


def rounded(sound: npt.NDArray[np.float32], bits: int) -> npt.NDArray[np.float32]:
    top = 1 << bits - 1
    whole = np.clip(np.rint(sound.astype(float) * top), -top, top - 1)
    return (whole / top + 0.0).astype(np.float32)  # without a negative zero


@pytest.mark.parametrize("name", ["flac", "flac96", "flac192"])
@pytest.mark.parametrize("seek_table", [True, False])
def test_a_flac_contains_every_sample(tmp_path: pathlib.Path, name: str, seek_table: bool) -> None:
    kind = songs.MUSIC[name]
    sound = signals.noise(1, kind.rate_hz, 3)
    blocks = flac.encode(sound, kind.rate_hz, kind.bits)
    flac.write(tmp_path / "song.flac", blocks, range(len(blocks.bodies)), seek_table=seek_table)
    found = decoded(tmp_path / "song.flac")
    assert len(found) == len(sound) // flac.BLOCK_FRAMES * flac.BLOCK_FRAMES
    assert np.array_equal(found, rounded(sound[: len(found)], kind.bits))
    assert (tmp_path / "song.flac").stat().st_size < 0.75 * len(found) * CHANNELS * kind.bits / 8


def test_sound_that_no_predictor_fits_is_exact_too(tmp_path: pathlib.Path) -> None:
    sound = np.random.default_rng(1).uniform(-1.2, 1.2, (9_000, 1)).astype(np.float32)
    blocks = flac.encode(sound, 8000, 16)
    flac.write(tmp_path / "song.flac", blocks, range(len(blocks.bodies)))
    found = decoded(tmp_path / "song.flac")
    assert np.array_equal(found[:, 0], rounded(sound[: len(found), 0], 16))


def test_blocks_can_be_repeated_in_any_order(tmp_path: pathlib.Path) -> None:
    """More of them than characters of one or two bytes: their numbers are written like characters."""
    sound = signals.noise(3, 8000, 1, channels=1)
    blocks = flac.encode(sound, 8000, 16)
    chance = random.Random(1)
    order = [chance.randrange(len(blocks.bodies)) for _ in range(2100)]
    flac.write(tmp_path / "song.flac", blocks, order)
    parts = rounded(sound, 16)[: len(blocks.bodies) * flac.BLOCK_FRAMES].reshape(-1, flac.BLOCK_FRAMES)
    assert np.array_equal(decoded(tmp_path / "song.flac")[:, 0], parts[order].ravel())


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.form != "mp3"], ids=lambda kind: kind.name)
def test_a_long_song_consists_of_pieces_of_noise(tmp_path: pathlib.Path, kind: songs.SongKind) -> None:
    songs.long_song(tmp_path / "song", kind, 1)
    found = decoded(tmp_path / "song")
    assert found.std() == pytest.approx(0.05, rel=0.05)
    blocks = found.reshape(-1, flac.BLOCK_FRAMES, CHANNELS)
    assert len({block.tobytes() for block in blocks}) < len(blocks) == round(kind.rate_hz / flac.BLOCK_FRAMES)


@pytest.mark.parametrize("name", list(songs.MUSIC))
def test_the_song_of_a_session_is_noise_throughout(tmp_path: pathlib.Path, name: str) -> None:
    songs.noise_song(tmp_path / "song", songs.MUSIC[name], 1, 7)
    found = decoded(tmp_path / "song")
    made = signals.noise(1, songs.MUSIC[name].rate_hz, 7)
    assert abs(len(found) - len(made)) < flac.BLOCK_FRAMES
    assert found.std() == pytest.approx(made.std(), rel=0.1)
