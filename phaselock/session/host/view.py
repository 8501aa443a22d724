"""A host's session as users see it."""

from __future__ import annotations

from phaselock.model.key_words import key_words
from phaselock.model.snapshot import SessionSnapshot
from phaselock.session.host.parts import HostParts


def snapshot_of(parts: HostParts, *, now_ns: int) -> SessionSnapshot:
    """A consistent copy of the state, for display."""
    about = parts.about
    queued, now = parts.queue.rows.ids(), parts.transport.now()
    return SessionSnapshot(
        session_name=about.session_name,
        session_id=about.session_id,
        host_name=about.host_name,
        display_name=about.host_name,
        queue=parts.queue.rows.items(),
        now=now,
        timeline=parts.transport.playback.current,
        then=parts.transport.playback.armed,
        waiting_for=parts.transport.waiting_for(),
        upcoming=parts.transport.upcoming(),
        peers=tuple(member.view(queued, now_ns) for member in parts.members),
        successors=tuple(one.name for one in parts.reign.succession.line()),
        requests=parts.requests.views(),
        repeat=parts.transport.repeat,
        shuffle=parts.queue.is_shuffled,
        calibration=parts.hearing.calibration.view(),
        levels=parts.hearing.levels.view(),
        confirmed=parts.members.own.proof.confirmation if parts.members.own is not None else None,
        check=parts.hearing.check.view(),
        loudness_lufs=parts.gains.target_lufs,
        now_loudness=parts.gains.view(parts.queue.known(now.id)) if now is not None else None,
        transitions=parts.transitions.chosen,
        host_words=key_words(about.host_key),
        code=parts.door.code,
        removed=parts.admission.removed_names,
        rules=parts.party.rules,
        votes=parts.party.votes_view(),
        skip=parts.party.skip_view(),
        guests=parts.party.guests.views(),
        removed_guests=parts.party.guests.removed_names,
        chat=parts.chat.lines,
        invitation=parts.invitation.view(),
    )
