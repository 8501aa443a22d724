"""The host's overlay with the rules for songs that people ask for: a preset, and each rule as one line."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Literal

from phaselock.language.catalogue import tr
from phaselock.language.message import N_
from phaselock.model.party import I_CHOOSE, PRESETS, Order, PartyRules
from phaselock.session import commands as c
from phaselock.ui import theme
from phaselock.ui.backend import SessionView
from phaselock.ui.screens.base import WindowApi
from phaselock.ui.screens.overlays import Overlay
from phaselock.ui.theme import px
from phaselock.ui.viewmodel import Limit, limit_text, preset_of, stepped
from phaselock.ui.widgets.base import frame
from phaselock.ui.widgets.buttons import IconButton, TextButton
from phaselock.ui.widgets.line import Line
from phaselock.ui.widgets.menu import popup
from phaselock.ui.widgets.segments import Segments
from phaselock.ui.widgets.stepper import Stepper
from phaselock.ui.widgets.switch import Switch

NAMES = {"choose": N_("I choose"), "small": N_("Small party"), "open": N_("Open house"), "own": N_("Own rules")}
LIMITS: dict[Limit, str] = {
    "max_waiting": N_("Waiting songs per person"),
    "max_per_hour": N_("Songs per person and hour"),
    "no_repeat_min": N_("The same song again"),
    "max_length_min": N_("Longest song"),
}
WIDTH, VALUE_WIDTH, LINE = 560, 128, 36
ORDERS = (Order.HAND, Order.FAIR)


class RulesOverlay(Overlay):
    """Each change takes effect at once and is stored."""

    def __init__(self, master: Any, api: WindowApi, on_close: Callable[[], None]) -> None:
        super().__init__(master, tr("Party rules"), on_close)
        self._api = api
        self._rules: PartyRules = I_CHOOSE
        self._own: PartyRules | None = None
        """The rules that are no preset, which the user had last."""
        self._fallback: str | None = None
        self.body.grid_columnconfigure(0, minsize=px(WIDTH))
        self.presets = Segments(self.body, [tr(name) for name in NAMES.values()], self._choose)
        self.presets.grid(row=0, column=0, sticky="w", pady=(0, px(8)))
        self._rows = 1
        self.accept = Switch(self._line(tr("Songs are added without asking me")), lambda on: self._set(accept=on))
        self.order = Segments(
            self._line(tr("Order")),
            (tr("By hand"), tr("In turns, by votes")),
            lambda number: self._set(order=ORDERS[number]),
        )
        self.limits: dict[Limit, Stepper] = {}
        for limit, text in LIMITS.items():
            self.limits[limit] = Stepper(
                self._line(tr(text)), functools.partial(self._step, limit), tr("Less"), tr("More"), VALUE_WIDTH
            )
        self.skip = Switch(
            self._line(tr("Skip a song when more than half want it")), lambda on: self._set(skip_vote=on)
        )
        self.chat = Switch(self._line(tr("Everybody may write messages")), lambda on: self._set(chat=on))
        for control in (self.accept, self.order, *self.limits.values(), self.skip, self.chat):
            control.pack(side="right")
        self._build_fallback(self._line(tr("Music when no one asks for any")))
        state = api.program.state()
        if state is not None:
            self.on_state(state)

    def on_state(self, state: SessionView) -> None:
        self._show(state.snapshot.rules)
        if state.fallback != self._fallback:
            self._fallback = state.fallback
            self.fallback.set_text(_file_name(state.fallback) or tr("Choose"))
            if state.fallback:
                self.no_fallback.pack(side="right")
            else:
                self.no_fallback.pack_forget()

    def _show(self, rules: PartyRules) -> None:
        self._rules = rules
        preset = preset_of(rules)
        if preset == "own":
            self._own = rules
        own = self.presets.buttons[-1]
        if self._own is None:
            own.pack_forget()
        elif not own.winfo_manager():
            own.pack(side="left", padx=(px(4), 0))
        self.presets.show(list(NAMES).index(preset))
        self.accept.set_on(rules.accept)
        self.order.show(ORDERS.index(rules.order))
        for limit, stepper in self.limits.items():
            can_less, can_more = (stepped(rules, limit, step) != rules for step in _STEPS)
            stepper.set(limit_text(rules, limit), can_less=can_less, can_more=can_more)
        self.skip.set_on(rules.skip_vote)
        self.chat.set_on(rules.chat)

    def _line(self, text: str) -> Any:
        """A line with this text; returns the place for its control, at its right end."""
        line = frame(self.body)
        line.grid(row=self._rows, column=0, sticky="ew")
        line.grid_columnconfigure(0, weight=1)
        line.grid_rowconfigure(0, minsize=px(LINE))
        self._rows += 1
        words = Line(line, theme.SECONDARY)
        words.set(text)
        words.grid(row=0, column=0, sticky="ew")
        place = frame(line)
        place.grid(row=0, column=1, padx=(px(16), 0))
        return place

    def _build_fallback(self, place: Any) -> None:
        self.no_fallback = IconButton(
            place, "close", lambda: self._api.program.set_fallback(""), diameter=32, tooltip=tr("Play nothing then")
        )
        self.fallback = TextButton(place, tr("Choose"), self._open_fallback)
        self.fallback.pack(side="left")

    def _open_fallback(self) -> None:
        items = [(tr("A folder"), self._choose_folder), (tr("A file or playlist"), self._choose_file)]
        popup(self.fallback, items, 0, self.fallback.winfo_height())

    def _choose_folder(self) -> None:
        if path := self._api.ask_folder():
            self._api.program.set_fallback(path)

    def _choose_file(self) -> None:
        if paths := self._api.ask_files():
            self._api.program.set_fallback(paths[0])

    def _choose(self, number: int) -> None:
        name = list(NAMES)[number]
        rules = PRESETS.get(name, self._own)
        if rules is not None:
            self._send(dataclasses.replace(rules, chat=self._rules.chat))

    def _step(self, limit: Limit, step: Literal[-1, 1]) -> None:
        self._send(stepped(self._rules, limit, step))

    def _set(self, **changes: Any) -> None:
        self._send(dataclasses.replace(self._rules, **changes))

    def _send(self, rules: PartyRules) -> None:
        self._api.program.command(c.SetRules(rules))
        self._show(rules)  # so that quick clicks add up


_STEPS: tuple[Literal[-1, 1], ...] = (-1, 1)


def _file_name(path: str) -> str:
    """The last part of a path of any platform."""
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2] or path
