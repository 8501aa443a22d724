"""The user's wishes for the look of the window: size of the text, contrast and motion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from phaselock.language.catalogue import tr
from phaselock.ui import theme
from phaselock.ui.backend import AppearanceRead, Program

TEXT_PERCENTS = (80, 90, 100, 110, 125, 150, 175, 200, 250, 300)
CHOICES = ("system", "on", "off")


class WindowLook:
    """Applies the wishes to `theme`. `make_again` must make the widgets again; `fits` says whether a window whose
    text is larger by a factor has room on the screen."""

    def __init__(self, program: Program, make_again: Callable[[], None], fits: Callable[[float], bool]) -> None:
        self._program, self._make_again, self._fits = program, make_again, fits
        self._system = AppearanceRead(False, False)
        self._apply()

    @property
    def text_percent(self) -> int:
        """The size of the text, in percent of the usual one."""
        percent = self._stored("text_percent")
        found = percent if isinstance(percent, int) and percent in TEXT_PERCENTS else 100
        return found if found == 100 or self._fits(found / 100) else 100

    def obstacle(self, steps: int) -> str:
        """Why the text cannot be changed by this number of steps; empty: it can."""
        at = self._place(steps)
        if at < 0:
            return tr("There is no smaller size.")
        if at >= len(TEXT_PERCENTS):
            return tr("There is no larger size.")
        too_large = steps > 0 and not self._fits(TEXT_PERCENTS[at] / 100)
        return tr("A larger text has no room on this screen.") if too_large else ""

    def change_text_size(self, steps: int) -> None:
        """Make the text larger or smaller by a number of steps, if it can be; 0: the usual size."""
        if not self.obstacle(steps):
            self._change(text_percent=TEXT_PERCENTS[self._place(steps)])

    def _place(self, steps: int) -> int:
        """The index of the size that is this number of steps away; it may not exist."""
        return TEXT_PERCENTS.index(self.text_percent) + steps if steps else TEXT_PERCENTS.index(100)

    def choice(self, name: str) -> str:
        """What the user wants of "contrast" or "motion": one of CHOICES."""
        chosen = self._stored(name)
        return chosen if isinstance(chosen, str) and chosen in CHOICES else "system"

    def choose(self, name: str, choice: str) -> None:
        """Set what `choice` returns."""
        self._change(**{name: choice})

    def take(self, system: AppearanceRead) -> None:
        """The system has told what the user has set for all programs."""
        self._system = system
        if self._apply():
            self._make_again()

    def _change(self, **wishes: Any) -> None:
        self._program.remember(**wishes)
        self._apply()
        self._make_again()

    def _apply(self) -> bool:
        """Whether widgets must be made again."""
        contrast = {"on": True, "off": False}.get(self.choice("contrast"), self._system.high_contrast)
        differs = contrast != theme.high_contrast()
        theme.set_high_contrast(contrast)
        theme.set_still({"on": True, "off": False}.get(self.choice("motion"), self._system.reduced_motion))
        theme.resize(self.text_percent / 100)
        return differs

    def _stored(self, name: str) -> object:
        return self._program.preferences().ui.get(name)
