"""The panel of the sound: the output of this machine, its channels, the user's correction of its delay, and the
microphone.

In a session it takes the place of the queue, so that the player stays in view while one adjusts it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from phaselock.language.catalogue import current, date_text, tr
from phaselock.model.calibration import OutputCalibration
from phaselock.model.role import ROLE_NAMES, ROLES
from phaselock.session.events import RoleSet
from phaselock.session.hearing_sentences import heard_text
from phaselock.ui import theme
from phaselock.ui.backend import BackendEvent, Inputs, Outputs, SessionEvent, SessionView
from phaselock.ui.screens.base import WindowApi
from phaselock.ui.screens.home import label
from phaselock.ui.screens.microphone import MicrophonePart
from phaselock.ui.screens.overlays import Overlay
from phaselock.ui.theme import px
from phaselock.ui.viewmodel import number_text, output_text
from phaselock.ui.widgets.base import frame
from phaselock.ui.widgets.buttons import StepButton, TextButton
from phaselock.ui.widgets.choice import Choice
from phaselock.ui.widgets.entry import Field

MAX_CORRECTION_MS = 2000.0
STEPS_MS = (-10, -1, 1, 10)
WIDTH = 420


class SoundOverlay(Overlay):
    """Every change takes effect at once, and is stored for this output."""

    def __init__(self, master: Any, api: WindowApi, on_close: Callable[[], None], *, beside: bool) -> None:
        super().__init__(master, tr("Sound"), on_close)
        self.beside = beside
        self._api = api
        display = TextButton(self.panel.header, tr("Display"), api.open_display)
        display.pack(side="right", padx=(0, px(8)))
        if beside:
            self.panel.place(relx=0, rely=0, relwidth=1, relheight=1, anchor="nw")
        else:
            frame(self.body).pack(padx=px(WIDTH // 2))
        label(self.body, tr("Output"), theme.SECONDARY, theme.TEXT_SECONDARY).pack(anchor="w")
        self.output = Choice(self.body, self._choose)
        self.output.pack(fill="x", pady=(px(4), 0))
        self._forget_trim = TextButton(self.body, "", api.program.forget_trim)
        self._trim_db = 0.0
        self._outputs: dict[str, str | None] = {}
        """The outputs by their texts in the menu; None: the default output of the system."""
        self._offer([api.program.preferences().device])
        self.output.set(next(iter(self._outputs)))
        self._device = self._note()
        self._device_text = ""
        self._build_role()
        state = api.program.state()
        self._steps = frame(self.body)
        self.correction = Field(self._steps, "", on_submit=self._correct, width=56)
        self._says = self._note("")
        self.microphone = MicrophonePart(self.body, api, peer=state is not None and not state.hosting)
        self._hint_text = ""
        if state is not None:
            self._build_correction()
            self.on_state(state)
        self.microphone.pack(fill="x")
        self.body.bind("<Configure>", lambda event: self._wrap(event.width), add="+")
        api.program.list_outputs()

    def on_event(self, event: BackendEvent) -> None:
        if isinstance(event, Outputs):
            outputs = [None, *event.names]
            chosen = self._outputs[self.output.get()]
            self._offer(outputs if chosen in outputs else [*outputs, chosen])
        elif isinstance(event, Inputs):
            self.microphone.listed(event.names)
        elif isinstance(event, SessionEvent) and isinstance(event.event, RoleSet):
            self.role.set(tr(ROLE_NAMES[event.event.role]))

    def on_state(self, state: SessionView) -> None:
        self.microphone.on_state(state)
        text = output_text(state)
        if text != self._device_text:
            self._device_text = text
            self._device.configure(text=text)
        hint = self._hint(state)
        if hint != self._hint_text:
            if self._says.cget("text") == self._hint_text:  # not yet what the user's last change has said
                self._says.configure(text=hint)
            self._hint_text = hint
        calibration = state.own.calibration if state.own is not None else OutputCalibration()
        if calibration.kept.heard_at:
            self._kept.pack(fill="x", after=self._says)
        else:
            self._kept.pack_forget()
        if calibration.set_aside:
            self._use.pack(anchor="w", before=self._forget)
        else:
            self._use.pack_forget()
        self._show_trim(state.own.trim_db if state.own is not None else 0.0)

    def _hint(self, state: SessionView) -> str:
        by_ear = tr("Heard too late: press +. Too early: press −.")
        if state.own is None:
            return by_ear
        heard = heard_text(state.own.calibration, date_text(state.own.calibration.kept.heard_at))
        if state.own.calibration.elsewhere:
            return f"{heard.translated(current())} {by_ear}"
        return heard.translated(current()) or by_ear

    def _build_role(self) -> None:
        names = {tr(ROLE_NAMES[role]): role for role in ROLES}
        line = frame(self.body)
        line.pack(fill="x", pady=(px(8), 0))
        label(line, tr("Channels"), theme.SECONDARY, theme.TEXT_SECONDARY).pack(side="left", padx=(0, px(12)))
        self.role = Choice(line, lambda text: self._api.program.set_role(names[text]))
        self.role.texts = [*names]
        self.role.set(tr(ROLE_NAMES[self._api.program.preferences().role]))
        self.role.pack(side="left", fill="x", expand=True)

    def _build_correction(self) -> None:
        state = self._api.program.state()
        own = state.own if state else None
        self._correction_ms = own.correction_ms if own else 0.0
        self._show_correction()
        self._kept = frame(self.body)
        self._use = TextButton(self._kept, tr("Use it anyway"), self._api.program.use_calibration)
        self._forget = TextButton(self._kept, tr("Forget calibration"), self._api.program.forget_calibration)
        self._forget.pack(anchor="w")
        for column, step_ms in enumerate(STEPS_MS):
            text = number_text(step_ms, "+g")
            button = StepButton(self._steps, text, functools.partial(self._step, step_ms))
            button.grid(row=0, column=column + (column >= 2), padx=(0 if not column else px(4), 0))
        self.correction.grid(row=0, column=2, sticky="ew", padx=(px(4), 0))
        self._steps.grid_columnconfigure(2, weight=1)
        self._steps.pack(fill="x", pady=(px(8), 0), before=self._says)

    def _show_correction(self) -> None:
        self.correction.set(tr("{number} ms").format(number=number_text(self._correction_ms, "g")))

    def _show_trim(self, trim_db: float) -> None:
        """Show the trim of this output as a button that forgets it; 0: there is none."""
        if trim_db == self._trim_db:
            return
        self._trim_db = trim_db
        if trim_db:
            form = tr("Trim {number} dB: forget")
            self._forget_trim.set_text(form.format(number=number_text(trim_db, ".1f")))
            # Beside the heading of the output: the panel has no room for a line.
            self._forget_trim.place(relx=1, y=px(-3), anchor="ne")
        else:
            self._forget_trim.place_forget()

    def _note(self, text: str = "") -> Any:
        note = label(self.body, text, theme.SECONDARY, theme.TEXT_SECONDARY)
        note.pack(anchor="w", pady=(px(4), 0))
        return note

    def _wrap(self, width: int) -> None:
        for note in (self._device, self._says):
            note.configure(wraplength=max(width, 1))

    def _offer(self, outputs: Sequence[str | None]) -> None:
        """Let the user choose one of these outputs."""
        self._outputs = {output or tr("Default output"): output for output in outputs}
        self.output.texts = [*self._outputs]

    def _choose(self, text: str) -> None:
        self._api.program.choose_output(self._outputs[text])

    def _step(self, step_ms: float) -> None:
        self._set(min(max(self._correction_ms + step_ms, -MAX_CORRECTION_MS), MAX_CORRECTION_MS))

    def _correct(self) -> None:
        try:
            correction_ms = float(self.correction.get().removesuffix("ms").replace(",", ".").replace("−", "-"))
        except ValueError:
            correction_ms = MAX_CORRECTION_MS + 1
        if abs(correction_ms) <= MAX_CORRECTION_MS:
            self._set(correction_ms)
        else:
            form = tr("A number from {low} to {high}, please.")
            low, high = (number_text(limit, "g") for limit in (-MAX_CORRECTION_MS, MAX_CORRECTION_MS))
            self._says.configure(text=form.format(low=low, high=high), text_color=theme.WARNING)

    def _set(self, correction_ms: float) -> None:
        self._correction_ms = correction_ms
        self._api.program.set_correction_ms(correction_ms)
        self._show_correction()
        form = tr("Saved. This speaker plays {number} ms earlier.")
        if correction_ms < 0:
            form = tr("Saved. This speaker plays {number} ms later.")
        text = form.format(number=number_text(abs(correction_ms), "g")) if correction_ms else tr("Saved.")
        self._says.configure(text=text, text_color=theme.TEXT)
