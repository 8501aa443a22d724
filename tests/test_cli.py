from __future__ import annotations

import asyncio
import io
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from phaselock import cli
from phaselock.app import headless
from phaselock.audio.device import ListedOutput
from phaselock.audio.priority import Priority
from phaselock.console import output
from phaselock.console.output import Terminal, sentences
from phaselock.model.address import parse_address
from phaselock.model.choices import BACKENDS, FILTERS
from phaselock.tools import demo

ROOT = pathlib.Path(__file__).parent.parent


def phaselock(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "phaselock", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("music.local", ("music.local", 17401)),
        ("192.168.1.4", ("192.168.1.4", 17401)),
        ("192.168.1.4:99", ("192.168.1.4", 99)),
        ("[::1]:99", ("::1", 99)),
        ("[::1]", ("::1", 17401)),
        ("::1", ("::1", 17401)),
        ("fe80::1%eth0", ("fe80::1%eth0", 17401)),
    ],
)
def test_an_address(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["", ":", ":99", "host:", "host:x", "host:0", "host:65536", "host:-1", "[::1", "[::1]99", "host:²"]
)
def test_no_address(text: str) -> None:
    with pytest.raises(ValueError):
        parse_address(text)


@pytest.mark.parametrize(
    "arguments",
    [
        ["dance"],
        ["sessions", "--timeout", "soon"],
        ["join", "a:b:c:"] + ["--backend", "tape"],
        ["join", "host:x"],
        ["host", "--port", "65536"],
        ["host", "--wait-peers", "6"],
        ["demo", "--peers", "0"],
        ["--json"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: phaselock" in capsys.readouterr().err


def test_version_and_help_as_a_program() -> None:
    version = phaselock("--version")
    assert (version.returncode, version.stdout) == (0, "phaselock 0.1.0\n")
    for command in ("host", "join", "devices", "demo"):
        helped = phaselock(command, "--help")
        assert helped.returncode == 0
        assert "--clock-filter" not in helped.stdout and "--clock-skew-ppm" not in helped.stdout


def _commands_in_the_readme() -> list[str]:
    """The arguments of every `phaselock` command in the README's code."""
    readme = (ROOT / "README.md").read_text("utf-8")
    code = re.findall("`([^`]+)`|^    (.+)$", readme, re.MULTILINE)
    commands = [command.strip() for pair in code for command in "".join(pair).split("&&")]
    return sorted({match[1] for one in commands if (match := re.match(r"(?:[\w.~/]*/)?phaselock (.+)", one))})


@pytest.mark.parametrize("arguments", _commands_in_the_readme())
def test_commands_in_the_readme_are_understood(arguments: str) -> None:
    try:
        cli.command_line().parse_args(shlex.split(arguments))
    except SystemExit as end:
        assert end.code == 0 and arguments.endswith("--help")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["host", "--as", "\u202e"], "Please choose a display name."),
        (["host", "--bind", "nowhere.invalid"], "nowhere.invalid is no address of this machine."),
        (["host", "--bind", "192.0.2.1"], "192.0.2.1 is no address of this machine."),
        (["host", "missing.mp3"], "There is no file missing.mp3."),
    ],
    ids=["name", "no host", "no own address", "no file"],
)
def test_failures_are_one_plain_line(arguments: list[str], message: str) -> None:
    done = phaselock(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", message + "\n")


def test_devices_prints_one_object_a_line() -> None:
    done = phaselock("devices", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert told
    if told == [{"event": "warning", "message": "No audio output detected."}]:
        return
    if sys.platform == "linux":
        last = told.pop()
        assert last["event"] == "priority" and last["priority"] and last["message"]
    assert all(event["event"] == "output" and event["name"] for event in told)


def test_devices_tells_what_the_audio_thread_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, dict[str, object]]] = []
    screen = SimpleNamespace(event=lambda name, _, fields: told.append((name, fields)))
    refused = Priority("normal", "RealtimeKit is not installed.")
    monkeypatch.setattr(headless, "list_outputs", lambda: [ListedOutput("alsa", "Box", True, "exact", "wire")])
    monkeypatch.setattr(headless.priority, "try_out", lambda: refused)
    assert headless.run_devices(screen) == 0
    assert [name for name, _ in told] == ["output", "priority"]
    assert told[1][1] == {"priority": "normal", "message": refused.sentence, "fix": refused.advice}
    assert sentences(*told[1]) == [refused.sentence, *refused.advice.splitlines()]
    monkeypatch.setattr(headless.priority, "try_out", lambda: None)
    assert headless.run_devices(screen) == 0
    assert [name for name, _ in told[2:]] == ["output"]


