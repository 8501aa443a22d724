"""One loudness for all songs, from the command line to the recordings of virtual cards."""

from __future__ import annotations

import contextlib
import json
import pathlib

import numpy as np
import pytest

from phaselock.bench.lab.signals import encode
from tests.support.programs import Program, playing

RATE_HZ = 48000
LEVEL_DB = -6.0


def song(path: pathlib.Path) -> str:
    at_s = np.arange(20 * RATE_HZ)[:, None] / RATE_HZ
    path.write_bytes(
        encode((10 ** (LEVEL_DB / 20) * np.sin(2 * np.pi * at_s * (1000, 1000))).astype(np.float32), RATE_HZ)
    )
    return str(path)


def level_db(folder: pathlib.Path, name: str) -> float:
    """The peak level of the song in the last second of a card's recording, but half a second."""
    (recording,) = folder.glob(f"*{name}*.f32")
    sound = np.fromfile(recording, "<f4").reshape(-1, 2)
    end = int(np.flatnonzero(sound.any(axis=1))[-1]) - RATE_HZ // 2
    return float(20 * np.log10(np.sqrt(2 * np.mean(sound[end - RATE_HZ // 2 : end] ** 2))))


@pytest.mark.slow
def test_host_and_peer_play_at_the_loudness_of_the_command_line(tmp_path: pathlib.Path) -> None:
    card = json.dumps({"record": str(tmp_path), "latency_ms": 200.0, "rate_hz": RATE_HZ})
    virtual = ("--backend", "virtual", "--card", card)
    local = ("--bind", "127.0.0.1", "--port", "0", "--clock-port", "0")
    with contextlib.ExitStack() as stack:

        def start(*arguments: str) -> Program:
            program = Program(*arguments, *virtual, home=tmp_path / arguments[-1])
            stack.callback(program.close)
            return program

        wish = ("--wait-peers", "1", "--play", "--loudness", "-20")
        host = start("host", song(tmp_path / "tone.mp3"), *wish, *local, "--as", "Hana")
        peer = start("join", f"127.0.0.1:{host.wait_for('session')['port']}", "--as", "Pia")
        for program in (host, peer):
            for _ in range(8):
                program.wait_for("sync", playing)
        host.say("quit")
        for program in (host, peer):
            program.wait_for("session_end")
    for name in ("Hana", "Pia"):
        assert level_db(tmp_path, name) == pytest.approx(-20, abs=0.1)
    settings = json.loads((tmp_path / "Hana" / "config" / "settings.json").read_text())
    assert (settings["even_loudness"], settings["loudness_lufs"]) == (True, -20)
