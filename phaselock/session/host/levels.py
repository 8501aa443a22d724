"""How loud the microphone of a calibration has heard each machine, and the trims that make all equally loud.

The level that was heard contains the volume of the machine and its trim at that time. Without the trim it is the
machine's *bare* level. The quietest bare level is what all machines can reach, so the machine that has it needs no
trim, and each other one is trimmed by the difference. So the trims depend on the present ones only through what is
heard, and do not add up from one calibration to the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from phaselock.frozen import frozen
from phaselock.model.notices import Code, Notice
from phaselock.model.snapshot import LevelsView, LevelView
from phaselock.model.volume import LEAST_DIFFERENCE_DB, MAX_TRIM_DB
from phaselock.protocol import messages as m
from phaselock.session import events as e
from phaselock.session.effects import Send
from phaselock.session.host.members import Members
from phaselock.session.outbox import Outbox


@frozen
class HeardLevel:
    """How loud a machine was heard."""

    peer_id: int | None
    """None: the host."""
    device_name: str
    """The output that was heard."""
    heard_db: float
    """On the scale of `Arrival.level_db`, with the volume and the trim of the machine."""
    bare_db: float
    """The same without the trim."""


class HostLevels:
    """The levels of the last calibration that has ended, and the trims of all machines. `now_ns` is session time."""

    def __init__(self, members: Members, outbox: Outbox, host_name: str) -> None:
        self._members = members
        self._outbox = outbox
        self._host_name = host_name
        self._heard: dict[int | None, HeardLevel] = {}
        """Of two machines or more; empty: unknown."""
        self._before: dict[int | None, float] = {}
        """The trims that `undo` gives back."""

    def hear(self, peer_id: int | None, level_db: float | None) -> HeardLevel | None:
        """A microphone has just heard a machine at this level. None if it has not, or the machine has left."""
        status = self._status(peer_id)
        if level_db is None or status is None or status.device_name is None:
            return None
        return HeardLevel(peer_id, status.device_name, level_db, level_db - status.trim_db)

    def take(self, heard: Sequence[HeardLevel]) -> None:
        """A calibration has ended, and has heard these machines."""
        self._heard = {one.peer_id: one for one in heard} if len(heard) >= 2 else {}

    def forget(self) -> None:
        """The levels no longer hold."""
        self._heard, self._before = {}, {}

    def settle(self) -> None:
        """Forget the levels if one of the machines has left or plays on another output."""
        for peer_id, one in self._heard.items():
            status = self._status(peer_id)
            if status is None or status.device_name != one.device_name:
                self.forget()
                return

    def view(self) -> LevelsView:
        """The levels and trims for users."""
        now_db, even_db = self._levels_db(self._present()), self._even()
        after_db = self._levels_db(even_db)
        machines = []
        for peer_id, name in self._machines():
            status, quietest_db = self._status(peer_id), min(now_db.values(), default=0.0)
            level_db = round(now_db[peer_id] - quietest_db, 1) if peer_id in now_db else None
            trim_db = status.trim_db if status is not None else None
            machines.append(LevelView(name, trim_db, level_db, even_db.get(peer_id)))
        left_db = _span(after_db)
        return LevelsView(
            machines=tuple(machines),
            can_even=_span(now_db) - left_db >= LEAST_DIFFERENCE_DB,
            is_limited=left_db >= LEAST_DIFFERENCE_DB,
            can_undo=bool(self._before),
        )

    # -- commands of the user ----------------------------------------------------------------------------------------

    def even(self, *, now_ns: int) -> None:
        """Trim all machines that were heard to the level of the quietest one."""
        present_db = self._present()
        changes_db = {peer_id: trim_db for peer_id, trim_db in self._even().items() if trim_db != present_db[peer_id]}
        if changes_db:
            self._before = {peer_id: present_db[peer_id] for peer_id in changes_db} | self._before
            self._trim(changes_db, now_ns)
        else:
            self._outbox.error(Notice(Code.LEVELS_EVEN if self._heard else Code.NO_LEVELS), now_ns)

    def undo(self, *, now_ns: int) -> None:
        """Give the machines back the trims that they had before `even`."""
        before_db, self._before = self._before, {}
        self._trim(before_db, now_ns)

    def reset(self, *, now_ns: int) -> None:
        """Take away the trims of all machines."""
        states = {peer_id: self._status(peer_id) for peer_id, _ in self._machines()}
        trimmed = [peer_id for peer_id, status in states.items() if status is not None and status.trim_db]
        # What `even` has just sent is perhaps not reported yet.
        changes_db = dict.fromkeys([*trimmed, *self._before], 0.0)
        self._before = {}
        self._trim(changes_db, now_ns)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _machines(self) -> Iterator[tuple[int | None, str]]:
        yield None, self._host_name
        for member in self._members:
            yield member.peer_id, member.name

    def _status(self, peer_id: int | None) -> m.PeerStatus | None:
        """The newest report of a machine; None before it, or if the machine has left."""
        if peer_id is None:
            return self._members.own.latest if self._members.own else None
        member = self._members.numbered(peer_id)
        return member.reports.latest if member else None

    def _present(self) -> dict[int | None, float]:
        """The trims now of the machines that were heard."""
        states = {peer_id: self._status(peer_id) for peer_id in self._heard}
        return {peer_id: status.trim_db for peer_id, status in states.items() if status is not None}

    def _even(self) -> dict[int | None, float]:
        """The trims that bring the machines that were heard closest to each other."""
        quietest_db = min((one.bare_db for one in self._heard.values()), default=0.0)
        trims_db = {peer_id: round(quietest_db - one.bare_db, 1) for peer_id, one in self._heard.items()}
        return {peer_id: max(-MAX_TRIM_DB, trim_db) + 0.0 for peer_id, trim_db in trims_db.items()}  # no negative zero

    def _levels_db(self, trims_db: Mapping[int | None, float]) -> dict[int | None, float]:
        """How loud the machines are heard with these trims."""
        return {peer_id: self._heard[peer_id].bare_db + trim_db for peer_id, trim_db in trims_db.items()}

    def _trim(self, trims_db: Mapping[int | None, float], now_ns: int) -> None:
        if not trims_db:
            self._outbox.error(Notice(Code.NO_TRIMS), now_ns)
            return
        if None in trims_db:
            self._outbox.note(e.TrimSet(now_ns, trims_db[None]))
        peers = [(member, trims_db[member.peer_id]) for member in self._members if member.peer_id in trims_db]
        for member, trim_db in peers:
            self._outbox.do(Send(member.conn, m.TrimCommand(trim_db)))
        if peers:
            rows = tuple(e.TrimRow(member.name, trim_db) for member, trim_db in peers)
            self._outbox.note(e.PeersTrimmed(now_ns, rows))


def _span(levels_db: Mapping[int | None, float]) -> float:
    return max(levels_db.values()) - min(levels_db.values()) if levels_db else 0.0
