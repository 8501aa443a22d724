"""The microphone of a peer: whether the host may listen by it, and whether it listens now.

    not allowed --MicrophoneRequest--> the user is asked --yes--> allowed once --end of it--> not allowed
         |                                                                                      ^
         +------------- the user allows it for this session (`permit`) --> allowed -------------+ (`permit`)

A permission ends with the session. It is not stored: the next session may have another host, and its user may not
remember a permission of months ago.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from phaselock.model.microphone import MAX_CLOCK_PPM, HeardPass, MicrophoneFault
from phaselock.model.notices import Code, Notice
from phaselock.model.snapshot import MicrophoneView
from phaselock.protocol import messages as m
from phaselock.session import events as e
from phaselock.session.effects import HOST_CONN, Listen, ListenToSong, Send, StopListening
from phaselock.session.outbox import Outbox

ONCE_NS = 600_000_000_000
"""A permission for one calibration ends after this time, in case the host does not end the calibration. One that goes
from machine to machine takes minutes."""


class PeerMicrophone:
    """The permission and the recording. `now_ns` is the peer's local time."""

    def __init__(self, outbox: Outbox, session_ns: Callable[[int], int | None], *, permitted: bool) -> None:
        self._outbox = outbox
        self._session_ns = session_ns
        self.permitted = permitted
        """The host may listen until the session ends, without a question."""
        self._question: int | None = None
        """The number of the MicrophoneRequest that the user has not answered."""
        self._once_until_ns: int | None = None
        """The user has allowed one calibration or check."""
        self._listening: int | None = None
        """The number of the newest pass, while the host listens."""
        self._host_name = self._own_name = ""

    def joined(self, host_name: str, own_name: str) -> None:
        """The host has accepted this peer under this name."""
        self._host_name, self._own_name = host_name, own_name

    def view(self) -> MicrophoneView:
        """The state for users."""
        return MicrophoneView(self.permitted, self._question is not None, self._listening is not None)

    # -- from the user -----------------------------------------------------------------------------------------------

    def permit(self, permitted: bool, *, now_ns: int) -> None:
        """Allow it until the session ends, or forbid it: then a recording ends at once. Answers an open question."""
        self.permitted = permitted
        if self._question is not None:
            self.answer(permitted, now_ns=now_ns)
        if not permitted:
            if self._listening is not None:
                self.refuse(self._listening, MicrophoneFault.NOT_ALLOWED)
            self.end(now_ns=now_ns)

    def answer(self, allowed: bool, *, now_ns: int) -> None:
        """Answer the host's question. Without one, nothing happens: the host may have withdrawn it."""
        if self._question is None:
            return
        self._outbox.do(Send(HOST_CONN, m.MicrophoneAnswer(self._question, allowed)))
        self._question = None
        self._once_until_ns = now_ns + ONCE_NS if allowed else None

    # -- from the host -----------------------------------------------------------------------------------------------

    def ask(self, number: int, *, now_ns: int) -> None:
        """The host wants to listen. Ask the user, unless that is allowed already."""
        if self.permitted:
            self._outbox.do(Send(HOST_CONN, m.MicrophoneAnswer(number, True)))
            return
        if self._question is None:
            self._outbox.note(e.MicrophoneAsked(self._session_ns(now_ns), self._host_name))
        self._question = number

    def listen(self, task: Listen | ListenToSong, *, now_ns: int) -> None:
        """Record a pass or a check, if that is allowed."""
        once = self._once_until_ns is not None and now_ns < self._once_until_ns
        if not self.permitted and not once:
            self.refuse(task.number, MicrophoneFault.NOT_ALLOWED)
            return
        self._outbox.do(task)
        self._listen_to(task.number, now_ns)

    def refuse(self, number: int, fault: MicrophoneFault) -> None:
        """Tell the host that this pass or check is not recorded."""
        self._outbox.do(Send(HOST_CONN, m.HeardReport(number, fault=fault)))

    def pause(self) -> None:
        """Record nothing until the next pass of this calibration."""
        self._outbox.do(StopListening())

    def end(self, *, now_ns: int) -> None:
        """The calibration is over, or the host is gone: record nothing, and withdraw what was allowed once."""
        self._question = self._once_until_ns = None
        self._outbox.do(StopListening())
        self._listen_to(None, now_ns)

    # -- from the microphone -----------------------------------------------------------------------------------------

    def heard(self, number: int, heard: HeardPass, *, now_ns: int) -> None:
        """The pass with this number was recorded. The user of this machine is told of a fault too, who can mend it."""
        ppm = heard.microphone_ppm
        if ppm is not None:
            ppm = max(-MAX_CLOCK_PPM, min(ppm, MAX_CLOCK_PPM))
        self._outbox.do(Send(HOST_CONN, m.HeardReport(number, heard.arrivals, heard.fault, ppm)))
        if heard.fault is not None:
            notice = Notice(Code(heard.fault), peer=self._own_name)
            self._outbox.error(notice, self._session_ns(now_ns))
            self._listen_to(None, now_ns)

    # -- inside ------------------------------------------------------------------------------------------------------

    def deadlines_ns(self) -> Iterator[int]:
        """The local time at which `timer` must be called, if a permission for one calibration is open."""
        if self._once_until_ns is not None:
            yield self._once_until_ns

    def timer(self, *, now_ns: int) -> None:
        """End a permission for one calibration whose time is over, and its recording."""
        if self._once_until_ns is not None and now_ns >= self._once_until_ns:
            self.end(now_ns=now_ns)

    def _listen_to(self, number: int | None, now_ns: int) -> None:
        was_listening, self._listening = self._listening is not None, number
        if was_listening != (number is not None):
            self._outbox.note(e.MicrophoneUsed(self._session_ns(now_ns), number is not None))
