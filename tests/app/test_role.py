"""The channels of a session in two terminals, and what the recordings of virtual cards contain of them."""

from __future__ import annotations

import pathlib

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.programs import playing
from tests.support.recorded_jam import LOCAL, RATE_HZ, RecordedJam, kept, recorded, tones

TONES_HZ = (440, 1000)
"""The left and the right channel of the song."""
PIECES, PIECE_FRAMES = 40, 2400


def levels(folder: pathlib.Path, name: str) -> npt.NDArray[np.float64]:
    """The level of each tone (columns) in each output (rows) of the card of `name`, near its end. The median of pieces,
    because a busy computer may cut some of them."""
    pieces = recorded(folder, name)[-PIECES * PIECE_FRAMES :].reshape(PIECES, PIECE_FRAMES, 2)
    spectrum = np.median(np.abs(np.fft.rfft(pieces, axis=1)), axis=0) * 2 / PIECE_FRAMES
    return np.asarray(spectrum[[tone_hz * PIECE_FRAMES // RATE_HZ for tone_hz in TONES_HZ]].T)


@pytest.mark.slow
def test_each_machine_plays_its_channels(tmp_path: pathlib.Path) -> None:
    with RecordedJam(tmp_path) as jam:
        song = tones(tmp_path / "tones.mp3", TONES_HZ, 0.5)
        host = jam.start("Hana", "host", song, "--wait-peers", "2", "--play", "--loudness", "off", *LOCAL)
        port = host.wait_for("session")["port"]
        peers = {name: jam.start(name, "join", f"127.0.0.1:{port}") for name in ("Pia", "Max")}
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
    for name, role in (("Hana", "left"), ("Pia", "right"), ("Max", "mono")):
        assert kept(tmp_path, name, "role") == role
    for name, expected in (("Hana", (0.5, 0)), ("Pia", (0, 0.5)), ("Max", (0.25, 0.25))):
        # The encoder makes the song 5 % quieter.
        assert levels(tmp_path, name) == pytest.approx(np.array([expected, expected]), abs=0.03)
