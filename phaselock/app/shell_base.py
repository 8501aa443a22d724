"""What the shells of host and peer have in common: reading a line, its answer, and the commands that both know.

For the network thread, except `completions`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, Protocol
from uuid import UUID

from phaselock.app import typed
from phaselock.app.output_correction import OutputCorrection
from phaselock.app.typed import Completed, nothing_after
from phaselock.audio.interface import AudioOutput
from phaselock.errors import PhaseLockError, bug_net
from phaselock.frozen import frozen
from phaselock.language.catalogue import date_text
from phaselock.language.message import N_, Message
from phaselock.model.names import CHAT_CHARS
from phaselock.model.notices import Code, Notice
from phaselock.model.role import ROLES
from phaselock.network.runner import Runner
from phaselock.session import commands as c
from phaselock.session import events as e
from phaselock.session.hearing_sentences import heard_text
from phaselock.session.sentences import NoticeError, notice_of, song_of
from phaselock.storage.settings import SettingsStore
from phaselock.storage.typed_paths import typed_paths


class Terminal(Protocol):
    """Shows events."""

    def event(
        self, event: e.Event, *, to_people: bool = True, name_of: Callable[[UUID], str | None] | None = None
    ) -> None: ...

    def progress(self, status: Callable[[], e.StatusReported], sync: e.SyncMeasured) -> None: ...


@frozen
class Word:
    """A command: its method, which gets the rest of the line, and its texts for `help`."""

    run: Callable[[Any, str], None]
    form: str
    meaning: str
    values: Literal["", "path", "peer", "on_or_off", "role", "trims"] = ""
    """What Tab completes after the word."""


class Shell:
    """Parses lines of standard input and executes them as commands. The answer is an event: the result or an error."""

    WORDS: ClassVar[Mapping[str, Word]]
    """The commands by their words, in the order of `help`."""
    SYNONYMS: ClassVar[Mapping[str, str]]
    """Other words for commands."""

    def __init__(
        self,
        runner: Runner[Any],
        output: AudioOutput,
        correction: OutputCorrection,
        store: SettingsStore,
        terminal: Terminal,
        address: Callable[[], str] = str,
    ) -> None:
        """`address` returns the place of the host as `phaselock join` takes it; empty: `status` shows none."""
        self._runner = runner
        self._output = output
        self._correction = correction
        self._store = store
        self._terminal = terminal
        self._address = address
        self._sync: e.SyncMeasured | None = None
        self._told_ready: set[UUID] = set()
        self._sent: set[tuple[str | None, UUID]] = set()
        """Files of which a part was sent to a peer: the name of the peer, and the track."""
        self._failures = 0
        """Number of `error` events so far."""
        self._peer_names: tuple[str, ...] = ()
        self._files: concurrent.futures.ThreadPoolExecutor | None = None
        """Looks for the files of typed paths, one line after the other."""

    def line(self, line: str) -> None:
        """Execute one line of input. An error is reported as an `error` event."""
        typed_word, _, rest = line.strip().partition(" ")
        if not typed_word:
            return
        try:
            word = self._word(typed_word)
            if word is None:
                raise self._unknown(typed_word)
            with bug_net("a typed command", PhaseLockError):
                word.run(self, rest.strip())
        except PhaseLockError as error:
            self._failed(error)

    def tell(self, event: e.Event) -> None:
        """Show an event of the session; with a `sync` event also the progress line."""
        self._failures += isinstance(event, e.Failed)
        self._terminal.event(event, to_people=self._is_for_people(event), name_of=self._song)
        if isinstance(event, e.SyncMeasured):
            self._sync = event
            self._terminal.progress(self._status_told, event)

    def _is_for_people(self, event: e.Event) -> bool:
        match event:
            case e.FileReady(file_id=file_id):
                # A track becomes ready again when a peer that joined later has received it.
                is_new = file_id not in self._told_ready
                self._told_ready.add(file_id)
                return is_new
            case e.TransferChanged(state=e.TransferState.SENDING):
                self._sent.add((event.peer, event.file_id))
            case e.TransferChanged(state=e.TransferState.DONE):
                # A peer that had the file before confirms it, too: after each change of the host, for example.
                return (event.peer, event.file_id) in self._sent
        return True

    def follow(self, before: Shell) -> None:
        """Go on after the shell of the role that this machine had before."""
        self._told_ready = before._told_ready

    def completions(self, before: str) -> list[Completed]:
        """How the text before the cursor could go on. Any thread may call this; it may block."""
        first, blank, rest = before.lstrip().partition(" ")
        if not blank:
            return typed.beginning_with(first, sorted(self.WORDS))
        word = self._word(first)
        match word.values if word else "":
            case "path":
                return typed.path_completions(rest)
            case "peer":
                return typed.beginning_with(rest.lstrip(), self._peer_names)
            case "on_or_off":
                return typed.beginning_with(rest.lstrip(), ("on", "off"))
            case "trims":
                return typed.beginning_with(rest.lstrip(), ("even", "undo", "reset"))
            case "role":
                name, blank, start = rest.lstrip().rpartition(" ")
                named = blank and name.casefold() in map(str.casefold, self._peer_names)
                roles = typed.beginning_with(start, ROLES) if named else []
                return roles or typed.beginning_with(rest.lstrip(), (*ROLES, *self._peer_names))
        return []

    def _word(self, typed_word: str) -> Word | None:
        word = typed_word.casefold()
        return self.WORDS.get(self.SYNONYMS.get(word, word))

    def _unknown(self, typed_word: str) -> NoticeError:
        shown = Message.joined("", (typed_word,))  # a typed word is no message id, even if it equals one
        meant = typed.similar(typed_word.casefold(), (*self.WORDS, *self.SYNONYMS))
        if meant is None:
            return NoticeError(Notice(Code.UNKNOWN_COMMAND, shown, choices=tuple(self.WORDS)))
        return NoticeError(Notice(Code.MISTYPED_COMMAND, shown, choices=(self.SYNONYMS.get(meant, meant),)))

    def _failed(self, error: PhaseLockError) -> None:
        self._failures += 1
        self._terminal.event(e.Failed(self._runner.session_ns(), notice_of(error)), name_of=self._song)

    def _answer(self, notice: Notice) -> None:
        self._terminal.event(e.Answered(self._runner.session_ns(), notice), name_of=self._song)

    def _with_paths(self, text: str, form: str, take: Callable[[list[str]], object]) -> None:
        """Call `take` on this thread with the paths that `text` names. Looking for them may take long."""
        if not text:
            raise typed.usage_error(form)
        if self._files is None:
            self._files = concurrent.futures.ThreadPoolExecutor(1, "typed paths")

        def found(looking: asyncio.Future[list[str]]) -> None:
            try:
                with bug_net("the paths of a typed command", PhaseLockError):
                    take(looking.result())
            except PhaseLockError as error:
                self._failed(error)

        asyncio.get_running_loop().run_in_executor(self._files, typed_paths, text).add_done_callback(found)

    def _song(self, file_id: UUID) -> str | None:
        return song_of(self._runner.snapshot(), file_id)

    def _help(self, rest: str) -> None:
        rows = tuple(e.HelpRow(name, _form(name, word), Message(word.meaning)) for name, word in self.WORDS.items())
        self._terminal.event(e.HelpTold(self._runner.session_ns(), rows))

    def _queue(self, rest: str) -> None:
        nothing_after("queue", rest)
        snapshot = self._runner.snapshot()
        rows, votes = tuple(map(e.queue_row, snapshot.queue)), tuple(map(e.votes_row, snapshot.votes))
        self._terminal.event(e.QueueChanged(self._runner.session_ns(), queue=rows, asked=True, votes=votes))

    def _requests(self, rest: str) -> None:
        nothing_after("requests", rest)
        rows = tuple(map(e.request_row, self._runner.snapshot().requests))
        self._terminal.event(e.RequestsListed(self._runner.session_ns(), rows))

    def _say(self, rest: str) -> None:
        if not rest:
            raise typed.usage_error(Message("say TEXT"))
        if len(rest) > CHAT_CHARS:
            raise NoticeError(Notice(Code.CHAT_TOO_LONG, number=CHAT_CHARS))
        self._runner.command(c.Say(rest))

    def _status(self, rest: str) -> None:
        nothing_after("status", rest)
        told, sync, status = self._status_told(), self._sync, self._output.status()
        self._terminal.event(
            dataclasses.replace(
                told,
                address=self._address() or None,
                device=status.device_name,
                timing=status.timing if status.device_name else None,
                volume=round(self._store.settings.audible_volume * 100),
                role=self._store.settings.role,
                trim_db=status.trim_db if status.device_name else None,
                offset_ms=self._offset_ms(status.device_name),
                confirmed=e.confirmed_row(self._runner.snapshot().confirmed),
                clock_within_us=sync.offset_uncertainty_us if sync and told.peers is None else None,
            )
        )

    def _volume(self, rest: str) -> None:
        if rest:
            form = Message("volume [0..100, +5 or -5]")
            volume = typed.percent(rest, self._store.settings.volume * 100, form) / 100
            self._output.set_volume(volume)
            self._store.update(volume=volume, muted=False)
        self._answer(Notice(Code.VOLUME, number=round(self._store.settings.audible_volume * 100)))

    def _role(self, rest: str) -> None:
        if rest:
            role = typed.role(rest, Message("role [left|right|mono|stereo]"))
            self._output.set_role(role)
            self._store.update(role=role)
        self._answer(Notice(Code.ROLE, role=self._store.settings.role))

    def _offset(self, rest: str) -> None:
        form = Message("offset MILLISECONDS (-2000 to 2000), or: offset reset, offset anyway, offset forget")
        word = rest.casefold()
        correction_ms = 0.0
        if rest and word not in ("reset", "anyway", "forget"):
            correction_ms = typed.number(rest.removesuffix("ms").rstrip(), -2000, 2000, form)
        device = self._output.status().device_name
        if device is None:
            raise NoticeError(Notice(Code.NO_OFFSET_YET))
        if word == "anyway":
            self._correction.use_anyway()
        elif word == "forget":
            self._correction.forget()
        elif rest:
            self._correction.set_ms(correction_ms)
            if word == "reset":
                self._correction.forget()
        self._answer(Notice(Code.OFFSET, f"{self._offset_ms(device):g}"))
        output = self._correction.view()
        if heard := heard_text(output, date_text(output.kept.heard_at)):
            self._answer(Notice(Code.CALIBRATION_SET_ASIDE if output.set_aside else Code.HEARD, heard))

    def _offset_ms(self, device: str | None) -> float | None:
        return None if device is None else self._store.settings.correction_ms(device)

    def _status_told(self) -> e.StatusReported:
        snapshot, session_ns = self._runner.snapshot(), self._runner.session_ns()
        line, item = snapshot.timeline, snapshot.now or snapshot.waiting_for
        state: Literal["stopped", "playing", "paused", "waiting"] = "stopped"
        if line is not None:
            state = "playing" if line.stop_session_ns is None else "paused"
        elif snapshot.waiting_for is not None:
            state = "waiting"
        position_s = None
        if line is not None and session_ns is not None:
            position_s = round(line.frame_at(session_ns) / line.rate_hz, 3)
        return e.StatusReported(
            session_ns,
            session_name=snapshot.session_name,
            host_name=snapshot.host_name,
            display_name=snapshot.display_name,
            state=state,
            connected=snapshot.connected,
            position_s=position_s,
            file_name=item.file_name if item else None,
            title=item.title if item else None,
            artist=item.artist if item else None,
            duration_s=round(item.duration_secs, 3) if item else None,
            host_words=snapshot.host_words or None,
            **self._known_of_peers(),
        )

    def _known_of_peers(self) -> dict[str, Any]:
        """Fields of StatusReported that only a host knows."""
        return {}

    COMMON_WORDS: ClassVar[Mapping[str, Word]] = {
        "queue": Word(_queue, "queue", N_("show the queue with its numbers")),
        "requests": Word(_requests, "requests", N_("show the requested songs with their numbers")),
        "say": Word(_say, N_("say TEXT"), N_("write a message to all")),
        "volume": Word(_volume, N_("volume [0..100]"), N_("show or set the volume of this machine; also +5 and -5")),
        "role": Word(
            _role,
            N_("role [left|right|mono|stereo]"),
            N_("show or set which channels this machine plays"),
            "role",
        ),
        "offset": Word(
            _offset,
            N_("offset [MILLISECONDS|reset|anyway|forget]"),
            N_("show or correct the delay of this machine's loudspeaker; a positive value makes it play earlier"),
        ),
        "status": Word(_status, "status", N_("show the state of everything")),
        "help": Word(_help, "help", N_("show this list")),
    }
    COMMON_SYNONYMS: ClassVar[Mapping[str, str]] = {
        "?": "help",
        "h": "help",
        "commands": "help",
        "vol": "volume",
        "channel": "role",
        "channels": "role",
        "chat": "say",
        "list": "queue",
        "ls": "queue",
        "songs": "queue",
        "info": "status",
    }


def _form(name: str, word: Word) -> Message:
    """A command without values is the same in every language."""
    return Message.joined("", (name,)) if word.form == name else Message(word.form)
