"""The first screen, and the two forms behind its buttons."""

from __future__ import annotations

import tkinter
from collections.abc import Sequence
from typing import Any

from phaselock.language.catalogue import current, tr, tr_plural
from phaselock.language.message import translated
from phaselock.model.address import parse_address
from phaselock.model.names import file_label
from phaselock.ui import theme
from phaselock.ui.backend import BackendEvent, Closed, FoundSessions
from phaselock.ui.screens.base import Screen, WindowApi
from phaselock.ui.theme import ctk, px
from phaselock.ui.viewmodel import browser_view
from phaselock.ui.widgets.buttons import IconButton, MainButton, SecondaryButton, TextButton
from phaselock.ui.widgets.entry import Field
from phaselock.ui.widgets.label import Label
from phaselock.ui.widgets.logo import Logo
from phaselock.ui.widgets.panel import Panel
from phaselock.ui.widgets.rows import Row, RowList

FORM_WIDTH = 420
BUTTON_WIDTH = 280
NAME_WIDTH = 240
"""Limit of the name of a file in a sentence."""


class HomeScreen(Screen):
    """Logo, name, and the buttons that create or join a session."""

    def __init__(self, master: Any, api: WindowApi, note: str = "") -> None:
        super().__init__(master, api)
        self.grid_columnconfigure(0, weight=1)
        self.grid_rowconfigure((0, 9), weight=1)
        Logo(self, 96).grid(row=1)
        label(self, "PhaseLock", theme.TITLE, bold=True).grid(row=2, pady=(px(16), 0))
        label(self, tr("Your speakers, in phase."), theme.BODY, theme.TEXT_SECONDARY).grid(row=3, pady=(px(4), px(32)))
        buttons = ctk.CTkFrame(self, fg_color=theme.BACKGROUND)
        buttons.grid(row=4)
        buttons.grid_columnconfigure(0, minsize=px(BUTTON_WIDTH))
        self.create = MainButton(buttons, tr("Create jam"), api.go_create)
        self.create.grid(row=0, sticky="ew")
        self.join = SecondaryButton(buttons, tr("Join jam"), api.go_browse)
        self.join.grid(row=1, sticky="ew", pady=(px(16), 0))
        self._waiting = ctk.CTkFrame(self, fg_color=theme.SURFACE, corner_radius=px(8))
        self._waiting_text = label(self._waiting, "", theme.SECONDARY)
        self._waiting_text.pack(side="left", padx=(px(16), px(8)), pady=px(8))
        self.forget = IconButton(self._waiting, "close", api.forget_waiting, diameter=28, tooltip=tr("Do not add"))
        self.forget.pack(side="left", padx=(0, px(8)))
        self.show_waiting()
        self.sound = TextButton(self, self._who(), api.open_sound)
        self.sound.grid(row=6, pady=(px(32), 0))
        if note:
            label(self, note, theme.SECONDARY, theme.TEXT_SECONDARY, wrap=px(560)).grid(row=7, pady=(px(16), 0))

    def uncovered(self) -> None:
        self.sound.set_text(self._who())

    def show_waiting(self) -> None:
        """Show how many files wait for a session, if any do."""
        if paths := self.api.waiting:
            self._waiting_text.configure(text=waiting_text(paths))
            self._waiting.grid(row=5, pady=(px(24), 0))
        else:
            self._waiting.grid_forget()

    def _who(self) -> str:
        preferences = self.api.program.preferences()
        who = f"{preferences.display_name}  ·  " if preferences.display_name else ""
        sound = tr("Sound: {device}").format(device=preferences.device) if preferences.device else ""
        return who + (sound or tr("Sound: default output"))


class CreateScreen(Screen):
    """A form: names of the session and of the host, and the ports."""

    def __init__(self, master: Any, api: WindowApi) -> None:
        super().__init__(master, api)
        preferences = api.program.preferences()
        form = _form(self, tr("Create a jam"), self._back)
        texts = tr("Name of the jam"), preferences.session_name, tr("Friday Night Vibes")
        self.session_name = Field(form, *texts, on_submit=self.submit)
        self.session_name.pack(fill="x")
        texts = tr("Your name"), preferences.display_name, tr("Alex")
        self.display_name = Field(form, *texts, on_submit=self.submit)
        self.display_name.pack(fill="x", pady=(px(8), 0))
        self._more = TextButton(form, tr("More"), self._show_more)
        self._more.pack(anchor="w", pady=(px(8), 0))
        self._ports = ctk.CTkFrame(form, fg_color="transparent")
        self.port = Field(self._ports, tr("TCP port (control and files)"), str(preferences.port), numeric=True)
        self.port.pack(fill="x")
        self.clock_port = Field(self._ports, tr("UDP port (clock)"), str(preferences.clock_port), numeric=True)
        self.clock_port.pack(fill="x", pady=(px(8), 0))
        self._problem = label(form, "", theme.SECONDARY, theme.ERROR, wrap=px(FORM_WIDTH))
        self.button = MainButton(form, tr("Create jam"), self.submit)
        self.button.pack(fill="x", pady=(px(24), 0))
        self.session_name.focus()

    def submit(self) -> None:
        """Open the session if all fields are valid."""
        for field in (self.session_name, self.display_name, self.port, self.clock_port):
            field.set_error("")
        fields = {"port": self.port, "clock_port": self.clock_port}
        ports = {name: _port(field.get()) for name, field in fields.items()}
        for name, port in ports.items():
            if port is None:
                self._show_more()
                fields[name].set_error(tr("A number from 1 to 65535, please."))
        if not self.display_name.get().strip():
            self.display_name.set_error(tr("Please choose a name, so that the others know who hosts."))
        elif ports["port"] and ports["clock_port"] and self.button.enabled:
            self._problem.pack_forget()
            self.button.set_enabled(False)
            names = self.session_name.get().strip(), self.display_name.get().strip()
            self.api.program.host(*names, ports["port"], ports["clock_port"])

    def on_event(self, event: BackendEvent) -> None:
        if isinstance(event, Closed):
            self.button.set_enabled(True)
            self._problem.configure(text=event.reason)
            self._problem.pack(fill="x", pady=(px(16), 0), before=self.button)

    def _back(self) -> None:
        self.api.program.leave()
        self.api.go_home()

    def _show_more(self) -> None:
        self._more.pack_forget()
        self._ports.pack(fill="x", pady=(px(8), 0), before=self.button)


