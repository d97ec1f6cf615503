"""The statistical rules of the program, written a second time in NumPy and for many runs at once.

The program is Rust; nothing here is taken from it. Arrays have one row per trial. Sources of the formulas:

- intervals of a pair: Lazarus, Lewis, Stock & Watson 2018, JBES 36:541 (equal-weighted cosines); small fixed
  numbers of cosines as in Müller 2014, JBES 32:311;
- P(a > b): Newcombe 2006, Statistics in Medicine 25:559, method 5;
- Welch 1947; Mann–Kendall and Theil–Sen as in SciPy's `kendalltau` and `theilslopes`.
"""
from dataclasses import dataclass

import numpy as np

from student import t_quantile, t_two_sided

COLLAPSE, RECOVER = 0.25, 0.35
EXPLODE, CALM = 2.0, 1.5
EXPLODE_AT_LEAST = 1.0  # nats
WINDOW = 5  # points of the start and of the level
RUNNING = 5  # points for which the level must stay beyond a ratio
KENDALL_Z = -2.33  # the 1 % quantile of the normal distribution
DRIFT_F = 8.65  # the 99 % quantile of F with 2 and 8 degrees of freedom
NORMAL_975 = 1.959963984540054


@dataclass
class Intervals:
    """Estimates with the ends of their 95 % intervals; ends are NaN where no interval is given."""

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray


def cosines(d, count):
    """The first `count` cosine coefficients of each row of `d`: shape (trials, count)."""
    n = d.shape[1]
    t = (np.arange(1, n + 1) - 0.5) / n
    waves = np.cos(np.pi * np.outer(t, np.arange(1, count + 1)))
    # The waves are orthogonal to a constant; without the mean, rounding stays small beside the noise.
    return np.sqrt(2 / n) * (d - d.mean(axis=1, keepdims=True)) @ waves


def long_run_variance(d, count):
    return np.mean(cosines(d, count) ** 2, axis=1)


def cosine_count(n):
    """The number of cosines for `n` shared steps; 0 means that there is no interval."""
    return 6 if n >= 60 else 4 if n >= 20 else 0


def drifts(d):
    """Whether the difference drifts over the whole run."""
    squares = cosines(d, 10) ** 2
    return squares[:, :2].mean(axis=1) > DRIFT_F * squares[:, 2:].mean(axis=1)


def mean_difference(d):
    """The interval of the mean difference, computed also where it would be withheld because of a drift."""
    n, mean = d.shape[1], d.mean(axis=1)
    count = cosine_count(n)
    half = t_quantile(count) * np.sqrt(long_run_variance(d, count) / n)
    return Intervals(mean, mean - half, mean + half)


