"""Every message, effect, command and event is at all its places: those of the recipes in .github/CONTRIBUTING.md."""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
import re
import types
import typing
from typing import Any

import pytest

from phaselock.app.host_shell import HostShell
from phaselock.app.peer_shell import PeerShell
from phaselock.app.shell_base import Shell
from phaselock.audio import device, handles
from phaselock.cli import command_line
from phaselock.model.choices import BACKENDS
from phaselock.protocol import messages as m
from phaselock.session import commands as c
from phaselock.session import effects, events, sentences
from phaselock.session import events as e
from phaselock.session.states import HOST_ACCEPTS, PEER_ACCEPTS
from phaselock.tools import event_reference
from tests.support.handled import handled, names

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = ROOT / "phaselock"
HOST, PEER, NETWORK = ([*(PACKAGE / one).glob("*.py")] for one in ("session/host", "session/peer", "network"))
FROM_MEMBERS = [PACKAGE / "session" / "host" / "member_messages.py"]
FROM_THE_HOST = [PACKAGE / "session" / "peer" / name for name in ("host_messages.py", "joining.py")]
README = (ROOT / "README.md").read_text("utf-8")
GUIDE = (ROOT / ".github" / "CONTRIBUTING.md").read_text("utf-8")

PARTS = {m.TrackGain, m.HostPlace, m.LineState, m.SessionState, m.VotesForSong, m.SkipState, m.PieceTask, m.PieceEnd}
"""Classes that are part of messages."""
READ_BY_NETWORK = {
    m.FileRequest,
    m.FileRefused,
    m.FileChunk,
    m.BulkProgress,
    m.PieceRequest,
    m.PieceStart,
    m.SongUploadStart,
    m.SongUploadFrom,
    m.SongUploadChunk,
    m.SongUploadComplete,
    m.PairingStart,
    m.PairingReply,
    m.PairingProof,
    m.HostTold,
}
"""Messages of file connections, of pairings and of questions for the host, which network/ reads itself. All others go
to the session."""
BY_PEERS = HOST_ACCEPTS | {m.JoinRequest, m.HostSeek}
"""Messages that the host receives on control connections; the first one is a JoinRequest or a HostSeek."""
BY_THE_HOST = frozenset[type]().union(*PEER_ACCEPTS.values())
"""Messages that a peer receives on control connections."""
SHELLS = "host_shell.py", "peer_shell.py", "shell_base.py", "party_words.py"
"""The files of app/ with the commands that may be typed."""
TYPED_ELSEWHERE = {
    "Add": "add, which imports the file first",
    "Arrange": "only in the window",
    "Request": "request",
    "Autoplay": "the option --play",
    "UseFallback": "fallback, which looks for the files first",
    "InvitationPlaces": "never: the program tells it",
}
"""Commands that these do not make themselves."""
WITHOUT_SENTENCE = {e.SyncMeasured, e.PeerSyncMeasured, e.OutputConfirmed, e.VotesChanged, e.SuccessorsChanged}
"""Events that the command line does not print. The progress line, `queue`, `peers` and `status` show what they say,
and `host_changed` who has become the host."""


def test_every_message_has_a_type_byte() -> None:
    classes = {kind for kind in vars(m).values() if isinstance(kind, type) and kind.__module__ == m.__name__}
    assert set(filter(dataclasses.is_dataclass, classes)) - PARTS == m.TYPE_OF.keys() == set(typing.get_args(m.Message))


def test_every_message_has_a_receiver() -> None:
    assert BY_PEERS | BY_THE_HOST | READ_BY_NETWORK == m.TYPE_OF.keys()
    assert (BY_PEERS | BY_THE_HOST) & READ_BY_NETWORK == set()


def test_every_message_is_handled() -> None:
    assert names(BY_PEERS) - handled(*HOST) == set()
    assert names(HOST_ACCEPTS) - handled(*FROM_MEMBERS, function="take") == set()
    assert names(BY_THE_HOST) - handled(*FROM_THE_HOST, function="take") == set()
    assert names(READ_BY_NETWORK) - handled(*NETWORK) == set()


def test_every_effect_is_executed() -> None:
    """By the runners, and by their simulation."""
    every = names(typing.get_args(effects.Effect))
    runner = handled(PACKAGE / "network" / "runner.py", function="_do")
    assert every == runner | handled(*NETWORK, function="_execute")
    assert every == handled(ROOT / "tests" / "support" / "simulation.py", function="execute")


