"""The interactive commands of a host on standard input, and their answers.

For the network thread, except `completions`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import pathlib
import random
import secrets
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ClassVar
from uuid import UUID

from phaselock.app import typed
from phaselock.app.importer import Importer
from phaselock.app.invitation import OutsidePort
from phaselock.app.library import MusicFolder
from phaselock.app.library_commands import LibraryCommands
from phaselock.app.output_correction import OutputCorrection
from phaselock.app.party_words import HostPartyShell
from phaselock.app.peer_figures import peer_figures
from phaselock.app.queue_files import save_queue
from phaselock.app.shell_base import Shell, Terminal, Word
from phaselock.app.typed import nothing_after, usage_error
from phaselock.audio.interface import AudioOutput
from phaselock.errors import PhaseLockError
from phaselock.language.message import N_, Message
from phaselock.model.code import INVITATION_DIGITS, code_from_number
from phaselock.model.loudness import parse_choice
from phaselock.model.notices import Code, Notice
from phaselock.model.transitions import parse_crossfade
from phaselock.network.host import HostRunner
from phaselock.session import commands as c
from phaselock.session import events as e
from phaselock.session.sentences import NoticeError, song_text
from phaselock.storage.playlist import with_ending
from phaselock.storage.settings import SettingsStore


class HostShell(HostPartyShell):
    """The commands of a host."""

    outside: OutsidePort
    """Set before the first command."""

    def __init__(
        self,
        runner: HostRunner,
        intake: Importer,
        output: AudioOutput,
        correction: OutputCorrection,
        store: SettingsStore,
        terminal: Terminal,
        address: Callable[[], str] = str,
        music: MusicFolder | None = None,
    ) -> None:
        super().__init__(runner, output, correction, store, terminal, address)
        self._host = runner
        self._intake = intake
        self._library = LibraryCommands(music, terminal.event, lambda path: intake.take([path]))
        self._removed: list[UUID] = []
        """What `undo` brings back, the newest last."""
        self._tasks: set[asyncio.Task[None]] = set()

    def leave(self) -> None:
        """Let the first in line be the host, and end; without one, end the session."""
        self._host.command(c.Leave())

    def tell(self, event: e.Event) -> None:
        if isinstance(event, e.Failed) and event.notice.code is Code.NO_SUCH_PEER:
            names = {name.casefold(): name for name in self._peer_names}
            meant = typed.similar((event.notice.peer or "").casefold(), names)
            choices = (names[meant],) if meant else ()
            event = dataclasses.replace(event, notice=dataclasses.replace(event.notice, choices=choices))
        super().tell(event)
        if isinstance(event, e.PeerJoined | e.PeerLeft):
            self._peer_names = tuple(peer.name for peer in self._runner.snapshot().peers)
        if isinstance(event, e.SyncMeasured):
            for peer in self._runner.snapshot().peers:
                figures = e.PeerFigures(**peer_figures(peer))
                self._terminal.event(e.PeerSyncMeasured(event.session_ns, figures))

    def _do(self, command: c.HostCommand, answer: Notice | None = None) -> None:
        """Execute a command of the session. `answer` is told unless the session reports an error. Without one, an event
        of the session is the answer."""
        failures = self._failures
        self._host.command(command)
        if answer and self._failures == failures:
            self._answer(answer)

    def _plain(self, word: str, rest: str, command: c.HostCommand) -> None:
        nothing_after(word, rest)
        self._do(command)

    def _add(self, rest: str) -> None:
        self._with_paths(rest, Message("add PATH"), self._intake.take)
        self._answer(Notice(Code.ADDING, file_name=rest))

    def _add_found(self, rest: str) -> None:
        self._answer(Notice(Code.ADDING, file_name=self._library.add(rest)))

    def _cancel(self, rest: str) -> None:
        nothing_after("cancel", rest)
        if not self._intake.cancel_conversion():
            raise NoticeError(Notice(Code.NOTHING_TO_CANCEL))

    def _play(self, rest: str) -> None:
        self._do(c.Play(self._row(rest, Message("play [NUMBER]")) if rest else None))

    def _seek(self, rest: str) -> None:
        form = Message("seek SECONDS, MINUTES:SECONDS, +SECONDS or -SECONDS")
        self._do(c.Seek(typed.seconds(rest, self._status_told().position_s, form)))

    def _move(self, rest: str) -> None:
        form = Message("move FROM TO (numbers of the queue)")
        here, _, there = rest.partition(" ")
        rows = len(self._runner.snapshot().queue)
        file_id, number = self._row(here, form), int(typed.number(there, 1, max(1, rows), form))
        self._do(c.Move(file_id, number - 1), Notice(Code.MOVED, number=number, **self._named(file_id)))

    def _remove(self, rest: str) -> None:
        file_id = self._row(rest, Message("remove NUMBER"))
        self._removed.append(file_id)
        self._do(c.Remove(file_id), Notice(Code.REMOVED, **self._named(file_id)))

    def _undo(self, rest: str) -> None:
        nothing_after("undo", rest)
        if not self._removed:
            raise NoticeError(Notice(Code.NOTHING_REMOVED))
        failures, file_id = self._failures, self._removed.pop()
        self._do(c.Restore(file_id))
        if self._failures == failures:
            self._answer(Notice(Code.RESTORED, **self._named(file_id)))

    def _shuffle(self, rest: str) -> None:
        if rest.casefold() not in ("", "on", "off"):
            raise usage_error(Message("shuffle [on|off]"))
        on = rest.casefold() != "off"
        self._do(c.Shuffle(random.getrandbits(64) if on else None), Notice(Code.SHUFFLED if on else Code.SHUFFLE_OFF))

    def _repeat(self, rest: str) -> None:
        if rest:
            if rest.casefold() not in ("on", "off"):
                raise usage_error(Message("repeat on|off"))
            self._do(c.Repeat(rest.casefold() == "on"))
        self._answer(Notice(Code.REPEAT_ON if self._runner.snapshot().repeat else Code.REPEAT_OFF))

    def _loudness(self, rest: str) -> None:
        if rest:
            try:
                choice = parse_choice(rest)
            except ValueError:
                raise usage_error(Message("loudness off|on|-30..-8")) from None
            self._do(c.SetLoudness(self._store.settings.chosen_lufs(choice)))
        else:
            snapshot, session_ns = self._runner.snapshot(), self._runner.session_ns()
            self._terminal.event(e.LoudnessSet(session_ns, snapshot.loudness_lufs))
            if (now := snapshot.now) is not None and (view := snapshot.now_loudness) is not None:
                song = song_text(now.title, now.artist, now.file_name)
                self._terminal.event(e.SongLoudness(session_ns, now.id, song, **dataclasses.asdict(view)))

    def _crossfade(self, rest: str) -> None:
        if rest:
            try:
                crossfade_s = parse_crossfade(rest)
            except ValueError:
                raise usage_error(Message("crossfade off|0..12")) from None
            self._set_transitions(crossfade_s=crossfade_s)
        else:
            self._show_transitions()

    def _silence(self, rest: str) -> None:
        if rest:
            if rest.casefold() not in ("skip", "play"):
                raise usage_error(Message("silence skip|play"))
            self._set_transitions(skip_silence=rest.casefold() == "skip")
        else:
            self._show_transitions()

    def _set_transitions(self, **changes: Any) -> None:
        self._do(c.SetTransitions(dataclasses.replace(self._runner.snapshot().transitions, **changes)))

    def _show_transitions(self) -> None:
        chosen = self._runner.snapshot().transitions
        self._terminal.event(e.TransitionsSet(self._runner.session_ns(), chosen.crossfade_s, chosen.skip_silence))

    def _code(self, rest: str) -> None:
        if rest.casefold() == "off":
            self._do(c.ChangeCode(""))
        elif rest.casefold() == "new":
            self._do(c.ChangeCode(code_from_number(secrets.randbits(64))))
        elif rest:
            self._do(c.ChangeCode(rest))
        else:
            self._terminal.event(e.CodeSet(self._runner.session_ns(), self._runner.snapshot().code))

    def _invite(self, rest: str) -> None:
        if rest:
            try:
                self.outside.use(rest)
            except ValueError as error:
                raise PhaseLockError(str(error)) from None
        self._do(c.Invite(code_from_number(secrets.randbits(64), INVITATION_DIGITS)))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _save(self, rest: str) -> None:
        form = Message("save [--replace] FILE")
        first, _, behind = rest.partition(" ")
        replace = first.casefold() == "--replace"
        text = behind.strip() if replace else rest

        def save(paths: list[str]) -> None:
            if len(paths) != 1:
                raise usage_error(form)
            self._start(self._save_as(pathlib.Path(paths[0]), text, replace=replace))

        self._with_paths(text, form, save)

    async def _save_as(self, path: pathlib.Path, text: str, *, replace: bool) -> None:
        """Save the queue there, which was typed as `text`."""
        try:
            file_name, _ = await save_queue(self._host, path, may_replace=with_ending(path) if replace else None)
        except FileExistsError as there:
            self._failed(NoticeError(Notice(Code.FILE_EXISTS, text, file_name=str(there))))
        except PhaseLockError as error:
            self._failed(error)
        else:
            self._answer(Notice(Code.QUEUE_SAVED, file_name=file_name))

    def _accept(self, rest: str) -> None:
        self._do(c.Accept(self._request(rest, Message("accept NUMBER"))))

    def _reject(self, rest: str) -> None:
        self._do(c.Reject(self._request(rest, Message("reject NUMBER"))))

    def _drop_peer(self, rest: str) -> None:
        self._do(c.DropPeer(_name(rest, Message("drop-peer NAME"))))

    def _allow(self, rest: str) -> None:
        name = _name(rest, Message("allow NAME"))
        self._do(c.AllowPeer(name), Notice(Code.PEER_ALLOWED, peer=name))

    def _retry(self, rest: str) -> None:
        self._do(c.Retry(rest or None), Notice(Code.SENDING_AGAIN))

    def _without(self, rest: str) -> None:
        name = _name(rest, Message("without NAME"))
        self._do(c.Without(name), Notice(Code.NOT_WAITING, peer=name))

    def _request(self, text: str, form: str) -> UUID:
        number = int(typed.number(text, 1, 1e9, form))
        for request in self._runner.snapshot().requests:
            if request.number == number:
                return request.request_id
        raise NoticeError(Notice(Code.NO_REQUEST_NUMBER, number=number))

    def _peer_volume(self, rest: str) -> None:
        form = Message("peer-volume NAME 0..100|mute|unmute")
        name, _, value = rest.rpartition(" ")
        name = _name(name.strip(), form)
        if value.casefold() in ("mute", "unmute"):
            muted = value.casefold() == "mute"
            self._do(
                c.SetPeerVolume(name, muted=muted), Notice(Code.PEER_MUTED if muted else Code.PEER_UNMUTED, peer=name)
            )
            return
        peer = next((one for one in self._runner.snapshot().peers if one.name.casefold() == name.casefold()), None)
        percent = round(typed.percent(value, peer.volume_percent or 0 if peer else 0, form))
        self._do(c.SetPeerVolume(name, percent, muted=False), Notice(Code.PEER_VOLUME, peer=name, number=percent))

    def _calibrate(self, rest: str) -> None:
        if rest.casefold() == "stop":
            self._do(c.StopCalibration())
            return
        if rest.casefold() == "next":
            self._do(c.CalibrateNext())
            return
        listener, _, last = f" {rest}".rpartition(" ")
        if last.casefold() == "walk":
            self._do(c.Calibrate(listener.strip() or None, walk=True))
            return
        form = Message("calibrate [NAME|stop], or: calibrate [NAME] at KITCHEN=3.2 SOFA=1.5 (metres to the microphone)")
        name, _, distances = f" {rest}".partition(" at ")
        if "=" not in distances:
            name, distances = rest, ""
        self._do(c.Calibrate(name.strip() or None, typed.distances(distances, form) if distances else None))

    def _levels(self, rest: str) -> None:
        commands: dict[str, c.HostCommand] = {
            "even": c.EvenLevels(),
            "undo": c.UndoLevels(),
            "reset": c.ResetLevels(),
        }
        if rest:
            if rest.casefold() not in commands:
                raise usage_error(Message("levels [even|undo|reset]"))
            self._do(commands[rest.casefold()])
        elif levels := self._runner.snapshot().levels:
            told = e.LevelsListed(self._runner.session_ns(), levels.machines, levels.can_even)
            self._terminal.event(told)

    def _check(self, rest: str) -> None:
        self._do(c.StopCheck() if rest.casefold() == "stop" else c.Check(rest or None))

    def _role(self, rest: str) -> None:
        name, _, word = rest.rpartition(" ")
        if not name:
            super()._role(rest)
            return
        name, role = name.strip(), typed.role(word, Message("role [[NAME] left|right|mono|stereo]"))
        self._do(c.SetPeerRole(name, role), Notice(Code.PEER_ROLE, peer=name, role=role))

    def _peers(self, rest: str) -> None:
        nothing_after("peers", rest)
        snapshot = self._runner.snapshot()
        rows = [
            e.PeerRow(
                **peer_figures(peer), missing=tuple(item.id for item in snapshot.queue if item.id not in peer.have)
            )
            for peer in snapshot.peers
        ]
        self._terminal.event(e.PeersListed(self._runner.session_ns(), tuple(rows)))

    def _known_of_peers(self) -> dict[str, Any]:
        snapshot = self._runner.snapshot()
        names = tuple(peer.name for peer in snapshot.peers)
        return {"peers": len(names), "peer_names": names, "repeat": snapshot.repeat, "shuffle": snapshot.shuffle}

    WORDS: ClassVar[Mapping[str, Word]] = {
        "add": Word(_add, N_("add PATH"), N_("add files, folders or playlists to the end of the queue"), "path"),
        "search": Word(
            lambda self, rest: self._library.search(rest),
            N_("search TEXT"),
            N_("search the music folder for songs with these words"),
        ),
        "add-found": Word(_add_found, N_("add-found N"), N_("add the song number N that search has found")),
        "cancel": Word(_cancel, "cancel", N_("leave out the file that is being converted")),
        "play": Word(_play, N_("play [N]"), N_("play the queue, or its song number N")),
        "pause": Word(lambda self, rest: self._plain("pause", rest, c.Pause()), "pause", N_("pause the song")),
        "resume": Word(lambda self, rest: self._plain("resume", rest, c.Resume()), "resume", N_("go on after a pause")),
        "stop": Word(lambda self, rest: self._plain("stop", rest, c.Stop()), "stop", N_("stop playing")),
        "seek": Word(
            _seek, N_("seek SECONDS"), N_("go to this position in the song; also 1:30, and from here +10 or -10")
        ),
        "next": Word(lambda self, rest: self._plain("next", rest, c.Next()), "next", N_("play the next song")),
        "previous": Word(
            lambda self, rest: self._plain("previous", rest, c.Previous()),
            "previous",
            N_("play this song again, or at its beginning the one before it"),
        ),
        "queue": Shell.COMMON_WORDS["queue"],
        "move": Word(_move, N_("move FROM TO"), N_("move a song to another place in the queue")),
        "remove": Word(_remove, N_("remove N"), N_("remove a song from the queue")),
        "undo": Word(_undo, "undo", N_("bring back the song that was removed last")),
        "shuffle": Word(
            _shuffle, N_("shuffle [on|off]"), N_("shuffle the coming songs, or play them in their order"), "on_or_off"
        ),
        "repeat": Word(
            _repeat, N_("repeat [on|off]"), N_("show or set whether the queue begins again at its end"), "on_or_off"
        ),
        "loudness": Word(
            _loudness,
            N_("loudness [off|on|LUFS]"),
            N_("show or set how loud all songs play, -16 for instance, or let each play as loud as it is"),
            "on_or_off",
        ),
        "crossfade": Word(
            _crossfade,
            N_("crossfade [off|SECONDS]"),
            N_("show or set how long a song fades into the next one, 0 to 12 seconds"),
            "on_or_off",
        ),
        "silence": Word(
            _silence, N_("silence [skip|play]"), N_("show or set whether the silence at the ends of songs is skipped")
        ),
        "code": Word(
            _code,
            N_("code [new|off|CODE]"),
            N_("show, make or set the code that others must know to join; off: everybody may join"),
        ),
        "invite": Word(
            _invite,
            N_("invite [ADDRESS]"),
            N_("let a friend join from elsewhere, and show the line to send; ADDRESS leads here from the internet"),
        ),
        "withdraw": Word(
            lambda self, rest: self._plain("withdraw", rest, c.WithdrawInvitation()),
            "withdraw",
            N_("withdraw the invitation: it lets no one else in"),
        ),
        "guest-page": HostPartyShell.PARTY_WORDS["guest-page"],
        "save": Word(
            _save,
            N_("save [--replace] FILE"),
            N_("save the queue as a playlist; --replace: in place of the one that has this name"),
            "path",
        ),
        "requests": Shell.COMMON_WORDS["requests"],
        "accept": Word(_accept, N_("accept N"), N_("add a requested song")),
        "reject": Word(_reject, N_("reject N"), N_("decline a requested song")),
        **{word: HostPartyShell.PARTY_WORDS[word] for word in ("rules", "vote", "unvote", "skip-vote", "fallback")},
        "peers": Word(_peers, "peers", N_("show the peers, and how well each of them keeps time")),
        "drop-peer": Word(_drop_peer, N_("drop-peer NAME"), N_("send a peer away"), "peer"),
        "allow": Word(_allow, N_("allow NAME"), N_("let a peer join again that was sent away")),
        **{word: HostPartyShell.PARTY_WORDS[word] for word in ("guests", "remove-guest", "allow-guest")},
        "peer-volume": Word(
            _peer_volume, N_("peer-volume NAME 0..100|mute|unmute"), N_("set the volume of a peer, or mute it"), "peer"
        ),
        "calibrate": Word(
            _calibrate,
            N_("calibrate [NAME] [at NAME=METRES...|walk], calibrate next, calibrate stop"),
            N_("hear all loudspeakers with a microphone (of this machine or of a peer), and correct their delays"),
            "peer",
        ),
        "levels": Word(
            _levels,
            N_("levels [even|undo|reset]"),
            N_("show how loud the machines are heard, trim them to the quietest one, or take that back"),
            "trims",
        ),
        "check": Word(
            _check,
            N_("check [NAME|stop]"),
            N_("hear with a microphone how far apart the loudspeakers are, while music plays"),
            "peer",
        ),
        "say": Shell.COMMON_WORDS["say"],
        "retry": Word(_retry, N_("retry [NAME]"), N_("send the files again that did not reach a peer"), "peer"),
        "without": Word(_without, N_("without NAME"), N_("go on without waiting for a peer"), "peer"),
        "volume": Shell.COMMON_WORDS["volume"],
        "role": Word(
            _role,
            N_("role [[NAME] left|right|mono|stereo]"),
            N_("show or set which channels this machine or a peer plays"),
            "role",
        ),
        **{word: Shell.COMMON_WORDS[word] for word in ("offset", "status", "help")},
        "hand-over": Word(
            lambda self, rest: self._do(c.HandOver(rest or None)),
            N_("hand-over [NAME]"),
            N_("let another machine be the host, and stay in the jam"),
            "peer",
        ),
        "leave": Word(
            lambda self, rest: self._plain("leave", rest, c.HandOver(None, stay=False)),
            "leave",
            N_("let another machine be the host, and leave the jam"),
        ),
        "quit": Word(lambda self, rest: self._plain("quit", rest, c.Quit()), "quit", N_("end the jam for everybody")),
    }
    SYNONYMS: ClassVar[Mapping[str, str]] = {
        **Shell.COMMON_SYNONYMS,
        "open": "add",
        "request": "add",
        "start": "play",
        "continue": "resume",
        "unpause": "resume",
        "goto": "seek",
        "jump": "seek",
        "skip": "next",
        "n": "next",
        "prev": "previous",
        "back": "previous",
        "p": "previous",
        "mv": "move",
        "rm": "remove",
        "delete": "remove",
        "random": "shuffle",
        "mix": "shuffle",
        "loop": "repeat",
        "who": "peers",
        "kick": "drop-peer",
        "unban": "allow",
        "level": "levels",
        "exit": "quit",
        "end": "quit",
        "bye": "quit",
        "q": "quit",
    }


def _name(text: str, form: str) -> str:
    if not text:
        raise usage_error(form)
    return text
