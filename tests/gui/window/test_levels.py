"""The offer to even out the volumes, in the Sync overlay of the host."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from phaselock.model.snapshot import LevelsView, LevelView
from phaselock.session.commands import EvenLevels, UndoLevels
from tests.support.session_views import peer, playing
from tests.support.window_driver import button, click, commands, go, reads, show

pytestmark = [pytest.mark.gui, pytest.mark.slow]
UNKNOWN = LevelsView((LevelView("Ana", 0.0, None, None), LevelView("Kitchen", 0.0, None, None)), False, False, False)
LOUDER = LevelsView((LevelView("Ana", 0.0, 0.0, 0.0), LevelView("Kitchen", 0.0, 6.2, -6.2)), True, False, False)
EVEN = LevelsView((LevelView("Ana", 0.0, 0.0, 0.0), LevelView("Kitchen", -6.2, 0.0, -6.2)), False, False, True)


def heard(levels: LevelsView) -> Any:
    state = playing(peer("Kitchen"))
    return dataclasses.replace(state, snapshot=dataclasses.replace(state.snapshot, levels=levels))


def test_volumes_are_evened_out_by_a_click_and_given_back_by_another(window: Any) -> None:
    show(window, heard(UNKNOWN))
    go(window, "sync")
    part = window.overlay.calibration.levels
    assert not part.winfo_viewable()
    show(window, heard(LOUDER))
    assert part.winfo_viewable() and reads(part, "Kitchen is heard 6.2 dB louder than Ana.")
    assert commands(window) == []
    click(button(part, "Even out volumes"))
    assert commands(window) == [EvenLevels()]
    show(window, heard(EVEN))
    assert reads(part, "The volumes are even now.")
    click(button(part, "Undo"))
    assert commands(window) == [EvenLevels(), UndoLevels()]
    show(window, heard(UNKNOWN))
    assert not part.winfo_viewable()


def test_a_small_difference_is_no_offer(window: Any) -> None:
    near = LevelsView((LevelView("Ana", 0.0, 0.0, 0.0), LevelView("Kitchen", 0.0, 0.6, -0.6)), False, False, False)
    show(window, heard(near))
    go(window, "sync")
    assert not window.overlay.calibration.levels.winfo_viewable()


def test_the_offer_fits_into_the_smallest_window(window: Any) -> None:
    window.geometry("900x600")
    names = ("Ana", "Kitchen", "Living room", "Bath", "Garden", "Workshop in the cellar")
    rows = tuple(LevelView(name, 0.0, 3.0 * number, -3.0 * number) for number, name in enumerate(names))
    state = playing(*(peer(name, number) for number, name in enumerate(names[1:], 1)))
    levels = LevelsView((*rows[:5], LevelView(names[5], 0.0, 15.0, -12.0)), True, True, False)
    show(window, dataclasses.replace(state, snapshot=dataclasses.replace(state.snapshot, levels=levels)))
    go(window, "sync")
    window.update()
    overlay = window.overlay
    offer = button(overlay.calibration.levels, "Even out volumes")
    assert offer.winfo_rooty() + offer.winfo_height() <= overlay.panel.winfo_rooty() + overlay.panel.winfo_height()
    assert overlay.plot.winfo_height() >= 60
