"""What only a host shows in the window: its page for guests, which the window switches, and its fallback."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable

from phaselock.app.session import OpenHostSession
from phaselock.errors import PhaseLockError
from phaselock.language.catalogue import current, tr
from phaselock.network.listener import PortTaken
from phaselock.ui.backend import ServedPage, SessionView


class GuestPageSwitch:
    """Of one session, on the network thread. It keeps why the last change has failed."""

    def __init__(self) -> None:
        self.problem = ""
        """A sentence; empty: it has not failed."""

    async def change(self, change: Callable[[], Awaitable[None]]) -> None:
        """Await `change()`, a method of a GuestPage; what it raises is told in the view."""
        self.problem = ""
        try:
            await change()
        except PortTaken as error:  # unlike other ports, this one cannot be changed in the window
            form = tr("Port {port} is in use. Please close the other application.")
            self.problem = form.format(port=error.port)
        except PhaseLockError as error:
            self.problem = error.text(current())


def host_view(view: SessionView, session: OpenHostSession, page_problem: str) -> SessionView:
    """The view of a session, with what only its host shows."""
    page = session.guest_page
    return dataclasses.replace(
        view,
        hosting=True,
        host_words=session.host_words,
        guest_page=ServedPage(page.link, page.address, page_problem),
        fallback=session.fallback.source,
    )
