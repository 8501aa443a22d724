"""Says when friends elsewhere can no longer reach this machine while an invitation is open, and when they can again."""

from __future__ import annotations

from phaselock.language.catalogue import current, tr
from phaselock.model.invitation import InvitationState
from phaselock.model.snapshot import InvitationView
from phaselock.ui.viewmodel.values import Toast

STEADY_S = 15.0
"""A change that is undone within this time is not told: a router that answers late is asked again."""


class Reachability:
    """What was told of one invitation after the other."""

    def __init__(self) -> None:
        self._told: bool | None = None
        """Whether friends elsewhere can reach this machine. None: not known yet."""
        self._line = ""
        """The invitation by which they could when that was told last."""
        self._since_s: float | None = None
        """From when on it differs from what was told; None: it does not."""

    def take(self, invitation: InvitationView | None, now_s: float) -> Toast | None:
        """The toast that the newest view of the invitation needs, if it needs one. `now_s`: monotonic time."""
        if invitation is None or invitation.state is not InvitationState.OPEN:
            self._told = self._since_s = None
            return None
        if self._told is None:
            self._told = invitation.reachable
        if invitation.reachable == self._told:
            self._since_s = None
            if self._told:
                self._line = invitation.text
            return None
        if self._since_s is None:
            self._since_s = now_s
        if now_s - self._since_s < STEADY_S:
            return None
        self._told, self._since_s = invitation.reachable, None
        if not invitation.reachable:
            lost = tr("Friends elsewhere can no longer reach this machine.")
            return Toast(f"{lost} {invitation.sentence.translated(current())}", "warning")
        found = tr("Friends elsewhere can reach this machine again.")
        if self._line and invitation.text != self._line:
            found += " " + tr("The invitation is another one now: send it to those who are not in yet.")
        self._line = invitation.text
        return Toast(found, "info")
