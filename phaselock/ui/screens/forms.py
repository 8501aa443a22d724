"""The two forms behind the buttons of the first screen: create a jam, join a jam."""

from __future__ import annotations

import functools
from typing import Any, cast

from phaselock.language.catalogue import current, tr
from phaselock.language.message import translated
from phaselock.model.code import CODE_RULE, normal_code, shown_code
from phaselock.model.group import MAX_PEERS
from phaselock.model.invitation import parse_invitation
from phaselock.ui import theme
from phaselock.ui.backend import BackendEvent, Closed, FoundSessions
from phaselock.ui.screens.base import CODE_QUESTIONS, Screen, WindowApi
from phaselock.ui.screens.code import new_code
from phaselock.ui.screens.home import label
from phaselock.ui.theme import ctk, px
from phaselock.ui.viewmodel import FoundRow, browser_view
from phaselock.ui.widgets.buttons import FoldButton, IconButton, MainButton, SecondaryButton
from phaselock.ui.widgets.entry import Field
from phaselock.ui.widgets.panel import Panel
from phaselock.ui.widgets.radio import RadioChoice
from phaselock.ui.widgets.rows import Row, RowList

FORM_WIDTH = 500
HALF_WIDTH, THIRD_WIDTH = FORM_WIDTH // 2 - 16, FORM_WIDTH // 3 - 16


class FormScreen(Screen):
    """A column in the middle, `form`, below a title and a button that goes back, as Escape does."""

    def __init__(self, master: Any, api: WindowApi, title: str) -> None:
        super().__init__(master, api)
        self.grid_columnconfigure((0, 2), weight=1)
        self.grid_columnconfigure(1, minsize=px(FORM_WIDTH))
        self.grid_rowconfigure(1, weight=1)
        head = ctk.CTkFrame(self, fg_color="transparent")
        head.grid(row=0, column=1, sticky="ew", pady=(px(24), px(16)))
        IconButton(head, "back", self.back, tooltip=tr("Back (Escape)")).pack(side="left", padx=(0, px(12)))
        label(head, title, theme.TITLE, bold=True).pack(side="left")
        self.form = ctk.CTkFrame(self, fg_color="transparent")
        self.form.grid(row=1, column=1, sticky="nsew", pady=(0, px(8)))

    def back(self) -> None:
        """Give up what has begun, and go to the first screen."""
        self.api.program.leave()
        self.api.go_home()

    def again(self) -> Screen:
        screen = super().again()
        for name, field in vars(self).items():
            if isinstance(field, Field):
                getattr(screen, name).set(field.get())
        return screen

    def key(self, name: str) -> bool:
        if name == "escape":
            self.back()
        return name == "escape"


