"""Where the entropy of the run in tests/fixtures/grpo changed, by NumPy and SciPy: tests/fixtures/expected/change.json.

    python3 tests/stats/make_change_values.py

The formulas are those of docs/explain.md, written anew: the pair of steps, jackknife intervals over prompts, Kitagawa's
decomposition by outcome, position, entropy and kind of token, and the signs that the covariance predicts.

Made with Python 3.11, NumPy 2.4.6, SciPy 1.17.
"""
import gzip
import itertools
import json
from pathlib import Path

import numpy as np
from scipy import stats

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
REWARD = "early_vowels"

with gzip.open(FIXTURES / "grpo/tokens.jsonl.gz", "rt", encoding="utf-8") as file:
    rows = [json.loads(line) for line in file]
steps = sorted({row["step"] for row in rows})
prompts = sorted({tuple(row["prompt_token_ids"]) for row in rows})


def tokens_of(step):
    """One record array per step: a row per token."""
    found = []
    for row in rows:
        if row["step"] != step:
            continue
        reward = row["dump"][REWARD]
        for position, (kind, entropy, log_prob) in enumerate(zip(row["response_token_ids"], row["entropies"], row["log_probs"])):
            found.append((prompts.index(tuple(row["prompt_token_ids"])), reward > 0, position, kind, entropy, log_prob, row["dump"]["advantage"]))
    names = ["prompt", "right", "position", "kind", "entropy", "log_prob", "advantage"]
    return {name: np.array(column) for name, column in zip(names, zip(*found))}


table = {step: tokens_of(step) for step in steps}
means = {step: table[step]["entropy"].mean() for step in steps}

# The pair: the largest fall or rise, shortened to the shortest stretch with 90 % of it.
pairs = list(itertools.combinations(steps, 2))
fall = max(pairs, key=lambda p: means[p[0]] - means[p[1]])
rise = max(pairs, key=lambda p: means[p[1]] - means[p[0]])
is_fall = means[fall[0]] - means[fall[1]] >= means[rise[1]] - means[rise[0]]
sign, widest = (-1, fall) if is_fall else (1, rise)
size = lambda p: sign * (means[p[1]] - means[p[0]])
inside = [p for p in pairs if p[0] >= widest[0] and p[1] <= widest[1] and size(p) >= 0.9 * size(widest)]
a, b = min(inside, key=lambda p: (p[1] - p[0], -size(p)))
A, B = table[a], table[b]


def jackknife(number):
    """Standard error and degrees of freedom of number(A, B), leaving out a prompt in both steps."""
    names = sorted(set(A["prompt"]))
    assert names == sorted(set(B["prompt"])), "the steps have the same prompts"
    without = lambda data, name: {key: column[data["prompt"] != name] for key, column in data.items()}
    left = np.array([number(without(A, name), without(B, name)) for name in names])
    m = len(names)
    return np.sqrt((m - 1) / m * ((left - left.mean(0)) ** 2).sum(0)), m - 1


def interval(number, miss=0.05):
    value = np.array(number(A, B))
    error, degrees = jackknife(number)
    half = stats.t.ppf(1 - miss / 2, degrees) * error
    return [{"value": v, "low": v - h, "high": v + h} for v, h in zip(value.tolist(), half.tolist())]


def parts(group_of, groups):
    """within, mix and the share of within of each group; then of all groups, with the share of the mix."""
    def number(first, last):
        change = last["entropy"].mean() - first["entropy"].mean()
        middle = (last["entropy"].mean() + first["entropy"].mean()) / 2
        within, mix = [], []
        for group in groups:
            of = [(data["entropy"][group_of(data, at) == group], len(data["entropy"])) for at, data in enumerate((first, last))]
            share = [len(values) / all for values, all in of]
            mean = [values.mean() if len(values) else None for values, _ in of]
            mean = [m if m is not None else mean[1 - at] for at, m in enumerate(mean)]
            within.append((share[0] + share[1]) / 2 * (mean[1] - mean[0]))
            mix.append((share[1] - share[0]) * ((mean[0] + mean[1]) / 2 - middle))
        each = [x for w, m in zip(within, mix) for x in (w, m, w / change)]
        return np.array([*each, sum(within), sum(mix), sum(within) / change, sum(mix) / change])

    return interval(number)


