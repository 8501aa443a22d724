"""The switch of the page for guests, for the window."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from phaselock.app.guests import GuestPage
from phaselock.errors import PhaseLockError
from phaselock.language.catalogue import current, tr
from phaselock.network.listener import PortTaken
from phaselock.ui.backend import ServedPage


class GuestPageSwitch:
    """Of one session, on the network thread. It keeps why the last change has failed."""

    def __init__(self) -> None:
        self._problem = ""

    async def change(self, change: Callable[[], Awaitable[None]]) -> None:
        """Await `change()`, a method of a GuestPage; what it raises is told in the view."""
        self._problem = ""
        try:
            await change()
        except PortTaken as error:  # unlike other ports, this one cannot be changed in the window
            form = tr("Port {port} is in use. Please close the other application.")
            self._problem = form.format(port=error.port)
        except PhaseLockError as error:
            self._problem = error.text(current())

    def view(self, page: GuestPage) -> ServedPage:
        """What the window shows of the page."""
        return ServedPage(page.link, page.address, self._problem)
