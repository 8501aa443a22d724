"""Real processes on the loopback and the null backend, controlled by commands as a user gives them."""

from __future__ import annotations

import contextlib
import json
import math
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator

import pytest

from phaselock import _native
from phaselock.console.interrupts import interrupts
from tests.support.closed_port import closed_address
from tests.support.flac import aiff, flac, wav
from tests.support.mp3 import song
from tests.support.programs import ROOT, TIMEOUT_S, TUNE, Program, playing


class ProcessFixture:
    """Starts a host and the peers that join it, with settings of their own; all end with the test."""

    def __init__(self, folder: pathlib.Path, stack: contextlib.ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self.port = 0

    def start(self, *arguments: str) -> Program:
        program = Program(*arguments, home=self._folder / "home")
        self._stack.callback(program.close)
        return program

    def host(self, *arguments: str) -> Program:
        local = ("--bind", "127.0.0.1", "--port", "0", "--clock-port", "0", "--backend", "null", "--as", "Host")
        program = self.start("host", *arguments, *local)
        self.session = program.wait_for("session")
        self.port = self.session["port"]
        return program

    def join(self, name: str) -> Program:
        cache = str(self._folder / name)
        program = self.start("join", f"127.0.0.1:{self.port}", "--as", name, "--cache", cache, "--backend", "null")
        assert program.wait_for("joined")["name"] == name
        return program


@pytest.fixture
def processes(tmp_path: pathlib.Path) -> Iterator[ProcessFixture]:
    with contextlib.ExitStack() as stack:
        yield ProcessFixture(tmp_path, stack)


MOVES = (("pause", "paused"), ("resume", "resumed"), ("seek 10.5", "seeked"), ("stop", "stopped"))
"""Commands, and the events that tell them."""


@pytest.mark.parametrize("moves", [MOVES[:1], pytest.param(MOVES, marks=pytest.mark.slow)], ids=["pause", "all"])
def test_play_pause_resume_seek_stop_and_leave(processes: ProcessFixture, moves: tuple[tuple[str, str], ...]) -> None:
    host = processes.host(str(TUNE), "--wait-peers", "2", "--play")
    ada, bob = processes.join("Ada"), processes.join("Bob")
    everybody = (host, ada, bob)
    begun = {program.wait_for("playing")["session_ns"] for program in everybody}
    assert len(begun) == 1  # all start at one instant
    for program in everybody:
        program.wait_for("sync", playing)
    for command, event in moves:
        host.say(command)
        found = [program.wait_for(event) for program in everybody]
        assert len({(one["session_ns"], one.get("position_s")) for one in found}) == 1
        if event == "seeked":
            assert found[0]["position_s"] == pytest.approx(10.5, abs=1e-4)
        for program in everybody:
            program.wait_for("sync", playing if event in ("resumed", "seeked") else lambda sync: not playing(sync))

    ada.say("leave")
    assert ada.end() == (0, "")
    assert host.wait_for("peer_left")["name"] == "Ada"
    host.say("quit")
    assert bob.wait_for("session_end")
    assert bob.end() == (0, "")
    assert host.end() == (0, "")


@pytest.mark.slow
def test_a_late_peer_plays_and_its_file_is_not_sent_again(processes: ProcessFixture, tmp_path: pathlib.Path) -> None:
    tune = song(tmp_path, 300)  # a busy machine takes longer than the usual one to start two programs
    host = processes.host(str(tune), "--play")
    begun = host.wait_for("playing")["session_ns"]
    ada = processes.join("Ada")
    assert ada.wait_for("playing")["session_ns"] >= begun
    ada.wait_for("sync", playing)
    cached = list((tmp_path / "Ada").iterdir())
    assert [path.read_bytes() for path in cached] == [tune.read_bytes()]
    before = cached[0].stat().st_ino
    ada.say("leave")
    ada.end()
    ada = processes.join("Ada")
    ada.wait_for("sync", playing)
    assert cached[0].stat().st_ino == before


@pytest.mark.slow
def test_a_killed_host_ends_the_session(processes: ProcessFixture) -> None:
    host = processes.host(str(TUNE), "--wait-peers", "1", "--play", "--no-succession")
    ada = processes.join("Ada")
    ada.wait_for("sync", playing)
    host.process.kill()
    assert ada.end() == (1, "Host disconnected — session ended.")


@pytest.mark.slow
def test_after_a_peer_is_killed_the_others_play_on(processes: ProcessFixture) -> None:
    host = processes.host(str(TUNE), "--wait-peers", "2", "--play")
    ada, bob = processes.join("Ada"), processes.join("Bob")
    host.wait_for("playing")
    ada.process.kill()
    assert host.wait_for("peer_left")["name"] == "Ada"
    bob.wait_for("sync", playing)
    host.wait_for("sync", playing)


@pytest.mark.slow
def test_songs_of_several_kinds_follow_each_other(processes: ProcessFixture, tmp_path: pathlib.Path) -> None:
    def sine(rate_hz: int) -> list[int]:
        return [round(9000 * math.sin(frame / 20)) for frame in range(2 * rate_hz)]  # longer than a busy machine halts

    songs = {
        "Air.flac": flac([value * 256 for value in sine(96_000) for _ in range(6)], 6, 96_000, 24),
        "Bee.wav": wav(struct.pack("<44100h", *sine(22_050)), 1, 22_050, 16),
        "Sea.mp3": aiff(struct.pack(">88200h", *sine(44_100)), 1, 16),  # the content decides, not the name
        "Asked.flac": flac(sine(44_100), 1, 44_100),
    }
    for name, data in songs.items():
        (tmp_path / name).write_bytes(data)
    host = processes.host(*(str(tmp_path / name) for name in list(songs)[:3]), "--wait-peers", "2")
    ada, bob = processes.join("Ada"), processes.join("Bob")
    host.wait_for("peer_joined", lambda event: event["name"] == "Bob")
    ada.say(f"request {tmp_path / 'Asked.flac'}")
    host.wait_for("request")
    host.say("accept 1")
    host.wait_for("queue", lambda event: [track["status"] for track in event["queue"]] == ["ready"] * 4)
    host.say("play")
    for name in songs:
        for program in (host, ada, bob):
            program.wait_for("playing", lambda event, name=name: event["file_name"] == name)
    for program in (host, ada, bob):
        program.wait_for("sync", playing)


@pytest.mark.slow
def test_a_sixth_peer_is_refused(processes: ProcessFixture) -> None:
    host = processes.host()
    for number in range(5):
        processes.join(f"Peer {number}")
    late = processes.start("join", f"127.0.0.1:{processes.port}", "--as", "Late", "--backend", "null")
    assert late.end() == (1, "Session is full.")
    host.say("peers")
    assert len(host.wait_for("peers")["peers"]) == 5


def port_in_use(port: int) -> str:
    return f"Port {port} is in use. Please close the other application or change the port. Any free port:"


@pytest.mark.slow
def test_a_port_in_use_is_an_error(processes: ProcessFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        host = processes.start("host", "--bind", "127.0.0.1", "--port", str(port), "--clock-port", "0")
        message = f"{port_in_use(port)} --port 0"
        assert host.end() == (1, message)
        assert host.told == [{"event": "error", "message": message, "code": "other"}]


@pytest.mark.slow
def test_a_clock_port_in_use_is_an_error(processes: ProcessFixture) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        host = processes.start("host", "--bind", "127.0.0.1", "--port", "0", "--clock-port", str(port))
        assert host.end() == (1, f"{port_in_use(port)} --clock-port 0")


def test_an_unreachable_host_is_an_error(processes: ProcessFixture) -> None:
    with closed_address() as (_, port):
        status, errors = processes.start("join", f"127.0.0.1:{port}", "--backend", "null").end()
    assert status == 1
    assert errors.startswith(f"Cannot reach 127.0.0.1 on port {port}: ") and "\n" not in errors


@pytest.mark.slow
def test_a_server_of_another_protocol_is_an_error(processes: ProcessFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        join = processes.start("join", f"127.0.0.1:{listener.getsockname()[1]}", "--backend", "null")
        sock, _ = listener.accept()
        with sock:
            sock.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n")
            status, errors = join.end()
    assert status == 1
    assert errors and "\n" not in errors and "Traceback" not in errors


@pytest.mark.slow
def test_bad_files_are_refused_and_disturb_nothing(processes: ProcessFixture, tmp_path: pathlib.Path) -> None:
    text, empty, short = (tmp_path / name for name in ("text.mp3", "empty.mp3", "short.mp3"))
    text.write_text("This is no music. " * 1000)
    empty.touch()
    short.write_bytes(TUNE.read_bytes()[:300])
    host = processes.host(str(text), str(TUNE), "--play")
    assert host.wait_for("error")["message"] == "Invalid or corrupted MP3 file: text.mp3"
    host.wait_for("sync", playing)
    sentences = {empty: "empty.mp3 cannot be played: it is empty.", short: "Invalid or corrupted MP3 file: short.mp3"}
    for path, sentence in sentences.items():
        host.say(f"add {path}")
        assert host.wait_for("error")["message"] == sentence
    host.say(f"add {tmp_path / 'missing.mp3'}")
    assert "missing.mp3" in host.wait_for("error")["message"]
    host.say("queue")
    assert [row["file_name"] for row in host.wait_for("queue", lambda event: "asked" in event)["queue"]] == ["tune.mp3"]
    host.wait_for("sync", playing)


@pytest.mark.slow
def test_a_file_that_changes_or_goes_in_the_queue_is_told(processes: ProcessFixture, tmp_path: pathlib.Path) -> None:
    for name in ("a.mp3", "b.mp3"):
        shutil.copy(TUNE, tmp_path / name)
    host = processes.host(str(tmp_path))
    assert host.wait_for("added")["added"] == 2
    with (tmp_path / "a.mp3").open("r+b") as file:  # of the same size
        file.seek(5000)
        file.write(b"other sound")
    os.utime(tmp_path / "a.mp3", ns=(1, 1))
    (tmp_path / "b.mp3").unlink()
    for number, sentence in enumerate(("a.mp3 has changed since it was added.", "Cannot read b.mp3: "), start=1):
        host.say(f"play {number}")
        error = host.wait_for("error")
        assert error["code"] == "unplayable_here" and error["detail"].startswith(sentence)
    host.say("quit")
    assert host.end() == (0, "")


def test_a_missing_file_is_an_error(processes: ProcessFixture) -> None:
    assert processes.start("host", "nowhere.mp3").end() == (1, "There is no file nowhere.mp3.")


def test_paths_that_are_no_files_are_refused(processes: ProcessFixture, tmp_path: pathlib.Path) -> None:
    host = processes.host()
    pipe, vast = tmp_path / "pipe.mp3", tmp_path / "vast.mp3"
    with vast.open("wb") as file:
        file.truncate((2 << 30) + 1)
    files = ["nowhere/b.mp3", "~nobody-of-this-name/x.mp3", "/dev/zero"]
    if hasattr(os, "mkfifo"):
        os.mkfifo(pipe)
        files.append(str(pipe))
    for file in files:
        host.say(f"add {file}")
        message = host.wait_for("error")["message"]
        assert message.startswith("There is no file ") or message.endswith(" cannot be added: not a plain file.")
    host.say(f"add {vast}")
    assert host.wait_for("error")["message"] == "vast.mp3 is too large to be shared."
    host.say(f"add {TUNE}")
    host.wait_for("file_ready")
    host.say("quit")
    assert host.end() == (0, "")


@pytest.mark.slow
def test_added_tracks_follow_one_another(processes: ProcessFixture, tmp_path: pathlib.Path) -> None:
    second = tmp_path / "with a space – é.mp3"
    shutil.copy(TUNE, second)
    host = processes.host(str(TUNE), "--wait-peers", "1", "--play")
    ada = processes.join("Ada")
    host.wait_for("playing")
    host.say(f'add "{second}"')
    for program in (host, ada):
        program.wait_for("file_ready", lambda event: event["file_name"] == second.name)
    host.say("seek 24")
    followed = [program.wait_for("playing", lambda event: event["file_name"] == second.name) for program in (host, ada)]
    assert followed[0]["session_ns"] == followed[1]["session_ns"]
    host.say("seek 3")
    host.wait_for("seeked")
    host.say("next")
    assert host.wait_for("error")["message"] == "There is no next track."


@pytest.mark.slow
def test_invalid_commands_are_answered_and_do_not_end_the_program(processes: ProcessFixture) -> None:
    host = processes.host()
    ada = processes.join("Ada")
    for line in (
        "dance",
        "seek",
        "seek soon",
        "seek nan",
        "seek -1",
        "play now",
        "add",
        "drop-peer",
        "play",
        "drop-peer Eve",
        "allow",
        "allow Eve",
    ):
        host.say(line)
        assert host.wait_for("error")["message"]
    for line in ("volume 101", "volume loud", "role centre", "role Host left", "offset inf", "\0\N{SNOWMAN}"):
        ada.say(line)
        assert ada.wait_for("error")["message"]
    for line in ("play", "NEXT", "shuffle", "kick Ben"):
        ada.say(line)
        assert ada.wait_for("error")["message"] == "Only the host can do that."
    for line, answer in (("volume", "Volume 100 %."), ("vol -20", "Volume 80 %."), ("Volume 50%", "Volume 50 %.")):
        ada.say(line)
        assert ada.wait_for("answer")["message"] == answer
    host.say("")
    host.say("status")
    told = host.wait_for("status")
    assert (told["state"], told["peer_names"], told["repeat"]) == ("stopped", ["Ada"], False)
    ada.say("status")
    told = ada.wait_for("status")
    assert (told["host_name"], told["address"]) == ("Host", f"127.0.0.1:{processes.port}")
    host.say("drop-peer ada")
    assert host.wait_for("peer_left")["name"] == "Ada"
    assert ada.end()[0] in (0, 1)
    again = processes.start("join", f"127.0.0.1:{processes.port}", "--as", "Ada", "--backend", "null")
    text = "The host has removed this machine from the jam. Ask the host to let you in again."
    assert again.wait_for("error")["message"] == text
    assert host.wait_for("warning")["message"].endswith("To let it in: allow Ada")
    host.say("allow ada")
    assert host.wait_for("answer")["message"] == "ada may join again."
    processes.join("Ada")
    assert host.process.poll() is None


@pytest.mark.slow
def test_settings_of_a_peer_reach_the_host_and_those_of_the_host_the_peer(processes: ProcessFixture) -> None:
    host = processes.host()
    ada = processes.join("Ada")
    ada.say("volume 50")
    host.wait_for("peer_sync", lambda event: event["volume_percent"] == 50)
    host.say("peer-volume ada 30")
    assert ada.wait_for("volume_set")["volume_percent"] == 30
    host.say("peer-volume Ada mute")
    host.wait_for("peer_sync", lambda event: (event["volume_percent"], event["muted"]) == (30, True))
    for line, answer in (
        ("role", "This speaker plays both channels."),
        ("role LEFT", "This speaker plays the left channel."),
        ("channel mono", "This speaker plays both channels as mono."),
    ):
        ada.say(line)
        assert ada.wait_for("answer")["message"] == answer
    host.wait_for("peer_sync", lambda event: event["role"] == "mono")
    host.say("role ada right")
    told = host.wait_for("answer")
    assert (told["code"], told["peer"], told["role"]) == ("peer_role", "ada", "right")
    assert ada.wait_for("role_set")["role"] == "right"
    host.wait_for("peer_sync", lambda event: event["role"] == "right")
    before = ada.wait_for("sync", lambda event: event["output_latency_ms"] > 0)["output_latency_ms"]
    for offset_ms in (20, -before - 1):
        ada.say(f"offset {offset_ms}")
        ada.wait_for("sync", lambda event, due=before + offset_ms: event["output_latency_ms"] == pytest.approx(due))
    ada.say("status")
    assert ada.wait_for("status")["role"] == "right"


@pytest.mark.slow
def test_the_end_of_input_does_not_end_the_host(processes: ProcessFixture) -> None:
    host = processes.host()
    assert host.process.stdin
    host.process.stdin.close()
    host.wait_for("sync")
    host.wait_for("sync")
    assert host.process.poll() is None


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
@pytest.mark.parametrize(
    "number", [pytest.param(one, marks=() if one is signal.SIGTERM else pytest.mark.slow) for one in interrupts()]
)
def test_a_signal_ends_the_program_with_a_goodbye(processes: ProcessFixture, number: signal.Signals) -> None:
    host = processes.host()
    ada, bob = processes.join("Ada"), processes.join("Bob")
    ada.process.send_signal(number)
    assert ada.end() == (0, "")
    assert host.wait_for("peer_left")["name"] == "Ada"
    host.process.send_signal(number)
    assert host.end() == (0, "")
    assert bob.wait_for("session_end")
    assert bob.end() == (0, "")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a closed pipe is told differently there")
def test_a_host_whose_output_is_closed_ends(processes: ProcessFixture) -> None:
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "phaselock", "host", "--bind", "127.0.0.1", "--port", "0", "--clock-port", "0"]
        + ["--backend", "null", "--json"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=write,
        stderr=subprocess.PIPE,
    )
    os.close(write)
    os.close(read)
    _, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 141 and errors == b""


@pytest.mark.slow  # .ci/run also runs the demo, by the command of the README
def test_the_demo_reports_every_machine_and_a_verdict() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "phaselock", "demo", "--peers", "1", "--seconds", "6", "--skew-ppm", "200", "--json"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=3 * TIMEOUT_S,
    )
    assert done.stderr == ""
    *syncs, verdict = (json.loads(line) for line in done.stdout.splitlines())
    newest = {event["machine"]: event for event in syncs}
    assert newest.keys() == {"host", "peer1"}
    assert newest["peer1"]["drift_ppm"] == pytest.approx(-200, abs=50)
    assert verdict["event"] == "verdict"
    assert done.returncode == (0 if verdict["good"] else 1)


@pytest.mark.slow
@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_one_host_serves_ipv4_and_ipv6(processes: ProcessFixture, tmp_path: pathlib.Path) -> None:
    host = processes.start("host", str(TUNE), "--port", "0", "--clock-port", "0", "--backend", "null", "--as", "Host")
    port = host.wait_for("session")["port"]
    for name, address in (("Four", f"127.0.0.1:{port}"), ("Six", f"[::1]:{port}"), ("Name", f"localhost:{port}")):
        peer = processes.start("join", address, "--as", name, "--cache", str(tmp_path / name), "--backend", "null")
        peer.wait_for("file_ready")
        peer.wait_for("sync", lambda event: event["offset_uncertainty_us"] is not None and event["rtt_ms"] > 0)


@pytest.mark.slow
def test_an_unusable_log_or_settings_file_is_a_warning(tmp_path: pathlib.Path) -> None:
    (tmp_path / "data" / "phaselock.log").mkdir(parents=True)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "settings.json").write_text("{ no JSON")
    with contextlib.ExitStack() as stack:
        local = ("--bind", "127.0.0.1", "--port", "0", "--clock-port", "0", "--backend", "null")
        host = Program("host", *local, home=tmp_path)
        stack.callback(host.close)
        warnings = [host.wait_for("warning")["message"] for _ in range(2)]
        assert any("phaselock.log cannot be written" in text for text in warnings)
        assert any("settings.json" in text for text in warnings)
        host.wait_for("session")
        host.say("quit")
        assert host.end() == (0, "")
    assert (tmp_path / "config" / "settings.json.broken").read_text() == "{ no JSON"