def late_difference(d):
    """The last tenth of the steps, with the variance of the later half."""
    n = d.shape[1]
    late = -(-n // 10)
    mean = d[:, n - late :].mean(axis=1)
    count = 4 if n < 200 else 6
    half = t_quantile(count) * np.sqrt(long_run_variance(d[:, n // 2 :], count) / late)
    return Intervals(mean, mean - half, mean + half)


def area_ratio(a, b):
    """Area under `a` over the area under `b` by trapezoids; the delta method on the log scale."""
    n = a.shape[1]
    count = cosine_count(n)
    weights = np.ones(n)
    weights[[0, -1]] = 0.5
    area_a, area_b = a @ weights, b @ weights
    ratio = area_a / area_b
    e = weights * (a - ratio[:, None] * b)
    half = t_quantile(count) * np.sqrt(n * long_run_variance(e, count)) / area_a
    return Intervals(ratio, ratio * np.exp(-half), ratio * np.exp(half))


@dataclass
class Pairs:
    """What is reported of pairs of runs. Where the difference drifts, the mean and the ratio have no interval."""

    mean: Intervals
    late: Intervals
    ratio: Intervals


def pairs(a, b):
    """Compares each row of `a` with the same row of `b`."""
    d = a - b
    mean, ratio = mean_difference(d), area_ratio(a, b)
    for intervals in (mean, ratio):
        for ends in (intervals.low, intervals.high):
            ends[drifts(d)] = np.nan
    return Pairs(mean, late_difference(d), ratio)


@dataclass
class States:
    """`state_step` is −1 in a state without a step; `slope` is in nats per step. Steps are 0, 1, 2, …"""

    state: np.ndarray
    state_step: np.ndarray
    start: np.ndarray
    level: np.ndarray
    slope: np.ndarray


def levels(values):
    """The median of the last five points at each point; NaN before the fifth and after the end of a run."""
    n = values.shape[1] - WINDOW + 1
    a, b, c, d, e = (values[:, i : i + n] for i in range(WINDOW))
    # The median of five is the median of the fifth, the second lowest of two pairs, and the second highest.
    low = np.maximum(np.minimum(a, b), np.minimum(c, d))
    high = np.minimum(np.maximum(a, b), np.maximum(c, d))
    median = np.maximum(np.minimum(low, high), np.minimum(np.maximum(low, high), e))
    return np.hstack([np.full((len(values), WINDOW - 1), np.nan), median])


def since(levels, enters, leaves):
    """For each run, the index since which it is in a state at its last point, or −1. It enters when `enters` has held
    for `RUNNING` points running, and leaves when `leaves` has."""
    inside = np.full(len(levels), -1)
    entering, leaving = np.zeros(len(levels), int), np.zeros(len(levels), int)
    enter, leave = (np.ascontiguousarray(mask.T) for mask in (enters(levels), leaves(levels)))
    for i in range(levels.shape[1]):
        entering = np.where(enter[i], entering + 1, 0)
        leaving = np.where(leave[i], leaving + 1, 0)
        inside = np.where((inside < 0) & (entering >= RUNNING), i, inside)
        inside = np.where((inside >= 0) & (leaving >= RUNNING), -1, inside)
    return inside


def theil_sen(y):
    """The slope per point, the value of the line at the last point, and the residuals. The line goes through the medians of
    the points and of the values, as that of SciPy's `theilslopes`."""
    n = y.shape[1]
    i, j = np.triu_indices(n, 1)
    slope = np.empty(len(y))
    for rows in np.array_split(np.arange(len(y)), max(1, len(y) * len(i) // 500_000)):
        slope[rows] = np.median((y[rows][:, j] - y[rows][:, i]) / (j - i), axis=1)
    residuals = y - slope[:, None] * np.arange(n)
    return slope, np.median(y, axis=1) + slope * (n - 1) / 2, residuals


def kendall_score(y):
    """Mann–Kendall's S: pairs that rise minus pairs that fall."""
    return sum(np.sign(y[:, gap:] - y[:, :-gap]).sum(axis=1) for gap in range(1, y.shape[1]))


def kendall_z(y, residuals):
    """Mann–Kendall's z, corrected for continuity. Its variance is multiplied by (1+r₁)/(1−r₁), with r₁ the autocorrelation
    of the residuals of the line at lag 1; of the values themselves, a trend would look like autocorrelation. Residuals of a
    line have an r₁ that is too low by (2 + 4 r₁)/n (Kendall 1954); corrected for that, a negative r₁ counts as 0."""
    n, score = y.shape[1], kendall_score(y)
    e = residuals - residuals.mean(axis=1, keepdims=True)
    r1 = (e[:, 1:] * e[:, :-1]).sum(axis=1) / (e**2).sum(axis=1)
    r1 = np.clip((r1 + 2 / n) / (1 - 4 / n), 0, 0.95)
    variance = n * (n - 1) * (2 * n + 5) / 18 * (1 + r1) / (1 - r1)
    return (score - np.sign(score)) / np.sqrt(variance)


def states(values, judge_slope=True):
    """The state of each run of `values`, of at least ten points, logged at steps 0, 1, 2, … Without `judge_slope`, no run is falling and slopes are
    NaN: the slopes of thousands of points take minutes here. Runs may then differ in length."""
    lengths = np.array([len(run) for run in values])
    trials, n = len(values), lengths.max()
    values = np.array([np.pad(run, (0, n - len(run)), constant_values=np.nan) for run in values])
    if judge_slope and (lengths < n).any():
        raise ValueError("slopes need runs of one length")
    start = np.median(values[:, :WINDOW], axis=1)
    level = levels(values)
    column = start[:, None]
    down = since(level, lambda v: v <= COLLAPSE * column, lambda v: v > RECOVER * column)
    high = np.maximum(EXPLODE * column, np.nextafter(EXPLODE_AT_LEAST, 2))
    up = since(level, lambda v: v >= high, lambda v: v < CALM * column)
    state, slope = np.full(trials, "healthy", object), np.full(trials, np.nan)
    if judge_slope:
        last_third = values[:, n - max(n // 3, 3) :]
        slope, end, residuals = theil_sen(last_third)
        reaches = end + slope * (n - 1) <= COLLAPSE * start
        state[(kendall_z(last_third, residuals) < KENDALL_Z) & reaches] = "falling"
    state[up >= 0] = "exploded"
    state[down >= 0] = "collapsed"
    return States(state, np.where(down >= 0, down, up), start, level[np.arange(trials), lengths - 1], slope)


@dataclass
class Groups:
    """What is reported of groups of runs: `index` holds the two groups of each pair."""

    index: np.ndarray
    p: np.ndarray
    above: Intervals
    mean: Intervals


def groups(values):
    """Compares all pairs of groups; one row of `values` per group, one value per run."""
    index = np.stack(np.triu_indices(len(values), 1), axis=1)
    a, b = values[index[:, 0]], values[index[:, 1]]
    return Groups(index, welch_p(a, b), newcombe(a, b), group_mean(values))


def welch_p(a, b):
    """The two-sided p of Welch's t. Rows are pairs of groups."""
    va, vb = a.var(axis=1, ddof=1) / a.shape[1], b.var(axis=1, ddof=1) / b.shape[1]
    df = (va + vb) ** 2 / (va**2 / (a.shape[1] - 1) + vb**2 / (b.shape[1] - 1))
    return t_two_sided((a.mean(axis=1) - b.mean(axis=1)) / np.sqrt(va + vb), df)


def newcombe(a, b):
    """P(a > b), ties counted half, with Newcombe's score interval: θ with |P̂ − θ| = z √V(θ)."""
    m, n = a.shape[1], b.shape[1]
    gap = a[:, :, None] - b[:, None, :]
    estimate = ((gap > 0) + 0.5 * (gap == 0)).mean(axis=(1, 2))

    def beyond(theta):
        bend = (1 - theta) / (2 - theta) + theta / (1 + theta)
        variance = theta * (1 - theta) * (1 + ((m + n) / 2 - 1) * bend) / (m * n)
        return np.abs(estimate - theta) > NORMAL_975 * np.sqrt(variance)

    def end(outside):
        inside = estimate.copy()
        outside = np.full_like(estimate, outside)
        for _ in range(60):
            middle = (inside + outside) / 2
            out = beyond(middle)
            inside, outside = np.where(out, inside, middle), np.where(out, middle, outside)
        return inside

    return Intervals(estimate, end(0.0), end(1.0))


def group_mean(values):
    """The mean over the runs of each group with its Student's t interval."""
    runs, mean = values.shape[1], values.mean(axis=1)
    half = t_quantile(runs - 1) * values.std(axis=1, ddof=1) / np.sqrt(runs)
    return Intervals(mean, mean - half, mean + half)