def test_cli_choices_match_the_modules() -> None:
    parsed = cli.command_line().parse_args(["join", "host"])
    assert cli.BACKENDS == (*BACKENDS, "virtual")
    assert parsed.clock_filter == FILTERS[0]
    for name in FILTERS:
        cli.command_line().parse_args(["join", "host", "--clock-filter", name])


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def written(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, *, as_json: bool = False, quiet: bool = False
) -> Terminal:
    monkeypatch.setattr(sys, "stdout", stream)
    return Terminal(as_json=as_json, quiet=quiet)


PLAYING = {"file_name": "a.mp3", "position_s": 0.0}
ERROR = {"message": "Nothing is playing."}


def test_json_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    output = written(monkeypatch, out, as_json=True, quiet=True)
    output.event("playing", 17, PLAYING)
    output.event("error", None, {"message": "line\nfeed é"})
    output.say("for people")
    output.close()
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert first == {"event": "playing", "session_ns": 17, **PLAYING}
    assert second == {"event": "error", "message": "line\nfeed é"}


def test_sentences_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    output = written(monkeypatch, out)
    output.event("playing", 17, PLAYING)
    output.event("sync", 18, {})
    output.show("no terminal, no progress")
    output.event("error", None, ERROR)
    output.close()
    assert out.getvalue() == "Playing a.mp3.\nNothing is playing.\n"


def test_quiet_leaves_warnings_and_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    output = written(monkeypatch, out, quiet=True)
    output.event("playing", 17, PLAYING)
    output.event("error", None, ERROR)
    output.event("warning", None, {"message": "Look out."})
    output.close()
    assert out.getvalue() == "Nothing is playing.\nWarning: Look out.\n"


def test_progress_is_replaced_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Screen()
    output = written(monkeypatch, out)
    output.show("one\ntwo\nthree")
    output.show("four")
    output.event("error", None, ERROR)
    output.show("x" * 1000)
    output.close()
    wipe_three, wipe_one = "\x1b[2A\r\x1b[J", "\r\x1b[J"
    before, _, after = out.getvalue().partition("x")
    assert before == f"one\ntwo\nthree{wipe_three}four{wipe_one}Nothing is playing.\n"
    assert after.strip("x") == wipe_one
    assert len(after) < 1000


def test_a_status_in_words() -> None:
    status = {"state": "playing", "file_name": "a.mp3", "duration_s": 225.4, "position_s": 83.9, "peers": 2}
    sync = {"offset_uncertainty_us": 3.2, "playing": True, "phase_error_us": -0.4, "timing": "exact"}
    shown = output.progress_line(status | sync)
    assert shown == "playing a.mp3  1:23 / 3:45  2 peers  clock within 3 us  phase +0 us"
    untold = {**sync, "timing": "unknown"}
    assert output.progress_line({"state": "playing", **untold}) == "playing  clock within 3 us  delay not known"
    assert output.progress_line({"state": "stopped", "peers": 1}) == "stopped  1 peer"
    assert "clock unknown" in output.progress_line(
        {"state": "stopped", **sync, "offset_uncertainty_us": None, "playing": False}
    )


