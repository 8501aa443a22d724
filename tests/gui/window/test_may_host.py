"""Whether this machine may become the host is chosen in the Display panel, and kept."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.session_views import guest
from tests.support.window_driver import click, reads, show

pytestmark = pytest.mark.gui


def test_a_machine_declines_to_become_the_host(window: Any) -> None:
    show(window, guest())
    window.open_display()
    window.update()
    part = window.overlay
    assert part.may_host.on and reads(part, "May become the host")
    click(part.may_host)
    assert not part.may_host.on
    click(part.may_host)
    assert part.may_host.on
    assert window.program.of("set_may_host") == [False, True]
