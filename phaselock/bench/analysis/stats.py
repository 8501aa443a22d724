"""Statistics for few repeats.

Values that are not finite stand for failed measurements: every function leaves them out.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Sequence

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from phaselock.frozen import frozen

CONFIDENCE = 0.95
SIGNIFICANT_P = 1 - CONFIDENCE
"""A difference with a smaller p-value is significant."""
LIKELY_P = 0.1
"""p-value up to which a non-overlapping difference is reported as likely; 3 against 3 repeats reach it."""
NEGLIGIBLE_SHARE = 0.02
"""Medians closer than this count as equal: the same machine varies as much from hour to hour, which repeats within one
run do not show."""
MIN_FOR_BOOTSTRAP = 6
"""Fewer values get their range as the interval."""
RESAMPLES = 2000
MAX_DRAWN = 1000
"""Values drawn for one resample. With more values the interval becomes a little wider than necessary."""
MAX_ARRANGEMENTS = 20_000
"""The exact test enumerates up to this many arrangements of the ranks."""
MAX_COUNTED = 20
"""Number of values on one side from which the smallest p-value no longer matters; also the limit of scipy's exact
test."""
FALSE_DISCOVERY_RATE = 2 * SIGNIFICANT_P
"""Expected share of chance among all differences found, in both directions; half of it among those to the worse."""


@frozen
class Summary:
    """`n` values were measured, `missing` failed. The true median is within `interval` with a probability of
    `confidence`. For fewer than two values the interval is NaN and the confidence 0."""

    n: int
    missing: int
    median: float
    low: float
    high: float
    interval: tuple[float, float]
    confidence: float


@frozen
class Comparison:
    """`ratio` is after / before, of the medians; NaN unless all values before are positive. `p` is the two-sided
    p-value of the rank-sum test, and `smallest_p` the smallest one that this number of values can reach."""

    before: Summary
    after: Summary
    ratio: float
    interval: tuple[float, float]
    p: float
    smallest_p: float

    @property
    def apart(self) -> bool:
        """Whether the two ranges do not overlap."""
        return self.before.high < self.after.low or self.after.high < self.before.low

    @property
    def testable(self) -> bool:
        """Whether the values differ at all: a test of equal values says nothing."""
        return min(self.before.low, self.after.low) < max(self.before.high, self.after.high)

    @property
    def negligible(self) -> bool:
        """Whether the medians differ by at most NEGLIGIBLE_SHARE."""
        before, after = self.before.median, self.after.median
        return abs(after - before) <= NEGLIGIBLE_SHARE * max(abs(before), abs(after))


def finite(values: Sequence[float]) -> list[float]:
    """The values that were measured: neither NaN nor above 1e100."""
    return [value for value in values if abs(value) < 1e100]


def median(values: Sequence[float]) -> float:
    """The median; NaN if there is no value."""
    return percentile(values, 50)


def percentile(values: Sequence[float], percent: float) -> float:
    """The percentile, interpolated linearly; NaN if there is no value."""
    known = finite(values)
    return float(np.percentile(known, percent)) if known else math.nan


def summary(values: Sequence[float]) -> Summary:
    """Median, range and an interval for the true median: a percentile bootstrap (B. Efron, 1979). Fewer than
    MIN_FOR_BOOTSTRAP values get their range, which misses the true median only if all are on one side of it: p = 2 /
    2^n."""
    known = finite(values)
    n = len(known)
    if not n:
        return Summary(0, len(values), math.nan, math.nan, math.nan, (math.nan, math.nan), 0.0)
    low, high = min(known), max(known)
    interval, confidence = (math.nan, math.nan), 0.0
    if n >= MIN_FOR_BOOTSTRAP:
        interval, confidence = _percentile_interval(_medians(known, np.random.default_rng(1))), CONFIDENCE
    elif n > 1:
        interval, confidence = (low, high), 1 - 2.0 ** (1 - n)
    return Summary(n, len(values) - n, median(known), low, high, interval, confidence)


def compare(before: Sequence[float], after: Sequence[float]) -> Comparison:
    """Compare two sets of repeats. They are not paired: a program in real time does not repeat itself, even with the
    same seed."""
    a, b = finite(before), finite(after)
    one, other = summary(before), summary(after)
    if not a or not b:
        return Comparison(one, other, math.nan, (math.nan, math.nan), math.nan, math.nan)
    ratio, interval = math.nan, (math.nan, math.nan)
    if one.low > 0 and other.low >= 0:  # otherwise a ratio has no meaning
        ratio = other.median / one.median
        if min(len(a), len(b)) >= MIN_FOR_BOOTSTRAP:
            random = np.random.default_rng(1)
            divisors = _medians(a, random)
            with np.errstate(over="ignore"):
                interval = _percentile_interval(_medians(b, random) / divisors)
        elif min(len(a), len(b)) > 1:
            interval = (other.low / one.high, other.high / one.low)
    arrangements = math.comb(len(a) + len(b), min(len(a), len(b), MAX_COUNTED))
    return Comparison(one, other, ratio, interval, _p(a, b, arrangements), min(1.0, 2 / arrangements))


def significance_limit(ps: Collection[float]) -> float:
    """The largest significant p-value of a family of comparisons; 0 if there is none. Controls the false discovery rate
    (Y. Benjamini and Y. Hochberg, 1995): without it, one comparison of twenty equal runs finds something worse."""
    ranked = enumerate(sorted(ps), 1)
    return max((p for k, p in ranked if p <= FALSE_DISCOVERY_RATE * k / len(ps) and p < SIGNIFICANT_P), default=0.0)


def repeats_for(comparisons: int) -> int:
    """Repeats of each run with which `significance_limit` can find a difference in one of this many comparisons."""
    return next(n for n in itertools.count(4) if 2 / math.comb(2 * n, n) <= FALSE_DISCOVERY_RATE / max(comparisons, 1))


def _p(a: list[float], b: list[float], arrangements: int) -> float:
    """Two-sided p-value of the rank-sum test (F. Wilcoxon, 1945; H. B. Mann and D. R. Whitney, 1947). Up to
    MAX_ARRANGEMENTS it is exact, with ties too, by enumeration."""
    if min(a + b) == max(a + b):
        return 1.0
    if arrangements > MAX_ARRANGEMENTS:
        exact = max(len(a), len(b)) <= MAX_COUNTED and len({*a, *b}) == len(a) + len(b)
        return float(scipy.stats.mannwhitneyu(a, b, method="exact" if exact else "asymptotic").pvalue)
    ranks = scipy.stats.rankdata(a + b)
    expected = len(a) * (len(ranks) + 1) / 2
    observed = abs(ranks[: len(a)].sum() - expected)
    as_far = sum(abs(sum(chosen) - expected) >= observed - 1e-9 for chosen in itertools.combinations(ranks, len(a)))
    return float(as_far / arrangements)


def _medians(values: list[float], random: np.random.Generator) -> NDArray[np.float64]:
    """The medians of RESAMPLES bootstrap samples, (RESAMPLES,)."""
    medians: NDArray[np.float64] = np.median(random.choice(values, (RESAMPLES, min(len(values), MAX_DRAWN))), axis=1)
    return medians


def _percentile_interval(resampled: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(resampled, [50 * SIGNIFICANT_P, 100 - 50 * SIGNIFICANT_P])
    return float(low), float(high)
