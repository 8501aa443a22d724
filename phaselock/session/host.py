"""The host's machine."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from phaselock.model.snapshot import SessionSnapshot
from phaselock.model.types import Track
from phaselock.protocol.messages import MAX_PEERS, Message
from phaselock.session.commands import HostCommand
from phaselock.session.effects import Effect


class HostMachine:
    """One session as its host sees it. Session time is the host's local time, so every `now_ns` here is both."""

    def __init__(
        self,
        *,
        session_name: str,
        host_name: str,
        max_peers: int = MAX_PEERS,
        clock_port: int = 17402,
        token_factory: Callable[[], bytes],
    ) -> None: ...

    def connected(self, conn: int, *, now_ns: int) -> list[Effect]:
        """A connection was accepted; whether it is control or bulk is not known yet. `conn` is any number, never used
        again."""
        raise NotImplementedError

    def received(self, conn: int, message: Message, *, now_ns: int) -> list[Effect]:
        """A message arrived on a control connection. What arrives on a connection that this machine has closed is
        ignored."""
        raise NotImplementedError

    def disconnected(self, conn: int, reason: str, *, now_ns: int) -> list[Effect]:
        """A connection ended, broke the framing (`reason` is the ProtocolError's text), or turned out to be a bulk
        connection."""
        raise NotImplementedError

    def command(self, command: HostCommand, *, now_ns: int) -> list[Effect]:
        """Somebody at the host asks for something. What cannot be done is answered by an `error` event."""
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
        """How the host's own output does; to be told several times a second, and at once when latency or device
        change."""
        raise NotImplementedError

    def decode_failed(self, file_id: UUID, reason: str, *, now_ns: int) -> list[Effect]:
        """The host's own player cannot decode a track."""
        raise NotImplementedError

    def device_changed(self, state: str, device_name: str | None, detail: str, *, now_ns: int) -> list[Effect]:
        """The host's own output opened, was lost, or does not exist."""
        raise NotImplementedError

    def timer(self, *, now_ns: int) -> list[Effect]:
        """`next_deadline_ns` has come. Calling it early or late does no harm."""
        raise NotImplementedError

    def next_deadline_ns(self) -> int | None:
        """When `timer` wants to be called; asked again after every call of the machine."""
        raise NotImplementedError

    def authorise_fetch(self, peer_id: int, token: bytes, file_id: UUID) -> Track | None:
        """The track that a bulk connection with these credentials may have."""
        raise NotImplementedError

    def fetch_progress(self, peer_id: int, file_id: UUID, sent_bytes: int, *, now_ns: int) -> list[Effect]:
        """So many bytes of the file are on their way, the resumed part included; may be told for every chunk."""
        raise NotImplementedError

    def fetch_failed(self, peer_id: int, file_id: UUID, reason: str, *, now_ns: int) -> list[Effect]:
        """The host cannot serve a file (gone from its disk, say). A lost bulk connection is the peer's to report."""
        raise NotImplementedError

    def snapshot(self) -> SessionSnapshot:
        """One consistent look."""
        raise NotImplementedError
