"""The window in another language: every text is translated, fits, and no state depends on a text."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from phaselock.language import catalogue
from phaselock.language.message import ENGLISH, Words
from phaselock.model.invitation import InvitationState, Nat
from phaselock.model.notices import Code, Notice
from phaselock.model.party import OPEN_HOUSE, SMALL_PARTY, PartyRules
from phaselock.model.snapshot import (
    ChatLine,
    FileState,
    GuestView,
    InvitationView,
    RequestState,
    RequestView,
    SkipView,
    VotesView,
)
from phaselock.session import events as e
from phaselock.session.commands import InvitationPlaces
from phaselock.session.invitation_sentences import way_sentence
from phaselock.ui.backend import (
    Closed,
    FilesGiven,
    Found,
    FoundSessions,
    LastQueue,
    Outputs,
    ServedPage,
    SessionEvent,
)
from tests.support.pseudo_language import PseudoLanguage, untranslated
from tests.support.session_views import CARD, QUEUE, file, guest, host, item, line, off, peer, playing
from tests.support.window_driver import all_texts, deliver, go, own_texts, press, show, tree

pytestmark = [pytest.mark.gui, pytest.mark.slow]
pytest.importorskip("tkinter", reason="Python was built without tkinter")

NAMES = (
    "PhaseLock",
    "Friday",
    "Hana",
    "Ana",
    "Ben",
    "Sam",
    "Song",
    "Band",
    "Card",
    "Speakers",
    "USB",
    "new",
    ".mp3",
    "http",
    "phaselock:",
)
PSEUDO = PseudoLanguage()
GONE = "«The card is gone.»"


def wishes(*states: RequestState) -> tuple[RequestView, ...]:
    return tuple(
        RequestView(UUID(int=70 + n), n, "Ben", "new.mp3", 4_200_000, state, 2_100_000, "No.")
        for n, state in enumerate(states)
    )


LATE = peer("Sam", 2, ready=False, have=frozenset(), files=(file(2, FileState.FAILED),), phase_error_ns=-3_200_000)
LOADS = peer("Sam", 2, ready=False, have=frozenset(), files=(file(2, FileState.SENDING, 420),), timing="told")
NOW = {"now": QUEUE[0], "timeline": line()}
LONG = {"queue": tuple(item(number) for number in range(1, 2001))}
UNTOLD = {"timing": "unknown", "dac_uncertainty_ns": None}
OPEN, ACCEPTED, CONVERTING, ADDED, REJECTED, FAILED = RequestState
PRIVATE = Found("Friday", "Hana", 2, 5, "192.168.1.42", "a", True)
NOT_ASKED = Closed("«This jam does not ask for the code.»", failed=True, why=Code.CODE_NOT_ASKED)
GUESSED = SessionEvent(e.Warned(1, Notice(Code.CODE_GUESSED, number=10)))
ANA = GuestView(bytes(16), "Ana", True, True, 5_000_000)
PARTY: dict[str, Any] = {
    "guests": (ANA, dataclasses.replace(ANA, name="Ben", connected=False)),
    "removed_guests": ("Sam",),
    "rules": SMALL_PARTY,
    "votes": (VotesView(QUEUE[1].id, 3, True),),
    "skip": SkipView(2, 3, False),
}
SERVED = dataclasses.replace(
    host(code="482913"), guest_page=ServedPage("http://192.168.1.42:17403/#secret", "http://192.168.1.42:17403")
)
INVITED = InvitationView(
    InvitationState.OPEN,
    "phaselock:///192.168.1.42:17404,45.32.1.1/4829134471/7-10000042",
    False,
    Nat.HOME,
    way_sentence(InvitationState.OPEN, InvitationPlaces((), Nat.HOME, port=17404), 17402),
)
FULL = Found("Friday", "Hana", 5, 5, "192.168.1.42", "a")

CASES: dict[str, tuple[Any, str, tuple[Any, ...]]] = {
    "home": (None, "home", ()),
    "home with a file": (None, "home", (FilesGiven(("/new.mp3",)),)),
    "home with files": (None, "home", (FilesGiven(("/new.mp3", "/old.mp3")),)),
    "create": (None, "create", ()),
    "a session that cannot be opened": (None, "create", (Closed(GONE, failed=True),)),
    "create with a code": (None, "create", ()),
    "browse": (None, "browse", ()),
    "sessions with a code": (None, "browse", (FoundSessions((PRIVATE,)),)),
    "a code that is not asked for": (None, "browse", (FoundSessions((PRIVATE,)), NOT_ASKED)),
    "no sessions": (None, "browse", (FoundSessions(()), Closed(GONE, failed=True))),
    "sessions": (None, "browse", (FoundSessions((FULL,)),)),
    "no search": (None, "browse", (FoundSessions((), GONE),)),
    "host": (host(peer(), LATE), "", ()),
    "host with a code": (host(peer(), code="482913"), "", ()),
    "host whose code is guessed": (host(peer(), code="482913"), "", (GUESSED,)),
    "empty host with a code": (host(queue=(), upcoming=None, code="482913"), "", ()),
    "share": (host(code="482913"), "share", ()),
    "share without a code": (host(), "share", ()),
    "chat": (host(chat=(ChatLine(1, "Hana", "?", 1),)), "chat", ()),
    "chat without a message": (guest(), "chat", ()),
    "chat that is switched off": (guest(rules=PartyRules(chat=False)), "chat", ()),
    "share with phones": (SERVED, "share", ()),
    "share without phones": (dataclasses.replace(host(), guest_page=ServedPage(problem=GONE)), "share", ()),
    "share with a friend elsewhere": (host(invitation=INVITED), "share", ()),
    "share with no friend elsewhere": (host(), "share", ()),
    "rules": (playing(rules=SMALL_PARTY), "rules", ()),
    "own rules": (playing(rules=dataclasses.replace(OPEN_HOUSE, max_waiting=None)), "rules", ()),
    "host with guests": (playing(peer(), **PARTY), "", ()),
    "host with guests only": (host(**{**PARTY, "skip": None, "code": "482913"}), "", ()),
    "peer at a party": (guest(**{**NOW, **PARTY, "guests": (), "removed_guests": ()}), "", ()),
    "empty host": (host(queue=(), upcoming=None), "", ()),
    "host with a last queue": (host(queue=(), upcoming=None), "", (LastQueue(("/a.mp3",) * 69),)),
    "playing host": (playing(peer(), LOADS, requests=wishes(OPEN, ACCEPTED)), "", ()),
    "host who converts": (
        playing(peer(), requests=wishes(CONVERTING)),
        "",
        (SessionEvent(e.ConversionChanged(1, "new.mp3", e.ConversionState.CONVERTING, 40)),),
    ),
    "host of many requests": (host(requests=wishes(OPEN, OPEN, OPEN, OPEN)), "", ()),
    "host who waits": (playing(peer(have=frozenset()), LOADS, waiting_for=QUEUE[1], own=off(device_name=None)), "", ()),
    "host of a long queue": (host(peer(reported=False), **LONG), "", ()),
    "peer": (guest(), "", ()),
    "peer with requests": (guest(requests=wishes(FAILED, REJECTED, ADDED, CONVERTING, OPEN), **NOW), "", ()),
    "peer without a host": (guest(connected=False, queue=()), "", ()),
    "peer with a long queue": (guest(**LONG), "", ()),
    "sound at home": (None, "sound", (Outputs(("Card", "USB")),)),
    "sound": (playing(), "sound", ()),
    "loudness and crossfade": (playing(), "songs", ()),
    "sound of an unknown delay": (playing(own=off(**UNTOLD)), "sound", ()),
    "sound without output": (host(own=off(device_name=None, timing="unknown")), "sound", ()),
    "sync": (playing(peer(), LOADS), "sync", ()),
    "sync of late machines": (playing(LATE, own=off(phase_error_ns=3_200_000)), "sync", ()),
    "sync without figures": (playing(peer(**UNTOLD), peer("Sam", 2, **UNTOLD), own=off(**UNTOLD)), "sync", ()),
    "shortcuts": (host(), "shortcuts", ()),
}
NOT_SMALL = {"host of many requests"}
"""Cases that do not fit into the smallest window in any language."""


@pytest.fixture
def speak(monkeypatch: pytest.MonkeyPatch) -> Callable[[Words], None]:
    """Let the process speak a language."""
    return lambda words: monkeypatch.setattr(catalogue, "_current", words)


@pytest.fixture
def window(make: Callable[..., Any], speak: Callable[[Words], None]) -> Any:
    """A window in the pseudo language."""
    speak(PSEUDO)
    return make()


def visit(window: Any, name: str) -> None:
    """Show everything of a case."""
    state, where, events = CASES[name]
    if state is not None:
        show(window, state)
    if where:
        go(window, where)
    if name.startswith("create"):
        window.screen.who.choose(int(name == "create with a code"))
        window.screen.code.set("a")
        window.screen.port.set("0")
        window.screen.display_name.set("")
        window.screen.submit()
    if NOT_ASKED in events:
        window.screen._join("192.168.1.42")
    deliver(window, *events)
    if name == "share":
        window.overlay.own.invoke()
        window.overlay._set_own()
    if name.endswith("phones"):
        window.overlay.show_tab(1)
    if name.endswith("elsewhere"):
        window.overlay.show_tab(2)
    window.update()


def untranslated_texts(window: Any, *names: str) -> list[str]:
    return [text for text in (window.title(), *all_texts(window)) if untranslated(text, (*NAMES, *names))]


def test_errors_and_toasts_are_translated(window: Any) -> None:
    go(window, "browse")
    for name, address in (("Ana", "1 2"), ("", "::1")):
        window.screen.display_name.set(name)
        window.screen.address.set(address)
        window.screen.submit()
        window.update()
        assert not untranslated_texts(window)
    shown = show(window, playing(peer()))
    late = Notice(Code.TRANSFER_GIVEN_UP, file_name="new.mp3", peer="Ben", number=3)
    acts: list[Callable[[], object]] = [
        *(shown._copy_address, shown.shuffle, shown.repeat, window.leave, shown.find),
        *(lambda ids=ids: shown._remove(ids) for ids in ([QUEUE[0].id], [one.id for one in QUEUE])),
        lambda: deliver(window, SessionEvent(e.Failed(1, late))),
        lambda: show(window, playing(repeat=True)),
        *(shown.repeat, shown.volume.toggle_mute),
    ]
    for act in acts:
        act()
        window.update()
        assert not untranslated_texts(window)
    go(window, "sound")
    for text in ("?", "1,5", "-1,5"):
        window.overlay.correction.set(text)
        window.overlay._correct()
        window.update()
        assert not untranslated_texts(window)
    go(window, "sync")
    for path in ("/", "/dev/null"):
        window.ask_save = lambda name, path=path: path
        window.overlay._export()
        window.update()
        assert not untranslated_texts(window, "/dev/null", "Is a directory")
    window.program.now = None
    deliver(window, Closed(GONE, failed=True))
    assert not untranslated_texts(window)


def test_file_dialogs_are_translated(window: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the desktop get these texts; the window's own list has more."""
    monkeypatch.setenv("PATH", "")
    texts: list[str] = []
    found: list[str] = []

    def look() -> None:
        own = window.dialogs._dialog
        if not hasattr(own, "rows") or own._reading is not None:
            window.after(10, look)
            return
        texts.extend([own.title(), *(label for label, _ in own._question.filters)])
        found.extend(untranslated_texts(own, own.path.get()))
        own.cancel()

    for act in (window.ask_files, window.ask_folder, window.ask_song, lambda: window.ask_save("a.csv")):
        window.after(10, look)
        act()
    assert not found
    assert len(texts) == 9 and not [text for text in texts if untranslated(text, ("MP3",))]