PEER = {
    "name": "Ada",
    "ready": True,
    "latency_ms": 2.1,
    "latency_class": "green",
    "clock": "good",
    "phase_error_us": 3.0,
    "device": "Box",
    "timing": "exact",
    "waited_for": True,
}


OUTPUT = {"backend": "pipewire", "name": "Box", "default": True, "timing": "exact", "link": "wire"}


@pytest.mark.parametrize(
    ("name", "fields", "lines"),
    [
        ("transfer", {"state": "done", "peer": "Ada", "file_name": "a.mp3"}, ["Ada has received a.mp3."]),
        ("transfer", {"state": "sending", "peer": "Ada", "file_name": "a.mp3"}, []),
        ("device", {"state": "lost", "name": None, "detail": "It is gone."}, ["It is gone."]),
        ("device", {"state": "lost", "name": None, "detail": "It is gone.", "peer": "Ada"}, []),
        ("device", {"state": "open", "name": "Box", "timing": "exact"}, ["The output is Box."]),
        (
            "device",
            {"state": "open", "name": "Box", "timing": "unknown"},
            ["The output is Box. This output does not tell its delay; set an offset by ear."],
        ),
        ("device", {"state": "open", "name": "Box", "timing": "exact", "peer": "Ada"}, []),
        (
            "device",
            {"state": "open", "name": "Box", "timing": "told", "peer": "Ada"},
            ["Ada plays on Box: delay roughly known."],
        ),
        ("device", {"state": "none", "name": None, "timing": None, "peer": "Ada"}, ["Ada has no audio output."]),
        ("peers", {"peers": [PEER]}, ["Ada  2.1 ms (green)  clock good  Box  delay known  phase +3 us  has all files"]),
        (
            "peers",
            {"peers": [PEER | {"timing": "unknown"}]},
            ["Ada  2.1 ms (green)  clock good  Box  delay not known  has all files"],
        ),
        ("peers", {"peers": [PEER | {"device": None}]}, ["Ada  2.1 ms (green)  clock good  no output  has all files"]),
        ("peer_joined", {"name": "{file_name} {0}"}, ["{file_name} {0} has joined."]),
        ("output", OUTPUT, ["pipewire    delay known           Box"]),
        ("output", OUTPUT | {"timing": "told", "link": "hdmi"}, ["pipewire    delay roughly known   Box, by HDMI"]),
        ("output", OUTPUT | {"timing": "unknown", "link": "server"}, ["pipewire    delay not known       Box"]),
        ("seeked", {"position_s": 61.5}, ["Going to 1:01."]),
        ("queue", {"queue": []}, []),
        ("queue", {"queue": [], "asked": True}, ["The queue is empty."]),
        ("peers", {"peers": []}, ["Nobody has joined yet."]),
        ("something new", {}, []),
    ],
)
def test_an_event_in_words(name: str, fields: Mapping[str, Any], lines: list[str]) -> None:
    assert sentences(name, fields) == lines


