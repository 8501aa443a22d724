"""How the window joins sessions: where they are, and the codes by which it has joined them before."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from phaselock.app.finding import places_of
from phaselock.app.options import JoinOptions
from phaselock.language.catalogue import current, tr
from phaselock.model.invitation import Candidate, parse_invitation
from phaselock.model.notices import Code
from phaselock.network.service_record import FoundSession
from phaselock.session.effects import Ended
from phaselock.session.invitation_sentences import WRONG_INVITATION
from phaselock.session.sentences import notice_text


class Joins:
    """Of one window, on the network thread. Addresses are those that the window shows, or invitations."""

    def __init__(self) -> None:
        self.codes: dict[str, str] = {}
        """The codes with which this window has joined sessions, by their addresses."""
        self._joined: dict[str, JoinOptions] = {}
        """How this window has joined them."""
        self._address, self._tried = "", JoinOptions()
        """The attempt that was made last."""

    def attempt(
        self,
        address: str,
        found: FoundSession | None,
        display_name: str,
        code: str | None,
        backend: str,
        device: str | None,
    ) -> JoinOptions:
        """How to join the session at this address. `found`: the one that discovery shows there. `code`: see
        `Program.join`. ValueError, whose text is a message id for users, if the address is invalid."""
        invitation = parse_invitation(address)
        if found is not None:
            options = JoinOptions(places_of(found), found.session_name, found.session_id, found.host_key)
        else:
            options = self._joined.get(address) or JoinOptions().with_invitation(invitation)
        known = invitation.code or self.codes.get(address, "")
        self._address = address
        self._tried = dataclasses.replace(
            options,
            display_name=display_name,
            backend=backend,
            device=device,
            code=known if code is None else code,
        )
        return self._tried

    def joined(self, address: str, session_name: str) -> None:
        """The attempt has joined this session, whose host is at this address."""
        options = self._tried
        # A host that is started again has a session with another id. That is looked for on the network of the house
        # only: elsewhere, the places of an invitation may lead to other machines.
        if not options.version:
            options = dataclasses.replace(options, session_id="", host_key="")
        self._joined[address] = dataclasses.replace(options, session_name=session_name)
        self.codes[address] = options.code

    def left(self, address: str, told: Sequence[Candidate]) -> None:
        """The session of this address has ended. `told`: where its host was then; empty: as it was joined."""
        options = self._joined.get(address)
        if options is not None and told:
            places = dict.fromkeys([*(one.place for one in told), *options.places])
            clock_ports = {**options.clock_ports, **{one.place: one.clock_port for one in told}}
            self._joined[address] = dataclasses.replace(options, places=tuple(places), clock_ports=clock_ports)

    def reason(self, ended: Ended) -> tuple[str, Code | None]:
        """Why a session has ended: a sentence, and its kind."""
        text = notice_text(ended.reason, current())
        if ended.reason.code is not Code.CODE_WRONG:
            return text, ended.reason.code
        self.codes.pop(self._address, None)
        if not self._tried.version:
            return text, Code.CODE_WRONG
        # The code of an invitation for friends elsewhere is not typed, so the window must not ask for it.
        if not ended.reason.detail:
            text = tr(WRONG_INVITATION)
        return text, None
