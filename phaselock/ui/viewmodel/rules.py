"""The rules of a session in words, and the steps by which a user changes their numbers."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from phaselock.language.catalogue import tr, tr_plural
from phaselock.model.party import I_CHOOSE, PRESETS, Order, PartyRules
from phaselock.ui.viewmodel.words import span_text

Limit = Literal["max_waiting", "max_per_hour", "no_repeat_min", "max_length_min"]
"""A rule with a number, by its name in `PartyRules`."""
OWN = "own"
"""In place of the name of a preset."""
_STEPS: dict[Limit, tuple[int, ...]] = {
    "max_waiting": (1, 2, 3, 4, 5, 7, 10, 20),
    "max_per_hour": (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30),
    "no_repeat_min": (15, 30, 60, 120, 180, 240, 480),
    "max_length_min": (3, 5, 7, 10, 15, 20, 30, 60),
}
"""The values that the buttons reach, without "no limit"."""


def preset_of(rules: PartyRules) -> str:
    """The name of the preset that these rules are, or OWN. The chat is no part of a preset."""
    return next((name for name, one in PRESETS.items() if dataclasses.replace(one, chat=rules.chat) == rules), OWN)


def stepped(rules: PartyRules, limit: Limit, step: Literal[-1, 1]) -> PartyRules:
    """The rules with the next larger or smaller value of a limit; the same if there is none."""
    now, steps = _size(limit, getattr(rules, limit)), [_size(limit, value) for value in (*_STEPS[limit], None)]
    beyond = [one for one in steps if (one > now if step > 0 else one < now)]
    if not beyond:
        return rules
    to = min(beyond) if step > 0 else max(beyond)
    return dataclasses.replace(rules, **{limit: int(to) if 0 < to < math.inf else None})  # type: ignore[arg-type]  # each limit is a number


def limit_text(rules: PartyRules, limit: Limit) -> str:
    """The value of a limit."""
    value: int | None = getattr(rules, limit)
    if value is None:
        return {"no_repeat_min": tr("at once"), "max_length_min": tr("any length")}.get(limit, tr("any number"))
    if limit == "no_repeat_min":
        return tr("after {time}").format(time=span_text(60 * value))
    return span_text(60 * value) if limit == "max_length_min" else str(value)


def rules_text(rules: PartyRules) -> str:
    """The rules in one line, for a person who asks for a song; empty: the host decides, and there are no limits."""
    if dataclasses.replace(rules, chat=True, skip_vote=False) == I_CHOOSE:
        return ""
    parts = []
    if rules.max_waiting is not None:
        form = tr_plural("{number} waiting song each", "{number} waiting songs each", rules.max_waiting)
        parts.append(form.format(number=rules.max_waiting))
    if rules.max_per_hour is not None:
        parts.append(tr("{number} an hour").format(number=rules.max_per_hour))
    if rules.max_length_min is not None:
        parts.append(tr("at most {time}").format(time=span_text(60 * rules.max_length_min)))
    if rules.no_repeat_min is not None:
        parts.append(tr("not again within {time}").format(time=span_text(60 * rules.no_repeat_min)))
    if rules.order is Order.FAIR:
        parts.append(tr("in turns, by votes"))
    parts.append(tr("added without a question") if rules.accept else tr("the host decides"))
    return " · ".join(parts)


def _size(limit: Limit, value: int | None) -> float:
    """For comparisons: without a limit a song may come again after no time, and everything else is unlimited."""
    if value is not None:
        return value
    return 0 if limit == "no_repeat_min" else math.inf
