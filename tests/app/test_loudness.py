"""The loudness of a host's songs: from their tags, then measured, each song decoded once."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
import pathlib
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from phaselock.app import analyser as analyser_module
from phaselock.app.analyser import Analyser
from phaselock.app.loudness import LoudnessWatch
from phaselock.audio import waveform
from phaselock.audio.music import inspect
from phaselock.errors import PhaseLockError
from phaselock.model.loudness import Loudness, Tagged
from phaselock.model.measurement import Measurement
from phaselock.model.transitions import PLAIN, Transitions
from phaselock.session.events import Event, LoudnessSet, QueueChanged, TransitionsSet
from phaselock.storage.measurements import KeptMeasurements
from tests.support.flac import flac

RATE_HZ = 8000


def song(path: pathlib.Path, level_db: float, *texts: str) -> pathlib.Path:
    """Two seconds of a sine with this peak level, with these comments."""
    sine = 10 ** (level_db / 20) * np.sin(2 * np.pi * 1000 * np.arange(2 * RATE_HZ) / RATE_HZ)
    listed = b"".join(len(text).to_bytes(4, "little") + text.encode() for text in texts)
    block = bytes(4) + len(texts).to_bytes(4, "little") + listed
    tags = bytes((0x84,)) + len(block).to_bytes(3, "big") + block
    samples = np.repeat(np.round(32767 * sine), 2).astype(int).tolist()
    path.write_bytes(flac(samples, 2, RATE_HZ, tags=tags))
    return path


class FakeRunner:
    """A host's runner with these files in its queue."""

    def __init__(self, *paths: pathlib.Path, target_lufs: float | None = -16.0) -> None:
        self.paths = {UUID(int=number): path for number, path in enumerate(paths, 1)}
        self.target_lufs = target_lufs
        self.transitions = PLAIN
        self.now: Any = None
        self.learned: list[tuple[int, Tagged | Measurement]] = []

    def snapshot(self) -> Any:
        queue = [SimpleNamespace(id=file_id) for file_id in self.paths]
        chosen = {"loudness_lufs": self.target_lufs, "transitions": self.transitions}
        return SimpleNamespace(queue=queue, now=self.now, upcoming=None, **chosen)

    def path(self, file_id: UUID) -> pathlib.Path | None:
        return self.paths.get(file_id)

    def track(self, file_id: UUID) -> Any:
        return SimpleNamespace(sha256=hashlib.sha256(self.paths[file_id].name.encode()).digest(), frames=2 * RATE_HZ)

    def learn_tags(self, file_id: UUID, tagged: Tagged) -> None:
        self.learned.append((file_id.int, tagged))

    def learn_measurement(self, file_id: UUID, measurement: Measurement) -> None:
        self.learned.append((file_id.int, measurement))

    def measured(self) -> dict[int, Measurement]:
        """By the numbers of the songs, in the order in which they were measured."""
        return {number: found for number, found in self.learned if isinstance(found, Measurement)}


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


@contextlib.contextmanager
def watching(runner: FakeRunner, analyser: Analyser) -> Any:
    fake: Any = runner
    watch = LoudnessWatch(fake, analyser, KeptMeasurements(next(iter(runner.paths.values())).with_name("measurements")))
    with contextlib.closing(analyser), contextlib.closing(watch):
        yield watch


async def until(runner: FakeRunner, count: int) -> None:
    while len(runner.learned) < count:
        await asyncio.sleep(0.005)


def test_tags_first_then_measured_from_the_current_song_on(tmp_path: pathlib.Path) -> None:
    paths = [song(tmp_path / f"{number}.flac", -6.0 * number, "album=A", f"tracknumber={number}") for number in (1, 2)]
    paths.append(song(tmp_path / "3.flac", -20, "REPLAYGAIN_TRACK_GAIN=-4 dB", "R128_ALBUM_GAIN=256"))
    runner = FakeRunner(*paths)
    runner.now = SimpleNamespace(id=UUID(int=2))

    async def work() -> None:
        with watching(runner, Analyser(inspect)):
            await until(runner, 6)

    run(work())
    assert runner.learned[:3] == [
        (2, Tagged("A", (1, 2))),
        (3, Tagged("", None, Loudness(-14.0), Loudness(-24.0))),
        (1, Tagged("A", (1, 1))),
    ]
    assert list(runner.measured()) == [2, 3, 1]
    # A sine of 1 kHz in both channels at a peak of x dBFS has x LUFS (EBU Tech 3341, test 1).
    for number, level_db in ((1, -6.0), (2, -12.0), (3, -20.0)):
        found = runner.measured()[number]
        assert found.loudness.integrated_lufs == pytest.approx(level_db, abs=0.1)
        assert found.loudness.true_peak == pytest.approx(10 ** (level_db / 20), rel=0.02)
        assert 0 <= found.sound_begin_frame <= 4 and 2 * RATE_HZ - 4 <= found.sound_end_frame <= 2 * RATE_HZ