def visible_title(rows: Any, row: Any) -> str:
    """The part of the title of a row that is shown."""
    return next(slot.text("title") for slot in rows._painter.slots if slot.index >= 0 and rows.rows[slot.index] is row)


def cut_texts(window: Any) -> list[str]:
    """The visible texts of labels and buttons of which a part cannot be seen."""
    from tkinter import Canvas

    from phaselock.ui.widgets.rows import RowList

    cut = []
    for one in tree(window):
        is_label = one.winfo_class() == "Label"
        if isinstance(one, RowList):
            cut += [row.title for row in one.rows[:2] if not visible_title(one, row)]
        text = str(one.cget("text")) if is_label else getattr(one, "_text", "") if isinstance(one, Canvas) else ""
        if not text:
            continue
        left, top = one.winfo_rootx(), one.winfo_rooty()
        right, bottom = left + one.winfo_width(), top + one.winfo_height()
        masters, above = [], one
        while above is not window:
            above = above.master
            masters.append(above)
        if (
            own_texts(one) != [text]
            or (is_label and one.winfo_width() < one.winfo_reqwidth())
            or one.winfo_height() < one.winfo_reqheight()
            or any(left < master.winfo_rootx() or top < master.winfo_rooty() for master in masters)
            or any(right > master.winfo_rootx() + master.winfo_width() for master in masters)
            or any(bottom > master.winfo_rooty() + master.winfo_height() for master in masters)
        ):
            cut.append(text)
    return cut


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    "words", [pytest.param(PSEUDO, id="longer"), pytest.param(ENGLISH, id="English", marks=pytest.mark.slow)]
)
def test_every_text_is_translated_and_fits_into_the_smallest_window(
    make: Callable[..., Any], speak: Callable[[Words], None], words: Words, name: str
) -> None:
    from phaselock.ui.placement import FIRST_SIZE, MIN_SIZE

    speak(words)
    window = make()
    window.geometry("{}x{}+0+0".format(*(FIRST_SIZE if name in NOT_SMALL else MIN_SIZE)))
    visit(window, name)
    assert not cut_texts(window)
    window.geometry("{}x{}+0+0".format(*FIRST_SIZE))  # more texts have room there
    window.update()
    assert words is ENGLISH or not untranslated_texts(window)


