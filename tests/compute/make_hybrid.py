"""Makes tests/fixtures/hybrid: numbers of transformers for decoders with recurrent layers, where sequences are longer than a chunk.

The recurrence runs in chunks of 64 tokens. The rows have 2, 64, 65, 66 and 201 tokens, of which the last is only scored, and two have
the same length. One file for each checkpoint of make_golden.py, with the greedy continuation of the longest row.

Versions as in make_golden.py. Fixed seeds; run again, it gives the same bytes. No network.

    python3 tests/compute/make_hybrid.py
    python3 tests/compute/make_hybrid.py qwen3_next      # only this checkpoint
"""
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
sys.dont_write_bytecode = True

import torch
from common import FIXTURES, TEMPERATURES, score, write_json
from make_golden import all_logits, greedy, load, quieten, seeded

BASES = ["qwen3_next", "qwen3_5_text", "lfm2", "nemotron_h", "falcon_h1"]
LENGTHS = [201, 66, 65, 64, 2, 65]
PROMPT = 1
SEEDS = {"nemotron_h": 2}  # of checkpoints whose first seed gave a near tie, or an early end


def main():
    torch.set_num_threads(1)
    quieten()
    directory = FIXTURES.parent / "hybrid"
    directory.mkdir(exist_ok=True)
    for base in sys.argv[1:] or BASES:
        model, generator = load(base), seeded(f"{base} long {SEEDS.get(base, 0)}")
        rows = []
        for number, length in enumerate(LENGTHS):
            ids = torch.randint(0, 256, (length,), generator=generator).tolist()
            rows.append(dict(id=number, prompt_token_ids=ids[:PROMPT], response_token_ids=ids[PROMPT:]))
        longest = rows[0]["prompt_token_ids"] + rows[0]["response_token_ids"]
        continued = greedy(model, 0, longest, [])
        assert continued["min_top2_margin"] > 1e-3 and model.config.eos_token_id not in continued["token_ids"][:4], base
        write_json(directory / f"{base}.json", {
            "unit": "nats", "rows": rows, "greedy": continued,
            "temperatures": {str(t): score(lambda ids: all_logits(model, ids), rows, t) for t in TEMPERATURES},
        })


if __name__ == "__main__":
    main()
