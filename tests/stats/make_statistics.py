"""Writes tests/fixtures/expected/statistics.json: statistics of samples and series, computed by SciPy, statsmodels, rliable and arch.

    python -m venv V && V/bin/pip install numpy==2.4.6 scipy==1.17.1 statsmodels==0.15.0 arch==7.2.0 "pandas<3" rliable==1.2.0
    V/bin/python tests/stats/make_statistics.py

The series are autoregressive with a seed, or the step-wise differences of two real runs of tests/fixtures/models.
"""
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
from arch.bootstrap import MovingBlockBootstrap, optimal_block_length
from rliable import metrics
from scipy import fft, optimize, stats
from statsmodels.stats.multitest import multipletests

ROOT = Path(__file__).resolve().parent.parent.parent
FIXTURES = ROOT / "tests/fixtures"


def history(run):
    rows = json.loads((FIXTURES / f"models/{run}/entropy_history_{run}.json").read_text())
    return {row["step"]: row["entropy"] for row in rows}


def differences(a, b):
    a, b = history(f"qwen3-tiny_{a}"), history(f"qwen3-tiny_{b}")
    return np.array([a[step] - b[step] for step in sorted(a.keys() & b.keys())])


def autoregressive(rng, n, phi):
    noise = rng.standard_normal(n + 200)
    series = np.zeros(n + 200)
    for t in range(1, n + 200):
        series[t] = phi * series[t - 1] + noise[t]
    return np.round(series[200:], 6)


def series():
    rng = np.random.default_rng(20261125)
    yield "questioner_s1 - solver_s1", differences("questioner_s1", "solver_s1")
    yield "solver_s1 - solver_s2", differences("solver_s1", "solver_s2")
    for n, phi in [(40, 0.5), (120, 0.0), (120, 0.8), (400, 0.95)]:
        yield f"AR(1), phi {phi}, n {n}", autoregressive(rng, n, phi)


def blocks():
    for name, values in series():
        length = float(optimal_block_length(values)["circular"].iloc[0])
        bootstrap = MovingBlockBootstrap(int(np.ceil(length)), values, seed=1)
        means = bootstrap.apply(np.mean, 20_000)
        yield {
            "name": name,
            "values": values.tolist(),
            "length": length,
            "standard_error": float(means.std()),
        }


def samples():
    rng = np.random.default_rng(7)
    sizes = [(2, 2), (3, 4), (5, 5), (10, 12)]
    pairs = [(rng.normal(2.0, 0.3, m).round(6), rng.normal(1.7, 0.6, n).round(6)) for m, n in sizes]
    pairs.append((np.array([1.0, 2.0, 2.0, 3.0]), np.array([2.0, 2.5, 3.0, 3.0, 4.0])))  # ties
    pairs.append((np.array([1.0, 1.0, 2.0]), np.array([1.0, 1.0, 2.0, 2.0, 3.0])))  # ties, another order of sizes
    pairs.append((np.array([2.0, 2.0, 3.0, 3.0, 5.0]), np.array([1.0, 1.0, 2.0])))
    for a, b in pairs:
        welch = stats.ttest_ind(a, b, equal_var=False)
        interval = welch.confidence_interval(0.95)
        everything = stats.PermutationMethod(n_resamples=np.inf)
        rank = stats.mannwhitneyu(a, b, method=everything if min(len(a), len(b)) <= 8 else "asymptotic")
        improvement = metrics.probability_of_improvement(a.reshape(-1, 1), b.reshape(-1, 1))
        alone = stats.t.interval(0.95, len(a) - 1, a.mean(), stats.sem(a))
        yield {
            "a": a.tolist(),
            "b": b.tolist(),
            "welch": {"difference": a.mean() - b.mean(), "p": welch.pvalue, "degrees": welch.df, "low": interval.low, "high": interval.high},
            "mann_whitney": {"u": rank.statistic, "p": rank.pvalue},
            "probability_of_improvement": float(improvement),
            "iqm": metrics.aggregate_iqm(a.reshape(-1, 1)),
            "interval": [float(end) for end in alone],
        }


def equal_weighted_cosines(values, cosines):
    """Half the 95 % interval of the mean (Lazarus, Lewis, Stock & Watson 2018), and the variance, by SciPy's DCT."""
    n = len(values)
    transform = np.sqrt(2 / n) * fft.dct(values, type=2)[1:] / 2
    variance = np.mean(transform[:cosines] ** 2)
    return stats.t.ppf(0.975, cosines) * np.sqrt(variance / n), variance, transform


