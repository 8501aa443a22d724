"""What a few repeats allow to be said, and no more. A value that is not finite was not measured: it counts nowhere."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Collection, Sequence

import numpy as np
import scipy.stats

CONFIDENCE = 0.95
SIGNIFICANT = 1 - CONFIDENCE
LIKELY = 0.1
"""What does not overlap is called likely where chance does it at most so often: from three repeats against three on."""
NEGLIGIBLE = 0.02
"""A machine differs by that from one hour to the next, which repeats within a run do not show."""
MIN_FOR_BOOTSTRAP = 6
RESAMPLES = 2000
MAX_DRAWN = 1000
"""For a resample, however many values there are: the interval is then a little wider than it need be."""
MAX_ARRANGEMENTS = 20_000
MAX_COUNTED = 20
"""So many values of each can be told apart better than anybody needs."""
FALSE = 2 * SIGNIFICANT
"""The share of all differences found, to either side, that chance alone may have made; half of it to the worse."""


@dataclasses.dataclass(frozen=True, slots=True)
class Summary:
    """`n` values were measured, `missing` were not. The median of all that could have been measured lies within
    `interval` with a probability of `confidence`; both are of no use (NaN and 0) for fewer than two values."""

    n: int
    missing: int
    median: float
    low: float
    high: float
    interval: tuple[float, float]
    confidence: float


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """`ratio` is after / before, of the medians; NaN where that means nothing. `p` is how often chance alone would set
    the two apart by as much or more, and `smallest_p` the least that so few values can show."""

    before: Summary
    after: Summary
    ratio: float
    interval: tuple[float, float]
    p: float
    smallest_p: float

    @property
    def apart(self) -> bool:
        """Whether no value of one lies within the range of the other."""
        return self.before.high < self.after.low or self.after.high < self.before.low

    @property
    def testable(self) -> bool:
        """Whether chance could have set them apart at all: not where every value is the same."""
        return min(self.before.low, self.after.low) < max(self.before.high, self.after.high)

    @property
    def negligible(self) -> bool:
        """Whether the medians are so close that nobody would care."""
        before, after = self.before.median, self.after.median
        return abs(after - before) <= NEGLIGIBLE * max(abs(before), abs(after))


def finite(values: Sequence[float]) -> list[float]:
    """Those that were measured; what no instrument could have measured is none of them."""
    return [value for value in values if abs(value) < 1e100]


def median(values: Sequence[float]) -> float:
    """NaN for none."""
    return percentile(values, 50)


def percentile(values: Sequence[float], percent: float) -> float:
    """Linear between the two nearest; NaN for none."""
    known = finite(values)
    return float(np.percentile(known, percent)) if known else math.nan


def summary(values: Sequence[float]) -> Summary:
    """Median, range, and what can honestly be said of the median: a bootstrap interval; for fewer than six values their
    range, which misses it only if all of them fall on one side: 2 times 1 in 2^n."""
    known = finite(values)
    n = len(known)
    if not n:
        return Summary(0, len(values), math.nan, math.nan, math.nan, (math.nan, math.nan), 0.0)
    low, high = min(known), max(known)
    interval, confidence = (math.nan, math.nan), 0.0
    if n >= MIN_FOR_BOOTSTRAP:
        interval, confidence = _middle(_medians(known, np.random.default_rng(1))), CONFIDENCE
    elif n > 1:
        interval, confidence = (low, high), 1 - 2.0 ** (1 - n)
    return Summary(n, len(values) - n, median(known), low, high, interval, confidence)


def compare(before: Sequence[float], after: Sequence[float]) -> Comparison:
    """Two sets of repeats that are not paired: programs that run in real time never repeat themselves, seed or not."""
    a, b = finite(before), finite(after)
    one, other = summary(before), summary(after)
    if not a or not b:
        return Comparison(one, other, math.nan, (math.nan, math.nan), math.nan, math.nan)
    ratio, interval = math.nan, (math.nan, math.nan)
    if one.low > 0 and other.low >= 0:  # else a ratio is not what anybody would want to know
        ratio = other.median / one.median
        if min(len(a), len(b)) >= MIN_FOR_BOOTSTRAP:
            chance = np.random.default_rng(1)
            divisors = _medians(a, chance)
            with np.errstate(over="ignore"):
                interval = _middle(_medians(b, chance) / divisors)
        elif min(len(a), len(b)) > 1:
            interval = (other.low / one.high, other.high / one.low)
    arrangements = math.comb(len(a) + len(b), min(len(a), len(b), MAX_COUNTED))
    return Comparison(one, other, ratio, interval, _p(a, b, arrangements), min(1.0, 2 / arrangements))


def surely(ps: Collection[float]) -> float:
    """The largest of these p that chance does not explain, though so many were looked at; 0 for none (Benjamini and
    Hochberg 1995). Where nothing differs, one comparison of twenty finds something worse."""
    ranked = enumerate(sorted(ps), 1)
    return max((p for k, p in ranked if p <= FALSE * k / len(ps) and p < SIGNIFICANT), default=0.0)


def repeats_for(figures: int) -> int:
    """How many repeats of each run let `surely` find a difference in just one of so many figures."""
    return next(n for n in itertools.count(4) if 2 / math.comb(2 * n, n) <= FALSE / max(figures, 1))


def _p(a: list[float], b: list[float], arrangements: int) -> float:
    """Two-sided, of the sum of ranks (Wilcoxon; Mann and Whitney), exact with ties too: by counting the arrangements as
    long as they can be counted."""
    if min(a + b) == max(a + b):
        return 1.0
    if arrangements > MAX_ARRANGEMENTS:
        exact = max(len(a), len(b)) <= MAX_COUNTED and len({*a, *b}) == len(a) + len(b)
        return float(scipy.stats.mannwhitneyu(a, b, method="exact" if exact else "asymptotic").pvalue)
    ranks = scipy.stats.rankdata(a + b)
    expected = len(a) * (len(ranks) + 1) / 2
    seen = abs(ranks[: len(a)].sum() - expected)
    as_far = sum(abs(sum(chosen) - expected) >= seen - 1e-9 for chosen in itertools.combinations(ranks, len(a)))
    return float(as_far / arrangements)


def _medians(values: list[float], chance: np.random.Generator) -> np.ndarray:
    medians: np.ndarray = np.median(chance.choice(values, (RESAMPLES, min(len(values), MAX_DRAWN))), axis=1)
    return medians


def _middle(resampled: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(resampled, [50 * SIGNIFICANT, 100 - 50 * SIGNIFICANT])
    return float(low), float(high)
