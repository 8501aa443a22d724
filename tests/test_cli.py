from __future__ import annotations

import argparse
import ast
import asyncio
import dataclasses
import inspect
import io
import json
import os
import pathlib
import re
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from types import SimpleNamespace
from uuid import UUID

import pytest

from phaselock import cli, cli_commands
from phaselock.app import finding, headless
from phaselock.app.options import HostOptions
from phaselock.audio.device import ListedOutput
from phaselock.audio.priority import Priority
from phaselock.console import output
from phaselock.console.arguments import ARGPARSE_TEXTS
from phaselock.console.lines import event_lines
from phaselock.console.output import Terminal
from phaselock.errors import PhaseLockError
from phaselock.language import catalogue
from phaselock.model.address import parse_address
from phaselock.model.choices import BACKENDS, FILTERS
from phaselock.model.notices import Code, Notice
from phaselock.network.listener import PortTaken
from phaselock.network.service_record import FoundSession
from phaselock.session import events as e
from phaselock.session.event_json import event_fields
from phaselock.session.sentences import notice_text
from tests.support.shouting import Shouting

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
        ["hots"],
        ["nowhere.mp3"],
        ["no/such/folder"],
        ["host", "--session", ""],
        ["host", "--session", "x" * 65],
        ["join", "--session", "夜" * 60],
        ["host", "--as", "\u202e"],
        ["sessions", "--timeout", "soon"],
        ["join", "a:b:c:"] + ["--backend", "tape"],
        ["join", "host:x"],
        ["join", "192.0.2.1", "--session", "Friday"],
        ["host", "--port", "65536"],
        ["host", "--wait-peers", "64"],
        ["host", "--max-peers", "0"],
        ["host", "--max-peers", "64"],
        ["demo", "--peers", "0"],
        ["--json"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    message, hint = capsys.readouterr().err.splitlines()
    assert message.startswith("phaselock") and re.fullmatch(r"This shows what is possible: phaselock.* --help", hint)


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
def test_commands_in_the_readme_are_understood(arguments: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.os.path, "lexists", lambda path: path == "~/Music/Party")
    try:
        cli.parsed(shlex.split(arguments))
    except SystemExit as end:
        assert end.code == 0 and arguments.endswith("--help")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["host", "--bind", "nowhere.invalid"], "nowhere.invalid is no address of this machine."),
        (["host", "--bind", "192.0.2.1"], "192.0.2.1 is no address of this machine."),
        (["host", "missing.mp3"], "There is no file missing.mp3."),
    ],
    ids=["no host", "no own address", "no file"],
)
def test_failures_are_one_plain_line(arguments: list[str], message: str) -> None:
    done = phaselock(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", message + "\n")


def test_devices_prints_one_object_a_line() -> None:
    done = phaselock("devices", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert told
    if told == [{"event": "warning", "message": NO_OUTPUT, "code": "no_output"}]:
        return
    if sys.platform == "linux":
        last = told.pop()
        assert last["event"] == "priority" and last["priority"] and last["message"]
    assert all(event["event"] == "output" and event["name"] for event in told)


def test_devices_tells_what_the_audio_thread_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[e.Event] = []
    screen = SimpleNamespace(event=told.append)
    refused = Priority("normal", "RealtimeKit is not installed.")
    monkeypatch.setattr(headless, "list_outputs", lambda: [ListedOutput("alsa", "Box", True, "exact", "wire")])
    monkeypatch.setattr(headless.priority, "try_out", lambda: refused)
    assert headless.run_devices(screen) == 0
    assert [event.event_name for event in told] == ["output", "priority"]
    assert event_fields(told[1]) == {"priority": "normal", "message": refused.sentence, "fix": refused.advice}
    assert event_lines(told[1]) == [refused.sentence, *refused.advice.splitlines()]
    monkeypatch.setattr(headless.priority, "try_out", lambda: None)
    assert headless.run_devices(screen) == 0
    assert [event.event_name for event in told[2:]] == ["output"]


def test_cli_choices_match_the_modules() -> None:
    parsed = cli.command_line().parse_args(["join", "host"])
    assert (parsed.backend, parsed.clock_filter) == (BACKENDS[0], FILTERS[0])
    for name in (*BACKENDS, "virtual"):
        assert cli.command_line().parse_args(["join", "host", "--backend", name]).backend == name
    for name in FILTERS:
        assert cli.command_line().parse_args(["join", "host", "--clock-filter", name]).clock_filter == name


ARGPARSE_TEXTS_OF_OTHERS = {
    " (default: %(default)s)",
    "%(prog)s: error: %(message)s\n",
    "%(prog)s: warning: %(message)s\n",
    "%r is not callable",
    "'required' is an invalid argument for positionals",
    ".__call__() not defined",
    'argument "-" with mode %r',
    "argument '%(argument_name)s' is deprecated",
    "can't open '%(filename)s': %(error)s",
    "cannot have multiple subparser arguments",
    "cannot merge actions - two groups are named %r",
    "command '%(parser_name)s' is deprecated",
    "conflicting option string: %s",
    "conflicting subparser: %s",
    "conflicting subparser alias: %s",
    "dest= is required for options like %r",
    "invalid conflict_resolution value: %r",
    "invalid option string %(option)r: must start with a character %(prefix_chars)r",
    "mutually exclusive arguments must be optional",
    "option '%(option)s' is deprecated",
    "show program's version number and exit",
    "subcommands",
    "unexpected option string: %s",
    "unknown parser %(parser_name)r (choices: %(choices)s)",
}
"""Texts of argparse for programmers, and of parts of it that our commands do not use."""


def test_every_text_of_argparse_that_our_commands_show_is_in_the_catalogue() -> None:
    tree = ast.parse(inspect.getsource(argparse))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    texts = {
        call.args[0].value
        for call in calls
        if call.func.id in ("_", "ngettext") and isinstance(call.args[0], ast.Constant)  # type: ignore[attr-defined]
    }
    ours = {getattr(text, "_template", text) for text in ARGPARSE_TEXTS}
    assert {"usage: ", "expected %s argument"} <= texts
    assert texts - ours - ARGPARSE_TEXTS_OF_OTHERS == set()


def test_the_window_takes_files() -> None:
    parse = cli.command_line().parse_args
    assert parse(["window", "--device", "USB", "a.mp3", "b.m3u"]).files == ["a.mp3", "b.m3u"]
    assert list(parse(["window"]).files) == list(parse([]).files) == []
    assert parse(["host", "c.mp3"]).files == ["c.mp3"]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("hots", "there is no command hots; did you mean host?"),
        ("DEMO", "there is no command DEMO; did you mean demo?"),
        ("xyzzy", "there is no command xyzzy"),
        ("missing.mp3", "There is no file missing.mp3."),
        ("no/folder", "There is no file no/folder."),
    ],
)
def test_what_is_no_command(word: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.parsed([word])
    assert capsys.readouterr().err.splitlines() == [
        f"phaselock: {message}",
        "This shows what is possible: phaselock --help",
    ]


@pytest.mark.parametrize(
    ("line", "message", "command"),
    [
        ("--backend null", "--backend belongs behind a command: phaselock window --backend null", "phaselock"),
        ("--bakend null", "there is no option --bakend; did you mean --backend?", "phaselock window"),
        ("host --bakend null", "there is no option --bakend; did you mean --backend?", "phaselock host"),
        ("join --sesion=x", "there is no option --sesion; did you mean --session?", "phaselock join"),
        ("host --xyzzy", "there is no option --xyzzy", "phaselock host"),
    ],
)
def test_what_is_no_option(line: str, message: str, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.parsed(line.split())
    assert capsys.readouterr().err.splitlines() == [
        f"{command}: {message}",
        f"This shows what is possible: {command} --help",
    ]


def test_the_last_words_are_broken_at_blanks(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((20, 24)))
    assert cli._fail(Terminal(as_json=False, quiet=False), "Choose one of the jams:\n  join 10.0.0.1", 1) == 1
    assert capfd.readouterr().err == "Choose one of the\njams:\n  join 10.0.0.1\n"


def test_a_port_in_use_advises_both_if_none_was_chosen() -> None:
    def advice(wish: HostOptions) -> str:
        with pytest.raises(PhaseLockError) as caught, headless._naming_the_option(wish):
            raise PortTaken(17401, socket.SOCK_STREAM)
        return str(caught.value).partition("port. ")[2]

    assert advice(HostOptions()) == "Any free ports: --port 0 --clock-port 0"
    assert advice(HostOptions(port=17401)) == advice(HostOptions(clock_port=0)) == "Any free port: --port 0"


def found(name: str, host: str, address: str, number: int = 0) -> FoundSession:
    return FoundSession(name, host, 0, 5, (address,), 17401, number.to_bytes(16, "big").hex(), 2)


def chosen(
    wanted: str | None, sessions: Sequence[FoundSession], answering: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> FoundSession:
    """The session to join if these are announced and the machines at the addresses `answering` answer as them."""

    async def find_sessions(*_: object, **__: object) -> tuple[FoundSession, ...]:
        return tuple(sessions)

    async def answers_as(one: FoundSession) -> bool:
        return one.addresses[0] in answering

    monkeypatch.setattr(finding.discovery, "find_sessions", find_sessions)
    monkeypatch.setattr(finding, "answers_as", answers_as)
    return asyncio.run(finding.only_session(wanted))


@pytest.mark.parametrize("answering", [["10.0.0.1", "10.0.0.2"], []])
@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (
            "kitchen",
            'There are several jams. Choose one:\n  phaselock join 10.0.0.1   "Kitchen" by Ana\n'
            '  phaselock join 10.0.0.2   "Kitchen" by Ben',
        ),
        ("Kitchn", 'No jam called "Kitchn" was found. Did you mean "Kitchen"?'),
    ],
)
def test_which_jams_can_be_joined(
    wanted: str, text: str, answering: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    announced = found("Kitchen", "Ana", "10.0.0.1", 1), found("Kitchen", "Ben", "10.0.0.2", 2)
    with pytest.raises(PhaseLockError) as caught:
        chosen(wanted, announced, answering, monkeypatch)
    assert str(caught.value) == text


def test_of_jams_with_one_name_the_one_that_answers_is_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    false = [found("Kitchen", "Eve", f"10.0.0.{at}", at) for at in range(10, 42)]
    true = found("Kitchen", "Ana", "10.0.0.1", 1)
    assert chosen("kitchen", [*false, true], ["10.0.0.1"], monkeypatch) == true


def test_two_machines_that_announce_one_jam_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    twin = dataclasses.replace(found("Kitchen", "Ana", "10.0.0.1"), rivals=(("10.0.0.66", 17500),))
    for wanted in ("kitchen", None):
        with pytest.raises(PhaseLockError) as caught:
            chosen(wanted, [twin], ["10.0.0.1", "10.0.0.66"], monkeypatch)
        assert str(caught.value) == (
            'Two machines announce "Kitchen": 10.0.0.1 and 10.0.0.66:17500. Ask the host which address is the right '
            "one, then: phaselock join ADDRESS"
        )


def test_more_than_two_machines_that_announce_one_jam_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    rivals = tuple((f"10.0.0.{at}", 17401) for at in range(60, 70))
    twins = dataclasses.replace(found("Kitchen", "Ana", "10.0.0.1"), rivals=rivals)
    with pytest.raises(PhaseLockError) as caught:
        chosen("kitchen", [twins], [], monkeypatch)
    assert str(caught.value).startswith('11 machines announce "Kitchen": 10.0.0.1, 10.0.0.60 and others. Ask')


def test_long_lists_of_jams_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [found(f"Jam {at}", "Eve", f"10.0.0.{at}", at) for at in range(10, 42)]
    with pytest.raises(PhaseLockError) as caught:
        chosen(None, many, [], monkeypatch)
    lines = str(caught.value).splitlines()
    assert len(lines) == 8 and lines[-1] == "  and 26 more"
    with pytest.raises(PhaseLockError) as caught:
        chosen("Kitchen", many, [], monkeypatch)
    assert str(caught.value).endswith('Did you mean "Jam 10", "Jam 11", "Jam 12", "Jam 13", "Jam 14", "Jam 15", …?')


def test_nothing_is_opened_beside_an_invitation(monkeypatch: pytest.MonkeyPatch) -> None:
    """A web page chooses the address. A quotation mark in it ends the argument where a system does not escape it."""
    opened: list[list[str]] = []
    monkeypatch.setattr("phaselock.app.window.run_window", lambda *given: opened.append(given[2]) or 0)
    link = "phaselock:///45.32.1.1/4829134471/7-1f00ab42"
    for line in (["window", "--", link, "//45.40.1.1/songs/a.mp3"], [link, "//45.40.1.1/songs/a.mp3"]):
        options = cli.parsed(line)
        assert options.run(options, argparse.Namespace(say=print)) == 0
    assert opened == [[link], [link]]


def test_files_in_place_of_a_command_open_the_window(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("song.mp3", "host"):
        pathlib.Path(name).touch()
    for arguments in (
        ["song.mp3", "more.mp3"],
        ["./host"],
        [str(tmp_path)],
        ["file:///a.mp3"],
        ["song.mp3", "--device", "USB"],
    ):
        options = cli.parsed(arguments)
        assert (options.run, options.files) == (
            cli_commands.window,
            [one for one in arguments if one not in ("--device", "USB")],
        )
    assert cli.parsed(["host"]).run is cli_commands.host
    assert cli.parsed([]).run is cli_commands.window


def test_arguments_of_a_wrong_form_are_told_in_the_language_of_the_user(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(catalogue, "_current", Shouting())
    with pytest.raises(SystemExit):
        cli.command_line().parse_args(["demo", "--peers", "many"])
    assert "'many' IS NOT A NUMBER FROM 1 TO 5\nTHIS SHOWS WHAT IS POSSIBLE: phaselock demo" in capsys.readouterr().err


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def written(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, *, as_json: bool = False, quiet: bool = False
) -> Terminal:
    monkeypatch.setattr(sys, "stdout", stream)
    return Terminal(as_json=as_json, quiet=quiet)


NO_OUTPUT = notice_text(Notice(Code.NO_OUTPUT), hints=True)
SONG = UUID(int=1)
PLAYING = e.Playing(17, SONG, "a.mp3", 0.0)
ERROR = e.Failed(None, Notice(Code.NOTHING_PLAYING))


def other(text: str) -> Notice:
    return Notice(Code.OTHER, text)


def test_json_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    output = written(monkeypatch, out, as_json=True, quiet=True)
    output.event(PLAYING)
    output.event(e.Failed(None, other("line\nfeed é")))
    output.say("for people")
    output.close()
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert first == {
        "event": "playing",
        "session_ns": 17,
        "file_id": str(SONG),
        "file_name": "a.mp3",
        "position_s": 0.0,
    }
    assert second == {"event": "error", "message": "line\nfeed é", "code": "other"}


def test_sentences_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    output = written(monkeypatch, out)
    output.event(PLAYING)
    output.event(e.SyncMeasured(18, True, -0.4, 3.2, 0.0, 0.0, 0.5, 0, "exact", 2.0, 10.0))
    output.show("no terminal, no progress")
    output.event(ERROR)
    output.close()
    assert out.getvalue() == "Playing a.mp3.\nNothing is playing.\n"


def test_quiet_leaves_warnings_and_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    output = written(monkeypatch, out, quiet=True)
    output.event(PLAYING)
    output.event(ERROR)
    output.event(e.Warned(None, other("Look out.")))
    output.close()
    assert out.getvalue() == "Nothing is playing.\nWarning: Look out.\n"


def test_progress_is_replaced_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Screen()
    output = written(monkeypatch, out)
    output.show("one\ntwo\nthree")
    output.show("four")
    output.event(ERROR)
    output.show("x" * 1000)
    output.close()
    wipe_three, wipe_one = "\x1b[2A\r\x1b[J", "\r\x1b[J"
    before, _, after = out.getvalue().partition("x")
    assert before == f"one\ntwo\nthree{wipe_three}four{wipe_one}Nothing is playing.\n"
    assert after.strip("x") == f"…{wipe_one}"
    assert len(after) < 1000


class Input(io.BytesIO):
    """Standard input that returns few bytes at once."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 0, 5))


def typed(monkeypatch: pytest.MonkeyPatch, source: io.BytesIO) -> list[str]:
    """The lines that are heard of this standard input. A console of Windows is read by its wide API: os.read returns
    another encoding there."""
    opened: list[object] = []

    def open_input(*arguments: object, **options: object) -> io.BytesIO:
        opened.append((arguments, options))
        return source

    monkeypatch.setattr(output, "open", open_input, raising=False)
    monkeypatch.setattr(output.os, "read", lambda *_: "Müsik\n".encode("cp850"))
    heard: list[str] = []
    output._read_lines(heard.append)
    assert opened == [((0, "rb"), {"buffering": 0, "closefd": False})]
    return heard


def test_lines_of_input(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Input("one\r\n\ntw\N{SNOWMAN} Müsik\nwithout an end".encode() + b"\xff")
    assert typed(monkeypatch, source) == ["one", "", "tw\N{SNOWMAN} Müsik", "without an end\N{REPLACEMENT CHARACTER}"]


def test_a_line_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = typed(monkeypatch, io.BytesIO(b"x" * (100 * 65536) + b"\nquit\n"))
    assert [line[:10] for line in heard[:-1]] == ["x" * 10] and heard[-1] == "quit"
    assert len(heard[0]) <= output.MAX_LINE + 65536


@pytest.mark.skipif(sys.platform != "win32", reason="only Windows has such a console")
def test_a_console_of_windows_is_read_by_its_wide_api(tmp_path: pathlib.Path) -> None:
    look = "import sys; open(sys.argv[1], 'w').write(type(open(0, 'rb', buffering=0, closefd=False)).__name__)"
    command = [sys.executable, "-c", look, os.fspath(tmp_path / "kind")]
    subprocess.run(command, creationflags=getattr(subprocess, "CREATE_NEW_CONSOLE", 0), check=True, timeout=60)
    assert (tmp_path / "kind").read_text() == "_WindowsConsoleIO"


def test_no_line_ends_the_listening(monkeypatch: pytest.MonkeyPatch, bugs: list[str]) -> None:
    heard: list[str] = []

    def on_line(line: str) -> None:
        if line == "one":
            raise ValueError("odd")
        heard.append(line)

    monkeypatch.setattr(output, "open", lambda *_, **__: io.BytesIO(b"one\ntwo\nthree"), raising=False)
    output._read_lines(on_line)
    assert heard == ["two", "three"]
    assert bugs == ["a line of input failed: ValueError('odd')"]


def test_no_text_ends_the_writing(monkeypatch: pytest.MonkeyPatch, bugs: list[str]) -> None:
    class Odd(io.StringIO):
        def write(self, text: str) -> int:
            if "one" in text:
                raise ValueError("odd")
            return super().write(text)

    screen = written(monkeypatch, Odd(), as_json=False)
    screen.say("one")
    screen.say("two")
    screen.close()
    assert sys.stdout.getvalue() == "two\n"  # type: ignore[attr-defined]
    assert bugs == ["writing the output failed: ValueError('odd')"]


def test_what_nobody_reads_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    read = threading.Event()

    class Unread(io.StringIO):
        def write(self, text: str) -> int:
            read.wait()
            return super().write(text)

    screen = written(monkeypatch, Unread(), as_json=True)
    for _ in range(100):
        screen.event(e.Failed(None, other("x" * 1_000_000)))
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
    assert cli.main(["devices"]) == 130
    assert capsys.readouterr().err == "Interrupted.\n"


def test_nothing_is_said_after_the_reader_of_the_output_has_gone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run_devices(terminal: Terminal) -> int:
        terminal._reader_is_gone = True
        raise KeyboardInterrupt

    monkeypatch.setattr(headless, "run_devices", run_devices)
    assert cli.main(["devices"]) == 141
    assert capsys.readouterr().err == ""


def test_any_other_mistake_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_devices(_: Terminal) -> int:
        raise RuntimeError("a bug")

    monkeypatch.setattr(headless, "run_devices", run_devices)
    with pytest.raises(RuntimeError, match="a bug"):
        cli.main(["devices"])


def test_an_invitation_is_joined_with_its_code() -> None:
    parse = cli.command_line().parse_args
    found = parse(["join", "phaselock://music.local:18000/482913"]).address
    assert (found.place, found.code) == (("music.local", 18000), "482913")
    plain = parse(["join", "music.local"]).address
    assert (plain.place, plain.code) == (("music.local", 17401), "")


def test_a_broken_invitation_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.command_line().parse_args(["join", "phaselock://music.local/482"])
    assert "The code in this invitation is not whole." in capsys.readouterr().err
