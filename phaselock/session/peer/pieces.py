"""The peer's record of files that arrive in pieces, and of what it passes on to other peers.

The host names the tasks. This machine executes them, and tells the host what has become of each: soon, but several at
once. A file of which several tasks at the host itself have failed is given up, and the host offers it as a whole.
"""

from __future__ import annotations

import dataclasses
from uuid import UUID

from phaselock.model.pieces import piece_count
from phaselock.model.types import Track
from phaselock.protocol import messages as m
from phaselock.session.effects import HOST_CONN, FetchPieces, LetFetch, OpenPieces, Send
from phaselock.session.outbox import Outbox
from phaselock.session.peer.breach import Breach

REPORT_NS = 10_000_000
"""How long the end of a task waits for others, so that one message tells of all."""
MAX_HOST_FAILURES = 3
"""Failed tasks at the host after which a file is given up."""
MAX_SOURCES = 256
"""Most sources of one file."""


@dataclasses.dataclass(slots=True)
class _File:
    track: Track
    missing: set[int]
    sources: dict[int, m.PieceSource] = dataclasses.field(default_factory=dict)
    ended: list[m.PieceEnd] = dataclasses.field(default_factory=list)
    """What the host does not know yet."""
    host_failures: int = 0


class PeerPieces:
    """The files that arrive in pieces. `now_ns` is local time."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._files: dict[UUID, _File] = {}
        self._open = False
        """This machine passes pieces on."""
        self._report_at_ns: int | None = None

    def joined(self) -> None:
        """The host has let this machine in."""
        self._outbox.do(OpenPieces())

    def open_at(self, place: m.PiecesAt, *, connected: bool) -> None:
        """This machine passes pieces on there."""
        self._open = True
        if connected:
            self._outbox.do(Send(HOST_CONN, place))

    def let(self, key: bytes) -> None:
        """Those who have an access under this key may fetch."""
        if not self._open:
            raise Breach("a key for pieces that nobody passes on")
        self._outbox.do(LetFetch(key))

    def begin(self, track: Track) -> None:
        """The host offers this track in pieces."""
        self._files[track.file_id] = _File(track, set(range(piece_count(track.size))))

    def over(self, file_id: UUID) -> None:
        """The file is here, or is not fetched in pieces any more. The rest need not be told."""
        self._files.pop(file_id, None)

    def source(self, source: m.PieceSource) -> None:
        """The host tells where another peer passes on pieces of a file."""
        file = self._files.get(source.file_id)
        if file is not None:
            file.sources[source.source] = source
            if len(file.sources) > MAX_SOURCES:
                raise Breach("too many sources of a file")

    def tasks(self, message: m.PieceTasks, peer_id: int, token: bytes) -> None:
        """The host names pieces and their sources. No effect on a file that is here, or is not wanted any more."""
        file = self._files.get(message.file_id)
        if file is None:
            return
        by_source: dict[int, list[int]] = {}
        for task in message.tasks:
            if task.piece >= piece_count(file.track.size):
                raise Breach("a piece beyond the end of its file")
            if task.source and task.source not in file.sources:
                raise Breach("a source that it has not told")
            if task.piece in file.missing:
                by_source.setdefault(task.source, []).append(task.piece)
        for source, pieces in by_source.items():
            told = file.sources.get(source)
            self._outbox.do(FetchPieces(message.file_id, told, tuple(pieces), peer_id, token))

    def ended(self, file_id: UUID, piece: int, source: int, result: m.PieceResult, *, now_ns: int) -> bool:
        """A task has ended. True: give the file up."""
        file = self._files.get(file_id)
        if file is None:
            return False
        file.ended.append(m.PieceEnd(piece, source, result))
        if result == "right":
            file.missing.discard(piece)
            file.host_failures = 0 if not source else file.host_failures
        elif not source:
            file.host_failures += 1
        if self._report_at_ns is None:
            self._report_at_ns = now_ns + REPORT_NS
        return file.host_failures >= MAX_HOST_FAILURES

    def timer(self, *, connected: bool, now_ns: int) -> None:
        """Tell the host which tasks have ended, if it is time for it."""
        if self._report_at_ns is not None and now_ns >= self._report_at_ns:
            self._report_at_ns = None
            for file_id, file in self._files.items():
                while connected and file.ended:
                    part, file.ended = file.ended[: m.MAX_TASKS_AT_ONCE], file.ended[m.MAX_TASKS_AT_ONCE :]
                    self._outbox.do(Send(HOST_CONN, m.PiecesEnded(file_id, tuple(part))))

    def deadline_ns(self) -> int | None:
        """The time at which `timer` must be called; None: it need not."""
        return self._report_at_ns

    def lost_host(self) -> None:
        """The host is lost. It will offer all files again."""
        self._files.clear()
        self._report_at_ns = None
