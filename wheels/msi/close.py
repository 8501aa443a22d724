"""Close the other programs of this installation. The installer runs this before it replaces or removes their files.

Their windows are told that the user logs out: then a jam ends with a goodbye. Programs without a window, and those that
do not end in time, are stopped.
"""

from __future__ import annotations

import _winapi
import contextlib
import ctypes
import os
import sys
import time
from ctypes import wintypes

TIMEOUT_S = 10.0
"""How long all windows have to end."""
MAX_PROCESSES = 10_000
MAX_PATH_CHARACTERS = 32_768
PROCESS_RIGHTS = 0x1000 | 0x100000 | 0x1  # PROCESS_QUERY_LIMITED_INFORMATION | SYNCHRONIZE | PROCESS_TERMINATE
WM_QUERYENDSESSION, WM_ENDSESSION = 0x11, 0x16
ENDSESSION_CLOSEAPP = 0x1
SMTO_ABORTIFHUNG = 0x2

kernel32, user32 = ctypes.WinDLL("kernel32"), ctypes.WinDLL("user32")
HANDLER = ctypes.WINFUNCTYPE(wintypes.BOOL, wintypes.HWND, wintypes.LPARAM)
kernel32.QueryFullProcessImageNameW.argtypes = [
    wintypes.HANDLE,
    wintypes.DWORD,
    wintypes.LPWSTR,
    ctypes.POINTER(wintypes.DWORD),
]
user32.EnumWindows.argtypes = [HANDLER, wintypes.LPARAM]
user32.GetWindowThreadProcessId.argtypes = [wintypes.HWND, ctypes.POINTER(wintypes.DWORD)]
user32.SendMessageTimeoutW.argtypes = [
    wintypes.HWND,
    wintypes.UINT,
    wintypes.WPARAM,
    wintypes.LPARAM,
    wintypes.UINT,
    wintypes.UINT,
    ctypes.c_void_p,
]


def image(handle: int) -> str:
    """The folder of the program that runs in this process; empty if it is not known."""
    path = ctypes.create_unicode_buffer(MAX_PATH_CHARACTERS)
    kernel32.QueryFullProcessImageNameW(handle, 0, path, wintypes.DWORD(MAX_PATH_CHARACTERS))
    return os.path.normcase(os.path.dirname(path.value))


def others() -> dict[int, int]:
    """The handles of the other processes of this installation, by process ID."""
    numbers, used = (wintypes.DWORD * MAX_PROCESSES)(), wintypes.DWORD()
    kernel32.K32EnumProcesses(numbers, ctypes.sizeof(numbers), ctypes.byref(used))
    here = image(_winapi.GetCurrentProcess())
    found = {}
    for number in numbers[: used.value // ctypes.sizeof(wintypes.DWORD)]:
        with contextlib.suppress(OSError):  # of another user, or ended
            handle = _winapi.OpenProcess(PROCESS_RIGHTS, False, number)
            if number != os.getpid() and image(handle) == here:
                found[number] = handle
            else:
                _winapi.CloseHandle(handle)
    return found


def windows(numbers: list[int]) -> dict[int, list[int]]:
    """The windows of these processes, by process ID."""
    found: dict[int, list[int]] = {}

    def add(window: int, _: int) -> bool:
        number = wintypes.DWORD()
        user32.GetWindowThreadProcessId(window, ctypes.byref(number))
        if number.value in numbers:
            found.setdefault(number.value, []).append(window)
        return True

    user32.EnumWindows(HANDLER(add), 0)
    return found


def main() -> int:
    processes = others()
    shown = windows(list(processes))
    end_s = time.monotonic() + TIMEOUT_S

    def left_ms() -> int:
        return max(0, round(1000 * (end_s - time.monotonic())))

    for window in sum(shown.values(), []):
        for message, value in ((WM_QUERYENDSESSION, 0), (WM_ENDSESSION, 1)):
            user32.SendMessageTimeoutW(window, message, value, ENDSESSION_CLOSEAPP, SMTO_ABORTIFHUNG, left_ms(), None)
    for number, handle in processes.items():
        if number not in shown or _winapi.WaitForSingleObject(handle, left_ms()):
            with contextlib.suppress(OSError):  # it has ended
                _winapi.TerminateProcess(handle, 1)
                _winapi.WaitForSingleObject(handle, 1000)
    return 0


if __name__ == "__main__":
    sys.exit(main())
