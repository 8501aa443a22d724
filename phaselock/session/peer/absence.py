"""A lost host: the peer plays on by the clock that it has measured, and tries to reconnect.

The host is lost if no message arrived for DEAD_NS, or if the connection broke, without a SessionEnd.

| state      | PeerSide          | meaning                                         | left by                          |
|------------|-------------------|-------------------------------------------------|----------------------------------|
| PRESENT    | all except AWAY   | the host was not lost, or has accepted the peer | `begin`                          |
| CONNECTING | AWAY              | an attempt to connect is running                | its result                       |
| PAUSING    | AWAY              | the next attempt starts after RETRY_NS          | `timer`                          |
| REJOINING  | GREETING, JOINING | a new connection is open; the peer joins again  | JoinAccepted, a lost connection  |

The code has no names for these states; `Absence` computes them from its times. CONNECTING and REJOINING lead to PAUSING
if they fail. From each state except PRESENT the session ends if:

- the host's computer refuses the new connection, the peer is not elsewhere, and the host has told no successor: the
  host's program has ended;
- another session, or another version of the protocol, answers at the host's address;
- the host rejects the peer;
- the peer was without a host for HOLD_NS (from elsewhere HOLD_OUTSIDE_NS), and the track that played then has ended.
  A machine of the line takes over instead (succession.py), and a peer that has voted for one waits GRACE_NS longer;
- the host breaks the protocol, or the user leaves.

After any other failure the peer tries again, because failures of a network can be temporary. A loss of the connection
is reported to the user when the first attempt has failed; silence for DEAD_NS is reported at once. A shorter
interruption is not reported. A peer that was told of another host reports no failure for MOVING_NS: the other machine
has to open its ports first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from phaselock.model.notices import Code, Notice
from phaselock.session.effects import Connect
from phaselock.session.outbox import Outbox

RETRY_NS = 500_000_000
"""Pause between a failed attempt to reconnect and the next one."""
MOVING_NS = 2_000_000_000
"""For this time a peer does not report that the machine that takes over cannot be heard."""
WANTED_NS = 20_000_000_000
"""After this time without its host a peer from elsewhere asks its user for a newer invitation."""
WANTED_CALLED_NS = 60_000_000_000
"""The same for a peer that the host can call: it calls as soon as it has another address."""


class Absence:
    """The state of a lost host. `now_ns` is the peer's local time."""

    def __init__(self, outbox: Outbox, session_ns: Callable[[int], int | None], sounds: Callable[[], bool]) -> None:
        self._outbox = outbox
        self._sounds = sounds
        """Returns whether this machine plays a track."""
        self._session_ns = session_ns
        """Returns the session time at a local time; None while the clock is not usable."""
        self._give_up_at_ns: int | None = None
        """The peer then ends the session. None: PRESENT."""
        self._retry_at_ns: int | None = None
        """Start of the next attempt. None: not PAUSING."""
        self._is_user_warned = self._is_extended = False
        self._warn_from_ns = 0
        """A failure before is not reported."""
        self._wanted_after_ns: int | None = None
        """After this time the user is asked for a newer invitation; None: never."""
        self._wanted_at_ns: int | None = None
        """When that happens. None: it has happened, or never does."""
        self.invitation_wanted = False
        """The user was asked for a newer invitation, and has not given one since."""

    @property
    def active(self) -> bool:
        """The host is lost: the state is not PRESENT."""
        return self._give_up_at_ns is not None

    @property
    def plays_on(self) -> bool:
        """The host was not found at the first attempt, but it may come back."""
        return self.active and self._is_user_warned

    def begin(
        self,
        *,
        hold_ns: int,
        wanted_after_ns: int | None,
        left_ns: int,
        joined_at_ns: int,
        is_moving: bool,
        now_ns: int,
    ) -> None:
        """The host is lost, or (`is_moving`) another machine takes over. `hold_ns`: how long it may stay so.
        `wanted_after_ns`: when the user is asked for a newer invitation; None: never. `left_ns` is the rest of the
        current track.

        If another host was lost before and not found, the user is not warned again.

        If the peer joined less than RETRY_NS ago, it waits before it connects. This avoids a fast loop of joining and
        losing the connection.
        """
        self._is_user_warned = self.plays_on  # it may follow another host before the lost one was found
        self._is_extended = False
        self._warn_from_ns = now_ns + MOVING_NS if is_moving else now_ns
        self._give_up_at_ns = now_ns + max(hold_ns, left_ns)
        self._wanted_after_ns = wanted_after_ns
        self._want_later(now_ns)
        if now_ns - joined_at_ns < RETRY_NS:
            self._retry_at_ns = now_ns + RETRY_NS
        else:
            self._retry_at_ns = None
            self._outbox.do(Connect())

    def extend(self, grace_ns: int) -> bool:
        """Wait longer by `grace_ns`, once. False: that has been done."""
        if self._is_extended or self._give_up_at_ns is None:
            return False
        self._is_extended = True
        self._give_up_at_ns += grace_ns
        return True

    def attempt_failed(self, *, now_ns: int) -> None:
        """An attempt to connect or to join again has failed. The next one starts after a pause."""
        self._retry_at_ns = now_ns + RETRY_NS
        if now_ns >= self._warn_from_ns:
            self.warn(now_ns=now_ns)

    def found(self, *, now_ns: int) -> None:
        """It is known where the host is now: do not wait longer for the next attempt."""
        self._want_later(now_ns)
        if self._retry_at_ns is not None:
            self._retry_at_ns = None
            self._outbox.do(Connect())

    def warn(self, *, now_ns: int) -> None:
        """Tell the user once per absence that the host is not heard."""
        if not self._is_user_warned:
            self._is_user_warned = True
            code = Code.PLAYING_WITHOUT_HOST if self._sounds() else Code.LOOKING_FOR_HOST
            self._outbox.warn(Notice(code), self._session_ns(now_ns))

    def timer(self, *, now_ns: int) -> None:
        """Start the next attempt if the pause is over, and ask for a newer invitation when that is due."""
        if self._wanted_at_ns is not None and now_ns >= self._wanted_at_ns:
            self._wanted_at_ns, self.invitation_wanted = None, True
            self._outbox.warn(Notice(Code.INVITATION_WANTED), self._session_ns(now_ns))
        if self._retry_at_ns is not None and now_ns >= self._retry_at_ns:
            self._retry_at_ns = None
            self._outbox.do(Connect())

    def is_over(self, *, now_ns: int) -> bool:
        """The time to find the host has passed: the peer must end the session."""
        return self._give_up_at_ns is not None and now_ns >= self._give_up_at_ns

    def deadlines_ns(self) -> Iterator[int]:
        """The local times at which the session must call `is_over` and `timer`."""
        for at_ns in (self._give_up_at_ns, self._retry_at_ns, self._wanted_at_ns):
            if at_ns is not None:
                yield at_ns

    def end(self) -> None:
        """The host has accepted the peer again, or the session is over."""
        self._give_up_at_ns = self._retry_at_ns = self._wanted_at_ns = None
        self.invitation_wanted = False

    def _want_later(self, now_ns: int) -> None:
        self._wanted_at_ns = None if self._wanted_after_ns is None else now_ns + self._wanted_after_ns
        self.invitation_wanted = False
