"""Every code has a sentence, and every sentence uses only values that its notice has."""

from __future__ import annotations

import dataclasses
import string
from uuid import UUID

import pytest

from phaselock.errors import PhaseLockError
from phaselock.language.message import Message
from phaselock.model.file_kinds import UnplayableFileError
from phaselock.model.notices import Code, LeftOut, Notice
from phaselock.session import sentences
from phaselock.session.event_json import event_fields, event_object
from phaselock.session.events import Failed, FilesAdded, PeerLeft, SessionEnded, Warned
from phaselock.session.sentences import NOTICES, NoticeError, added_text, notice_of, notice_text, short_text

FULL = Notice(Code.OTHER, "why", UUID(int=1), "a.mp3", "Ada", 1, ("Ada", "Ben"), 3, "10.0.0.1", ("x", "y"), "left")


def test_every_code_has_a_sentence() -> None:
    assert NOTICES.keys() == set(Code)


@pytest.mark.parametrize("code", Code)
def test_a_sentence_has_its_values(code: Code) -> None:
    names = {field.name for field in dataclasses.fields(Notice)}
    forms = [NOTICES[code], sentences.SHORT.get(code, ""), sentences.QUEUE_LIMIT, sentences.RETRY_HINT]
    assert {name for form in forms for _, name, _, _ in string.Formatter().parse(form) if name} <= names | {"kind"}
    for notice in (dataclasses.replace(FULL, code=code), dataclasses.replace(FULL, code=code, detail="")):
        for text in (notice_text(notice), notice_text(notice, hints=True), short_text(notice)):
            assert "None" not in text and "{" not in text


def test_values_are_not_read_as_forms() -> None:
    assert notice_text(Notice(Code.NO_SUCH_PEER, peer="{number} {0}")) == "There is no peer called {number} {0}."


def test_what_may_be_typed_is_said_where_there_are_no_buttons() -> None:
    notice = Notice(Code.TRANSFER_GIVEN_UP, file_name="a.mp3", peer="Ada", number=3)
    assert notice_text(notice) == "Ada could not receive a.mp3 in 3 tries."
    assert notice_text(notice, hints=True) == (
        "Ada could not receive a.mp3 in 3 tries. Try again (retry Ada) or go on without it (without Ada)."
    )
    alone = Notice(Code.NO_SUCCESSOR)
    assert notice_text(alone) == "No other machine is ready to become the host."
    assert notice_text(alone, hints=True) == f"{notice_text(alone)} To end the jam for everybody, type quit."


def test_errors_have_codes() -> None:
    assert notice_of(UnplayableFileError("a.mp3")) == Notice(Code.INVALID_FILE, file_name="a.mp3")
    empty = UnplayableFileError("a.mp3", Message("it is empty")).named("b.mp3")
    assert notice_of(empty) == Notice(Code.UNPLAYABLE_FILE, "it is empty", file_name="b.mp3")
    assert notice_text(notice_of(empty)) == str(empty) == "b.mp3 cannot be played: it is empty."
    assert notice_of(PhaseLockError("Port 1 is taken.")) == Notice(Code.OTHER, "Port 1 is taken.")
    error = NoticeError(Notice(Code.NOTHING_REMOVED))
    assert notice_of(error) == Notice(Code.NOTHING_REMOVED) and str(error) == "Nothing was removed."
    assert notice_text(notice_of(UnplayableFileError("a.mp3"))) == str(UnplayableFileError("a.mp3"))


def test_a_notice_in_json_has_its_code_its_sentence_and_its_values() -> None:
    notice = Notice(Code.UNPLAYABLE_AT_PEER, "no frames", UUID(int=1), "a.mp3", "Ada")
    assert event_object(Failed(5, notice)) == {
        "event": "error",
        "session_ns": 5,
        "message": "Ada cannot play a.mp3: no frames",
        "code": "unplayable_at_peer",
        "detail": "no frames",
        "file_id": str(UUID(int=1)),
        "file_name": "a.mp3",
        "peer": "Ada",
    }
    assert event_object(Warned(None, Notice(Code.NO_OUTPUT))) == {
        "event": "warning",
        "message": "No audio output detected. This machine plays no sound. What to do: phaselock doctor",
        "code": "no_output",
    }


def test_a_reason_in_json_has_its_code() -> None:
    left = event_fields(PeerLeft(1, 2, "Ada", Notice(Code.PEER_SILENT)))
    assert left == {
        "peer_id": 2,
        "name": "Ada",
        "reason": "Nothing was heard from there for 5 seconds.",
        "code": "peer_silent",
    }
    assert event_fields(SessionEnded(1, Notice(Code.HOST_LOST), True)) == {
        "reason": "Host disconnected — session ended.",
        "code": "host_lost",
        "failed": True,
    }
    assert "failed" not in event_fields(SessionEnded(1, Notice(Code.SESSION_ENDED)))


def test_what_is_left_out_in_json() -> None:
    assert event_fields(FilesAdded(1, 0, (JPG,))) == {
        "added": 0,
        "left_out": [{"name": "cover.jpg", "reason": "no music", "code": "not_music"}],
        "message": "Added no tracks; left out 1: cover.jpg (no music).",
    }


JPG = LeftOut("cover.jpg", Notice(Code.NOT_MUSIC))
BROKEN = LeftOut("broken.mp3", notice_of(UnplayableFileError("broken.mp3")))
MISSING = LeftOut("x.mp3", Notice(Code.NO_FILE, file_name="x.mp3"))
FORBIDDEN = LeftOut("y.mp3", Notice(Code.FILE_UNREADABLE, "Permission denied", file_name="y.mp3"))


@pytest.mark.parametrize(
    ("added", "left_out", "sentence"),
    [
        (0, [], "There was nothing to add."),
        (1, [], "Added 1 track."),
        (12, [], "Added 12 tracks."),
        (0, [JPG], "Added no tracks; left out 1: cover.jpg (no music)."),
        (1, [BROKEN], "Added 1 track; left out 1: broken.mp3 (Invalid or corrupted MP3 file)."),
        (12, [JPG, MISSING], "Added 12 tracks; left out 2: cover.jpg (no music) and x.mp3 (no such file)."),
        (
            2,
            [JPG, BROKEN, FORBIDDEN],
            "Added 2 tracks; left out 3: cover.jpg (no music), broken.mp3 (Invalid or corrupted MP3 file) and "
            "y.mp3 (cannot be read: Permission denied).",
        ),
        (
            2,
            [JPG, JPG, MISSING, BROKEN, BROKEN],
            "Added 2 tracks; left out 5: cover.jpg (no music), cover.jpg (no music), x.mp3 (no such file) and "
            "2 more (see: phaselock log).",
        ),
        (
            0,
            [LeftOut("x" * 200, Notice(Code.NOT_MUSIC))],
            f"Added no tracks; left out 1: {'x' * 30}…{'x' * 29} (no music).",
        ),
    ],
)
def test_the_summary_is_one_plain_sentence(added: int, left_out: list[LeftOut], sentence: str) -> None:
    assert added_text(FilesAdded(None, added, tuple(left_out))) == sentence
