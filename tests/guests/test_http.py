"""The bytes of browsers, and of other programs."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionType
from wsproto.events import CloseConnection, Ping, Pong, TextMessage

from phaselock.guests.http import Body, BrokenError, Closed, End, Frame, Head, HttpConnection, Text

HANDSHAKE = (
    b"GET /live HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: k\r\n\r\n"
)
PIECES = st.sampled_from(
    [b"GET / HTTP/1.1\r\n", b"POST /api/enter HTTP/1.1\r\n", b"Host: a\r\n", b"Content-Length: 3\r\n", b"\r\n", b"abc"]
    + [b"Transfer-Encoding: chunked\r\n", b"Upgrade: websocket\r\n", b"Expect: 100-continue\r\n", b"\0", b"\xff" * 9000]
)


def live() -> HttpConnection:
    connection = HttpConnection(100)
    connection.receive(HANDSHAKE)
    head = next(connection.events())
    assert isinstance(head, Head) and head.wants_websocket
    assert b"101" in connection.accept_websocket(head.headers["sec-websocket-key"])
    return connection


@settings(max_examples=25)
@given(st.lists(PIECES | st.binary(max_size=40), max_size=12))
def test_any_bytes_are_a_request_or_broken(pieces: list[bytes]) -> None:
    connection = HttpConnection(100)
    with contextlib.suppress(BrokenError):
        for piece in pieces:
            connection.receive(piece)
            for event in connection.events():
                assert isinstance(event, Head | Body | End | Closed)
                if isinstance(event, End):
                    connection.respond(404, {}, b"{}")
            if connection.may_begin:
                connection.next_request()


@settings(max_examples=25)
@given(st.lists(st.binary(max_size=40), max_size=8))
def test_any_bytes_are_messages_or_broken(pieces: list[bytes]) -> None:
    connection = live()
    with contextlib.suppress(BrokenError):
        for piece in pieces:
            connection.receive(piece)
            for event in connection.events():
                assert isinstance(event, Text | Frame | Closed)


def test_messages_pings_and_the_end() -> None:
    connection, browser = live(), Frames(ConnectionType.CLIENT)
    connection.receive(browser.send(TextMessage("par", message_finished=False)) + browser.send(TextMessage("t")))
    connection.receive(browser.send(Ping()))
    connection.receive(browser.send(Pong()))
    part, text, pong, nothing = connection.events()
    assert (part, text, nothing) == (Frame(), Text("part"), Frame()) and isinstance(pong, Frame) and pong.answer
    connection.receive(browser.send(CloseConnection(1000)))
    (closed,) = connection.events()
    assert isinstance(closed, Closed) and closed.reply


def test_nothing_is_sent_to_a_browser_that_has_gone() -> None:
    connection = live()
    connection.receive(b"")
    assert connection.text("state") == connection.ping() == b""
    assert [type(event) for event in connection.events()] == [Closed]


@pytest.mark.parametrize("parts", [["x" * 101], ["x" * 60, "y" * 60], ["é" * 51]])
def test_a_long_message_is_refused(parts: list[str]) -> None:
    connection, browser = live(), Frames(ConnectionType.CLIENT)
    with pytest.raises(BrokenError, match="too long"):
        for part in parts:
            connection.receive(browser.send(TextMessage(part, message_finished=False)))
            list(connection.events())


def test_a_large_request_may_follow_an_answer_at_once() -> None:
    connection = HttpConnection(100)
    connection.receive(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    list(connection.events())
    connection.respond(404, {}, b"{}")
    connection.receive(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n" + bytes(99999))
    connection.next_request()
    assert connection.has_more
    assert [type(event) for event in connection.events()] == [Head, Body, End]


def test_requests_that_do_not_wait_are_limited() -> None:
    connection = HttpConnection(100)
    connection.receive(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    list(connection.events())
    with pytest.raises(BrokenError, match="wait"):
        for _ in range(1000):
            connection.receive(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