def split(group_of, names):
    found = parts(group_of, range(len(names)))
    rows = []
    for at, name in enumerate(names):
        inside = [group_of(data, of) == at for of, data in enumerate((A, B))]
        rows.append({
            "name": name, "tokens": [int(i.sum()) for i in inside],
            "mean": [float(data["entropy"][i].mean()) if i.any() else None for data, i in zip((A, B), inside)],
            "token_share": float(np.mean([i.mean() for i in inside])),
            "within": found[3 * at], "mix": found[3 * at + 1], "within_share": found[3 * at + 2],
        })
    end = 3 * len(names)
    return {"rows": rows, "within": found[end], "mix": found[end + 1], "within_share": found[end + 2], "mix_share": found[end + 3]}


# Bands of positions: borders after the bins of one token (responses are shorter than 41 tokens) that complete a quarter.
counts = np.bincount(np.concatenate([A["position"], B["position"]]))
assert len(counts) <= 40
borders = [0]
for position, done in enumerate(np.cumsum(counts)):
    if done * 4 >= counts.sum() * len(borders) and len(borders) < 4 and position + 1 < len(counts):
        borders.append(position + 1)
ends = [*borders[1:], len(counts)]
bands = [f"token {x}" if y - x == 1 else f"tokens {x}–{y - 1}" for x, y in zip(borders, ends)]

bounds = [np.percentile(data["entropy"], 80) for data in (A, B)]

kinds, entropies = np.concatenate([A["kind"], B["kind"]]), np.concatenate([A["entropy"], B["entropy"]])
ranked = sorted((k for k in set(kinds.tolist()) if (kinds == k).sum() >= 20), key=lambda k: (-entropies[kinds == k].mean(), k))
chosen = []
for kind in ranked:
    if (np.isin(kinds, [*chosen, kind])).sum() > 0.2 * len(kinds):
        break
    chosen.append(kind)

predictions = []
for first, last in zip(steps, steps[1:]):
    data = table[first]
    covariance = np.mean((data["log_prob"] - data["log_prob"].mean()) * (data["advantage"] - data["advantage"].mean()))
    change = means[last] - means[first]
    if covariance != 0:
        predictions.append({"from": first, "to": last, "covariance": covariance, "change": change, "agrees": bool(covariance * change < 0)})
same = sum(p["agrees"] for p in predictions)


def mean_over(value):
    """The mean over responses of both steps, with the interval of the difference."""
    of = {step: [(prompts.index(tuple(row["prompt_token_ids"])), value(row)) for row in rows if row["step"] == step] for step in (a, b)}
    data = lambda step: np.array(of[step])
    m = len(prompts)
    left = []
    for name in range(m):
        x, y = (data(step)[data(step)[:, 0] != name, 1].mean() for step in (a, b))
        left.append(y - x)
    x, y = (data(step)[:, 1].mean() for step in (a, b))
    half = stats.t.ppf(0.975, m - 1) * np.sqrt((m - 1) / m * ((np.array(left) - np.mean(left)) ** 2).sum())
    return {"from": x, "to": y, "change": {"value": y - x, "low": y - x - half, "high": y - x + half}}


document = {
    "source": "NumPy 2.4, SciPy 1.17 (tests/stats/make_change_values.py)",
    "steps": {str(step): mean for step, mean in means.items()},
    "from": a, "to": b, "pairs": len(pairs),
    "change": interval(lambda x, y: [y["entropy"].mean() - x["entropy"].mean()], 0.05 / len(pairs))[0],
    "splits": {
        "outcome": split(lambda data, _: np.where(data["right"], 0, 1), ["right", "wrong"]),
        "position": split(lambda data, _: np.searchsorted(borders, data["position"], side="right") - 1, bands),
        "top_tokens": split(lambda data, at: np.where(data["entropy"] > bounds[at], 0, 1), ["highest 20 %", "other 80 %"]),
        "forking_kinds": split(lambda data, _: np.where(np.isin(data["kind"], chosen), 0, 1), ["forking kinds", "other kinds"]),
    },
    "kinds": chosen,
    "agreement": {
        "same": same, "of": len(predictions), "predictions": predictions,
        "by_chance": stats.binomtest(same, len(predictions), 0.5, alternative="greater").pvalue,
    },
    "reward": mean_over(lambda row: row["dump"][REWARD]),
    "length": mean_over(lambda row: len(row["response_token_ids"])),
}
(FIXTURES / "expected/change.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
print(a, b, document["change"], bands, chosen, same, len(predictions))
