"""The guests, who use the host's page on their phones, and the votes for leaving a song."""

from __future__ import annotations

from collections.abc import Sequence

from phaselock.language.catalogue import tr, tr_plural
from phaselock.model.snapshot import GuestView, SessionSnapshot
from phaselock.ui.viewmodel.values import GuestRow, SkipVote
from phaselock.ui.viewmodel.words import NNBSP


def guest_rows(guests: Sequence[GuestView]) -> tuple[GuestRow, ...]:
    """The rows of the list of guests."""
    return tuple(GuestRow(one.guest_id.hex(), one.name, _detail(one), one.connected) for one in guests)


def guests_here(guests: Sequence[GuestView]) -> str:
    """How many guests have the page open; empty: no one has."""
    number = sum(one.connected for one in guests)
    return tr_plural("{number} guest", "{number} guests", number).format(number=number) if number else ""


def guests_note(guests: Sequence[GuestView]) -> str:
    """The line above the list of guests: how many of them have the page open."""
    return tr("{number} here").format(number=sum(one.connected for one in guests)) if guests else ""


def skip_vote(s: SessionSnapshot) -> SkipVote:
    """The votes for leaving the song that plays."""
    if s.skip is None:
        return SkipVote("", False, False)
    form = tr_plural("{votes} of {needed} wants the next song", "{votes} of {needed} want the next song", s.skip.votes)
    text = form.format(votes=s.skip.votes, needed=s.skip.needed) if s.skip.votes else ""
    full = f"{text}: {', '.join(s.skip.names)}" if s.skip.names else text
    return SkipVote(full, s.now is not None, s.skip.mine, text)


def _detail(guest: GuestView) -> str:
    """A phone's figure is a rough one, in whole milliseconds; it is never one of the loudspeakers' figures."""
    if not guest.connected:
        return tr("page closed")
    if not guest.listening:
        return ""
    heard = tr("heard by a microphone") if guest.confirmed is not None else None
    if guest.uncertainty_ns is None:
        listens = tr("listens")
    else:
        ms = max(1, -(-guest.uncertainty_ns // 1_000_000))
        listens = tr("listens, about {time}").format(time=f"{ms}{NNBSP}ms")
    return f"{listens}, {heard}" if heard else listens