def pairs():
    """Two runs a and b over steps 1 … n: the difference of their means, of their last tenths, and the ratio of their areas."""
    rng = np.random.default_rng(20261127)
    shapes = [(20, 0.0, 0.0), (59, 0.3, 0.0), (60, 0.3, 0.0), (199, 0.5, 0.0), (200, 0.5, 0.0), (1000, 0.9, 0.0), (300, 0.0, 2.0)]
    for n, phi, slope in shapes:
        trend = 3 + np.exp(-np.arange(n) / 40)
        a = np.round(trend + 0.5 + 0.1 * autoregressive(rng, n, phi) + slope * np.arange(n) / n, 9)
        b = np.round(trend, 9)
        difference, late = a - b, int(np.ceil(n / 10))
        cosines = 6 if n >= 60 else 4
        half, _, transform = equal_weighted_cosines(difference, cosines)
        drift = np.mean(transform[:2] ** 2) / np.mean(transform[2:10] ** 2)
        late_cosines = 6 if n >= 200 else 4
        _, variance, _ = equal_weighted_cosines(difference[n // 2 :], late_cosines)
        late_half = stats.t.ppf(0.975, late_cosines) * np.sqrt(variance / late)
        steps = np.arange(1.0, n + 1)
        weights = np.gradient(steps)
        weights[[0, -1]] = 0.5
        area_a, area_b = np.trapezoid(a, steps), np.trapezoid(b, steps)
        ratio = area_a / area_b
        errors = weights * (a - ratio * b)
        error_half, _, error_transform = equal_weighted_cosines(errors, cosines)
        error_drift = np.mean(error_transform[:2] ** 2) / np.mean(error_transform[2:10] ** 2)
        log_half = error_half * n / area_a
        limit = stats.f.ppf(0.99, 2, 8)
        around = lambda centre, half: [centre - half, centre + half]
        yield {
            "a": a.tolist(),
            "b": b.tolist(),
            "mean": [difference.mean(), *(around(difference.mean(), half) if drift < limit else [None, None])],
            "late": [difference[-late:].mean(), *around(difference[-late:].mean(), late_half)],
            "ratio": [ratio, *([ratio * np.exp(-log_half), ratio * np.exp(log_half)] if error_drift < limit else [None, None])],
        }


def newcombe(probability, m, n):
    """Method 5 of Newcombe 2006, Stat. Med. 25:559, solved by Brent's method."""
    z, size, edge = stats.norm.ppf(0.975), (m + n) / 2, 1e-9  # the estimate itself solves the equation at 0 and 1

    def excess(theta):
        shape = (1 - theta) / (2 - theta) + theta / (1 + theta)
        return abs(probability - theta) - z * np.sqrt(theta * (1 - theta) * (1 + (size - 1) * shape) / (m * n))

    low = 0.0 if probability == 0 else optimize.brentq(excess, 0.0, probability - edge, xtol=1e-14)
    high = 1.0 if probability == 1 else optimize.brentq(excess, probability + edge, 1.0, xtol=1e-14)
    return {"probability": probability, "m": m, "n": n, "low": low, "high": high}


def detectable(m, n, trials=400_000):
    """The difference in standard deviations that Welch's t finds in 80 % of simulated cases."""
    rng = np.random.default_rng(5)
    spread = np.sqrt(1 / m + 1 / n)
    variance_a, variance_b = (rng.chisquare(size - 1, trials) / (size - 1) / size for size in (m, n))
    degrees = (variance_a + variance_b) ** 2 / (variance_a**2 / (m - 1) + variance_b**2 / (n - 1))
    limit = stats.t.ppf(0.975, degrees) * np.sqrt(variance_a + variance_b)
    noise = spread * rng.standard_normal(trials)
    power = lambda difference: np.mean(np.abs(difference + noise) > limit)
    return {"m": m, "n": n, "difference": optimize.bisect(lambda d: power(d) - 0.8, 0.1, 40, xtol=1e-3), "power_at_3": power(3.0)}


def trends():
    """The last third of a run whose point i is at step i²: SciPy's Theil–Sen line and Kendall's S."""
    rng = np.random.default_rng(11)
    for n, noise, phi in [(20, 0.05, 0.0), (60, 0.02, 0.0), (120, 0.1, 0.5), (300, 0.2, 0.9)]:
        values = np.round(np.linspace(1, 0.4, n) + noise * autoregressive(rng, n, phi), 9)
        x, y = (np.arange(n) ** 2.0)[-(n // 3) :], values[-(n // 3) :]
        k = len(x)
        line = stats.theilslopes(y, x)
        score = stats.kendalltau(x, y, variant="b").statistic * k * (k - 1) / 2  # no ties
        residuals = y - line.slope * x
        deviations = residuals - residuals.mean()
        r = np.sum(deviations[1:] * deviations[:-1]) / np.sum(deviations**2)
        r = np.clip((k * r + 2) / (k - 4), 0, 0.95)
        variance = k * (k - 1) * (2 * k + 5) / 18 * (1 + r) / (1 - r)
        z = (score - np.sign(score)) / np.sqrt(variance)
        yield {"values": values.tolist(), "slope": line.slope, "intercept": line.intercept, "z": z}


ps = [0.01, 0.04, 0.03, 0.005, 0.9]
document = {
    "versions": {name: version(name) for name in ["numpy", "scipy", "statsmodels", "arch", "rliable"]},
    "blocks": list(blocks()),
    "samples": list(samples()),
    "pairs": list(pairs()),
    "newcombe": [newcombe(p, m, n) for p, m, n in [(1.0, 5, 5), (0.0, 3, 4), (0.5, 4, 4), (0.8, 10, 6), (23 / 24, 4, 6)]],
    "detectable": [detectable(m, n) for m, n in [(3, 3), (5, 5), (3, 8), (10, 10)]],
    "trends": list(trends()),
    "holm": {"p": ps, "adjusted": multipletests(ps, method="holm")[1].tolist()},
}
path = FIXTURES / "expected/statistics.json"
path.write_text(json.dumps(document, indent=1) + "\n")
