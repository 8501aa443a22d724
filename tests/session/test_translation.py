"""Every text of an event is translated to the requested language; no text stays English by mistake."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from uuid import UUID

import pytest

from phaselock.console import events as ce
from phaselock.console import lines as output
from phaselock.console.lines import event_lines, progress_line
from phaselock.model.notices import Code, LeftOut, Notice
from phaselock.model.queue import ItemStatus
from phaselock.model.role import ROLES
from phaselock.model.snapshot import LatencyClass, RequestState
from phaselock.session import events as e
from phaselock.session import sentences
from phaselock.session.sentences import notice_text, peer_joined_text, peer_left_text, short_text, window_text


class Digits:
    """A language without letters: each letter of a message id, except in the names of values, becomes 0."""

    def gettext(self, message: str) -> str:
        return re.sub(r"(\{\w+\})|[A-Za-z]", lambda match: match[1] or "0", message)

    def ngettext(self, singular: str, plural: str, n: int) -> str:
        return self.gettext(singular if n == 1 else plural)


DIGITS = Digits()
SONG = UUID(int=1), "1.2"
TIMINGS = ("exact", "told", "unknown")


def letters(text: str) -> str:
    return re.sub(r"[^A-Za-z]", "", text)


@pytest.mark.parametrize("code", Code)
def test_a_notice(code: Code) -> None:
    notice = Notice(code, "why", *SONG, "2", 1, ("3", "4"), 5, "6", ("7",), "left")
    for text in (
        notice_text(notice, DIGITS, hints=True),
        short_text(notice, DIGITS),
        window_text(notice, DIGITS),
    ):
        assert letters(text.replace("MP3", "")) == ""


def requests() -> list[e.Event]:
    rows = [(state, peer) for state in RequestState for peer in ("", "2")]
    return [e.RequestChanged(1, e.RequestRow(SONG[0], 1, peer, "1.2", 9, state, 0, "why")) for state, peer in rows]


def devices() -> list[e.Event]:
    opened = [e.DeviceChanged(1, "open", "1", "", timing, peer) for timing in TIMINGS for peer in (None, "2")]  # type: ignore[arg-type]
    return [*opened, e.DeviceChanged(1, "lost", None, "why", None), e.DeviceChanged(1, "none", None, "", None, "2")]


def transfers() -> list[e.Event]:
    return [e.TransferChanged(1, *SONG, 9, state, "2", 1) for state in e.TransferState]


LEFT_OUT = tuple(LeftOut("1.2", Notice(code)) for code in (Code.NOT_MUSIC, Code.NO_FILE, Code.ELSEWHERE) * 2)
EVENTS = [
    *requests(),
    *devices(),
    *transfers(),
    *(e.ConversionChanged(1, "1.2", state, 40) for state in e.ConversionState),
    *(
        e.SessionOpened(1, "1", "2", 1, 2, "3", (), "4", code, needs)
        for code, needs in (("5", True), ("", True), ("", False))
    ),
    *(e.Joined(1, 1, "1", "2", "3", again=again, host_words="words") for again in (False, True)),
    e.PeerJoined(1, 1, "1", again=False),
    e.PeerLeft(1, 1, "1", Notice(Code.PEER_SILENT)),
    e.SessionEnded(1, Notice(Code.SESSION_ENDED)),
    e.Warned(1, Notice(Code.NO_OUTPUT)),
    e.FileReady(1, *SONG),
    *(kind(1, *SONG, 61.0) for kind in (e.Playing, e.Paused, e.Resumed, e.Seeked, e.TrackEnded)),
    e.Stopped(1),
    *(e.VolumeSet(1, 50, muted) for muted in (True, False)),
    *(e.RoleSet(1, role) for role in ROLES),
    *(e.FilesAdded(1, added, LEFT_OUT[:many]) for added in (0, 1, 2) for many in (0, 1, 6)),
    e.HelpTold(1, (e.HelpRow("1", "2", "3"),)),
    e.Answered(1, Notice(Code.SHUFFLED)),
    e.PeersListed(1, ()),
    e.RequestsListed(1, ()),
    e.QueueChanged(1, asked=True),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.event_name)
def test_an_event(event: e.Event) -> None:
    assert letters("".join(event_lines(event, DIGITS))) == ""


@pytest.mark.parametrize("code", [Code.PEER_LEFT, Code.PEER_REMOVED, Code.PEER_SILENT, Code.PEER_CONNECTION_LOST])
def test_that_a_peer_is_gone_in_the_window(code: Code) -> None:
    for detail in ("", "why"):
        assert letters(peer_left_text(e.PeerLeft(1, 1, "1", Notice(code, detail)), DIGITS)) == ""


def test_that_a_peer_is_here_in_the_window() -> None:
    for again in (False, True):
        assert letters(peer_joined_text(e.PeerJoined(1, 1, "1", again), DIGITS)) == ""


@pytest.mark.parametrize("state", ["stopped", "playing", "paused", "waiting"])
def test_the_progress_line(state: str) -> None:
    status = e.StatusReported(1, "1", "2", "3", state, True, 1.0, "4", "", "", 2.0, 3)  # type: ignore[arg-type]
    for timing in ("exact", "unknown"):
        for known_us in (None, 3.0):
            sync = e.SyncMeasured(1, True, 1.0, known_us, 0.0, 0.0, 0.0, 0, timing, None, 0.0)  # type: ignore[arg-type]
            for peers in (None, 3):
                shown = dataclasses.replace(status, peers=peers, connected=peers is not None)
                assert letters(progress_line(shown, sync, DIGITS)) == ""


@pytest.mark.parametrize(("peers", "clock_us"), [(None, None), (None, 3.0), (0, None), (2, None)])
def test_the_answer_to_status(peers: int | None, clock_us: float | None) -> None:
    status = e.StatusReported(1, "1", "2", "3", "playing", True, 1.0, "4", "", "", 2.0, peers, ("5",) * (peers or 0))
    more = {"address": "6", "device": "7", "timing": "exact", "volume": 8, "role": "mono", "offset_ms": 9.0}
    told = dataclasses.replace(status, repeat=peers is not None, clock_within_us=clock_us, **more)  # type: ignore[arg-type]
    assert letters("".join(event_lines(told, DIGITS))) == ""


def test_the_rows_of_tables() -> None:
    for ready, device in ((True, "1"), (False, "1"), (False, None)):
        figures = (
            ready,
            1,
            2,
            False,
            (),
            "good",
            1.0,
            LatencyClass.GREEN,
            2.0,
            ready,
            7.0,
            3.0,
            4.0,
            5.0,
            0.0,
            6.0,
            device,
        )
        row = e.PeerRow("1", *figures, "exact", 0, 50, False, "left", None, ())  # type: ignore[arg-type]
        assert letters("".join(event_lines(e.PeersListed(1, (row,)), DIGITS))) == ""
    for status in ItemStatus:
        track = e.QueueRow(SONG[0], "1.2", "", "", 9.0, "2", status)
        assert letters("".join(event_lines(e.QueueChanged(1, None, (track,), True), DIGITS))) == ""
    for state in RequestState:
        request = e.RequestRow(SONG[0], 1, "2", "1.2", 9, state, 0, "why")
        assert letters("".join(event_lines(e.RequestsListed(1, (request,)), DIGITS))) == "MB"
    found = ce.SessionFound(None, "1", "2", 5, 5, (), 1, "3", 3, False, "", True, "4")
    assert letters("".join(event_lines(found, DIGITS))) == ""


def test_message_ids_are_whole_texts() -> None:
    """Arguments of gettext are constants, entries of a table, or texts of another machine or the system."""
    for module in (sentences, output):
        for call in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "gettext":
                assert not isinstance(call.args[0], ast.JoinedStr | ast.BinOp)