@pytest.mark.slow
def test_names_volume_role_and_offset_are_remembered(tmp_path: pathlib.Path) -> None:
    local = ("--bind", "127.0.0.1", "--port", "0", "--clock-port", "0", "--backend", "null")
    with contextlib.ExitStack() as stack:

        def host(*arguments: str) -> Program:
            program = Program("host", *local, *arguments, home=tmp_path)
            stack.callback(program.close)
            return program

        first = host("--as", "Hana", "--session", "Kitchen")
        first.wait_for("device", lambda event: event["state"] == "open")
        for line in ("volume 40", "role left", "offset 12.5", "quit"):
            first.say(line)
        assert first.end() == (0, "")
        second = host()
        told = second.wait_for("session")
        assert (told["session_name"], told["host_name"]) == ("Kitchen", "Hana")
        due_ms = _native.NULL_LATENCY_NS / 1e6 + 12.5
        second.wait_for("sync", lambda event: abs(event["output_latency_ms"] - due_ms) < 0.1)
        second.say("role")
        assert second.wait_for("answer")["role"] == "left"
        second.say("quit")
        assert second.end() == (0, "")
    settings = json.loads((tmp_path / "config" / "settings.json").read_text())
    assert settings["volume"] == 0.4 and 12.5 in settings["corrections_ms"].values()


