"""The part of the Sync overlay that calibrates or checks the loudspeakers with a microphone, at the host."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from phaselock.language.catalogue import current, tr
from phaselock.language.message import N_
from phaselock.model.calibration import MAX_DISTANCE_M
from phaselock.session import events as e
from phaselock.session.commands import Calibrate, CalibrateNext, Check, StopCalibration, StopCheck
from phaselock.session.hearing_sentences import CALIBRATION_ENDS
from phaselock.session.sentences import event_text, window_text
from phaselock.ui import theme
from phaselock.ui.backend import BackendEvent, SessionEvent, SessionView
from phaselock.ui.screens.base import WindowApi
from phaselock.ui.screens.distances import Distances
from phaselock.ui.screens.home import label
from phaselock.ui.screens.levels import LevelsPart
from phaselock.ui.theme import ctk, px
from phaselock.ui.viewmodel import number_text
from phaselock.ui.viewmodel.calibration import calibration_share, calibration_text
from phaselock.ui.viewmodel.check import check_share, check_text
from phaselock.ui.widgets.base import frame
from phaselock.ui.widgets.buttons import SecondaryButton
from phaselock.ui.widgets.choice import Choice

FOR_THE_SPOT = N_("For this spot")
BY_METRES = N_("At the speakers (metres)")
BY_WALKING = N_("At the speakers (walk)")


class CalibrationPart(ctk.CTkFrame):  # type: ignore[misc]  # customtkinter has no types
    """Two buttons, whose microphone listens and for which place, the progress, the result, and the offer to even out
    the volumes. `make_room` is called when the fields of a place or the result need room."""

    def __init__(self, master: Any, api: WindowApi, state: SessionView, make_room: Callable[[], object]) -> None:
        super().__init__(master, fg_color="transparent")
        self._api = api
        self._make_room = make_room
        self._state = state
        self._top = top = frame(self)
        top.pack(fill="x")
        self.button = SecondaryButton(top, tr("Calibrate speakers"), self._press)
        self.button.pack(side="left")
        self.check_button = SecondaryButton(top, tr("Check"), self._press_check)
        self.check_button.pack(side="left", padx=(px(8), 0))
        self.next = SecondaryButton(top, tr("Go on"), lambda: api.program.command(CalibrateNext()))
        choices = frame(self)
        choices.pack(fill="x", pady=(px(8), 0))
        label(choices, tr("Microphone:"), theme.SECONDARY, theme.TEXT_SECONDARY).pack(side="left", padx=(0, px(8)))
        self.listener = Choice(choices, lambda _name: None)
        self.listener.pack(side="left", fill="x", expand=True)
        self._listeners: dict[str, str | None] = {tr("This machine"): None}
        """The names of the peers by their texts in the menu; None: this machine."""
        self.listener.set(tr("This machine"))
        self.place = Choice(choices, lambda _text: self._show_place())
        self.place.texts = [tr(FOR_THE_SPOT), tr(BY_METRES), tr(BY_WALKING)]
        self.place.set(tr(FOR_THE_SPOT))
        self.place.pack(side="left", fill="x", expand=True, padx=(px(8), 0))
        known = api.program.preferences().ui.get("distances_m")
        self.distances = Distances(self, known if isinstance(known, dict) else {}, self._press)
        self._bar = ctk.CTkProgressBar(
            self, height=px(4), corner_radius=px(2), fg_color=theme.ELEVATED, progress_color=theme.PRIMARY
        )
        self.says = label(self, "", theme.SECONDARY, theme.TEXT_SECONDARY, wrap=px(640))
        self.says.configure(justify="left", anchor="w")
        self.levels = LevelsPart(self, api)
        self._running = self._checking = False
        self._ended = False
        """The end of the newest calibration or check was told. A view of the session may be older and still show it."""
        self.on_state(state)

    def on_state(self, state: SessionView) -> None:
        """There is a new view of the session."""
        self._state = state
        self.levels.show(state.snapshot.levels)
        self._offer(state)
        self.distances.set_names([state.snapshot.host_name, *(peer.name for peer in state.snapshot.peers)])
        view = state.snapshot.calibration
        running, waiting = view is not None, view is not None and view.wait is not None
        if waiting != bool(self.next.winfo_manager()):
            if waiting:
                self.next.pack(side="left", padx=(px(8), 0), after=self.button)
            else:
                self.next.pack_forget()
        checking = state.snapshot.check is not None
        if (running, checking) != (self._running, self._checking):
            self._running, self._checking = running, checking
            self.button.set_text(tr("Stop") if running else tr("Calibrate speakers"))
            self.check_button.set_text(tr("Stop") if checking else tr("Check"))
            if running or checking:
                self._ended = False
                self.says.pack_forget()
                self._bar.pack(fill="x", pady=(px(8), 0))
                self.says.pack(fill="x", pady=(px(4), 0))
            else:
                self._bar.pack_forget()

    def _offer(self, state: SessionView) -> None:
        """Let the user choose one of the machines. A peer that has not allowed its microphone is asked first."""
        before = self._listeners.get(self.listener.get())
        asks = tr("{name} (will be asked)")
        self._listeners = {tr("This machine"): None}
        for peer in state.snapshot.peers:
            self._listeners[peer.name if peer.microphone else asks.format(name=peer.name)] = peer.name
        texts = {name: text for text, name in self._listeners.items()}
        if self.listener.texts != [*self._listeners]:
            self.listener.texts = [*self._listeners]
            self.listener.set(texts.get(before, tr("This machine")))

    def on_event(self, event: BackendEvent) -> None:
        """Show the result, and when it was heard, or why there is none."""
        told = event.event if isinstance(event, SessionEvent) else None
        if isinstance(told, e.Calibrated | e.Checked):
            heard_at = tr("Heard at {time}.").format(time=time.strftime("%H:%M"))
            self._ended = True
            self._make_room()
            self._say(f"{event_text(told, current())}\n{heard_at}")
        elif isinstance(told, e.Failed) and told.notice.code in CALIBRATION_ENDS:
            self._ended = True
            self._say(window_text(told.notice, current()))

    def tick(self) -> None:
        """Show how far it is."""
        view, session_ns = self._state.snapshot.calibration, self._api.program.session_ns()
        if view is not None and session_ns is not None and not self._ended:
            self._bar.set(calibration_share(view, session_ns))
            self._say(calibration_text(view, session_ns))
        check = self._state.snapshot.check
        if check is not None and session_ns is not None and not self._ended:
            self._bar.set(check_share(check, session_ns))
            self._say(check_text(check, session_ns))

    def _say(self, text: str) -> None:
        if self.says.cget("text") != text:
            self.says.configure(text=text)
        if not self.says.winfo_manager():
            self.says.pack(fill="x", pady=(px(4), 0))

    def _show_place(self) -> None:
        """Offer the fields that the chosen place needs."""
        self.says.pack_forget()
        if self.place.get() == tr(BY_METRES):
            self._make_room()
            self.distances.pack(fill="x", pady=(px(8), 0), after=self._top)
        else:
            self.distances.pack_forget()

    def _press(self) -> None:
        if self._running:
            self._api.program.command(StopCalibration())
        elif self.place.get() == tr(BY_METRES):
            self._calibrate_at_speakers()
        else:
            self._api.program.command(Calibrate(self._listener(), walk=self.place.get() == tr(BY_WALKING)))

    def _press_check(self) -> None:
        self._api.program.command(StopCheck() if self._checking else Check(self._listener()))

    def _listener(self) -> str | None:
        return self._listeners.get(self.listener.get())

    def _calibrate_at_speakers(self) -> None:
        distances_m = self.distances.read()
        if distances_m is None:
            low, high = (number_text(limit, "g") for limit in (0, MAX_DISTANCE_M))
            self._say(tr("A number from {low} to {high}, please.").format(low=low, high=high))
            return
        self._api.program.remember(distances_m=dict(distances_m))
        self._api.program.command(Calibrate(self._listener(), distances_m))