@pytest.mark.parametrize(("commands", "files"), [(c.HostCommand, HOST), (c.PeerCommand, PEER)], ids=["host", "peer"])
def test_every_command_is_executed(commands: types.UnionType, files: list[pathlib.Path]) -> None:
    assert names(typing.get_args(commands)) == handled(*files, function="command")


def test_every_command_can_be_typed() -> None:
    shells = "".join((PACKAGE / "app" / name).read_text("utf-8") for name in SHELLS)
    made = set(re.findall(r"\bc\.(\w+)\(", shells))
    assert names(typing.get_args(c.HostCommand | c.PeerCommand)) - made == TYPED_ELSEWHERE.keys()


class HelpReader:
    """A terminal that keeps the answer to `help`, and the runner and the output of a shell that only says that."""

    def event(self, event: e.Event, **options: object) -> None:
        assert isinstance(event, e.HelpTold)
        self.forms = {row.command: row.form for row in event.commands}

    def session_ns(self) -> None:
        return None


def typed(shell: type[Shell], *missing: object) -> dict[str, str]:
    """The form of each word that a shell understands, by its answer to `help`."""
    reader: Any = HelpReader()
    shell(reader, *missing, reader, reader, reader, reader).line("help")  # type: ignore[arg-type]
    return reader.forms


def test_the_readme_lists_the_commands_of_a_host() -> None:
    section = README.partition("## Without a screen")[2].partition("\n### ")[0]
    rows = re.findall(r"^\| (`.*?) \| ", section, re.MULTILINE)
    assert {word for row in rows for word in re.findall(r"`([a-z-]+)", row)} == typed(HostShell, None).keys()


def test_the_readme_lists_the_commands_of_a_peer() -> None:
    sentence = README.partition("A peer understands ")[2].partition(". ")[0]
    assert {*re.findall(r"`([a-z-]+)", sentence)} == typed(PeerShell).keys()


@pytest.mark.parametrize(("command", "words"), [("host", (HostShell, None)), ("join", (PeerShell,))])
def test_the_help_lists_the_commands_of_a_session(command: str, words: tuple[type[Shell], ...]) -> None:
    """The forms stand in the epilog: "Commands on standard input, one a line: add PATH, play [N], ..."."""
    parsers = next(one for one in command_line()._actions if isinstance(one, argparse._SubParsersAction)).choices
    listed = parsers[command].epilog.partition(": ")[2].removesuffix(".")
    forms = ", ".join(form for word, form in typed(*words).items() if word != "help")
    assert sorted(listed.split(", ")) == sorted(forms.split(", "))


def test_every_event_has_a_sentence_or_is_listed_without_one() -> None:
    sentence = handled(PACKAGE / "session" / "sentences.py", function="event_text")
    hearing = handled(PACKAGE / "session" / "hearing_sentences.py", function="hearing_text")
    party = handled(PACKAGE / "session" / "party_sentences.py", function="party_text")
    lines = handled(PACKAGE / "console" / "lines.py", function="event_lines")
    printed = sentence | hearing | party | lines | names(sentences.PLAIN_EVENTS)
    every = names(event_reference._kinds(events))
    assert every - printed == names(WITHOUT_SENTENCE)


def test_every_backend_is_opened_and_has_an_account() -> None:
    """PipeWire and the null output have no part in miniaudio; the null output defines itself when a frame leaves."""
    assert {*BACKENDS} - {"auto", "pipewire", "null"} == device._MA_BACKENDS.keys()
    assert device._MA_BACKENDS.keys() == device._ACCOUNTS.keys()
    assert device._ACCOUNTS.keys() <= handles._FIELDS.keys()


PLACES = re.findall(r"^\| `([\w./]+)`(?:: ([^|]*))? \|", GUIDE.partition("\n## Recipes")[2].partition("\n## ")[0], re.M)


@pytest.mark.parametrize(("file", "what"), PLACES, ids=lambda text: text)
def test_the_places_of_the_recipes_exist(file: str, what: str) -> None:
    path = ROOT / file
    text = path.read_text("utf-8") if path.is_file() else ""
    assert path.exists()
    assert [name for name in re.findall(r"`(\w+)`", what) if not re.search(rf"\b{name}\b", text)] == []


def test_the_recipes_have_places() -> None:
    assert len(PLACES) > 30
