"""Makes tests/fixtures/rope: rotary settings of config.json that are easily read wrong, with transformers' numbers.

One directory for each: config.json for the weights of a checkpoint of make_golden.py, and golden.json with the name of
that checkpoint and the numbers. `longrope-length` has rollouts of its own, whose lengths are at the original context
and one token above: longrope goes by the length of the whole sequence.

Versions as in make_golden.py. Fixed seeds; run again, it gives the same bytes. No network.

    python3 tests/compute/make_rope.py
    python3 tests/compute/make_rope.py original-at-top      # only this case
"""
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
sys.dont_write_bytecode = True

import torch
import transformers
from common import FIXTURES, TEMPERATURES, fresh, score, write_json, write_lines
from make_golden import all_logits, quieten, seeded
from transformers import AutoModelForCausalLM

ROPE = FIXTURES.parent / "rope"
FACTORS = {"short_factor": [1.0, 1.1, 1.3, 1.6], "long_factor": [1.2, 2.5, 5.0, 9.0]}

# name: (base, changes of config.json; None removes a key)
CASES = {
    "scaling-beside-parameters": ("llama-plain", {"rope_scaling": {"rope_type": "linear", "factor": 3.0},
                                                  "rope_parameters": {"rope_type": "default", "rope_theta": 50.0}}),
    "scaling-beside-parameters-and-theta": ("qwen2", {"rope_scaling": {"rope_type": "linear", "factor": 3.0}, "rope_theta": 300.0,
                                                      "rope_parameters": {"rope_type": "default", "rope_theta": 50.0}}),
    "empty-scaling-beside-parameters": ("qwen2", {"rope_scaling": {}, "rope_theta": 300.0, "rope_parameters": {"rope_type": "default", "rope_theta": 50.0}}),
    "partial-ignored": ("qwen3", {"rope_parameters": {"rope_type": "default", "rope_theta": 300.0, "partial_rotary_factor": 0.5}}),
    "partial-ignored-at-top": ("llama-plain", {"rope_parameters": None, "rope_theta": 300.0, "partial_rotary_factor": 0.5}),
    "original-at-top": ("qwen2-yarn", {"original_max_position_embeddings": 64}),
    "original-at-top-llama3": ("llama", {"original_max_position_embeddings": 16}),
    "phi3-default-original": ("phi3-longrope", {"original_max_position_embeddings": None, "max_position_embeddings": 8192}),
    "phi3-yarn-is-longrope": ("phi3-longrope", {"rope_scaling": {"type": "yarn", **FACTORS}, "rope_parameters": None}),
    "phi3-su-is-longrope": ("phi3-longrope", {"rope_scaling": {"type": "su", "original_max_position_embeddings": 20, **FACTORS}, "rope_parameters": None}),
    "dynamic-original-ignored": ("internlm3-dynamic", {"original_max_position_embeddings": 64}),
    "dynamic-of-full-layers": ("gemma3_text", {"max_position_embeddings": 24, "rope_parameters": {
        "full_attention": {"rope_type": "dynamic", "rope_theta": 100.0, "factor": 5.0}, "sliding_attention": {"rope_type": "default", "rope_theta": 100.0}}}),
    "hunyuan-without-alpha": ("hunyuan_v1_dense", {"max_position_embeddings": 20, "rope_parameters": {
        "rope_type": "dynamic", "rope_theta": 100.0, "factor": 6.0, "alpha": 0.0}}),
    "ministral3-default": ("ministral3", {"rope_parameters": None}),
    "ministral3-linear": ("ministral3", {"original_max_position_embeddings": 30, "rope_parameters": {
        "rope_type": "linear", "rope_theta": 1000.0, "factor": 2.0, "original_max_position_embeddings": 6, "llama_4_scaling_beta": 0.5}}),
    "longrope-length": ("phi3-longrope", {}),
}


def main():
    torch.set_num_threads(1)
    quieten()
    shared = [json.loads(line) for line in (FIXTURES / "rollouts.jsonl").read_text(encoding="utf-8").splitlines()]
    for name, (base, changes) in CASES.items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        directory = fresh(ROPE / name)
        config = {**json.loads((FIXTURES / base / "config.json").read_text()), **changes}
        config = {key: value for key, value in config.items() if not (key in changes and value is None)}
        (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        rollouts = shared
        if name == "longrope-length":
            rollouts = sequences(name, [31, 32, 33, 34])
            write_lines(directory / "rollouts.jsonl", rollouts)
        model = load(base, config)
        write_json(directory / "golden.json", {
            "unit": "nats", "base": base, "made_with": {"torch": torch.__version__, "transformers": transformers.__version__},
            "temperatures": {str(t): score(lambda ids: all_logits(model, ids), rollouts, t) for t in TEMPERATURES}})
        print(f"{name:36} {model.config.rope_parameters}")


def load(base, config):
    """The weights of a checkpoint with another config.json, in float32."""
    with tempfile.TemporaryDirectory() as directory:
        shutil.copy(FIXTURES / base / "model.safetensors", directory)
        (Path(directory) / "config.json").write_text(json.dumps(config))
        return AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()


def sequences(name, lengths):
    """Random token ids; the first ten of each sequence are the prompt."""
    generator = seeded(name)
    ids = [torch.randint(0, 250, (length,), generator=generator).tolist() for length in lengths]
    return [dict(id=i, prompt_token_ids=row[:10], response_token_ids=row[10:]) for i, row in enumerate(ids)]


if __name__ == "__main__":
    main()
