"""Makes tests/fixtures/expected/token_groups.json: the numbers of `tokens` for tests/fixtures/token_groups/run.jsonl, by NumPy and SciPy.

Nothing here is taken from the program: quantiles are numpy.percentile's, intervals scipy.stats.t's, correlations scipy.stats'. The
intervals of covariances need the derivative of each number by the weight of each prompt: it is computed by complex steps from the
weighted number, without a formula for it, and compared with 4000 bootstrap samples of the prompts. The
covariance follows verl's `compute_policy_loss_kl_cov` (0.9.1) line by line, with NumPy for torch, and the advantages its
`compute_grpo_outcome_advantage`; mismatch follows `compute_offpolicy_metrics` of its rollout_corr_helper.py.

    pip install numpy==2.4.6 scipy==1.17.1
    python3 tests/stats/make_token_group_values.py
"""
import itertools
import json
import platform
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import scipy
from scipy import stats

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
PERCENTS = [5, 25, 50, 75, 80, 90, 95, 99]
BINS = 60

rows = [json.loads(line) for line in (FIXTURES / "token_groups/run.jsonl").read_text(encoding="utf-8").splitlines()]
for row in rows:
    row["reward"] = row["dump"]["reward"]
    row["sampler"] = np.array(row["dump"]["generation_logprobs"])
    row["pred"] = row["dump"].get("pred")
    row["env"] = row["dump"]["env"]
    row["entropies"], row["log_probs"] = np.array(row["entropies"]), np.array(row["log_probs"])
