"""Which events become toasts, and in which words; all other events are silent."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any
from uuid import UUID

import pytest

from phaselock.model.notices import Code, LeftOut, Notice
from phaselock.model.snapshot import RequestState
from phaselock.session import events as e
from phaselock.session.commands import Add, Play, Reject, Request
from phaselock.session.effects import Notify
from phaselock.ui.backend import SessionEvent
from phaselock.ui.viewmodel import Toast, event_banner, event_toast, toasts
from tests.support.handled import handled, names
from tests.support.session_harness import SessionHarness
from tests.support.session_views import host
from tests.support.simulation import a_track


def toast(event: e.Event, hosting: bool = True) -> Toast | None:
    return event_toast(SessionEvent(event), hosting)


def error(code: Code, **values: Any) -> Toast | None:
    return toast(e.Failed(1, Notice(code, **values)))


def left(code: Code, detail: str = "") -> Toast | None:
    return toast(e.PeerLeft(1, 1, "Ben", Notice(code, detail)))


def device(state: Any, name: str | None, detail: str, timing: Any = None, peer: str | None = None) -> Toast | None:
    return toast(e.DeviceChanged(1, state, name, detail, timing, peer))


def added(number: int, *left_out: LeftOut) -> Toast | None:
    return toast(e.FilesAdded(1, number, left_out))


def failed(reason: str) -> e.TransferChanged:
    return e.TransferChanged(1, UUID(int=1), "a.mp3", 10, e.TransferState.FAILED, reason=reason)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (toast(e.PeerJoined(1, 1, "Ben", again=False)), Toast("Ben has joined.", "info")),
        (toast(e.PeerJoined(1, 1, "Ben", again=True)), Toast("Ben is back.", "info")),
        (left(Code.PEER_LEFT), Toast("Ben has left.", "info")),
        (left(Code.PEER_REMOVED), Toast("Ben was removed.", "info", "allow", "Ben")),
        (left(Code.PEER_SILENT), Toast("Ben has left. Nothing was heard from there for 5 seconds.", "warning")),
        (left(Code.PEER_CONNECTION_LOST), Toast("Ben has left.", "warning")),
        (left(Code.PEER_CONNECTION_LOST, "reset"), Toast("Ben has left (reset).", "warning")),
        (left(Code.PEER_RECONNECTED), None),
        (toast(e.Joined(1, 1, "Jam", "Ana", "Ben", again=False, host_words="words"), False), None),
        (
            toast(e.Joined(1, 1, "Jam", "Ana", "Ben", again=True, host_words="words"), False),
            Toast("The host is heard again.", "info"),
        ),
        (
            toast(e.Joined(1, 1, "Jam", "Ana", "Ben", again=True, host_words="words", moved=True), False),
            None,
        ),
        (toast(e.RoleSet(1, "mono")), Toast("The host has set this speaker to play both channels as mono.", "info")),
        (toast(e.MicrophoneUsed(1, True), False), Toast("The host listens by this microphone.", "info")),
        (added(3), Toast("Added 3 tracks.", "info")),
        (
            added(1, LeftOut("x", Notice(Code.NOT_MUSIC))),
            Toast("Added 1 track; left out 1: x (no music).", "warning"),
        ),
        (added(0), Toast("There was nothing to add.", "info")),
        (
            toast(
                failed("The disk is full."),
                False,
            ),
            Toast("a.mp3 did not arrive: The disk is full.", "warning"),
        ),
        (toast(e.Warned(1, Notice(Code.OTHER, "Something."))), Toast("Something.", "warning")),
        (toast(e.Warned(None, Notice(Code.INTERNET_EXTRA_MISSING, "pip")), True), None),
        (
            toast(e.Warned(None, Notice(Code.INTERNET_EXTRA_MISSING, "pip")), False),
            Toast("No direct way was found. To try relays, too, install them: pip", "warning"),
        ),
        (
            toast(e.Warned(1, Notice(Code.PEER_BARRED, peer="Zoe", choices=("Ben",)))),
            Toast("Zoe was not let in, because Ben was removed.", "warning", "allow", "Ben"),
        ),
        (device("none", None, "No audio output detected."), Toast("No audio output detected.", "error")),
        (device("lost", "Card", "Card is gone."), Toast("Card is gone.", "warning")),
        (device("open", "Card", "", "told"), None),
        (
            device("open", "Card", "USB is gone. Playing on Card.", "told"),
            Toast("USB is gone. Playing on Card.", "warning"),
        ),
        (
            device("open", "Card", "", "unknown"),
            Toast("This output does not tell its delay; set an offset by ear.", "warning"),
        ),
        (device("none", None, "", None, "Ben"), Toast("Ben has no audio output.", "warning")),
        (device("open", "Card", "", "unknown", "Ben"), None),
        (
            error(Code.INVALID_FILE, file_name="x: y.mp3"),
            Toast("Invalid or corrupted MP3 file. x: y.mp3 was not added.", "error"),
        ),
        (
            error(Code.WAITING_FOR_PEERS, file_name="a.mp3", peers=("Ana", "Ben")),
            Toast("Waiting for all peers to receive the file. Missing at Ana and Ben.", "warning"),
        ),
        (
            error(Code.UNPLAYABLE_AT_PEER, detail="no frames", file_name="a.mp3", peer="Ben"),
            Toast("Ben cannot play a.mp3: no frames", "error"),
        ),
        (error(Code.NO_NEXT_TRACK), Toast("There is no next track.", "info")),
        (error(Code.NO_SUCH_TRACK), Toast("There is no such track in the queue.", "info")),
        (
            error(Code.OTHER, detail="Port 17401 is in use. Please close the other application or change the port."),
            Toast("Port 17401 is in use. Please close the other application or change the port.", "error"),
        ),
    ],
)
def test_what_people_are_told(shown: Toast | None, expected: Toast | None) -> None:
    assert shown == expected


def request(state: str, peer: str, done_bytes: int = 0) -> e.RequestChanged:
    row = e.RequestRow(UUID(int=1), 1, peer, "New.mp3", 4_200_000, RequestState(state), done_bytes, "Why.")
    return e.RequestChanged(1, row)


@pytest.mark.parametrize(
    ("state", "host_text", "own_text"),
    [
        ("open", None, 'The host was asked for "New.mp3".'),
        ("accepted", None, 'The host wants "New.mp3"; it is on its way.'),
        ("added", '"New.mp3", which Sam asked for, is in the queue.', '"New.mp3" is in the queue.'),
        ("rejected", None, '"New.mp3" is not added: Why.'),
        ("failed", '"New.mp3", which Sam asked for, does not come: Why.', '"New.mp3" is not added: Why.'),
    ],
)
def test_what_becomes_of_requests(state: str, host_text: str | None, own_text: str | None) -> None:
    for hosting, peer, text in ((True, "Sam", host_text), (False, "", own_text)):
        shown = toast(request(state, peer), hosting)
        assert (shown.text if shown else None) == text


def test_a_request_and_a_track_are_called_as_the_lists_call_them() -> None:
    row = dataclasses.replace(request("added", "").request, title="Song", artist="Band")
    shown = toast(e.RequestChanged(1, row), False)
    assert shown and shown.text == '"Song – Band" is in the queue.'
    snapshot = host().snapshot
    item = snapshot.queue[0]
    failed = e.Failed(None, Notice(Code.UNPLAYABLE_AT_PEER, "no frames", item.id, item.file_name, peer="Ben"))
    named = event_toast(SessionEvent(failed), True, snapshot)
    assert named and named.text == f"Ben cannot play {item.title} – {item.artist}: no frames"
    assert item.title and item.artist and item.title not in item.file_name


def test_the_progress_of_an_upload_or_a_conversion_is_no_news() -> None:
    assert toast(request("accepted", "", 5), False) is None
    for peer in ("", "Ben"):
        assert toast(request("converting", peer, 10), not peer) is None


SONG = UUID(int=1), "a.mp3"


@pytest.mark.parametrize(
    "event",
    [
        e.SessionOpened(1, "Jam", "Ana", 1, 2, "10.0.0.1", (), "words", "", False),
        e.TransferChanged(1, *SONG, 10, e.TransferState.DONE, "Ben", 10),
        e.FileReady(1, *SONG),
        e.QueueChanged(1, 1),
        e.Playing(1, *SONG, 0.0),
        e.Paused(1, *SONG, 0.0),
        e.Resumed(1, *SONG, 0.0),
        e.Seeked(1, *SONG, 0.0),
        e.TrackEnded(1, *SONG, 0.0),
        e.Stopped(1),
        e.SyncMeasured(1, True, 0.0, None, None, 0.0, None, 0, "exact", None, 0.0),
        e.SessionEnded(1, Notice(Code.SESSION_ENDED)),
        e.HelpTold(1, ()),
        e.Answered(1, Notice(Code.SHUFFLED)),
        e.CalibrationBegan(1, "Ana", ("Ana", "Ben")),
        e.CheckBegan(1, "Ana", ("Ana", "Ben")),
    ],
)
def test_what_the_screens_show_anyway_is_silent(event: e.Event) -> None:
    assert toast(event) is None and toast(event, False) is None


def test_phones_that_are_left_out_are_told() -> None:
    begun = e.CheckBegan(1, "Ana", ("Ana", "Ben"), ("Pia", "Cem"))
    text = "These phones are left out, and silent meanwhile: Pia and Cem."
    assert toast(begun) == Toast(text, "info")


def test_a_file_that_could_not_be_sent_can_be_tried_again() -> None:
    """With the events of a real session."""
    harness = SessionHarness()
    ben = harness.join("Ben")
    ben.fetch_results = iter([False] * 3)
    harness.run(0.1)
    harness.command(Add(a_track()))
    harness.run(5)
    (event,) = (effect.event for effect in harness.host.of(Notify) if isinstance(effect.event, e.Failed))
    shown = event_toast(SessionEvent(event), True)
    assert shown == Toast("Ben could not receive song 1.mp3 in 3 tries.", "error", "retry", "Ben")


def test_every_event_of_an_evening_has_its_words_or_none() -> None:
    harness = SessionHarness()
    ana, ben = harness.join("Ana"), harness.join("Ben")
    harness.run(0.3)
    harness.command(Play(), Add(a_track(1)), Play(), Add(a_track(2)), Reject(UUID(int=1)))
    harness.run(1)
    ana.call(ana.core.command, Request(UUID(int=5), "New.mp3", 1000, bytes(32)))
    harness.run(0.1)
    harness.command(Play(), Reject(UUID(int=5)))
    harness.run(70)
    ben.crash()
    ana.leave()
    harness.run(1)
    texts = []
    for hosting, node in ((True, harness.host), (False, ana), (False, ben)):
        for effect in node.of(Notify):
            shown = event_toast(SessionEvent(effect.event), hosting)
            texts += [shown.text] if shown else []
    assert {
        "Ana has joined.",
        "Ben has joined.",
        "Ana has left.",
        "There is nothing to play.",
        'The host was asked for "New.mp3".',
        '"New.mp3" is not added: The host has declined it.',
    } <= set(texts)
    assert all(text.strip().endswith(".") and "None" not in text for text in texts)


SILENT = {
    e.GuestJoined,
    e.GuestLeft,
    e.GuestsListed,
    e.RulesChanged,
    e.SkipVoted,
    e.VotesChanged,
    e.CalibrationWaits,
    e.ChatSaid,
    e.ConversionChanged,
    e.LoudnessSet,
    e.TransitionsSet,
    e.OutputConfirmed,
    e.MicrophoneAsked,
    e.SessionOpened,
    e.CodeSet,
    e.InvitationChanged,
    e.GuestPageSet,
    e.SessionEnded,
    e.SuccessorsChanged,
    e.FileReady,
    e.QueueChanged,
    e.Playing,
    e.Paused,
    e.Resumed,
    e.Seeked,
    e.TrackEnded,
    e.Stopped,
    e.SyncMeasured,
    e.VolumeSet,
    e.PeersTrimmed,
    e.LevelsListed,
    e.SongsFound,
    e.SongLoudness,
    e.PeerSyncMeasured,
    e.PeersListed,
    e.RequestsListed,
    e.StatusReported,
    e.HelpTold,
    e.Answered,
}
"""Events without a toast: the screens show them, or they answer a typed command."""


def test_every_event_has_a_toast_or_is_listed_as_silent() -> None:
    every = {kind for kind in vars(e).values() if isinstance(kind, type) and hasattr(kind, "event_name")}
    assert names(every) - handled(pathlib.Path(toasts.__file__), function="event_toast") == names(SILENT)


def test_warnings_of_attacks_stay_instead_of_being_toasts() -> None:
    staying = {
        Code.CODE_GUESSED,
        Code.CODE_VOID,
        Code.INVITATION_GUESSED,
        Code.INVITATION_VOID,
        Code.HOST_KEY_CHANGED,
    }
    for code in Code:
        happened = SessionEvent(e.Warned(1, Notice(code, "Something.", peer="Ben", number=10)))
        assert bool(event_banner(happened)) == (code in staying)
        if code in staying:
            assert event_toast(happened, True) is None
    assert event_banner(SessionEvent(e.CodeSet(1, "482913"))) == ""