def test_requests_do_not_cover_the_buttons_of_the_queue(make: Callable[..., Any]) -> None:
    from phaselock.ui.placement import MIN_SIZE

    window = make()
    window.geometry("{}x{}+0+0".format(*MIN_SIZE))
    visit(window, "host of many requests")
    assert not {"Add songs", "Add folder"} & {*cut_texts(window)}


def test_long_texts_do_not_widen_the_queue(window: Any) -> None:
    from phaselock.ui.placement import MIN_SIZE

    window.geometry("{}x{}+0+0".format(*MIN_SIZE))
    widths = []
    for state in ("host of many requests", "host of a long queue"):
        visit(window, state)
        widths.append(window.screen._queue_panel.winfo_width())
    assert widths[0] == widths[1] > 1


def test_no_state_depends_on_a_text(window: Any) -> None:
    """What is compared in English must also work in another language."""
    shown = show(window, playing(peer(), own=CARD))
    assert "2\N{NARROW NO-BREAK SPACE}ms" in shown.peers.rows[0].subtitle, "with all files only the latency is shown"
    go(window, "sound")
    deliver(window, Outputs(("Card", "USB")))
    default, card, usb = window.overlay.output.texts
    assert (card, usb) == ("Card", "USB")
    for text in (usb, default):
        window.overlay.output.choose(text)
    assert window.program.of("choose_output") == ["USB", None]
    press(window, "<Key-Escape>")
    window.leave()
    window._question.act.invoke()
    assert window.program.of("leave") == [()] and not window.program.closed
    window.close()
    window._question.act.invoke()
    assert window.program.closed
