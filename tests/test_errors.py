"""The text of any error, for users."""

from __future__ import annotations

import ctypes
import errno
import os
import sys

import pytest

from phaselock import errors
from phaselock.errors import SYSTEM_ERRORS, InternalError, PhaseLockError, bug_net, message_of, system_text
from phaselock.language.message import Message

COMMON = (
    errno.EACCES,
    errno.EIO,
    errno.EISDIR,
    errno.EMFILE,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EPIPE,
    errno.EROFS,
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.ETIMEDOUT,
    errno.EADDRNOTAVAIL,
)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.ENOENT, "No such file or directory", "a.mp3"), "No such file or directory"),
        (OSError(), "OSError"),
        (OSError("odd"), "odd"),
        (ValueError("embedded null byte"), "embedded null byte"),
        (TimeoutError(), "TimeoutError"),
        (PhaseLockError("No file {name}.", name="a"), "No file a."),
    ],
)
def test_every_error_has_a_text(error: Exception, text: str) -> None:
    assert isinstance(message_of(error), Message) and message_of(error) == text


def test_the_sentence_of_an_error_of_the_program_keeps_its_values() -> None:
    error = PhaseLockError("No file {name}.", name="a")
    assert message_of(error) is error.message


@pytest.mark.skipif(sys.platform != "linux", reason="other systems use other texts for some errors")
@pytest.mark.parametrize("number", COMMON, ids=lambda number: errno.errorcode[number])
def test_common_errors_of_the_system_can_be_translated(number: int) -> None:
    assert os.strerror(number) in SYSTEM_ERRORS


class WinError(OSError):
    """An error with the number of Windows, as other systems never raise it."""

    def __init__(self, number: int, winerror: int | None, text: str) -> None:
        super().__init__(number, text)
        self.winerror = winerror


@pytest.fixture
def on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The texts of Windows. There os.strerror does not know the numbers of sockets."""
    texts = {10061: "The target machine refused it. ", 1231: "The network location cannot be reached.\r\n"}
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "FormatError", lambda code: texts[code], raising=False)
    monkeypatch.setattr(os, "strerror", lambda number: {22: "Invalid argument"}.get(number, "Unknown error"))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (10061, "The target machine refused it"),
        (OSError(10061, "Connect call failed ('127.0.0.1', 9)"), "The target machine refused it"),
        (WinError(22, 1231, "Unknown error"), "The network location cannot be reached"),
        (22, "Invalid argument"),
        (OSError(22, ""), "Invalid argument"),
    ],
)
def test_windows_has_texts_for_the_errors_of_sockets(on_windows: None, error: OSError | int, text: str) -> None:
    assert system_text(error) == text


def test_no_error_is_unknown_on_windows(on_windows: None) -> None:
    assert message_of(OSError(10061, os.strerror(10061))) == "The target machine refused it"
    assert message_of(WinError(22, 1231, "")) == "The network location cannot be reached"
    assert message_of(OSError(22, "not a plain file")) == "not a plain file"


def test_the_texts_of_this_system() -> None:
    assert system_text(errno.ENOENT) == os.strerror(errno.ENOENT)
    assert system_text(OSError(errno.ENOENT, "x")) == os.strerror(errno.ENOENT)
    assert message_of(OSError(errno.ENOENT, "")) == os.strerror(errno.ENOENT)


def test_an_unexpected_exception_is_logged_and_named_for_users(bugs: list[str]) -> None:
    with pytest.raises(InternalError, match="Something went wrong inside PhaseLock"), bug_net("the work"):
        raise ValueError("odd")
    assert bugs == ["the work failed: ValueError('odd')"]
    with pytest.raises(InternalError), bug_net("outside"), bug_net("inside"):
        raise PhaseLockError("It is expected nowhere.")
    assert bugs[1:] == ["inside failed: PhaseLockError('It is expected nowhere.')"]


def test_an_expected_exception_passes() -> None:
    with pytest.raises(FileNotFoundError), bug_net("the work", PhaseLockError, OSError):
        raise FileNotFoundError
    with pytest.raises(KeyboardInterrupt), bug_net("the work"):
        raise KeyboardInterrupt


def test_a_failure_that_repeats_does_not_fill_the_log(bugs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 1000.0
    monkeypatch.setattr(errors.time, "monotonic", lambda: now_s)
    for text in ("a", "a", "b", "b"):
        with pytest.raises(InternalError), bug_net("the work"):
            raise ValueError(text)
    assert bugs == ["the work failed: ValueError('a')", "the work failed: ValueError('b')"]
    now_s += errors.MIN_REPEAT_S
    with pytest.raises(InternalError), bug_net("the work"):
        raise ValueError("b")
    assert len(bugs) == 3
