"""The reference of `--json` is current and complete."""

from __future__ import annotations

import dataclasses

import pytest

from phaselock.console import events as console_events
from phaselock.session import events
from phaselock.tools import event_reference as reference

KINDS = [kind for module in (events, console_events) for kind in reference._kinds(module)]


def test_the_page_is_current() -> None:
    assert reference.path().read_text("utf-8") == reference.reference(), "python -m phaselock.tools.event_reference"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_event_and_field_is_described(kind: type[events.Event]) -> None:
    assert kind.__doc__ and "(" not in kind.__doc__[: len(kind.__name__) + 1]  # not the one of dataclasses
    docs = {name for one in kind.__mro__ for name in reference._docs(one)}
    assert {field.name for field in dataclasses.fields(kind)} - {"notice"} <= docs


def test_names_of_events_are_taken_once() -> None:
    names = [kind.event_name for kind in KINDS if kind is not console_events.MachineSyncMeasured]
    assert len(names) == len(set(names))
