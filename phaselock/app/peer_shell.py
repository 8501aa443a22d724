"""The interactive commands of a peer on standard input, and their answers.

For the network thread, except `completions`.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from typing import ClassVar

from phaselock.app.host_shell import HostShell
from phaselock.app.output_correction import OutputCorrection
from phaselock.app.party_words import PartyShell
from phaselock.app.shell_base import Shell, Terminal, Word
from phaselock.app.typed import nothing_after, usage_error
from phaselock.audio.interface import AudioOutput
from phaselock.errors import PhaseLockError
from phaselock.language.message import N_, Figure, Message
from phaselock.model.invitation import is_invitation, parse_invitation
from phaselock.model.notices import Code, Notice
from phaselock.network.peer import PeerRunner
from phaselock.session import commands as c
from phaselock.session.sentences import NoticeError
from phaselock.storage.settings import SettingsStore


class PeerShell(PartyShell):
    """The commands of a peer."""

    def __init__(
        self,
        runner: PeerRunner,
        output: AudioOutput,
        correction: OutputCorrection,
        store: SettingsStore,
        terminal: Terminal,
        address: Callable[[], str] = str,
    ) -> None:
        super().__init__(runner, output, correction, store, terminal, address)
        self._peer = runner

    def leave(self) -> None:
        """Tell the host, and end."""
        self._peer.command(c.Leave())

    def line(self, line: str) -> None:
        super().line(" ".join(("join", line)) if is_invitation(line) else line)

    def _unknown(self, typed_word: str) -> NoticeError:
        word = typed_word.casefold()
        if word in HostShell.WORDS or word in HostShell.SYNONYMS:
            return NoticeError(Notice(Code.HOST_DECIDES, Message.joined("", (typed_word,))))
        return super()._unknown(typed_word)

    def _vote_by(self, command: c.VoteFor | c.WantSkip) -> None:
        self._peer.command(command)

    def _leave(self, rest: str) -> None:
        nothing_after("leave", rest)
        self.leave()

    def _join(self, rest: str) -> None:
        if not rest:
            raise usage_error(Message("join INVITATION"))
        try:
            invitation = parse_invitation(rest)
        except ValueError as error:
            raise PhaseLockError(str(error)) from None
        failures = self._failures
        self._peer.command(c.ReturnBy(invitation))
        if self._failures == failures:
            self._answer(Notice(Code.INVITATION_TAKEN))

    def _ask(self, rest: str) -> None:
        def ask(paths: list[str]) -> None:
            for path in paths:
                self._peer.request(pathlib.Path(path))

        self._with_paths(rest, Message("request PATH"), ask)

    def _levels(self, rest: str) -> None:
        if rest.casefold() not in ("", "reset"):
            raise usage_error(Message("levels [reset]"))
        device = self._output.status().device_name
        if rest and device is not None:
            self._store.update(trims_db={device: 0.0})
            self._output.set_trim_db(0.0)
        self._answer(Notice(Code.TRIM, Figure(self._store.settings.trim_db(device), ".1f")))

    def _microphone(self, rest: str) -> None:
        microphone = self._runner.snapshot().microphone
        match rest.casefold():
            case "once":
                if microphone is None or not microphone.asked:
                    raise NoticeError(Notice(Code.MICROPHONE_NOT_ASKED))
                self._peer.command(c.AnswerMicrophone(True))
                return
            case "on" | "off" as word:
                self._peer.command(c.PermitMicrophone(word == "on"))
                microphone = self._runner.snapshot().microphone
            case "":
                pass
            case _:
                raise usage_error(Message("microphone [once|on|off]"))
        permitted = microphone is not None and microphone.permitted
        self._answer(Notice(Code.MICROPHONE_ON if permitted else Code.MICROPHONE_OFF))

    WORDS: ClassVar[Mapping[str, Word]] = {
        "request": Word(_ask, N_("request PATH"), N_("ask the host to play a song of this machine"), "path"),
        **Shell.COMMON_WORDS,
        **PartyShell.PARTY_WORDS,
        "levels": Word(
            _levels, N_("levels [reset]"), N_("show or forget by how much the host has made this machine quieter")
        ),
        "microphone": Word(
            _microphone,
            N_("microphone [once|on|off]"),
            N_("show or set whether the host may listen by this machine's microphone, to calibrate the speakers"),
            "on_or_off",
        ),
        "join": Word(_join, N_("join INVITATION"), N_("look for the lost host where a newer invitation says")),
        "leave": Word(_leave, "leave", N_("leave the jam")),
    }
    SYNONYMS: ClassVar[Mapping[str, str]] = {
        **Shell.COMMON_SYNONYMS,
        "mic": "microphone",
        "add": "request",
        "ask": "request",
        "wish": "request",
        "quit": "leave",
        "exit": "leave",
        "end": "leave",
        "bye": "leave",
        "q": "leave",
    }
