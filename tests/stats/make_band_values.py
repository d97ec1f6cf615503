"""Writes tests/fixtures/expected/bands.json: means and bands of groups of runs, computed by NumPy and SciPy.

    python -m venv V && V/bin/pip install numpy==2.4.6 scipy==1.17.1
    V/bin/python tests/stats/make_band_values.py

Means, standard deviations and straight lines between points are NumPy's (mean, std, interp), the interval is SciPy's Student's t.
"""
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
from scipy import stats

FIXTURES = Path(__file__).resolve().parent.parent.parent / "tests/fixtures"


def history(run):
    rows = json.loads((FIXTURES / f"models/{run}/entropy_history_{run}.json").read_text())
    return [[row["step"], row["entropy"]] for row in rows]


def autoregressive(rng, steps, phi=0.8):
    value, run = 2.0, []
    for step in steps:
        value = 2.0 + phi * (value - 2.0) + 0.1 * rng.standard_normal()
        run.append([int(step), round(value, 6)])
    return run


def cases():
    rng = np.random.default_rng(20270114)
    yield "aligned", [autoregressive(rng, range(1, 31)) for _ in range(5)]
    yield "unequal lengths", [autoregressive(rng, range(1, end)) for end in (12, 31, 20, 31)]
    yield "late start", [autoregressive(rng, range(start, 25)) for start in (1, 10, 1)]
    yield "grids", [autoregressive(rng, range(first, 41, every)) for first, every in ((1, 1), (5, 5), (2, 2))]
    gap = [autoregressive(rng, range(1, 16)) for _ in range(3)]
    gap[1][6][1] = gap[1][7][1] = None
    yield "a gap", gap
    yield "one run", [autoregressive(rng, range(1, 5))]
    yield "two steps", [autoregressive(rng, (1, 2)) for _ in range(2)]
    yield "constant", [[[1, 0.5], [2, 0.5]], [[1, 0.5], [2, 0.5]], [[1, 0.5], [2, 0.5]]]
    yield "real runs", [history(f"qwen3-tiny_{name}") for name in ("questioner_s1", "questioner_s2", "questioner_log5")]


def covered(run):
    """The segments of a run between gaps: arrays of steps and values."""
    stretch = []
    for step, value in [*run, [None, None]]:
        if value is None:
            if stretch:
                yield np.array(stretch).T
            stretch = []
        else:
            stretch.append((float(step), value))


def value_at(run, step):
    """(logged value or None, interpolated value), or None if the run does not cover the step."""
    for steps, values in covered(run):
        if steps[0] <= step <= steps[-1]:
            logged = values[steps == step]
            return (logged[0] if len(logged) else None), float(np.interp(step, steps, values))
    return None


def line(runs, interpolated):
    for step in sorted({float(step) for run in runs for step, value in run if value is not None}):
        found = [value_at(run, step) for run in runs]
        values = [f[1] if interpolated else f[0] for f in found if f is not None]
        if None in values or len(values) < min(2, len(runs)):
            continue
        values = np.array(values)
        mean, n = values.mean(), len(values)
        place = {"step": step, "runs": n, "mean": mean, "sd": None, "se": None, "minmax": None, "ci95": None}
        if n > 1:
            sd = values.std(ddof=1)
            place["sd"] = [mean - sd, mean + sd]
            place["se"] = [mean - sd / np.sqrt(n), mean + sd / np.sqrt(n)]
            place["minmax"] = [values.min(), values.max()]
        if n > 2:
            half = stats.t.ppf(0.975, n - 1) * stats.sem(values)
            place["ci95"] = [mean - half, mean + half]
        yield place


document = {
    "versions": {name: version(name) for name in ("numpy", "scipy")},
    "lines": [
        {"name": name, "runs": runs, "as_logged": list(line(runs, False)), "interpolated": list(line(runs, True))}
        for name, runs in cases()
    ],
}
path = FIXTURES / "expected/bands.json"
path.write_text(json.dumps(document, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")
