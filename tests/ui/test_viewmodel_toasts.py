"""Which events become toasts, and in which words; all other events are silent."""

from __future__ import annotations

from uuid import UUID

import pytest

from phaselock.errors import InvalidMp3Error
from phaselock.session.commands import Add, Play, Reject, Request
from phaselock.ui.backend import SessionEvent
from phaselock.ui.viewmodel import Toast, event_toast
from tests.support.session_harness import SessionHarness
from tests.support.simulation import a_track

WISH = {"request_id": "1", "number": 1, "file_name": "New.mp3", "size": 4_200_000, "done_bytes": 0, "reason": ""}


def toast(name: str, hosting: bool = True, /, **fields: object) -> Toast | None:
    return event_toast(SessionEvent(name, 1, fields), hosting)


def error(message: str, **fields: object) -> Toast | None:
    return toast("error", message=message, **fields)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (toast("peer_joined", peer_id=1, name="Ben", again=False), Toast("Ben has joined.", "info")),
        (toast("peer_joined", peer_id=1, name="Ben", again=True), Toast("Ben is back.", "info")),
        (toast("peer_left", peer_id=1, name="Ben", reason="It left."), Toast("Ben has left.", "info")),
        (
            toast("peer_left", peer_id=1, name="Ben", reason="The host has removed it."),
            Toast("Ben was removed.", "info"),
        ),
        (
            toast("peer_left", peer_id=1, name="Ben", reason="Nothing was heard of it for 5 seconds."),
            Toast("Ben has left. Nothing was heard of it for 5 seconds.", "warning"),
        ),
        (toast("peer_left", peer_id=1, name="Ben", reason=""), Toast("Ben has left.", "warning")),
        (toast("peer_left", peer_id=1, name="Ben", reason="reset"), Toast("Ben has left (reset).", "warning")),
        (toast("peer_left", peer_id=1, name="Ben", reason="It connects anew."), None),
        (toast("joined", False, peer_id=1, name="Ben", again=False), None),
        (toast("joined", False, peer_id=1, name="Ben", again=True), Toast("The host is heard again.", "info")),
        (toast("added", added=3, left_out=[], message="Added 3 tracks."), Toast("Added 3 tracks.", "info")),
        (
            toast("added", added=1, left_out=[{}], message="Added 1 track; left out 1: x (no MP3)."),
            Toast("Added 1 track; left out 1: x (no MP3).", "warning"),
        ),
        (
            toast("added", added=0, left_out=[], message="There was nothing to add."),
            Toast("There was nothing to add.", "info"),
        ),
        (toast("warning", message="Something."), Toast("Something.", "warning")),
        (
            toast("device", state="none", name=None, detail="No audio output detected."),
            Toast("No audio output detected.", "error"),
        ),
        (toast("device", state="lost", name="Card", detail="Card is gone."), Toast("Card is gone.", "warning")),
        (toast("device", state="open", name="Card", detail="", timing="told"), None),
        (
            toast("device", state="open", name="Card", detail="", timing="unknown"),
            Toast("This output does not tell its delay; set an offset by ear.", "warning"),
        ),
        (
            toast("device", state="none", name=None, detail="", peer="Ben"),
            Toast("Ben has no audio output.", "warning"),
        ),
        (toast("device", state="open", name="Card", detail="", timing="unknown", peer="Ben"), None),
        (
            error(str(InvalidMp3Error("x: y.mp3"))),
            Toast("Invalid or corrupted MP3 file. x: y.mp3 was not added.", "error"),
        ),
        (
            error("Waiting for all peers to receive the file.", file_name="a.mp3", peers=["Ana", "Ben"]),
            Toast("Waiting for all peers to receive the file. Missing at Ana, Ben.", "warning"),
        ),
        (
            error("Ben cannot play a.mp3: no frames", file_id="1", peer="Ben"),
            Toast("Ben cannot play a.mp3: no frames", "error"),
        ),
        (error("There is no next track."), Toast("There is no next track.", "info")),
        (
            error("Port 17401 is in use. Please close the other application or change the port."),
            Toast("Port 17401 is in use. Please close the other application or change the port.", "error"),
        ),
    ],
)
def test_what_people_are_told(shown: Toast | None, expected: Toast | None) -> None:
    assert shown == expected


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
    wish = WISH | {"state": state, "reason": "Why."}
    for hosting, peer, text in ((True, "Sam", host_text), (False, "", own_text)):
        shown = toast("request", hosting, **wish | {"peer": peer})
        assert (shown.text if shown else None) == text


def test_the_progress_of_an_upload_is_no_news() -> None:
    assert toast("request", False, **WISH | {"state": "accepted", "done_bytes": 5, "peer": ""}) is None


@pytest.mark.parametrize(
    "name",
    "session transfer file_ready queue playing paused resumed seeked stopped track_ended sync peer_sync session_end "
    "verdict status unheard_of".split(),
)
def test_what_the_screens_show_anyway_is_silent(name: str) -> None:
    assert toast(name) is None and toast(name, False) is None


def test_a_file_that_could_not_be_sent_can_be_tried_again() -> None:
    """In the words that the session really says."""
    harness = SessionHarness()
    ben = harness.join("Ben")
    ben.fetch_results = iter([False] * 3)
    harness.run(0.1)
    harness.command(Add(a_track()))
    harness.run(5)
    (event,) = harness.host.events("error")
    shown = event_toast(SessionEvent(event.name, event.session_ns, event.fields), True)
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
        for name in {effect.event.name for effect in node.effects if hasattr(effect, "event")}:
            for event in node.events(name):
                shown = event_toast(SessionEvent(event.name, event.session_ns, event.fields), hosting)
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