@pytest.mark.slow
def test_the_host_converts_what_it_and_a_peer_add(processes: ProcessFixture, tmp_path: pathlib.Path) -> None:
    """The peers need nothing for that; the one that asks sees how far it is."""
    pytest.importorskip("av")
    from tests.support.encoded import make

    make(tmp_path / "Own.m4a", "ipod", "aac", {"title": "Mine"})
    make(tmp_path / "Asked.mp3", "ogg", "libopus", rate_hz=48_000)  # the content decides, not the name
    host = processes.host(str(tmp_path / "Own.m4a"), "--wait-peers", "2")
    for state in ("started", "done"):
        assert host.wait_for("conversion", lambda event, state=state: event["state"] == state)["file_name"] == "Own.m4a"
    ada, bob = processes.join("Ada"), processes.join("Bob")
    host.wait_for("peer_joined", lambda event: event["name"] == "Bob")
    ada.say(f"request {tmp_path / 'Asked.mp3'}")
    host.wait_for("request")
    host.say("accept 1")
    for program in (host, ada):
        told = program.wait_for("request", lambda event: event["state"] == "converting")
        assert told["file_name"] == "Asked.mp3" and 0 <= told["converted_percent"] <= 100
    queue = host.wait_for("queue", lambda event: [track["status"] for track in event["queue"]] == ["ready"] * 2)
    assert [(row["title"], row["added_by"]) for row in queue["queue"]] == [("Mine", "Host"), ("", "Ada")]
    host.say("cancel")
    assert host.wait_for("error")["code"] == "nothing_to_cancel"
    host.say("play")
    for name in ("Own.m4a", "Asked.mp3"):
        for program in (host, ada, bob):
            assert program.wait_for("playing")["file_name"] == name


