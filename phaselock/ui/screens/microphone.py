"""The part of the Sound panel that chooses this machine's microphone, and at a peer, whether the host may listen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from phaselock.language.catalogue import tr
from phaselock.ui import theme
from phaselock.ui.backend import SessionView
from phaselock.ui.screens.base import WindowApi
from phaselock.ui.screens.home import label
from phaselock.ui.theme import ctk, px
from phaselock.ui.widgets.banner import Banner
from phaselock.ui.widgets.base import frame
from phaselock.ui.widgets.choice import Choice


class MicrophonePart(ctk.CTkFrame):  # type: ignore[misc]  # customtkinter has no types
    """The choice of the input is stored; the permission ends with the session."""

    def __init__(self, master: Any, api: WindowApi, *, peer: bool) -> None:
        super().__init__(master, fg_color="transparent")
        self._api = api
        self._inputs: dict[str, str | None] = {}
        """The inputs by their texts in the menu; None: the default input of the system."""
        self.input = self._row(tr("Input"), self._choose)
        self.offer([api.program.preferences().microphone])
        self.input.set(next(iter(self._inputs)))
        self._permits = {tr("Ask me first"): False, tr("Until I leave the jam"): True}
        self.permission: Choice | None = None
        if peer:
            self.permission = self._row(tr("The host may listen"), self._permit)
            self.permission.texts = [*self._permits]
        api.program.list_inputs()

    def offer(self, inputs: Sequence[str | None]) -> None:
        """Let the user choose one of these inputs."""
        self._inputs = {name or tr("Default"): name for name in inputs}
        self.input.texts = [*self._inputs]

    def listed(self, names: Sequence[str]) -> None:
        """These inputs exist."""
        chosen = self._inputs[self.input.get()]
        inputs = [None, *names]
        self.offer(inputs if chosen in inputs else [*inputs, chosen])

    def on_state(self, state: SessionView) -> None:
        """There is a new view of the session."""
        microphone = state.snapshot.microphone
        if self.permission is not None and microphone is not None:
            text = next(text for text, permits in self._permits.items() if permits is microphone.permitted)
            if text != self.permission.get():
                self.permission.set(text)

    def _row(self, name: str, on_choose: Callable[[str], object]) -> Choice:
        line = frame(self)
        choice = Choice(line, on_choose)
        line.pack(fill="x", pady=(px(8), 0))
        label(line, name, theme.SECONDARY, theme.TEXT_SECONDARY).pack(side="left", padx=(0, px(12)))
        choice.pack(side="left", fill="x", expand=True)
        return choice

    def _choose(self, text: str) -> None:
        self._api.program.choose_microphone(self._inputs[text])

    def _permit(self, text: str) -> None:
        self._api.program.permit_microphone(self._permits[text])


class MicrophoneQuestion:
    """The question of the host, over the screen of a peer, until it is answered or withdrawn."""

    def __init__(self, screen: Any, api: WindowApi) -> None:
        self._screen = screen
        self._api = api
        self.banner: Banner | None = None

    def on_state(self, state: SessionView) -> None:
        """There is a new view of the session."""
        microphone = state.snapshot.microphone
        asked = microphone is not None and microphone.asked
        if asked and self.banner is None:
            form = tr(
                "{host} wants to listen by this machine's microphone for about 15 seconds, to calibrate the speakers. "
                "The recording does not leave this machine."
            )
            self.banner = Banner(
                self._screen,
                form.format(host=state.snapshot.host_name),
                (tr("Allow"), lambda: self._answer(True)),
                (tr("No"), lambda: self._answer(False)),
            )
        elif not asked and self.banner is not None:
            self.banner.destroy()
            self.banner = None

    def _answer(self, allowed: bool) -> None:
        self._api.program.answer_microphone(allowed)
