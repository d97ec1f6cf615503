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
from scipy import stats
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
    for a, b in pairs:
        welch = stats.ttest_ind(a, b, equal_var=False)
        interval = welch.confidence_interval(0.95)
        rank = stats.mannwhitneyu(a, b)
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


ps = [0.01, 0.04, 0.03, 0.005, 0.9]
document = {
    "versions": {name: version(name) for name in ["numpy", "scipy", "statsmodels", "arch", "rliable"]},
    "blocks": list(blocks()),
    "samples": list(samples()),
    "holm": {"p": ps, "adjusted": multipletests(ps, method="holm")[1].tolist()},
}
path = FIXTURES / "expected/statistics.json"
path.write_text(json.dumps(document, indent=1) + "\n")
