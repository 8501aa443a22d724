"""A host for tests of the guests' page: it serves the page's files, speaks its protocol, and sends what a test wants.

A thread for each connection; nothing of a session is behind it.
"""

from __future__ import annotations

import contextlib
import json
import mimetypes
import pathlib
import queue
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import h11
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Ping, Request, TextMessage

from phaselock.guests.http import policy
from tests.support.programs import ROOT

PAGE = ROOT / "phaselock" / "guests" / "page"
TIMEOUT_S = 30.0

Message = dict[str, Any]


def state(**changes: Any) -> Message:
    """A state of a session in which nothing happens, with changes."""
    rules = {
        "accept": True,
        "order": "fair",
        "max_waiting": 3,
        "max_per_hour": None,
        "no_repeat_min": 60,
        "max_length_min": 15,
        "skip_vote": True,
        "chat": True,
    }
    usual = {
        "type": "state",
        "session_name": "Kitchen",
        "host_name": "Robin",
        "me": {"id": "00", "name": "Ana", "waiting": 0, "max_waiting": 3},
        "rules": rules,
        "now": None,
        "queue": [],
        "requests": [],
        "people": 3,
        "can_upload": True,
        "library": True,
        "upload_kinds": [".mp3", ".flac"],
    }
    return usual | changes


def playing(song: str, title: str, **changes: Any) -> Message:
    """The member `now` of a state."""
    usual = {
        "id": song,
        "title": title,
        "artist": "",
        "file_name": f"{title}.mp3",
        "duration_s": 200.0,
        "added_by": "Robin",
        "art": False,
        "playing": True,
        "position_s": 0.0,
        "at_ms": time.monotonic_ns() / 1e6,
        "skip": {"votes": 0, "needed": 2, "mine": False},
    }
    return usual | changes


def waiting(song: str, title: str, **changes: Any) -> Message:
    """A row of the member `queue` of a state."""
    usual = {
        "id": song,
        "title": title,
        "artist": "",
        "file_name": f"{title}.mp3",
        "duration_s": 200.0,
        "added_by": "Robin",
        "mine": False,
        "votes": 0,
        "voted": False,
        "status": "ready",
        "ready": 2,
        "speakers": 2,
    }
    return usual | changes


def request(request_id: str, file_name: str, **changes: Any) -> Message:
    """An element of the member `requests` of a state."""
    usual = {"title": "", "artist": "", "state": "open", "done_bytes": 0, "size": 0, "reason": ""}
    return usual | {"id": request_id, "file_name": file_name} | changes