@pytest.mark.parametrize(
    ("change", "event"),
    [
        (lambda runner: setattr(runner, "target_lufs", -16.0), LoudnessSet(None, -16.0)),
        (
            lambda runner: setattr(runner, "transitions", Transitions(2.0)),
            TransitionsSet(None, 2.0, skip_silence=False),
        ),
    ],
)
def test_nothing_is_decoded_while_all_is_off(
    tmp_path: pathlib.Path, change: Callable[[FakeRunner], None], event: Event
) -> None:
    runner = FakeRunner(song(tmp_path / "1.flac", -6), target_lufs=None)

    async def work() -> None:
        with watching(runner, Analyser(inspect)) as watch:
            watch.tell(QueueChanged(None, 1, ()))
            for _ in range(20):
                await asyncio.sleep(0)
            assert runner.learned == []
            change(runner)
            watch.tell(event)
            await until(runner, 2)

    run(work())
    assert list(runner.measured()) == [1]


def test_a_song_is_measured_once_and_not_in_each_session(tmp_path: pathlib.Path) -> None:
    paths = [song(tmp_path / f"{number}.flac", -6.0 * number) for number in (1, 2)]

    async def work(runner: FakeRunner, count: int) -> None:
        with contextlib.closing(Analyser(inspect)) as analyser, watching(runner, analyser):
            await until(runner, count)

    run(work(first := FakeRunner(paths[0]), 2))
    paths[0].write_bytes(b"it must not be decoded again")
    run(work(second := FakeRunner(*paths), 4))
    assert second.measured()[1] == first.measured()[1] and list(second.measured()) == [1, 2]


def test_a_song_that_is_gone_does_not_stop_the_others(tmp_path: pathlib.Path) -> None:
    runner = FakeRunner(tmp_path / "gone.flac", song(tmp_path / "2.flac", -6))

    async def work() -> None:
        with watching(runner, Analyser(inspect)):
            await until(runner, 3)

    run(work())
    assert list(runner.measured()) == [2]


def test_few_analyses_are_kept(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths, decoded = [song(tmp_path / f"{number}.flac", -6) for number in range(4)], count_analyses(monkeypatch)

    async def work() -> None:
        with contextlib.closing(Analyser(inspect)) as analyser:
            for path in (*paths, *paths[2:], paths[0]):
                assert await analyser.analysis(path) is not None

    bands = 24 * math.ceil(2 * RATE_HZ / 372)
    monkeypatch.setattr(analyser_module, "_KEPT_BYTES", 2 * bands)
    run(work())
    assert decoded == [*paths, paths[0]], "the last two are kept"
    decoded.clear()
    monkeypatch.setattr(analyser_module, "_KEPT_BYTES", 1)
    run(work())
    assert decoded == [*paths, *paths[2:], paths[0]]


def count_analyses(monkeypatch: pytest.MonkeyPatch) -> list[pathlib.Path]:
    """The files that are decoded from now on."""
    decoded: list[pathlib.Path] = []
    real = waveform.analyse

    def counted(path: pathlib.Path, *arguments: Any, **more: Any) -> Any:
        decoded.append(path)
        return real(path, *arguments, **more)

    monkeypatch.setattr(analyser_module, "analyse", counted)
    return decoded


def test_window_and_loudness_share_one_decoding(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, decoded = song(tmp_path / "1.flac", -6), count_analyses(monkeypatch)

    async def work() -> None:
        with contextlib.closing(Analyser(inspect)) as analyser:
            first, second = await asyncio.gather(analyser.analysis(path), analyser.analysis(path))
            assert first is second is await analyser.analysis(path)
            with pytest.raises(PhaseLockError):
                await analyser.analysis(tmp_path / "gone.flac")
        assert await analyser.analysis(path) is None, "it is closed"

    run(work())
    assert decoded == [path]
