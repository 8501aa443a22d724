"""The texts and numbers of the view models in another language."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from phaselock.language import catalogue
from phaselock.language.message import Message
from phaselock.model.notices import Code, LeftOut, Notice
from phaselock.model.queue import ItemStatus
from phaselock.model.snapshot import FileState, RequestState, RequestView
from phaselock.session import events as e
from phaselock.ui.backend import Found, FoundSessions, SessionEvent, SessionView
from phaselock.ui.viewmodel import (
    History,
    browser_view,
    event_toast,
    host_view,
    ms_text,
    number_text,
    output_text,
    peer_view,
    size_text,
    window_title,
)
from tests.support.pseudo_language import PseudoLanguage, untranslated
from tests.support.session_views import CARD, MS, QUEUE, file, guest, host, item, line, off, peer, playing

NAMES = (
    "PhaseLock",
    "Friday",
    "Hana",
    "Ana",
    "Ben",
    "Cleo",
    "Dan",
    "Eve",
    "Song",
    "Band",
    "Card",
    "Speakers",
    "new",
    ".mp3",
    "MP3",
)
CODES = ("kind", "state", "status", "latency_class", "session_id")
"""Fields of the views whose values are not shown as texts."""
UNTOLD = {"timing": "unknown", "dac_uncertainty_ns": None}


@pytest.fixture(autouse=True)
def _language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "_current", PseudoLanguage())


def texts(value: object, field: str = "") -> Iterator[str]:
    """All texts in a view."""
    if isinstance(value, str):
        if value and not field.endswith(CODES):
            yield value
    elif isinstance(value, tuple):
        for one in value:
            yield from texts(one, field)
    elif dataclasses.is_dataclass(value):
        for one in dataclasses.fields(value):
            yield from texts(getattr(value, one.name), one.name)


def wish(state: RequestState) -> RequestView:
    return RequestView(UUID(int=7), 1, "Ben", "new.mp3", 4_200_000, state, 1_000_000, "The host has declined it.")


def peers() -> list[Any]:
    """One peer for each text in the list of peers and in its tooltip."""
    lacks: dict[str, Any] = {"have": frozenset(), "ready": False}
    changes: list[dict[str, Any]] = [
        *({}, UNTOLD, {"timing": "told"}, {"underruns": 2}, {"reported": False}, {"device_name": None}),
        *({"clock_usable": False}, {"waited_for": False}, {"files_total": 0, "have": frozenset()}, lacks),
        *({**lacks, "files": (file(number, state, 420),)} for number in (1, 9) for state in FileState),
        *({"phase_error_ns": error_ns} for error_ns in (-3 * MS, 3 * MS)),
    ]
    return [peer("Ben", **change) for change in changes]


STATES: list[SessionView] = [
    *(state(one) for one in peers() for state in (host, playing)),
    *(playing(one, peer("Cleo", 2, device_name=None), peer("Dan", 3)) for one in peers()),
    *(playing(one, own=off(**own)) for one in peers()[:6] for own in (UNTOLD, {"device_name": None})),
    *(playing(own=off(phase_error_ns=error_ns)) for error_ns in (-3 * MS, 3 * MS)),
    *(host(queue=(), upcoming=None), playing(), playing(own=off(device_name=None)), playing(own=off(**UNTOLD))),
    *(host(peer(**changes), waiting_for=QUEUE[0]) for changes in ({}, {"have": frozenset()})),
    *(host(own=own) for own in (None, off(timing="told"), off(**UNTOLD), off(device_name=None))),
    playing(peer(), timeline=line(stop_ns=5)),
    host(peer(clock_stale=True), peer("Cleo", 2, clock_usable=False), peer("Dan", 3), queue=(item(1),)),
    host(peer(), peer("Cleo", 2, have=frozenset()), queue=(item(1, ItemStatus.TRANSFERRING), item(2, artist=""))),
    *(host(requests=(wish(state),)) for state in (RequestState.OPEN, RequestState.ACCEPTED, RequestState.CONVERTING)),
    *(guest(requests=(wish(state),)) for state in RequestState),
    *(guest(connected=False, **changes) for changes in ({}, {"now": QUEUE[0], "timeline": line(), "plays_on": True})),
    *(guest(own=None), guest(queue=()), guest(own=off(clock_uncertainty_ns=None))),
    *(
        guest(own, now=QUEUE[0], timeline=line())
        for own in (CARD, None, *(off(**own) for own in ({"playing": False}, {"device_name": None}, UNTOLD)))
    ),
    *(guest(off(phase_error_ns=error_ns), now=QUEUE[0], timeline=line()) for error_ns in (-3 * MS, 3 * MS)),
]


def test_all_texts_of_a_session_are_translated() -> None:
    found: set[str] = set()
    for state in STATES:
        view = host_view(state) if state.hosting else peer_view(state)
        for text in (*texts(view), output_text(state), window_title(state)):
            if untranslated(text, (*NAMES, state.address)):
                found.add(text)
    assert not found


def test_all_texts_of_the_browser_are_translated() -> None:
    one = Found("Friday", "Hana", 2, 5, "10.0.0.2", "abc")
    problem = "«The network cannot be searched.»"
    for found in (None, FoundSessions(()), FoundSessions((one,)), FoundSessions((), problem)):
        for text in texts(browser_view(found)):
            assert not untranslated(text, NAMES)


EVENTS: list[e.Event] = [
    *(e.PeerJoined(1, 1, "Ben", again) for again in (False, True)),
    e.Joined(1, 1, "Friday", "Hana", "Ben", again=True, host_words="words"),
    *(
        e.PeerLeft(1, 1, "Ben", Notice(code, detail))
        for code in (Code.PEER_LEFT, Code.PEER_REMOVED, Code.PEER_SILENT, Code.PEER_CONNECTION_LOST)
        for detail in ("", Message("The cable is out."))
    ),
    *(
        e.RequestChanged(1, e.RequestRow(UUID(int=1), 1, name, "new.mp3", 4_200_000, state, 0, Message("Why.")))
        for state in RequestState
        for name in ("Ben", "")
    ),
    *(
        e.DeviceChanged(1, state, "Card", Message("{name} is gone.", name="Card"), "unknown", name)
        for state in ("open", "lost", "none")
        for name in ("Ben", None)
    ),
    *(e.FilesAdded(1, added, (LeftOut("new.mp3", Notice(Code.NOT_MUSIC)),)[:added]) for added in (0, 1, 2)),
    e.Warned(1, Notice(Code.OTHER, Message("Something."))),
    *(e.Failed(1, Notice(code, "", None, "new.mp3", "Ben", 3, ("Ben",), 5, "::1")) for code in Code),
]


def test_all_toasts_are_translated() -> None:
    found = {
        shown.text
        for event in EVENTS
        for hosting in (True, False)
        if (shown := event_toast(SessionEvent(event), hosting)) is not None and untranslated(shown.text, NAMES)
    }
    assert not found


def test_numbers_have_the_decimal_sign_of_the_language() -> None:
    shown = [ms_text(3_240_000), size_text(4_200_000), size_text(1_520_000_000), number_text(-12.5, "g")]
    assert [text.replace("\N{NARROW NO-BREAK SPACE}", " ") for text in shown] == ["3,2 ms", "4,2 MB", "1,5 GB", "−12,5"]
    state = playing(peer(phase_error_ns=-3_200_000))
    figures = host_view(state).sync.machines[1]
    assert (figures.drift_text, figures.uncertainty_text) == ("+3,1\u202fppm", "±10\u202fµs")
    assert "3,2" in host_view(state).sync.sentence and "3,3" in host_view(state).peers[0].chip_text


def test_the_file_with_the_phase_errors_is_for_programs() -> None:
    history = History()
    history.take(playing(peer()), 0.0)
    head, *rows = history.csv().splitlines()
    assert head.startswith("time_s,machine,phase_error_us") and '0.0,"Ben",3.0,10.0,3.1,""' in rows
