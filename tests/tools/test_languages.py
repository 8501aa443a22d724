"""Programs get the same JSON in every language of the user, and every sentence for people is translated."""

from __future__ import annotations

import errno
import io
import json
import math
import pathlib
import platform
import socket
import sys
from collections.abc import Sequence

import pytest

from phaselock.audio.priority import Priority
from phaselock.audio.realtimekit import PORTAL, _refused
from phaselock.console.events import Finding, FindingTold, PriorityTold, VerdictTold
from phaselock.console.lines import event_lines
from phaselock.console.output import Terminal
from phaselock.errors import AudioDeviceError, PhaseLockError, message_of
from phaselock.language.message import ENGLISH, Message, Words, translated
from phaselock.model.notices import Code, Notice
from phaselock.model.types import UNKNOWN_CLOCK
from phaselock.network.listener import PortTaken
from phaselock.network.reach import CannotConnect
from phaselock.network.service_record import FoundSession
from phaselock.session.events import Event, Failed, Warned
from phaselock.session.sentences import notice_of
from phaselock.tools import demo, doctor, trace, way
from phaselock.tools.doctor import Heard
from phaselock.tools.probe import Quality, quality

KITCHEN = FoundSession("Kitchen", "Ann", 1, 5, ("192.0.2.7",), 9999, "ab" * 8, 1)


class Quoting:
    """Puts each text that it translates in « », and its values outside of them."""

    def gettext(self, message: str, /) -> str:
        return f"«{message.replace('{', '»{').replace('}', '}«')}»"

    def ngettext(self, singular: str, plural: str, n: int, /) -> str:
        return self.gettext(singular if n == 1 else plural)


