"""The rules by which a session takes songs that people ask for, and by which it orders them."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from phaselock.frozen import frozen
from phaselock.model.bounds import Within

Most: TypeAlias = Annotated[int, Within(1, 100)]
Minutes: TypeAlias = Annotated[int, Within(1, 1440)]
LengthMin: TypeAlias = Annotated[int, Within(1, 600)]


class Order(enum.StrEnum):
    """Who decides the order of the songs that wait."""

    HAND = "hand"
    """The host: a song that was asked for comes last, and the host moves it."""
    FAIR = "fair"
    """Rounds: the first song of every person comes before the second of anyone. Votes count within a round. Of equal
    songs the older one comes first. A song that the host has moved by hand stays at its place."""


@frozen
class PartyRules:
    """The rules of a session. None: no limit. They hold for peers and guests; the host may do everything."""

    accept: bool = False
    """A request that keeps the rules is accepted without the host."""
    order: Order = Order.HAND
    max_waiting: Most | None = None
    """Largest number of songs of one person that wait in the queue, 1 to 100."""
    max_per_hour: Most | None = None
    """Largest number of songs that one person may ask for in an hour, 1 to 100."""
    no_repeat_min: Minutes | None = None
    """A song that has played is not accepted again for this number of minutes, 1 to 1440. A song that waits is not
    accepted twice either."""
    max_length_min: LengthMin | None = None
    """Length of the longest song in minutes, 1 to 600."""
    skip_vote: bool = False
    """The song that plays is left when more than half of the people who were heard from in the last ten minutes want
    that."""
    chat: bool = True
    """People may write messages to all."""


I_CHOOSE = PartyRules()
SMALL_PARTY = PartyRules(
    accept=True, order=Order.FAIR, max_waiting=3, no_repeat_min=60, max_length_min=15, skip_vote=True
)
OPEN_HOUSE = PartyRules(
    accept=True,
    order=Order.FAIR,
    max_waiting=2,
    max_per_hour=8,
    no_repeat_min=120,
    max_length_min=10,
    skip_vote=True,
)
PRESETS = {"choose": I_CHOOSE, "small": SMALL_PARTY, "open": OPEN_HOUSE}
"""By the word that the command line takes."""

WORDS = {
    "accept": "accept",
    "order": "order",
    "waiting": "max_waiting",
    "hour": "max_per_hour",
    "repeat": "no_repeat_min",
    "length": "max_length_min",
    "skip": "skip_vote",
    "chat": "chat",
}
"""The names of the rules by the words of the command line."""
_LIMITS = {"max_waiting": 100, "max_per_hour": 100, "no_repeat_min": 1440, "max_length_min": 600}


def rules_of(values: Mapping[str, Any]) -> PartyRules:
    """The rules with these values; those that are missing have no limit. ValueError if one makes no sense."""
    known = {field.name for field in dataclasses.fields(PartyRules)}
    checked: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise ValueError(name)
        if name == "order":
            checked[name] = Order(value)
        elif name not in _LIMITS:
            if not isinstance(value, bool):
                raise ValueError(name)
            checked[name] = value
        else:
            if value is not None and (type(value) is not int or not 1 <= value <= _LIMITS[name]):
                raise ValueError(name)
            checked[name] = value
    return PartyRules(**checked)


def with_typed(rules: PartyRules, word: str, value: str) -> PartyRules:
    """The rules with one of them changed, as it was typed: a word of WORDS, and a number, "on", "off", "hand" or
    "fair". ValueError if that makes no sense."""
    name = WORDS.get(word.casefold(), "")
    read: object = value.casefold()
    if name in _LIMITS:
        read = None if read == "off" else int(value)
    elif name != "order":
        if read not in ("on", "off"):
            raise ValueError(value)
        read = read == "on"
    return rules_of({**dataclasses.asdict(rules), name: read})
