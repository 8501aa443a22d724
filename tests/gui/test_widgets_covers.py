"""Covers: how they are read, kept and shown."""

from __future__ import annotations

import dataclasses
from typing import Any
from uuid import UUID

import pytest

from phaselock.ui.backend import ArtworkRead
from tests.support.widget_events import until

pytestmark = pytest.mark.gui

pytest.importorskip("tkinter", reason="Python was built without tkinter")


def cover(size: int, crop: bool = False) -> ArtworkRead:
    return ArtworkRead(UUID(int=7), size, crop, b"P6 %d %d 255\n" % (size, size // 2) + bytes(size * (size // 2) * 3))


def test_artwork_shows_the_cover_when_it_is_read(window: Any) -> None:
    from phaselock.ui.widgets.artwork import Artwork
    from phaselock.ui.widgets.covers import Covers

    asked: list[Any] = []
    covers = Covers(lambda *key: asked.append(key))
    artwork = Artwork(window, covers, 200)
    artwork.pack()

    def state(item: int) -> str:
        return str(artwork.itemcget(item, "state"))

    artwork.show(UUID(int=7))
    until(window, lambda: asked)
    assert asked == [(UUID(int=7), 200, False)] and state(artwork._tile) == "normal"
    covers.take(cover(200))
    artwork.paint()
    window.update()
    assert state(artwork._picture) == "normal" and state(artwork._tile) == "hidden"  # no frame of another colour
    artwork.set_size(300)  # the smaller one stays until the other is read
    assert state(artwork._picture) == "normal"
    until(window, lambda: len(asked) == 2)
    covers.take(cover(300))
    artwork.paint()
    assert artwork.winfo_reqwidth() == 300 and artwork._images["picture"].width() == 300
    artwork.show(UUID(int=8))
    assert state(artwork._picture) == "hidden" and state(artwork._tile) == "normal"
    covers.take(ArtworkRead(UUID(int=8), 300, False, None))
    artwork.paint()
    window.update()
    assert not artwork.waits("read")  # it has none
    artwork.show(None)


def test_covers_have_a_limit_of_memory(window: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from phaselock.ui.widgets import covers

    monkeypatch.setattr(covers, "MAX_BYTES", 40_000)
    asked: list[Any] = []
    kept = covers.Covers(lambda *key: asked.append(key))
    keys = [(UUID(int=number), 40, True) for number in range(20)]
    for key in keys:
        kept.take(dataclasses.replace(cover(40, True), file_id=key[0]))
    known = [key for key in keys if kept.is_known(key)]
    assert known == keys[-len(known) :] and 0 < len(known) * 40 * 20 * 4 <= 40_000
    kept.request(keys)
    assert asked == keys[: -len(known)]
    kept.clear()
    assert kept.image(keys[-1]) is None
