"""The party as a peer knows it: the rules and the votes. The host decides; the peer asks and is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from phaselock.model.notices import Code, Notice
from phaselock.model.party import PartyRules
from phaselock.model.queue import MAX_ITEMS, ItemStatus, QueueItem
from phaselock.model.snapshot import SkipView, VotesView
from phaselock.protocol import messages as m
from phaselock.session import commands as c
from phaselock.session import events as e
from phaselock.session.effects import HOST_CONN, Send
from phaselock.session.outbox import Outbox


class PeerParty:
    """What the host has told of the party. `now_ns` is the peer's local time."""

    def __init__(self, outbox: Outbox, session_ns: Callable[[int], int | None]) -> None:
        self._outbox = outbox
        self._session_ns = session_ns
        self.rules = PartyRules()
        self.joined()

    def joined(self) -> None:
        """The host has let this machine in, and tells the rest."""
        self.rules = PartyRules()
        self._votes: dict[UUID, int] = {}
        self._skip: m.SkipState | None = None
        self._own = m.YourVotes((), False)

    @property
    def votes(self) -> tuple[VotesView, ...]:
        """The votes for songs that wait."""
        own = set(self._own.songs)
        return tuple(VotesView(file_id, votes, file_id in own) for file_id, votes in self._votes.items())

    @property
    def skip(self) -> SkipView | None:
        """The votes for leaving the song that plays; None: there is no such vote."""
        return SkipView(self._skip.votes, self._skip.needed, self._own.skip) if self._skip is not None else None

    def command(
        self, command: c.VoteFor | c.WantSkip, queue: Sequence[QueueItem], *, connected: bool, now_ns: int
    ) -> None:
        """The user of this machine votes. An `error` event reports a vote that the host does not hear or does not
        count."""
        if not connected:
            self._outbox.error(Notice(Code.NOT_CONNECTED), self._session_ns(now_ns))
            return
        match command:
            case c.VoteFor(file_id=file_id, wanted=wanted) if any(one.id == file_id and waits(one) for one in queue):
                self._outbox.do(Send(HOST_CONN, m.SongVote(file_id, wanted)))
            case c.VoteFor():
                self._outbox.error(Notice(Code.VOTE_TOO_LATE), self._session_ns(now_ns))
            case c.WantSkip(file_id=file_id, wanted=wanted) if self.rules.skip_vote:
                self._outbox.do(Send(HOST_CONN, m.SkipVote(file_id, wanted)))
            case c.WantSkip():
                self._outbox.error(Notice(Code.NO_SKIP_VOTE), self._session_ns(now_ns))

    def take_rules(self, rules: PartyRules, *, now_ns: int) -> None:
        """The host tells the rules."""
        self.rules = rules
        self._outbox.note(e.RulesChanged(self._session_ns(now_ns), rules))

    def take_own_votes(self, votes: m.YourVotes) -> None:
        """The host tells which votes of this machine's user count."""
        self._own = votes

    def take_votes(self, update: m.VotesUpdate, playing: QueueItem | None, *, now_ns: int) -> bool:
        """The host tells votes. `playing`: the row of the song that plays. False: there are more than songs."""
        if update.songs:
            counted = self._votes | {one.file_id: one.votes for one in update.songs}
            self._votes = {file_id: votes for file_id, votes in counted.items() if votes}
            if len(self._votes) > MAX_ITEMS:
                return False
            rows = tuple(e.VotesRow(*one) for one in self._votes.items())
            self._outbox.note(e.VotesChanged(self._session_ns(now_ns), rows))
        before, told = self._skip, update.skip
        self._skip = told
        if told is not None and playing is not None and told != before:
            if told.votes or (before is not None and before.votes):
                self._outbox.note(
                    e.SkipVoted(self._session_ns(now_ns), playing.id, playing.file_name, told.votes, told.needed)
                )
        return True


def waits(item: QueueItem) -> bool:
    """The song has not begun to play."""
    return item.status not in (ItemStatus.PLAYING, ItemStatus.PLAYED)
