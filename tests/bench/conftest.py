"""The tests of the benchmark are slow ones: nothing of it is part of a session."""

from __future__ import annotations

import pathlib

import pytest

FOLDER = pathlib.Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(FOLDER):
            item.add_marker(pytest.mark.slow)