def test_lines_of_input(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.write(write, "one\r\n\ntw\N{SNOWMAN}\nwithout an end".encode() + b"\xff")
    os.close(write)
    heard: list[str] = []
    monkeypatch.setattr(output.os, "read", lambda _, size, read=os.read: read(read_end, min(size, 5)))
    read_end = read
    output._read_lines(heard.append)
    os.close(read)
    assert heard == ["one", "", "tw\N{SNOWMAN}", "without an end\N{REPLACEMENT CHARACTER}"]


def test_a_line_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = [b"x" * 65536] * 100 + [b"\nquit\n", b""]
    monkeypatch.setattr(output.os, "read", lambda *_: blocks.pop(0))
    heard: list[str] = []
    output._read_lines(heard.append)
    assert heard == ["x" * output.MAX_LINE, "quit"]


def test_what_nobody_reads_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    read = threading.Event()

    class Unread(io.StringIO):
        def write(self, text: str) -> int:
            read.wait()
            return super().write(text)

    screen = written(monkeypatch, Unread(), as_json=True)
    for _ in range(100):
        screen.event("queue", None, {"queue": "x" * 2_000_000})
    read.set()
    screen.close()
    assert 2_000_000 < len(sys.stdout.getvalue()) < output.MAX_CHARACTERS_WAITING + 5_000_000  # type: ignore[attr-defined]


def test_lines_do_not_pile_up_before_a_busy_program() -> None:
    story: list[tuple[str, int]] = []

    async def listen() -> None:
        call = headless._on_loop(lambda line: story.append(("heard", int(line))))

        def say() -> None:
            for number in range(100):
                call(str(number))
                story.append(("said", number))

        await asyncio.to_thread(say)

    asyncio.run(listen())
    assert story == [(what, number) for number in range(100) for what in ("heard", "said")]


def sync(phase_error_us: float, offset_uncertainty_us: float | None = 1.0, **more: object) -> dict[str, Any]:
    figures = {
        "phase_error_us": phase_error_us,
        "offset_uncertainty_us": offset_uncertainty_us,
        "dac_uncertainty_us": 2.0,
    }
    return {"playing": True, "drift_ppm": 0.0, "correction_ppm": 0.0} | figures | more


def test_the_demo_counts_what_it_does_not_know() -> None:
    assert demo._apart_us([sync(10.0), sync(-5.0)]) == 21.0
    assert demo._apart_us([sync(0.0), sync(0.0)]) == 6.0
    assert demo._apart_us([sync(0.0), sync(0.0, None)]) == float("inf")
    assert demo._apart_us([sync(0.0), sync(0.0, playing=False)]) == float("inf")
    assert demo._apart_us([sync(0.0), {}]) == float("inf")


def test_a_reader_that_is_gone_at_the_end_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        command = [sys.executable, "-m", "phaselock", "devices", "--json"]
        done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    finally:
        os.close(writer)
    assert done.stderr == ""


def test_a_log_that_is_not_there_yet_is_no_error(tmp_path: pathlib.Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "phaselock", "log"],
        cwd=ROOT,
        env={**os.environ, "PHASELOCK_HOME": str(tmp_path)},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout == f"{tmp_path / 'data' / 'phaselock.log'}\nNothing has been logged yet.\n"


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("transfer", {"state": "failed", "file_name": "a.mp3", "reason": "lost"}),  # a peer's own: it is tried again
        ("session_end", {"reason": "Host disconnected — session ended.", "failed": True}),  # said at the very end
    ],
)
def test_what_people_need_not_read(name: str, fields: Mapping[str, Any]) -> None:
    assert sentences(name, fields) == []


def test_the_manual_page_has_every_command_and_option() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "wheels" / "manual.py")], capture_output=True, encoding="utf-8", timeout=60
    )
    assert done.returncode == 0, done.stderr
    for heading in ("host", "join", "doctor", r"bench sync", r"bench compare"):
        assert f"\n.SS {heading}\n" in done.stdout
    assert r"\-\-wait\-peers N" in done.stdout and r"\-\-clock\-skew\-ppm" not in done.stdout


def test_an_interrupt_while_the_loop_closes_is_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As when the reader of standard output goes away with the last line."""

    def run_devices(_: Terminal) -> int:
        try:
            raise KeyboardInterrupt
        finally:
            raise RuntimeError("Event loop stopped before Future completed.")

    monkeypatch.setattr(headless, "run_devices", run_devices)
    assert cli.main(["devices"]) == 1
    assert capsys.readouterr().err == "Interrupted.\n"


def test_any_other_mistake_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_devices(_: Terminal) -> int:
        raise RuntimeError("a bug")

    monkeypatch.setattr(headless, "run_devices", run_devices)
    with pytest.raises(RuntimeError, match="a bug"):
        cli.main(["devices"])
