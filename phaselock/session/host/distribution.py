"""Sends the files of the queue to the peers before they are played: order, attempts, failures.

The host offers each peer the tracks in the order in which they will be played, as far as the peer's disk has space. Few
offers are open at a time, so that a new order takes effect soon. Each peer is served independently: a slow peer does
not delay the others. Where peers can pass on what they have, a file arrives in pieces: see sharing.py. The attempts
after a failed one are for the whole file from the host.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from phaselock.model.names import sentence
from phaselock.model.notices import Code, Notice
from phaselock.model.types import Track
from phaselock.protocol import messages as m
from phaselock.session.effects import Send
from phaselock.session.events import TransferState
from phaselock.session.host.members import Delivery, Member, Members, Transfer
from phaselock.session.host.queue import HostQueue
from phaselock.session.host.sharing import Sharing
from phaselock.session.host.transport import TransportControl
from phaselock.session.outbox import Outbox

MAX_TRIES = 3
"""Attempts for one file at one peer. After the last one the transfer is given up, and the user of the host decides."""
RETRY_AFTER_NS = 500_000_000
"""Pause after the first failed attempt; twice this after the second."""
MAX_OPEN_OFFERS = 3
"""Largest number of open offers per peer. With more than one the network is not idle between two files. The current
track is offered in any case: a peer that does not know its length cannot tell what a following command replaces."""
ALWAYS_OFFERED = 2
"""Number of tracks, first in the order of need, that are offered regardless of the peer's free space: the current track
and the next one."""


class Distribution:
    """The file transfers of a host session. The session calls `settle` at the end of each of its calls."""

    def __init__(
        self, members: Members, queue: HostQueue, transport: TransportControl, sharing: Sharing, outbox: Outbox
    ) -> None:
        self._members = members
        self._queue = queue
        self._transport = transport
        self._sharing = sharing
        self._outbox = outbox

    def settle(self, *, now_ns: int) -> None:
        """Offer files to all peers that may receive more offers."""
        incomplete = [member for member in self._members if not member.offers_complete]
        if incomplete:
            known, needed = self._queue.rows.known_ids(), self._transport.in_order_of_need()
            for member in incomplete:
                self._offer_files(member, known, needed, now_ns)

    def may_fetch(self, member: Member, file_id: UUID) -> Track | None:
        """The track, if it was offered to this member and not given up; otherwise None.

        A member may fetch a received file again: its cache may have deleted it.
        """
        transfer = member.transfers.get(file_id)
        return self._queue.rows.track(file_id) if transfer and transfer.state is not Delivery.GIVEN_UP else None

    def answered(self, member: Member, file_id: UUID, hash_ok: bool, *, now_ns: int) -> bool:
        """An attempt of a member has ended. False if none was running, which breaks the protocol."""
        track, transfer = self._queue.rows.track(file_id), member.transfers.get(file_id)
        if track is None or transfer is None:  # removed from the queue while the answer was on its way
            return True
        if transfer.state is not Delivery.RUNNING:
            return False
        self._sharing.answered(member, track, hash_ok)
        if hash_ok:
            transfer.received()
            member.received(now_ns)
            self._outbox.note_transfer(TransferState.DONE, track, now_ns, peer=member.name, done_bytes=track.size)
        elif transfer.tries < MAX_TRIES:
            transfer.pause(now_ns + RETRY_AFTER_NS * transfer.tries)
            member.pausing.add(file_id)
            self._outbox.note_transfer(TransferState.RETRY, track, now_ns, peer=member.name, done_bytes=0)
        else:
            transfer.give_up()
            self._outbox.note_transfer(TransferState.FAILED, track, now_ns, peer=member.name, done_bytes=0)
            if member.may_report(now_ns):
                about = file_id, track.file_name, member.name
                self._outbox.error(Notice(Code.TRANSFER_GIVEN_UP, "", *about, number=MAX_TRIES), now_ns)
        member.offers_complete = False
        self._queue.mark_stale(file_id)
        return True

    def unplayable(self, member: Member, file_id: UUID, reason: str, *, now_ns: int) -> None:
        """A member cannot decode a received file."""
        track, transfer = self._queue.rows.track(file_id), member.transfers.get(file_id)
        if track is not None and transfer is not None and not transfer.unplayable:
            transfer.unplayable = True
            if member.may_report(now_ns):
                about = file_id, track.file_name, member.name
                self._outbox.error(Notice(Code.UNPLAYABLE_AT_PEER, sentence(reason), *about), now_ns)

    def progressed(self, member: Member, file_id: UUID, sent_bytes: int, *, now_ns: int) -> None:
        """`sent_bytes` of the file were sent, including the part that the member had from an earlier attempt."""
        track = self._queue.rows.track(file_id)
        if track is not None and member.is_receiving(file_id):
            transfer = member.transfers[file_id]
            member.send_rate.moved(max(0, sent_bytes - transfer.done_bytes), now_ns=now_ns)
            if transfer.moved(sent_bytes, now_ns):
                member.progressed(now_ns)
            tenths = sent_bytes * 10 // track.size
            if tenths > transfer.reported_tenths:
                transfer.reported_tenths = tenths
                self._outbox.note_transfer(
                    TransferState.SENDING, track, now_ns, peer=member.name, done_bytes=sent_bytes
                )

    def pieces_ended(self, member: Member, message: m.PiecesEnded, *, now_ns: int) -> None:
        """Pieces of a file have arrived at a member, or not."""
        done_bytes = self._sharing.ended(member, message, now_ns=now_ns)
        if done_bytes is not None:
            self.progressed(member, message.file_id, done_bytes, now_ns=now_ns)

    def retry(self, member: Member, *, now_ns: int) -> bool:
        """Allow new attempts for all files that were given up for this member, and wait for it again. Return False if
        nothing was given up and the member was waited for already.
        """
        given_up = [file_id for file_id, transfer in member.transfers.items() if transfer.state is Delivery.GIVEN_UP]
        for file_id in given_up:
            del member.transfers[file_id]
        was_skipped = member.skipped
        member.include()
        member.offers_complete = False
        self._queue.mark_stale()
        return was_skipped or bool(given_up)

    def timer(self, *, now_ns: int) -> None:
        """Start the attempts whose pause is over."""
        for member in self._members:
            for file_id, transfer in self._pausing(member):
                track = self._queue.rows.track(file_id)
                if track is not None and now_ns >= transfer.retry_at_ns:
                    transfer.try_again()
                    self._offer(member, track, now_ns)

    def deadlines_ns(self) -> Iterator[int]:
        """The times at which `timer` must be called."""
        for member in self._members:
            if member.pausing:
                yield from (transfer.retry_at_ns for _, transfer in self._pausing(member))

    def _pausing(self, member: Member) -> list[tuple[UUID, Transfer]]:
        """The transfers to a member that pause."""
        found = [(file_id, member.transfers[file_id]) for file_id in member.pausing & member.transfers.keys()]
        found = [(file_id, transfer) for file_id, transfer in found if transfer.state is Delivery.PAUSING]
        member.pausing = {file_id for file_id, _ in found}
        return found

    def _offer_files(self, member: Member, known: frozenset[UUID], needed: list[Track], now_ns: int) -> None:
        member.offers_complete = True
        for file_id in member.transfers.keys() - known:
            del member.transfers[file_id]
        open_offers = sum(transfer.is_open for transfer in member.transfers.values())
        current = self._transport.playback.current
        for track in self._wanted(member, needed):
            if open_offers >= MAX_OPEN_OFFERS and (current is None or track.file_id != current.file_id):
                return
            if track.file_id not in member.transfers:
                root = self._sharing.root(member, track, now_ns=now_ns)
                if root is None:
                    return
                open_offers += 1
                member.transfers[track.file_id] = Transfer(track.size, offered_at_ns=now_ns)
                self._offer(member, track, now_ns, root)
                if root:
                    self._sharing.begin(member, track, now_ns=now_ns)

    def _wanted(self, member: Member, needed: list[Track]) -> Iterator[Track]:
        """The tracks in the order of need, as far as the member has free space."""
        room_bytes = member.reports.latest.room_bytes if member.reports.latest else 0
        wanted = (track for track in needed if track.file_id not in self._members.lost_files)
        for place, track in enumerate(wanted):
            room_bytes -= track.size
            if room_bytes < 0 and place >= ALWAYS_OFFERED:
                return
            yield track

    def _offer(self, member: Member, track: Track, now_ns: int, root: bytes = b"") -> None:
        """Tell a member to fetch a file; with the `root` of its hash tree, in pieces."""
        member.send_rate.restart()
        start = m.FileTransferStart(
            track.file_id,
            track.file_name,
            track.size,
            track.sha256,
            track.rate_hz,
            track.frames,
            track.title,
            track.artist,
            root or None,
        )
        self._outbox.do(Send(member.conn, start))
        self._outbox.note_transfer(TransferState.STARTED, track, now_ns, peer=member.name, done_bytes=0)
