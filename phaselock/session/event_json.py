"""Conversion of events to the JSON objects that `--json` prints. The names of the fields are stable."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from phaselock.model.notices import Notice
from phaselock.session import events as e
from phaselock.session.sentences import event_text, notice_text

WITH_MESSAGE = (e.FilesAdded,)
"""Events whose English sentence is printed too, as `message`. (Those with a notice always have one.)"""


def event_object(event: e.Event) -> dict[str, object]:
    """The whole JSON object of an event."""
    times = {} if event.session_ns is None else {"session_ns": event.session_ns}
    return {"event": event.event_name, **times, **event_fields(event)}


def event_fields(event: e.Event) -> dict[str, object]:
    """The fields of the object, without the event's name and time."""
    fields = _fields(event)
    del fields["session_ns"]
    if isinstance(event, WITH_MESSAGE):
        fields["message"] = event_text(event)
    return fields


def _fields(value: object) -> dict[str, object]:
    found: dict[str, object] = {}
    assert dataclasses.is_dataclass(value)
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        if field.metadata.get("inline"):
            found |= _plain(item)
        elif isinstance(item, Notice):
            found |= _notice(item) if field.name == "notice" and isinstance(value, e.NoticeEvent) else _reason(item)
        elif item is not None or not field.metadata.get("absent"):
            found[field.name] = _plain(item)
    return found


def _notice(notice: Notice) -> dict[str, object]:
    values = {field.name: _plain(getattr(notice, field.name)) for field in dataclasses.fields(notice)}
    fields = {"message": notice_text(notice, hints=True), "code": notice.code.value}
    absent: tuple[object, ...] = (
        None,
        "",
        [],
        fields["message"],
    )  # `detail` is left out if it is the whole sentence
    return fields | {name: value for name, value in values.items() if name != "code" and value not in absent}


def _reason(notice: Notice) -> dict[str, object]:
    return {"reason": notice_text(notice, hints=True), "code": notice.code.value}


def _plain(value: object) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if dataclasses.is_dataclass(value):
        return _fields(value)
    return value
