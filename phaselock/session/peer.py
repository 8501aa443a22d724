"""The peer's machine."""

from __future__ import annotations

from uuid import UUID

from phaselock.model.snapshot import SessionSnapshot
from phaselock.model.types import ClockStatus
from phaselock.protocol.messages import Message
from phaselock.session.commands import PeerCommand
from phaselock.session.effects import Effect


class PeerMachine:
    """One session as a peer sees it. `now_ns` is the peer's local time."""

    def __init__(self, *, display_name: str) -> None: ...

    def connected(self, *, now_ns: int) -> list[Effect]:
        """The TCP connection to the host stands."""
        raise NotImplementedError

    def received(self, message: Message, *, now_ns: int) -> list[Effect]:
        """A message arrived from the host on the control connection."""
        raise NotImplementedError

    def disconnected(self, reason: str, *, now_ns: int) -> list[Effect]:
        """The control connection ended or broke the framing."""
        raise NotImplementedError

    def command(self, command: PeerCommand, *, now_ns: int) -> list[Effect]:
        """Somebody at the peer asks for something."""
        raise NotImplementedError

    def clock(self, status: ClockStatus, *, now_ns: int) -> list[Effect]:
        """How the session clock does; to be told several times a second, before `audio`."""
        raise NotImplementedError

    def audio(
        self,
        *,
        phase_error_ns: int,
        dac_uncertainty_ns: int,
        output_latency_ns: int,
        device_name: str | None,
        underruns: int,
        now_ns: int,
    ) -> list[Effect]:
        """How the output does; to be told several times a second, and at once when latency or device change."""
        raise NotImplementedError

    def file_ready(self, file_id: UUID, *, now_ns: int) -> list[Effect]:
        """A fetched file is on this machine, whole and with the right hash."""
        raise NotImplementedError

    def file_failed(self, file_id: UUID, reason: str, *, now_ns: int) -> list[Effect]:
        """One try to fetch a file failed: wrong hash, lost or refused connection, full disk. The host decides on
        another."""
        raise NotImplementedError

    def decode_failed(self, file_id: UUID, reason: str, *, now_ns: int) -> list[Effect]:
        """A file of the session cannot be decoded here (found on receipt or while playing)."""
        raise NotImplementedError

    def device_changed(self, state: str, device_name: str | None, detail: str, *, now_ns: int) -> list[Effect]:
        """The output opened, was lost, or does not exist."""
        raise NotImplementedError

    def timer(self, *, now_ns: int) -> list[Effect]:
        """`next_deadline_ns` has come. Calling it early or late does no harm."""
        raise NotImplementedError

    def next_deadline_ns(self) -> int | None:
        """When `timer` wants to be called; asked again after every call of the machine."""
        raise NotImplementedError

    def snapshot(self) -> SessionSnapshot:
        """One consistent look."""
        raise NotImplementedError
