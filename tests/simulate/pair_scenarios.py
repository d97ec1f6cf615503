"""Intervals of two runs: how often they cover the truth, and how wide they are."""
from functools import partial

import numpy as np

import processes
from measures import Measure, Row, covers, share

TITLE = "Intervals of two runs"
TEXT = """Shares in %. One run is a series with a known mean, the other one is constant, so the differences are the series.
Coverage is that of the intervals that are given; where the difference drifts, mean and ratio of areas have none. Width is
relative to the interval that knows the true standard error of the mean. Targets: coverage of the mean at least 91 %, width at
most 1.35. Slower wander and random walks have no target: no method tried covers them."""
OFFSET, SCALE, BASELINE = 5.0, 0.2, 1.0
COVERAGE, WIDTH = (">=", 91.0), ("<=", 1.35)


def relative_width(intervals, variance):
    """The mean width of the intervals that are given, relative to the ideal one."""
    width = np.nanmean(intervals.high - intervals.low)
    return width / (2 * 1.96 * SCALE * np.sqrt(variance))


def scenario(name, trials, n, series, mean_variance, targets, backend, rng):
    a = OFFSET + SCALE * series(rng, trials, n)
    found = backend.pairs(a, np.full(a.shape, BASELINE))
    given = ~np.isnan(found.mean.low)
    width = relative_width(found.mean, mean_variance(n))
    # The true mean of the last tenth is that of its process, 0. A random walk has none; the value shows how far it is off.
    late_width = relative_width(found.late, mean_variance(-(-n // 10)))
    measures = {
        "mean covers": share(covers(found.mean, OFFSET - BASELINE), COVERAGE if targets else None),
        "width": Measure(width, np.nan, WIDTH if targets else None, ".2f"),
        "drifts": share(~given),
        "last tenth covers": share(covers(found.late, OFFSET - BASELINE)),
        "its width": Measure(late_width, format=".2f"),
        "ratio covers": share(covers(found.ratio, OFFSET / BASELINE)),
    }
    if series is processes.random_walk:
        del measures["its width"]  # the tenth of a walk is no walk from 0
    return Row(name, trials, measures)


def autoregressive(phi, n, trials):
    series = partial(processes.ar1, phi=phi)
    variance = partial(processes.ar1_mean_variance, phi=phi)
    return partial(scenario, f"AR(1) φ = {phi}, {n:,} steps", trials, n, series, variance, True)


def wandering(divisor, n, trials):
    series = partial(processes.wander, memory=n / divisor)
    variance = partial(processes.wander_mean_variance, memory=n / divisor)
    name = f"wander that forgets in n/{divisor} + noise, {n:,} steps"
    return partial(scenario, name, trials, n, series, variance, divisor >= 30)


SCENARIOS = [
    *(autoregressive(phi, 100, 4000) for phi in (0, 0.3, 0.5)),
    *(autoregressive(phi, 1000, 2500) for phi in (0, 0.5, 0.9, 0.97)),
    wandering(30, 1000, 2500),
    wandering(30, 5000, 1500),
    wandering(10, 1000, 2500),
    wandering(3, 1000, 4500),
    partial(
        scenario, "random walk, 1,000 steps", 7000, 1000,
        processes.random_walk, processes.random_walk_mean_variance, False,
    ),
]  # fmt: skip
FAMILIES = [(TITLE, TEXT, SCENARIOS)]