@pytest.mark.slow
def test_a_song_is_requested_and_the_queue_is_edited(processes: ProcessFixture, tmp_path: pathlib.Path) -> None:
    host = processes.host()
    ada, bob = processes.join("Ada"), processes.join("Bob")
    wish = tmp_path / "A wish.mp3"
    shutil.copy(TUNE, wish)
    ada.say(f"request {wish}")
    asked = host.wait_for("request")
    assert (asked["peer"], asked["file_name"], asked["state"]) == ("Ada", "A wish.mp3", "open")
    host.say(f"accept {asked['number']}")
    ada.wait_for("request", lambda event: event["state"] == "added")
    bob.wait_for("file_ready", lambda event: event["file_name"] == "A wish.mp3")
    host.say(f"add {TUNE}")
    host.wait_for("queue", lambda event: len(event["queue"]) == 2)
    host.say("move 2 1")
    host.wait_for("queue", lambda event: [row["file_name"] for row in event["queue"]] == ["tune.mp3", "A wish.mp3"])
    host.say("repeat")
    assert host.wait_for("answer", lambda event: event["code"].startswith("repeat"))["code"] == "repeat_off"
    bob.wait_for("queue", lambda event: [row["added_by"] for row in event["queue"]] == ["Host", "Ada"])
    for line, code in (("rm 1", "removed"), ("undo", "restored"), ("remove 1", "removed"), ("shuffle", "shuffled")):
        host.say(line)
        assert host.wait_for("answer")["code"] == code
    for program in (ada, bob):
        program.wait_for("queue", lambda event: [row["file_name"] for row in event["queue"]] == ["A wish.mp3"])
    bob.say(f"request {tmp_path}")
    assert bob.wait_for("error")["code"] == "one_song"
    bob.say(f"request {wish}")
    assert bob.wait_for("error")["code"] == "already_queued"
    other = tmp_path / "Another.mp3"
    other.write_bytes(TUNE.read_bytes() + b"TAG" + bytes(125))
    bob.say(f"request {other}")
    host.wait_for("request", lambda event: event["peer"] == "Bob")
    host.say("requests")
    (row,) = host.wait_for("requests")["requests"]
    host.say(f"reject {row['number']}")
    assert bob.wait_for("request", lambda event: event["state"] == "rejected")["reason"] == "The host has declined it."
    for name in ("Ada", "Bob"):
        host.wait_for("peer_sync", lambda event, name=name: (event["name"], event["clock"]) == (name, "good"))
    host.say("peers")
    for peer in host.wait_for("peers")["peers"]:
        assert peer["latency_class"] == "green" and peer["missing"] == [] and peer["files"] == 1


