"""Encoded messages are decoded to the same values; everything else raises ProtocolError and no other error."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phaselock.language.message import Message
from phaselock.model.group import DEFAULT_PEERS, MAX_PEERS
from phaselock.model.names import FILE_BYTES, PERSON_BYTES, TITLE_BYTES
from phaselock.model.queue import MAX_ITEMS, ItemStatus, QueueItem
from phaselock.protocol import messages as m
from phaselock.protocol.codec import ProtocolError, decode, encode
from phaselock.protocol.framing import GREETING_CAP, HOST_CAP, SESSION_CAP, frame
from tests.support.checked_encode import checked_encode
from tests.support.message_strategies import MESSAGES, of_type

SPECIFIED = """JoinRequest JoinAccepted JoinRejected LeaveSession SessionEnd Heartbeat FileTransferStart FileChunk
    FileReceived SongRequest SongRequestAccepted SongRequestRejected SongUploadChunk SongUploadComplete PlayCommand
    PauseCommand ResumeCommand StopCommand SeekCommand QueueUpdate""".split()

FILE_ID = UUID(int=7)


def test_every_specified_message_exists_and_numbers_are_single() -> None:
    assert set(SPECIFIED) <= {kind.__name__ for kind in m.TYPE_OF}
    assert len(set(m.TYPE_OF.values())) == len(m.TYPE_OF)


@pytest.mark.parametrize("kind", m.TYPE_OF, ids=lambda kind: kind.__name__)
def test_every_message_survives_the_wire(kind: type[m.Message]) -> None:
    @settings(max_examples=30)
    @given(of_type(kind))
    def survives(message: m.Message) -> None:
        data = encode(message)
        assert data[0] == m.TYPE_OF[kind]
        assert decode(data[0], data[1:]) == message

    survives()


def test_a_text_for_users_travels_as_its_english_text() -> None:
    reason = Message("{file_name} cannot be read: {reason}", file_name="a.mp3", reason=Message("Permission denied"))
    data = encode(m.FileRefused(reason))
    assert data == encode(m.FileRefused("a.mp3 cannot be read: Permission denied"))
    received = decode(data[0], data[1:])
    assert isinstance(received, m.FileRefused) and type(received.reason) is str


def test_the_bytes_are_those_of_the_document() -> None:
    command = m.PlayCommand(FILE_ID, 44100, 1, 2, 3)
    assert encode(command)[0] == 48
    assert msgpack.unpackb(encode(command)[1:]) == {
        "file_id": FILE_ID.bytes, "rate_hz": 44100, "position_samples": 1, "target_time_ns": 2,
        "crossfade_ns": 3,
    }  # fmt: skip


def test_a_word_out_of_a_list_is_one_of_it() -> None:
    status = m.PeerStatus(0, 0, 0, None, "told", 0, 0, 0, None, 0, False, False, 0)
    fields = msgpack.unpackb(encode(status)[1:])
    assert fields["timing"] == "told"
    for other in ("sure", "", b"told", None, 1):
        with pytest.raises(ProtocolError):
            decode(64, msgpack.packb(fields | {"timing": other}))


@given(st.integers(0, 255), st.binary(max_size=300))
def test_random_bytes_raise_the_one_error_or_are_a_message(kind: int, payload: bytes) -> None:
    try:
        message = decode(kind, payload)
    except ProtocolError:
        return
    assert m.TYPE_OF[type(message)] == kind


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=40)
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=20)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.integers(0, 9), inner),
    max_leaves=12,
)


@given(st.sampled_from(sorted(m.TYPE_OF.values())), VALUES)
def test_random_structures_raise_the_one_error_or_are_a_message(kind: int, value: object) -> None:
    try:
        message = decode(kind, msgpack.packb(value))
    except ProtocolError:
        return
    assert m.TYPE_OF[type(message)] == kind


@given(MESSAGES, st.data())
def test_a_changed_field_is_a_valid_value_or_refused(message: m.Message, data: st.DataObject) -> None:
    payload = encode(message)
    fields = msgpack.unpackb(payload[1:])
    name = data.draw(st.sampled_from([*fields, "another"]))
    fields[name] = data.draw(VALUES)
    try:
        changed = decode(payload[0], msgpack.packb(fields))
    except ProtocolError:
        return
    assert name != "another"
    # A decoded message is within its bounds, so it can be encoded.
    assert decode(payload[0], encode(changed)[1:]) == changed


@given(MESSAGES, st.data())
def test_a_cut_or_lengthened_message_is_refused(message: m.Message, data: st.DataObject) -> None:
    payload = encode(message)
    cut = data.draw(st.integers(1, len(payload) - 1))
    for broken in (payload[1:cut], payload[1:] + b"\xc0"):
        with pytest.raises(ProtocolError):
            decode(payload[0], broken)


def play(**changes: Any) -> bytes:
    fields = {"file_id": FILE_ID.bytes, "rate_hz": 44100, "position_samples": 1, "target_time_ns": 2} | changes
    return msgpack.packb({name: value for name, value in fields.items() if value != "absent"})


@pytest.mark.parametrize(
    "changes",
    [
        {"file_id": bytes(15)},
        {"file_id": bytes(17)},
        {"file_id": str(FILE_ID)},
        {"file_id": None},
        {"file_id": "absent"},
        {"rate_hz": 7999},
        {"rate_hz": 192001},
        {"rate_hz": "absent"},
        {"position_samples": -1},
        {"position_samples": 2**40 + 1},
        {"position_samples": 2**64 - 1},
        {"position_samples": 1.0},
        {"position_samples": True},
        {"position_samples": "1"},
        {"target_time_ns": None},
        {"target_time_ns": "absent"},
        {"extra": 0},
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_its_declaration_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ProtocolError):
        decode(48, play(**changes))


def test_a_field_with_a_default_may_be_left_out() -> None:
    assert decode(51, msgpack.packb({})) == m.StopCommand()
    assert decode(49, msgpack.packb({"position_samples": 5})) == m.PauseCommand(5)


BOMBS = {
    "nested": b"\x91" * 100_000,
    "array32": b"\xdd\x7f\xff\xff\xff",
    "map32": b"\xdf\x7f\xff\xff\xff",
    "bin32": b"\xc6\x7f\xff\xff\xff",
    "ext": b"\xc7\x00\x05",
    "timestamp": b"\xc7\x03\xff\x00\x00\x00",
    "bad utf-8": b"\x81\xa1\xff\x00",
    "list as key": b"\x81\x90\x00",
    "nothing": b"",
    "nan": msgpack.packb({"queue": [["x"]], "revision": float("nan")}),
}


@pytest.mark.parametrize("payload", BOMBS.values(), ids=BOMBS)
@pytest.mark.parametrize("kind", [7, 53])
def test_bombs_are_refused(kind: int, payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(kind, payload)


def item(**changes: Any) -> bytes:
    row = {"id": bytes(16), "file_name": "x", "duration_secs": 1.0, "added_by": "", "status": "ready"} | changes
    return msgpack.packb({"queue": [row], "revision": 1})


def test_rows_of_a_queue_are_checked_like_messages() -> None:
    row = QueueItem(UUID(int=0), "x", 1.0, "", ItemStatus.READY)
    assert decode(53, item()) == m.QueueUpdate((row,), 1)
    for changes in (
        {"duration_secs": float("nan")},
        {"duration_secs": float("inf")},
        {"duration_secs": -1.0},
        {"duration_secs": 1},
        {"status": "late"},
        {"status": b"ready"},
        {"file_name": ""},
        {"file_name": "x" * (FILE_BYTES + 1)},
        {"file_name": "ü" * FILE_BYTES},
        {"id": "x"},
        {"more": 1},
    ):
        with pytest.raises(ProtocolError):
            decode(53, item(**changes))


def test_a_queue_that_is_too_long_is_refused() -> None:
    row = msgpack.unpackb(item())["queue"]
    decode(53, msgpack.packb({"queue": row * MAX_ITEMS, "revision": 1}))
    with pytest.raises(ProtocolError):
        decode(53, msgpack.packb({"queue": row * (MAX_ITEMS + 1), "revision": 1}))


def test_the_longest_queue_fits_into_a_frame_and_the_longest_greeting_into_its_own() -> None:
    name, words = "x" * PERSON_BYTES, "x" * TITLE_BYTES
    row = QueueItem(FILE_ID, "x" * FILE_BYTES, 1e9, name, ItemStatus.TRANSFERRING, words, words)
    line = m.LineState(FILE_ID, 48000, 2**40, 2**62, 2**62)
    state = m.SessionState((row,) * MAX_ITEMS, 2**32 - 1, line, line)
    assert len(frame(m.JoinAccepted(2**32 - 1, state, bytes(16), 65535, name, bytes(16)))) <= HOST_CAP
    assert len(frame(m.QueueUpdate((row,) * MAX_ITEMS, 2**32 - 1))) <= HOST_CAP
    assert len(frame(m.FileChunk(FILE_ID, m.MAX_FILE_BYTES, bytes(m.CHUNK_BYTES)))) <= SESSION_CAP
    for names in ((name,) * DEFAULT_PEERS, ("?",) * MAX_PEERS):
        assert len(frame(m.SessionInfo(2**32 - 1, bytes(16), name, name, names, MAX_PEERS))) <= GREETING_CAP
    assert len(frame(m.JoinRequest(name, 2**32 - 1, 2**32 - 1, bytes(32)))) <= GREETING_CAP


@pytest.mark.parametrize(
    "message",
    [
        m.PlayCommand(FILE_ID, 44100, -1, 0),
        m.PlayCommand(FILE_ID, 44100, 0, 2**63),
        m.PlayCommand(FILE_ID, 44100, 0, 2**70),
        m.JoinRejected("x" * 601),
        m.JoinRejected("\ud800"),
        m.FileChunk(FILE_ID, 0, b""),
        m.SessionState((), 0),
        m.JoinRequest("x", 1.0),  # type: ignore[arg-type]
        m.SessionInfo(1, bytes(16), "a", "b", ["c"], 5),  # type: ignore[arg-type]
    ],
    ids=lambda message: type(message).__name__,
)
def test_the_check_of_sent_messages_finds_what_a_receiver_would_refuse(message: m.Message) -> None:
    with pytest.raises(AssertionError):
        checked_encode(message)
    with pytest.raises(AssertionError):
        frame(message)
