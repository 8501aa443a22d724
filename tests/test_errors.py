"""The text of any error, for users."""

from __future__ import annotations

import errno
import os
import sys

import pytest

from phaselock.errors import SYSTEM_ERRORS, PhaseLockError, message_of
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