class PageHost:
    """Listens on a port of the loopback interface, as a context manager.

    `entered(body)` answers POST /api/enter with status and JSON; `greeted(hello)` answers the first message of a page.
    Uploads are kept in `uploads`; `break_upload_at`: the number of bytes of an upload at which its connection
    ends, once.
    """

    def __init__(self) -> None:
        self.session = "1"
        self.entered: Callable[[Message], tuple[int, Message]] = lambda body: (200, {"token": "t1"})
        self.greeted: Callable[[Message], Message] = lambda hello: {
            "type": "welcome",
            "version": 1,
            "session": self.session,
            "you": "00",
            "name": hello["name"],
        }
        self.state = state()
        self.lines: list[Message] = []
        self.uploads: dict[str, bytearray] = {}
        self.break_upload_at: int | None = None
        self.art: bytes | None = None
        self.proof = ""
        """What it says to pages that look for the next host."""
        self.ports: tuple[int, ...] = ()
        """At which its page looks for the next host."""
        self.songs: dict[str, bytes] = {}
        """Files by the ids of their songs."""
        self.received: queue.Queue[Message] = queue.Queue()
        """All messages of pages, and the bodies of /api/enter as the type "enter". Without the pings."""
        self._pages: list[_Live] = []
        self._sockets: set[socket.socket] = set()
        self._port = 0
        self._listener: socket.socket | None = None

    def __enter__(self) -> PageHost:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/"

    def start(self) -> None:
        """Listen, after `stop` on the same port."""
        self._listener = socket.create_server(("127.0.0.1", self._port))
        self._port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self) -> None:
        """End all connections; new ones are refused."""
        assert self._listener
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()

    def drop(self) -> None:
        """End all connections."""
        for sock in list(self._sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def fall_silent(self) -> None:
        """Leave all pages that are connected without an answer, as if the phone or the host had gone away."""
        for page in list(self._pages):
            page.is_silent = True

    def tell(self, message: Message) -> None:
        """Send a message to all pages."""
        for page in list(self._pages):
            with contextlib.suppress(OSError):
                page.send(message)

    def show(self, **changes: Any) -> None:
        """Change the state and tell all pages."""
        self.state = self.state | changes
        self.tell(self.state)

    def wait_for(self, kind: str) -> Message:
        """The next message of a type; others before it are dropped. Raises queue.Empty after TIMEOUT_S."""
        while True:
            message = self.received.get(timeout=TIMEOUT_S)
            if message["type"] == kind:
                return message

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock = listener.accept()[0]
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        self._sockets.add(sock)
        with sock, contextlib.suppress(OSError, h11.RemoteProtocolError):
            connection = h11.Connection(h11.SERVER)
            while True:
                head = _next(sock, connection)
                if not isinstance(head, h11.Request):
                    break
                if head.target == b"/live":
                    self._live(sock, head)
                    break
                self._answer(sock, connection, head)
                if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                    break
                connection.start_next_cycle()
        self._sockets.discard(sock)

    def _answer(self, sock: socket.socket, connection: h11.Connection, head: h11.Request) -> None:
        path = urllib.parse.urlsplit(head.target.decode()).path
        headers = {name.decode(): value.decode() for name, value in head.headers}
        if path.startswith("/upload/"):
            kept = self.uploads.setdefault(path.removeprefix("/upload/"), bytearray())
            assert headers["authorization"].startswith("Bearer ")
            if head.method == b"POST":
                if int(headers["upload-offset"]) != len(kept):  # The browser itself repeats a request that broke.
                    _reply(sock, connection, 409, {"done": len(kept)})
                    return
                for data in _body(sock, connection):
                    kept += data
                    if self.break_upload_at is not None and len(kept) >= self.break_upload_at:
                        self.break_upload_at = None
                        raise OSError
            _reply(sock, connection, 200, {"done": len(kept)})
            return
        body = b"".join(_body(sock, connection))
        if path == "/api/enter":
            message = json.loads(body)
            self.received.put({"type": "enter"} | message)
            _reply(sock, connection, *self.entered(message))
        elif path == "/api/host":
            proof = {"proof": self.proof}
            _reply(sock, connection, 200, proof, more=[("Access-Control-Allow-Origin", headers["origin"])])
        elif path.startswith("/art/") and self.art is not None:
            _reply(sock, connection, 200, self.art, "image/png")
        elif path.startswith("/song/") and headers.get("authorization", "").startswith("Bearer "):
            _reply(sock, connection, 200, self.songs[path.removeprefix("/song/")], "audio/mpeg")
        else:
            file = PAGE / (path.lstrip("/") or "index.html")
            if file.parent == PAGE and file.is_file():
                rules = [("Content-Security-Policy", policy(ports=self.ports))]
                _reply(sock, connection, 200, file.read_bytes(), _kind(file), rules)
            else:
                _reply(sock, connection, 404, {"error": "path"})

    def _live(self, sock: socket.socket, head: h11.Request) -> None:
        page = _Live(sock, head)
        try:
            for message in page.messages():
                if page.is_silent:
                    continue
                if message["type"] == "ping":
                    now = str(time.monotonic_ns())
                    page.send({"type": "pong", "t0": message["t0"], "t1_ns": now, "t2_ns": now})
                    continue
                if message["type"] == "hello":
                    answer = self.greeted(message)
                    page.send(answer)
                    if answer["type"] == "welcome":
                        page.send(self.state)
                        page.send({"type": "chat", "lines": self.lines, "from": 1})
                        self._pages.append(page)
                self.received.put(message)
        finally:
            if page in self._pages:
                self._pages.remove(page)


class _Live:
    """The WebSocket of one page."""

    def __init__(self, sock: socket.socket, head: h11.Request) -> None:
        self.is_silent = False
        self._sock = sock
        self._lock = threading.Lock()
        self._connection = WSConnection(ConnectionType.SERVER)
        self._connection.initiate_upgrade_connection(head.headers, head.target.decode())

    def send(self, message: Message) -> None:
        self._send(TextMessage(json.dumps(message)))

    def _send(self, event: Any) -> None:
        with self._lock:
            self._sock.sendall(self._connection.send(event))

    def messages(self) -> Iterable[Message]:
        text = ""
        while True:
            for event in self._connection.events():
                if isinstance(event, Request):
                    self._send(AcceptConnection())
                elif isinstance(event, Ping):
                    self._send(event.response())
                elif isinstance(event, CloseConnection):
                    self._send(event.response())
                    return
                elif isinstance(event, TextMessage):
                    text += event.data
                    if event.message_finished:
                        yield json.loads(text)
                        text = ""
            data = self._sock.recv(65536)
            if not data:
                return
            self._connection.receive_data(data)


def _next(sock: socket.socket, connection: h11.Connection) -> Any:
    while (event := connection.next_event()) is h11.NEED_DATA:
        connection.receive_data(sock.recv(65536))
    return event


def _body(sock: socket.socket, connection: h11.Connection) -> Iterable[bytes]:
    while isinstance(event := _next(sock, connection), h11.Data):
        yield bytes(event.data)


def _reply(
    sock: socket.socket,
    connection: h11.Connection,
    status: int,
    body: Message | bytes,
    kind: str = "application/json",
    more: Sequence[tuple[str, str]] = (),
) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = [
        ("Content-Type", kind),
        ("Content-Length", str(len(data))),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "no-cache"),
        *more,
    ]
    sock.sendall(
        (connection.send(h11.Response(status_code=status, headers=headers)) or b"")
        + (connection.send(h11.Data(data=data)) or b"")
        + (connection.send(h11.EndOfMessage()) or b"")
    )


def _kind(file: pathlib.Path) -> str:
    if file.suffix == ".webmanifest":
        return "application/manifest+json"
    if file.suffix == ".js":
        return "text/javascript"
    return mimetypes.guess_type(file.name)[0] or "application/octet-stream"