# -- codes and keys ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_code_is_made_asked_for_and_told_to_nobody_else(processes: ProcessFixture, tmp_path: pathlib.Path) -> None:
    host = processes.host("--code")
    code = processes.session["code"]
    assert re.fullmatch("[0-9]{6}", code)
    where = (f"127.0.0.1:{processes.port}", "--backend", "null")
    assert processes.start("join", *where).end() == (
        1,
        "This jam has a code. Ask the host for it. Then: --code CODE, or the environment variable PHASELOCK_CODE.",
    )
    wrong = "000000" if code != "000000" else "111111"
    assert processes.start("join", *where, "--code", wrong).end() == (1, "The code is wrong.")
    ada = processes.start("join", *where, "--as", "Ada", "--code", f" {code[:3]} {code[3:]} ")
    joined = ada.wait_for("joined")
    assert joined["host_words"] == processes.session["host_words"]
    host.say("code off")
    assert host.wait_for("code_set")["code"] == ""
    processes.join("Bob")
    for program in (ada, host):
        program.say("leave" if program is ada else "quit")
        program.end()
    kept = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert kept and not [path for path in kept if code.encode() in path.read_bytes()]


@pytest.mark.slow
def test_a_host_with_another_key_than_the_last_time_is_a_warning(
    processes: ProcessFixture, tmp_path: pathlib.Path
) -> None:
    keys = list[str]()
    for time in range(3):
        host = processes.host()
        ada = processes.join("Ada")
        keys.append(processes.session["host_words"])
        if time == 2:
            warning = ada.wait_for("warning")
            assert (warning["code"], warning["detail"]) == ("host_key_changed", keys[2])
        ada.say("leave")
        ada.end()
        assert [one["code"] for one in ada.told if one["event"] == "warning"] == ["host_key_changed"] * (time == 2)
        host.say("quit")
        host.end()
        if time == 1:
            (key,) = (tmp_path / "home").rglob("host_key.pem")
            key.unlink()
    assert keys[0] == keys[1] != keys[2]
