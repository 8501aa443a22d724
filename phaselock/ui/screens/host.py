"""The screen of the host: peers, the current song, the queue, and the requests of the peers."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from phaselock.language.catalogue import tr, tr_plural
from phaselock.model.code import normal_code
from phaselock.model.invitation import InvitationState
from phaselock.model.notices import Code
from phaselock.model.role import ROLE_NAMES, ROLES, Role
from phaselock.model.snapshot import RequestState
from phaselock.session import commands as c
from phaselock.session.events import Warned
from phaselock.ui import theme
from phaselock.ui.backend import BackendEvent, SessionEvent, SessionView
from phaselock.ui.direction import isolated
from phaselock.ui.screens.base import WindowApi
from phaselock.ui.screens.chat import ChatButton
from phaselock.ui.screens.code import copy_invitation, new_code
from phaselock.ui.screens.conversion import ConversionLine
from phaselock.ui.screens.guests import Guests
from phaselock.ui.screens.host_queue import HostQueue
from phaselock.ui.screens.playing import PlayingPanel
from phaselock.ui.screens.requests import Requests
from phaselock.ui.screens.session import CAPTION_HEIGHT, SessionScreen
from phaselock.ui.theme import ctk, px
from phaselock.ui.viewmodel import HostView, PeerRow, QueueRows, RequestRow, host_view
from phaselock.ui.widgets.base import frame
from phaselock.ui.widgets.buttons import CodeButton, IconButton, SecondaryButton, TextButton
from phaselock.ui.widgets.line import Line
from phaselock.ui.widgets.menu import popup
from phaselock.ui.widgets.panel import Panel
from phaselock.ui.widgets.rows import Row
from phaselock.ui.widgets.rows.speakers import CHANNELS, MUTE, SpeakerList, SpeakerRow
from phaselock.ui.widgets.tooltip import attach
from phaselock.ui.widgets.transport import Transport

PEERS_COLUMN, QUEUE_COLUMN = (0.22, 236, 440), (0.28, 280, 640)
"""Share of the width of the window, and limits in pixels of the design."""
CHANNELS_MENU_X = 8
"""Left end of the menu of channels, below the picture of a peer."""
MAX_CODE_WIDTH = 160
"""In pixels of the design; a longer word is whole in the panel that `share` opens."""
NARROW = 1000
"""The width of the window, in pixels of the design, below which the header has no room for address and code."""
MIN_QUEUE_WIDTH = QUEUE_COLUMN[1] - 32
DOTS = {"green": theme.PRIMARY, "yellow": theme.WARNING, "red": theme.ERROR}
CHIPS = {"good": theme.TEXT, "warning": theme.WARNING, "error": theme.ERROR_TEXT, "neutral": theme.TEXT_SECONDARY}
SEEK_STEP_S = 5.0
_ABOUT_INVITATION = (Code.INVITATION_GUESSED, Code.INVITATION_VOID)


class HostScreen(SessionScreen):
    """Shows the session and sends the host's commands."""

    hosting = True

    def __init__(self, master: Any, api: WindowApi) -> None:
        super().__init__(master, api)
        self._command = api.program.command
        self._view: HostView | None = None
        self._narrow = False
        self._queue_rows = QueueRows()
        self._removed: list[tuple[Sequence[UUID], Callable[[], None]]] = []
        """Of each removal that was not undone, the newest last: the songs, and what removes its toast."""
        self.grid_columnconfigure(1, weight=1)
        self.grid_rowconfigure(1, weight=1)
        self._build_header()
        self._build_peers()
        self._build_playing()
        self._build_queue()
        self.bind("<Configure>", self._fit, add="+")

    # -- display ----------------------------------------------------------------------------------------------------

    def on_state(self, state: SessionView) -> None:
        view, before = host_view(state, self._queue_rows), self._view
        self._view = view
        if before is None or (view.title, view.subtitle, view.address, view.code) != (
            before.title,
            before.subtitle,
            before.address,
            before.code,
        ):
            self._title.set(isolated(view.title))
            self._subtitle.set(view.subtitle)
            self.address.set_text(view.address)
            self._show_code(view.code)
        if before is None or (view.code, bool(view.guests)) != (before.code, bool(before.guests)):
            self._show_hint(view.code, bool(view.guests))
        if before is None or (view.removed, view.removed_guests) != (before.removed, before.removed_guests):
            self._show_removed((*view.removed, *view.removed_guests))
        if before is None or (view.guests, view.guests_note) != (before.guests, before.guests_note):
            self._guests.show(view.guests, view.guests_note)
        if before is None or view.peers != before.peers:
            self.peers.set_rows([_peer_row(row) for row in view.peers])
        if before is None or view.queue is not before.queue:
            self.show_queue(view.queue)
        if before is None or view.queue_note != before.queue_note:
            self._queue_panel.set_note(view.queue_note, px(MIN_QUEUE_WIDTH))
            self.add.set_main(not view.queue)
        invitation = state.snapshot.invitation
        self.share.set_on(invitation is not None and invitation.state is not InvitationState.WITHDRAWN)
        self.playing.show(state, view.now, view.sync, view.skip)
        if before is None or view.transport != before.transport:
            can = view.transport.can
            self.transport.set(view.transport.playing, can, view.transport.play_tooltip)
            self.transport.set_modes(shuffle=view.transport.shuffle, repeat=view.transport.repeat)
        if before is None or (view.requests, view.more_requests) != (before.requests, before.more_requests):
            self._requests.show([_request_row(row) for row in view.requests], view.more_requests)

    def on_event(self, event: BackendEvent) -> None:
        super().on_event(event)
        self._host_queue.on_event(event)
        self.conversion.on_event(event)

    def banner_action(self, event: SessionEvent) -> tuple[str, Callable[[], object]] | None:
        if isinstance(event.event, Warned) and event.event.notice.code in _ABOUT_INVITATION:
            return tr("Show the invitation"), self._show_invitation
        return tr("Change the code"), self.change_code

    def change_code(self) -> None:
        """Give the session a new code, and show it."""
        self.close_banner()
        self._command(c.ChangeCode(new_code()))
        self.api.open_share(0)

    def _show_invitation(self) -> None:
        self.close_banner()
        self.api.open_share(2)

    def _share_text(self) -> str:
        if self.share.on:
            return tr("An invitation for friends elsewhere is open.")
        return tr("Let others join: with PhaseLock, with a phone, or from elsewhere")

    def key(self, name: str) -> bool:
        actions = {
            "play_pause": self.play_pause,
            "stop": lambda: self._command(c.Stop()),
            "next": lambda: self._command(c.Next()),
            "previous": lambda: self._command(c.Previous()),
            "forward": lambda: self._skip(SEEK_STEP_S),
            "back": lambda: self._skip(-SEEK_STEP_S),
            "add": self.add_files,
            "shuffle": self.shuffle,
            "repeat": self.repeat,
            "undo": self.undo,
        }
        if name in actions:
            actions[name]()
        return name in actions or super().key(name)

    # -- commands ---------------------------------------------------------------------------------------------------

    def play_pause(self) -> None:
        """Toggle between playing and paused."""
        if self._view is None or "play_pause" not in self._view.transport.can:
            return
        self._command(c.Pause() if self._view.transport.playing else c.Play())

    def add_files(self) -> None:
        """Let the user choose files to add."""
        if paths := self.api.ask_files():
            self.api.program.add(list(paths))

    def add_folder(self) -> None:
        """Let the user choose a folder; all its songs are added."""
        if path := self.api.ask_folder():
            self.api.program.add([path])

    def shuffle(self) -> None:
        """Shuffle what is to come, or give it its order back."""
        if self._view is not None:
            self._command(c.Shuffle(None if self._view.transport.shuffle else random.getrandbits(64)))

    def repeat(self) -> None:
        """Switch the repetition of the queue on or off."""
        if self._view is not None:
            self._command(c.Repeat(not self._view.transport.repeat))

    def undo(self, removed: Sequence[UUID] = ()) -> None:
        """Put these songs back, or else those of the last removal that was not undone."""
        if not (removed or self._removed):
            return
        songs = removed or self._removed[-1][0]
        for one, forget_toast in self._removed:
            if one is songs:
                forget_toast()
        self._removed = [one for one in self._removed if one[0] is not songs]
        for file_id in reversed(songs):
            self._command(c.Restore(file_id))

    def _skip(self, seconds: float) -> None:
        self.playing.seekbar.skip(seconds)

    def _remove(self, removed: Sequence[UUID]) -> None:
        titles = [row.title for row in self._view.queue if row.id in removed] if self._view is not None else []
        for file_id in removed:
            self._command(c.Remove(file_id))
        text = tr_plural("{song} was removed.", "{number} songs were removed.", len(removed))
        text = text.format(song="".join(titles[:1]), number=len(removed))
        forget_toast = self.api.show_toast(text, action=(tr("Undo"), lambda: self.undo(removed)))
        self._removed.append((removed, forget_toast))

    def _peer_action(self, key: str, action: str) -> None:
        peer = self._peer(key)
        if peer is not None and action == "drop":
            question = tr("{name} will be sent away.").format(name=peer.name)
            send_away = functools.partial(self._command, c.DropPeer(peer.name))
            self.api.ask(question, tr("Send away"), send_away, self.peers, self.peers.lower_y(key))
        elif peer is not None and action == CHANNELS:
            items = [(tr(ROLE_NAMES[role]), functools.partial(self._set_peer_role, key, role)) for role in ROLES]
            popup(self.peers, items, px(CHANNELS_MENU_X), self.peers.lower_y(key))
        elif peer is not None:
            commands: dict[str, c.HostCommand] = {
                "retry": c.Retry(peer.name),
                "without": c.Without(peer.name),
                MUTE: c.SetPeerVolume(peer.name, muted=not peer.muted),
            }
            self._command(commands[action])

    def _set_peer_volume(self, key: str, volume_percent: int) -> None:
        peer = self._peer(key)
        if peer is not None:
            self._command(c.SetPeerVolume(peer.name, volume_percent, muted=False))

    def _set_peer_role(self, key: str, role: Role) -> None:
        peer = self._peer(key)
        if peer is not None:
            self._command(c.SetPeerRole(peer.name, role))

    def _peer(self, key: str) -> PeerRow | None:
        rows = self._view.peers if self._view is not None else ()
        return next((row for row in rows if str(row.peer_id) == key), None)

    def _remove_guest(self, key: str) -> None:
        guest = next((row for row in self._view.guests if row.guest_id == key), None) if self._view else None
        if guest is not None:
            question = tr("{name} will be removed, and cannot come back until you allow it.").format(name=guest.name)
            remove = functools.partial(self._command, c.RemoveGuest(bytes.fromhex(key)))
            self.api.ask(question, tr("Remove"), remove, self._guests.list, self._guests.list.lower_y(key))

    def _request_action(self, key: str, action: str) -> None:
        request_id = UUID(key)
        self._command(c.Accept(request_id) if action == "accept" else c.Reject(request_id))

    def _open_queue_menu(self) -> None:
        self._host_queue.open_list_menu(self._queue_panel.header, self.find)

    def _show_code(self, code: str) -> None:
        self.code.set_text(_cut(code))
        self._fit_header()

    def _show_hint(self, code: str, has_guests: bool) -> None:
        """Say how peers join while there are none. Guests below leave no room for the long text."""
        if has_guests:
            self.peers.set_empty(tr("No other machine is here."))
            self.peers.set_empty_button(None, None)
            return
        hint = tr(
            "Nobody here yet. Others open PhaseLock and choose Join jam. They see this jam in the list, or type its "
            "address."
        )
        if code:
            asked = tr("They are asked for the code {code}.").format(code=code.replace(" ", "\N{NO-BREAK SPACE}"))
            hint = f"{hint} {asked}"
        self.peers.set_empty(hint)
        if code:
            self.peers.set_empty_button(tr("Copy invitation"), self._copy_invitation)
        else:
            self.peers.set_empty_button(tr("Copy address"), self._copy_address)

    def _show_removed(self, names: Sequence[str]) -> None:
        """Show below the peers which machines and guests the user has removed."""
        if names:
            self._barred_names.set(tr("Removed: {peers}").format(peers=", ".join(map(isolated, names))))
            self._barred.pack(side="bottom", fill="x", pady=(px(8), 0), before=self.peers)
        else:
            self._barred.pack_forget()

    def _let_in(self) -> None:
        """Let a removed machine or guest in again; of several, the one that the user chooses."""
        if self._view is None:
            return
        allowed: list[c.HostCommand] = [c.AllowPeer(name) for name in self._view.removed]
        allowed += [c.AllowGuest(name) for name in self._view.removed_guests]
        names = (*self._view.removed, *self._view.removed_guests)
        items = [(name, functools.partial(self._command, one)) for name, one in zip(names, allowed, strict=True)]
        if len(items) == 1:
            items[0][1]()
        else:
            popup(self.let_in, items, 0, self.let_in.winfo_height())

    def _fit_header(self) -> None:
        """Show the code, if there is one. In a narrow window it takes the place of the address, which `share` shows."""
        code = self._view.code if self._view is not None else ""
        for control, shown, gap in (
            (self.address, not (code and self._narrow), 0),
            (self.copy, not (code and self._narrow), 4),
            (self.code, bool(code), 8),
        ):
            control.pack_forget()
            if shown:
                control.pack(side="left", padx=(px(gap), 0), before=self.share)

    def _whole_code(self) -> str:
        """The code, if the header has room for a part of it only."""
        code = self._view.code if self._view is not None else ""
        return code if _cut(code) != code else ""

    def _copy_address(self) -> None:
        if self._view is not None:
            self.clipboard_clear()
            self.clipboard_append(self._view.address)
            self.api.show_toast(tr("Address copied."))

    def _copy_invitation(self) -> None:
        if self._view is not None:
            copy_invitation(self, self.api, self._view.address, normal_code(self._view.code))

    # -- construction ------------------------------------------------------------------------------------------------

    def _build_header(self) -> None:
        head = ctk.CTkFrame(self, fg_color="transparent", height=px(64))
        head.grid(row=0, column=0, columnspan=3, sticky="ew", padx=px(24), pady=(px(16), px(12)))
        self.make_title(head)
        buttons = ctk.CTkFrame(head, fg_color="transparent")
        buttons.grid(row=0, column=1, rowspan=2, sticky="e")
        self.make_volume(buttons).pack(side="left", padx=(0, px(16)), pady=(px(CAPTION_HEIGHT), 0))
        self.address = SecondaryButton(buttons, "", self._copy_address)
        self.address.pack(side="left")
        self.copy = IconButton(buttons, "copy", self._copy_address, tooltip=tr("Copy the address for others to join"))
        self.copy.pack(side="left", padx=(px(4), 0))
        self.code = CodeButton(buttons, "", lambda: self.api.open_share(0))
        attach(self.code, self._whole_code)
        self.share = IconButton(buttons, "qr", self.api.open_share, tooltip=self._share_text)
        self.share.pack(side="left", padx=(px(4), 0))
        self.chat = ChatButton(buttons, self.api)
        self.chat.pack(side="left", padx=(px(12), 0))
        IconButton(buttons, "settings", self.api.open_sound, tooltip=tr("Sound")).pack(side="left", padx=(px(4), 0))
        self.end = TextButton(buttons, tr("End jam"), lambda: self.api.leave(self.end))
        self.end.pack(side="left", padx=(px(12), 0))

    def _build_peers(self) -> None:
        panel = Panel(self, tr("Peers"))
        panel.grid(row=1, column=0, sticky="nsew", padx=(px(24), 0), pady=(0, px(8)))
        self._barred = frame(panel.body)
        self._barred_names = Line(self._barred, theme.SECONDARY, theme.TEXT_SECONDARY)
        self._barred_names.pack(fill="x")
        self.let_in = TextButton(self._barred, tr("Let in again"), self._let_in)
        self.let_in.pack(anchor="w")
        self.peers = SpeakerList(panel.body, on_volume=self._set_peer_volume, on_action=self._peer_action)
        self.peers.pack(fill="both", expand=True)
        self._guests = Guests(panel.body, self.peers, self._remove_guest)
        self.guests = self._guests.list

    def _build_playing(self) -> None:
        self.playing = PlayingPanel(self, self.api, on_seek=lambda seconds: self._command(c.Seek(seconds)))
        self.playing.grid(row=1, column=1, sticky="nsew", padx=px(12), pady=(0, px(8)))
        controls = self.playing.controls
        controls.grid_columnconfigure((0, 2), weight=1)
        self.transport = Transport(
            controls,
            {
                "shuffle": self.shuffle,
                "stop": lambda: self._command(c.Stop()),
                "previous": lambda: self._command(c.Previous()),
                "play": self.play_pause,
                "next": lambda: self._command(c.Next()),
                "repeat": self.repeat,
            },
            last=self.playing.make_spectrum_button,
        )
        self.transport.grid(row=0, column=1)

    def _build_queue(self) -> None:
        panel = self._queue_panel = Panel(self, tr("Queue"))
        panel.grid(row=1, column=2, sticky="nsew", padx=(0, px(24)), pady=(0, px(8)))
        self.queue = self._host_queue = HostQueue(panel.body, self.api, self._remove)
        search = tr("Search my music")
        self.search = IconButton(panel.header, "search", self.api.open_music, diameter=28, tooltip=search)
        more = IconButton(panel.header, "more", self._open_queue_menu, diameter=28, tooltip=tr("More"))
        panel.set_tools(self.search, more)
        buttons = ctk.CTkFrame(panel.body, fg_color="transparent")
        buttons.pack(side="bottom", fill="x", pady=(px(12), 0))
        self.queue.pack(fill="both", expand=True)
        self.add = SecondaryButton(buttons, tr("Add songs"), self.add_files)
        folder = TextButton(buttons, tr("Add folder"), self.add_folder)
        if self.add.winfo_reqwidth() + px(8) + folder.winfo_reqwidth() <= px(MIN_QUEUE_WIDTH):
            self.add.pack(side="left", fill="x", expand=True)
            folder.pack(side="left", padx=(px(8), 0))
        else:  # in languages with long words
            self.add.pack(fill="x")
            folder.pack(pady=(px(4), 0))
        self.conversion = ConversionLine(panel.body, buttons, self.api.program.cancel_conversion)
        self._requests = Requests(panel.body, buttons, self._request_action)
        self.requests = self._requests.list

    def _fit(self, event: Any) -> None:
        narrow = event.width < px(NARROW)
        if narrow != self._narrow:
            self._narrow = narrow
            self._fit_header()
        self.fit(self.peers, event.width, *PEERS_COLUMN)
        self.fit(self.queue, event.width, *QUEUE_COLUMN)


