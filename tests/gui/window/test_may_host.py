"""Whether this machine may become the host is chosen in the Sound panel, and kept."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.session_views import guest
from tests.support.window_driver import click, go, reads, show

pytestmark = pytest.mark.gui


def test_a_machine_declines_to_become_the_host(window: Any) -> None:
    show(window, guest())
    go(window, "sound")
    part = window.overlay.may_host
    assert part.switch.on and reads(part, "May become the host")
    click(part.switch)
    assert not part.switch.on
    click(part.switch)
    assert part.switch.on
    assert window.program.of("set_may_host") == [False, True]
