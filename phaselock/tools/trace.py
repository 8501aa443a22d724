"""`phaselock trace`: record the exchanges with a session's clock to a file."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import os
import pathlib
from collections.abc import Coroutine
from typing import Any

from phaselock._native import now_ns
from phaselock.console.events import Recording, TraceWritten
from phaselock.console.interrupts import handling
from phaselock.console.lines import time_words
from phaselock.console.output import Screen
from phaselock.errors import PhaseLockError, message_of
from phaselock.language.message import Message
from phaselock.model.notices import Code, Notice
from phaselock.network.reach import connect
from phaselock.protocol.messages import PROTOCOL_VERSION
from phaselock.session.events import Warned, known_us
from phaselock.session.sentences import NoticeError
from phaselock.storage.files import replace_file
from phaselock.sync.trace import Exchange, trace_bytes
from phaselock.tools.probe import ClockProbe, Quality, loss_words, quality

LOOK_S = 0.5


def run_trace(address: tuple[str, int], path: str | None, seconds: float, screen: Screen, code: str = "") -> int:
    """Record the exchanges with the clock of the session at `address` for `seconds`, and write them to `path`. None: a
    new file in the current directory. Return the exit status. PhaseLockError if recording or writing fails."""
    try:
        return asyncio.run(_interruptible(_trace(address, path, seconds, screen, code)))
    except asyncio.CancelledError:  # interrupted before the first exchange
        raise KeyboardInterrupt from None


async def _interruptible(work: Coroutine[Any, Any, int]) -> int:
    """Await `work`. A signal that asks the program to end cancels it."""
    loop, this_task = asyncio.get_running_loop(), asyncio.current_task()
    assert this_task
    # asyncio handles SIGINT only, and not if it is ignored.
    with handling(lambda *_: loop.call_soon_threadsafe(this_task.cancel)):
        return await work


async def _trace(address: tuple[str, int], path: str | None, seconds: float, screen: Screen, code: str = "") -> int:
    began = datetime.datetime.now(datetime.UTC)
    target = pathlib.Path(path or began.strftime("phaselock-%Y%m%d-%H%M%S.trace"))
    if target.is_dir() or not os.access(target.absolute().parent, os.W_OK):
        raise PhaseLockError("The clock trace {path} cannot be written there.", path=target)
    visitor = ClockProbe(await connect(*address))
    collected: list[Exchange] = []
    try:
        info = await visitor.greet()
        if info.protocol_version != PROTOCOL_VERSION:
            raise NoticeError(Notice(Code.OTHER_VERSION))
        await visitor.join("trace", code)
        assert visitor.clock
        since_ns = at_ns = now_ns()
        with contextlib.suppress(asyncio.CancelledError):
            while not visitor.over and at_ns - since_ns < seconds * 1e9:
                await asyncio.sleep(min(LOOK_S, seconds - (at_ns - since_ns) / 1e9))
                at_ns = now_ns()
                collected += visitor.clock.exchanges(collected[-1] if collected else None)
                so_far_s, known = (at_ns - since_ns) / 1e9, known_us(visitor.clock.status(at_ns).uncertainty_ns)
                screen.event(Recording(None, so_far_s, len(collected)), to_people=False)
                screen.show(_progress(info.session_name, f"{so_far_s:.0f}", f"{seconds:g}", len(collected), known))
        found = quality(collected, visitor.clock.loss(), visitor.clock.status(at_ns))
    finally:
        await visitor.leave()
    if visitor.over:
        screen.event(Warned(None, Notice(Code.MEASUREMENT_CUT_SHORT, visitor.over)))
    if not collected:
        raise PhaseLockError("The host's clock did not answer once. Ask phaselock doctor why.")
    about: dict[str, Any] = {
        "recorded": began.isoformat(timespec="seconds"),
        "seconds": round((at_ns - since_ns) / 1e9, 3),
        "session": info.session_name,
        "host": info.host_name,
    }
    try:
        replace_file(target, trace_bytes(collected, about))
    except OSError as error:
        raise PhaseLockError(
            "The clock trace {path} cannot be written: {reason}.", path=target, reason=message_of(error)
        ) from None
    screen.event(TraceWritten(None, str(target), **about, **dataclasses.asdict(found)), to_people=False)
    for line in quality_lines(found):
        screen.say(line)
    screen.say(
        Message(
            "They are in {path}. Compare the clock filters on them with: phaselock bench clock --trace {path}",
            path=target,
        )
    )
    return 0


def _progress(session_name: str, so_far: str, seconds: str, exchanges: int, within_us: float | None) -> Message:
    """What has been recorded so far. The clock is known to `within_us` microseconds; None: not known."""
    clock = Message("its clock is not known yet")
    if within_us is not None:
        clock = Message("its clock is known to within {time}", time=time_words(within_us))
    return Message.plural(
        'Recording the clock of "{session_name}": {so_far} of {seconds} s, {number} exchange, {clock}',
        'Recording the clock of "{session_name}": {so_far} of {seconds} s, {number} exchanges, {clock}',
        exchanges,
        session_name=session_name,
        so_far=so_far,
        seconds=seconds,
        clock=clock,
    )


def quality_lines(found: Quality) -> list[Message]:
    """A summary for users. There must be at least one exchange."""
    assert found.rtt_p50_us is not None and found.rtt_p95_us is not None
    known = Message("At the end its clock is not known yet.")
    if found.uncertainty_us is not None:
        known = Message("At the end its clock is known to within {time}.", time=time_words(found.uncertainty_us))
    return [
        Message.plural(
            "{number} exchange with the host's clock was recorded; {loss}.",
            "{number} exchanges with the host's clock were recorded; {loss}.",
            found.exchanges,
            loss=loss_words(found.loss),
        ),
        Message(
            "Half of the round trips took less than {median}, 19 of 20 less than {slowest}.",
            median=time_words(found.rtt_p50_us),
            slowest=time_words(found.rtt_p95_us),
        ),
        known,
    ]
