"""The channels of a session in two terminals, and what the recordings of virtual cards contain of them."""

from __future__ import annotations

import contextlib
import json
import pathlib

import numpy as np
import numpy.typing as npt
import pytest

from phaselock.bench.lab.signals import encode
from tests.support.programs import Program, playing

RATE_HZ = 48000
TONES_HZ = (440, 1000)
"""The left and the right channel of the song."""


def song(path: pathlib.Path) -> str:
    at_s = np.arange(20 * RATE_HZ)[:, None] / RATE_HZ
    path.write_bytes(encode((0.5 * np.sin(2 * np.pi * at_s * TONES_HZ)).astype(np.float32), RATE_HZ))
    return str(path)


def levels(folder: pathlib.Path, name: str) -> npt.NDArray[np.float64]:
    """The level of each tone (columns) in each output (rows) of the card of `name`, a second before its end."""
    (recording,) = folder.glob(f"*{name}*.f32")
    sound = np.fromfile(recording, "<f4").reshape(-1, 2)
    end = int(np.flatnonzero(sound.any(axis=1))[-1]) - RATE_HZ // 2
    spectrum = np.abs(np.fft.rfft(sound[end - RATE_HZ : end], axis=0)) * 2 / RATE_HZ
    return np.asarray(spectrum[list(TONES_HZ)].T)


@pytest.mark.slow
def test_each_machine_plays_its_channels(tmp_path: pathlib.Path) -> None:
    card = json.dumps({"record": str(tmp_path), "latency_ms": 200.0, "rate_hz": RATE_HZ})
    virtual = ("--backend", "virtual", "--card", card)
    local = ("--bind", "127.0.0.1", "--port", "0", "--clock-port", "0")
    with contextlib.ExitStack() as stack:

        def start(*arguments: str) -> Program:
            program = Program(*arguments, *virtual, home=tmp_path / arguments[-1])
            stack.callback(program.close)
            return program

        host = start(
            "host",
            song(tmp_path / "tones.mp3"),
            "--wait-peers",
            "2",
            "--play",
            "--loudness",
            "off",
            *local,
            "--as",
            "Hana",
        )
        port = host.wait_for("session")["port"]
        peers = {name: start("join", f"127.0.0.1:{port}", "--as", name) for name in ("Pia", "Max")}
        for program in (host, *peers.values()):
            program.wait_for("sync", playing)
        for line in ("role left", "role Pia right", "role Max mono"):
            host.say(line)
            assert host.wait_for("answer")["code"] in ("role", "peer_role")
        for name, role in (("Pia", "right"), ("Max", "mono")):
            assert peers[name].wait_for("role_set")["role"] == role
            for _ in range(3):
                peers[name].wait_for("sync", playing)
        host.say("quit")
        assert host.end() == (0, "")
        for program in peers.values():
            assert program.end() == (0, "")
    kept = {
        name: json.loads((tmp_path / name / "config" / "settings.json").read_text())["role"]
        for name in ("Hana", "Pia", "Max")
    }
    assert kept == {"Hana": "left", "Pia": "right", "Max": "mono"}
    for name, expected in (("Hana", (0.5, 0)), ("Pia", (0, 0.5)), ("Max", (0.25, 0.25))):
        # The encoder makes the song 5 % quieter.
        assert levels(tmp_path, name) == pytest.approx(np.array([expected, expected]), abs=0.03)
