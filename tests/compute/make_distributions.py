"""Makes tests/fixtures/distributions: what a distribution over tokens tells besides its entropy.

`rows.json` has rows of logits, each with a second one (a reference), with values of NumPy in float64. `golden.json` has the
values for `../compute/rollouts.jsonl`: logits of transformers in float32, the rest in float64. `table.pt` and `masked.pt` are
TorchScript modules whose logits depend on one token alone; the second one never chooses the token 7.

Versions as in make_golden.py. Fixed seeds; run again, it gives the same bytes. No network.

    python3 tests/compute/make_distributions.py
"""
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
sys.dont_write_bytecode = True

import json

import numpy as np
import torch
import transformers
from common import FIXTURES, write_json
from make_golden import quieten
from peft import PeftModel
from torchscript_module import without_sources
from transformers import AutoModelForCausalLM

DISTRIBUTIONS = FIXTURES.parent / "distributions"
NUCLEUS = 0.9
TEMPERATURES = [1.0, 0.7, 1.5]
# Policy and reference: another architecture with the same tokenizer, and an adapter with its base.
PAIRS = [("qwen2", "mistral"), ("lora", "qwen2"), ("qwen2", "lora-rslora")]


def log_softmax(logits, temperature):
    z = np.asarray(logits, dtype=np.float64) / temperature
    m = z.max(-1, keepdims=True)
    return z - m - np.log(np.exp(z - m).sum(-1, keepdims=True))


def entropy(log_p):
    p = np.exp(log_p)
    return -np.where(p > 0, p * np.where(p > 0, log_p, 0.0), 0.0).sum(-1)


def nucleus_entropy(log_p, mass):
    """Of the smallest set of most probable tokens with this mass; of equal tokens, the first come first."""
    order = np.argsort(-log_p, kind="stable")
    p = np.exp(log_p[order])
    before = np.concatenate([[0.0], np.cumsum(p)[:-1]])
    inside = p[before < mass]
    inside = inside / inside.sum()
    return float(-(inside * np.log(inside)).sum())


def divergence(log_p, log_q):
    """Σ p (log p − log q): infinite if q is 0 where p is not."""
    p = np.exp(log_p)
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.where(p > 0, p * (log_p - log_q), 0.0).sum())


def values(logits, token, temperatures, nucleus):
    """All numbers of a token from its row of logits."""
    log_p = log_softmax(logits, temperatures[0])
    found = {
        "entropy": float(entropy(log_p)),
        "log_prob": float(log_p[token]),
        "rank": int((np.asarray(logits) > logits[token]).sum()),
        "p_max": float(np.exp(log_p.max())),
        "renyi2": float(-np.log(np.exp(2 * log_p).sum())),
        "entropy_top_p": nucleus_entropy(log_p, nucleus),
    }
    for temperature in temperatures[1:]:
        other = log_softmax(logits, temperature)
        found |= {f"entropy@{temperature}": float(entropy(other)), f"log_prob@{temperature}": float(other[token])}
    return found


def pair(logits, reference, token, temperature):
    log_p, log_q = log_softmax(logits, temperature), log_softmax(reference, temperature)
    return {"log_prob_reference": float(log_q[token]), "kl": divergence(log_p, log_q), "kl_reverse": divergence(log_q, log_p)}


def rows():
    """Pairs of rows of different shapes: sharp, broad, with equal and with impossible tokens."""
    random = np.random.default_rng(20)
    found = []
    for spread, moved, equal, impossible in [(1.0, 0.1, 0, 0), (4.0, 1.0, 0, 0), (12.0, 0.01, 0, 0), (2.0, 0.5, 40, 0), (3.0, 0.3, 0, 25)]:
        logits = (random.normal(size=150) * spread).round(3)
        logits[:equal] = 5.0
        reference = (logits + random.normal(size=150) * moved).round(3)
        logits[100:100 + impossible] = reference[100:100 + impossible] = -np.inf
        logits, reference = logits.astype(np.float32), reference.astype(np.float32)
        for token in [3, int(logits.argmax()), 149]:
            found.append({"token": token, "logits": listed(logits), "reference": listed(reference),
                          "values": values(logits, token, TEMPERATURES, NUCLEUS) | pair(logits, reference, token, TEMPERATURES[0])})
            logits, reference = reference, logits
    return found


def listed(logits):
    """JSON has no −∞."""
    return [None if np.isinf(z) else round(float(z), 3) for z in logits]


class Table(torch.nn.Module):
    def __init__(self, table):
        super().__init__()
        self.table = torch.nn.Parameter(table, requires_grad=False)

    def forward(self, input_ids):
        return self.table[input_ids]


def tables():
    """Saves both modules; returns KL(masked ‖ table) by the token before."""
    table = torch.from_numpy(np.random.default_rng(5).normal(size=(12, 12)).astype(np.float32))
    masked = table + 0.5 * table.roll(1, 0)
    masked[:, 7] = -torch.inf
    for name, logits in [("table", table), ("masked", masked)]:
        module = torch.jit.trace(Table(logits).eval(), torch.arange(6).reshape(2, 3))
        (DISTRIBUTIONS / f"{name}.pt").write_bytes(without_sources(module))
    log_p, log_q = log_softmax(masked.numpy(), 1.0), log_softmax(table.numpy(), 1.0)
    return [divergence(p, q) for p, q in zip(log_p, log_q)]


def load(name):
    if not name.startswith("lora"):
        return AutoModelForCausalLM.from_pretrained(FIXTURES / name, dtype=torch.float32, attn_implementation="eager").eval()
    return PeftModel.from_pretrained(load("qwen2"), FIXTURES / name).eval()


def logits_of(model, rollout):
    ids = rollout["prompt_token_ids"] + rollout["response_token_ids"]
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    return logits[len(rollout["prompt_token_ids"]) - 1:-1].float().numpy()


def main():
    torch.set_num_threads(1)
    quieten()
    DISTRIBUTIONS.mkdir(parents=True, exist_ok=True)
    write_json(DISTRIBUTIONS / "rows.json", {"nucleus": NUCLEUS, "temperatures": TEMPERATURES, "rows": rows()})
    rollouts = [json.loads(line) for line in (FIXTURES / "rollouts.jsonl").read_text(encoding="utf-8").splitlines()]
    golden = {"unit": "nats", "nucleus": NUCLEUS, "temperatures": TEMPERATURES,
              "made_with": {"torch": torch.__version__, "transformers": transformers.__version__, "numpy": np.__version__}}
    golden["masked_to_table"] = tables()
    model = load("qwen2")
    golden["qwen2"] = [
        listed_by_key([values(row, token, TEMPERATURES, NUCLEUS) for row, token in zip(logits_of(model, rollout), rollout["response_token_ids"])])
        for rollout in rollouts
    ]
    golden["pairs"] = []
    for policy, reference in PAIRS:
        first, second = load(policy), load(reference)
        per_rollout = []
        for rollout in rollouts:
            both = zip(logits_of(first, rollout), logits_of(second, rollout), rollout["response_token_ids"])
            per_rollout.append(listed_by_key([pair(p, q, token, TEMPERATURES[1]) for p, q, token in both]))
        golden["pairs"].append({"policy": policy, "reference": reference, "temperature": TEMPERATURES[1], "per_rollout": per_rollout})
    write_json(DISTRIBUTIONS / "golden.json", golden)


def listed_by_key(tokens):
    return {key: [token[key] for token in tokens] for key in tokens[0]}


if __name__ == "__main__":
    main()
