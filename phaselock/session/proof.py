"""What a microphone has confirmed of one output. It ends when the output or its correction changes."""

from __future__ import annotations

from phaselock.model.calibration import Confirmation


class Proof:
    """Of one machine. Its output must be told with `take` before each change of it can be seen."""

    def __init__(self) -> None:
        self._confirmation: Confirmation | None = None
        self._output: tuple[str | None, int] = (None, 0)
        self._confirmed_output: tuple[str | None, int] = (None, 0)

    @property
    def confirmation(self) -> Confirmation | None:
        """What a microphone has confirmed, if it is still true; None: nothing."""
        return self._confirmation

    def take(self, device_name: str | None, correction_ns: int) -> None:
        """The output of the machine now; None: none is open."""
        self._output = device_name, correction_ns
        if self._output != self._confirmed_output:
            self._confirmation = None

    def confirm(self, confirmation: Confirmation) -> None:
        """A microphone has heard the output as it is now."""
        self._confirmation, self._confirmed_output = confirmation, self._output

    def end(self) -> None:
        """Nothing is confirmed any more."""
        self._confirmation = None
