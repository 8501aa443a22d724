"""Hearing all loudspeakers from beside each of them in turn, so that no distance has to be known.

Sound needs the time D for the way between the loudspeakers k and i. Machine k plays by a_k too late. A microphone hears

    beside k:  t_k - t_i = a_k - a_i - D
    beside i:  t_k - t_i = a_k - a_i + D

so the mean of both is the difference without D. If the listening machine plays itself, it is carried along: its own
loudspeaker is always beside its microphone, and one place gives that difference without D.

The a_k are the least-squares solution of all differences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

MAX_CONTRADICTION_NS = 2_000_000
"""Differences that contradict each other by more were not heard beside the loudspeakers: it is 70 cm of sound."""
_ROUNDS = 1000
"""Of the iteration that solves the equations: with six machines it converges to far below a nanosecond."""


class Walk:
    """The places of one calibration. Machines are known by their indices; `carried` is the one that moves with the
    microphone, None if there is none."""

    def __init__(self, playing: Sequence[int], carried: int | None) -> None:
        self.machines = len(playing)
        self._carried = carried
        self._places = [k for k in playing if k != carried]
        self._heard: dict[int, Mapping[int, int]] = {}
        """By the place: when the machines were heard there, in ns after an arbitrary zero."""
        self.steps = len(self._places)
        self._last: int | None = None
        """The last place at which the microphone was."""

    @property
    def place(self) -> int | None:
        """The machine beside which the microphone must be now; None: all were visited."""
        return self._places[0] if self._places else None

    @property
    def step(self) -> int:
        """Number of the present place, from 1."""
        return self.steps - len(self._places) + 1

    @property
    def is_carried(self) -> bool:
        """A loudspeaker moves with the microphone."""
        return self._carried is not None

    def unheard(self, offsets_ns: Mapping[int, int]) -> int | None:
        """The machine that must be heard at this place, and is not; None: there is none."""
        needed = [self._places[0]] if self._carried is None else [self._places[0], self._carried]
        return next((k for k in needed if k not in offsets_ns), None)

    def take(self, offsets_ns: Mapping[int, int]) -> None:
        """This was heard at the present place. Go on to the next one."""
        self._last = self._places.pop(0)
        self._heard[self._last] = offsets_ns

    def skip(self) -> None:
        """Go on to the next place: nothing is there any more."""
        self._places.pop(0)

    def heard_last(self) -> Mapping[int, int]:
        """What was heard at the last place."""
        return {} if self._last is None else self._heard[self._last]

    def references(self) -> list[int]:
        """The machines that were heard at the last place, the ones beside the microphone first."""
        return sorted(self.heard_last(), key=lambda k: (k != self._carried, k != self._last, k))

    def late_ns(self) -> dict[int, int]:
        """How much later than the earliest one each machine plays. Those that no difference connects with the most
        others are left out."""
        solved = self._solved(self._differences_ns())
        first_ns = min(solved.values(), default=0.0)
        return {k: round(late_ns - first_ns) for k, late_ns in solved.items()}

    def contradiction_ns(self) -> int:
        """By how much the differences contradict each other, or a distance is negative."""
        differences_ns, worst_ns = self._differences_ns(), 0.0
        solved = self._solved(differences_ns)
        for (k, i), difference_ns in differences_ns.items():
            if k in solved and i in solved:
                worst_ns = max(worst_ns, abs(solved[k] - solved[i] - difference_ns))
        for k, i in self._pairs():
            way_ns = (self._heard[i][k] - self._heard[i][i] - self._heard[k][k] + self._heard[k][i]) / 2
            worst_ns = max(worst_ns, -way_ns)
        return round(worst_ns)

    def _pairs(self) -> list[tuple[int, int]]:
        """The pairs of places at both of which both machines were heard."""
        heard = self._heard
        return [(k, i) for k in heard for i in heard if k < i and {k, i} <= heard[k].keys() & heard[i].keys()]

    def _differences_ns(self) -> dict[tuple[int, int], float]:
        """By how much the first machine of each pair plays later than the second one."""
        found: dict[tuple[int, int], float] = {}
        for k, i in self._pairs():
            beside_k, beside_i = self._heard[k], self._heard[i]
            found[k, i] = (beside_k[k] - beside_k[i] + beside_i[k] - beside_i[i]) / 2
        if self._carried is not None:
            for k, beside_k in self._heard.items():
                if k in beside_k and self._carried in beside_k:
                    found[k, self._carried] = beside_k[k] - beside_k[self._carried]
        return found

    def _solved(self, differences_ns: Mapping[tuple[int, int], float]) -> dict[int, float]:
        """The least-squares solution, for the largest group of machines that differences connect."""
        others: dict[int, dict[int, float]] = {}
        for (k, i), difference_ns in differences_ns.items():
            others.setdefault(k, {})[i] = difference_ns
            others.setdefault(i, {})[k] = -difference_ns
        largest: set[int] = max((_connected(k, others) for k in others), key=len, default=set())
        late_ns = dict.fromkeys(sorted(largest), 0.0)
        for _ in range(_ROUNDS):  # Gauss-Seidel: each machine is as late as the mean of the others says
            for k in late_ns:
                late_ns[k] = sum(late_ns[i] + by_ns for i, by_ns in others[k].items()) / len(others[k])
        return late_ns


def _connected(start: int, others: Mapping[int, Mapping[int, float]]) -> set[int]:
    """All machines that differences connect with this one."""
    found, new = {start}, [start]
    while new:
        reached = [i for i in others[new.pop()] if i not in found]
        found.update(reached)
        new += reached
    return found