class BrowserScreen(Screen):
    """The sessions on this network, and a field for an address."""

    def __init__(self, master: Any, api: WindowApi) -> None:
        super().__init__(master, api)
        self._addresses: dict[str, str] = {}
        form = _form(self, tr("Join a jam"), self._back)
        self.display_name = Field(form, tr("Your name"), api.program.preferences().display_name, tr("Sam"))
        self.display_name.pack(fill="x")
        panel = Panel(form, tr("On this network"))
        panel.pack(fill="both", expand=True, pady=(px(16), 0))
        self.rows = RowList(panel.body, on_open=self._open, empty=(browser_view(None).note, None, None))
        self.rows.configure(height=px(140))
        self.rows.pack(fill="both", expand=True)
        manual = ctk.CTkFrame(form, fg_color="transparent")
        manual.pack(fill="x", pady=(px(16), 0))
        manual.grid_columnconfigure(0, weight=1)
        self.address = Field(manual, tr("Or its address"), "", "192.168.1.42:17401", on_submit=self.submit)
        self.address.grid(row=0, column=0, sticky="ew")
        self.button = MainButton(manual, tr("Connect"), self.submit)
        self.button.grid(row=0, column=1, padx=(px(16), 0), sticky="n", pady=(px(20), 0))
        self._problem = label(form, "", theme.SECONDARY, theme.ERROR, wrap=px(FORM_WIDTH + 80))
        api.program.browse(True)
        (self.display_name if not self.display_name.get() else self.address).focus()

    def destroy(self) -> None:
        self.api.program.browse(False)
        super().destroy()

    def submit(self) -> None:
        """Join the session at the address in the field; if it is empty, the selected one."""
        self.address.set_error("")
        if not self.address.get().strip() and self.rows.selection:
            self._open(self.rows.selection[0])
            return
        try:
            parse_address(self.address.get())
        except ValueError as error:
            self.address.set_error(translated(error.args[0], current()))
            return
        self._join(self.address.get())

    def on_event(self, event: BackendEvent) -> None:
        if isinstance(event, FoundSessions):
            view = browser_view(event)
            self._addresses = {row.session_id: row.address for row in view.rows}
            self.rows.set_empty(view.note)
            self.rows.set_rows(
                [
                    Row(
                        row.session_id,
                        row.title,
                        row.subtitle,
                        initial=row.title[:1].upper(),
                        dimmed=row.full,
                        right=tr("full") if row.full else "",
                        tooltip=row.address,
                    )
                    for row in view.rows
                ]
            )
        elif isinstance(event, Closed):
            self.button.set_enabled(True)
            self._problem.configure(text=event.reason)
            self._problem.pack(fill="x", pady=(px(12), 0))

    def _open(self, session_id: str) -> None:
        if session_id in self._addresses:
            self._join(self._addresses[session_id])

    def _join(self, address: str) -> None:
        self.display_name.set_error("")
        name = self.display_name.get().strip()
        if not name:
            self.display_name.set_error(tr("Please choose a name, so that the others know who you are."))
            return
        if self.button.enabled:
            self._problem.pack_forget()
            self.button.set_enabled(False)
            self.api.program.join(address, name)

    def _back(self) -> None:
        self.api.program.leave()
        self.api.go_home()


def waiting_text(paths: Sequence[str]) -> str:
    """The sentence about files that wait for a session, at least one. A single one is named."""
    name = theme.ellipsis(file_label(paths[0].rstrip("/\\")), theme.canvas_font(theme.SECONDARY), px(NAME_WIDTH))
    return tr_plural(
        "{file_name} will be added when you create or join a jam.",
        "{number} files will be added when you create or join a jam.",
        len(paths),
    ).format(file_name=name, number=len(paths))


def label(master: Any, text: str, size: int, colour: str = theme.TEXT, *, bold: bool = False, wrap: int = 0) -> Label:
    """A label with the window's font."""
    return Label(
        master, text, font=theme.font(size, bold), text_color=colour, wraplength=wrap, justify="left", height=px(28)
    )


def _form(screen: Screen, title: str, back: Any) -> ctk.CTkFrame:
    """A column in the middle, below a title and a button that goes back."""
    screen.grid_columnconfigure((0, 2), weight=1)
    screen.grid_columnconfigure(1, minsize=px(FORM_WIDTH + 80))
    screen.grid_rowconfigure(1, weight=1)
    head = ctk.CTkFrame(screen, fg_color="transparent")
    head.grid(row=0, column=1, sticky="ew", pady=(px(24), px(16)))
    IconButton(head, "back", back, tooltip=tr("Back")).pack(side="left", padx=(0, px(12)))
    label(head, title, theme.TITLE, bold=True).pack(side="left")
    form = ctk.CTkFrame(screen, fg_color="transparent")
    form.grid(row=1, column=1, sticky="nsew", pady=(0, px(8)))
    return form


def _port(text: str) -> int | None:
    try:
        port = int(text)
    except (ValueError, tkinter.TclError):
        return None
    return port if 1 <= port <= 65535 else None
