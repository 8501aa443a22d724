"""How the user of the window leaves a session: the questions, and what their answers do."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from phaselock.language.catalogue import tr
from phaselock.session.commands import HandOver


class WindowLeaving:
    """Of one window, on the GUI thread."""

    def __init__(self, window: Any) -> None:
        self._window = window

    def close(self) -> None:
        """Ask, and then close the window and the program."""
        window = self._window
        if name := self._successor():
            self._ask_to_hand_over(name, window.end, self._end_for_everybody)
        else:
            window.ask(self.ending(), tr("Close"), window.end)

    def leave(self, at: Any = None) -> None:
        """Ask below the button `at`, and then leave the session, or end it if hosting."""
        window = self._window
        if name := self._successor():
            hand_over = functools.partial(window.program.command, HandOver(None))
            self._ask_to_hand_over(name, hand_over, window.program.leave, at, stays=True)
        else:
            window.ask(self.ending(), tr("End jam") if self._hosting else tr("Leave jam"), window.program.leave, at)

    def ending(self) -> str:
        """What happens if this machine leaves now, and no other one becomes the host."""
        return tr("This ends the jam for everybody.") if self._hosting else tr("This takes you out of the jam.")

    @property
    def _hosting(self) -> bool:
        state = self._window.program.state()
        return state is not None and state.hosting

    def _successor(self) -> str:
        """The name of the machine that can be the host in place of this one; empty: none, or this is not the host."""
        state = self._window.program.state()
        return next(iter(state.snapshot.successors), "") if self._hosting else ""

    def _ask_to_hand_over(
        self,
        name: str,
        hand_over: Callable[[], object],
        end: Callable[[], object],
        at: Any = None,
        *,
        stays: bool = False,
    ) -> None:
        from phaselock.ui.screens.hand_over import HandOverQuestion

        window = self._window

        def answer(act: Callable[[], object]) -> None:
            window.close_question()
            act()

        answers = functools.partial(answer, hand_over), functools.partial(answer, end)
        window.show_question(HandOverQuestion(window, name, *answers, window.close_question, stays=stays), at)

    def _end_for_everybody(self) -> None:
        self._window.program.leave()
        self._window.end()
