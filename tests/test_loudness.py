"""One loudness for all songs, from the command line to the recordings of virtual cards."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

from tests.support.programs import playing
from tests.support.recorded_jam import LOCAL, RATE_HZ, RecordedJam, kept, recorded, tones


def level_db(folder: pathlib.Path, name: str) -> float:
    """The peak level of the tone near the end of a card's recording."""
    sound = recorded(folder, name)[-RATE_HZ // 2 :]
    return float(20 * np.log10(np.sqrt(2 * np.mean(sound**2))))


@pytest.mark.slow
def test_host_and_peer_play_at_the_loudness_of_the_command_line(tmp_path: pathlib.Path) -> None:
    with RecordedJam(tmp_path) as jam:
        song = tones(tmp_path / "tone.mp3", (1000, 1000), 0.5)
        host = jam.start("Hana", "host", song, "--wait-peers", "1", "--play", "--loudness", "-20", *LOCAL)
        peer = jam.start("Pia", "join", f"127.0.0.1:{host.wait_for('session')['port']}")
        for program in (host, peer):
            for _ in range(8):
                program.wait_for("sync", playing)
        host.say("quit")
        for program in (host, peer):
            program.wait_for("session_end")
    for name in ("Hana", "Pia"):
        assert level_db(tmp_path, name) == pytest.approx(-20, abs=0.1)
    assert kept(tmp_path, "Hana", "even_loudness") is True
    assert kept(tmp_path, "Hana", "loudness_lufs") == -20