def findings(monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    """Findings of every check."""

    def no_output() -> Heard:
        raise AudioDeviceError("No audio output is named {name}.", name="Box")

    def no_release() -> dict[str, str]:
        raise OSError("there is no os-release")

    def taken(*_: object) -> None:
        raise PortTaken(1, socket.SOCK_STREAM)

    def heard(backend: str, callbacks: bool, latency_ms: int | None, timing: str) -> Heard:
        latency_ns = None if latency_ms is None else latency_ms * 1_000_000
        return Heard("Box", backend, 48000, callbacks, latency_ns, timing, Priority("real-time"))  # type: ignore[arg-type]

    def read_only(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(platform, "freedesktop_os_release", no_release)  # so that no command is in the text
    found = doctor.check_program()
    for trouble in (None, "no tk", "no screen", "no customtkinter", "no answer"):
        found += doctor.check_window(lambda trouble=trouble: trouble)  # type: ignore[misc]
    found += doctor.check_output(no_output)
    for one in (
        heard("null", True, 0, "exact"),
        heard("alsa", False, 0, "exact"),
        heard("alsa", True, 20, "exact"),
        heard("alsa", True, 200, "exact"),
        heard("alsa", True, 20, "told"),
        heard("alsa", True, None, "unknown"),
    ):
        found += doctor.check_output(lambda one=one: one)  # type: ignore[misc]
    monkeypatch.setattr(doctor, "bind", taken)
    found += [*doctor.check_ports(1, 2, lambda port: ""), *doctor.check_ports(1, 2, lambda port: "Kitchen")]
    found += doctor.check_network([], ())
    found += doctor.check_discovery(False, ())
    found += doctor.check_discovery(True, [KITCHEN])
    folders = {Message("songs"): pathlib.Path("/1"), Message("the log"): pathlib.Path("/2")}
    found += doctor.check_folders(folders, read_only) + doctor.check_folders(folders, lambda folder: None)
    found += doctor.check_room(1) + doctor.check_room(1 << 40)
    for problem in (ConnectionRefusedError(), TimeoutError(), OSError(errno.EHOSTUNREACH, "odd"), OSError()):
        found.append(way.check_refusal("192.0.2.8", 17401, problem, [KITCHEN]))
        found.append(way.check_refusal("192.0.2.7", 17401, problem, [KITCHEN]))
    for loss, p50_us, within_us in ((0.0, 900.0, None), (0.1, 2000.0, 35.4), (0.5, 2000.0, 700.0), (0.0, 1.0, 5000.0)):
        found += way.check_clock(Quality(100, loss, p50_us, p50_us, within_us), 5.2, 17402)
    return found + way.check_clock(quality([], 1.0, UNKNOWN_CLOCK), 5.2, 17402)


def events(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    errors: list[PhaseLockError] = [
        CannotConnect(("kitchen", 17401), OSError(errno.ECONNRESET, "odd")),
        CannotConnect(("kitchen", 17401), TimeoutError()),
        CannotConnect(("kitchen", 17401), OSError()),
        CannotConnect(("fd00::2", 17401), TimeoutError(), "Kitchen"),
    ]
    weak = Priority("normal", message_of(_refused(PORTAL.title, "org.freedesktop.DBus.Error.NoReply")))
    return [
        *(FindingTold(None, one) for one in findings(monkeypatch)),
        *(VerdictTold(None, False, None, demo._verdict(worst_us)) for worst_us in (1.0, 2000.0, math.inf)),
        *(Failed(None, notice_of(error)) for error in errors),
        PriorityTold(None, weak.level, weak.sentence, weak.advice),
        Warned(None, Notice(Code.MEASUREMENT_CUT_SHORT, Message("The connection to the host was lost."))),
    ]


def untranslated(text: str) -> list[str]:
    """The words outside of « » that are no values of these tests."""
    outside = " ".join(part.partition("»")[2] if "»" in part else part for part in text.split("«"))
    names = "Kitchen Ann Box alsa Hz TCP UDP kitchen tcp udp us PhaseLock Python Linux Windows Darwin wine org"
    return [word for word in "".join(c if c.isalpha() else " " for c in outside).split() if word not in names.split()]


def printed(monkeypatch: pytest.MonkeyPatch, told: Sequence[Event], words: Words, *, as_json: bool) -> list[str]:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    terminal = Terminal(as_json=as_json, quiet=False, words=words)
    for event in told:
        terminal.event(event)
    terminal.close()
    monkeypatch.undo()
    return out.getvalue().splitlines()


def test_programs_get_the_same_json_in_every_language(monkeypatch: pytest.MonkeyPatch) -> None:
    told = events(monkeypatch)
    english = printed(monkeypatch, told, ENGLISH, as_json=True)
    assert printed(monkeypatch, told, Quoting(), as_json=True) == english
    assert len(english) == len(told) and not any("«" in line for line in english)
    for line, event in zip(english, told, strict=True):
        if isinstance(event, FindingTold):
            fields = json.loads(line)
            assert (fields["message"], fields["fix"]) == (event.finding.message, event.finding.fix)


def test_people_get_every_sentence_in_their_language(monkeypatch: pytest.MonkeyPatch) -> None:
    for event in events(monkeypatch):
        text = "\n".join(event_lines(event, Quoting()))
        assert untranslated(text) == [], text


def test_the_progress_and_the_summaries_are_translated() -> None:
    found = Quality(100, 0.01, 51.0, 9600.0, 35.4)
    texts = [
        *trace.quality_lines(found),
        trace._progress("Kitchen", "1", "60", 1, None),
        trace._progress("Kitchen", "1", "60", 2, 35.4),
        demo._overture(1),
        demo._overture(2),
        *(doctor.summary(levels) for levels in ([], ["hint"], ["problem"], ["problem"] * 2)),
    ]
    assert [untranslated(translated(text, Quoting())) for text in texts] == [[]] * len(texts)
    assert demo._overture(1).startswith("Playing a tune with a host and 1 peer,")
    assert demo._overture(2).startswith("Playing a tune with a host and 2 peers,")
