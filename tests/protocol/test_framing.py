"""Frames: the messages do not depend on how the stream is cut, and each length is checked."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.protocol import messages as m
from phaselock.protocol.codec import ProtocolError
from phaselock.protocol.framing import GREETING_CAP, SESSION_CAP, Framer, frame
from tests.support.message_strategies import MESSAGES


def test_the_length_counts_type_and_payload() -> None:
    assert frame(m.Heartbeat()) == b"\x02\x00\x00\x00\x07\x80"


@given(st.lists(MESSAGES, max_size=5), st.lists(st.integers(1, 200), max_size=40))
def test_any_cutting_gives_the_same_messages(messages: list[m.Message], sizes: list[int]) -> None:
    stream = b"".join(map(frame, messages))
    framer, got = Framer(SESSION_CAP), []
    for size in sizes:
        got += framer.feed(stream[:size])
        stream = stream[size:]
    got += framer.feed(stream)
    assert got == messages


@given(st.lists(st.binary(max_size=100), max_size=10))
def test_random_bytes_raise_nothing_else(parts: list[bytes]) -> None:
    framer = Framer()
    for part in parts:
        try:
            list(framer.feed(part))
        except ProtocolError:
            return


@pytest.mark.parametrize("length", [0, GREETING_CAP + 1, 2**31, 2**32 - 1])
def test_a_length_out_of_bounds_is_refused_before_anything_is_kept(length: int) -> None:
    with pytest.raises(ProtocolError, match=str(length)):
        list(Framer().feed(length.to_bytes(4, "little")))


def test_messages_before_a_bad_frame_still_arrive() -> None:
    got = []
    with pytest.raises(ProtocolError):
        for message in Framer().feed(frame(m.Heartbeat()) + b"\x00\x00\x00\x00"):
            got.append(message)
    assert got == [m.Heartbeat()]


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(ProtocolError, match="255"):
        list(Framer().feed(b"\x02\x00\x00\x00\xff\x80"))


def test_the_cap_can_be_raised_between_two_messages_of_one_packet() -> None:
    long = m.QueueUpdate((), 1), m.FileChunk(UUID(int=1), 0, bytes(m.CHUNK_BYTES))
    framer = Framer()
    got = []
    for message in framer.feed(frame(m.Heartbeat()) + frame(long[0]) + frame(long[1])):
        framer.cap = SESSION_CAP
        got.append(message)
    assert got == [m.Heartbeat(), *long]
