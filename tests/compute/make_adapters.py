"""Makes tests/fixtures/adapters: adapters of the checkpoints of make_golden.py, with the numbers that PEFT gives.

One directory for each way in which PEFT changes a model: the adapter as PEFT saves it, and golden.json with its base
model and the numbers of the adapted model. Each adapter is loaded again from its files, so that a number says what
PEFT reads from them.
The table says by how much each adapter moves the token mean of its base model.

Versions as in make_golden.py. Fixed seeds; run again, it gives the same bytes. No network.

    python3 tests/compute/make_adapters.py
    python3 tests/compute/make_adapters.py dora      # only this case
"""
import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
sys.dont_write_bytecode = True

import peft
import torch
import transformers
from common import FIXTURES, TEMPERATURES, fresh, score, write_json
from make_golden import all_logits, load, quieten, seeded
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

ADAPTERS = FIXTURES.parent / "adapters"
TARGETS = ["q_proj", "v_proj", "down_proj"]

# name: (base, settings of LoraConfig)
CASES = {
    "dora": ("qwen2", dict(target_modules=TARGETS, use_dora=True)),
    "dora-rslora": ("llama", dict(target_modules=["q_proj", "o_proj", "gate_proj"], use_dora=True, use_rslora=True)),
    # The first matching pattern counts; both match layer 1's q_proj.
    "alpha-pattern": ("qwen2", dict(target_modules=TARGETS, alpha_pattern={r"layers\.1\..*": 20, "q_proj": 2, "model.layers.2.mlp.down_proj": 1},
                                    rank_pattern={"down_proj": 3, "layers.0.self_attn.v_proj": 2})),
    "bias": ("qwen2", dict(target_modules=["q_proj", "v_proj"], bias="all")),
    "tied-embedding-saved": ("qwen2", dict(target_modules=["q_proj"], modules_to_save=["embed_tokens"])),
    "tied-head-saved": ("qwen2", dict(target_modules=["q_proj"], modules_to_save=["lm_head"])),
    "tied-both-saved": ("qwen2", dict(target_modules=["q_proj"], modules_to_save=["embed_tokens", "lm_head"])),
    "embedding": ("mistral", dict(target_modules=["embed_tokens", "v_proj"])),
    "tied-embedding": ("qwen2", dict(target_modules=["embed_tokens", "v_proj"])),
    "tied-head": ("qwen2", dict(target_modules=["lm_head", "v_proj"])),
    "gemma2-embedding": ("gemma2", dict(target_modules=["embed_tokens", "o_proj"])),
    "fused": ("phi3", dict(target_modules=["qkv_proj", "gate_up_proj"])),
    "experts": ("qwen3_moe", dict(target_modules=["q_proj"], rank_pattern={"experts.gate_up_proj": 2}, alpha_pattern={"experts.down_proj": 20},
                                  target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj", "mlp.gate.weight"])),
    "experts-single": ("qwen3_moe", None),
    "delta-net": ("qwen3_next", dict(target_modules=["in_proj_qkvz", "in_proj_ba", "out_proj", "q_proj"])),
    "delta-net-nested": ("qwen3_5", dict(target_modules=r".*language_model.*\.(in_proj_\w+|out_proj|q_proj|o_proj)|.*visual.*linear_fc1", use_rslora=True,
                                         alpha_pattern={"model.language_model.layers.0.linear_attn.in_proj_qkv": 2, "in_proj_z": 20})),
    "experts-nested": ("qwen3_5_moe", dict(target_modules=["in_proj_b"], rank_pattern={"mlp.experts.gate_up_proj": 2},
                                           alpha_pattern={r"model\.language_model\.layers\.0\.mlp\.experts\.down_proj": 20},
                                           target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj"])),
    "experts-interleaved": ("gpt_oss", dict(target_modules=["q_proj"], rank_pattern={"experts.gate_up_proj": 2},
                                            target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj"])),
    "experts-down": ("qwen3_moe-raw", dict(target_modules=[], target_parameters=["mlp.experts.down_proj"])),
}


def main():
    torch.set_num_threads(1)
    quieten()
    rollouts = [json.loads(line) for line in (FIXTURES / "rollouts.jsonl").read_text(encoding="utf-8").splitlines()]
    for name in sys.argv[1:] or CASES:
        base, settings = CASES[name]
        directory = fresh(ADAPTERS / name)
        if settings is None:
            save_single_experts(name, base, directory)
        else:
            save_adapter(name, base, settings, directory)
        model = PeftModel.from_pretrained(load(base), directory).eval()
        golden = {
            "unit": "nats", "base": base,
            "made_with": {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__},
            "temperatures": {str(t): score(lambda ids: all_logits(model, ids), rollouts, t) for t in TEMPERATURES},
        }
        write_json(directory / "golden.json", golden)
        moved = golden["temperatures"]["1.0"]["token_mean"] - json.loads((FIXTURES / base / "golden.json").read_text())["temperatures"]["1.0"]["token_mean"]
        print(f"{name:22} {moved:+.6f}")
        assert abs(moved) > 1e-3, name


def save_adapter(name, base, settings, directory):
    config = LoraConfig(r=4, lora_alpha=8, task_type="CAUSAL_LM", **settings)
    adapted = get_peft_model(load(base), config)
    generator = seeded(name)
    with torch.no_grad():
        for parameter_name, parameter in sorted(adapted.named_parameters(remove_duplicate=False)):
            noise = torch.randn(parameter.shape, generator=generator)
            if "lora_magnitude_vector" in parameter_name:
                parameter.mul_(1 + 0.2 * noise)
            elif "lora_" in parameter_name:
                parameter.copy_(noise * (0.2 if "lora_B" in parameter_name or "embedding_B" in parameter_name else 0.15))
            elif "modules_to_save" in parameter_name:
                parameter.add_(0.15 * noise)
            elif settings.get("bias") == "all" and parameter_name.endswith("bias"):
                parameter.add_(0.2 * noise)
    adapted.peft_config["default"].base_model_name_or_path = f"../../compute/{base}"
    adapted.save_pretrained(directory)
    (directory / "adapter_model.safetensors").chmod(0o644)
    (directory / "README.md").unlink(missing_ok=True)  # PEFT's empty model card
    path = directory / "adapter_config.json"
    saved = json.loads(path.read_text())
    for key in ("target_modules", "modules_to_save", "target_parameters"):  # sets, in random order
        if isinstance(saved[key], list):
            saved[key].sort()
    path.write_text(json.dumps(saved, indent=2) + "\n")


def save_single_experts(name, base, directory):
    """An adapter of each expert, as PEFT saved them when the experts of transformers 4 were modules of their own."""
    generator = seeded(name)
    tensors = {}
    for key, weight in sorted(load_file(FIXTURES / base / "model.safetensors").items()):
        if ".mlp.experts." in key:
            module = "base_model.model." + key.removesuffix(".weight")
            tensors[module + ".lora_A.weight"] = 0.15 * torch.randn(2, weight.shape[1], generator=generator)
            tensors[module + ".lora_B.weight"] = 0.2 * torch.randn(weight.shape[0], 2, generator=generator)
    save_file(tensors, directory / "adapter_model.safetensors")
    (directory / "adapter_model.safetensors").chmod(0o644)
    config = dict(peft_type="LORA", task_type="CAUSAL_LM", r=2, lora_alpha=8, bias="none", lora_dropout=0.0,
                  target_modules=["gate_proj", "up_proj", "down_proj"], base_model_name_or_path=f"../../compute/{base}")
    (directory / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")


if __name__ == "__main__":
    main()