steps = sorted({row["step"] for row in rows})
HIGHEST = max(row["entropies"].max() for row in rows)
LONGEST = max(len(row["entropies"]) for row in rows)
WIDTH = next(f * 10**p for p in range(9) for f in (1, 2, 5) if -(-LONGEST // (f * 10**p)) <= 40)


def prompt(row):
    return tuple(row["prompt_token_ids"])


def interval(triples):
    """The mean over tokens of (prompt, sum, count) by response, and its interval as a ratio estimate with prompts as clusters."""
    clusters = defaultdict(lambda: [0.0, 0])
    for name, s, n in triples:
        clusters[name][0] += s
        clusters[name][1] += n
    sums = np.array([s for s, n in clusters.values() if n > 0])
    counts = np.array([n for s, n in clusters.values() if n > 0])
    mean, m = sums.sum() / counts.sum(), len(sums)
    if m < 2:
        return {"mean": mean, "low": None, "high": None}
    error = np.sqrt(m / (m - 1) * ((sums - mean * counts) ** 2).sum()) / counts.sum()
    low, high = stats.t.interval(0.95, m - 1, loc=mean, scale=1)
    half = (high - low) / 2 * error
    return {"mean": mean, "low": mean - half, "high": mean + half}


def entropy(mine):
    values = np.concatenate([row["entropies"] for row in mine])
    top = np.sort(values)[::-1][: round(0.2 * len(values))]
    return {
        "tokens": len(values),
        **interval([(prompt(row), row["entropies"].sum(), len(row["entropies"])) for row in mine]),
        "response_mean": np.mean([row["entropies"].mean() for row in mine]),
        "percentiles": [{"percent": p, "value": v} for p, v in zip(PERCENTS, np.percentile(values, PERCENTS))],
        "thresholds": [
            {"threshold": t, "below": (values < t).mean(), "above": (values > t).mean()} for t in (0.01, 0.672)
        ],
        "top_share": top.sum() / values.sum(),
        "histogram": np.histogram(values, BINS, (0, HIGHEST))[0].tolist(),
    }


def profile(mine, bin_of, width):
    bins = defaultdict(list)
    for row in mine:
        of_response = defaultdict(lambda: [0.0, 0])
        for at, value in enumerate(row["entropies"]):
            pair = of_response[bin_of(at, len(row["entropies"]))]
            pair[0] += value
            pair[1] += 1
        for index, pair in of_response.items():
            bins[index].append((prompt(row), *pair))
    return [
        {"from": at * width, "to": (at + 1) * width, "tokens": sum(n for _, _, n in bins[at]), "responses": len(bins[at]),
         "entropy": interval(bins[at])}
        for at in range(max(bins) + 1)
    ]


def groups(mine, name, order):
    members = defaultdict(list)
    for row in mine:
        members[name(row)].append(row)
    return [
        {
            "name": key,
            "responses": len(members[key]),
            "tokens": sum(len(row["entropies"]) for row in members[key]),
            "entropy": interval([(prompt(row), row["entropies"].sum(), len(row["entropies"])) for row in members[key]]),
            "mean_length": np.mean([len(row["entropies"]) for row in members[key]]),
            "mean_log_prob": np.concatenate([row["log_probs"] for row in members[key]]).mean(),
            "mean_reward": np.mean([row["reward"] for row in members[key]]),
        }
        for key in order if key in members
    ]


def by_prompt(mine):
    members = defaultdict(list)
    for row in mine:
        members[prompt(row)].append(row)
    return members


def difficulty(mine):
    name = {}
    for text, members in by_prompt(mine).items():
        rate = np.mean([row["reward"] > 0 for row in members])
        edges = [(0, "0 %"), (0.25, "0–25 %"), (0.5, "25–50 %"), (0.75, "50–75 %"), (0.99, "75–100 %"), (1, "100 %")]
        name[text] = next(label for edge, label in edges if rate <= edge)
    order = ["0 %", "0–25 %", "25–50 %", "50–75 %", "75–100 %", "100 %"]
    return groups(mine, lambda row: name[prompt(row)], order)


def advantages(mine):
    """verl's compute_grpo_outcome_advantage: torch.std has n - 1."""
    found = {}
    for members in by_prompt(mine).values():
        scores = np.array([row["reward"] for row in members])
        for row, score in zip(members, scores):
            found[id(row)] = (score - scores.mean()) / (scores.std(ddof=1) + 1e-6)
    return found


def weighted(weights, log_probs, advs, clusters):
    """Mean covariance, means of the largest, and their shares of the positive ones, if each cluster counts with a weight.

    The largest k of n become the largest k/n of the sum of weights; the last one counts in part.
    """
    w, n = weights[clusters], len(log_probs)
    c = (log_probs - (w * log_probs).sum() / w.sum()) * (advs - (w * advs).sum() / w.sum())
    order = np.argsort(-c.real, kind="stable")
    positive = (w * c)[c.real > 0].sum()
    means, shares = [], []
    for ratio in (0.0002, 0.002, 0.02):
        k = max(1, int(n * ratio))
        largest, size = order[:k], k / n * w.sum()
        total = (w[largest] * c[largest]).sum() + (size - w[largest].sum()) * c[order[k - 1]]
        means.append(total / size)
        shares.append(total / positive if positive else 0)
    return np.array([(w * c).sum() / w.sum(), *means, *shares])


def sandwich(log_probs, advs, clusters):
    """The numbers of `weighted` at weights of 1, the ends of their intervals, and standard errors by formula and bootstrap."""
    m, step = clusters.max() + 1, 1e-30
    value = weighted(np.ones(m), log_probs, advs, clusters)
    derivatives = [weighted(1 + 1j * step * (np.arange(m) == at), log_probs, advs, clusters).imag / step for at in range(m)]
    error = np.sqrt(m / (m - 1) * (np.array(derivatives) ** 2).sum(0))
    half = stats.t.ppf(0.975, m - 1) * error
    rng = np.random.default_rng(0)
    samples = [weighted(rng.multinomial(m, np.full(m, 1 / m)).astype(float), log_probs, advs, clusters) for _ in range(4000)]
    return value, value - half, value + half, error, np.std(samples, 0, ddof=1)


def covariance_of(all_valid_logp, all_valid_adv, clusters):
    cov_lst_all = (all_valid_adv - all_valid_adv.mean()) * (all_valid_logp - all_valid_logp.mean())
    value, low, high, error, bootstrap = sandwich(all_valid_logp, all_valid_adv, clusters)
    assert np.isclose(value[0], cov_lst_all.mean())
    top = []
    for at, ratio in enumerate((0.0002, 0.002, 0.02)):
        k = max(1, int(len(cov_lst_all) * ratio))
        order = np.argsort(-cov_lst_all, kind="stable")[:k]
        large = cov_lst_all[order]
        enough = k >= 20 and len(np.unique(clusters[order])) >= 5
        top.append({
            "share": ratio, "tokens": k, "mean": large.mean(), "of_positive": large.sum() / cov_lst_all[cov_lst_all > 0].sum(),
            "of_all": large.sum() / cov_lst_all.sum() if cov_lst_all.sum() > 0 else None, "threshold": large[-1],
            "low": low[1 + at] if enough else None, "high": high[1 + at] if enough else None,
            "of_positive_low": max(0, low[4 + at]) if enough else None, "of_positive_high": min(1, high[4 + at]) if enough else None,
        })
        if enough:
            print(f"{len(np.unique(clusters))} clusters, top {ratio}: errors {error[1 + at]:.4g}, {error[4 + at]:.4g}; "
                  f"by bootstrap {bootstrap[1 + at]:.4g}, {bootstrap[4 + at]:.4g}")
    print(f"{len(np.unique(clusters))} clusters: error {error[0]:.4g}, by bootstrap {bootstrap[0]:.4g}")
    prediction = "falls" if low[0] > 0 else "rises" if high[0] < 0 else "unclear"
    return {
        "tokens": len(cov_lst_all), "mean_log_prob": all_valid_logp.mean(), "mean_advantage": all_valid_adv.mean(),
        "mean": cov_lst_all.mean(), "low": low[0], "high": high[0], "clusters": len(np.unique(clusters)), "prediction": prediction,
        "predicted_sign": int(-np.sign(cov_lst_all.mean())), "top": top,
    }, cov_lst_all


def covariance(mine):
    found = advantages(mine)
    all_valid_adv = np.concatenate([np.full(len(row["log_probs"]), found[id(row)]) for row in mine])
    all_valid_logp = np.concatenate([row["log_probs"] for row in mine])
    names = list(by_prompt(mine))
    clusters = np.concatenate([np.full(len(row["log_probs"]), names.index(prompt(row))) for row in mine])
    numbers, cov_lst_all = covariance_of(all_valid_logp, all_valid_adv, clusters)
    order = np.argsort(-cov_lst_all, kind="stable")[:10]
    ids = np.concatenate([row["response_token_ids"] for row in mine])
    return {
        **numbers,
        "top_tokens": [
            {"id": int(ids[at]), "log_prob": all_valid_logp[at], "advantage": all_valid_adv[at], "covariance": cov_lst_all[at]}
            for at in order[: max(1, int(len(cov_lst_all) * 0.02))]
        ],
    }


def made_up(clusters, tokens):
    """Tokens of clusters whose log-probs and advantages are correlated, from the generator that the test has too."""
    state, numbers = 1, []
    for _ in range(clusters * tokens * 2 + clusters):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        numbers.append((state >> 33) / 2**31)
    numbers = np.array(numbers)
    shift, pairs = numbers[:clusters], numbers[clusters:].reshape(clusters, tokens, 2)
    log_probs = 3 * pairs[:, :, 0] ** 4 * -1 - shift[:, None]
    advs = 2 * pairs[:, :, 1] - 1 + (shift[:, None] - 0.4) * log_probs
    return covariance_of(log_probs.ravel(), advs.ravel(), np.repeat(np.arange(clusters), tokens))[0]


def mismatch(mine):
    log_ratio = np.concatenate([row["log_probs"] - row["sampler"] for row in mine])
    per_response = np.array([(row["log_probs"] - row["sampler"]).sum() for row in mine])
    means = np.array([(row["log_probs"] - row["sampler"]).mean() for row in mine])
    tokens, responses = np.exp(log_ratio), np.exp(per_response)
    worst = np.argsort(-np.abs(log_ratio), kind="stable")[:10]
    return {
        "responses": len(mine), "tokens": len(log_ratio), "mean_difference": log_ratio.mean(),
        "mean_abs_difference": np.abs(log_ratio).mean(), "k1": (-log_ratio).mean(),
        "k3": (np.exp(log_ratio) - log_ratio - 1).mean(), "perplexity_ratio": np.exp(-means).mean(),
        "ess_tokens": 1 / np.mean((tokens / tokens.mean()) ** 2), "ess_responses": 1 / np.mean((responses / responses.mean()) ** 2),
        "worst_tokens": [{"difference": log_ratio[at]} for at in worst],
    }


def pass_at_k(n, c, k):
    """By counting all subsets."""
    drawn = list(itertools.combinations(range(n), k))
    return np.mean([any(at < c for at in subset) for subset in drawn])


def diversity(mine):
    distinct, entropies, rates, means, grams = [], [], [], [], {n: [] for n in (1, 2, 3)}
    without, passes = 0, {k: [] for k in (1, 2, 4)}
    for members in by_prompt(mine).values():
        found = [row["pred"] for row in members if row["pred"] is not None]
        without += len(members) - len(found)
        if len(found) > 1:
            shares = np.array(list(Counter(found).values())) / len(found)
            distinct.append(len(shares))
            entropies.append(stats.entropy(shares))
        right = sum(row["reward"] > 0 for row in members)
        rates.append(right / len(members))
        means.append(np.concatenate([row["entropies"] for row in members]).mean())
        for k, values in passes.items():
            values.append(pass_at_k(len(members), right, k))
        for n, values in grams.items():
            all_grams = [tuple(row["response_token_ids"][at : at + n]) for row in members
                         for at in range(len(row["response_token_ids"]) - n + 1)]
            values.append(len(set(all_grams)) / len(all_grams))
    return {
        "prompts": len(rates),
        "answers": {"prompts": len(distinct), "distinct": np.mean(distinct), "entropy": np.mean(entropies), "responses_without": without},
        "pass_at_k": [{"k": k, "value": np.mean(values), "prompts": len(values)} for k, values in passes.items()],
        "pass_entropy_pearson": stats.pearsonr(rates, means)[0],
        "pass_entropy_spearman": stats.spearmanr(rates, means)[0],
        "distinct_ngrams": [{"n": n, "share": np.mean(values)} for n, values in grams.items()],
    }


def forking(mine):
    ids = np.concatenate([row["response_token_ids"] for row in mine])
    values = np.concatenate([row["entropies"] for row in mine])
    words = [(-values[ids == token].mean(), int(token), int((ids == token).sum())) for token in np.unique(ids)]
    words = sorted(word for word in words if word[2] >= 20)[:30]
    return [{"id": token, "count": count, "mean": -mean} for mean, token, count in words]


def of_step(step):
    mine = [row for row in rows if row["step"] == step]
    return {
        "step": step, "responses": len(mine), "prompts": len(by_prompt(mine)),
        "clusters": {"of": "prompts", "count": len(by_prompt(mine))}, "tokens": sum(len(row["entropies"]) for row in mine),
        "mean_length": np.mean([len(row["entropies"]) for row in mine]), "mean_reward": np.mean([row["reward"] for row in mine]),
        "mean_log_prob": np.concatenate([row["log_probs"] for row in mine]).mean(), "entropy": entropy(mine),
        "tenths": profile(mine, lambda at, length: at * 10 // length, 1),
        "positions": profile(mine, lambda at, length: at // WIDTH, WIDTH),
        "by_outcome": groups(mine, lambda row: "right" if row["reward"] > 0 else "wrong", ["right", "wrong"]),
        "by_difficulty": difficulty(mine), "by_column": groups(mine, lambda row: row["env"], ["sums", "words"]),
        "forking": forking(mine), "covariance": covariance(mine), "mismatch": mismatch(mine), "diversity": diversity(mine),
    }


found = {step: of_step(step) for step in steps}
forks = {step: {word["id"] for word in found[step]["forking"]} for step in steps}
pairs = [(0, 1), (0, 2), (1, 2)]
document = {
    "made_with": {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__},
    "made_up": [made_up(12, 1000), made_up(40, 60)],
    "histogram_max": HIGHEST, "position_width": WIDTH, "steps": [found[step] for step in steps],
    "overlaps": [
        {"a": a, "b": b, "shared": len(forks[steps[a]] & forks[steps[b]]), "either": len(forks[steps[a]] | forks[steps[b]]),
         "jaccard": len(forks[steps[a]] & forks[steps[b]]) / len(forks[steps[a]] | forks[steps[b]])}
        for a, b in pairs if forks[steps[a]] and forks[steps[b]]
    ],
}


def plain(value):
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return value.item() if isinstance(value, np.generic) else value


(FIXTURES / "expected/token_groups.json").write_text(json.dumps(plain(document), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
