"""Who gets which file, and when: pre-distribution, tries, failures.

Each peer is offered the tracks in the order in which they will be needed, a few at a time, so that a change of plan
waits for no long list, and as far as its disk allows. Peers are served independently: a slow one delays only itself.
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
from phaselock.session.host.members import Member, Members, Transfer
from phaselock.session.host.transport import Transport
from phaselock.session.outbox import Outbox

MAX_TRIES = 3
RETRY_AFTER_NS = 500_000_000
AHEAD = 3
"""Offers that one peer has open at once: with the next one at hand, its line never idles."""
ALWAYS = 2
"""The track of the moment and the next one go to every peer, whatever room it says it has."""


class Distribution:
    """The files of the host's machine. Call `settle` at the end of every call of the machine."""

    def __init__(self, members: Members, transport: Transport, outbox: Outbox) -> None:
        self._members = members
        self._transport = transport
        self._outbox = outbox

    def settle(self, *, now_ns: int) -> None:
        """Offer what may be offered now."""
        for member in self._members:
            if not member.offers_complete:
                self._feed(member, now_ns)

    def may_fetch(self, member: Member, file_id: UUID) -> Track | None:
        """The track, if this member was offered it and it was not given up. What it has once received may have had to
        make room in its cache meanwhile."""
        transfer = member.transfers.get(file_id)
        return self._transport.queue.track(file_id) if transfer is not None and transfer.done is not False else None

    def answered(self, member: Member, file_id: UUID, hash_ok: bool, *, now_ns: int) -> bool:
        """A try of a member is over; False when there was none."""
        track, transfer = self._transport.queue.track(file_id), member.transfers.get(file_id)
        if track is None or transfer is None:  # it was taken out of the queue while the answer travelled
            return True
        if not transfer.running:
            return False
        if hash_ok:
            transfer.done = True
            transfer.done_bytes = track.size
            self._outbox.note_transfer(TransferState.DONE, track, now_ns, peer=member.name, done_bytes=track.size)
        elif transfer.tries < MAX_TRIES:
            transfer.retry_at_ns = now_ns + RETRY_AFTER_NS * transfer.tries
            transfer.told_tenths = transfer.done_bytes = 0
            self._outbox.note_transfer(TransferState.RETRY, track, now_ns, peer=member.name, done_bytes=0)
        else:
            transfer.done = False
            transfer.done_bytes = 0
            self._outbox.note_transfer(TransferState.FAILED, track, now_ns, peer=member.name, done_bytes=0)
            self._outbox.error(
                Notice(
                    Code.TRANSFER_GIVEN_UP,
                    file_id=file_id,
                    file_name=track.file_name,
                    peer=member.name,
                    number=MAX_TRIES,
                ),
                now_ns,
            )
        member.offers_complete = False
        self._transport.crew_changed()
        return True

    def unplayable(self, member: Member, file_id: UUID, reason: str, *, now_ns: int) -> None:
        """A received file cannot be decoded there."""
        track, transfer = self._transport.queue.track(file_id), member.transfers.get(file_id)
        if track is not None and transfer is not None and not transfer.unplayable:
            transfer.unplayable = True
            self._outbox.error(
                Notice(Code.UNPLAYABLE_AT_PEER, sentence(reason), file_id, track.file_name, member.name), now_ns
            )

    def progressed(self, member: Member, file_id: UUID, sent_bytes: int, *, now_ns: int) -> None:
        """So many bytes of the file are on their way, the resumed part included."""
        track = self._transport.queue.track(file_id)
        if track is not None and member.is_receiving(file_id):
            transfer = member.transfers[file_id]
            transfer.moved(sent_bytes, now_ns)
            tenths = sent_bytes * 10 // track.size
            if tenths > transfer.told_tenths:
                transfer.told_tenths = tenths
                self._outbox.note_transfer(
                    TransferState.SENDING, track, now_ns, peer=member.name, done_bytes=sent_bytes
                )

    def retry(self, member: Member, *, now_ns: int) -> int:
        """Begin anew with everything that was given up for this member; how much that is."""
        given_up = [file_id for file_id, transfer in member.transfers.items() if transfer.done is False]
        for file_id in given_up:
            del member.transfers[file_id]
        member.skipped = member.offers_complete = False
        self._transport.crew_changed()
        return len(given_up)

    def timer(self, *, now_ns: int) -> None:
        """Begin the tries that are due."""
        for member in self._members:
            for file_id, transfer in member.transfers.items():
                track = self._transport.queue.track(file_id)
                if track is not None and transfer.retry_at_ns is not None and now_ns >= transfer.retry_at_ns:
                    transfer.retry_at_ns = None
                    transfer.tries += 1
                    self._offer(member, track, now_ns)

    def deadlines_ns(self) -> Iterator[int]:
        """When `timer` has something to do."""
        for member in self._members:
            for transfer in member.transfers.values():
                if transfer.retry_at_ns is not None:
                    yield transfer.retry_at_ns

    def _feed(self, member: Member, now_ns: int) -> None:
        member.offers_complete = True
        for file_id in member.transfers.keys() - {entry.track.file_id for entry in self._transport.queue.entries}:
            del member.transfers[file_id]
        under_way = sum(transfer.done is None for transfer in member.transfers.values())
        for track in self._wanted(member):
            if under_way >= AHEAD:
                return
            if track.file_id not in member.transfers:
                under_way += 1
                member.transfers[track.file_id] = Transfer(track.size)
                self._offer(member, track, now_ns)

    def _wanted(self, member: Member) -> Iterator[Track]:
        """In order of need, as far as the member has room."""
        room_bytes = member.reports.latest.room_bytes if member.reports.latest else 0
        for place, track in enumerate(self._transport.in_order_of_need()):
            room_bytes -= track.size
            if room_bytes < 0 and place >= ALWAYS:
                return
            yield track

    def _offer(self, member: Member, track: Track, now_ns: int) -> None:
        """Have a member fetch a file, for the first time or once more."""
        self._transport.crew_changed()
        start = m.FileTransferStart(
            track.file_id,
            track.file_name,
            track.size,
            track.sha256,
            track.rate_hz,
            track.frames,
            track.title,
            track.artist,
        )
        self._outbox.do(Send(member.conn, start))
        self._outbox.note_transfer(TransferState.STARTED, track, now_ns, peer=member.name, done_bytes=0)
