"""The window with a fake program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def window(make: Callable[..., Any]) -> Any:
    """A window that shows the first screen."""
    return make()