class CreateScreen(FormScreen):
    """Names of the session and of the host, the places, and the ports. All fields are filled in, so that one click is
    enough."""

    def __init__(self, master: Any, api: WindowApi) -> None:
        super().__init__(master, api, tr("Create a jam"))
        preferences, form = api.program.preferences(), self.form
        name = preferences.display_name
        self._suggested = "" if preferences.session_name else _jam_of(name)
        """The name of the jam that follows the person's name; empty: the user has chosen one."""
        texts = tr("Name of the jam"), preferences.session_name or self._suggested, tr("e.g. Friday Night Vibes")
        names = ctk.CTkFrame(form, fg_color="transparent")
        names.pack(fill="x")
        self.session_name = Field(names, *texts, on_submit=self.submit, roomy=True, width=HALF_WIDTH)
        self.display_name = Field(
            names,
            tr("Your name"),
            name,
            tr("e.g. Alex"),
            on_submit=self.submit,
            on_change=self._follow_name,
            roomy=True,
            width=HALF_WIDTH,
        )
        _side_by_side(names, self.session_name, self.display_name)
        self._made_code = shown_code(new_code())
        self._build_code(preferences.with_code, preferences.own_code or self._made_code)
        self.fold = FoldButton(form, tr("Places and network ports"), self._fold)
        self.fold.pack(anchor="w")
        self._folded = ctk.CTkFrame(form, fg_color="transparent")
        places = tr("for 1 to {most} others").format(most=MAX_PEERS)
        self.places = self._number_field(tr("Places"), preferences.max_peers, places)
        self.port = self._number_field(tr("TCP port"), preferences.port, tr("for control and files"))
        self.clock_port = self._number_field(tr("UDP port"), preferences.clock_port, tr("for the clock"))
        _side_by_side(self._folded, self.places, self.port, self.clock_port)
        self.button = MainButton(form, tr("Create jam"), self.submit)
        self.button.pack(fill="x", pady=(px(16), 0))
        self._problem = problem(form)
        self._problem.pack(fill="x", pady=(px(12), 0))
        self._show_code()
        self.session_name.focus()

    def again(self) -> Screen:
        screen: Any = super().again()
        screen.who.choose(self.who.chosen)
        screen._made_code = self._made_code
        return cast(Screen, screen)

    def _build_code(self, with_code: bool, code: str) -> None:
        texts = tr("Anyone on this network may join"), tr("With a code")
        self.who = RadioChoice(self.form, texts, int(with_code), lambda _number: self._show_code())
        self.who.pack(fill="x")
        self._code_place = self.who.lines[1]
        self.another = IconButton(self._code_place, "dice", self._make_code, tooltip=tr("Another code of six digits"))
        self.code = Field(
            self._code_place,
            "",
            code,
            tr("a word or digits"),
            on_submit=self.submit,
            hint=tr("Or replace the digits with a word of your own."),
            width=160,
        )

    def _show_code(self) -> None:
        if self.who.chosen:
            self.another.pack(side="right", anchor="n", pady=px(2))
            self.code.pack(side="right", fill="x", expand=True, padx=(px(16), px(8)))
        else:
            self.another.pack_forget()
            self.code.pack_forget()

    def _make_code(self) -> None:
        self._made_code = shown_code(new_code())
        self.code.set(self._made_code)

    def _number_field(self, text: str, number: int, hint: str) -> Field:
        place = self._folded
        return Field(place, text, str(number), on_submit=self.submit, numeric=True, hint=hint, width=THIRD_WIDTH)

    def submit(self) -> None:
        """Open the session if all fields are valid; else the first invalid one gets the keyboard."""
        names = self.session_name.get().strip(), self.display_name.get().strip()
        places = _whole(self.places.get(), MAX_PEERS)
        ports = [_whole(field.get(), 65535) for field in (self.port, self.clock_port)]
        self._problem.configure(text="")
        wrong = []
        self.display_name.set_error("")
        if not names[1]:
            self.display_name.set_error(tr("Please choose a name, so that the others know who hosts."))
            wrong.append(self.display_name)
        numbers = (self.places, places, MAX_PEERS), (self.port, ports[0], 65535), (self.clock_port, ports[1], 65535)
        for field, number, most in numbers:
            field.set_error("" if number else tr("From 1 to {most}, please.").format(most=most))
            if not number:
                self.fold.open()
                wrong.append(field)
        typed = self.code.get().strip()
        code = normal_code(typed) if self.who.chosen else ""
        if self.who.chosen and not code:
            self.code.set_error(tr(CODE_RULE))
            wrong.append(self.code)
        if wrong:
            wrong[0].focus()
        elif ports[0] and ports[1] and self.button.enabled:
            self.button.set_enabled(False)
            asked = names[0] or _jam_of(names[1])
            own = typed if normal_code(typed) and typed != self._made_code else ""
            self.api.program.remember_code(bool(code), own)
            asked = "" if asked == self._suggested else asked  # a name that follows the person's is not stored
            self.api.program.host(asked, names[1], ports[0], ports[1], code, places)

    def on_event(self, event: BackendEvent) -> None:
        if not isinstance(event, Closed):
            return
        self.button.set_enabled(True)
        for field in (self.port, self.clock_port):
            if event.taken_port is not None and field.get() == str(event.taken_port):
                self.fold.open()
                field.set_error(event.reason)
                field.focus()
                return
        self._problem.configure(text=event.reason)

    def _follow_name(self) -> None:
        if self._suggested and self.session_name.get() == self._suggested:
            name = self.display_name.get().strip()
            self._suggested = _jam_of(name) if name else self._suggested
            self.session_name.set(self._suggested)

    def _fold(self, opened: bool) -> None:
        self.button.pack_configure(pady=(px(4 if opened else 16), 0))  # the fields of the ports have room below them
        if opened:
            self._folded.pack(fill="x", pady=(px(4), 0), before=self.button)
        else:
            self._folded.pack_forget()


