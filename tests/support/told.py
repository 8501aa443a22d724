"""Events as programs see them, in `--json`: the names and values that must stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from phaselock.model.notices import Code, Notice
from phaselock.session import effects
from phaselock.session.event_json import event_fields
from phaselock.session.events import Event
from phaselock.session.sentences import notice_text


class Told(NamedTuple):
    """An event in the terms of `--json`."""

    name: str
    session_ns: int | None
    fields: Mapping[str, Any]


def told(event: Event) -> Told:
    return Told(event.event_name, event.session_ns, event_fields(event))


class Over:
    """Equals an `Ended` of this sentence."""

    def __init__(self, reason: str, *, failed: bool) -> None:
        self.reason = reason
        self.failed = failed

    def __eq__(self, other: object) -> bool:
        return isinstance(other, effects.Ended) and (reason(other), other.failed) == (self.reason, self.failed)

    def __repr__(self) -> str:
        return f"Over({self.reason!r}, failed={self.failed})"


def reason(ended: effects.Ended) -> str:
    return notice_text(ended.reason)


def lost(reason: str) -> Notice:
    """Why a connection is over."""
    return Notice(Code.PEER_CONNECTION_LOST, reason)
