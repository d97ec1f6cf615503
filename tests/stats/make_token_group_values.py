"""Makes tests/fixtures/expected/token_groups.json: the numbers of `tokens` for tests/fixtures/token_groups/run.jsonl, by NumPy and SciPy.

Nothing here is taken from the program: quantiles are numpy.percentile's, intervals scipy.stats.t's, correlations scipy.stats'. The
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


def interval(pairs):
    """The mean over tokens of (sum, count) by response, and its interval as a ratio estimate."""
    sums = np.array([s for s, n in pairs if n > 0])
    counts = np.array([n for s, n in pairs if n > 0])
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
        **interval([(row["entropies"].sum(), len(row["entropies"])) for row in mine]),
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
            bins[index].append(pair)
    return [
        {"from": at * width, "to": (at + 1) * width, "tokens": sum(n for _, n in bins[at]), "responses": len(bins[at]),
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
            "entropy": interval([(row["entropies"].sum(), len(row["entropies"])) for row in members[key]]),
            "mean_length": np.mean([len(row["entropies"]) for row in members[key]]),
            "mean_log_prob": np.concatenate([row["log_probs"] for row in members[key]]).mean(),
            "mean_reward": np.mean([row["reward"] for row in members[key]]),
        }
        for key in order if key in members
    ]


def by_prompt(mine):
    members = defaultdict(list)
    for row in mine:
        members[tuple(row["prompt_token_ids"])].append(row)
    return members


def difficulty(mine):
    name = {}
    for prompt, members in by_prompt(mine).items():
        rate = np.mean([row["reward"] > 0 for row in members])
        edges = [(0, "0"), (0.25, "0–25 %"), (0.5, "25–50 %"), (0.75, "50–75 %"), (0.99, "75–100 %"), (1, "100 %")]
        name[prompt] = next(label for edge, label in edges if rate <= edge)
    order = ["0", "0–25 %", "25–50 %", "50–75 %", "75–100 %", "100 %"]
    return groups(mine, lambda row: name[tuple(row["prompt_token_ids"])], order)


def advantages(mine):
    """verl's compute_grpo_outcome_advantage: torch.std has n - 1."""
    found = {}
    for members in by_prompt(mine).values():
        scores = np.array([row["reward"] for row in members])
        for row, score in zip(members, scores):
            found[id(row)] = (score - scores.mean()) / (scores.std(ddof=1) + 1e-6)
    return found


def covariance(mine):
    found = advantages(mine)
    all_valid_adv = np.concatenate([np.full(len(row["log_probs"]), found[id(row)]) for row in mine])
    all_valid_logp = np.concatenate([row["log_probs"] for row in mine])
    cov_lst_all = (all_valid_adv - all_valid_adv.mean()) * (all_valid_logp - all_valid_logp.mean())
    top = []
    for ratio in (0.0002, 0.002, 0.02):
        k = max(1, int(len(cov_lst_all) * ratio))
        large = np.sort(cov_lst_all)[::-1][:k]
        top.append({
            "share": ratio, "tokens": k, "mean": large.mean(), "of_positive": large.sum() / cov_lst_all[cov_lst_all > 0].sum(),
            "of_all": large.sum() / cov_lst_all.sum() if cov_lst_all.sum() > 0 else None, "threshold": large[-1],
        })
    order = np.argsort(-cov_lst_all, kind="stable")[:10]
    ids = np.concatenate([row["response_token_ids"] for row in mine])
    return {
        "tokens": len(cov_lst_all), "mean_log_prob": all_valid_logp.mean(), "mean_advantage": all_valid_adv.mean(),
        "mean": cov_lst_all.mean(), "predicted_sign": int(-np.sign(cov_lst_all.mean())), "top": top,
        "top_tokens": [
            {"id": int(ids[at]), "log_prob": all_valid_logp[at], "advantage": all_valid_adv[at], "covariance": cov_lst_all[at]}
            for at in order[: max(1, int(len(cov_lst_all) * 0.02))]
        ],
    }


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
        "step": step, "responses": len(mine), "prompts": len(by_prompt(mine)), "tokens": sum(len(row["entropies"]) for row in mine),
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
