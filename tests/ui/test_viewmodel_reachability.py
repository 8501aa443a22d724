"""What a host is told when friends elsewhere can no longer reach it, and when they can again."""

from __future__ import annotations

from phaselock.language.message import Message
from phaselock.model.invitation import InvitationState, Nat
from phaselock.model.snapshot import InvitationView
from phaselock.ui.viewmodel.reachability import STEADY_S, Reachability
from phaselock.ui.viewmodel.values import Toast

OPEN = InvitationView(InvitationState.OPEN, "line", True, Nat.OPEN, Message("It lets them in."))
LOST = InvitationView(InvitationState.OPEN, "line", False, Nat.HOME, Message("It lets no friend in."))
MOVED = InvitationView(InvitationState.OPEN, "another line", True, Nat.OPEN, Message("It lets them in."))
WITHDRAWN = InvitationView(InvitationState.WITHDRAWN, "", False, Nat.HOME, Message("Over."))
NO_LONGER = Toast("Friends elsewhere can no longer reach this machine. It lets no friend in.", "warning")
AGAIN = Toast("Friends elsewhere can reach this machine again.", "info")


def told(*views: tuple[InvitationView | None, float]) -> list[Toast]:
    """Each view is shown four times a second for that number of seconds."""
    reachability, now_s, toasts = Reachability(), 0.0, []
    for view, seconds in views:
        for _ in range(round(4 * seconds)):
            now_s += 0.25
            if (toast := reachability.take(view, now_s)) is not None:
                toasts.append(toast)
    return toasts


def test_each_change_is_told_once() -> None:
    assert told((OPEN, 60), (LOST, 60), (OPEN, 60), (LOST, 60)) == [NO_LONGER, AGAIN, NO_LONGER]


def test_what_changes_for_a_moment_only_is_not_told() -> None:
    assert told(*[(OPEN, 60), (LOST, STEADY_S - 1)] * 3, (OPEN, 60)) == []
    assert told((OPEN, 60), (LOST, 60), *[(OPEN, STEADY_S - 1), (LOST, 3)] * 3) == [NO_LONGER]


def test_a_new_invitation_after_a_loss_is_to_be_sent() -> None:
    (_, again) = told((OPEN, 1), (LOST, 60), (MOVED, 60))
    assert again.text == f"{AGAIN.text} The invitation is another one now: send it to those who are not in yet."


def test_what_is_known_from_the_beginning_is_no_news() -> None:
    assert told((LOST, 60), (None, 1), (OPEN, 60), (WITHDRAWN, 60), (LOST, 60)) == []
    assert told((LOST, 60), (OPEN, 60)) == [AGAIN]
