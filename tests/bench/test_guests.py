"""`phaselock bench guests`: the guests."""

from __future__ import annotations

import json
import pathlib
import time

import pytest

from phaselock.bench.benchmarks import abuse
from phaselock.bench.lab.json_process import JsonProcess
from phaselock.bench.lab.process_sample import is_measurable
from phaselock.tools.processes import open_process_group


@pytest.mark.skipif(not is_measurable(), reason="needs Linux")
@pytest.mark.parametrize(
    ("kind", "counted"),
    [("crowd", ("connections", "messages", "fetches", "uploads")), ("phones", ("connections", "pings", "songs"))],
)
def test_the_guests_use_the_page(tmp_path: pathlib.Path, kind: str, counted: tuple[str, ...]) -> None:
    with open_process_group(str(tmp_path)) as programs:
        local = ["--session", "bench", "--bind", "127.0.0.1", "--port", "0", "--clock-port", "0", "--unlisted"]
        song = tmp_path / "song.wav"
        abuse.noise_song(song, 2)
        host = programs.start("host", "host", str(song), *local, "--backend", "null", "--guests", "--guest-port", "0")
        address, _, secret = programs.wait_for(host, "guest_page")["link"].partition("/#")
        host.say("rules open")
        host.say("play")
        guests = JsonProcess("phaselock.bench.lab.guest_process")
        guests.tell(json.dumps({"port": int(address.rpartition(":")[2]), "secret": secret, "kind": kind}))
        assert guests.answer()
        for seconds in (8, 20, 60):  # as long as a busy machine needs
            guests.tell("begin")
            time.sleep(seconds)
            guests.tell("end")
            counts = guests.answer()
            if all(counts.get(name) for name in counted):
                break
        guests.end()
        assert all(counts.get(name) for name in counted), counts
        host.say("quit")