class BrowserScreen(FormScreen):
    """The sessions on this network, joined with one click each, and a field for an address."""

    def __init__(self, master: Any, api: WindowApi) -> None:
        super().__init__(master, api, tr("Join a jam"))
        self._found: FoundSessions | None = None
        self._shown: tuple[FoundRow, ...] = ()
        self._joining: str | None = None
        """The address that is being joined."""
        self._is_next = False
        """The address in the field is joined as soon as the attempt that goes on has ended."""
        form = self.form
        self.display_name = Field(
            form,
            tr("Your name"),
            api.program.preferences().display_name,
            tr("e.g. Sam"),
            on_submit=lambda: (self.rows if self.rows.rows else self.address).focus(),
            roomy=True,
        )
        self.display_name.pack(fill="x")
        manual = ctk.CTkFrame(form, fg_color="transparent")
        manual.pack(side="bottom", fill="x", pady=(px(16), 0))
        manual.grid_columnconfigure(0, weight=1)
        hint = tr("Not in the list? Type the address that the host shows, or paste an invitation")
        example = tr("e.g. {address}").format(address=EXAMPLE)
        self.address = Field(manual, hint, "", example, on_submit=self.submit, on_change=lambda: self._say(""))
        self.address.grid(row=0, column=0, sticky="ew")
        self.button = SecondaryButton(manual, tr("Connect"), self.submit)
        self.button.grid(row=0, column=1, sticky="n", padx=(px(8), 0), pady=(self.address.entry_y(), 0))
        self._problem = problem(manual)
        self._problem.grid(row=1, column=0, columnspan=2, sticky="ew", pady=(px(4), 0))
        panel = Panel(form, tr("On this network"))
        panel.pack(fill="both", expand=True)
        self.rows = RowList(panel.body, on_open=self._open, empty=(browser_view(None).note, None, None))
        self.rows.configure(height=px(112))
        self.rows.pack(fill="both", expand=True)
        self.rows.bind("<Leave>", lambda _event: self._show(), add="+")
        api.program.browse(True)
        self.rows.focus_set()

    def destroy(self) -> None:
        self.api.program.browse(False)
        super().destroy()

    def submit(self) -> None:
        """Join the session at the address in the field."""
        try:
            parse_invitation(self.address.get())
        except ValueError as error:
            self._say(translated(error.args[0], current()))
            self.address.focus()
        else:
            self._join(self.address.get().strip())  # a pasted text often ends with its line

    def join_by(self, invitation: str) -> None:
        """Join by an invitation instead of what is being joined."""
        self.address.set(invitation)
        if self._joining is None:
            self.submit()
        elif self._joining != invitation.strip():
            self._is_next = True
            self.api.program.leave()

    def on_event(self, event: BackendEvent) -> None:
        if isinstance(event, FoundSessions):
            self._found = event
            self._show()
        elif isinstance(event, Closed):
            address, self._joining = self._joining, None
            if self._is_next:
                self._is_next = False
                self.submit()
            elif event.why in CODE_QUESTIONS and address is not None:
                self._say("")
                self._ask(address, event)
            else:
                self.api.close_question()
                self._say(event.reason)

    def _show(self) -> None:
        """Show the sessions. While the pointer is over the list, no row moves."""
        view = browser_view(self._found, self._shown, held=self.rows.pointed)
        self._shown = view.rows
        self.rows.set_empty(view.note)
        self.rows.set_rows([self._row(row) for row in view.rows])
        self.button.set_enabled(self._joining is None)
        typed = self._joining is not None and self._joining == self.address.get().strip()
        self.button.set_text(tr("Joining…") if typed else tr("Connect"))

    def _row(self, row: FoundRow) -> Row:
        state = tr("full") if row.full else tr("gone") if row.gone else ""
        ready = not state and self._joining is None
        return Row(
            row.session_id,
            row.title,
            row.subtitle,
            initial=row.title[:1].upper(),
            colour_dot=None if state else theme.PRIMARY,
            dimmed=bool(state),
            right=tr("Joining…") if self._joining == row.address else state,
            pill=tr("Join") if ready else "",
            button=True,
            tooltip=row.address,
        )

    def _say(self, text: str) -> None:
        """The one place for what went wrong."""
        self._problem.configure(text=text)
        self._show()

    def _open(self, session_id: str) -> None:
        row = next((row for row in self._shown if row.session_id == session_id), None)
        if row is not None and row.problem:
            self._say(row.problem)
        elif row is not None and not row.full and not row.gone:
            self._join(row.address, asks=row.asks)

    def _join(self, address: str, code: str | None = None, *, asks: bool = False) -> None:
        """Join with this code, see `Program.join`. `asks`: ask for the code first."""
        name = self.display_name.get().strip()
        if not name:
            self._say("")
            self.display_name.set_error(tr("Please choose a name, so that the others know who you are."))
            self.display_name.focus()
        elif self._joining is None and asks:
            self._say("")
            self._ask(address)
        elif self._joining is None:
            self._joining = address
            self._say("")
            self.api.program.join(address, name, code)

    def _ask(self, address: str, closed: Closed | None = None) -> None:
        jam = next((row.title for row in self._shown if row.address == address), "")
        self.api.ask_code(jam, closed, functools.partial(self._join, address), self._give_up)

    def _give_up(self) -> None:
        if self._joining is not None:
            self.api.program.leave()


EXAMPLE = "192.168.1.42:17401"


def problem(master: Any) -> ctk.CTkLabel:
    """A line for what went wrong, at a place that is kept for it."""
    line = label(master, "", theme.SECONDARY, theme.ERROR_TEXT, wrap=px(FORM_WIDTH))
    line.configure(anchor="w")
    return line


def _side_by_side(place: Any, *fields: Field) -> None:
    """Lay out fields of the same width, with a narrow empty column between each two of them."""
    for number, field in enumerate(fields):
        place.grid_columnconfigure(2 * number, weight=1, uniform="fields")
        field.grid(row=0, column=2 * number, sticky="new")
        if number:
            place.grid_columnconfigure(2 * number - 1, minsize=px(16))


def _jam_of(name: str) -> str:
    return tr("{name}'s jam").format(name=name)


def _whole(text: str, most: int) -> int | None:
    """The number in this text, if it is one from 1 to `most`."""
    return int(text) if text.isdecimal() and len(text) < 9 and 1 <= int(text) <= most else None
