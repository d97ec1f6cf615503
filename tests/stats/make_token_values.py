"""Makes tests/fixtures/expected/tokens.json: the statistics of tests/fixtures/tokens/run.jsonl, by NumPy and SciPy.

Nothing here is taken from the program: quantiles are numpy.percentile's, correlations scipy.stats', the sets of the
top 20 % come from a stable argsort. Versions stand in the file.

    pip install numpy==2.4.6 scipy==1.17.1
    python3 tests/stats/make_token_values.py
"""
import json
import platform
from pathlib import Path

import numpy as np
import scipy
from scipy import stats

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
QUANTILES = [5, 25, 50, 75, 80, 90, 95, 99]

rows = [json.loads(line) for line in (FIXTURES / "tokens/run.jsonl").read_text(encoding="utf-8").splitlines()]
steps = sorted({row["step"] for row in rows})


def of_step(step):
    mine = [row for row in rows if row["step"] == step]
    ids = np.concatenate([row["response_token_ids"] for row in mine])
    values = np.concatenate([row["entropies"] for row in mine])
    part = np.concatenate([np.arange(len(row["entropies"])) * 10 // len(row["entropies"]) for row in mine])
    top = np.sort(values)[::-1][:round(0.2 * len(values))]
    words = [(-values[ids == token].mean(), int(token), int((ids == token).sum())) for token in np.unique(ids)]
    words = sorted(word for word in words if word[2] >= 20)
    return {
        "step": step,
        "responses": len(mine),
        "tokens": len(values),
        "mean": values.mean(),
        "response_mean": np.mean([np.mean(row["entropies"]) for row in mine]),
        "quantiles": np.percentile(values, QUANTILES).tolist(),
        "certain_share": (values < 0.01).mean(),
        "over_reference_share": (values > 0.672).mean(),
        "top_share": top.sum() / values.sum(),
        "words": [{"id": token, "count": count, "mean": -mean} for mean, token, count in words],
        "kinds": len(np.unique(ids)),
        "parts": [{"tokens": int((part == p).sum()), "mean": values[part == p].mean()} for p in range(10)],
        "histogram": np.histogram(values, 48, (0, max(max(row["entropies"]) for row in rows)))[0].tolist(),
        "percentiles": np.percentile(values, range(101)).tolist(),
    }


def of_pair(a, b):
    x, y = (np.concatenate([row["entropies"] for row in rows if row["step"] == steps[i]]) for i in (a, b))
    count = round(0.2 * len(x))
    top_x, top_y = (set(np.argsort(-values, kind="stable")[:count].tolist()) for values in (x, y))
    return {
        "a": a, "b": b, "tokens": len(x), "mean_a": x.mean(), "mean_b": y.mean(),
        "top_overlap": len(top_x & top_y) / len(top_x | top_y),
        "pearson": stats.pearsonr(x, y).statistic,
        "spearman": stats.spearmanr(x, y).statistic,
    }


document = {
    "made_with": {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__},
    "scorings": [of_step(step) for step in steps],
    "overlaps": [of_pair(a, b) for a, b in [(0, 1), (0, 2), (1, 2)]],
}
path = FIXTURES / "expected/tokens.json"
path.write_text(json.dumps(document, separators=(",", ":")) + "\n")
print(path.name, len(document["scorings"]), "scorings")
