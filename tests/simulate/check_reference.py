"""Compares reference.py with SciPy; `make simulate` does not need it.

    .venv/simulate/bin/pip install scipy==1.17.1
    .venv/simulate/bin/python tests/simulate/check_reference.py
"""
import numpy as np
from scipy import fft, optimize, stats

import reference
from student import t_quantile, t_two_sided

RNG = np.random.default_rng(0)


def close(what, ours, theirs, tolerance=1e-10):
    distance = np.max(np.abs(np.asarray(ours) - np.asarray(theirs)) / (1 + np.abs(theirs)))
    assert distance <= tolerance, f"{what}: off by {distance:.1e}"
    print(f"{what}: off by {distance:.1e}")


def newcombe_end(estimate, m, n, low, high):
    def distance(theta):
        bend = (1 - theta) / (2 - theta) + theta / (1 + theta)
        variance = theta * (1 - theta) * (1 + ((m + n) / 2 - 1) * bend) / (m * n)
        return (estimate - theta) ** 2 - stats.norm.ppf(0.975) ** 2 * variance

    return optimize.brentq(distance, low, high, xtol=1e-14)


def main():
    t, df = 3 * RNG.normal(size=2000), RNG.uniform(1.01, 60, size=2000)
    close("p of Student's t", t_two_sided(t, df), 2 * stats.t.sf(np.abs(t), df))
    quantiles = [1, 2, 4, 6, 9]
    close("quantiles of Student's t", [t_quantile(k) for k in quantiles], stats.t.ppf(0.975, quantiles))
    close("quantile of drift", reference.DRIFT_F, stats.f.ppf(0.99, 2, 8), 1e-3)
    close("quantile of falling", reference.KENDALL_Z, stats.norm.ppf(0.01), 4e-3)

    d = RNG.normal(size=(5, 101)).cumsum(axis=1)
    close("cosines", reference.cosines(d, 6), fft.dct(d, type=2, norm="ortho", axis=1)[:, 1:7])

    a, b = RNG.normal(size=(50, 5)), RNG.normal(size=(50, 7)) + 0.5
    close("p of Welch", reference.welch_p(a, b), stats.ttest_ind(a, b, axis=1, equal_var=False).pvalue)
    above = reference.newcombe(a, b)
    u = stats.mannwhitneyu(a, b, axis=1).statistic
    close("P(a > b)", above.estimate, u / 35)
    for row in np.flatnonzero((above.estimate > 0) & (above.estimate < 1)):
        estimate = above.estimate[row]
        ends = newcombe_end(estimate, 5, 7, 1e-12, estimate), newcombe_end(estimate, 5, 7, estimate, 1 - 1e-12)
        close("Newcombe's interval", (above.low[row], above.high[row]), ends)

    y = RNG.normal(size=(20, 31)).cumsum(axis=1)
    slope, end, _ = reference.theil_sen(y)
    theirs = [stats.theilslopes(row) for row in y]
    close("slope of Theil–Sen", slope, [line.slope for line in theirs])
    close("line of Theil–Sen", end, [line.intercept + 30 * line.slope for line in theirs])
    theirs = [[np.median(row[i - 4 : i + 1]) for i in range(4, 31)] for row in y]
    close("levels", reference.levels(y)[:, 4:], theirs)
    score = reference.kendall_score(y)
    pairs = 31 * 30 / 2
    close("score of Mann–Kendall", score, [pairs * stats.kendalltau(np.arange(31), row).statistic for row in y])


if __name__ == "__main__":
    main()
