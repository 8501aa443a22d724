"""The typed commands about rules, votes, guests and the fallback."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, ClassVar
from uuid import UUID

from phaselock.app import typed
from phaselock.app.fallback import Fallback
from phaselock.app.guests import GuestPage
from phaselock.app.shell_base import Shell, Word
from phaselock.app.typed import nothing_after, usage_error
from phaselock.errors import PhaseLockError, bug_net
from phaselock.language.message import N_, Message
from phaselock.model.notices import Code, Notice
from phaselock.model.party import PRESETS, with_typed
from phaselock.session import commands as c
from phaselock.session import events as e
from phaselock.session.sentences import NoticeError

RULES_FORM = N_(
    "rules [choose|small|open], or: rules accept on|off, order hand|fair, waiting N|off, hour N|off, "
    "repeat MINUTES|off, length MINUTES|off, skip on|off, chat on|off"
)


class PartyShell(Shell):
    """What host and peers have in common: the rules are shown, and all may vote."""

    def _vote_by(self, command: c.VoteFor | c.WantSkip) -> None:
        """Execute a vote of the user."""
        raise NotImplementedError

    def _voted(self, command: c.VoteFor | c.WantSkip, code: Code) -> None:
        failures = self._failures
        self._vote_by(command)
        if self._failures == failures:
            self._answer(Notice(code, **self._named(command.file_id)))

    def _vote(self, rest: str) -> None:
        self._voted(c.VoteFor(self._row(rest, Message("vote NUMBER")), True), Code.VOTED)

    def _unvote(self, rest: str) -> None:
        self._voted(c.VoteFor(self._row(rest, Message("unvote NUMBER")), False), Code.VOTE_TAKEN_BACK)

    def _skip_vote(self, rest: str) -> None:
        nothing_after("skip-vote", rest)
        now = self._runner.snapshot().now
        if now is None:
            raise NoticeError(Notice(Code.NOTHING_PLAYING))
        self._voted(c.WantSkip(now.id, True), Code.SKIP_WANTED)

    def _show_rules(self, rest: str) -> None:
        nothing_after("rules", rest)
        self._terminal.event(e.RulesChanged(self._runner.session_ns(), self._runner.snapshot().rules))

    def _named(self, file_id: UUID) -> dict[str, Any]:
        """The fields of a notice about this track."""
        snapshot = self._runner.snapshot()
        items = (*snapshot.queue, *filter(None, (snapshot.now,)))
        item = next((item for item in items if item.id == file_id), None)
        return {"file_id": file_id, "file_name": item.file_name if item else None}

    def _row(self, text: str, form: str) -> UUID:
        """The id of the track with this number in the queue, from 1."""
        number, queue = int(typed.number(text, 1, 1e6, form)), self._runner.snapshot().queue
        if number > len(queue):
            raise NoticeError(Notice(Code.NO_TRACK_NUMBER, number=number))
        return queue[number - 1].id

    PARTY_WORDS: ClassVar[Mapping[str, Word]] = {
        "rules": Word(_show_rules, "rules", N_("show the rules for songs that people ask for")),
        "vote": Word(_vote, N_("vote N"), N_("vote for a song that waits")),
        "unvote": Word(_unvote, N_("unvote N"), N_("take your vote for a song back")),
        "skip-vote": Word(_skip_vote, "skip-vote", N_("vote for leaving the song that plays")),
    }


class HostPartyShell(PartyShell):
    """What only the host may do."""

    guest_page: GuestPage
    """Set before the first command, as `fallback`."""
    fallback: Fallback

    def _do(self, command: c.HostCommand, answer: Notice | None = None) -> None:
        raise NotImplementedError

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this work in a task. It reports its failures itself."""
        raise NotImplementedError

    def _vote_by(self, command: c.VoteFor | c.WantSkip) -> None:
        self._do(command)

    def _rules(self, rest: str) -> None:
        if not rest:
            self._show_rules(rest)
        elif rest.casefold() in PRESETS:
            chat = self._runner.snapshot().rules.chat
            self._do(c.SetRules(dataclasses.replace(PRESETS[rest.casefold()], chat=chat)))
        else:
            parts, rules = rest.split(), self._runner.snapshot().rules
            try:
                for word, value in zip(parts[::2], parts[1::2], strict=True):
                    rules = with_typed(rules, word, value)
            except ValueError:
                raise usage_error(Message(RULES_FORM)) from None
            self._do(c.SetRules(rules))

    def _guests(self, rest: str) -> None:
        nothing_after("guests", rest)
        snapshot = self._runner.snapshot()
        rows = tuple(map(e.guest_row, snapshot.guests))
        self._terminal.event(e.GuestsListed(self._runner.session_ns(), rows, snapshot.removed_guests))

    def _remove_guest(self, rest: str) -> None:
        if not rest:
            raise usage_error(Message("remove-guest NAME"))
        for guest in self._runner.snapshot().guests:
            if guest.name.casefold() == rest.casefold():
                self._do(c.RemoveGuest(guest.guest_id))
                return
        raise NoticeError(Notice(Code.NO_SUCH_GUEST, peer=rest))

    def _allow_guest(self, rest: str) -> None:
        if not rest:
            raise usage_error(Message("allow-guest NAME"))
        self._do(c.AllowGuest(rest), Notice(Code.GUEST_ALLOWED, peer=rest))

    def _guest_page(self, rest: str) -> None:
        page = self.guest_page
        switches = {"on": page.switch_on, "off": page.switch_off, "new-secret": page.new_secret}
        if not rest:
            page.tell()
        elif switch := switches.get(rest.casefold()):
            self._start(self._switch(switch))
        else:
            raise usage_error(Message("guest-page [on|off|new-secret]"))

    async def _switch(self, switch: Callable[[], Awaitable[None]]) -> None:
        try:
            with bug_net("a switch of the guests' page", PhaseLockError):
                await switch()
        except PhaseLockError as error:
            self._failed(error)

    def _fall_back(self, rest: str) -> None:
        if rest.casefold() == "off":
            self.fallback.end()
        else:
            self._with_paths(rest, Message("fallback PATH|off"), self.fallback.use)

    PARTY_WORDS: ClassVar[Mapping[str, Word]] = {
        **PartyShell.PARTY_WORDS,
        "rules": Word(
            _rules,
            N_("rules [choose|small|open|RULE VALUE...]"),
            N_("show or set the rules for songs that people ask for, for instance small, or waiting 3 order fair"),
        ),
        "guests": Word(_guests, "guests", N_("show who uses the page for guests")),
        "remove-guest": Word(_remove_guest, N_("remove-guest NAME"), N_("send a guest away")),
        "allow-guest": Word(_allow_guest, N_("allow-guest NAME"), N_("let a guest come in again that was sent away")),
        "guest-page": Word(
            _guest_page,
            N_("guest-page [on|off|new-secret]"),
            N_("show or switch the page on which phones ask for songs; new-secret: send all of them away"),
            "on_or_off",
        ),
        "fallback": Word(
            _fall_back,
            N_("fallback PATH|off"),
            N_("play songs of a playlist or folder when nothing else waits"),
            "path",
        ),
    }
