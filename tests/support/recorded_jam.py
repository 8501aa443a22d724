"""A jam of real processes on virtual cards, and what the cards have recorded."""

from __future__ import annotations

import contextlib
import json
import pathlib

import numpy as np
import numpy.typing as npt

from phaselock.bench.lab.signals import encode
from tests.support.programs import Program

RATE_HZ = 48000
LOCAL = ("--bind", "127.0.0.1", "--port", "0", "--clock-port", "0")


class RecordedJam(contextlib.ExitStack):
    """Its processes end with it. Each has its own home in `folder`, which also has the recordings."""

    def __init__(self, folder: pathlib.Path) -> None:
        super().__init__()
        self._folder = folder

    def start(self, name: str, *arguments: str) -> Program:
        """Start `host` or `join`, with these arguments, as `name`."""
        card = json.dumps({"record": str(self._folder), "latency_ms": 200.0, "rate_hz": RATE_HZ})
        program = Program(*arguments, "--as", name, "--backend", "virtual", "--card", card, home=self._folder / name)
        self.callback(program.close)
        return program


def tones(path: pathlib.Path, tones_hz: tuple[float, float], level: float) -> str:
    """Write a song of 20 s with this tone in each channel. The path as a text."""
    at_s = np.arange(20 * RATE_HZ)[:, None] / RATE_HZ
    path.write_bytes(encode((level * np.sin(2 * np.pi * at_s * tones_hz)).astype(np.float32), RATE_HZ))
    return str(path)


def recorded(folder: pathlib.Path, name: str) -> npt.NDArray[np.float32]:
    """What the card of `name` has recorded, shape (frames, 2), to half a second before its sound ends."""
    (recording,) = folder.glob(f"*{name}*.f32")
    sound = np.fromfile(recording, "<f4").reshape(-1, 2)
    return sound[: int(np.flatnonzero(sound.any(axis=1))[-1]) - RATE_HZ // 2]


def kept(folder: pathlib.Path, name: str, setting: str) -> object:
    """A setting of `name` after its process has ended."""
    return json.loads((folder / name / "config" / "settings.json").read_text("utf-8"))[setting]
