"""Writes tests/fixtures/expected/law.json: the reward-entropy law of the fixtures, computed by SciPy and NumPy.

The fit is scipy.stats.linregress of the reward on e^H; the length of blocks is Politis & White's of the residuals; the
ends of the intervals are percentiles of a moving-block bootstrap with NumPy's generator, widened by Student's t as
docs/comparing.md says, with many more resamples than the program makes, so they agree within the noise of both.
Set up as make_statistics.py says.

    V/bin/python tests/stats/make_law_values.py
"""
import json
import sys
from pathlib import Path

import numpy
import scipy
from scipy.stats import linregress, norm, t

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
RESAMPLES = 20_000

CASES = [
    ("verl/qwen3-tiny_questioner_s1.jsonl", "policy/entropy", "critic/rewards/mean"),
    ("verl/qwen3-tiny_questioner_s2.jsonl", "policy/entropy", "critic/rewards/mean"),
    ("verl/qwen3-tiny_questioner_collapse_s1.jsonl", "policy/entropy", "critic/rewards/mean"),
    ("verl/qwen3-tiny_questioner_log5.jsonl", "policy/entropy", "critic/rewards/mean"),
    ("verl/qwen3-tiny_solver_s1.jsonl", "policy/entropy", "critic/rewards/mean"),
    ("verl/qwen3-tiny_solver_s2.jsonl", "policy/entropy", "critic/rewards/mean"),
    ("trainer_state/qwen3-tiny_questioner_s1/trainer_state.json", "entropy", "reward"),
    ("trainer_state/qwen3-tiny_solver_resumed/trainer_state.json", "entropy", "reward"),
]


def rows(path, entropy, reward):
    text = path.read_text()
    if path.suffix == ".jsonl":
        logged = [json.loads(line) for line in text.splitlines()]
        logged = [(row["step"], row["data"]) for row in logged]
    else:
        logged = [(row["step"], row) for row in json.loads(text)["log_history"]]
    kept = ({}, {})  # the later row of a step counts
    for step, row in logged:
        for values, key in zip(kept, (entropy, reward)):
            if key in row:
                values[step] = row[key]
    steps = sorted(set(kept[0]) & set(kept[1]))
    return steps, numpy.array([[kept[0][s], kept[1][s]] for s in steps], dtype=float)


def block_length(residuals):
    """Politis & White's for the circular bootstrap as b.star of R's package np has it, with the autocorrelations of
    R's acf; arch divides each by the variance of its own pairs, which differs for short series."""
    n = len(residuals)
    centred = residuals - residuals.mean()
    lags = min(int(numpy.ceil(numpy.sqrt(n))) + 5, n - 1)
    acov = numpy.array([centred[k:] @ centred[: n - k] / n for k in range(lags + 1)])
    quiet = numpy.abs(acov / acov[0]) < 2 * numpy.sqrt(numpy.log10(n) / n)
    forgotten = [first for first in range(1, lags - 4) if quiet[first : first + 5].all()]
    window = min(2 * forgotten[0], lags) if forgotten else lags
    k = numpy.arange(-window, window + 1)
    flat_top = numpy.minimum(1, 2 * (1 - numpy.abs(k) / window))
    g = (flat_top * numpy.abs(k) * acov[numpy.abs(k)]).sum()
    d = 4 / 3 * (flat_top * acov[numpy.abs(k)]).sum() ** 2
    return int(numpy.ceil(min((2 * g**2 / d) ** (1 / 3) * n ** (1 / 3), numpy.ceil(min(3 * numpy.sqrt(n), n / 3)))))


def intervals(x, y, fit, length, random):
    n = len(x)
    wider = numpy.sqrt(n / (n - length)) * t.ppf(0.975, n / length - 1) / norm.ppf(0.975)
    starts = random.integers(0, n - length + 1, size=(RESAMPLES, -(-n // length)))
    index = (starts[:, :, None] + numpy.arange(length)).reshape(RESAMPLES, -1)[:, :n]
    u, v = x[index], y[index]
    du, dv = u - u.mean(axis=1, keepdims=True), v - v.mean(axis=1, keepdims=True)
    a = -(du * dv).sum(axis=1) / (du**2).sum(axis=1)
    b = v.mean(axis=1) + a * u.mean(axis=1)
    estimates = (-fit.slope, fit.intercept, fit.intercept + fit.slope)
    ends = lambda values: numpy.quantile(values, [0.025, 0.975]) - values.mean()
    return [(e + wider * ends(values)).tolist() for e, values in zip(estimates, (a, b, b - a))]


def case(file, entropy, reward):
    steps, pairs = rows(FIXTURES / file, entropy, reward)
    x, y = numpy.exp(pairs[:, 0]), pairs[:, 1]
    fit = linregress(x, y)
    residuals = y - (fit.intercept + fit.slope * x)
    length = block_length(residuals)
    a, b, ceiling = intervals(x, y, fit, length, numpy.random.default_rng(1))
    third = len(x) // 3
    first = linregress(x[:third], y[:third])
    off = y[third:] - (first.intercept + first.slope * x[third:])
    rest = y[third:] - y[third:].mean()
    constant = y[third:] - y[:third].mean()
    root = lambda values: float(numpy.sqrt((values**2).mean()))
    return {
        "file": file, "entropy": entropy, "reward": reward,
        "pairs": len(x), "first_step": steps[0], "last_step": steps[-1],
        "a": -fit.slope, "b": fit.intercept, "ceiling": fit.intercept + fit.slope,
        "r2": fit.rvalue**2, "rmse": root(residuals), "block_length": length,
        "intervals": {"a": a, "b": b, "ceiling": ceiling},
        "hold_out": {
            "fitted_pairs": third, "tested_pairs": len(x) - third, "last_fitted_step": steps[third - 1],
            "a": -first.slope, "b": first.intercept, "rmse": root(off), "constant_rmse": root(constant),
            "r2": float(1 - (off @ off) / (rest @ rest)),
        },
    }


document = {
    "versions": {"python": sys.version.split()[0], "scipy": scipy.__version__, "numpy": numpy.__version__},
    "cases": [case(*c) for c in CASES],
}
(FIXTURES / "expected" / "law.json").write_text(json.dumps(document, indent=1) + "\n")
