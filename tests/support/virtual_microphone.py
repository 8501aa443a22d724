"""A microphone in a room with virtual sound cards: plays what it hears into a sink of PulseAudio, whose monitor a
program can record.

usage: python virtual_microphone.py FOLDER SINK JSON

The cards record into FOLDER while they play (audio/virtual_device.py). JSON is an object: for each card the paths of
its sound to the microphone, as [milliseconds, gain]; "noise" is the amplitude of white noise; "louder_db" is an object
with how much louder some of the cards play. A card's block is in its recording one latency before it leaves, so the
microphone hears it in time if that latency is at least 100 ms.

Let each card have echoes of its own. Cards that are in phase to 3 us and sound exactly alike exist in no room, and the
analysis does not tell all of them apart.
"""

from __future__ import annotations

import fcntl
import json
import pathlib
import subprocess
import sys
import time

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 48000
BLOCK_FRAMES = 960
HALF_TAPS = 16
TAPS = np.arange(1 - HALF_TAPS, HALF_TAPS + 1)
FRACTIONS = 1024
"""Of a frame, for each of which there is an interpolator."""
_DISTANCE = TAPS - np.arange(FRACTIONS + 1)[:, None] / FRACTIONS
KERNELS = np.sinc(_DISTANCE) * np.cos(np.pi * _DISTANCE / (2 * HALF_TAPS + 2)) ** 2
PIPE_BYTES = 4096
"""The pipe to the player is short, so that the microphone is never far behind the room."""
LATENCY_MS = 250
"""Of the player: shorter interruptions of this process are not heard. A recording begins up to 300 ms late (see
audio/listening.py)."""
MAX_LAG_S = 0.2


def heard(folder: pathlib.Path, name: str, true_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """What leaves this card at these true times: (frames,), by a windowed sinc; 0 where it does not play."""
    sound = np.zeros(len(true_s))
    for notes_path in folder.glob(f"{name}-*.json"):
        notes = json.loads(notes_path.read_text("utf-8"))
        size = notes_path.with_suffix(".f32").stat().st_size // 8
        place = (true_s - notes["first_ns"] / 1e9) * notes["true_rate_hz"]
        first = int(np.floor(place[0])) - HALF_TAPS
        count = int(np.ceil(place[-1])) + HALF_TAPS + 2 - first
        begin = max(0, first)
        frames = np.zeros(count)
        if begin < min(size, first + count):
            with notes_path.with_suffix(".f32").open("rb") as file:
                file.seek(8 * begin)
                read = np.frombuffer(file.read(8 * (first + count - begin)), "<f4")
            left = read[: len(read) // 2 * 2].reshape(-1, 2)[:, 0]
            frames[begin - first : begin - first + len(left)] = left
        whole = np.floor(place).astype(int)
        kernels = KERNELS[np.rint((place - whole) * FRACTIONS).astype(int)]
        sound += np.einsum("ij,ij->i", frames[whole[:, None] - first + TAPS], kernels)
    return sound


def main(folder: pathlib.Path, sink: str, paths: dict[str, list[list[float]]], noise: float) -> None:
    command = ("pacat", "--playback", "--raw", "--format=float32le", f"--rate={RATE_HZ}", "--channels=1")
    random = np.random.default_rng(1)
    with subprocess.Popen(
        [*command, f"--latency-msec={LATENCY_MS}", f"--device={sink}"], stdin=subprocess.PIPE
    ) as player:
        assert player.stdin
        fcntl.fcntl(player.stdin, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        at_s = time.perf_counter()
        while True:
            time.sleep(max(0.0, at_s - time.perf_counter()))
            if time.perf_counter() - at_s > MAX_LAG_S:  # the player has only begun now, or this process was interrupted
                at_s = time.perf_counter()
            true_s = at_s + np.arange(BLOCK_FRAMES) / RATE_HZ
            sound = noise * random.standard_normal(BLOCK_FRAMES)
            for name, ways in paths.items():
                for late_ms, gain in ways:
                    sound += gain * heard(folder, name, true_s - late_ms / 1000)
            player.stdin.write(sound.astype("<f4").tobytes())
            player.stdin.flush()
            at_s += BLOCK_FRAMES / RATE_HZ


if __name__ == "__main__":
    _, folder_text, sink_name, description = sys.argv
    room = json.loads(description)
    loudness = room.pop("noise", 0.0)
    for card, louder_db in room.pop("louder_db", {}).items():
        room[card] = [[late_ms, gain * 10 ** (louder_db / 20)] for late_ms, gain in room[card]]
    main(pathlib.Path(folder_text), sink_name, room, loudness)
