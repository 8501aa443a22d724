"""Sentences of events about guests, rules and votes; see sentences.py."""

from __future__ import annotations

from phaselock.language.message import ENGLISH, N_, Words, joined
from phaselock.model.party import Order, PartyRules
from phaselock.session import events as e

JOINED = N_("{name} has joined.")
LEFT = N_("{name} has left.")
REMOVED = N_("{name} was removed.")
PAGE_ON = N_("Guests scan the QR code, or open {address}.")
PAGE_OFF = N_("The page for guests is off.")
HERE = N_("{name} has the page open.")
AWAY = N_("{name} has closed the page.")
LISTENS = N_("{name} has the page open and plays the music.")
SKIP_VOTES = N_("{votes} of {needed} votes for leaving {file_name}.")
SKIP_VOTES_OF = N_("{votes} of {needed} votes for leaving {file_name}: {names}.")


def party_text(event: e.Event, words: Words = ENGLISH) -> str:
    """The sentence of an event about guests, rules and votes for the command line; empty for all other events."""
    match event:
        case e.GuestJoined(name=name):
            return words.gettext(JOINED).format(name=name)
        case e.GuestLeft(name=name, removed=removed):
            return words.gettext(REMOVED if removed else LEFT).format(name=name)
        case e.GuestPageSet(address=address):
            return words.gettext(PAGE_ON).format(address=address) if address else words.gettext(PAGE_OFF)
        case e.GuestsListed(guests=guests, removed=removed_names):
            return _guests_text(guests, removed_names, words)
        case e.RulesChanged(rules=rules):
            return rules_text(rules, words)
        case e.SkipVoted(file_name=file_name, votes=votes, needed=needed, names=names):
            form = SKIP_VOTES_OF if names else SKIP_VOTES
            people = joined(names, words)
            return words.gettext(form).format(votes=votes, needed=needed, file_name=file_name, names=people)
    return ""


def _guests_text(guests: tuple[e.GuestRow, ...], removed: tuple[str, ...], words: Words) -> str:
    lines = []
    for guest in guests:
        state = HERE if guest.connected else AWAY
        if guest.listening:
            state = LISTENS
        lines.append(words.gettext(state).format(name=guest.name))
    if not guests:
        lines.append(words.gettext(N_("No guest is here.")))
    if removed:
        lines.append(words.gettext(N_("Removed: {peers}.")).format(peers=", ".join(removed)))
    return "\n".join(lines)


def rules_text(rules: PartyRules, words: Words = ENGLISH) -> str:
    """The rules as sentences, one a line. Rules without a limit are left out."""
    lines = [
        words.gettext(N_("Songs are accepted at once.") if rules.accept else N_("You accept each song.")),
        words.gettext(
            N_("The order is fair: each person's first song, then each person's second; votes order each round.")
            if rules.order is Order.FAIR
            else N_("You choose the order.")
        ),
    ]
    if rules.max_waiting is not None:
        form = words.ngettext(
            "At most {number} song of a person waits.", "At most {number} songs of a person wait.", rules.max_waiting
        )
        lines.append(form.format(number=rules.max_waiting))
    if rules.max_per_hour is not None:
        form = words.ngettext(
            "At most {number} song of a person in an hour.",
            "At most {number} songs of a person in an hour.",
            rules.max_per_hour,
        )
        lines.append(form.format(number=rules.max_per_hour))
    if rules.no_repeat_min is not None:
        form = words.ngettext(
            "No song again within {number} minute.", "No song again within {number} minutes.", rules.no_repeat_min
        )
        lines.append(form.format(number=rules.no_repeat_min))
    if rules.max_length_min is not None:
        form = words.ngettext(
            "No song longer than {number} minute.", "No song longer than {number} minutes.", rules.max_length_min
        )
        lines.append(form.format(number=rules.max_length_min))
    if rules.skip_vote:
        lines.append(words.gettext(N_("A song is left when more than half of the people want that.")))
    if not rules.chat:
        lines.append(words.gettext(N_("The chat is off.")))
    return "\n".join(lines)