def _cut(code: str) -> str:
    """The code as far as the header has room."""
    return theme.ellipsis(code, theme.canvas_font(theme.SECTION, True), px(MAX_CODE_WIDTH))


def _dot(row: PeerRow) -> str:
    """The colour of the dot before the state of a peer, which says it in words."""
    if row.trouble:
        return theme.ERROR if row.chip_kind == "error" else theme.WARNING
    return DOTS[row.latency_class]


def _peer_row(row: PeerRow) -> Row:
    mute = ((MUTE, "muted" if row.muted else "volume", row.mute_text),) if row.volume_percent is not None else ()
    more = (("retry", "next", tr("Send again")), ("without", "stop", tr("Go on without it"))) if row.can_retry else ()
    channels = ((CHANNELS, "channels", row.channels_text),) if row.channels_text else ()
    news = row.trouble or ("" if row.has_all_files else row.detail)
    return SpeakerRow(
        str(row.peer_id),
        row.name,
        news or row.latency_text,
        initial=row.initial,
        colour_dot=_dot(row),
        chip=(row.chip_text, CHIPS[row.chip_kind]),
        progress=row.progress,
        actions=(*channels, *mute, *more, ("drop", "close", tr("Send {name} away").format(name=row.name))),
        tooltip=row.tooltip,
        volume_percent=row.volume_percent,
        muted=row.muted,
    )


def _request_row(row: RequestRow) -> Row:
    actions: tuple[tuple[str, str, str], ...] = ()
    if row.decidable:
        actions = (("accept", "tick", tr("Accept")), ("reject", "cross", tr("Reject")))
    elif row.state == RequestState.CONVERTING:
        actions = (("reject", "cross", tr("Cancel the conversion")),)
    return Row(
        str(row.request_id),
        row.title,
        row.subtitle,
        right=row.duration_text,
        progress=row.progress,
        actions=actions,
        actions_shown=True,
    )
