"""What several tests of the guests' page use."""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import Callable

import pytest

from tests.support.guest_jam import Scene, open_page


@pytest.fixture
def on_page(tmp_path: pathlib.Path) -> Callable[[Scene], None]:
    """Runs a scene with a page that is served."""

    def run(scene: Scene) -> None:
        async def play() -> None:
            async with open_page(tmp_path, art=b"PNG") as opened:
                async with asyncio.timeout(20):
                    await scene(opened)

        asyncio.run(play())

    return run
