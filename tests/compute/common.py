"""Shared by the fixture generators: paths, file writing, and the definition of entropy."""
import json
import shutil
import socket
from pathlib import Path

import torch

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures" / "compute"
VOCABULARY = 320  # more than the tokenizer has, as in Qwen: the last rows have logits but no text
TEMPERATURES = (1.0, 0.7)


def score(logits_of, rollouts, temperature):
    """Entropy H = logsumexp(l) - sum(softmax(l) * l) and log-probability of each response token, in float64."""
    per_rollout = []
    for row in rollouts:
        prompt, response = row["prompt_token_ids"], row["response_token_ids"]
        logits = logits_of(prompt + response)[len(prompt) - 1:-1].double() / temperature
        total = logits.logsumexp(-1)
        entropy = total - (logits.softmax(-1) * logits).sum(-1)
        logprob = logits.gather(-1, torch.tensor(response)[:, None])[:, 0] - total
        per_rollout.append({"id": row["id"], "n_tokens": len(response), "mean": entropy.mean().item(), "sum": entropy.sum().item(),
                            "entropy": entropy.tolist(), "logprob": logprob.tolist()})
    count = sum(row["n_tokens"] for row in per_rollout)
    return {"token_mean": sum(row["sum"] for row in per_rollout) / count, "n_tokens": count,
            "sequence_mean": sum(row["mean"] for row in per_rollout) / len(per_rollout), "per_rollout": per_rollout}


def free_port():
    """A port that no program of this machine uses now."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def rounded(value):
    if isinstance(value, float):
        return round(value, 9)
    if isinstance(value, list):
        return [rounded(item) for item in value]
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return value


def write_json(path, value):
    path.write_text(json.dumps(rounded(value), ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def fresh(directory):
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory
