"""The songs of other parts of the session, which members bring: their former hosts, and machines of their lines.

Several members may bring the same song. One of them sends it, and the others wait: the next one is asked if that fails.
A song that is in the queue, or was, is not added again.

The songs of a member that has proved the other part are taken. Those of others are requests, as if the member had asked
for them: the user decides. Any member knows the ids of songs, so who has proved the part does not wait for such a
request.
"""

from __future__ import annotations

from phaselock.protocol import messages as m
from phaselock.session.effects import Send
from phaselock.session.host.members import Members
from phaselock.session.host.queue import HostQueue
from phaselock.session.host.reign import Reign
from phaselock.session.host.requests import IncomingRequests
from phaselock.session.outbox import Outbox


class Bequests:
    """`now_ns` is session time."""

    def __init__(
        self, members: Members, queue: HostQueue, requests: IncomingRequests, reign: Reign, outbox: Outbox
    ) -> None:
        self._members = members
        self._queue = queue
        self._requests = requests
        self._reign = reign
        self._outbox = outbox
        self._offers: dict[int, m.SongBequest] = {}
        """The song that each member offers, by connection, oldest first."""

    def offered(self, conn: int, song: m.SongBequest) -> None:
        """A member offers a song. It offers the next one after the answer."""
        self._offers.pop(conn, None)
        self._offers[conn] = song

    def settle(self, *, now_ns: int) -> None:
        """Answer the offers that do not wait for another member."""
        for conn, song in list(self._offers.items()):
            member, request_id = self._members.members.get(conn), song.request_id
            is_proven = member is not None and member.peer_id in self._reign.reunion.reunited
            if member is not None and self._requests.has(request_id):
                if not is_proven or not self._requests.is_open(request_id):
                    continue
                self._requests.refuse(request_id, "", now_ns=now_ns)  # of a member that has proved nothing
            del self._offers[conn]
            if member is None:
                continue
            if self._is_known(song):
                self._outbox.do(Send(conn, m.SongRequestAdded(request_id)))
            elif is_proven:
                self._requests.bequeathed(member, song, self._reign.asker_of(member, song), now_ns=now_ns)
            elif self._requests.was_rejected(request_id):
                self._outbox.do(Send(conn, m.SongRequestRejected(request_id)))
            else:
                about = song.file_name, song.file_size, song.title, song.artist, song.duration_secs
                self._requests.asked(member, m.SongRequest(request_id, *about), now_ns=now_ns)

    def _is_known(self, song: m.SongBequest) -> bool:
        """It is or was in the queue: it has its id, or that of the row that another part has made of it."""
        rows = self._queue.rows.entries
        return song.request_id in self._queue.seen or any(one.track.sha256 == song.sha256 for one in rows)
