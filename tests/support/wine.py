"""What wine 8, or the embeddable Python that runs in it, cannot do, and Windows can."""

from __future__ import annotations

import ctypes
import sys
import zlib
from collections.abc import Callable
from typing import Any

import pytest

EXPECTED_FAILURES = {
    "tests/storage/test_collect.py::test_folders_deeper_than_the_recursion_limit_are_collected": (
        "wine takes minutes for a path of 1,100 folders"
    ),
    "tests/test_cli.py::test_every_text_of_argparse_that_our_commands_show_is_in_the_catalogue": (
        "the embeddable Python has no sources"
    ),
    **dict.fromkeys(
        (
            "tests/bench/test_relay.py::test_addresses_of_pings_and_pongs_are_those_of_peer_and_relay",
            "tests/bench/test_relay.py::test_datagrams_of_other_senders_are_not_relayed",
            "tests/bench/test_relay.py::test_datagrams_are_lost_as_in_the_model",
            "tests/bench/test_relay.py::test_every_byte_arrives_in_order_both_ways_at_once",
            "tests/bench/test_relay.py::test_the_end_of_one_direction_leaves_the_other_open",
            "tests/bench/test_relay.py::test_a_reset_is_passed_on_both_ways",
            "tests/bench/test_relay.py::test_connections_are_reset_while_the_host_does_not_listen",
            "tests/bench/test_relay.py::test_the_process_ends_with_its_input_and_ignores_ctrl_c",
            "tests/bench/test_relay.py::test_a_closed_standard_output_gives_no_traceback",
            "tests/bench/test_relay.py::test_a_port_in_use_is_an_error",
        ),
        "wine gives a UDP port to one loopback address only",
    ),
}
"""Tests that fail under wine only, as file::function, and why. They are not started: some of them do not end."""

PURE = ("language", "model", "protocol", "session", "sim", "sync", "ui")
"""Folders whose tests mostly compute, which they do under wine as on Linux."""
PURE_SHARE = 4
"""Of this number of files in these folders, one is read under wine, where all of their tests would take minutes."""


def is_wine() -> bool:
    """Is this Python a Windows program that wine runs?"""
    if sys.platform != "win32":
        return False
    return hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")


def opened(open_window: Callable[[], Any]) -> Any:
    """The window that this function opens. Under wine, Tcl at times cannot read a file of its library."""
    for left in (2, 1, 0) if is_wine() else (0,):
        try:
            return open_window()
        except Exception as error:
            if not left or "init.tcl" not in str(error):
                raise


def is_left_out(path: str) -> bool:
    """Is this file, named from the root with slashes, not read? pytest does read those that .ci/windows names."""
    return path.endswith(".py") and path.split("/")[1] in PURE and zlib.crc32(path.encode()) % PURE_SHARE > 0


def mark_expected_failures(items: list[pytest.Item]) -> None:
    """Mark the tests of EXPECTED_FAILURES."""
    for item in items:
        if reason := EXPECTED_FAILURES.get(item.nodeid.partition("[")[0]):
            item.add_marker(pytest.mark.xfail(reason=reason, run=False))
