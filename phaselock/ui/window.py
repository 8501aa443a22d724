"""The window: one screen at a time, an overlay over it, toasts, and its stored settings.

It imports nothing of the network, and shows only what `Program` returns.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import sys
import time
import tkinter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from phaselock.errors import log_bug
from phaselock.language.catalogue import tr
from phaselock.model.notices import Code
from phaselock.session import commands as c
from phaselock.ui import theme
from phaselock.ui.backend import (
    AppearanceRead,
    ArtworkRead,
    Asked,
    BackendEvent,
    Closed,
    FilesGiven,
    InvitationGiven,
    Opened,
    Program,
    SessionEvent,
    SessionView,
)
from phaselock.ui.chat import WindowChat
from phaselock.ui.dialogs import Dialogs
from phaselock.ui.invitations import WindowInvitations
from phaselock.ui.keyboard import WindowKeyboard
from phaselock.ui.leaving import WindowLeaving
from phaselock.ui.look import WindowLook
from phaselock.ui.lost_display import ended_by_lost_display
from phaselock.ui.placement import MIN_SIZE, fits, geometry, position, to_remember
from phaselock.ui.pump import Pump
from phaselock.ui.screens.base import Screen
from phaselock.ui.screens.home import HomeScreen, waiting_text
from phaselock.ui.signals import ended_by_signals
from phaselock.ui.theme import ctk, px
from phaselock.ui.title_bar import ask_for_dark
from phaselock.ui.viewmodel import History, event_toast, window_title
from phaselock.ui.viewmodel.reachability import Reachability
from phaselock.ui.widgets.covers import Covers
from phaselock.ui.widgets.logo import icon_images
from phaselock.ui.widgets.toast import STRIP, Action, Kind, Toasts

if TYPE_CHECKING:
    from phaselock.ui.screens.host import HostScreen
    from phaselock.ui.screens.overlays import Overlay
    from phaselock.ui.screens.peer import PeerScreen
    from phaselock.ui.screens.session import SessionScreen
    from phaselock.ui.widgets.question import Dialog

# The other screens and overlays are imported where they open: the first screen is visible sooner.

TIDY_AFTER_MS = 1000
"""From the end of a session until its memory is freed: the first screen is complete then."""


class Window(ctk.CTk):  # type: ignore[misc]  # customtkinter has no types
    """The main window; implements `screens.base.WindowApi` for its screens and `pump.Listener`."""

    def __init__(self, program: Program) -> None:
        theme.prepare()
        super().__init__(fg_color=theme.BACKGROUND, className="PhaseLock")
        theme.setup(self)
        self.program = program
        self.look = WindowLook(program, self._make_again, lambda factor: fits(factor, self))
        self.history = History()
        self.covers = Covers(program.read_artwork)
        self.visualiser = bool(program.preferences().ui.get("visualiser", True))
        self.dialogs = Dialogs(self, program)
        self.ask_files: Callable[[], Sequence[str]] = self.dialogs.files
        self.ask_folder: Callable[[], str] = self.dialogs.folder
        self.ask_song: Callable[[], str] = self.dialogs.song
        self.ask_save: Callable[..., str] = self.dialogs.save
        self.screen: Screen | None = None
        self.overlay: Overlay | None = None
        self.toasts = Toasts(self)
        self.chat = WindowChat(self.show_toast)
        self._reachability = Reachability()
        self._question: Dialog | None = None
        self._focus_before: tkinter.Misc = self
        """The widget that had the keyboard before the overlay."""
        self._closing = False
        self.title("PhaseLock")
        self.iconphoto(True, *icon_images(self))
        self.iconbitmap()  # only asks; but without any call customtkinter sets its own icon on Windows, after 200 ms
        self.configure(fg_color=theme.BACKGROUND)
        self.minsize(*map(px, MIN_SIZE))
        first = geometry(program.preferences().ui.get("geometry"), self)
        self.geometry(first)
        self._has_position = bool(position(first))
        """The user has once chosen one."""
        self._placed = ""
        """Where the window manager has put the window, if the user has not chosen a position."""
        self.protocol("WM_DELETE_WINDOW", self.close)
        self.protocol("WM_SAVE_YOURSELF", self.end)  # X and Windows: the user logs out
        # macOS: the same, and files and invitations that the user opens with PhaseLock.
        self.tk.call("interp", "alias", "", "::tk::mac::Quit", "", self.register(self.end))
        self.tk.call("interp", "alias", "", "::tk::mac::OpenDocument", "", self.register(self._opened))
        self.tk.call("interp", "alias", "", "::tk::mac::LaunchURL", "", self.register(self._opened_url))
        self._mapped = self.bind("<Map>", self._on_map, add="+")
        self._leaving = WindowLeaving(self)
        self._invitations = WindowInvitations(self, lambda: self._session is not None, self._ask_to_change)
        WindowKeyboard(self, lambda: self._question, self._is_covered, self._invitations.paste).bind()
        self._host_address = ""
        """Of the session that is open, or was last."""
        self.waiting: Sequence[str] = ()
        self.can_drop = False
        self._accept_drops()
        self.go_home()
        self._pump = Pump(self, program, self)

    def run(self) -> None:
        """Show the window until it is closed."""
        self.start()
        with contextlib.ExitStack() as stack:
            stack.enter_context(ended_by_signals(lambda: self.after(0, self.end)))
            if self.tk.call("tk", "windowingsystem") == "x11":
                stack.enter_context(ended_by_lost_display(self.program.close))
            self.mainloop()

    def start(self) -> None:
        """Start the pump, and receive files: `run` without the main loop."""
        self._pump.start()
        self.program.read_appearance()
        self.program.receive()
        self._show_presence()

    def close(self) -> None:
        """Close the window and the program; while a session is open, after a question."""
        if self.program.state() is None:
            self.end()
        elif not self._closing:
            self._leaving.close()

    def end(self) -> None:
        """Close the window and the program without a question. A session that is open gets another host, or else ends
        with a goodbye."""
        if self._closing:
            return
        self._closing = True
        self._pump.stop()
        self.dialogs.close()
        if self.state() == "normal" and not self.attributes("-fullscreen"):
            self.program.remember(geometry=to_remember(self.geometry(), self._placed))
        self.withdraw()
        self.update_idletasks()
        self.program.close()
        self.destroy()
        gc.collect()  # on this thread, see Pump
        gc.enable()

    def report_callback_exception(self, *error: Any) -> None:
        """Tk has caught an exception in a callback: print it, and log it, because there may be no console."""
        super().report_callback_exception(*error)
        log_bug("a callback of the window", error[1])

    # -- WindowApi, for the screens ----------------------------------------------------------------------------------

    def now_s(self) -> float:
        """Monotonic time of the history, in seconds."""
        return time.monotonic()

    def go_home(self, note: str = "", lost: str = "") -> None:
        """Show the first screen; `note`: why the session ended, `lost`: the address of its host, to join it again."""
        self._show(lambda: HomeScreen(self, self, note, lost))

    def go_create(self) -> None:
        """Show the form of a new jam."""
        from phaselock.ui.screens.forms import CreateScreen

        self._show(lambda: CreateScreen(self, self))
        self.after_idle(_host_screen)  # so that it opens without a delay

    def go_browse(self) -> None:
        """Show the jams on this network."""
        from phaselock.ui.screens.forms import BrowserScreen

        self._show(lambda: BrowserScreen(self, self))
        self.after_idle(_peer_screen)

    def leave(self, at: Any = None) -> None:
        """Leave the session, or end it if hosting, after a question below the button `at`."""
        self._leaving.leave(at)

    def ask(
        self,
        text: str,
        word: str,
        act: Callable[[], object],
        at: Any = None,
        lower_y: int | None = None,
        *,
        harmless: bool = False,
    ) -> None:
        """Ask a question until it is answered: a button with the text `word` executes `act`; it is red, unless that is
        `harmless`. The question is below the widget `at`, or below its place `lower_y`, or without a widget in the
        middle."""
        from phaselock.ui.widgets.question import Question

        def agree() -> None:
            self.close_question()
            act()

        self.show_question(Question(self, text, word, agree, self.close_question, harmless=harmless), at, lower_y)

    def show_question(self, question: Dialog, at: Any = None, lower_y: int | None = None) -> None:
        """Show a question in place of the one that is asked, if any, until `close_question`: see `ask`."""
        self.close_question()
        self._question = question
        question.show(at, lower_y)

    def ask_code(
        self, jam: str, closed: Closed | None, join: Callable[[str], object], give_up: Callable[[], object]
    ) -> None:
        """Ask for the code of a jam; `join` gets it. `closed`: why the last attempt to join has failed; None: there was
        none. The dialog stays until `close_question`, or until the user gives up."""
        from phaselock.ui.screens.code import CodeDialog

        def cancel() -> None:
            self.close_question()
            give_up()

        if not isinstance(self._question, CodeDialog):
            self.close_question()
            self._question = CodeDialog(self, jam, join, cancel)
            self._question.show()
            if closed is None or closed.why is Code.CODE_NEEDED:
                return
        if closed is not None:
            self._question.refuse(closed)

    def close_question(self) -> None:
        """Remove the question, if one is asked."""
        if self._question is not None:
            self._question.destroy()
            self._question = None
            self.focus_set()

    def show_toast(self, text: str, kind: Kind = "info", action: Action | None = None) -> Callable[[], None]:
        """Show a toast. Returns what removes it, if it is still shown."""
        return self.toasts.show(text, kind=kind, action=action)

    def forget_waiting(self) -> None:
        """Add no files to the next session."""
        self._let_wait(())

    def show_spectrum(self, on: bool) -> None:
        """Switch the spectrum on or off, and store the choice."""
        self.visualiser = on
        self.program.remember(visualiser=on)

    def open_sound(self) -> None:
        """Open the panel with output and correction: in a session in the place of the queue."""
        from phaselock.ui.screens.sound import SoundOverlay

        def make() -> Overlay:
            beside = self._session is not None
            return SoundOverlay(self._session or self, self, self.close_overlay, beside=beside)

        self._open_overlay(make)

    def open_sync(self) -> None:
        """Open the overlay with the large plot."""
        from phaselock.ui.screens.sync import SyncOverlay

        self._open_overlay(lambda: SyncOverlay(self, self, self.close_overlay))

    def open_display(self) -> None:
        """Open the overlay with size, contrast and motion."""
        from phaselock.ui.screens.display import DisplayOverlay, Used

        used = Used()
        self._open_overlay(lambda: DisplayOverlay(self, self, self.look, self.close_overlay, used))

    def open_songs(self) -> None:
        """Open the host's overlay with loudness and transitions of the songs."""
        from phaselock.ui.screens.songs import SongsOverlay

        self._open_overlay(lambda: SongsOverlay(self, self, self.close_overlay))

    def open_music(self) -> None:
        """Open the host's panel that searches in the music folder, in the place of the queue."""
        from phaselock.ui.screens.music import MusicOverlay

        self._open_overlay(lambda: MusicOverlay(self._session, self, self.close_overlay))

    def open_share(self, tab: int | None = None) -> None:
        """Open the host's overlay with address and code (tab 0) and the page for phones (1); None: the last tab."""
        from phaselock.ui.screens.share import ShareOverlay

        self._open_overlay(lambda: ShareOverlay(self, self, self.close_overlay, tab))

    def open_chat(self) -> None:
        """Open the chat in the place of the queue, or close it."""
        from phaselock.ui.screens.chat import ChatOverlay

        if self.chat.is_open:
            self.close_overlay()
        else:
            self._open_overlay(lambda: ChatOverlay(self._session, self, self.close_overlay))

    def open_rules(self) -> None:
        """Open the host's overlay with the rules for songs that people ask for."""
        from phaselock.ui.screens.rules import RulesOverlay

        self._open_overlay(lambda: RulesOverlay(self, self, self.close_overlay))

    def open_shortcuts(self) -> None:
        """Open the overlay with the keys."""
        from phaselock.ui.screens.overlays import ShortcutsOverlay

        self._open_overlay(lambda: ShortcutsOverlay(self, self.close_overlay))

    def close_overlay(self) -> None:
        """Close the overlay, if one is open."""
        if self.overlay is not None:
            overlay, self.overlay = self.overlay, None
            overlay.destroy()
            if overlay.beside and self._session is not None:
                self._session.show_beside(None)
            elif self.screen is not None:
                self._place(self.screen)
                self.screen.lower()
                self.screen.uncovered()
            self._focus_before.focus_set()

    # -- from the pump -----------------------------------------------------------------------------------------------

    def on_event(self, event: BackendEvent) -> None:
        """Show an event, and pass it to overlay and screen."""
        match event:
            case Opened():
                self._show_session()
            case Closed(reason=reason, failed=failed):
                if self._session is not None and self.program.state() is None:
                    self.close_overlay()
                    self.toasts.clear()
                    self.history.clear()
                    self.covers.clear()
                    self.chat.clear()
                    self.close_question()
                    self.title("PhaseLock")
                    if self._invitations.session_ended():
                        return
                    can_rejoin = not self._hosting and event.why is not Code.BARRED
                    self.go_home(reason if failed else "", self._host_address if can_rejoin else "")
                    if reason and not failed:
                        self.show_toast(reason)
                    self.after(TIDY_AFTER_MS, self._free_memory)
                    return
            case SessionEvent():
                self._show_toast_of(event)
            case ArtworkRead():
                self.covers.take(event)
            case AppearanceRead():
                self.look.take(event)
                return
            case FilesGiven(paths=paths):
                self._come_to_the_front()
                self.drop(paths)
            case InvitationGiven(text=text):
                self._come_to_the_front()
                self._invitations.opened(text)
            case Asked(what="raise"):
                self._come_to_the_front()
            case Asked(what="quit"):
                self._come_to_the_front()  # with the question, if there is one
                self.close()
                return
        if self.overlay is not None:
            self.overlay.on_event(event)
        if self.screen is not None:
            self.screen.on_event(event)

    def on_state(self, state: SessionView | None) -> None:
        """Show the newest view."""
        if state is None or self.screen is None or self._session is None:
            return
        self._show_presence()  # not only at its events: X11 does not always send them
        self._host_address = state.address
        self.history.take(state, self.now_s())
        if (toast := self._reachability.take(state.snapshot.invitation, self.now_s())) is not None:
            self.show_toast(toast.text, toast.kind)
        title = window_title(state)
        if title != self.title():
            self.title(title)
        self.screen.on_state(state)
        if self.overlay is not None:
            self.overlay.on_state(state)

    def tick(self, session_ns: int | None) -> None:
        """Animate the overlay, or else the screen."""
        if self.overlay is not None:
            self.overlay.tick()
        if self.screen is not None and not self._is_covered() and self.winfo_viewable():
            self.screen.tick(session_ns)

    def moves(self) -> bool:
        """Whether something moves with each tick: an overlay, or else the spectrum."""
        return self.overlay is not None or (self._session is not None and self._session.playing.moves())

    # -- inside ------------------------------------------------------------------------------------------------------

    @property
    def _session(self) -> SessionScreen | None:
        """The screen, if it shows a session."""
        return cast("SessionScreen", self.screen) if self.screen is not None and self.screen.in_session else None

    @property
    def _hosting(self) -> bool:
        """The screen is the host's."""
        return self._session is not None and self._session.hosting

    def _free_memory(self) -> None:
        """Free what the last session has left. A new one has not begun."""
        if self.program.state() is None:
            theme.forget()
            gc.collect()
            self.program.free_memory()

    def _show_session(self) -> None:
        state = self.program.state()
        if state is not None:
            self.history.clear()
            self.close_question()  # it may be about the other role
            screen = _host_screen() if state.hosting else _peer_screen()
            self._show(lambda: screen(self, self))
            self.on_state(state)
            waiting, self.waiting = self.waiting, ()
            if waiting:
                self.drop(waiting)

    def _ask_to_change(self, act: Callable[[], object]) -> None:
        self.ask(self._leaving.ending(), tr("Join the other jam"), act)

    def _let_wait(self, paths: Sequence[str]) -> None:
        """Set the files that are added to the next session, and say so."""
        self.waiting = paths
        if isinstance(self.screen, HomeScreen):
            self.screen.show_waiting()
        elif paths:
            self.show_toast(waiting_text(paths))

    def _come_to_the_front(self) -> None:
        if self.state() == "iconic":
            self.deiconify()
        self.lift()
        (self.focus_lastfor() or self).focus_force()

    def _show(self, make: Callable[[], Screen]) -> None:
        self.close_overlay()
        before = self.screen
        self.screen = make()
        self._place(self.screen)
        if before is not None:
            if not before.in_session:
                self.close_question()  # its callbacks are those of the screen
            before.destroy()
        self.screen.lower()

    def _open_overlay(self, make: Callable[[], Overlay]) -> None:
        self.close_overlay()
        focused = self.focus_get()
        self._focus_before = focused if getattr(focused, "keyboard", False) else self
        self._make_overlay = make
        self.overlay = make()
        self.overlay.focus_set()
        if self.overlay.beside and self._session is not None:
            self._session.show_beside(self.overlay)
            return
        self._place(self.overlay)
        self.overlay.lower()
        if self.screen is not None:
            self.screen.place_forget()  # else Tab would reach hidden widgets

    def _show_toast_of(self, event: SessionEvent) -> None:
        state = self.program.state()
        self.chat.on_event(event.event, state.snapshot.display_name if state is not None else "")
        toast = event_toast(event, self._hosting, state.snapshot if state is not None else None)
        if toast is not None:
            actions: dict[str | None, tuple[str, c.HostCommand]] = {
                "retry": (tr("Retry"), c.Retry(toast.peer)),
                "allow": (tr("Let in again"), c.AllowPeer(toast.peer)),
            }
            word, command = actions.get(toast.action, ("", None))
            action = (word, functools.partial(self.program.command, command)) if command is not None else None
            self.toasts.show(toast.text, kind=toast.kind, action=action)

    def _is_covered(self) -> bool:
        return self.overlay is not None and not self.overlay.beside

    def _on_map(self, event: Any) -> None:
        if event.widget is self:
            self.unbind("<Map>", self._mapped)
            ask_for_dark(self)
            self._placed = "" if self._has_position else position(self.geometry())

    def _make_again(self) -> None:
        """Make all widgets again: the look has changed. What the user has typed stays."""
        overlay = self._make_overlay if self.overlay is not None else None
        self.minsize(*map(px, MIN_SIZE))
        self.configure(fg_color=theme.BACKGROUND)
        if self.screen is not None:
            self._show(self.screen.again)
            if (state := self.program.state()) is not None:
                self.on_state(state)
        if overlay is not None:
            self._open_overlay(overlay)

    def _place(self, shown: Screen | Overlay) -> None:
        """Let it fill the window, except for the strip of the toasts."""
        # customtkinter does not let `place` set the height.
        tkinter.Place.place_configure(shown, relx=0, rely=0, relwidth=1, relheight=1, height=-px(STRIP))

    def _show_presence(self) -> None:
        handle = int(self.frame(), 16) if sys.platform == "win32" else self.winfo_id()
        self.program.show_presence(str(self.tk.call("focus")) != "", handle)

    def _accept_drops(self) -> None:
        """Accept dropped files if the optional tkinterdnd2 is installed and works."""
        try:
            from tkinterdnd2 import DND_FILES, TkinterDnD

            TkinterDnD._require(self)
            self.tk.call("tkdnd::drop_target", "register", self._w, DND_FILES)
            self.bind("<<Drop:DND_Files>>", self._dropped)
            self.can_drop = True
        except (ImportError, RuntimeError, tkinter.TclError, AttributeError):
            return

    def _dropped(self, event: Any) -> str:
        self.drop(self.tk.splitlist(event.data))
        return str(getattr(event, "action", "copy"))

    def _opened(self, *paths: str) -> None:
        self.on_event(FilesGiven(paths))

    def _opened_url(self, url: str) -> None:
        self.on_event(InvitationGiven(url))

    def drop(self, paths: Sequence[str]) -> None:
        """Add the files that were dropped on the window, or request them from the host. They wait for a session if
        none is open; a file that is dropped again does not wait twice."""
        if self._hosting:
            self.program.add(list(paths))
        elif self._session is not None:
            for path in paths:
                self.program.request(path)
        else:
            self._let_wait(tuple(dict.fromkeys((*self.waiting, *paths))))


def _host_screen() -> type[HostScreen]:
    from phaselock.ui.screens.host import HostScreen

    return HostScreen


def _peer_screen() -> type[PeerScreen]:
    from phaselock.ui.screens.peer import PeerScreen

    return PeerScreen
