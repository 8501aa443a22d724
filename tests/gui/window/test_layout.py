"""The arrangement of the two session screens: nothing moves by itself, and everything grows with the window."""

from __future__ import annotations

import dataclasses
import gettext
from typing import Any
from uuid import UUID

import pytest

from phaselock.language import catalogue
from phaselock.ui.backend import Closed
from tests.support.session_views import CARD, WISH, guest, host, line, peer, playing
from tests.support.window_driver import button, deliver, reads, show, tree

pytestmark = [pytest.mark.gui, pytest.mark.slow]

LONG = "Hannelore & Wohnzimmer 夜のパーティー, and everybody who comes later"
LATE = [peer(f"Somebody with a long name {n}", n, phase_error_ns=15_000_000) for n in range(1, 6)]


def places(screen: Any) -> dict[str, tuple[int, int]]:
    """The place of each button and seek bar on the screen, by its text or tooltip."""
    from phaselock.ui.widgets.buttons import Clickable
    from phaselock.ui.widgets.seekbar import SeekBar

    found = {}
    for one in tree(screen):
        if isinstance(one, (Clickable, SeekBar)):
            name = getattr(one, "_text", "") or str(getattr(one, "_tooltip", "") or type(one).__name__)
            found[name] = (one.winfo_rootx(), one.winfo_rooty())
    return found


@pytest.mark.parametrize("size", ["900x600", "1100x720"])
def test_a_longer_sentence_and_requests_move_no_control(window: Any, size: str) -> None:
    window.geometry(size)
    shown = show(window, playing(*LATE[:1]))
    before, artwork = places(shown), shown.playing.artwork.winfo_height()
    assert artwork >= 72
    show(window, playing(*LATE))
    assert shown.playing._sentence.cut and "early." in shown.playing._sentence._tooltip()
    assert shown.playing._sentence.cget("text") == "Up to 15\N{NARROW NO-BREAK SPACE}ms off"
    assert {name: places(shown)[name] for name in before} == before
    wishes = [dataclasses.replace(WISH, request_id=UUID(int=70 + n), number=n) for n in range(5)]
    for number in (1, 2, 5):
        show(window, playing(*LATE[:1], requests=tuple(wishes[:number])))
        assert places(shown) == before and shown.playing.artwork.winfo_height() == artwork
    assert reads(shown, "Song requests") and reads(shown, "+2 more")


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_figure_of_the_sentence_is_visible_in_the_smallest_window(
    window: Any, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    words = gettext.translation(catalogue.DOMAIN, catalogue.FOLDER, [language], fallback=True)
    monkeypatch.setattr(catalogue, "_current", words)
    window.geometry("900x600")
    mute = peer("Wohnzimmer-Küche", 9, device_name=None)
    three = [peer(f"Peer {number}", number) for number in range(1, 4)]
    figure = "{}\N{NARROW NO-BREAK SPACE}ms".format("0.03" if language == "en" else "0,03")
    for peers in ([*three, mute], three, three[:1]):
        sentence = show(window, playing(*peers)).playing._sentence.cget("text")
        assert figure in sentence and not sentence.endswith("…")
    window.program.now = None
    deliver(window, Closed("", failed=False))
    own = CARD
    sentence = show(window, guest(own, now=host().snapshot.queue[0], timeline=line())).playing._sentence.cget("text")
    assert "ms" in sentence and not sentence.endswith("…")


def test_a_long_title_is_cut_at_its_end_and_the_address_never(window: Any) -> None:
    window.geometry("900x600")
    state = dataclasses.replace(host(session_name=LONG), address="[fd00:1234:5678:9abc::1234]:17401")
    shown = show(window, state)
    title = shown._title.cget("text")
    assert title.endswith("…") and LONG.startswith(title[:-1]) and shown._title._tooltip() == LONG
    assert shown.address.winfo_width() >= shown.address.winfo_reqwidth()
    end = button(shown, "End jam")
    assert end.winfo_rootx() + end.winfo_width() <= window.winfo_rootx() + 900


@pytest.mark.parametrize("state", [playing(peer()), guest(now=host().snapshot.queue[0], timeline=line())])
def test_columns_and_artwork_grow_with_the_window(window: Any, state: Any) -> None:
    sizes = []
    for width, height in ((900, 600), (1280, 800), (1920, 1080)):
        window.geometry(f"{width}x{height}")
        window.update()
        shown = show(window, state)
        window.update()
        sizes.append((shown.queue.winfo_width(), shown.playing.artwork.winfo_height()))
    assert sizes == sorted(sizes) and sizes[2][0] > 1.5 * sizes[0][0] and sizes[2][1] > 400


def test_an_empty_jam_says_once_what_to_do(window: Any) -> None:
    from phaselock.ui import theme

    shown = show(window, host(queue=(), upcoming=None))
    assert shown.add._look.fill == theme.PRIMARY
    texts = [str(one.cget("text")) for one in tree(shown) if one.winfo_class() == "Label"]
    assert sum("Nothing is playing" in text for text in texts) == 1
    assert not any(shown.playing.plot.itemcget(item, "state") != "hidden" for item in shown.playing.plot.find_all())
    show(window, playing(timeline=line(stop_ns=5), own=CARD))
    assert shown.add._look.fill == theme.ELEVATED and reads(shown, "Paused")
